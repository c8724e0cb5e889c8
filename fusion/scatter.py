"""How much farther a sensor's detections scatter around bodies than its kind is known for: learnt, each sensor its own.

A detector may place feet worse than HOG, and a calibration may be poor; held to the noise of its kind, such a sensor
finds bodies anew that are there already. The covariance of an innovation is that of the prediction plus the sensor's
noise (Bar-Shalom, Li and Kirubarajan 2001, section 5.4): the innovations of bodies that nobody else is near tell how
large that is. Nobody is believed to scatter less than their kind: boxes err alike from frame to frame, which looks so.
"""

from typing import Any

import numpy as np

from .geometry import Floats

FIRST_COUNT = 100.0  # how many sightings the noise of the kind counts as
RATE = 0.002  # once 500 sightings are known, the last 500 count
LEAST, MOST = 1.0, 6.0  # of the variance
STRAY = 12.0  # one sighting says no more: it may be somebody else's
_UNKNOWN = (1.0, FIRST_COUNT)


class Scatter:
    """Per sensor the factor of its detections' covariances, from 1 to MOST."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, float]] = {}  # the factor, and of how many sightings

    def of(self, source: str) -> float:
        factor, _ = self._known.get(source, _UNKNOWN)
        return min(max(factor, LEAST), MOST)

    def learn(self, source: str, apart: Floats, predicted: Floats, noise: Floats) -> None:
        """From sightings `apart` (N,2) m from where bodies were predicted, the covariances (N,2,2) m2 of those
        predictions, and those of the sightings, `of` times their kind's: E[v' R^-1 v] = tr(R^-1 P) + 2 k."""
        factor, count = self._known.get(source, _UNKNOWN)
        inverse = np.linalg.inv(noise / self.of(source))
        far = np.einsum("ni,nij,nj->n", apart, inverse, apart)
        expected = np.einsum("nij,nji->n", inverse, predicted)
        for said in np.minimum((far - expected) / 2, STRAY).tolist():
            count += 1
            factor += max(1 / count, RATE) * (said - factor)
        self._known[source] = factor, count

    def state(self) -> dict[str, Any]:
        return {source: list(known) for source, known in self._known.items()}

    def load(self, state: dict[str, Any]) -> None:
        self._known = {source: (factor, count) for source, (factor, count) in state.items()}
