"""A map that says how it wants to be read: small rooms and wide halls need different smoothing."""

import numpy as np
import pytest
from whowhere.models.positioning.calibration import read_well
from whowhere.models.positioning.field import ScanField
from whowhere.models.radiomap.knn import Locator
from whowhere.models.radiomap.maps import FingerprintMap


def room(side_m: float, spacing_m: float, seed: int = 0) -> FingerprintMap:
    """Three scans at every point of a square grid; twelve access points around it, 3 dB of fading."""
    rng = np.random.default_rng(seed)
    axis = np.arange(0, side_m + 1e-9, spacing_m)
    place = np.repeat(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2), 3, 0)
    antennas = rng.uniform(-0.2 * side_m, 1.2 * side_m, (12, 2))
    distance_m = np.linalg.norm(place[:, None] - antennas, axis=2) + 1.0
    rssi = -35 - 28 * np.log10(distance_m) + rng.normal(0, 3, distance_m.shape)
    names = tuple(f"ap-{n}" for n in range(len(antennas)))
    return FingerprintMap("room", "1", names, place, np.where(rssi > -92, rssi, np.nan).astype("f4"))


def error_m(radio_map: FingerprintMap, scans: FingerprintMap) -> float:
    by_neighbours = radio_map.card.get("walking", {}).get("fixes") == "neighbours"
    field = Locator(radio_map) if by_neighbours else ScanField(radio_map)
    errors = []
    for row, place in enumerate(scans.position_m):
        fix = field.locate({name: float(dbm) for name, dbm in zip(scans.bssids, scans.rssi_dbm[row], strict=True)})
        assert fix is not None
        errors.append(np.hypot(*(fix.position_m - place)))
    return float(np.mean(errors))


def test_a_small_room_is_read_finely() -> None:
    plain = room(8.0, 1.0)
    well = read_well(plain)
    rng = np.random.default_rng(5)
    fresh = well.changed(rssi_dbm=(plain.rssi_dbm + rng.normal(0, 3, plain.rssi_dbm.shape)).astype("f4"))
    assert error_m(well, fresh) < 0.8 * error_m(plain, fresh)
    assert well.card["walking"]["fixes"] == "neighbours"
    assert well.card["walking"]["merged_s"] == 0.0


def test_the_same_map_says_the_same() -> None:
    assert read_well(room(6.0, 1.0)).to_bytes() == read_well(room(6.0, 1.0)).to_bytes()


def test_a_map_of_few_places_is_left_alone() -> None:
    few = room(1.0, 1.0)
    assert read_well(few) is few


def test_what_walks_have_told_is_kept() -> None:
    told = room(8.0, 1.0).changed(card={"walking": {"offset_rad": 0.3}})
    assert read_well(told) is told
    assert read_well(read_well(room(8.0, 1.0))).card == read_well(room(8.0, 1.0)).card


@pytest.mark.parametrize("name", ["fix_scatter", "fix_floor_m", "held_out_error_m"])
def test_what_the_card_says_is_a_positive_number(name: str) -> None:
    assert read_well(room(8.0, 1.0)).card["walking"][name] >= 0
