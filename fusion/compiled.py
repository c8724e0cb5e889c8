"""The loops of augmentation, compiled by numba (`pip install 'whowhere[fast]'`): the same sums in the same order, so
the same bits, in a fraction of the time where searches are long. numba costs a process some 100 MB and a second (once,
five seconds, to compile into its cache on disk), so nothing imports this but who asks for it. It decides nothing.
"""

from typing import Any

import numpy as np

from . import augmentation
from .augmentation import NO_ASSIGNMENT, Floats, Indices, Search

try:
    from numba import njit  # pyright: ignore[reportMissingImports]
except ImportError:
    njit = None


def compiled(loop: Any) -> Any:
    """`loop` in machine code; as it is, and slower than numpy, where numba is missing."""
    return njit(cache=True)(loop) if njit else loop


class Loops(augmentation.Loops):
    """The loops over a matrix, as augmentation's, compiled. Raises ImportError where numba is missing."""

    def __init__(self) -> None:
        if not njit:
            raise ImportError("compiled loops need numba: pip install 'whowhere[fast]'")

    def add(self, reduced: Floats, delta: Floats, reject: Floats, mates: Indices) -> tuple[Floats, Floats]:
        held, low = np.empty(len(mates)), np.empty(len(mates))
        _add(reduced, delta, reject, mates, held, low)
        return held, low

    def replace(self, reduced: Floats, at: Indices, cost: Floats, potentials: Floats, reject: Floats) -> Floats:
        low = np.empty(len(at))
        _replace(reduced, at, np.ascontiguousarray(cost, np.float64), potentials, reject, low)
        return low

    def lowest(self, reduced: Floats, reject: Floats, held: Floats) -> Floats:
        low = np.empty(len(held))
        _lowest(reduced, reject, held, low)
        return low

    def lower(self, potentials: Floats, cost: Floats, paid: Floats, mates: Indices, least: float) -> None:
        _lower(potentials, np.ascontiguousarray(cost), paid, mates, least)

    def place(
        self, reduced: Floats, reject: Floats, potentials: Floats, mates: Indices, owners: Indices, broken: Indices
    ) -> Floats:
        lift, settled = np.zeros(len(potentials)), np.empty(len(potentials))
        if not _place_rows(reduced, reject, mates, owners, lift, broken):
            raise ValueError(NO_ASSIGNMENT)
        if _settle(reduced, potentials, owners, lift, settled):
            return settled
        search = Search(reduced, reject, potentials, mates, owners)
        search.lift = lift
        return search.settled()  # a column to release: rarely, and in numpy


@compiled
def _nearest(x: Any) -> int:
    """The first least entry, as argmin's, but eight looked at together."""
    least, at, whole = np.inf, 0, len(x) - len(x) % 8
    for j in range(0, whole, 8):
        low = min(
            min(min(x[j], x[j + 1]), min(x[j + 2], x[j + 3])), min(min(x[j + 4], x[j + 5]), min(x[j + 6], x[j + 7]))
        )
        if low < least:
            least, at = low, j
    for j in range(whole, len(x)):
        if x[j] < least:
            least, at = x[j], j
    while x[at] != least:
        at += 1
    return at


@compiled
def _least(row: Any, reject: float) -> float:
    """NaN where there is one."""
    wrong = 0
    for j in range(len(row)):
        wrong += row[j] != row[j]
    if wrong or reject != reject:
        return np.nan
    return min(row[_nearest(row)], reject) if len(row) else reject


@compiled
def _undercut(row: Any, held: float) -> int:
    count = 0
    for j in range(len(row)):
        count += not held <= row[j]  # so that NaN undercuts
    return count


@compiled
def _plus(row: Any, change: Any) -> None:
    for j in range(len(row)):
        row[j] += change[j]


@compiled
def _add(reduced: Any, delta: Any, reject: Any, mates: Any, held: Any, low: Any) -> None:
    for i in range(len(held)):
        _plus(reduced[i], delta[i])
        held[i] = reduced[i, mates[i]] if mates[i] < reduced.shape[1] else reject[i]
        content = held[i] <= reject[i] and _undercut(reduced[i], held[i]) == 0  # found out sooner than the least
        low[i] = held[i] if content else _least(reduced[i], reject[i])


@compiled
def _lowest(reduced: Any, reject: Any, held: Any, low: Any) -> None:
    for i in range(len(held)):
        content = held[i] <= reject[i] and _undercut(reduced[i], held[i]) == 0
        low[i] = held[i] if content else _least(reduced[i], reject[i])


@compiled
def _replace(reduced: Any, at: Any, cost: Any, potentials: Any, reject: Any, low: Any) -> None:
    for k in range(len(at)):
        row = reduced[at[k]]
        for j in range(len(row)):
            row[j] = cost[k, j] - potentials[j]
        low[k] = _least(row, reject[at[k]])


@compiled
def _settle(reduced: Any, potentials: Any, owners: Any, lift: Any, settled: Any) -> bool:
    for j in range(len(lift)):
        if owners[j] < 0 and potentials[j] < lift[j]:
            return False
        settled[j] = potentials[j] - lift[j]
    for i in range(len(reduced)):
        _plus(reduced[i], lift)
    return True


@compiled
def _lower(potentials: Any, cost: Any, paid: Any, mates: Any, least: float) -> None:
    n, m = cost.shape
    owners, offered = np.full(m + 1, -1), np.empty(m)
    for i in range(n):
        owners[mates[i]] = i
    rows, count = np.arange(n), n
    for _ in range(n + 1):
        offered[:] = np.inf
        for i in rows[:count]:
            row, base = cost[i], paid[i] - potentials[mates[i]]
            for j in range(m):
                offered[j] = min(offered[j], row[j] - base)
        count = 0
        for j in range(m):
            if offered[j] < potentials[j] - least and owners[j] >= 0:
                potentials[j] = offered[j]
                rows[count] = owners[j]
                count += 1
        if not count:
            break


@compiled
def _place_rows(reduced: Any, reject: Any, mates: Any, owners: Any, lift: Any, sources: Any) -> bool:
    n, m = reduced.shape
    nearest, closed = np.empty(m), np.empty(m)
    rows, starts, columns, distances = np.empty(n + 1, np.intp), np.empty(n + 1), np.empty(n, np.intp), np.empty(n)
    for source in sources:
        owners[mates[source]] = -1
        mates[source] = m
    for source in sources:
        for j in range(m):
            closed[j] = lift[j]
            nearest[j] = reduced[source, j] + closed[j]
        rows[0], starts[0], reached = source, 0.0, 0
        best, last, end = reject[source], 0, m
        while m:
            column = _nearest(nearest)
            distance = nearest[column]
            if distance > best or distance == np.inf:
                break
            row = owners[column]
            if row < 0:
                best, last, end = distance, reached + 1, column
                break
            start = distance - (reduced[row, column] + closed[column])
            columns[reached], distances[reached] = column, distance
            reached += 1
            rows[reached], starts[reached] = row, start
            if start + reject[row] < best:
                best, last = start + reject[row], reached
            closed[column] = np.inf
            _reach(nearest, reduced[row], closed, start)
            nearest[column] = np.inf
        if best == np.inf:
            return False
        _shift_along_rows(reduced, mates, owners, rows, starts, columns, last, end)
        for k in range(reached):
            lift[columns[k]] += max(best - distances[k], 0.0)
    return True


@compiled
def _reach(nearest: Any, row: Any, closed: Any, start: float) -> None:
    for j in range(len(nearest)):
        nearest[j] = min(nearest[j], (row[j] + closed[j]) + start)


@compiled
def _shift_along_rows(
    reduced: Any, mates: Any, owners: Any, rows: Any, starts: Any, columns: Any, last: int, end: int
) -> None:
    if end == reduced.shape[1]:
        mates[rows[last]] = end
        end = columns[last - 1] if last else end
    while last:
        best, behind = np.inf, last
        last = 0
        for k in range(behind):
            distance = reduced[rows[k], end] + starts[k]
            if distance < best:
                best, last = distance, k
        mates[rows[last]] = end
        owners[end] = rows[last]
        if last:
            end = columns[last - 1]
