"""The simple locator live: steps, filter, field, state, swaps, and what goes wrong with phones."""

from pathlib import Path

import numpy as np
import pytest
from whowhere.messages import PhoneBatch, encode
from whowhere.models.positioning.assessment import figures, joined, replayed, spread_of, without
from whowhere.models.positioning.honesty import Honesty
from whowhere.models.positioning.learning import learnt_map, offset_of
from whowhere.models.positioning.live import PhoneLocator
from whowhere.models.positioning.rounds import make_floor, make_round
from whowhere.models.positioning.smoothing import traced
from whowhere.models.positioning.steps import Pedestrian
from whowhere.models.positioning.walks import Walk, WalkError, labelled_scans, radio_map_of, split

MALL = Path(__file__).resolve().parents[2] / "shared" / "data" / "positioning" / "mall_walks_B1.tar.xz"


@pytest.fixture(scope="module")
def rounds() -> list[Walk]:
    floor = make_floor(1)
    return [make_round(floor, seed, 100.0) for seed in range(7)]


@pytest.fixture(scope="module")
def radio_map(rounds: list[Walk]):
    return learnt_map(rounds[:6], "round", "1")


def error_m(locator: PhoneLocator, walk: Walk) -> float:
    return figures(replayed(locator, [walk]))["mean_m"]


def test_steps_tell_how_far_and_which_way(rounds: list[Walk]):
    walk, steps = rounds[0], Pedestrian()
    moved = np.sum([steps.feed(batch).distance_m for batch in walk.batches])
    true = np.hypot(*np.diff(walk.waypoint_m, axis=0).T).sum()
    assert 0.6 < moved / true < 1.6
    offset, sd = offset_of(rounds)
    assert abs(offset) < 0.2
    assert sd is not None


def test_rounds_are_located_and_steps_help(rounds: list[Walk], radio_map):
    walk = rounds[6]
    with_steps = error_m(PhoneLocator(radio_map), walk)
    assert with_steps < 5.0
    assert error_m(PhoneLocator(radio_map), without(walk, "imu")) > with_steps


def test_smoothing_is_not_worse(rounds: list[Walk], radio_map):
    live = replayed(PhoneLocator(radio_map), rounds[6:]).distance_m.mean()
    assert replayed(PhoneLocator(radio_map), rounds[6:], smooth=True).distance_m.mean() < live * 1.05


@pytest.mark.parametrize("gone", ["mag", "imu"])
def test_a_missing_modality_is_named_and_located_without(rounds: list[Walk], radio_map, gone: str):
    walk = without(rounds[6], gone)
    locator = PhoneLocator(radio_map)
    said = [position for batch in walk.batches if (position := locator.step(batch))]
    assert all(gone not in position.modalities for position in said)
    assert error_m(PhoneLocator(radio_map), walk) < 12.0


def test_ten_hertz_are_enough(rounds: list[Walk], radio_map):
    walk = rounds[6]
    thin = [
        PhoneBatch(
            source=b.source,
            t_ns=b.t_ns,
            acc=b.acc[::2],
            gyro=b.gyro[::2],
            mag=b.mag[::2],
            scan=b.scan,
            scan_age_s=b.scan_age_s,
        )
        for b in walk.batches
    ]
    slow = Walk(walk.name, tuple(thin), walk.waypoint_t_ns, walk.waypoint_m)
    assert error_m(PhoneLocator(radio_map), slow) < error_m(PhoneLocator(radio_map), walk) * 1.5 + 1.0


def test_a_place_is_no_less_sure_than_its_last_fix_and_less_so_where_fixes_surprise():
    record = Honesty()
    record.fixed(np.eye(2) * 16.0, 3.0, None)
    assert np.allclose(np.diag(record.at_most(np.eye(2) * 1e6)), 25.0, rtol=1e-3)
    record.moved(np.eye(2) * 4.0)
    assert np.allclose(np.diag(record.at_most(np.eye(2) * 1e6)), 29.0, rtol=1e-3)
    record.moved(
        np.array([[-40.0, 0.0], [0.0, 4.0]])
    )  # the filter's hypotheses came together: it knows no more of the fix
    assert np.allclose(record.at_most(np.eye(2) * 1e6), np.diag([29.0, 33.0]), rtol=1e-3)
    calm = record.factor(0.05)
    for _ in range(12):
        record.fixed(np.eye(2), 1.0, 0.5)
    assert record.factor(0.05) > 4 * calm
    again = Honesty.load(record.state())
    assert again.factor(0.05) == record.factor(0.05)


def test_only_smoothing_knows_what_follows(rounds: list[Walk], radio_map):
    walk = rounds[6]
    forward = traced(PhoneLocator(radio_map), walk.batches)
    assert np.array_equal(forward.place_m, traced(PhoneLocator(radio_map), walk.batches).place_m)
    later = Walk(walk.name, walk.batches[:30], walk.waypoint_t_ns, walk.waypoint_m)
    cut = traced(PhoneLocator(radio_map), later.batches)
    assert np.array_equal(
        cut.place_m, forward.place_m[: len(cut.place_m)]
    )  # a live place knows nothing of what follows


def test_uncertainty_grows_without_wifi(rounds: list[Walk], radio_map):
    locator = PhoneLocator(radio_map)
    said = [locator.step(batch) for batch in without(rounds[6], "wifi", 20.0).batches]
    at_20, at_60 = said[19], said[59]
    assert at_20 is not None
    assert at_60 is not None
    assert "wifi" in at_20.modalities
    assert "wifi" not in at_60.modalities
    assert at_60.covariance_m2[0] > 2 * at_20.covariance_m2[0]


def test_a_map_of_another_site_gives_no_fix_and_is_counted(rounds: list[Walk], radio_map):
    locator = PhoneLocator(radio_map)
    stranger = make_round(make_floor(9), 1, 30.0)
    assert all(locator.step(batch) is None for batch in stranger.batches)
    assert locator.counters["unknown access points"] > 5


def test_late_batches_and_stale_scans_are_counted(rounds: list[Walk], radio_map):
    locator = PhoneLocator(radio_map)
    first, second = rounds[6].batches[:2]
    locator.step(second)
    assert locator.step(first) is None
    assert locator.counters["late"] == 1
    old = PhoneBatch(
        source="p",
        t_ns=first.t_ns,
        acc=first.acc,
        gyro=first.gyro,
        mag=first.mag,
        scan=(("floor1:1", -50.0),),
        scan_age_s=9.0,
    )
    assert locator.step(old) is None
    assert locator.counters["stale scans"] == 1


def test_state_taken_and_loaded_goes_on_byte_for_byte(rounds: list[Walk], radio_map):
    one, two = PhoneLocator(radio_map), PhoneLocator(radio_map)
    batches = rounds[6].batches
    for batch in batches[:40]:
        one.step(batch)
    two.load(one.state())
    for batch in batches[40:]:
        first, second = one.step(batch), two.step(batch)
        assert first is not None
        assert second is not None
        assert encode(first) == encode(second)


def test_a_map_swapped_in_keeps_the_phones(rounds: list[Walk], radio_map):
    locator = PhoneLocator(radio_map)
    before = [locator.step(batch) for batch in rounds[6].batches[:40]][-1]
    other = radio_map_of(rounds[:3], "round", "2")
    locator.swap(other)
    after = locator.step(rounds[6].batches[40])
    assert before is not None
    assert after is not None
    assert after.map == "round:2"
    assert np.hypot(after.x_m - before.x_m, after.y_m - before.y_m) < 6.0


def test_walks_without_scans_or_one_alone_are_refused(rounds: list[Walk]):
    with pytest.raises(WalkError, match="no radio map"):
        radio_map_of([without(rounds[0], "wifi")], "x", "1")
    with pytest.raises(WalkError, match="too few"):
        split(rounds[:1], 0.2, 0)
    assert len(labelled_scans(rounds[0])[2]) > 20


def test_the_malls_walks_are_located_by_each_other():
    if not MALL.exists():
        pytest.skip(f"{MALL} is not beside this checkout (shared/data/positioning)")
    from whowhere.launch.recorded_walks import walks_in

    walks = walks_in([MALL])
    parts = []
    for i in range(0, len(walks), 3):
        radio_map = radio_map_of([*walks[:i], *walks[i + 1 :]], "others", "1")
        parts.append(replayed(PhoneLocator(radio_map, card={"walking": {"offset_sd_rad": 0.25}}), [walks[i]]))
    result = joined(parts)
    assert result.distance_m.mean() < 7.5
    assert 0.2 < spread_of(result) < 3.0
