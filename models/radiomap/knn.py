"""Where a scan was taken, by the fingerprints most like it: weighted k nearest neighbours on a radio map.

The good locator is the Sorensen distance on linear levels (rss + 105) with k = 25 and weights 1/d; the naive one, kept
because map updates are often judged against it, is the Euclidean distance with k = 5 (both as in Torres-Sospedra et
al., "Comprehensive analysis of distance and similarity measures for Wi-Fi fingerprinting", 2015). Nothing is learned
here but two numbers that make the covariance honest (`calibrated`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .maps import F32, F64, FingerprintMap, MapError

LINEAR_OFFSET_DBM = 105.0  # rss + 105 is the linear level; what is weaker counts as not heard
K_GOOD, K_NAIVE = 25, 5
UNCALIBRATED = {"scatter": 1.0, "floor_m": 1.5}
CALIBRATION_SCANS = 600

INT = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Fix:
    """position_m: (2,) in the site frame; covariance_m2: (2,2), calibrated; shared: access points heard and known."""

    position_m: F64
    covariance_m2: F64
    shared: int


@dataclass(frozen=True, slots=True, eq=False)
class Fixes:
    """k scans located: position_m (k,2) and covariance_m2 (k,2,2), NaN where shared (k) is 0; neighbours (k,K) rows of
    the map and their weights (k,K), which sum to 1."""

    position_m: F64
    covariance_m2: F64
    shared: INT
    neighbours: INT
    weights: F64


class Locator:
    """Locates scans on one map. kind: "sorensen" (good) or "euclidean" (naive). Raises MapError for another kind.

    power: to which the linear levels are raised first; above 1, strong access points count for more."""

    def __init__(
        self, radio_map: FingerprintMap, kind: str = "sorensen", k: int | None = None, power: float = 1.0
    ) -> None:
        if kind not in ("sorensen", "euclidean"):
            raise MapError(f'no locator is called "{kind}": sorensen, euclidean')
        self.map = radio_map
        self._kind = kind
        # a map of few fingerprints has no 25 that are near
        few = max(3, round(float(np.sqrt(len(radio_map.position_m)))))
        self._k = min(k or (min(K_GOOD, few) if kind == "sorensen" else K_NAIVE), len(radio_map.position_m))
        self._column = {bssid: j for j, bssid in enumerate(radio_map.bssids)}
        self._power = power
        levels = self._raised(linear(radio_map.rssi_dbm))
        self._levels = np.ascontiguousarray(levels.T)  # (m,n): a scan needs a few rows of it
        self._total = (self._levels if kind == "sorensen" else self._levels**2).sum(axis=0)
        calibration = {**UNCALIBRATED, **radio_map.card.get("calibration", {})}
        self._scatter, self._floor_m2 = float(calibration["scatter"]), float(calibration["floor_m"]) ** 2

    def locate(self, scan: Mapping[str, float]) -> Fix | None:
        """Where a scan {bssid: dBm} was taken; None if it holds no access point that the map knows."""
        fixes = self.locate_many(self._row(scan))
        if not fixes.shared[0]:
            return None
        return Fix(fixes.position_m[0], fixes.covariance_m2[0], int(fixes.shared[0]))

    def distances(self, scan: Mapping[str, float]) -> tuple[F32, int]:
        """How unlike a scan {bssid: dBm} every fingerprint of the map is (n,), and how many of its access points the
        map knows; access points the map does not know are left out."""
        level = self._raised(linear(self._row(scan))[0])
        return self._distances(level), int(np.count_nonzero(level))

    def distances_of(self, rssi_dbm: F32) -> F32:
        """How unlike scans (k,m), columns as the map's, NaN = not heard, every fingerprint is: (k,n)."""
        levels = self._raised(linear(rssi_dbm))
        return np.stack([self._distances(level) for level in levels]).astype(np.float32)

    def _row(self, scan: Mapping[str, float]) -> F32:
        row = np.full((1, len(self._column)), np.nan, np.float32)
        for bssid, rssi_dbm in scan.items():
            if (column := self._column.get(bssid)) is not None:
                row[0, column] = rssi_dbm
        return row

    def _raised(self, levels: F32) -> F32:
        return levels if self._power == 1.0 else (levels**self._power).astype(np.float32)

    def locate_many(self, rssi_dbm: F32, *, without: npt.NDArray[np.bool_] | None = None) -> Fixes:
        """Locate scans (k,m), columns as the map's, NaN = not heard. without: (k,n) rows a scan may not be near to."""
        levels = self._raised(linear(rssi_dbm))
        size, wanted = len(levels), self._k
        chosen, distance = np.zeros((size, wanted), np.int64), np.ones((size, wanted))
        for i, level in enumerate(levels):
            from_all = self._distances(level)
            if without is not None:
                from_all[without[i]] = np.inf
            nearest = np.argpartition(from_all, wanted - 1)[:wanted]
            nearest = nearest[np.lexsort((nearest, from_all[nearest]))]
            chosen[i], distance[i] = nearest, from_all[nearest]
        weights = 1.0 / (distance + 1e-6)
        weights /= weights.sum(axis=1, keepdims=True)
        return self._fixes(chosen, weights, (levels > 0).sum(axis=1))

    def _distances(self, level: F32) -> F32:
        """From one scan (m) to every fingerprint (n); only the access points it hears need looking at."""
        heard = np.flatnonzero(level)
        rows, mine = self._levels[heard], level[heard, None]
        if self._kind == "sorensen":  # sum |a-b| = sum a + sum b - 2 sum min(a,b)
            both = self._total + mine.sum()
            return 1.0 - 2.0 * np.minimum(rows, mine).sum(axis=0) / np.maximum(both, 1e-6)
        return np.sqrt(np.maximum(self._total + (mine**2 - 2.0 * rows * mine).sum(axis=0), 0.0))

    def _fixes(self, chosen: INT, weights: F64, shared: INT) -> Fixes:
        places = self.map.position_m[chosen]  # (k,K,2)
        mean = (weights[:, :, None] * places).sum(axis=1)
        away = places - mean[:, None, :]
        scatter = np.einsum("ik,ika,ikb->iab", weights, away, away)
        covariance = self._scatter * scatter + self._floor_m2 * np.eye(2)
        mean[shared == 0], covariance[shared == 0] = np.nan, np.nan
        return Fixes(mean, covariance, shared.astype(np.int64), chosen, weights)


def linear(rssi_dbm: npt.NDArray[np.floating]) -> F32:
    """Levels in dBm to the linear scale the distances use: rss + 105, 0 for not heard."""
    return np.maximum(np.nan_to_num(rssi_dbm + LINEAR_OFFSET_DBM, nan=0.0), 0.0).astype(np.float32)


def calibrated(radio_map: FingerprintMap, seed: int = 0) -> FingerprintMap:
    """The map with the two numbers that make its locator's covariance honest, found on held-out fingerprints.

    Each of at most 600 fingerprints, drawn with the seed, is located without all those of its own place and of places
    closer than half a metre; covariance = scatter * spread of the neighbours + floor_m^2 * I, by maximum likelihood.
    """
    rng = np.random.default_rng(seed)
    count = len(radio_map.position_m)
    drawn = np.sort(rng.permutation(count)[:CALIBRATION_SCANS])
    place = radio_map.position_m
    near = np.hypot(*(place[drawn, None, :] - place[None, :, :]).transpose(2, 0, 1)) < 0.5
    if (~near).sum(axis=1).min() < 3:
        return radio_map
    plain = radio_map.changed(card={**radio_map.card, "calibration": {"scatter": 1.0, "floor_m": 0.0}})
    fixes = Locator(plain).locate_many(radio_map.rssi_dbm[drawn], without=near)
    usable = fixes.shared > 0
    found = likeliest((fixes.position_m - place[drawn])[usable], fixes.covariance_m2[usable])
    return radio_map.changed(card={**radio_map.card, "calibration": {**found, "scans": int(usable.sum())}})


def likeliest(error_m: F64, scatter_m2: F64) -> dict[str, float]:
    """The (scatter, floor_m) of a grid under which the held-out errors (k,2) are most likely."""
    best, found = -np.inf, dict(UNCALIBRATED)
    for scatter in (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0):
        for floor_m in np.geomspace(0.2, 20.0, 41):
            covariance = scatter * scatter_m2 + floor_m**2 * np.eye(2)
            squared = np.einsum("ia,iab,ib->i", error_m, np.linalg.inv(covariance), error_m)
            score = float(-0.5 * (squared + np.log(np.linalg.det(covariance))).sum())
            if score > best:
                best, found = score, {"scatter": scatter, "floor_m": round(float(floor_m), 4)}
    return found
