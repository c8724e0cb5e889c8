"""How sure a place is, beyond what the filter thinks of it.

The filter takes each fix for a new witness, so it is told that fixes are worse than they are (`fix_scatter`), because
successive ones err alike. Its covariance is then right in the middle of a walk and wrong at both ends: too wide after
the first fix, too narrow where every fix is off, as in a place that the map does not know. Both show in the fixes
themselves. A place is never less sure than the last fix alone, carried on by the steps; and where fixes have lately
surprised the filter more than they usually do, it is less sure in proportion. What is usual was measured on walks,
so a map without walks does without.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

REMEMBERED = 10  # fixes; about half a minute
SETTLED = 0.6  # of what is usual: no surprise at all does not make a place sure
MEASURED: dict[str, float] = {"usual_surprise": 0.1, "alone_floor_m": 3.0}  # on the mall's walks


@dataclass(slots=True)
class Honesty:
    """Of one phone: surprise, the running mean of squared Mahalanobis distances of its fixes from where the filter had
    it, over `fixes` of them at most REMEMBERED; alone_m2 (2,2), the covariance of the last fix by itself, grown with
    the steps since."""

    surprise: float = 0.0
    fixes: int = 0
    alone_m2: F64 = field(default_factory=lambda: np.zeros((2, 2)))

    def moved(self, grown_m2: F64) -> None:
        """The filter's covariance has grown by this (2,2) with a second's motion. Where it shrank, as where hypotheses
        of the heading walk towards each other, the last fix by itself has not become surer."""
        size, axes = np.linalg.eigh((grown_m2 + grown_m2.T) / 2)
        self.alone_m2 = self.alone_m2 + (axes * np.maximum(size, 0.0)) @ axes.T

    def fixed(self, scatter_m2: F64, floor_m: float, squared: float | None) -> None:
        """A fix came: its second moment (2,2), and its squared distance; None for the first."""
        self.alone_m2 = scatter_m2 + floor_m**2 * np.eye(2)
        if squared is not None:
            self.fixes = min(self.fixes + 1, REMEMBERED)
            self.surprise += (squared - self.surprise) / self.fixes

    def at_most(self, covariance_m2: F64) -> F64:
        """The filter's covariance (2,2) joined with the last fix alone."""
        joined: F64 = np.linalg.inv(np.linalg.inv(covariance_m2) + np.linalg.inv(self.alone_m2)).astype(np.float64)
        return joined

    def factor(self, usual: float) -> float:
        """On the covariance: above 1 where fixes surprise more than usual."""
        return (SETTLED + self.surprise / usual) / (SETTLED + 1.0)

    def state(self) -> dict[str, Any]:
        """Plain values and arrays, from which `load` makes the same."""
        return {"surprise": self.surprise, "fixes": self.fixes, "alone_m2": self.alone_m2.copy()}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> "Honesty":
        """What `state` was taken of."""
        return cls(float(state["surprise"]), int(state["fixes"]), np.array(state["alone_m2"], np.float64))
