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

    Reads `reduced` (n, m), `reject` (n,) and `potentials` (m + 1,); changes `mates` (n,) and `owners` (m + 1,).
    A mate of m is nobody.
    """

    def __init__(self, reduced: Floats, reject: Floats, potentials: Floats, mates: Indices, owners: Indices) -> None:
        self.reduced, self.reject, self.potentials, self.mates, self.owners = reduced, reject, potentials, mates, owners
        self.nobody = reduced.shape[1]
        self.lift = np.zeros(len(potentials))

    def place_row(self, source: int) -> None:
        """Find the unmatched row `source` a column, or a row (itself perhaps) to be nobody's, at the least cost."""
        reduced, reject, owners, closed = self.reduced, self.reject, self.owners, self.lift[:-1].copy()
        nearest = reduced[source] + closed
        rows, starts, columns, distances = [source], [0.0], [], []
        best, last, end = reject.item(source), 0, self.nobody
        while nearest.size:
            column = int(nearest.argmin())
            distance = nearest.item(column)
            if distance > best or distance == np.inf:
                break
            row = owners.item(column)
            if row < 0:
                best, last, end = distance, len(rows), column
                break
            if len(rows) == FEW and self._place_in_waves(source):
                return
            start = distance - (reduced.item(row, column) + closed.item(column))
            if start + reject.item(row) < best:
                best, last = start + reject.item(row), len(rows)
            rows.append(row)
            starts.append(start)
            columns.append(column)
            distances.append(distance)
            closed[column] = np.inf
            through = reduced[row] + closed
            through += start
            np.minimum(nearest, through, out=nearest)
            nearest[column] = np.inf
        if best == np.inf:
            raise ValueError(NO_ASSIGNMENT)
        self._shift_along_rows(rows, starts, columns, last, end)
        for column, nearer in zip(columns, distances, strict=True):
            self.lift[column] += max(best - nearer, 0.0)

    def _shift_along_rows(self, rows: list[int], starts: list[float], columns: list[int], last: int, end: int) -> None:
        """Give `end` to the row it was reached from, that row's column to the one before, back to the source; where
        `end` is nobody, row `last` of the tree begins."""
        reduced, mates, owners = self.reduced, self.mates, self.owners
        if end == self.nobody:
            mates[rows[last]] = end
            end = columns[last - 1] if last else end
        while last:
            reached = [reduced.item(row, end) + start for row, start in zip(rows[:last], starts, strict=False)]
            last = reached.index(min(reached))
            mates[rows[last]] = end
            owners[end] = rows[last]
            if last:
                end = columns[last - 1]

    def _place_in_waves(self, source: int) -> bool:
        """For a long search: all rows reached anew at once. False if rounding kept it busy."""
        reduced, reject, owners, lift = self.reduced, self.reject, self.owners, self.lift[:-1]
        free = np.flatnonzero(owners[:-1] < 0)
        nearest = reduced[source] + lift
        origins = np.full(len(nearest), source)
        best, leaver = reject.item(source), source
        bound = min(best, nearest[free].min(initial=np.inf))
        least = ROUNDING * max(-self.potentials.min(), abs(nearest.min()))
        reached = np.flatnonzero(nearest < bound)
        for _ in range(len(self.mates) + 1):
            reached = reached[owners[reached] >= 0]
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
            leaving = starts + reject[rows]
            if leaving.min() < best:
                best, leaver = leaving.min(), rows.item(leaving.argmin())
            bound = min(best, nearest[free].min(initial=np.inf))
            reached = better[nearest[better] < bound]
        if reached.size or bound == np.inf:
            return False
        return self._take_path(origins, source, leaver if best == bound else -1, nearest, bound)

    def _take_path(self, origins: Indices, source: int, leaver: int, nearest: Floats, bound: float) -> bool:
        """Shift along the tree of `origins` from the nearest free column, or from the row that turns to nobody."""
        path: list[tuple[int, int]] = []
        row, column = leaver, self.nobody
        if leaver < 0:
            free = np.flatnonzero(self.owners[:-1] < 0)
            column = int(free[nearest[free].argmin()])
            row = origins.item(column)
        path.append((row, column))
        while row != source:
            column = self.mates.item(row)
            row = origins.item(column)
            path.append((row, column))
            if len(path) > len(self.mates):
                return False
        for row, column in path:
            self.mates[row] = column
            self.owners[column] = row
        self.lift[:-1] += np.maximum(bound - nearest, 0.0)
        return True

    def release_column(self, source: int) -> None:
        """Raise the potential of the unmatched column `source` to 0, or find it (or another in turn) a row."""
        reduced, mates, lift, value = self.reduced, self.mates, self.lift, self.potentials
        held = self.reject.copy()
        matched = np.flatnonzero(mates < self.nobody)
        held[matched] = reduced[matched, mates[matched]] + lift[mates[matched]]
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
