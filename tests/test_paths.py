"""From bodies to a sniffer: power, vagueness, bearing, and who stands in the way."""

import numpy as np
import pytest
from whowhere.fusion.evidence.columns import Bodies
from whowhere.fusion.paths import BODY_DB, MOST_BODIES, in_the_way, paths
from whowhere.fusion.wireless import expected_dbm
from whowhere.sitefile import Sniffer

SNIFFER = Sniffer(id="s", source="simulated", position_m=(0.0, 0.0, 1.5))
HIGH = Sniffer(id="s", source="simulated", position_m=(0.0, 0.0, 2.6))


def bodies(*places: tuple[float, float], sd_m: float = 0.05) -> Bodies:
    count = len(places)
    covariance = np.tile(sd_m**2 * np.eye(2), (count, 1, 1))
    return Bodies(np.array(places, float).reshape(count, 2), covariance, np.zeros(count))


def test_who_stands_between_weakens_and_who_stands_behind_or_beside_does_not() -> None:
    assert in_the_way(SNIFFER, bodies((6, 0), (3, 0))) == pytest.approx([1.0, 0.0], abs=0.03)
    assert in_the_way(SNIFFER, bodies((6, 0), (8, 0)))[0] == 0.0
    assert in_the_way(SNIFFER, bodies((6, 0), (3, 1.5)))[0] < 1e-3
    assert in_the_way(SNIFFER, bodies((6, 0), (5.8, 0)))[0] == 0.0  # beside the carrier: no obstacle


def test_a_path_that_rises_to_a_sniffer_under_the_ceiling_passes_over_heads_near_it() -> None:
    far, near = in_the_way(HIGH, bodies((6, 0), (5, 0)))[0], in_the_way(HIGH, bodies((6, 0), (2, 0)))[0]
    assert far == pytest.approx(1.0, abs=0.03)
    assert near == 0.0


def test_many_bodies_weaken_like_two_and_a_vague_one_by_its_chance() -> None:
    crowd = bodies((6, 0), (2, 0), (3, 0), (4, 0), (5, 0))
    assert in_the_way(SNIFFER, crowd)[0] == MOST_BODIES
    vague = Bodies(crowd.position[:2], np.stack((0.01 * np.eye(2), 1.0 * np.eye(2))), np.zeros(2))
    drawn = np.random.default_rng(1).normal(0, 1.0, 200_000)  # where it is beside the path
    chance = np.exp(-0.5 * (drawn / 0.25) ** 2).mean()
    assert in_the_way(SNIFFER, vague)[0] == pytest.approx(chance, abs=0.01)


def test_paths_are_the_log_distance_law_less_what_is_in_the_way() -> None:
    people = bodies((6, 0), (3, 0), (1, 4))
    found = paths(SNIFFER, people)
    assert found.expected_dbm == pytest.approx(
        expected_dbm(SNIFFER, people.position) - BODY_DB * in_the_way(SNIFFER, people)
    )
    assert found.expected_dbm[0] < expected_dbm(SNIFFER, people.position)[0] - 3
    ten = 10 * SNIFFER.path_loss_exponent / np.log(10)
    near_m = np.hypot(np.hypot(1, 4), max(1.5 - 1.1, 0.5))
    assert found.vague_db2[2] == pytest.approx((ten / near_m) ** 2 * 0.05**2, rel=0.01)
    assert found.bearing_rad[0] == pytest.approx(np.pi)
    turned = Bodies(people.position, people.covariance, np.full(3, 0.5))
    assert paths(SNIFFER, turned).bearing_rad == pytest.approx(found.bearing_rad - 0.5)


def test_nobody_or_a_body_at_the_sniffer_is_no_trouble() -> None:
    assert len(paths(SNIFFER, bodies()).expected_dbm) == 0
    assert np.isfinite(paths(SNIFFER, bodies((0, 0), (0, 0))).expected_dbm).all()


def test_lost_bodies_whose_place_is_not_known_are_in_nobodys_way() -> None:
    people = bodies((6, 0), (3, 0))
    lost = Bodies(people.position, np.stack((0.01 * np.eye(2), 1e6 * np.eye(2))), np.zeros(2))
    assert in_the_way(SNIFFER, lost)[0] < 1e-3
