"""Pedestrian dead reckoning: from a second of a phone's accelerometer, gyroscope and compass to how far it was carried.

Steps are peaks of the acceleration's magnitude; a step's length grows with the root of its swing (after Weinberg,
"Using the ADXL202 in pedometer and personal navigation applications", Analog Devices AN-602, 2002, whose root is the
fourth: on the mall's walks the second root fits better). The heading is that of the phone's own y axis about gravity:
the compass where there is one, the gyroscope between. What angle lies between that and the way the walker goes, and
what a step is worth in metres, the filter behind this finds out. No clock, no randomness, nothing about maps.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch

F64 = NDArray[np.float64]

GRID_S = 0.05  # acceleration is looked at on this grid, whatever the phone's rate
TAIL_S = 1.6  # what is kept of the last seconds: the mean that a peak rises above needs it
SWING_M = 0.239  # metres a step of 1 m/s2 swing is long; least squares on the mall's walks
MIN_SWING, MIN_STEP_S, MIN_PEAK = 1.0, 0.3, 0.5  # m/s2, s (200 steps a minute), m/s2
COMPASS_S = 4.0  # time constant with which the compass corrects the gyroscope
MIN_SAMPLES = 5  # in a second; fewer tell nothing
GRAVITY_S = 1.0  # time constant of the running mean of acceleration that is taken for gravity


class Motion(NamedTuple):
    """What a second's sensors say. dt_s since the last batch; moved_m (2,) metres east and north if the phone's y axis
    pointed the way the walker goes and north were the site's y; distance_m, steps; heading: which of "compass", "gyro",
    "" the direction is from ("gyro" is relative to an unknown one); counted: whether steps could be counted at all."""

    dt_s: float
    moved_m: F64
    distance_m: float
    steps: int
    heading: str
    counted: bool


@dataclass(slots=True)
class Pedestrian:
    """The state of one phone's dead reckoning: feed it every batch in order."""

    t_ns: int = 0
    heading_rad: float = 0.0
    has_compass: bool = False
    gravity: F64 = field(default_factory=lambda: np.zeros(3))
    tail_t_s: F64 = field(default_factory=lambda: np.zeros(0))  # seconds before t_ns, negative
    tail_acc: F64 = field(default_factory=lambda: np.zeros(0))
    last_step_s: float = -9.0  # before t_ns

    def feed(self, batch: PhoneBatch) -> Motion:
        """The motion of one batch. A gap of more than 3 s forgets what was kept."""
        dt_s = (batch.t_ns - self.t_ns) / 1e9 if self.t_ns else 1.0
        if not self.t_ns or dt_s > 3.0:
            self._forget()
        self.tail_t_s = self.tail_t_s - dt_s
        self.last_step_s -= dt_s
        self.t_ns = batch.t_ns
        acc = np.asarray(batch.acc, np.float64)
        if len(acc) < MIN_SAMPLES:
            self._forget()
            return Motion(dt_s, np.zeros(2), 0.0, 0, "", False)
        acc = acc[np.argsort(-acc[:, 0], kind="stable")]
        times, heading, source = self._headings(batch, acc)
        at_s, length_m = self._steps(acc)
        angle = np.interp(at_s, times, heading)
        moved = np.array([(length_m * np.cos(angle)).sum(), (length_m * np.sin(angle)).sum()])
        return Motion(dt_s, moved, float(length_m.sum()), len(at_s), source, True)

    def state(self) -> dict[str, Any]:
        """Plain values and arrays, from which `load` makes the same object."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def load(cls, state: dict[str, Any]) -> "Pedestrian":
        """The object that `state` was taken of."""
        done = cls()
        for name, value in state.items():
            setattr(done, name, np.array(value, np.float64) if isinstance(value, np.ndarray) else value)
        return done

    def _forget(self) -> None:
        self.tail_t_s, self.tail_acc = np.zeros(0), np.zeros(0)
        self.last_step_s, self.has_compass = -9.0, False
        self.gravity = np.zeros(3)

    def _headings(self, batch: PhoneBatch, acc: F64) -> tuple[F64, F64, str]:
        """Times (s, 0 = the batch's end), the unwrapped heading of the y axis there (rad, from east to north)."""
        mean = acc[:, 1:].mean(axis=0)
        share = 1.0 if not self.gravity.any() else 1.0 - np.exp(-1.0 / GRAVITY_S)
        self.gravity = self.gravity + share * (mean - self.gravity)
        up = self.gravity / max(float(np.linalg.norm(self.gravity)), 1e-9)
        compass = _compass_rad(np.asarray(batch.mag, np.float64), up)
        times, turned = _turned_rad(np.asarray(batch.gyro, np.float64), up)
        has_gyro = len(batch.gyro) >= MIN_SAMPLES
        if compass is None:
            source = "gyro" if has_gyro else ""
            path = self.heading_rad + turned
        else:
            middle = float(np.interp(-0.5, times, turned))
            start = self.heading_rad if has_gyro and self.has_compass else compass - middle
            wrong = (compass - middle - start + np.pi) % (2 * np.pi) - np.pi
            start += wrong * (1.0 - np.exp(-1.0 / COMPASS_S)) if has_gyro else wrong
            path, source, self.has_compass = start + turned, "compass", True
        self.heading_rad = float((path[-1] + np.pi) % (2 * np.pi) - np.pi)
        return times, path + (self.heading_rad - path[-1]), source

    def _steps(self, acc: F64) -> tuple[F64, F64]:
        """Times (s before the end, negative) and lengths (m) of the steps whose peak has just been passed."""
        t_s = np.concatenate([self.tail_t_s, -acc[:, 0]])
        level = np.concatenate([self.tail_acc, np.linalg.norm(acc[:, 1:], axis=1)])
        grid = np.arange(max(t_s[0], -TAIL_S - 1.0), t_s[-1] + 1e-9, GRID_S)
        smooth = np.convolve(np.pad(np.interp(grid, t_s, level), 1, "edge"), np.ones(3) / 3, "valid")
        rise = smooth - smooth.mean()
        peak = np.flatnonzero((rise[1:-1] > rise[:-2]) & (rise[1:-1] >= rise[2:]) & (rise[1:-1] > MIN_PEAK)) + 1
        at, length = [], []
        for j in peak:
            if grid[j] - self.last_step_s <= MIN_STEP_S:
                continue
            swing = rise[j] - rise[max(0, j - round(0.7 / GRID_S)) : j].min()
            if swing > MIN_SWING:
                at.append(grid[j])
                length.append(SWING_M * np.sqrt(swing))
                self.last_step_s = float(grid[j])
        kept = t_s > -TAIL_S
        self.tail_t_s, self.tail_acc = t_s[kept], level[kept]
        return np.array(at, np.float64), np.array(length, np.float64)


def _compass_rad(mag: F64, up: F64) -> float | None:
    """The mean heading of the phone's y axis over a second, from east to north; None without a magnetometer."""
    if len(mag) < MIN_SAMPLES:
        return None
    east = np.cross(mag[:, 1:].mean(axis=0), up)
    north = np.cross(up, east)
    if np.linalg.norm(east) < 1e-3 or np.hypot(east[1], north[1]) < 1e-6:
        return None
    return float(np.arctan2(north[1], east[1]))


def _turned_rad(gyro: F64, up: F64) -> tuple[F64, F64]:
    """Times (s, rising to 0) and the angle turned to the left about the vertical since one second before the end."""
    if len(gyro) < MIN_SAMPLES:
        return np.array([-1.0, 0.0], np.float64), np.zeros(2)
    gyro = gyro[np.argsort(-gyro[:, 0], kind="stable")]
    times: F64 = np.asarray(np.arange(-20, 1) * GRID_S, np.float64)
    rate = np.interp(times, -gyro[:, 0], gyro[:, 1:] @ up)
    return times, np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * GRID_S)])
