"""The radio map's file and the locators on it: same bytes, one sentence for garbage, honest covariance."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whowhere.models.radiomap.knn import Locator, calibrated
from whowhere.models.radiomap.maps import FingerprintMap, MapError, load_map, save_map

RNG = np.random.default_rng(5)
ACCESS_POINTS = RNG.uniform(0, 20, (15, 2))


def heard_at(place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    distance = np.hypot(*(place[:, None, :] - ACCESS_POINTS[None]).transpose(2, 0, 1))
    level = -35 - 28 * np.log10(distance + 1) + rng.normal(0, 3, distance.shape)
    return np.where(level < -70, np.nan, level).astype(np.float32)


def small_map() -> FingerprintMap:
    grid = np.stack(np.meshgrid(np.arange(0, 21, 2.0), np.arange(0, 21, 2.0)), -1).reshape(-1, 2)
    place = np.repeat(grid, 4, axis=0)
    names = tuple(f"ap{j}" for j in range(15))
    return FingerprintMap("hall", "1", names, place, heard_at(place, np.random.default_rng(1)), {"parent": None})


def test_a_map_comes_back_as_it_was_and_has_the_same_bytes(tmp_path: Path):
    before = small_map()
    save_map(before, tmp_path / "a.map")
    after = load_map(tmp_path / "a.map")
    assert (after.name, after.version, after.bssids, after.card) == ("hall", "1", before.bssids, before.card)
    assert np.array_equal(after.rssi_dbm, before.rssi_dbm, equal_nan=True)
    assert np.array_equal(after.position_m, before.position_m)
    assert after.to_bytes() == before.to_bytes() == (tmp_path / "a.map").read_bytes()
    assert after.label == "hall:1"


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -50])
def test_half_a_map_is_one_sentence(cut: int):
    with pytest.raises(MapError):
        FingerprintMap.from_bytes(small_map().to_bytes()[:cut])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 4000))
def test_garbage_and_flipped_bytes_never_fault(noise: bytes, at: int):
    whole = small_map().to_bytes()
    for content in (noise, whole[:at] + noise + whole[at + len(noise) :]):
        with suppress(MapError):  # any other exception fails the test
            FingerprintMap.from_bytes(content)


@pytest.mark.parametrize(
    "fields",
    [
        {"bssids": ("a", "a")},
        {"bssids": ("a",)},
        {"position_m": np.array([[0.0, np.nan]])},
        {"rssi_dbm": np.array([[-300.0, -50.0]])},
        {"rssi_dbm": np.array([[np.nan, np.nan]])},
        {"name": ""},
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict):
    good = FingerprintMap("x", "1", ("a", "b"), np.zeros((1, 2)), np.full((1, 2), -50, np.float32))
    with pytest.raises(MapError):
        good.changed(**fields)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(MapError, match=r"nothing\.map"):
        load_map(tmp_path / "nothing.map")


@pytest.mark.parametrize("kind", ["sorensen", "euclidean"])
def test_scans_are_located(kind: str):
    rng = np.random.default_rng(2)
    place = rng.uniform(1, 19, (200, 2))
    fixes = Locator(small_map(), kind).locate_many(heard_at(place, rng))
    assert np.hypot(*(fixes.position_m - place).T).mean() < 3.0


def test_one_scan_is_located_as_many_are():
    rng = np.random.default_rng(3)
    row = heard_at(rng.uniform(1, 19, (1, 2)), rng)
    locator = Locator(small_map())
    scan = {f"ap{j}": float(level) for j, level in enumerate(row[0]) if not np.isnan(level)}
    fix = locator.locate({**scan, "unknown": -40.0})
    assert fix is not None
    assert fix.shared == len(scan)
    assert np.array_equal(fix.position_m, locator.locate_many(row).position_m[0])


def test_only_unknown_access_points_locate_nobody():
    assert Locator(small_map()).locate({"elsewhere": -40.0}) is None
    assert Locator(small_map()).locate({}) is None


def test_the_calibrated_covariance_covers_its_share_of_errors():
    rng = np.random.default_rng(4)
    place = rng.uniform(1, 19, (600, 2))
    fixes = Locator(calibrated(small_map())).locate_many(heard_at(place, rng))
    error = fixes.position_m - place
    squared = np.einsum("ia,iab,ib->i", error, np.linalg.inv(fixes.covariance_m2), error)
    assert 0.3 < (squared < 1.0).mean() < 0.55  # 0.393 of a 2-D normal
    assert 0.78 < (squared < 4.0).mean() < 0.97  # 0.865


def test_a_map_knows_no_unknown_locator():
    with pytest.raises(MapError, match="manhattan"):
        Locator(small_map(), "manhattan")
