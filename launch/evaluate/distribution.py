"""How a weighted quantity is spread: mean, percentiles and the cumulative curve, such as of position errors in m.

Arithmetic only; values and weights stay in memory, 16 bytes each.
"""

from array import array

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (50, 67, 90, 95)


class Distribution:
    """Values weighted by seconds, so that a session's rate of scenes does not matter."""

    def __init__(self) -> None:
        self._values, self._weights = array("d"), array("d")

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float, weight: float) -> None:
        """A weight of zero or less adds nothing."""
        if weight > 0:
            self._values.append(value)
            self._weights.append(weight)

    @property
    def weight(self) -> float:
        return float(np.sum(self._weights))

    def mean(self, digits: int = 4) -> float | None:
        """None without any weight: an unmeasured score is not a zero."""
        return round(float(np.average(self._values, weights=self._weights)), digits) if self._values else None

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The cumulative distribution: values (N,), ascending, and the share of the weight at or below each (N,)."""
        values, weights = np.array(self._values), np.array(self._weights)
        order = np.argsort(values, kind="stable")
        below = np.cumsum(weights[order])
        return values[order], below / below[-1] if len(below) else below

    def percentiles(self, digits: int = 4) -> dict[str, float | None]:
        """{"50": value, ...}: the smallest value that at least so many percent of the weight do not exceed."""
        values, share = self.curve()
        if not len(values):
            return dict.fromkeys(map(str, PERCENTILES))
        places = np.searchsorted(share, np.array(PERCENTILES) / 100 - 1e-9)
        return {str(p): round(float(values[place]), digits) for p, place in zip(PERCENTILES, places, strict=True)}
