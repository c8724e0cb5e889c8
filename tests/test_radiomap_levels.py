"""The levels to be expected after an update: shares, storeys, and nothing of it by chance."""

import numpy as np
import pytest
from whowhere.models.radiomap.levels import expected
from whowhere.models.radiomap.maps import F32
from whowhere.models.radiomap.placing import Placed, place_scans

PLACES = np.array([[4.0 * x, 4.0 * y] for x in range(4) for y in range(3)])
ANCHORS = PLACES[::2] + 0.5  # of access points: one set on each storey
THROUGH_DB = 25.0  # a ceiling


def known_at(place: np.ndarray, storey: np.ndarray, rng: np.random.Generator) -> F32:
    """What scans at place (k,2) of a storey (k,) hear of twelve access points, six on each."""
    distance = np.hypot(*(place[:, None] - ANCHORS[None]).transpose(2, 0, 1))
    level = -40.0 - 25.0 * np.log10(distance + 1.0) + rng.normal(0.0, 2.0, distance.shape)
    both = [level - THROUGH_DB * (storey != one)[:, None] for one in (0, 1)]
    heard = np.hstack(both)
    return np.where(heard < -85.0, np.nan, heard).astype(np.float32)


def survey(each: int, seed: int = 1, storeys: int = 2) -> tuple[np.ndarray, np.ndarray, F32]:
    """Place (n,2), storey (n,) and levels (n,12) of so many scans at each place of each storey."""
    place = np.tile(np.repeat(PLACES, each, axis=0), (storeys, 1))
    storey = np.repeat(np.arange(storeys), each * len(PLACES))
    return place, storey, known_at(place, storey, np.random.default_rng(seed))


def batch_of(storeys: int = 2) -> tuple[np.ndarray, np.ndarray, F32, Placed, F32]:
    """A batch of twelve scans at each place, and the fingerprints it is placed by."""
    at, _, known = survey(20, storeys=storeys)
    place, storey, levels = survey(12, seed=2, storeys=storeys)
    return place, storey, levels, place_scans(at, known, levels, levels, None), known


@pytest.mark.parametrize(("share", "is_expected"), [(0.8, True), (0.2, False)])
def test_what_most_scans_of_a_place_hear_is_to_be_expected_at_its_level(share: float, is_expected: bool):
    place, _, levels, placed, known = batch_of(storeys=1)
    heard = np.arange(len(place)) % 5 < 5 * share
    told = expected(known, known, levels, np.where(heard, -60.0, np.nan)[:, None].astype(np.float32), placed)
    assert (np.isnan(told[:, 0]) != is_expected).mean() > 0.95
    assert not is_expected or np.nanmax(np.abs(told + 60.0)) <= 0.5


def test_two_storeys_of_one_place_are_told_by_their_own_scans_and_all_their_fingerprints_say_the_same():
    place, storey, levels, placed, known = batch_of()
    new = np.where(storey == 0, -50.0 - place[:, 0], np.nan)  # an access point that only the lower storey hears
    told = expected(known, known, levels, np.hstack([levels, new[:, None]]).astype(np.float32), placed)
    at, of, _ = survey(20)
    assert np.isnan(told[of == 1, -1]).all()
    assert np.abs(told[of == 0, -1] - (-50.0 - at[of == 0, 0])).mean() < 2.0
    for one in PLACES:
        for upper in (0, 1):
            same = told[(at == one).all(axis=1) & (of == upper)]
            assert np.array_equal(same, np.broadcast_to(same[0], same.shape), equal_nan=True)


def test_the_order_of_the_scans_tells_nothing():
    place, _, levels, placed, known = batch_of()
    order = np.random.default_rng(3).permutation(len(place))
    one = expected(known, known, levels, levels, placed)
    other = expected(known, known, levels[order], levels[order], placed.rows(order))
    assert np.array_equal(one, other, equal_nan=True)
