"""The loops over a matrix of reduced costs, in numpy, and the shortest augmenting paths among them: one unmatched row
placed, or one unmatched column released. `compiled` has the same loops in numba, with the same results to the bit.
It holds no state between steps and does not decide what to augment: assignment does.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

NO_ASSIGNMENT = "no assignment: a row that must be matched (infinite reject cost) has no column it may take (+inf)"


class Search:
    """Shortest augmenting paths (Dijkstra) over reduced costs; `lift` collects what the potentials fall by.

    Reads `reduced` (n, m), `reject` (n,) and `potentials` (m + 1,); changes `mates` (n,) and `owners` (m + 1,).
    A mate of m is nobody.
    """

    def __init__(self, reduced: Floats, reject: Floats, potentials: Floats, mates: Indices, owners: Indices) -> None:
        self.reduced, self.reject, self.potentials, self.mates, self.owners = reduced, reject, potentials, mates, owners
        self.nobody = reduced.shape[1]
        self.lift = np.zeros(len(potentials))

    def settled(self) -> Floats:
        """The new potentials, after unmatched columns that still have one were released; R follows, in place."""
        for column in np.flatnonzero((self.owners < 0) & (self.potentials < self.lift)).tolist():
            if self.owners[column] < 0:
                self.release_column(column)
        self.reduced += self.lift[:-1]
        return self.potentials - self.lift

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
        tree, distances = np.array(rows), np.array(starts)
        while last:
            last = int((reduced[tree[:last], end] + distances[:last]).argmin())
            mates[rows[last]] = end
            owners[end] = rows[last]
            if last:
                end = columns[last - 1]

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


class Loops:
    """What assignment does to whole matrices: R (n, m) reduced, reject (n,), v (m + 1,) potentials, mates (n,)."""

    def add(self, reduced: Floats, delta: Floats, reject: Floats, mates: Indices) -> tuple[Floats, Floats] | None:
        """R += delta (n, m); and (n,) what each row holds now and the least it could have, if these come with it."""
        np.add(reduced, delta, out=reduced)

    def replace(self, reduced: Floats, at: Indices, cost: Floats, potentials: Floats, reject: Floats) -> Floats:
        """Rows `at` (k,) of R from their costs (k, m); (k,) the least that each could have now."""
        reduced[at] = new = cost - potentials[:-1]
        return _lowest(new, reject[at])

    def lowest(self, reduced: Floats, reject: Floats, held: Floats) -> Floats:
        """(n,) the least that each row, which holds `held`, could have. NaN where there is one."""
        return _lowest(reduced, reject)

    def lower(self, potentials: Floats, cost: Floats, paid: Floats, mates: Indices, least: float) -> None:
        """Lower the potentials, in place, to the nearest at which each row is content with the `mates` it pays `paid`
        for: shortest distances (Bellman-Ford; each round goes on only from the columns lowered in the one before)."""
        owners = np.full(len(potentials), -1, np.intp)
        owners[mates] = rows = np.arange(len(mates))
        for _ in range(len(mates) + 1):
            slack = cost[rows]
            slack -= (paid[rows] - potentials[mates[rows]])[:, None]
            offered = np.minimum.reduce(slack, axis=0)
            lowered = np.flatnonzero((offered < potentials[:-1] - least) & (owners[:-1] >= 0))
            if not lowered.size:
                break
            potentials[lowered] = offered[lowered]
            rows = owners[lowered]

    def place(
        self, reduced: Floats, reject: Floats, potentials: Floats, mates: Indices, owners: Indices, broken: Indices
    ) -> Floats:
        """Place the `broken` rows anew, one after the other; mates, owners and R follow, the new potentials are
        returned. Raises ValueError, with all of these in disorder, if a row cannot be placed."""
        owners[mates[broken]] = -1
        mates[broken] = reduced.shape[1]
        search = Search(reduced, reject, potentials, mates, owners)
        for row in broken.tolist():
            search.place_row(row)
        return search.settled()


def _lowest(reduced: Floats, reject: Floats) -> Floats:
    """(n,) the least of each row; argmin and take, since that is several times faster than min."""
    if not reduced.size:
        return reject
    n, m = reduced.shape
    return np.minimum(reduced.take(np.arange(0, n * m, m) + reduced.argmin(axis=1)), reject)
