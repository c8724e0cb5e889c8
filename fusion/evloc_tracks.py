"""Where bodies are, smoothed, on synchronous frames and for many runs at once: one bank of three constant-velocity
filters a body (it stands, it walks straight, it turns), mixed by how well each has foretold the camera. A body that
is missed is carried on. Where looks cannot tell people apart, the linker's word is weighed against the motion.

Source: interacting multiple models, Blom and Bar-Shalom 1988. Both coordinates share a covariance.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .evloc_posterior import exclusive
from .geometry import Floats

STANDS, STRAIGHT, TURNS = 0, 1, 2
STAY = np.array(
    [[0.96, 0.02, 0.02], [0.02, 0.66, 0.32], [0.02, 0.66, 0.32]]
)  # chance of each mode after each, a second
FIRST = np.array([0.2, 0.4, 0.4])
STANDING_SD_M, STRAIGHT_SD_MPS, TURN_SD_MPS = 0.02, 0.1, 2.0  # what each mode adds in a second
FIRST_SD_MPS = 1.4
NEIGHBOUR_M = 0.5  # a wrong link goes to somebody about as near


class Sighted(NamedTuple):
    """The bodies of a frame: position (R,B,2) m, variance (R,B) m2 of each coordinate, known (R,B) ever seen; moved
    (R,B,B) the probability that who was in one column is now in another, or None where the linker is trusted."""

    position: Floats
    variance: Floats
    known: NDArray[np.bool_]
    moved: Floats | None


class Smoother:
    """mean (R,B,M,2,2) of place and velocity in x and y, their covariance (R,B,M,2,2) and the mode's weight (R,B,M)."""

    def __init__(self, runs: int, bodies: int, interval_s: float, visual_sd_m: float, link_error: float = 0.0) -> None:
        self._noise, self._link_error = visual_sd_m**2, link_error
        dt = interval_s
        drift = np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        self._forward = np.array([[[1.0, 0.0], [0.0, 0.0]], [[1.0, dt], [0.0, 1.0]], [[1.0, dt], [0.0, 1.0]]])
        self._added = np.stack(
            (np.diag([STANDING_SD_M**2 * dt, 1e-6]), STRAIGHT_SD_MPS**2 * drift, TURN_SD_MPS**2 * drift)
        )
        self.mean = np.zeros((runs, bodies, 3, 2, 2))
        self.covariance = np.zeros((runs, bodies, 3, 2, 2))
        self.weight = np.tile(FIRST, (runs, bodies, 1))
        self.known = np.zeros((runs, bodies), np.bool_)

    def step(self, seen: Floats) -> Sighted:
        """One frame: seen (R,B,2), NaN = missed."""
        self._predict()
        moved = self._link(seen) if self._link_error else None
        self._correct(seen)
        place = np.einsum("rbm,rbmx->rbx", self.weight, self.mean[:, :, :, 0])
        apart = ((self.mean[:, :, :, 0] - place[:, :, None]) ** 2).mean(axis=3)
        variance = (self.weight * (self.covariance[:, :, :, 0, 0] + apart)).sum(axis=2)
        return Sighted(place, variance, self.known.copy(), moved)

    def _predict(self) -> None:
        after = self.weight @ STAY
        mix = self.weight[..., :, None] * STAY / after[..., None, :]  # (R,B,from,to)
        mean = np.einsum("rbft,rbfsx->rbtsx", mix, self.mean)
        apart = self.mean[:, :, :, None] - mean[:, :, None]  # (R,B,from,to,2,2)
        spread = np.einsum("rbftsx,rbftux->rbftsu", apart, apart) / 2 + self.covariance[:, :, :, None]
        covariance = np.einsum("rbft,rbftsu->rbtsu", mix, spread)
        self.weight = after
        self.mean = np.einsum("mst,rbmtx->rbmsx", self._forward, mean)
        self.covariance = self._forward @ covariance @ self._forward.transpose(0, 2, 1) + self._added

    def _correct(self, seen: Floats) -> None:
        visible = np.asarray(np.isfinite(seen).all(axis=2))
        measured = np.where(visible[..., None], seen, 0.0)
        total = self.covariance[..., 0, 0] + self._noise
        error = measured[:, :, None] - self.mean[:, :, :, 0]
        gain = self.covariance[..., :, 0] / total[..., None]
        log_fit = -0.5 * (error**2).sum(axis=3) / total - np.log(total)
        weight = self.weight * np.exp(log_fit - log_fit.max(axis=2, keepdims=True))
        used = visible & self.known
        at = used[:, :, None]
        self.weight = np.where(at, weight / weight.sum(axis=2, keepdims=True), self.weight)
        self.mean = np.where(at[..., None, None], self.mean + gain[..., None] * error[..., None, :], self.mean)
        reduced = self.covariance - gain[..., None] * self.covariance[..., None, 0, :]
        self.covariance = np.where(at[..., None, None], reduced, self.covariance)
        self._begin(visible & ~self.known, measured)

    def _begin(self, new: NDArray[np.bool_], measured: Floats) -> None:
        self.mean[new] = 0.0
        self.mean[new, :, 0] = measured[new][:, None]
        self.covariance[new] = np.diag([self._noise, FIRST_SD_MPS**2])
        self.covariance[new, STANDS] = np.diag([self._noise, 1e-6])
        self.weight[new] = FIRST
        self.known |= new

    def _link(self, seen: Floats) -> Floats:
        """Put each filter on the column that it most probably goes on in; the probabilities of all, (R,B,B)."""
        runs, bodies, _ = seen.shape
        if bodies < 2 or not self.known.any():
            return np.tile(np.eye(bodies), (runs, 1, 1))
        log_weight = self._exchanged(seen) + self._motion(seen)
        belief = np.zeros((runs, bodies, 1 + bodies))
        belief[:, :, 1:] = np.exp(log_weight - log_weight.max(axis=2, keepdims=True))
        belief /= belief.sum(axis=2, keepdims=True)
        moved = exclusive(belief)[0][:, :, 1:]
        before = np.tile(np.arange(bodies), (runs, 1))
        for run in np.flatnonzero((log_weight.argmax(axis=2) != np.arange(bodies)).any(axis=1)):
            rows, columns = linear_sum_assignment(-log_weight[run])
            before[run, columns] = rows
        every = np.arange(runs)[:, None]
        self.mean, self.covariance = self.mean[every, before], self.covariance[every, before]
        self.weight, self.known = self.weight[every, before], self.known[every, before]
        return moved

    def _exchanged(self, seen: Floats) -> Floats:
        """Log-weights (R,B,B) whose product over a permutation is the linker's prior for it: two neighbours exchanged
        are one event, so each of their two links carries the root of its probability."""
        bodies = seen.shape[1]
        forecast = np.einsum("rbm,rbmx->rbx", self.weight, self.mean[:, :, :, 0])
        place = np.where(np.isfinite(seen), seen, forecast)
        near = np.exp(-np.linalg.norm(place[:, :, None] - place[:, None], axis=3) / NEIGHBOUR_M) + 1e-4
        near[:, np.arange(bodies), np.arange(bodies)] = 0.0
        near /= near.sum(axis=2, keepdims=True)
        chance = self._link_error / 2 * (near + near.transpose(0, 2, 1)) / (1 - self._link_error)
        return np.log(np.sqrt(chance) + np.eye(bodies))

    def _motion(self, seen: Floats) -> Floats:
        """Log-density (R,B,B) of each column's sighting under each filter's forecast; 0 where either is missing."""
        total = self.covariance[..., 0, 0] + self._noise
        error = ((seen[:, None, :, None] - self.mean[:, :, None, :, 0]) ** 2).sum(axis=4)  # (R, filter, column, mode)
        fit = -0.5 * error / total[:, :, None] - np.log(2 * np.pi * total)[:, :, None] + np.log(self.weight)[:, :, None]
        both = np.asarray(np.isfinite(seen).all(axis=2))[:, None] & self.known[:, :, None]
        highest = fit.max(axis=3)
        density = highest + np.log(np.exp(fit - highest[..., None]).sum(axis=3))
        return np.where(both, np.maximum(density, -50.0), 0.0)
