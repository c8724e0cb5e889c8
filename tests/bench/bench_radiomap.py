"""An update of a radio map by 1,000 scans, rehearsal and all, against its limit of five minutes on two cores.

The map is as large as the library's (8,640 fingerprints, 150 access points, half of them taken out); wall time. Once
more with a map that knows only three corners' access points: the batch is then placed by its own chart.
"""

from time import perf_counter
from typing import Any

import numpy as np
from whowhere.models.radiomap.knn import Locator, calibrated
from whowhere.models.radiomap.maps import FingerprintMap
from whowhere.models.radiomap.rehearsal import Rehearsal, tried
from whowhere.models.radiomap.scans import Scans

LIMIT_S, LOCATE_LIMIT_MS = 300.0, 10.0
POINTS, KNOWN, SCANS = 150, 75, 1000
CORNERS = np.array([[3.0, 3.0], [57.0, 8.0], [55.0, 57.0]])


def run() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 60, (POINTS, 2))
    result, scans, seconds = _update(points, KNOWN, rng)
    assert result.deployed, result.reason
    charted, _, charted_s = _update(np.vstack([CORNERS, points]), len(CORNERS), rng)
    assert charted.deployed, charted.reason
    assert charted.update is not None
    assert charted.update.placed.sure
    locator, asked = Locator(result.map), scans.columns(result.map.bssids)
    started = perf_counter()
    locator.locate_many(asked)
    each_ms = (perf_counter() - started) * 1000 / SCANS
    return [
        _row("update by 1,000 scans", seconds, LIMIT_S, "limit of issue 4", "s"),
        _row("the same, placed by its chart", charted_s, LIMIT_S, "limit of issue 4", "s"),
        _row(f"locate on {len(result.map.position_m)} fingerprints", each_ms, LOCATE_LIMIT_MS, "our own limit", "ms"),
    ]


def _update(points: np.ndarray, known: int, rng: np.random.Generator) -> tuple[Rehearsal, Scans, float]:
    """An update of a map that knows the first so many access points, its scans, and the seconds that it took."""
    grid = np.stack(np.meshgrid(np.linspace(0, 60, 12), np.linspace(0, 60, 12)), -1).reshape(-1, 2)
    place = np.repeat(grid, 60, axis=0)
    names = tuple(f"ap{j}" for j in range(len(points)))
    old = calibrated(FingerprintMap("bench", "1", names[:known], place, _heard(place, points, rng)[:, :known]))
    turns = np.linspace(0, 40, SCANS)
    walk = np.stack([30 + 29 * np.sin(turns * 0.83), 30 + 29 * np.cos(turns * 0.31)], axis=1)
    scans = Scans(names, _heard(walk, points, rng), np.arange(0.0, 4.0 * SCANS, 4.0))
    started = perf_counter()
    result = tried(old, scans, version="2")
    return result, scans, perf_counter() - started


def _row(case: str, ours: float, limit: float, whose: str, unit: str) -> dict[str, Any]:
    return {"case": case, "ours": ours, "peer": limit, "peer_name": whose, "unit": unit, "ratio": limit / ours}


def _heard(place: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    distance = np.hypot(*(place[:, None, :] - points[None]).transpose(2, 0, 1))
    level = -35 - 30 * np.log10(distance + 1) + rng.normal(0, 3, distance.shape)
    return np.where(level < -82, np.nan, level).astype(np.float32)
