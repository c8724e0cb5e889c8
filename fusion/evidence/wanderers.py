"""The alternative to every body: somebody whom nobody sees carries the phone, and stands or walks where it says.

One filter a phone over the place (x, y) and the error of the phone's positions, which lasts: two modes, standing and
walking, whose probabilities follow what fits. So a phone that says for a minute what a body that stands there would
have it say is no witness for that body: a stranger standing there would have it say the same.
Source of the method: Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation"
(2001), section 11.6 (interacting multiple models).
"""

from typing import Any

import numpy as np

from ..geometry import Floats
from .columns import mixed

WALK_M2_PER_S = np.array([0.02, 1.0])  # in each coordinate: who stands, who walks
CHANGE_S = 8.0  # people stand and walk for about so long
PLACE, ERROR = slice(0, 2), slice(2, 4)


class Wanderers:
    """mean (phones, 2, 4), covariance (phones, 2, 4, 4), share (phones, 2): of standing and of walking."""

    def __init__(self, phones: int) -> None:
        self.mean = np.zeros((phones, 2, 4))
        self.covariance = np.zeros((phones, 2, 4, 4))
        self.share = np.full((phones, 2), 0.5)

    def begin(self, phone: int, place: Floats, covariance: Floats, seen_by: Floats) -> None:
        """Nothing but one position is known: `place` (2,), whose error (2, 2) is `seen_by` (2, 2) times an error that
        lasts, of unit variance, and something of the moment."""
        self.share[phone] = 0.5
        self.mean[phone] = np.append(place, [0.0, 0.0])
        joint = np.block([[covariance, -seen_by], [-seen_by.T, np.eye(2)]])
        self.covariance[phone] = joint

    def pass_time(self, phone: int, elapsed_s: float, keep: float) -> None:
        """People change between standing and walking, walk, and the error forgets (`keep` is left of it)."""
        change = 0.5 * -np.expm1(-2 * elapsed_s / CHANGE_S)
        switch = np.array([[1 - change, change], [change, 1 - change]])
        before = switch * self.share[phone]  # (to, from)
        mean, covariance = self.mean[phone], self.covariance[phone]
        mean, covariance = mixed(before, np.stack((mean, mean)), np.stack((covariance, covariance)))
        mean[:, ERROR] *= keep
        covariance[:, ERROR, :] *= keep
        covariance[:, :, ERROR] *= keep
        covariance[:, ERROR, ERROR] += (1 - keep * keep) * np.eye(2)
        covariance[:, PLACE, PLACE] += (WALK_M2_PER_S * elapsed_s)[:, None, None] * np.eye(2)
        self.mean[phone], self.covariance[phone], self.share[phone] = mean, covariance, before.sum(axis=1)

    def hear(self, phone: int, place: Floats, noise: Floats, seen_by: Floats, outlier: float) -> float:
        """Learn from a position (2,) with what is of the moment in its error, noise (2, 2); returns the log-density
        (per m2) that it was given. outlier: the log-density of a position that has nothing to do with the phone's."""
        reading = np.hstack((np.eye(2), seen_by))
        mean, covariance = self.mean[phone], self.covariance[phone]
        error = place - mean @ reading.T
        reach = covariance @ reading.T
        spread = reading @ reach
        clear = log_normal(error, spread + noise)
        density = np.logaddexp(clear, outlier)
        worth = np.maximum(np.exp(clear - density), 1e-3)[:, None, None]  # an outlier teaches little
        gain = reach @ np.linalg.inv(spread + noise / worth)
        self.mean[phone] = mean + (gain @ error[:, :, None])[:, :, 0]
        self.covariance[phone] = _symmetric(covariance - gain @ reach.transpose(0, 2, 1))
        weighed = np.log(self.share[phone]) + density
        total = float(np.logaddexp(*weighed))
        self.share[phone] = np.exp(weighed - total)
        return total

    def place(self, phone: int) -> tuple[Floats, Floats]:
        """Where they are now: mean (2,), covariance (2, 2)."""
        mean, covariance = mixed(self.share[phone][None], self.mean[phone][None], self.covariance[phone][None])
        return mean[0, PLACE], covariance[0, PLACE, PLACE]

    def state(self) -> dict[str, Any]:
        return {"mean": self.mean, "covariance": self.covariance, "share": self.share}

    def load(self, state: dict[str, Any]) -> None:
        self.mean, self.covariance, self.share = state["mean"], state["covariance"], state["share"]


def log_normal(error: Floats, covariance: Floats) -> Floats:
    """Log-density (K,) of errors (K, 2) under covariances (K, 2, 2)."""
    far = np.einsum("kc,kc->k", error, np.linalg.solve(covariance, error[:, :, None])[:, :, 0])
    return -0.5 * far - np.log(2 * np.pi) - 0.5 * np.log(np.linalg.det(covariance))


def _symmetric(matrix: Floats) -> Floats:
    return 0.5 * (matrix + matrix.transpose(0, 2, 1))
