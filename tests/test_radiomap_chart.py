"""A batch that hears hardly any known access point: its own shape, how it lies on the map, when that is not sure."""

import numpy as np
import pytest
from whowhere.models.radiomap.anchors import anchored
from whowhere.models.radiomap.chart import charted
from whowhere.models.radiomap.knn import linear
from whowhere.models.radiomap.maps import FingerprintMap, MapError
from whowhere.models.radiomap.placing import Placed, moves, places_of, walked
from whowhere.models.radiomap.rehearsal import SURE, SURE_ALONE, _steady, tried
from whowhere.models.radiomap.scans import Scans
from whowhere.models.radiomap.shape import storeys, unrolled
from whowhere.models.radiomap.update import refuse_uneven

SIDES = np.array([20.0, 9.0])
KNOWN = np.array([[2.0, 1.0], [17.0, 7.0], [18.0, 8.0]])  # each heard in a corner only
NEW = np.random.default_rng(7).uniform(0, 1, (40, 2)) * SIDES
OLD_NAMES, NEW_NAMES = ("old0", "old1", "old2"), tuple(f"new{j:02d}" for j in range(40))


def heard_at(place: np.ndarray, points: np.ndarray, rng: np.random.Generator, weakest: float = -70.0) -> np.ndarray:
    distance = np.hypot(*(place[:, None] - points[None]).transpose(2, 0, 1))
    level = -35 - 28 * np.log10(distance + 1) + rng.normal(0, 3, distance.shape)
    return np.where(level < weakest, np.nan, level).astype(np.float32)


def walk(scans: int = 240) -> np.ndarray:
    """Up and down the hall, in no order that the map has."""
    at = np.linspace(0, 1, scans)
    return np.stack([1 + 18 * np.abs(1 - (at * 6.5) % 2), 1 + 7 * np.abs(1 - (at * 1.3 + 0.4) % 2)], axis=1)


def old_map(known: np.ndarray = KNOWN) -> FingerprintMap:
    grid = np.stack(np.meshgrid(np.arange(1, 20, 3.0), np.arange(1, 9, 2.3)), -1).reshape(-1, 2)
    place = np.repeat(grid, 6, axis=0)
    return FingerprintMap("hall", "1", OLD_NAMES, place, heard_at(place, known, np.random.default_rng(1), -55.0))


def batch(place: np.ndarray, known: np.ndarray = KNOWN) -> Scans:
    rng = np.random.default_rng(2)
    levels = np.hstack([heard_at(place, known, rng, -55.0), heard_at(place, NEW, rng)])
    return Scans(OLD_NAMES + NEW_NAMES, levels, np.arange(0.0, 4.0 * len(place), 4.0))


def test_a_batch_that_hears_known_access_points_in_corners_only_is_placed_by_its_own_shape():
    place, old = walk(), old_map()
    scans = batch(place)
    known = ~np.isnan(scans.columns(OLD_NAMES))
    assert known.any(axis=1).mean() < 0.5
    result = tried(old, scans, version="2")
    assert result.deployed, result.reason
    assert result.update is not None
    assert result.update.placed.sure
    assert np.hypot(*(result.update.placed.position_m - place).T).mean() < 2.5
    assert result.map.to_bytes() == tried(old, scans, version="2").map.to_bytes()


def test_where_the_known_access_points_cannot_tell_left_from_right_nothing_is_sure():
    middle = np.array([[10.0, 4.5]] * 3)
    old, scans = old_map(middle), batch(walk(), middle)
    places, row_place = places_of(old.position_m)
    guess = np.full((len(scans), len(places)), 1.0 / len(places))
    known = scans.columns(OLD_NAMES)
    chart = charted(places, row_place, old.rssi_dbm, known, scans.rssi_dbm, scans.t_s, guess)
    clear = old_map(), batch(walk())
    held = charted(
        places, row_place, clear[0].rssi_dbm, clear[1].columns(OLD_NAMES), clear[1].rssi_dbm, scans.t_s, guess
    )
    assert chart.sure < held.sure
    assert held.sure >= SURE_ALONE


def test_known_access_points_heard_in_the_wrong_corners_make_no_chart():
    swapped = batch(walk())
    levels = swapped.rssi_dbm.copy()
    where = np.random.default_rng(3).permutation(len(levels))  # heard anywhere: as if they had been carried about
    levels[:, :3] = levels[where, :3]
    result = tried(old_map(), Scans(swapped.bssids, levels, swapped.t_s), version="2")
    assert result.update is None or not result.update.placed.sure


def test_one_known_access_point_in_a_corner_is_enough_and_one_in_the_middle_is_not():
    """The others of the map are gone: three quarters of the scans hear nothing that it knows."""
    place = walk()
    for at, deployed in (([2.0, 1.0], True), ([10.0, 4.5], False)):
        known = np.array([at, [17.0, 7.0], [18.0, 8.0]])
        scans = batch(place, known)
        levels = scans.rssi_dbm.copy()
        levels[:, 1:3] = np.nan
        result = tried(old_map(known), Scans(scans.bssids, levels, scans.t_s), version="2")
        assert result.deployed == deployed, result.reason
        if deployed:
            assert result.update is not None
            assert np.hypot(*(result.update.placed.position_m - place).T).mean() < 3.0


@pytest.mark.parametrize(
    ("sure", "again", "moved_m", "steady"),
    [
        (SURE_ALONE, None, 0.0, True),  # the part is too few to tell
        (SURE_ALONE - 0.1, None, 0.0, False),
        (SURE, SURE_ALONE, 0.0, True),  # in doubt, but both lie the same way
        (SURE - 0.1, SURE_ALONE, 0.0, False),
        (SURE, SURE, 0.0, False),
        (9.0, 5.0, 8.0, False),  # both sure, of different ways
        (11.0, 5.0, 8.0, True),
    ],
)
def test_a_chart_in_doubt_must_lie_as_that_of_a_part_does(
    sure: float, again: float | None, moved_m: float, steady: bool
):
    places = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 5.0], [9.0, 5.0]])
    at = np.repeat(np.eye(4), 3, axis=0)
    whole = Placed(at @ places, np.ones(12), at, places, np.arange(4), sure)
    part = np.arange(2, 12)
    there = None
    if again is not None:
        there = Placed(
            whole.rows(part).position_m + np.array([moved_m, 0.0]), np.ones(10), at[part], places, np.arange(4), again
        )
    assert _steady(whole, there, part) == steady


def test_a_batch_from_one_end_hears_the_few_known_access_points_too_unevenly():
    place, known = walk(), np.array([[2.0, 1.0], [12.0, 7.0], [18.0, 8.0]])
    old = old_map(known)
    refuse_uneven(old.rssi_dbm, batch(place, known).columns(OLD_NAMES))
    with pytest.raises(MapError, match="at some part"):
        refuse_uneven(old.rssi_dbm, batch(place[place[:, 0] < 10.0], known).columns(OLD_NAMES))


def test_two_storeys_are_told_apart_and_one_is_not_cut():
    rng = np.random.default_rng(4)
    below, above = heard_at(walk(), NEW[:20], rng), heard_at(walk(), NEW[20:], rng)
    faint = [np.where(rng.random(part.shape) < 0.05, -88.0, np.nan).astype(np.float32) for part in (below, above)]
    both = linear(np.vstack([np.hstack([below, faint[0]]), np.hstack([faint[1], above])]))
    sides = storeys(both)
    assert len(sides) == 2
    assert {int(side[:240].sum()) for side in sides} == {0, 240}
    assert len(storeys(linear(heard_at(walk(), NEW, rng)))) == 1


def test_a_storey_is_unrolled_along_its_sides():
    place = walk()
    plane = unrolled(linear(heard_at(place, NEW, np.random.default_rng(5))))
    assert abs(np.corrcoef(plane[:, 0], place[:, 0])[0, 1]) > 0.9
    assert abs(np.corrcoef(plane[:, 1], place[:, 1])[0, 1]) > 0.6


def test_not_hearing_is_told_too():
    old = old_map()
    places, row_place = places_of(old.position_m)
    scans = batch(walk())
    known = scans.columns(OLD_NAMES)
    says = anchored(old.rssi_dbm, known, row_place, len(places))
    near = np.hypot(*(places - KNOWN[0]).T).argmin()
    far = np.hypot(*(places - [10.0, 4.5]).T).argmin()
    silent = np.isnan(known).all(axis=1)
    loud = ~np.isnan(known[:, 0])
    assert (says[silent, near] < says[silent, far]).all()
    assert says[loud, near].mean() > says[loud, far].mean() + 1.0


@pytest.mark.parametrize("timed", [True, False])
def test_several_ways_are_walked_at_once_as_they_are_one_by_one(timed: bool):
    rng = np.random.default_rng(6)
    places, score = rng.uniform(0, 9, (7, 2)), rng.normal(0, 2, (3, 30, 7))
    steps = moves(places, np.cumsum(rng.uniform(1, 9, 30)), 0.5) if timed else None
    together, likelihood = walked(score, steps)
    for way in range(3):
        alone, one = walked(score[way], steps)
        assert np.allclose(alone, together[way])
        assert np.isclose(one, likelihood[way])
