"""A walk's places known afterwards: the live filter run forward, then smoothed back, to label scans or judge a map.

Rauch, Tung and Striebel's smoother over the filter's strongest hypothesis about the heading, from where hypotheses stop
changing; before that the filtered places stand. Scans are merged with those after them too. Off line only.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch
from .live import SCAN_MAX_AGE_S, PhoneLocator
from .walking import Moved, smoothed
from .walks import MERGED_DECAY_S, merged

F64 = NDArray[np.float64]


class Trace(NamedTuple):
    """A walk's places: t_ns (n,), place_m (n,2), covariance_m2 (n,2,2), modalities (n)."""

    t_ns: NDArray[np.int64]
    place_m: F64
    covariance_m2: F64
    modalities: tuple[tuple[str, ...], ...]


def traced(locator: PhoneLocator, batches: Sequence[PhoneBatch], smooth: bool = False) -> Trace:
    """The places of one phone's batches, on line, or smoothed over all of them. The locator must not know the phone."""
    rows: list[tuple[int, tuple[str, ...], float]] = []
    filtered: list[tuple[F64, F64]] = []
    moves: list[Moved | None] = []
    live: list[tuple[F64, F64]] = []
    scans = _both_ways(batches, float(locator.walking["merged_s"])) if smooth else {}
    for batch in batches:
        said, walking, moved, surprised = locator.trace(batch, scans.get(batch.t_ns))
        if said is None or walking is None:
            continue
        best = int(np.argmax(walking.log_weight))
        rows.append((batch.t_ns, said.modalities, surprised))
        live.append(((np.array([said.x_m, said.y_m])), _matrix(said.covariance_m2)))
        filtered.append((walking.mean[best].copy(), walking.covariance[best].copy()))
        moves.append(moved[best] if len(moved) == len(walking.mean) else None)
    if smooth and filtered:
        live = _backwards(locator, filtered, moves, live, rows)
    places = np.array([place for place, _ in live]).reshape(-1, 2)
    covariances = np.array([covariance for _, covariance in live]).reshape(-1, 2, 2)
    times = np.array([t_ns for t_ns, _, _ in rows], np.int64)
    return Trace(times, places, covariances, tuple(modalities for _, modalities, _ in rows))


def _both_ways(batches: Sequence[PhoneBatch], merged_s: float) -> dict[int, dict[str, float]]:
    """By the batch's time: its scan merged with those before and after it, as the map's fingerprints are. A live
    locator knows those before only."""
    heard = [(b.t_ns - round(b.scan_age_s * 1e9), b) for b in batches if b.scan and b.scan_age_s <= SCAN_MAX_AGE_S]
    done = {}
    for now_ns, batch in heard:
        near = [(abs(t_ns - now_ns) / 1e9, dict(b.scan)) for t_ns, b in heard if abs(t_ns - now_ns) <= merged_s * 1e9]
        done[batch.t_ns] = merged([scan for _, scan in near], [float(np.exp(-s / MERGED_DECAY_S)) for s, _ in near])
    return done


def _backwards(locator: PhoneLocator, filtered: Any, moves: Any, live: Any, rows: Any) -> list[tuple[F64, F64]]:
    """The smoothed places of the last stretch over which one hypothesis lasted; the live ones before it. Every one is
    made of all the walk's fixes: the worst that these surprised the filter makes all of them less sure, and what all of
    them err alike, about as much as the floor of a fix, does not become less by smoothing."""
    breaks = [j for j, move in enumerate(moves) if move is None]
    first = breaks[-1] if breaks else 0
    done = smoothed(filtered[first:], moves[first + 1 :])
    spread, alike_m2 = float(locator.walking["smooth_spread"]), float(locator.walking["fix_floor_m"]) ** 2 * np.eye(2)
    surprised = max(surprise for _, _, surprise in rows[first:])
    tail = [
        (mean[:2], spread * locator.honest(covariance[:2, :2] + alike_m2, modalities, surprised))
        for (mean, covariance), (_, modalities, _) in zip(done, rows[first:], strict=True)
    ]
    return [*live[:first], *tail]


def _matrix(covariance_m2: tuple[float, float, float]) -> F64:
    xx, xy, yy = covariance_m2
    return np.array([[xx, xy], [xy, yy]])
