"""What a radar's Dopplers say of bodies: how fast each recedes, so who of two that pass each other is who, and where
somebody just found is heading. A Doppler is one more coordinate of a sighting, and so one more update of the filter
(range rate; Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001), but one
that strays more often: limbs swing, and a speed beyond what the chirps can tell comes back as another.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .detections import Detections
from .geometry import Floats
from .kalman import FIRST_SPEED_SD, along, update_speed

SD_M_S = 0.25  # of the median Doppler of a body's points around the speed of its trunk
STRAY = 0.05  # the share that say nothing of a body's speed
GATE = 9.0  # squared, in standard deviations: beyond it a filter learns nothing
TELLING_M_S = 1.8  # legs of walkers are as fast: a radar that never shows it folds their speeds to others


class Telling:
    """Which radars' Dopplers are speeds. Chirps that are made for range tell few (TI's usual ones +-1 m/s); what is
    faster is folded back, so that somebody who comes seems to go. No point's Doppler is ever beyond what chirps can
    tell, so the largest that was ever seen says it, and until it does a radar's Dopplers are not heard."""

    def __init__(self) -> None:
        self._fastest: dict[str, float] = {}

    def tells(self, source: str) -> bool:
        """Whether this radar's Dopplers are speeds."""
        return self._fastest.get(source, 0.0) >= TELLING_M_S

    def heard(self, seen: Detections) -> Detections:
        """`seen`, without its Dopplers where they may not be speeds."""
        if seen.receding is None:
            return seen
        self._fastest[seen.source] = max(self._fastest.get(seen.source, 0.0), seen.fastest)
        return seen if self.tells(seen.source) else msgspec.structs.replace(seen, receding=None)

    def state(self) -> dict[str, Any]:
        return dict(self._fastest)

    def load(self, state: dict[str, Any]) -> None:
        self._fastest = dict(state)


def cost(mean: Floats, covariance: Floats, sight: Floats, speed: Floats) -> Floats:
    """What speeds (M,) m/s along lines of sight (M,2) say against each of the bodies (N,4), (N,4,4), beside somebody
    of whom nothing is known yet: (N,M), twice nats, as the tracker's other costs."""
    predicted, variance = along(mean, covariance, sight)
    variance = variance + SD_M_S**2
    misfit = (speed - predicted) ** 2 / variance + np.log(variance / (FIRST_SPEED_SD**2 + SD_M_S**2))
    return -2 * np.log((1 - STRAY) * np.exp(-0.5 * misfit) + STRAY)


def learn(
    mean: Floats, covariance: Floats, receding: tuple[Floats, Floats] | None, rows: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """The filters (N,4), (N,4,4) of bodies that a frame's detections `rows` (N,) were given to; receding: of all of its
    detections the lines of sight (M,2) and speeds (M,), None where the sensor cannot tell."""
    if receding is None:
        return mean, covariance
    sight, speed = receding[0][rows], receding[1][rows]
    expected = (mean[:, 2:] * sight).sum(axis=1)
    variance = np.einsum("ni,nij,nj->n", sight, covariance[:, 2:, 2:], sight) + SD_M_S**2
    strays = (speed - expected) ** 2 / variance > GATE
    return update_speed(mean, covariance, sight, speed, np.where(strays, np.inf, SD_M_S**2))
