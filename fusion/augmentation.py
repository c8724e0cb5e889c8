"""Shortest augmenting paths over a matrix of reduced costs: one unmatched row placed, or one unmatched column released.
It holds no state between steps and does not decide what to augment: assignment does.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

NO_ASSIGNMENT = "no assignment: a row that must be matched (infinite reject cost) has no column it may take (+inf)"


FEW = 8  # rows searched one by one before the search goes on in waves
ROUNDING = 8 * np.finfo(np.float64).eps


class Search:
    """Shortest augmenting paths (Dijkstra) over reduced costs; `lift` collects what the potentials fall by.

    Reads `reduced` (n, m + 1) and `potentials` (m + 1,), changes `mates` (n,) and `owners` (m + 1,) in place.
    """

    def __init__(self, reduced: Floats, potentials: Floats, mates: Indices, owners: Indices) -> None:
        self.reduced, self.potentials, self.mates, self.owners = reduced, potentials, mates, owners
        self.nobody = reduced.shape[1] - 1
        self.lift = np.zeros(len(potentials))

    def place_row(self, source: int) -> None:
        """Find the unmatched row `source` a column, or a row (itself perhaps) to be nobody's, at the least cost."""
        reduced, owners, closed = self.reduced, self.owners, self.lift.copy()
        nearest = reduced[source] + closed
        rows, starts, columns, distances = [source], [0.0], [], []
        while True:
            end = int(nearest.argmin())
            distance = nearest.item(end)
            row = owners.item(end)
            if row < 0 or distance == np.inf:
                break
            if len(rows) == FEW and self._place_in_waves(source):
                return
            start = distance - (reduced.item(row, end) + closed.item(end))
            rows.append(row)
            starts.append(start)
            columns.append(end)
            distances.append(distance)
            closed[end] = np.inf
            through = reduced[row] + closed
            through += start
            np.minimum(nearest, through, out=nearest)
            nearest[end] = np.inf
        if distance == np.inf:
            raise ValueError(NO_ASSIGNMENT)
        self._shift_along_rows(rows, starts, columns, end)
        for column, nearer in zip(columns, distances, strict=True):
            self.lift[column] += distance - nearer
        self.lift[self.nobody] = 0.0

    def _place_in_waves(self, source: int) -> bool:
        """For a long search: all rows reached anew at once. False if rounding kept it busy."""
        reduced, owners, lift = self.reduced, self.owners, self.lift
        ends = np.flatnonzero(owners < 0)
        nearest = reduced[source] + lift
        origins = np.full(len(nearest), source)
        bound = nearest[ends].min()
        least = ROUNDING * max(-self.potentials.min(), abs(nearest.min()))
        reached = np.flatnonzero(nearest < bound)
        for _ in range(len(self.mates) + 1):
            if not reached.size:
                break
            rows = owners[reached]
            block = reduced[rows]
            starts = nearest[reached] - (reduced[rows, reached] + lift[reached])
            block += starts[:, None]
            through = np.minimum.reduce(block, axis=0) + lift
            better = np.flatnonzero(through < np.minimum(nearest, bound) - least)
            origins[better] = rows[block[:, better].argmin(axis=0)]
            nearest[better] = through[better]
            bound = nearest[ends].min()
            reached = better[nearest[better] < bound]
        end = int(ends[nearest[ends].argmin()])
        path = self._walk_back(origins, end, source)
        if reached.size or bound == np.inf or not path:
            return False
        for row, column in path:
            self.mates[row] = column
            self.owners[column] = row
        self.owners[self.nobody] = -1
        lift += np.maximum(bound - nearest, 0.0)
        return True

    def _walk_back(self, origins: Indices, end: int, source: int) -> list[tuple[int, int]]:
        """(row, its new column) from `end` back to `source`; empty if the tree is none."""
        path: list[tuple[int, int]] = []
        while len(path) <= len(self.mates):
            row = origins.item(end)
            path.append((row, end))
            if row == source:
                return path
            end = self.mates.item(row)
        return []

    def _shift_along_rows(self, rows: list[int], starts: list[float], columns: list[int], end: int) -> None:
        """Hand `end` to the row it was reached from, that row's column to the one before, back to the source."""
        reduced, mates, owners = self.reduced, self.mates, self.owners
        last = len(rows)
        while last:
            reached = [reduced.item(row, end) + start for row, start in zip(rows[:last], starts, strict=False)]
            last = reached.index(min(reached))
            mates[rows[last]] = end
            if end != self.nobody:
                owners[end] = rows[last]
            if last:
                end = columns[last - 1]

    def release_column(self, source: int) -> None:
        """Raise the potential of the unmatched column `source` to 0, or find it (or another in turn) a row."""
        reduced, mates, lift, value = self.reduced, self.mates, self.lift, self.potentials
        held = reduced[np.arange(len(mates)), mates] + lift[mates]
        nearest = reduced[:, source] + lift[source] - held
        columns, starts, rows, distances = [source], [0.0], [], []
        best, end = lift.item(source) - value.item(source), 0
        row, free = -1, False
        while nearest.size:
            row = int(nearest.argmin())
            distance = nearest.item(row)
            if distance >= best:
                break
            column = mates.item(row)
            if free := column == self.nobody:
                best = distance
                break
            rows.append(row)
            distances.append(distance)
            columns.append(column)
            starts.append(distance)
            held[row] = -np.inf
            np.minimum(nearest, reduced[:, column] + (lift[column] + distance) - held, out=nearest)
            nearest[row] = np.inf
            if distance + lift.item(column) - value.item(column) < best:
                best, end = distance + lift.item(column) - value.item(column), len(rows)
        self._shift_along_columns(columns, starts, rows, len(columns) if free else end, row)
        lift[source] -= best
        for column, nearer in zip(columns[1:], distances, strict=True):
            lift[column] -= max(best - nearer, 0.0)
        if not free:
            lift[columns[end]] = value[columns[end]]

    def _shift_along_columns(
        self, columns: list[int], starts: list[float], rows: list[int], last: int, row: int
    ) -> None:
        """Give up column `last` of the tree (past its end: `row` was unmatched), and hand on back to the source."""
        if last < len(columns):
            self.owners[columns[last]] = -1
            row = rows[last - 1] if last else -1
        while last:
            reached = [
                self.reduced.item(row, column) + self.lift.item(column) + start
                for column, start in zip(columns[:last], starts, strict=False)
            ]
            last = reached.index(min(reached))
            self.mates[row] = columns[last]
            self.owners[columns[last]] = row
            row = rows[last - 1] if last else -1
