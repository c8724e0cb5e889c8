"""How much a box is to be believed: its score beside what its camera's detector usually says of people.

A detector's scores have a scale of their own, so what is usual is learnt, camera by camera, from the boxes that found
bodies already believed. A box of half the usual score and more is as good as any; a poor one may tell where a known
body is, if it fits well, but does little or nothing to begin one: HOG's false alarms stand in one place for seconds.
Of the poorest, two in five (drawn people) to seven in ten (PETS) were somebody (docs/fusion.md).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry import Floats

USUAL_FIRST, FIRST_COUNT = 1.9, 20.0  # HOG's margin for people, and how many boxes that counts as
RATE = 0.005  # once 200 boxes are known, the last 200 count
DOUBTED, TRUSTED = 0.3, 0.8  # shares of the usual score between which doubt falls from MOST_DOUBT to none
MOST_DOUBT = 6.0  # in the tracker's cost, twice nats
NO_BIRTH, FULL_BIRTH = 0.1, 0.5  # and between which a sighting begins to count towards a new body, up to wholly


class Sureness:
    """Per camera the usual score of people. A detector of another scale than HOG's is known by its best score, which
    stays below HOG's usual one."""

    def __init__(self) -> None:
        self._usual: dict[str, tuple[float, float, float]] = {}  # score, of how many boxes, and the best of all boxes

    def of(self, source: str, score: Floats) -> Floats:
        """Scores (N,) in shares of the usual one; all 1 for a detector that gives nobody a score above 0."""
        usual, _, best = self._known(source)
        usual = min(usual, max([best, *score.tolist()]))
        return score / usual if usual > 0 else np.ones(len(score))

    def learn(self, source: str, score: Floats, believed: NDArray[np.intp]) -> None:
        """From a frame's scores (N,), and the rows of those whose boxes found believed bodies."""
        usual, count, best = self._known(source)
        for each in score[believed].tolist():
            count += 1
            usual += max(1 / count, RATE) * (each - usual)
        self._usual[source] = usual, count, max([best, *score.tolist()])

    def _known(self, source: str) -> tuple[float, float, float]:
        return self._usual.get(source, (USUAL_FIRST, FIRST_COUNT, 0.0))

    def state(self) -> dict[str, Any]:
        return {source: list(known) for source, known in self._usual.items()}

    def load(self, state: dict[str, Any]) -> None:
        self._usual = {source: (usual, count, best) for source, (usual, count, best) in state.items()}


def doubt(share: Floats) -> Floats:
    """What it costs to give a body boxes of these shares (N,) of the usual score."""
    return MOST_DOUBT * (1 - np.clip((share - DOUBTED) / (TRUSTED - DOUBTED), 0, 1))


def births(share: Floats) -> Floats:
    """How much such boxes (N,) count towards a new body, 0 to 1."""
    return np.clip((share - NO_BIRTH) / (FULL_BIRTH - NO_BIRTH), 0, 1)
