"""Two bodies that are one person: sensors half a metre apart make two of somebody, and time together tells."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry import Floats
from .looks import bhattacharyya

SECOND_NS = 1_000_000_000
TWIN_M, TWIN_S = 0.9, 1.0  # two bodies this near for this long that no sensor ever saw apart are one,
TWIN_LOOKS = 0.5  # if they look alike (Bhattacharyya distance);
TWIN_BLIND_M = 0.5  # where a radar alone knows one of them, they must be nearer
APART_MEMORY_S = 6.0

Pair = tuple[int, int]  # numbers of two bodies, the older one first


class Twins:
    """Which bodies were seen apart lately, and which have been close together, since when."""

    def __init__(self) -> None:
        self._apart: dict[Pair, int] = {}
        self._near: dict[Pair, int] = {}

    def see(self, t_ns: int, numbers: NDArray[np.int64]) -> None:
        """The bodies that one frame told apart."""
        ordered = sorted(numbers.tolist())
        for index, first in enumerate(ordered):
            for second in ordered[index + 1 :]:
                self._apart[first, second] = t_ns
        horizon = t_ns - round(APART_MEMORY_S * SECOND_NS)
        self._apart = {pair: when for pair, when in self._apart.items() if when >= horizon}

    def found(self, t_ns: int, numbers: NDArray[np.int64], places: Floats, looks: Floats) -> list[Pair]:
        """The pairs that are one person by now, of bodies with these numbers (N,), oldest first, places (N,2) and
        looks (N,256). Each body is in one pair at most."""
        gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
        before, self._near = self._near, {}
        if np.count_nonzero(gaps < TWIN_M) <= len(numbers):  # each is near itself
            return []
        known = looks.max(axis=1) > 0
        alike = (bhattacharyya(looks, looks) < TWIN_LOOKS) & (gaps < TWIN_M)
        candidates = np.where(known[:, None] & known[None, :], alike, gaps < TWIN_BLIND_M)
        found: list[Pair] = []
        absorbed: set[int] = set()
        for i, j in zip(*np.nonzero(np.triu(candidates, 1)), strict=True):
            pair = (int(numbers[i]), int(numbers[j]))
            since = before.get(pair, t_ns)
            if pair in self._apart or absorbed & set(pair):
                continue
            if t_ns - since >= TWIN_S * SECOND_NS:
                found.append(pair)
                absorbed.add(pair[1])
            else:
                self._near[pair] = since
        return found

    @property
    def suspected(self) -> list[int]:
        """The numbers of the bodies that may soon be found to be another one."""
        return [number for pair in self._near for number in pair]

    def state(self) -> dict[str, Any]:
        return {name: [[*pair, when] for pair, when in getattr(self, name).items()] for name in ("_apart", "_near")}

    def load(self, state: dict[str, Any]) -> None:
        for name in ("_apart", "_near"):
            setattr(self, name, {(first, second): when for first, second, when in state[name]})
