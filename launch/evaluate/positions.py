"""How far off published positions are, beside what the same bodies would give if every name were known.

The oracle takes bodies as the engine published them and knows whose each is, so what it lacks is tracking and what the
published names lack beyond it is identity. It is told who is matched with whom; it matches nothing itself.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...messages import Person, Truth
from .distribution import Distribution
from .reliability import Mean


class PositionScore:
    """named: errors of named positions in m; by_state: the same by state; oracle: errors of the oracle."""

    def __init__(self) -> None:
        self.named, self.oracle = Distribution(), Distribution()
        self.by_state: dict[str, Distribution] = {}
        self._track_m, self._beside_oracle = Mean(), Mean()
        self._held: dict[str, NDArray[np.float64]] = {}  # name -> where the oracle has them, now or last

    def hold(self, truth: Truth, tracked: list[Person], owners: dict[int, int]) -> None:
        """Let the oracle see an instant, scored or not: a body found before scoring begins is known afterwards."""
        for row, column in owners.items():
            if truth.enrolled[row]:
                self._held[truth.enrolled[row]] = np.array((tracked[column].x_m, tracked[column].y_m))

    def add(
        self, truth: Truth, people: tuple[Person, ...], tracked: list[Person], owners: dict[int, int], duration_s: float
    ) -> None:
        """One scored instant; owners: {row of truth: index of tracked}."""
        published = {person.id: person for person in people if person.state != "anonymous"}
        for row, name in enumerate(truth.enrolled):
            if name and (person := published.get(name)):
                self._add_named(name, person, truth.position[row], duration_s)
        for row, column in owners.items():
            self._track_m.add(_distance_m(tracked[column], truth.position[row]), duration_s)

    def _add_named(self, name: str, person: Person, where: NDArray[np.float64], duration_s: float) -> None:
        error_m = _distance_m(person, where)
        self.named.add(error_m, duration_s)
        self.by_state.setdefault(person.state, Distribution()).add(error_m, duration_s)
        if name in self._held:
            self.oracle.add(float(np.hypot(*(self._held[name] - where))), duration_s)
            self._beside_oracle.add(error_m, duration_s)

    def result(self) -> dict[str, Any]:
        """position_error_m and its percentiles: from where an identity is published to where its owner is.

        oracle_error_m: from the body matched with the owner, else the last one so matched. error_vs_oracle: the
        published error over the oracle's, both over the time in which both have a position. track_error_m: per body.
        """
        oracle, published = self.oracle.mean(), self._beside_oracle.value()
        return {
            "position_error_m": self.named.mean(),
            "position_error_by_state_m": {state: errors.mean() for state, errors in sorted(self.by_state.items())},
            "position_error_percentiles_m": self.named.percentiles(),
            "oracle_error_m": oracle,
            "error_vs_oracle": round(published / oracle, 4) if oracle and published is not None else None,
            "track_error_m": self._track_m.value(),
        }


def _distance_m(person: Person, where: NDArray[np.float64]) -> float:
    return float(np.hypot(person.x_m - where[0], person.y_m - where[1]))
