"""One walker's points apart from mirror images and clutter: a track in range, and what lies around it.

Range is measured best by far, and so the track is one of range with Doppler as its speed; the points kept are those
within a body's reach of it. Places of the points become relative to the track, so that the route is not in them; the
track itself stays beside them for corrections and for the audit of what place alone would tell. One body a recording:
with several people the fusion's tracks say which points are whose.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .walkers_recording import F64, Recording, WalkerError, frames

GATE_M, GATE_SPEED_M_S = 0.75, 2.0
SIDE_M, HEIGHT_M = 1.2, 1.6  # a body's reach beside and above the track
LOST_S = 0.6
LOST_REACH_M, LOST_SPEED_M_S = 1.0, 1.5  # how far from where he was lost he is looked for
STARTED_BY = 4  # points
GAIN, SPEED_GAIN = 0.5, 0.3
BIN_M = 0.5
SMOOTH_S = 0.5  # to either side


class Body(NamedTuple):
    """The frames of one walker. t_s (F,); first (F+1,) where each frame's points begin; points (P,5): range from the
    track m, side m, height against the sensor m, Doppler m/s, log10 of the intensity; range_m, speed_m_s, side (F,):
    the track's range, radial speed and sine of azimuth (times cosine of elevation)."""

    t_s: F64
    first: NDArray[np.int64]
    points: F64
    range_m: F64
    speed_m_s: F64
    side: F64


class _Track:
    """An alpha-beta filter of range, started where most points lie nearest."""

    def __init__(self) -> None:
        self.t_s = self.seen_s = self.held_s = -np.inf
        self.range_m = self.speed_m_s = self.side = 0.0

    def step(self, t_s: float, polar: F64) -> NDArray[np.bool_]:
        """Which of the points polar (n,5: range, side sine, height sine, doppler, log10 intensity) are the body's."""
        if t_s - self.seen_s > LOST_S:
            reach_m = LOST_REACH_M + LOST_SPEED_M_S * (t_s - self.seen_s)
            near = polar[np.abs(polar[:, 0] - self.range_m) < reach_m]
            if len(near) < STARTED_BY:
                return np.zeros(len(polar), np.bool_)
            self.t_s = t_s
            self._start(near)
        else:
            self.range_m += self.speed_m_s * (t_s - self.t_s)
        self.t_s = t_s
        inside = self._inside(polar)
        if inside.any():
            self._correct(t_s, polar[inside])
            inside = self._inside(polar)
        if 2 * inside.sum() >= (np.abs(polar[:, 2]) * polar[:, 0] < HEIGHT_M).sum():
            self.held_s = t_s
        elif t_s - self.held_s > LOST_S:  # most points have been elsewhere: it follows a mirror image
            self.seen_s = -np.inf
            inside[:] = False
        return inside

    def _start(self, polar: F64) -> None:
        weight = polar[:, 4] - polar[:, 4].min() + 0.1
        place = np.floor(polar[:, 0] / BIN_M).astype(int)
        mass = np.convolve(np.bincount(place, weight), np.ones(2))
        at = polar[np.isin(place, [mass.argmax() - 1, mass.argmax()])]
        self.range_m, self.side = float(np.median(at[:, 0])), float(np.median(at[:, 1]))
        self.speed_m_s = float(np.median(at[:, 3]))
        self.held_s = self.t_s

    def _inside(self, polar: F64) -> NDArray[np.bool_]:
        return (
            (np.abs(polar[:, 0] - self.range_m) < GATE_M)
            & (np.abs(polar[:, 1] - self.side) * self.range_m < SIDE_M)
            & (np.abs(polar[:, 2]) * self.range_m < HEIGHT_M)
            & (np.abs(polar[:, 3] - self.speed_m_s) < GATE_SPEED_M_S)
        )

    def _correct(self, t_s: float, polar: F64) -> None:
        gain = min(1.0, len(polar) / 4)
        self.range_m += GAIN * gain * float(np.median(polar[:, 0]) - self.range_m)
        self.speed_m_s += SPEED_GAIN * gain * float(np.mean(polar[:, 3]) - self.speed_m_s)
        self.side += GAIN * gain * float(np.median(polar[:, 1]) - self.side)
        self.seen_s = t_s


def body_of(recording: Recording) -> Body:
    """The recording's one walker; frames in which he is lost hold no points. Raises WalkerError if he is never seen."""
    track = _Track()
    kept: list[F64] = []
    states = np.zeros((len(recording.t_s), 3))
    for k, (t_s, points) in enumerate(frames(recording)):
        polar = _polar(points)
        kept.append(polar[track.step(t_s, polar)])
        states[k] = track.range_m, track.speed_m_s, track.side
    if not any(len(each) for each in kept):
        raise WalkerError(f"{recording.room}/{recording.radar}/{recording.walker} shows nobody in any frame")
    first = np.concatenate([[0], np.cumsum([len(each) for each in kept])])
    range_m, speed_m_s, side = (smoothed(recording.t_s, part) for part in states.T)
    frame = np.repeat(np.arange(len(kept)), np.diff(first))
    polar = np.concatenate(kept)
    points = np.column_stack(
        [
            polar[:, 0] - range_m[frame],
            (polar[:, 1] - side[frame]) * polar[:, 0],
            polar[:, 2] * polar[:, 0],
            polar[:, 3],
            polar[:, 4],
        ]
    )
    return Body(recording.t_s, first.astype(np.int64), points, range_m, speed_m_s, side)


def smoothed(t_s: F64, values: F64, half_s: float = SMOOTH_S) -> F64:
    """The mean of the values within half_s of each time."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    low, high = np.searchsorted(t_s, t_s - half_s), np.searchsorted(t_s, t_s + half_s, side="right")
    return (total[high] - total[low]) / (high - low)


def _polar(points: F64) -> F64:
    """Range m, sines of side and height, Doppler, log10 intensity."""
    away = np.sqrt((points[:, :3] ** 2).sum(axis=1))
    return np.column_stack([away, points[:, 0] / away, points[:, 2] / away, points[:, 3], np.log10(points[:, 4])])
