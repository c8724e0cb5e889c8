"""How a map wants to be read by the live locator: found on its own fingerprints, held out place by place.

A mall's map, with scans along corridors, wants wide smoothing and honest covariances of many metres; a surveyed room
wants plain nearest neighbours. Each is tried on fingerprints as another phone would have heard them, louder or fainter
altogether, since what is best for the surveyor's own phone trusts levels too much. The card of the map then says so
(`walking`), and PhoneLocator follows it. Walks with way points tell more (learning.py); this is for maps without them.
"""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..radiomap.knn import Locator, likeliest
from ..radiomap.maps import FingerprintMap
from .field import ScanField
from .walks import MERGED_S

F64 = NDArray[np.float64]

FOLDS = 5
MOST_SCANS = 300  # held out in each fold
SMOOTH_M, SOFTNESS, POWER = (0.7, 1.2, 2.2), (0.003, 0.01, 0.03), 3.0
CELLS = 0.6  # of the smoothing: finer spots tell nothing more
PLACE_M = 0.5  # fingerprints in one such square are of one place, and are held out together
MADE_HERE = "held_out_error_m"  # the key by which a card's `walking` is known to be from here
SAME_ERROR_S = 3.0  # successive fixes err alike for about so long: a walker is beside the same shelf meanwhile
SAME_ERROR = 1.5  # the same for neighbours, whose covariance is wide already (docs/results/phone_positions.md)
WORTH = 1.1
OTHER_PHONE_DB = 4.0  # standard deviation of how much louder another phone hears


def read_well(radio_map: FingerprintMap, seed: int = 0) -> FingerprintMap:
    """The map with `walking` in its card: smoothing, softness, and the covariance of a fix, by likelihood. A map of
    fewer than 2 FOLDS places is given back as it is, and so is one whose card knows from walks."""
    if not radio_map.card.get("walking", {MADE_HERE: 0.0}).keys() & {MADE_HERE}:
        return radio_map
    folds = _folds(radio_map.position_m, seed)
    if folds is None:
        return radio_map
    tried: list[tuple[F64, F64, dict[str, Any]]] = []
    settings: dict[str, float] | None
    for settings in (None, *_settings()):
        error_m, scatter_m2 = _held_out(radio_map, settings, folds, seed)
        if len(error_m):
            tried.append((error_m, scatter_m2, {"fixes": "neighbours"} if settings is None else {"field": settings}))
    if not tried:
        return radio_map
    error_m, scatter_m2, way = min(tried, key=_badness)
    walking: dict[str, Any] = {
        **way,
        **_believed(error_m, scatter_m2, "fixes" in way),
        "merged_s": 0.0 if "fixes" in way else MERGED_S,
        "honesty": None,  # what fixes usually do on the way, only walks tell
        MADE_HERE: round(float(np.hypot(*error_m.T).mean()), 3),
    }
    return radio_map.changed(card={**radio_map.card, "walking": walking})


def _badness(one: tuple[F64, F64, dict[str, Any]]) -> float:
    """The mean error (m); a field has to be clearly better than the plain neighbours."""
    return float(np.hypot(*one[0].T).mean()) * (1.0 if "fixes" in one[2] else WORTH)


def _settings() -> list[dict[str, float]]:
    return [
        {"cell_m": CELLS * smooth_m, "smooth_m": smooth_m, "softness": softness, "power": POWER}
        for smooth_m, softness in product(SMOOTH_M, SOFTNESS)
    ]


def _believed(error_m: F64, scatter_m2: F64, by_neighbours: bool) -> dict[str, float]:
    """What the filter is to believe of a fix, by likelihood; of neighbours' the map's card says it already."""
    if by_neighbours:
        return {"fix_scatter": SAME_ERROR, "fix_floor_m": 0.0}
    found = likeliest(error_m, scatter_m2)
    return {
        "fix_scatter": SAME_ERROR_S * found["scatter"],
        "fix_floor_m": round(float(np.sqrt(SAME_ERROR_S)) * found["floor_m"], 3),
    }


def _folds(place_m: F64, seed: int) -> NDArray[np.int64] | None:
    """(n,) which fold each fingerprint is held out in; None with too few places."""
    squares, square = np.unique(np.floor(place_m / PLACE_M), axis=0, return_inverse=True)
    if len(squares) < 2 * FOLDS:
        return None
    drawn = np.random.default_rng(seed).permutation(len(squares)) % FOLDS
    return drawn[square.ravel()]


def _held_out(
    radio_map: FingerprintMap, settings: dict[str, float] | None, folds: NDArray[np.int64], seed: int
) -> tuple[F64, F64]:
    """Errors (k,2) and second moments (k,2,2) of fixes of fingerprints whose places the map does not know, as another
    phone hears them. settings: of the field; None: by neighbours."""
    errors, scatters = [], []
    louder_db = np.random.default_rng(seed + 1).normal(0.0, OTHER_PHONE_DB, len(radio_map.position_m))
    for fold in range(FOLDS):
        kept, left_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        left_out = left_out[:: -(-len(left_out) // MOST_SCANS)]  # from all over the map
        part = radio_map.changed(position_m=radio_map.position_m[kept], rssi_dbm=radio_map.rssi_dbm[kept])
        locator = Locator(part) if settings is None else ScanField(part, settings)
        for row in left_out:
            heard = np.flatnonzero(np.isfinite(radio_map.rssi_dbm[row]))
            levels = radio_map.rssi_dbm[row, heard] + louder_db[row]
            fix = locator.locate(dict(zip((radio_map.bssids[j] for j in heard), levels.tolist(), strict=True)))
            if fix is not None:
                errors.append(fix.position_m - radio_map.position_m[row])
                scatters.append(fix.covariance_m2)
    return np.reshape(errors, (-1, 2)), np.reshape(scatters, (-1, 2, 2))
