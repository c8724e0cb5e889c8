"""What a walker's points tell, frame by frame: how they spread around the track, and how they move against it.

A frame becomes numbers in which the place is not: histograms of Doppler against the body's speed (the micro-Doppler of
arms and legs), of range, side and height around the track, Doppler by height, intensity, and how many points there
are. What range and aspect do to these numbers is the same for everyone, so it is learnt from all walkers together and
taken away (`Correction`); what remains is the walker's own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .walkers_recording import F64
from .walkers_track import Body, smoothed

DOPPLER_EDGES = np.linspace(-1.8, 1.8, 13)  # m/s against the body
RANGE_EDGES = np.linspace(-0.6, 0.6, 9)
SIDE_EDGES = np.linspace(-0.9, 0.9, 7)
HEIGHT_EDGES = np.linspace(-1.2, 1.4, 14)
BANDS_M = (-0.35, 0.25)  # against the sensor: legs below, trunk, shoulders above
SPEED_LEAST_M_S = 0.3
RIDGE = 1.0


class Frames(NamedTuple):
    """features (F,D) of each frame, names (D,); place (F,4): range m, sine of azimuth, walking speed m/s, cosine of
    the aspect (+1 walks away); points (F,) how many; t_s (F,)."""

    features: F64
    names: tuple[str, ...]
    place: F64
    points: NDArray[np.int64]
    t_s: F64


def frames_of(body: Body) -> Frames:
    """Every frame's numbers; a frame without points is the mean of the recording's others."""
    count = np.diff(body.first)
    frame = np.repeat(np.arange(len(count)), count)
    place = _place(body)
    away = body.points[:, 3] - body.speed_m_s[frame]
    sums = _Sums(frame, len(count))
    range_m, side_m, height_m, _, light = body.points.T
    columns: dict[str, F64] = {"points": np.sqrt(count)}
    for name, values, edges in (
        ("doppler", away, DOPPLER_EDGES), ("range", range_m, RANGE_EDGES),
        ("side", side_m, SIDE_EDGES), ("height", height_m, HEIGHT_EDGES),
    ):  # fmt: skip
        for k, share in enumerate(sums.histogram(values, edges)):
            columns[f"{name} {k}"] = share
        columns[f"{name} mean"], columns[f"{name} spread"] = sums.moments(values)
        columns[f"{name} least"], columns[f"{name} most"] = sums.extremes(values)
    columns["light mean"], columns["light spread"] = sums.moments(light)
    columns["light least"], columns["light most"] = sums.extremes(light)
    columns["light doppler"] = sums.mean(away * (light - columns["light mean"][frame]))
    columns["light height"] = sums.mean(height_m * (light - columns["light mean"][frame]))
    columns["height doppler"] = sums.mean((height_m - columns["height mean"][frame]) * away)
    columns["range doppler"] = sums.mean(range_m * away)
    columns["height range"] = sums.mean((height_m - columns["height mean"][frame]) * range_m)
    for k, band in enumerate(np.digitize(height_m, BANDS_M) == k for k in range(len(BANDS_M) + 1)):
        columns[f"band {k} doppler"] = sums.mean(away * band)
        columns[f"band {k} swing"] = sums.mean(np.abs(away) * band)
        columns[f"band {k} range"] = sums.mean(range_m * band)
    features = np.column_stack(list(columns.values()))
    features[count == 0] = features[count > 0].mean(axis=0)
    return Frames(features, tuple(columns), place, count, body.t_s)


class _Sums:
    """Sums over the points of each frame."""

    def __init__(self, frame: NDArray[np.int64], frames: int) -> None:
        self._frame, self._frames = frame, frames
        self._count = np.maximum(np.bincount(frame, minlength=frames), 1)

    def mean(self, values: F64) -> F64:
        return np.bincount(self._frame, values, minlength=self._frames) / self._count

    def moments(self, values: F64) -> tuple[F64, F64]:
        mean = self.mean(values)
        return mean, np.sqrt(self.mean((values - mean[self._frame]) ** 2))

    def extremes(self, values: F64) -> tuple[F64, F64]:
        """Soft ones, which one stray point does not decide: the mean of the lower and of the upper half's half."""
        mean, spread = self.moments(values)
        low = np.minimum(values - mean[self._frame] + spread[self._frame], 0)
        high = np.maximum(values - mean[self._frame] - spread[self._frame], 0)
        return self.mean(low), self.mean(high)

    def histogram(self, values: F64, edges: F64) -> list[F64]:
        """Square roots of the shares of a frame's points, each shared between its two nearest bins."""
        step = edges[1] - edges[0]
        at = np.clip((values - edges[0]) / step, 0, len(edges) - 1)
        return [np.sqrt(self.mean(np.maximum(1 - np.abs(at - k), 0))) for k in range(len(edges))]


def _place(body: Body) -> F64:
    x, y = body.range_m * body.side, body.range_m * np.sqrt(np.maximum(1 - body.side**2, 0))
    t_s = body.t_s + np.arange(len(body.t_s)) * 1e-6  # two frames may carry one time
    vx, vy = (np.gradient(smoothed(t_s, smoothed(t_s, part)), t_s) for part in (x, y))
    speed = smoothed(t_s, np.hypot(np.clip(vx, -3, 3), np.clip(vy, -3, 3)))
    aspect = np.clip(body.speed_m_s / np.maximum(speed, SPEED_LEAST_M_S), -1, 1)
    return np.column_stack([body.range_m, body.side, speed, aspect])


def basis(place: F64) -> F64:
    """(F,K): the functions of range and aspect by which features are corrected. Walking speed is the walker's own."""
    away, aspect = place[:, 0] / 5, place[:, 3]
    powers = [away**k for k in range(4)]
    return np.column_stack([power * aspect**j for power in powers for j in range(4)])


class Correction(NamedTuple):
    """What range and aspect do to everyone's features: weights (K,D), and the scale (D,) of what remains."""

    weights: F64
    scale: F64

    def __call__(self, features: F64, place: F64) -> F64:
        return np.clip((features - basis(place) @ self.weights) / self.scale, -5, 5)


def correction_of(features: F64, place: F64, walker: NDArray[np.int64]) -> Correction:
    """Least squares with ridge over all walkers, each walker weighing the same, with each walker's mean left free: only
    what changes WITHIN a walk is put down to the place."""
    terms = basis(place)
    rest, own = features.copy(), terms.copy()
    weight = np.zeros(len(walker))
    for k in np.unique(walker):
        mine = walker == k
        rest[mine] -= rest[mine].mean(axis=0)
        own[mine] -= own[mine].mean(axis=0)
        weight[mine] = 1 / mine.sum()
    weight *= len(walker) / weight.sum()
    square = own.T @ (own * weight[:, None]) + RIDGE * np.eye(own.shape[1])
    weights = np.linalg.solve(square, own.T @ (rest * weight[:, None]))
    left = features - terms @ weights
    weights[0] += left.mean(axis=0)  # the basis' first function is one
    return Correction(weights, np.maximum((features - terms @ weights).std(axis=0), 1e-6))
