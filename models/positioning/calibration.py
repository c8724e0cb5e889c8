"""How a map wants to be read by the live locator: found on its own fingerprints, held out place by place.

A mall's map, with scans along corridors, wants wide smoothing and honest covariances of many metres; a surveyed room
wants neither. The card of the map then says so (`walking`), and PhoneLocator follows it. Walks with way points tell
more (learning.py); this is for maps without them.
"""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..radiomap.knn import likeliest
from ..radiomap.maps import FingerprintMap
from .field import ScanField

F64 = NDArray[np.float64]

FOLDS = 5
MOST_SCANS = 300  # held out in each fold
SMOOTH_M, SOFTNESS = (0.7, 1.2, 2.2), (0.003, 0.01, 0.03)
CELLS = 0.6  # of the smoothing: finer spots tell nothing more
PLACE_M = 0.5  # fingerprints in one such square are of one place, and are held out together
MADE_HERE = "held_out_error_m"  # the key by which a card's `walking` is known to be from here
SAME_ERROR_S = 3.0  # successive fixes err alike for about so long: a walker is beside the same shelf meanwhile


def read_well(radio_map: FingerprintMap, seed: int = 0) -> FingerprintMap:
    """The map with `walking` in its card: smoothing, softness, and the covariance of a fix, by likelihood. A map of
    fewer than 2 FOLDS places is given back as it is, and so is one whose card knows from walks."""
    if not radio_map.card.get("walking", {MADE_HERE: 0.0}).keys() & {MADE_HERE}:
        return radio_map
    folds = _folds(radio_map.position_m, seed)
    if folds is None:
        return radio_map
    best: tuple[float, dict[str, float], F64, F64] | None = None
    for smooth_m, softness in product(SMOOTH_M, SOFTNESS):
        settings = {"cell_m": CELLS * smooth_m, "smooth_m": smooth_m, "softness": softness}
        error_m, scatter_m2 = _held_out(radio_map, settings, folds)
        if len(error_m) and (best is None or np.hypot(*error_m.T).mean() < best[0]):
            best = float(np.hypot(*error_m.T).mean()), settings, error_m, scatter_m2
    if best is None:
        return radio_map
    mean_m, settings, error_m, scatter_m2 = best
    found = likeliest(error_m, scatter_m2)
    walking: dict[str, Any] = {
        "field": settings,
        "fix_scatter": SAME_ERROR_S * found["scatter"],
        "fix_floor_m": round(float(np.sqrt(SAME_ERROR_S)) * found["floor_m"], 3),
        "honesty": None,  # what fixes usually do on the way, only walks tell
        MADE_HERE: round(mean_m, 3),
    }
    return radio_map.changed(card={**radio_map.card, "walking": walking})


def _folds(place_m: F64, seed: int) -> NDArray[np.int64] | None:
    """(n,) which fold each fingerprint is held out in; None with too few places."""
    squares, square = np.unique(np.floor(place_m / PLACE_M), axis=0, return_inverse=True)
    if len(squares) < 2 * FOLDS:
        return None
    drawn = np.random.default_rng(seed).permutation(len(squares)) % FOLDS
    return drawn[square.ravel()]


def _held_out(radio_map: FingerprintMap, settings: dict[str, float], folds: NDArray[np.int64]) -> tuple[F64, F64]:
    """Errors (k,2) and second moments (k,2,2) of fixes of fingerprints whose places the map does not know."""
    errors, scatters = [], []
    for fold in range(FOLDS):
        kept, left_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        left_out = left_out[:: -(-len(left_out) // MOST_SCANS)]  # from all over the map
        part = radio_map.changed(position_m=radio_map.position_m[kept], rssi_dbm=radio_map.rssi_dbm[kept])
        field = ScanField(part, settings)
        for row in left_out:
            heard = np.flatnonzero(np.isfinite(radio_map.rssi_dbm[row]))
            fix = field.locate({radio_map.bssids[j]: float(radio_map.rssi_dbm[row, j]) for j in heard})
            if fix is not None:
                errors.append(fix.position_m - radio_map.position_m[row])
                scatters.append(fix.covariance_m2)
    return np.reshape(errors, (-1, 2)), np.reshape(scatters, (-1, 2, 2))
