"""Who goes with whom at the least total cost, kept up from step to step: column potentials and matching survive, and
only rows whose best choice changed are augmented again. Every row may stay unmatched at its own cost ("nobody"), every
column for free ("no phone"). It knows nothing of phones, bodies or probabilities, and it does not gate: a forbidden
pair is +inf.

Written in numpy alone: a step in which nothing breaks is two passes over the matrix, which numpy does at memory speed.
numba would make the steps in which many rows break several times faster, at 150 MB and 0.4 s for every process that
imports it; for the tens of people of a room a step is 5 to 20 us as it is, which no one would notice.
"""

from collections.abc import Hashable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.optimize import linear_sum_assignment

from .augmentation import NO_ASSIGNMENT, ROUNDING, Floats, Indices, Search

NOT_A_NUMBER = "costs must be numbers above -inf (+inf forbids a pair)"
COARSE = 1e4  # potentials this much above the costs would blur them
MANY, RESTART_SHARE = 12, 0.15  # of all rows broken at once: then a fresh start is cheaper than as many augmentations


class Matching(NamedTuple):
    """The least-cost matching of one step; a value of that step, which later steps leave alone."""

    rows: Sequence[Hashable]
    columns: Sequence[Hashable]
    mates: Indices  # (n,) column index of each row, len(columns) = nobody
    total: float  # the total cost, reject costs of unmatched rows included

    @property
    def pairs(self) -> list[tuple[Hashable, Hashable | None]]:
        """(row key, column key or None) in row order."""
        names = [*self.columns, None]
        return [(row, names[mate]) for row, mate in zip(self.rows, self.mates.tolist(), strict=True)]


class IncrementalAssignment:
    """Minimum-cost assignment that keeps its dual potentials and its matching between steps.

    Invariant between calls, with reduced costs R = C - v and one more column for the reject cost: each row's choice is
    the least entry of its row; v <= 0, and v = 0 on unmatched columns (complementary slackness: the total is optimal).
    Ties are broken by the order of rows and columns. Source: Kuhn 1955, Jonker and Volgenant 1987; warm start as in
    EV-Loc's incremental Hungarian, rows and columns exchanged.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._rows: list[Hashable] = []
        self._columns: list[Hashable] = []
        self._settle_on(np.empty((0, 0)), np.empty(0), np.zeros(1), np.empty(0, np.intp))

    def _settle_on(self, reduced: Floats, reject: Floats, potentials: Floats, mates: Indices) -> None:
        """Take over R (n, m), the reject costs (n,), v (m + 1,), nobody's 0 last, and the mate of each row (n,)."""
        self._reduced, self._reject, self._potentials, self._mates = reduced, reject, potentials, mates
        n, m = reduced.shape
        self._starts = np.arange(n) * m
        self._unmatched = np.flatnonzero(mates == m)
        self._chosen = self._starts + mates
        self._chosen[self._unmatched] = 0
        self._offset = float(potentials[mates].sum())
        self._owed = False  # an unmatched column whose potential is still below 0

    def solve(
        self,
        rows: Sequence[Hashable],
        columns: Sequence[Hashable],
        cost: Floats,
        reject: float | Floats,
    ) -> Matching:
        """The least-cost matching of `cost` (n, m), each row free to pay `reject` (a number or (n,)) for nobody.

        Keys say who is who since the last call; any may appear, vanish, move or change. An infinite reject cost makes a
        row's match compulsory. Raises ValueError for a wrong shape, a repeated key, NaN or -inf, or no match; after
        the last two (here, in `add` and in `replace`) everything is forgotten, and the next `solve` starts afresh.
        """
        rows, columns = list(rows), list(columns)
        cost = np.asarray(cost, np.float64)
        n, m = len(rows), len(columns)
        if cost.shape != (n, m):
            raise ValueError(f"cost has shape {cost.shape}, the keys say ({n}, {m})")
        if rows != self._rows or columns != self._columns:
            self._carry_over(rows, columns)
        np.subtract(cost, self._potentials[:-1], out=self._reduced)
        self._reject = np.broadcast_to(np.asarray(reject, np.float64), (n,)).copy()
        matching = self._repair()
        if n and -self._potentials.min() > COARSE * np.abs(self._held() + self._potentials[self._mates]).max():
            self._restart(cost, warm=False)
            return self._repair()
        return matching

    def add(self, delta: Floats) -> Matching:
        """The matching after C += `delta` (n, m), all else as it was. A forbidden pair stays forbidden."""
        if delta.shape != self._reduced.shape:
            raise ValueError(f"delta has shape {delta.shape}, the matrix {self._reduced.shape}")
        np.add(self._reduced, delta, out=self._reduced)
        return self._repair()

    def replace(self, rows: Sequence[int] | Indices, cost: Floats) -> Matching:
        """The matching after the rows at these positions got new costs `cost` (k, m); only they are looked at."""
        at = np.asarray(rows, np.intp)
        if cost.shape != (len(at), len(self._columns)):
            raise ValueError(f"cost has shape {cost.shape}, the rows need ({len(at)}, {len(self._columns)})")
        if len(set(at.tolist())) < len(at) or (len(at) and not 0 <= at.min() <= at.max() < len(self._rows)):
            raise ValueError(f"rows {at.tolist()} are not different positions below {len(self._rows)}")
        self._reduced[at] = cost - self._potentials[:-1]
        return self._repair(at)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, as plain values and arrays of its own."""
        return {
            "rows": list(self._rows),
            "columns": list(self._columns),
            "reduced": self._reduced.copy(),
            "reject": self._reject.copy(),
            "potentials": self._potentials.copy(),
            "mates": self._mates.copy(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """An instance that goes on exactly as the one that gave `state()`."""
        made = cls()
        made._rows, made._columns = list(state["rows"]), list(state["columns"])
        made._settle_on(
            np.array(state["reduced"], np.float64, order="C"),
            np.array(state["reject"], np.float64),
            np.array(state["potentials"], np.float64),
            np.array(state["mates"], np.intp),
        )
        return made

    def _carry_over(self, rows: list[Hashable], columns: list[Hashable]) -> None:
        """Give each key that stayed its old potential or choice; new columns start at 0, new rows at nobody."""
        n, m = len(rows), len(columns)
        now = {key: j for j, key in enumerate(columns)}
        if len(now) < m or len(set(rows)) < n:
            raise ValueError("the keys of rows and of columns must differ from each other")
        potentials = np.zeros(m + 1)
        for key, potential in zip(self._columns, self._potentials.tolist(), strict=False):
            if key in now:
                potentials[now[key]] = potential
        names = [*self._columns, None]
        chosen = {row: names[j] for row, j in zip(self._rows, self._mates.tolist(), strict=True) if j < len(names) - 1}
        mates = [now.get(chosen[row], m) if row in chosen else m for row in rows]
        self._rows, self._columns = rows, columns
        self._settle_on(np.empty((n, m)), np.empty(n), potentials, np.array(mates, np.intp))
        unmatched = np.ones(m + 1, bool)
        unmatched[mates] = False
        self._owed = bool((potentials[unmatched] < 0).any())

    def _repair(self, at: Indices | None = None) -> Matching:
        """Restore the invariant after costs changed, in all rows or in those `at`."""
        held = self._held()
        low = self._lowest(at)
        fine = (held if at is None else held[at]) <= low
        if self._owed or np.count_nonzero(fine) < len(fine):
            self._refuse_unless_solvable(low)
            broken = np.flatnonzero(~fine)
            self._augment((broken if at is None else at[broken]).tolist())
            held = self._held()
        paid = float(np.add.reduce(held))
        if not isfinite(paid):
            self._forget()
            raise ValueError(NO_ASSIGNMENT if paid > 0 else NOT_A_NUMBER)
        return Matching(self._rows, self._columns, self._mates, paid + self._offset)

    def _held(self) -> Floats:
        """(n,) what each row's present choice costs it, reduced."""
        if self._unmatched.size == len(self._mates):
            return self._reject.copy()
        held = self._reduced.take(self._chosen)
        if self._unmatched.size:
            held[self._unmatched] = self._reject[self._unmatched]
        return held

    def _lowest(self, at: Indices | None) -> Floats:
        """The least that each row could have, reduced; argmin and take, since that is several times faster than min."""
        if at is None:
            reduced, reject, starts = self._reduced, self._reject, self._starts
        else:
            reduced, reject, starts = self._reduced[at], self._reject[at], self._starts[: len(at)]
        if not reduced.size:
            return reject
        return np.minimum(reduced.take(starts + reduced.argmin(axis=1)), reject)

    def _refuse_unless_solvable(self, low: Floats) -> None:
        """NaN and -inf come out as row minima; +inf there is a row that can have nothing at all."""
        worst = np.add.reduce(low)
        if not isfinite(worst):
            self._forget()
            raise ValueError(NO_ASSIGNMENT if worst > 0 else NOT_A_NUMBER)

    def _augment(self, broken: list[int]) -> None:
        n, m = self._reduced.shape
        if len(broken) > max(MANY, RESTART_SHARE * n):
            self._restart(self._reduced + self._potentials[:-1], warm=True)
            return
        mates = self._mates.copy()
        mates[broken] = m
        owners = np.full(m + 1, -1, np.intp)
        owners[mates] = np.arange(n)
        owners[m] = -1
        search = Search(self._reduced, self._reject, self._potentials, mates, owners)
        try:
            for row in broken:
                search.place_row(row)
        except ValueError:
            self._forget()
            raise
        for column in np.flatnonzero((owners[:m] < 0) & (self._potentials[:m] - search.lift[:m] < 0)).tolist():
            if owners[column] < 0:
                search.release_column(column)
        self._reduced += search.lift[:m]
        self._settle_on(self._reduced, self._reject, self._potentials - search.lift, mates)

    def _restart(self, cost: Floats, warm: bool) -> None:
        """Solve afresh where most rows changed, or where the potentials dwarf the costs."""
        n, m = cost.shape
        reject = self._reject[:, None]
        compulsory = np.isinf(reject)
        potentials = np.zeros(m + 1)
        if not compulsory.any():
            wide = np.minimum(cost - reject, 0.0)  # a pair that gains nothing is no pair
        elif compulsory.all() and n <= m:
            wide = cost
            if n == m and warm:
                wide, potentials = self._reduced, self._potentials.copy()
        else:
            wide = np.hstack((cost, np.where(np.eye(n, dtype=bool), reject, np.inf)))
        try:
            rows, columns = linear_sum_assignment(wide)
        except ValueError as error:
            self._forget()
            raise ValueError(NO_ASSIGNMENT) from error
        mates = np.full(n, m, np.intp)
        mates[rows] = np.minimum(columns, m)
        if not compulsory.any():
            mates[rows[wide[rows, columns] >= 0.0]] = m
        self._derive(cost, self._reject, mates, potentials)

    def _derive(self, cost: Floats, reject: Floats, mates: Indices, potentials: Floats) -> None:
        """Settle on an optimal matching: lower the potentials (m + 1,) to the nearest feasible ones, which are shortest
        distances (Bellman-Ford; each round goes on only from the columns lowered in the one before)."""
        n, m = cost.shape
        owners = np.full(m + 1, -1, np.intp)
        owners[mates] = np.arange(n)
        paid = np.where(mates < m, cost[np.arange(n), np.minimum(mates, m - 1)], reject) if m else reject
        least = ROUNDING * max(-potentials.min(), np.abs(paid).max())
        rows = np.arange(n)
        for _ in range(n + 1):
            slack = cost[rows]
            slack -= (paid[rows] - potentials[mates[rows]])[:, None]
            offered = np.minimum.reduce(slack, axis=0)
            lowered = np.flatnonzero((offered < potentials[:-1] - least) & (owners[:-1] >= 0))
            if not lowered.size:
                break
            potentials[lowered] = offered[lowered]
            rows = owners[lowered]
        self._settle_on(cost - potentials[:-1], reject.copy(), potentials, mates)
