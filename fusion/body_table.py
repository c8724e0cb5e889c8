"""What the tracker knows of the bodies that it follows: one row a body, one array for each thing known.

How rows come and go, and how they are saved and told of, is written here once for all the arrays; when that happens,
and what the numbers mean, is the tracker's business.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .changes import Change, Kind


class BodyTable:
    """Bodies, oldest first. Row i: `number[i]`, its filter `mean[i]` (4,) and `covariance[i]` (4,4), and so on."""

    def __init__(self, count: int = 0) -> None:
        """count: of rows to begin with, of bodies of which nothing is known yet."""
        self.number = np.zeros(count, np.int64)
        self.mean = np.zeros((count, 4))
        self.covariance = np.zeros((count, 4, 4))
        self.weight = np.zeros(count)
        self.confirmed = np.zeros(count, bool)
        self.born_ns = np.zeros(count, np.int64)
        self.seen_ns = np.zeros(count, np.int64)
        self.faced_ns = np.zeros(count, np.int64)  # when a camera last saw it
        self.missed_s = np.zeros(count)  # for how long cameras have looked at it in vain
        self.heading = np.zeros(count)  # rad from +x, of the last walking: who stands keeps facing as they came
        self.looks = np.zeros((count, 256))  # learnt while alone
        self.recent = np.zeros((count, 256))  # of the last sightings
        self.sources: list[dict[str, int]] = [{} for _ in range(count)]  # per body, when each sensor last saw it

    def append(self, new: "BodyTable") -> None:
        """Add another table's rows behind these."""
        for name in _ARRAYS:
            setattr(self, name, np.concatenate((getattr(self, name), getattr(new, name))))
        self.sources.extend(new.sources)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Drop all rows but those marked (bodies,)."""
        for name in _ARRAYS:
            setattr(self, name, getattr(self, name)[rows])
        self.sources = [sources for sources, kept in zip(self.sources, rows, strict=True) if kept]

    def change(self, kind: Kind, row: int, t_ns: int, other: int = -1) -> Change:
        """What happens at `t_ns` to the body of a row, with a copy of what is known of it."""
        return Change(
            kind,
            int(self.number[row]),
            t_ns,
            int(self.seen_ns[row]),
            self.mean[row].copy(),
            self.covariance[row].copy(),
            self.looks[row].copy(),
            other,
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that is known, by name, but `sources`."""
        return {name: getattr(self, name) for name in _ARRAYS}

    def load(self, state: dict[str, Any]) -> None:
        """Take over saved `arrays()` and `sources`. Raises KeyError where one is missing."""
        for name in _ARRAYS:
            setattr(self, name, state[name])
        self.sources = [dict(sources) for sources in state["sources"]]


_ARRAYS = tuple(name for name, value in vars(BodyTable()).items() if isinstance(value, np.ndarray))
