"""How far off positions are and whether their covariances are honest, on walks whose truth is known.

A second counts when it lies between way points and a scan at most 3 s old is known: as the specification's "windows
with a scan". Reliability is per axis: the share of errors inside one and two of the axis' standard deviations, which
is 0.683 and 0.954 for a Gaussian that knows itself.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch
from .live import SCAN_MAX_AGE_S, PhoneLocator
from .smoothing import Trace, traced
from .walks import Walk

F64 = NDArray[np.float64]


class Scored(NamedTuple):
    """Seconds that count: error_m (n,2), covariance_m2 (n,2,2), walk (n) names, mtloc fixes are not in here."""

    error_m: F64
    covariance_m2: F64
    walk: tuple[str, ...]

    @property
    def distance_m(self) -> F64:
        return np.hypot(self.error_m[:, 0], self.error_m[:, 1])


def scored(walk: Walk, trace: Trace) -> Scored:
    """The trace's seconds that count, against the walk's truth."""
    truth = walk.where_m(trace.t_ns)
    fresh = fresh_seconds(walk)
    counts = np.isfinite(truth).all(axis=1) & np.array([t in fresh for t in trace.t_ns.tolist()], bool)
    return Scored((trace.place_m - truth)[counts], trace.covariance_m2[counts], (walk.name,) * int(counts.sum()))


def fresh_seconds(walk: Walk) -> dict[int, None]:
    """The ends of the walk's seconds at which a scan at most 3 s old is known."""
    heard_ns, fresh = -(10**18), {}
    for batch in walk.batches:
        if batch.scan:
            heard_ns = batch.t_ns - round(batch.scan_age_s * 1e9)
        if batch.t_ns - heard_ns <= SCAN_MAX_AGE_S * 1e9:
            fresh[batch.t_ns] = None
    return fresh


def joined(parts: Iterable[Scored]) -> Scored:
    parts = list(parts)
    if not parts:
        return Scored(np.zeros((0, 2)), np.zeros((0, 2, 2)), ())
    return Scored(
        np.concatenate([p.error_m for p in parts]),
        np.concatenate([p.covariance_m2 for p in parts]),
        tuple(name for p in parts for name in p.walk),
    )


def figures(result: Scored) -> dict[str, Any]:
    """mean, median, p90 (m), the share within 3 m, both reliabilities per axis and the number of seconds."""
    off = result.distance_m
    if not len(off):
        return {"seconds": 0}
    ratio = sigmas(result)
    return {
        "seconds": len(off),
        "mean_m": float(off.mean()),
        "median_m": float(np.median(off)),
        "p90_m": float(np.percentile(off, 90)),
        "within_3_m": float((off <= 3).mean()),
        "within_1_sigma": float((ratio <= 1).mean()),
        "within_2_sigma": float((ratio <= 2).mean()),
    }


def sigmas(result: Scored) -> F64:
    """|error| / standard deviation of both axes, (2n,)."""
    sd = np.sqrt(np.stack([result.covariance_m2[:, 0, 0], result.covariance_m2[:, 1, 1]], axis=1))
    return (np.abs(result.error_m) / sd).ravel()


def spread_of(result: Scored) -> float:
    """By what the covariances should be multiplied so that 68.3 % and 95.4 % of the errors lie inside one and two
    standard deviations, as nearly as one number can: the geometric mean of what each of the two asks for, the second
    counted four times, since a place that is far off its ellipse does more harm than one that is too well inside it."""
    ratio = sigmas(result)
    if len(ratio) < 20:
        return 1.0
    inner, outer = np.percentile(ratio, 68.3), np.percentile(ratio, 95.4) / 2
    return float((inner * outer**4) ** (2 / 5))


def without(walk: Walk, modality: str, from_s: float = 0.0) -> Walk:
    """The walk with one modality ("wifi", "imu", "mag") gone from from_s after its start."""
    start_ns = walk.batches[0].t_ns + round(from_s * 1e9) if walk.batches else 0
    empty = np.zeros((0, 4), np.float32)
    blank: dict[str, dict[str, Any]] = {
        "wifi": {"scan": (), "scan_age_s": 0.0},
        "imu": {"acc": empty, "gyro": empty},
        "mag": {"mag": empty},
    }
    done = [_changed(b, blank[modality]) if b.t_ns >= start_ns else b for b in walk.batches]
    return Walk(walk.name, tuple(done), walk.waypoint_t_ns, walk.waypoint_m)


def replayed(locator: PhoneLocator, walks: Sequence[Walk], smooth: bool = False) -> Scored:
    """The walks' seconds that count, located one walk after another, each as a phone that nobody knows."""

    def alone(walk: Walk) -> Scored:
        locator.forget()
        return scored(walk, traced(locator, walk.batches, smooth))

    return joined(map(alone, walks))


def _changed(batch: PhoneBatch, fields: dict[str, Any]) -> PhoneBatch:
    parts = {
        name: getattr(batch, name) for name in ("source", "t_ns", "seq", "acc", "gyro", "mag", "scan", "scan_age_s")
    }
    return PhoneBatch(**{**parts, **fields})
