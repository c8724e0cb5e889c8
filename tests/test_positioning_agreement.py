"""Fingerprints with wrong places: found by the other walks, left out of the map, and nothing else with them."""

from dataclasses import replace

import numpy as np
import pytest
from whowhere.models.positioning.agreement import agreeing
from whowhere.models.positioning.field import POWER, UNSAID_POWER, ScanField
from whowhere.models.positioning.rounds import make_floor, make_round
from whowhere.models.positioning.walks import Walk, labelled_scans, radio_map_of
from whowhere.models.radiomap.maps import FingerprintMap

SIDE_M, SPACING_M = 40.0, 2.0


def hall(seed: int = 0) -> tuple[FingerprintMap, np.ndarray]:
    """Eight walks along a square hall's lines, four each way, with 3 dB of fading; whose each fingerprint is."""
    rng = np.random.default_rng(seed)
    along = np.arange(0.0, SIDE_M + 1e-9, SPACING_M)
    ways = [np.stack([along, np.full(len(along), 3.0 + 4.0 * k)], axis=1) for k in range(4)]
    ways += [np.stack([np.full(len(along), 6.0 + 9.0 * k), along], axis=1) for k in range(4)]
    place = np.concatenate(ways)
    antennas = rng.uniform(0, SIDE_M, (60, 2))
    distance_m = np.linalg.norm(place[:, None] - antennas, axis=2) + 1.0
    rssi = -35 - 30 * np.log10(distance_m) + rng.normal(0, 3, distance_m.shape)
    names = tuple(f"ap-{n}" for n in range(len(antennas)))
    radio_map = FingerprintMap("hall", "1", names, place, np.where(rssi > -80, rssi, np.nan).astype("f4"))
    return radio_map, np.repeat(np.arange(8), len(along))


@pytest.mark.parametrize("seed", range(5))
def test_walks_that_agree_are_all_kept(seed: int) -> None:
    assert agreeing(*hall(seed)).mean() > 0.98


@pytest.mark.parametrize("seed", range(5))
def test_a_stretch_with_wrong_places_is_found(seed: int) -> None:
    radio_map, walk = hall(seed)
    wrong = np.flatnonzero(walk == 2)[:13]
    place = radio_map.position_m.copy()
    place[wrong] = place[wrong][:, ::-1] + [0.0, 8.0]  # where others walk, some 15 m off
    kept = agreeing(radio_map.changed(position_m=place), walk)
    off_m = np.hypot(*(place - radio_map.position_m).T)
    assert (~kept[off_m > 10]).mean() > 0.7
    assert kept[off_m == 0].mean() > 0.97


def test_a_place_that_nobody_else_came_by_is_not_doubted() -> None:
    radio_map, walk = hall()
    place = radio_map.position_m.copy()
    place[walk == 2] += [0.0, 200.0]
    assert agreeing(radio_map.changed(position_m=place), walk)[walk == 2].all()


def test_two_walks_cannot_say_which_is_wrong() -> None:
    radio_map, walk = hall()
    assert agreeing(radio_map, np.minimum(walk, 1)).all()


def test_where_most_is_doubted_the_labels_are_not_to_blame() -> None:
    radio_map, walk = hall()
    shuffled = np.random.default_rng(0).permutation(len(walk))
    assert agreeing(radio_map.changed(position_m=radio_map.position_m[shuffled]), walk).all()


def test_a_map_of_walks_leaves_out_what_the_others_contradict() -> None:
    floor = make_floor(1)
    walks = [make_round(floor, seed, 100.0) for seed in range(7)]
    honest = radio_map_of(walks, "round", "1")
    scans = sum(len(labelled_scans(walk)[2]) for walk in walks)
    assert honest.card["contradicted"] <= 0.03 * scans
    turned = radio_map_of([*walks[:6], _turned(walks[6])], "round", "1")
    assert turned.card["contradicted"] > honest.card["contradicted"] + 5
    assert turned.card["fingerprints"] == len(turned.position_m) == scans - turned.card["contradicted"]
    assert turned.to_bytes() == radio_map_of([*walks[:6], _turned(walks[6])], "round", "1").to_bytes()


def test_settings_older_than_the_power_are_read_as_ever() -> None:
    radio_map, _ = hall()
    scan = {name: -60.0 - n for n, name in enumerate(radio_map.bssids[:12])}
    older = {"cell_m": 2.0, "smooth_m": 2.2, "softness": 0.03}
    fixes = [ScanField(radio_map, said).locate(scan) for said in (older, {**older, "power": UNSAID_POWER}, older)]
    assert all(fix is not None for fix in fixes)
    places = [fix.position_m for fix in fixes if fix is not None]
    assert np.array_equal(places[0], places[1])
    assert POWER != UNSAID_POWER
    newer = ScanField(radio_map, {**older, "power": POWER}).locate(scan)
    assert newer is not None
    assert not np.array_equal(places[0], newer.position_m)


def _turned(walk: Walk) -> Walk:
    """The walk as if its way points had been entered on a floor plan upside down."""
    middle = (walk.waypoint_m.max(axis=0) + walk.waypoint_m.min(axis=0)) / 2
    return replace(walk, waypoint_m=2 * middle - walk.waypoint_m)
