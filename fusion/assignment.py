"""Who goes with whom at the least total cost, kept up from step to step: column potentials and matching survive, and
only rows whose best choice changed are augmented again. Every row may stay unmatched at its own cost ("nobody"), every
column for free ("no phone"). It knows nothing of phones, bodies or probabilities, and it does not gate: a forbidden
pair is +inf.

The loops are numpy's by default: for the tens of people of a room a step is 5 to 20 us, which no one would notice.
For hundreds, `IncrementalAssignment(compiled.Loops())` gives the same results to the bit in three quarters of the time,
in a fifth to an eighth where rows start again from nothing; numba, which that takes, costs a process 100 MB and 1 s.
"""

from collections.abc import Hashable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.optimize import linear_sum_assignment

from .augmentation import NO_ASSIGNMENT, Floats, Indices, Loops

ROUNDING = 8 * np.finfo(np.float64).eps

NOT_A_NUMBER = "costs must be numbers above -inf (+inf forbids a pair)"
COARSE = 1e4  # potentials this much above the costs would blur them
MANY, RESTART_SHARE = 12, 0.2  # of all rows broken at once: then a fresh start is cheaper than as many augmentations


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

    def __init__(self, loops: Loops | None = None) -> None:
        """`loops`: `compiled.Loops()` for the same results sooner, at numba's price; numpy's otherwise."""
        self._loops = loops or Loops()
        self._forget()

    def _forget(self) -> None:
        self._rows: list[Hashable] = []
        self._columns: list[Hashable] = []
        self._settle_on(np.empty((0, 0)), np.empty(0), np.zeros(1), np.empty(0, np.intp))

    def _settle_on(self, reduced: Floats, reject: Floats, potentials: Floats, mates: Indices) -> None:
        """Take over R (n, m), the reject costs (n,), v (m + 1,), nobody's 0 last, and the mate of each row (n,)."""
        self._reduced, self._reject = reduced, reject
        n, m = reduced.shape
        self._starts = np.arange(n) * m
        self._owners = np.full(m + 1, -1, np.intp)  # the row of each column; nobody has none
        self._owners[mates] = np.arange(n)
        self._owners[m] = -1
        self._owed = False  # an unmatched column whose potential is still below 0
        self._loose = False  # v = 0 and R = C, which prove nothing: the next step starts cold
        self._mate(potentials, mates)

    def _mate(self, potentials: Floats, mates: Indices) -> None:
        self._potentials, self._mates = potentials, mates
        self._unmatched = np.flatnonzero(mates == len(potentials) - 1)
        self._chosen = self._starts + mates
        if self._unmatched.size:
            self._chosen[self._unmatched] = 0
        self._offset = float(np.add.reduce(potentials.take(mates)))

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
        matching = self._repair(self._held())
        if n and -self._potentials.min() > COARSE * np.abs(self._held() + self._potentials[self._mates]).max():
            self._restart(cost.copy())
            return self._priced(self._held())
        return matching

    def add(self, delta: Floats) -> Matching:
        """The matching after C += `delta` (n, m), all else as it was. A forbidden pair stays forbidden."""
        if delta.shape != self._reduced.shape:
            raise ValueError(f"delta has shape {delta.shape}, the matrix {self._reduced.shape}")
        seen = self._loops.add(self._reduced, delta, self._reject, self._mates)
        return self._repair(*(seen or (self._held(),)))

    def replace(self, rows: Sequence[int] | Indices, cost: Floats) -> Matching:
        """The matching after the rows at these positions got new costs `cost` (k, m); only they are looked at."""
        at = np.asarray(rows, np.intp)
        if cost.shape != (len(at), len(self._columns)):
            raise ValueError(f"cost has shape {cost.shape}, the rows need ({len(at)}, {len(self._columns)})")
        places = at.tolist()
        if places and (len(set(places)) < len(places) or min(places) < 0 or max(places) >= len(self._rows)):
            raise ValueError(f"rows {places} are not different positions below {len(self._rows)}")
        low = self._loops.replace(self._reduced, at, cost, self._potentials, self._reject)
        held = self._held()
        if self._loose:
            return self._repair(held)
        fine = held[at] <= low
        if np.count_nonzero(fine) == len(fine):
            return self._priced(held)
        held[at] = low
        return self._augment(at[~fine], held)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, as plain values and arrays of its own."""
        state = {
            "rows": list(self._rows),
            "columns": list(self._columns),
            "reduced": self._reduced.copy(),
            "reject": self._reject.copy(),
            "potentials": self._potentials.copy(),
            "mates": self._mates.copy(),
        }
        return state | {"loose": True} if self._loose else state

    @classmethod
    def from_state(cls, state: Mapping[str, Any], loops: Loops | None = None) -> Self:
        """An instance that goes on exactly as the one that gave `state()`, whatever loops either has."""
        made = cls(loops)
        made._rows, made._columns = list(state["rows"]), list(state["columns"])
        made._settle_on(
            np.array(state["reduced"], np.float64, order="C"),
            np.array(state["reject"], np.float64),
            np.array(state["potentials"], np.float64),
            np.array(state["mates"], np.intp),
        )
        made._loose = bool(state.get("loose", False))
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
        self._rows, self._columns, loose = rows, columns, self._loose and n > 0
        self._settle_on(np.empty((n, m)), np.empty(n), potentials, np.array(mates, np.intp))
        unmatched = np.ones(m + 1, bool)
        unmatched[mates] = False
        self._owed, self._loose = bool((potentials[unmatched] < 0).any()), loose

    def _repair(self, held: Floats, low: Floats | None = None) -> Matching:
        """Restore the invariant after costs changed: rows hold `held`, the least they could have may be known."""
        if low is None:
            low = self._loops.lowest(self._reduced, self._reject, held)
        if self._loose:
            self._refuse_unless_solvable(low)
            self._restart(self._reduced)
            return self._priced(self._held())
        fine = held <= low  # NaN never is
        if not self._owed and np.count_nonzero(fine) == len(fine):
            return self._priced(held)
        return self._augment(np.flatnonzero(~fine), low)

    def _priced(self, held: Floats) -> Matching:
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

    def _refuse_unless_solvable(self, low: Floats) -> None:
        """NaN and -inf come out as the least of a row; +inf there is a row that can have nothing at all."""
        worst = np.add.reduce(low)
        if not isfinite(worst):
            self._forget()
            raise ValueError(NO_ASSIGNMENT if worst > 0 else NOT_A_NUMBER)

    def _augment(self, broken: Indices, low: Floats) -> Matching:
        """Place the broken rows anew, or all afresh if they are many; `low` is the least that each row could have."""
        self._refuse_unless_solvable(low)
        if len(broken) > self._many():
            self._restart(self._reduced + self._potentials[:-1])
            return self._priced(self._held())
        mates = self._mates.copy()
        try:
            potentials = self._loops.place(self._reduced, self._reject, self._potentials, mates, self._owners, broken)
        except ValueError:
            self._forget()
            raise
        self._owed = False
        self._mate(potentials, mates)
        return self._priced(self._held())

    def _many(self) -> float:
        return max(MANY, RESTART_SHARE * len(self._rows))

    def _restart(self, cost: Floats) -> None:
        """Solve afresh where most rows changed, or where the potentials dwarf the costs. While the matching itself is
        in flux, proving it would cost more than the proof could save in the next step: it is left loose."""
        n, m = cost.shape
        mates = self._solved_cold(cost)
        changed = np.count_nonzero(mates != self._mates)
        settled = self._unmatched.size == n or changed <= self._many()
        potentials = np.zeros(m + 1)
        if settled and m:
            paid = np.where(mates < m, cost[np.arange(n), np.minimum(mates, m - 1)], self._reject)
            self._loops.lower(potentials, cost, paid, mates, ROUNDING * np.abs(paid).max())
            cost -= potentials[:-1]
        self._settle_on(cost, self._reject, potentials, mates)
        self._loose = not settled

    def _solved_cold(self, cost: Floats) -> Indices:
        """(n,) the mates of a least-cost matching, by scipy."""
        n, m = cost.shape
        reject = self._reject[:, None]
        compulsory = np.isinf(reject)
        if not compulsory.any():
            wide = np.minimum(cost - reject, 0.0)  # a pair that gains nothing is no pair
        elif compulsory.all() and n <= m:
            wide = cost
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
        return mates
