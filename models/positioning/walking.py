"""The filter behind a phone's fixes and steps: an extended Kalman filter of place, heading offset and step scale.

State: x, y (m), the angle from the phone's heading to the walker's way (rad), metres walked per metre of the step
model. Steps move it, fixes correct it, and the correction teaches it the offset. Where the offset is not known at all
(no compass), several filters start with offsets all around and the fixes say which of them are right; what is given
is their mixture's mean and covariance. The smoother is Rauch, Tung and Striebel's. Deterministic, no clock.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .steps import Motion

F64 = NDArray[np.float64]

OFFSET_STEP_RAD = 0.03  # how much the offset drifts in a second
OFFSETS_UNKNOWN = 8
STRAY_M = 0.4  # of a counted second, beyond what the steps say, as a random walk
WANDER_M = 1.1  # of a second without steps counted: as fast as people walk
TURN_RAD, LENGTH_SHARE, SCALE_STEP = 0.15, 0.1, 0.02  # of a second's steps
SCALE_SD = 0.12
GATE = 2.0  # a fix with a larger squared Mahalanobis distance is believed less, in proportion
FORGOTTEN = 1e-4  # weight below which a hypothesis about the offset is dropped


@dataclass(frozen=True, slots=True)
class Offset:
    """What is known beforehand about the angle from heading to way. sd_rad None: nothing."""

    mean_rad: float = 0.0
    sd_rad: float | None = None


class Moved(NamedTuple):
    """What the smoother needs of a prediction: its Jacobian (4,4), predicted mean (4,) and covariance (4,4)."""

    jacobian: F64
    mean: F64
    covariance: F64


@dataclass(slots=True)
class WalkFilter:
    """One phone's filter: mean (h,4), covariance (h,4,4), log_weight (h,) of h hypotheses; none before the first fix.

    heading: where the direction of steps is from, since a new source means a new offset.
    """

    offset: Offset = field(default_factory=Offset)
    mean: F64 = field(default_factory=lambda: np.zeros((0, 4)))
    covariance: F64 = field(default_factory=lambda: np.zeros((0, 4, 4)))
    log_weight: F64 = field(default_factory=lambda: np.zeros(0))
    heading: str = ""

    def start(self, place_m: F64, covariance_m2: F64, heading: str) -> None:
        """Begin where a fix says."""
        self.heading = heading
        offsets, sd = self._offsets(heading)
        self.mean = np.array([[*place_m, angle, 1.0] for angle in offsets])
        self.covariance = np.zeros((len(offsets), 4, 4))
        self.covariance[:, :2, :2] = covariance_m2
        self.covariance[:, 2, 2], self.covariance[:, 3, 3] = sd**2, SCALE_SD**2
        self.log_weight = np.full(len(offsets), -np.log(len(offsets)))

    def move(self, motion: Motion) -> list[Moved]:
        """Take a second's motion in; returns what a smoother needs, for each hypothesis."""
        if len(self.mean) and motion.heading and motion.heading != self.heading:
            self._reheaded(motion.heading)
        done = []
        for h in range(len(self.mean)):
            jacobian, noise, way = _motion_model(self.mean[h], motion)
            self.mean[h, :2] += way
            self.covariance[h] = jacobian @ self.covariance[h] @ jacobian.T + noise
            done.append(Moved(jacobian, self.mean[h].copy(), self.covariance[h].copy()))
        return done

    def correct(self, place_m: F64, covariance_m2: F64) -> float:
        """Take a fix in; returns how far off it was, squared and in units of what was to be expected (Mahalanobis), for
        the likeliest hypothesis. Its scan's age needs no correction: the map's scans were labelled at the same age."""
        looks_at = np.eye(4)[:2]
        distances = np.zeros(len(self.mean))
        for h in range(len(self.mean)):
            wrong = place_m - self.mean[h, :2]
            prior = looks_at @ self.covariance[h] @ looks_at.T
            squared = distances[h] = float(wrong @ np.linalg.solve(prior + covariance_m2, wrong))
            spread = prior + covariance_m2 * max(1.0, squared / GATE)
            gain = np.linalg.solve(spread, looks_at @ self.covariance[h]).T
            self.mean[h] += gain @ wrong
            kept = np.eye(4) - gain @ looks_at
            after = kept @ self.covariance[h]
            self.covariance[h] = (after + after.T) / 2
            self.log_weight[h] -= 0.5 * (float(wrong @ np.linalg.solve(spread, wrong)) + np.log(np.linalg.det(spread)))
        likeliest = int(np.argmax(self.log_weight))
        self._reweigh()
        return float(distances[likeliest])

    def place(self) -> tuple[F64, F64]:
        """Mean (2,) and covariance (2,2) of the mixture."""
        weight = np.exp(self.log_weight)
        mean = weight @ self.mean[:, :2]
        away = self.mean[:, :2] - mean
        covariance = np.einsum("h,hab->ab", weight, self.covariance[:, :2, :2])
        return mean, covariance + (weight[:, None] * away).T @ away

    def state(self) -> dict[str, Any]:
        """Plain values and arrays, from which `load` makes the same filter."""
        arrays = {name: getattr(self, name).copy() for name in ("mean", "covariance", "log_weight")}
        return {"offset": [self.offset.mean_rad, self.offset.sd_rad], "heading": self.heading, **arrays}

    @classmethod
    def load(cls, state: dict[str, Any]) -> "WalkFilter":
        """The filter that `state` was taken of."""
        arrays = {name: np.array(state[name], np.float64) for name in ("mean", "covariance", "log_weight")}
        return cls(offset=Offset(*state["offset"]), heading=state["heading"], **arrays)

    def _offsets(self, heading: str) -> tuple[list[float], float]:
        if heading == "compass" and self.offset.sd_rad is not None:
            return [self.offset.mean_rad], self.offset.sd_rad
        if not heading:
            return [0.0], 1.0
        return [2 * np.pi * h / OFFSETS_UNKNOWN for h in range(OFFSETS_UNKNOWN)], np.pi / OFFSETS_UNKNOWN

    def _reheaded(self, heading: str) -> None:
        """A new source of headings: place and scale stay, the offset begins anew."""
        place, covariance = self.place()
        scale = float(np.exp(self.log_weight) @ self.mean[:, 3])
        self.start(place, covariance, heading)
        self.mean[:, 3] = scale

    def _reweigh(self) -> None:
        weight = np.exp(self.log_weight - self.log_weight.max())
        weight /= weight.sum()
        kept = weight > FORGOTTEN
        self.mean, self.covariance = self.mean[kept], self.covariance[kept]
        self.log_weight = np.log(weight[kept] / weight[kept].sum())


def smoothed(places: list[tuple[F64, F64]], moves: list[Moved]) -> list[tuple[F64, F64]]:
    """Rauch-Tung-Striebel over one hypothesis: filtered (mean (4,), covariance (4,4)) of each second, and the move that
    led from each to the next (one fewer); returns the same for the smoothed seconds."""
    done = list(places)
    for j in range(len(places) - 2, -1, -1):
        mean, covariance = places[j]
        move = moves[j]
        gain = np.linalg.solve(move.covariance, move.jacobian @ covariance).T
        later_mean, later_covariance = done[j + 1]
        shrunk = covariance + gain @ (later_covariance - move.covariance) @ gain.T
        done[j] = (mean + gain @ (later_mean - move.mean), (shrunk + shrunk.T) / 2)
    return done


def _motion_model(mean: F64, motion: Motion) -> tuple[F64, F64, F64]:
    """Jacobian (4,4), process noise (4,4) and way walked (2,) of a second's motion."""
    jacobian, noise = np.eye(4), np.zeros((4, 4))
    if not motion.counted or not motion.heading:  # any direction, but the next second's is likely the same
        stands = motion.counted and motion.distance_m == 0.0
        stray = (STRAY_M if stands else WANDER_M) ** 2 * motion.dt_s
        noise[:2, :2] = stray * np.eye(2)
        return jacobian, noise, np.zeros(2)
    along = _turned(motion.moved_m, mean[2])
    across = np.array([-along[1], along[0]])
    jacobian[:2, 2], jacobian[:2, 3] = mean[3] * across, along
    noise[:2, :2] = STRAY_M**2 * motion.dt_s * np.eye(2)
    noise[:2, :2] += TURN_RAD**2 * np.outer(across, across) + LENGTH_SHARE**2 * np.outer(along, along)
    noise[2, 2], noise[3, 3] = OFFSET_STEP_RAD**2 * motion.dt_s, SCALE_STEP**2 * motion.dt_s
    return jacobian, noise, mean[3] * along


def _turned(vector: F64, angle_rad: float) -> F64:
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]])
