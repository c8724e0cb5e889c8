"""How much a box is to be believed: its score beside what its camera's detector usually says of people.

A detector's scores have a scale of their own, so what is usual is learnt, camera by camera, from the boxes that found
bodies already believed. A box of half the usual score and more is as good as any; a poor one may tell where a known
body is, if it fits well, but does little or nothing to begin one: HOG's false alarms stand in one place for seconds.
Of the poorest, two in five (drawn people) to seven in ten (PETS) were somebody (docs/fusion.md).
"""

from typing import Any

import numpy as np

from .geometry import Floats

USUAL_FIRST, FIRST_COUNT = 1.9, 20  # HOG's margin for people, and how many boxes that counts as
RATE = 0.005  # once 200 boxes are known, the last 200 count
DOUBTED, TRUSTED = 0.3, 0.8  # shares of the usual score between which doubt falls from MOST_DOUBT to none
MOST_DOUBT = 6.0  # in the tracker's cost, twice nats
NO_BIRTH, FULL_BIRTH = 0.1, 0.5  # and between which a sighting begins to count towards a new body, up to wholly


class Sureness:
    """Per camera the usual score of people."""

    def __init__(self) -> None:
        self._usual: dict[str, tuple[float, float]] = {}  # score, and of how many boxes

    def of(self, source: str, score: Floats) -> Floats:
        """Scores (N,) in shares of the usual one."""
        usual, _ = self._usual.get(source, (USUAL_FIRST, 0))
        return score / max(usual, 1e-6)

    def learn(self, source: str, score: Floats) -> None:
        """Of boxes that found believed bodies: scores (N,)."""
        usual, count = self._usual.get(source, (USUAL_FIRST, float(FIRST_COUNT)))
        for each in score.tolist():
            count += 1
            usual += max(1 / count, RATE) * (each - usual)
        self._usual[source] = usual, count

    def state(self) -> dict[str, Any]:
        return {source: list(usual) for source, usual in self._usual.items()}

    def load(self, state: dict[str, Any]) -> None:
        self._usual = {source: (usual, count) for source, (usual, count) in state.items()}


def doubt(share: Floats) -> Floats:
    """What it costs to give a body boxes of these shares (N,) of the usual score."""
    return MOST_DOUBT * (1 - np.clip((share - DOUBTED) / (TRUSTED - DOUBTED), 0, 1))


def births(share: Floats) -> Floats:
    """How much such boxes (N,) count towards a new body, 0 to 1."""
    return np.clip((share - NO_BIRTH) / (FULL_BIRTH - NO_BIRTH), 0, 1)
