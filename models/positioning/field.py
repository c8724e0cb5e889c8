"""A scan's place as a field over the floor: how unlike it the fingerprints around every spot are.

The fingerprints' distances from the scan (models/radiomap/knn.py) are smoothed in space, so that one fingerprint that
looks alike by chance counts less than a place all of whose fingerprints do; the field's soft minimum is the fix, and
its second moment says how sharp it is. Weights 1/d of k nearest neighbours, which this replaces, know no place.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from ..radiomap.knn import Fix, Locator
from ..radiomap.maps import FingerprintMap

F64 = NDArray[np.float64]

# Found on the mall's walks; a map's card may say otherwise, under `walking`, `field` (calibration.py finds that out).
CELL_M = 2.0  # spacing of the spots
MOST_CELLS = 40_000  # a larger floor gets a wider spacing
REACH_M = 15.0  # spots lie this near to a fingerprint
SMOOTH_M = 1.7  # standard deviation of the smoothing
SOFTNESS = 0.02  # of the minimum, in units of distance: found on the mall's walks
EMPTY = 0.1  # weight of nothing: a spot far from all fingerprints is as unlike as ...
FAR = 0.12  # ... the best tenth of fingerprints and this
ALIKE_MOST = 0.95  # a scan less like than this every fingerprint was taken somewhere else
POWER = 4.0  # of the linear level: strong access points say more about a place
UNSAID_POWER = 3.0  # of cards whose settings are older than the power among them


class ScanField:
    """Locates scans on one map; made once for a map (about 0.1 s for 1,000 fingerprints). settings: cell_m, smooth_m,
    softness and power, in place of those of the map's card."""

    def __init__(self, radio_map: FingerprintMap, settings: Mapping[str, float] | None = None) -> None:
        self.map = radio_map
        said = settings if settings is not None else radio_map.card.get("walking", {}).get("field", {})
        self._locator = Locator(radio_map, power=float(said.get("power", UNSAID_POWER if said else POWER)))
        self._softness = float(said.get("softness", SOFTNESS))
        self.spots_m = _spots(radio_map.position_m, float(said.get("cell_m", CELL_M)))
        self._weights = _smoothing(self.spots_m, radio_map.position_m, float(said.get("smooth_m", SMOOTH_M)))
        self._total = np.asarray(self._weights.sum(axis=1)).ravel()

    def unlike(self, scan: Mapping[str, float]) -> tuple[F64, int] | None:
        """How unlike the scan every spot is (s,), and how many of its access points the map knows; None where it knows
        none of them or no fingerprint is alike at all."""
        distance, shared = self._locator.distances(scan)
        if not shared or distance.min() > ALIKE_MOST:
            return None
        nowhere = float(np.quantile(distance, 0.1)) + FAR
        return (self._weights @ distance + EMPTY * nowhere) / (self._total + EMPTY), shared

    def locate(self, scan: Mapping[str, float]) -> Fix | None:
        """The fix of a scan {bssid: dBm}: mean and second moment of the soft minimum (not calibrated: the filter does
        that); None as `unlike`."""
        found = self.unlike(scan)
        if found is None:
            return None
        field, shared = found
        likely = np.exp(-(field - field.min()) / self._softness)
        likely /= likely.sum()
        mean = likely @ self.spots_m
        away = self.spots_m - mean
        return Fix(mean, (likely[:, None] * away).T @ away, shared)


def _spots(place_m: F64, cell_m: float) -> F64:
    """(s,2) the points of a square lattice that lie near a fingerprint."""
    low, high = place_m.min(axis=0) - REACH_M, place_m.max(axis=0) + REACH_M
    spacing = max(cell_m, float(np.sqrt(np.prod(high - low) / MOST_CELLS)))
    axes = [np.arange(a, b + spacing, spacing) for a, b in zip(low, high, strict=True)]
    lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    distance, _ = KDTree(place_m).query(lattice)
    return lattice[distance < REACH_M]


def _smoothing(spots_m: F64, place_m: F64, smooth_m: float) -> csr_matrix:
    """(s,n) Gaussian weights of the fingerprints about every spot."""
    near = KDTree(spots_m).sparse_distance_matrix(KDTree(place_m), 4 * smooth_m, output_type="coo_matrix")
    weight = np.exp(-0.5 * (near.data / smooth_m) ** 2)
    return csr_matrix((weight, (near.row, near.col)), shape=near.shape)
