"""The incremental assignment against cold solves of the padded matrix, over random edits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from whowhere.fusion import assignment as assignment_module
from whowhere.fusion.assignment import IncrementalAssignment, Matching
from whowhere.fusion.augmentation import Loops

EDITS = 40
Floats = NDArray[np.float64]


def cold_total(cost: Floats, reject: Floats) -> float:
    """scipy on the padded matrix: a private dummy column per row at its reject cost."""
    n, m = cost.shape
    padded = np.full((n, m + n), np.inf)
    padded[:, :m] = cost
    padded[np.arange(n), m + np.arange(n)] = reject
    rows, columns = linear_sum_assignment(padded)
    return float(padded[rows, columns].sum())


class World:
    """A matrix under random edits, with keys; costs with ties, a wide range or many forbidden."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.kind = int(self.random.integers(4))
        self.rows: list[str] = []
        self.columns: list[int] = []
        self.cost = np.zeros((0, 0))
        self.reject = np.zeros(0)
        self.born = 0

    def draw(self, *shape: int) -> Floats:
        if self.kind == 0:
            return self.random.integers(-3, 4, shape).astype(float)
        if self.kind == 1:
            return self.random.normal(0, 1, shape) * 10.0 ** self.random.uniform(-3, 4, shape)
        drawn = self.random.normal(0, 5, shape)
        if self.kind == 2:
            drawn[self.random.random(shape) < 0.6] = np.inf
        return drawn

    def draw_reject(self, count: int) -> Floats:
        return np.abs(self.draw(count)) if self.kind == 0 else self.random.normal(2, 4, count)

    def insert(self, axis: int) -> None:
        self.born += 1
        at = int(self.random.integers(self.cost.shape[axis] + 1))
        self.cost = np.insert(self.cost, at, self.draw(self.cost.shape[1 - axis]), axis)
        if axis:
            self.columns.insert(at, self.born)
        else:
            self.rows.insert(at, f"row{self.born}")
            self.reject = np.insert(self.reject, at, self.draw_reject(1))

    def remove(self, axis: int) -> None:
        if not self.cost.shape[axis]:
            return
        at = int(self.random.integers(self.cost.shape[axis]))
        self.cost = np.delete(self.cost, at, axis)
        if axis:
            del self.columns[at]
        else:
            del self.rows[at]
            self.reject = np.delete(self.reject, at)

    def shuffle(self) -> None:
        order = self.random.permutation(len(self.rows))
        self.rows, self.cost, self.reject = [self.rows[i] for i in order], self.cost[order], self.reject[order]
        order = self.random.permutation(len(self.columns))
        self.columns, self.cost = [self.columns[j] for j in order], self.cost[:, order]

    def change(self, axis: int) -> None:
        if self.cost.shape[axis]:
            at = int(self.random.integers(self.cost.shape[axis]))
            self.cost = self.cost.copy()
            np.moveaxis(self.cost, axis, 0)[at] = self.draw(self.cost.shape[1 - axis])

    def solve(self, assignment: IncrementalAssignment) -> Matching:
        return assignment.solve(self.rows, self.columns, self.cost, self.reject)

    def edit(self, assignment: IncrementalAssignment) -> Matching:
        """One random edit, and the matching after it."""
        what = int(self.random.choice(12, p=[0.16, 0.16, 0.1, 0.1, 0.1, 0.1, 0.04, 0.08, 0.08, 0.04, 0.02, 0.02]))
        n, m = self.cost.shape
        if what == 7:
            delta = self.draw(n, m)
            self.cost = self.cost + delta
            return assignment.add(delta)
        if what == 8 and n:
            at = self.random.permutation(n)[: self.random.integers(1, 4)]
            self.cost = self.cost.copy()
            self.cost[at] = self.draw(len(at), m)
            return assignment.replace(at.tolist(), self.cost[at])
        if what < 4:
            self.insert(what % 2)
        elif what < 6:
            self.remove(what % 2)
        elif what == 6:
            self.shuffle()
        elif what == 9:
            self.reject = self.draw_reject(n)
        elif what == 10:
            self.cost = self.draw(n, m)
        else:
            self.change(int(self.random.integers(2)))
        return self.solve(assignment)

    def check(self, matching: Matching) -> None:
        """The total is the cold one, and the pairs are a matching that costs it."""
        expected = cold_total(self.cost, self.reject)
        assert math.isclose(matching.total, expected, rel_tol=1e-9, abs_tol=1e-9)
        columns = [column for _, column in matching.pairs if column is not None]
        assert [row for row, _ in matching.pairs] == self.rows
        assert len(set(columns)) == len(columns)
        place = {column: j for j, column in enumerate(self.columns)}
        paid = [
            self.reject[i] if column is None else self.cost[i, place[column]]  # type: ignore[index]
            for i, (_, column) in enumerate(matching.pairs)
        ]
        assert math.isclose(sum(paid), expected, rel_tol=1e-9, abs_tol=1e-9)


def check_edits(seed: int, loops: Loops | None = None) -> None:
    world, assignment = World(seed), IncrementalAssignment(loops)
    world.solve(assignment)
    for _ in range(EDITS):
        world.check(world.edit(assignment))


@settings(max_examples=250, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_total_equals_a_cold_solve_after_each_edit(seed: int) -> None:
    check_edits(seed)


@pytest.mark.long
@pytest.mark.parametrize("block", range(8))
def test_total_equals_a_cold_solve_in_10000_sequences(block: int) -> None:
    for seed in range(1250 * block, 1250 * (block + 1)):
        check_edits(seed)


@pytest.mark.parametrize("seed", range(20))
def test_total_equals_a_cold_solve_without_fresh_starts(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment_module, "MANY", 10**6)
    check_edits(seed)


@pytest.mark.parametrize("seed", range(20))
def test_total_equals_a_cold_solve_with_fresh_starts_only(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment_module, "MANY", 0)
    monkeypatch.setattr(assignment_module, "RESTART_SHARE", 0.0)
    check_edits(seed)


def snapshot_equal(a: Matching, b: Matching) -> bool:
    return a.pairs == b.pairs and a.total == b.total


@pytest.mark.parametrize("seed", range(12))
def test_a_restored_instance_goes_on_identically(seed: int) -> None:
    world, assignment = World(seed), IncrementalAssignment()
    for _ in range(60):
        world.edit(assignment)
    restored = IncrementalAssignment.from_state(assignment.state())
    twin = World(seed)
    twin.__dict__.update({**world.__dict__, "random": np.random.default_rng(seed), "rows": [*world.rows]})
    twin.columns = [*world.columns]
    world.random = np.random.default_rng(seed)
    for _ in range(60):
        assert snapshot_equal(world.edit(assignment), twin.edit(restored))


@pytest.mark.parametrize("reject", [np.inf, 3.0])
def test_a_matching_in_flux_is_left_loose_until_it_calms_down(reject: float) -> None:
    """Steps with so much change that nothing is proved between them, then calmer ones; snapshots at any time."""
    random = np.random.default_rng(11)
    assignment, cost, loose = IncrementalAssignment(), random.normal(0, 1, (40, 40)), []
    assignment.solve(range(40), range(40), cost, reject)
    for step in range(30):
        delta = random.normal(0, 2.0 ** -max(step - 10, 0), (40, 40))
        cost += delta
        restored = IncrementalAssignment.from_state(assignment.state())
        matching = assignment.add(delta)
        assert snapshot_equal(matching, restored.add(delta))
        assert math.isclose(matching.total, cold_total(cost, np.full(40, reject)), rel_tol=1e-9, abs_tol=1e-9)
        loose.append("loose" in assignment.state())
        if step == 5:
            cost = cost[1:, 2:]
            matching = assignment.solve(range(1, 40), range(2, 40), cost, 3.0)
            assert math.isclose(matching.total, cold_total(cost, np.full(39, 3.0)), rel_tol=1e-9, abs_tol=1e-9)
            cost = random.normal(0, 1, (40, 40))
            assignment.solve(range(40), range(40), cost, reject)
    assert loose[3]
    assert not loose[-1]


def test_compulsory_rows_match_scipy_and_impossible_ones_are_refused() -> None:
    random = np.random.default_rng(3)
    assignment = IncrementalAssignment()
    for n, m in ((30, 30), (30, 45), (28, 45), (40, 45)):
        cost = random.normal(0, 1, (n, m))
        rows, columns = linear_sum_assignment(cost)
        matching = assignment.solve(range(n), range(m), cost, np.inf)
        assert math.isclose(matching.total, cost[rows, columns].sum(), rel_tol=1e-9)
        assert len(matching.pairs) == n
        assert None not in dict(matching.pairs).values()
    with pytest.raises(ValueError, match="no assignment"):
        assignment.solve("abc", "xy", np.ones((3, 2)), np.inf)
    assert assignment.solve("ab", "xy", np.eye(2), 9.0).total == 0.0


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_bad_number_is_refused_and_forgotten(bad: float) -> None:
    assignment = IncrementalAssignment()
    with pytest.raises(ValueError, match="numbers"):
        assignment.solve("ab", "xy", np.array([[bad, 1.0], [1.0, 1.0]]), 5.0)
    assert assignment.solve("ab", "xy", np.eye(2), 5.0).pairs == [("a", "y"), ("b", "x")]
    with pytest.raises(ValueError, match="numbers"):
        assignment.add(np.array([[0.0, 1.0], [bad, 1.0]]))
    assignment.solve("ab", "xy", np.eye(2), 5.0)
    with pytest.raises(ValueError, match="numbers"):
        assignment.solve("ab", "xy", np.eye(2), np.array([bad, 1.0]))
    assert assignment.solve("ab", "xy", 1 - np.eye(2), 5.0).pairs == [("a", "x"), ("b", "y")]


def test_wrong_shapes_and_repeated_keys_are_refused() -> None:
    assignment = IncrementalAssignment()
    with pytest.raises(ValueError, match="shape"):
        assignment.solve("ab", "xyz", np.eye(2), 5.0)
    with pytest.raises(ValueError, match="differ"):
        assignment.solve("aa", "xy", np.eye(2), 5.0)
    assignment.solve("ab", "xy", np.eye(2), 5.0)
    with pytest.raises(ValueError, match="shape"):
        assignment.add(np.eye(3))
    with pytest.raises(ValueError, match="positions"):
        assignment.replace([1, 1], np.eye(2))
    with pytest.raises(ValueError, match="positions"):
        assignment.replace([2], np.ones((1, 2)))
    assert assignment.add(np.zeros((2, 2))).pairs == [("a", "y"), ("b", "x")]


def test_a_dear_nobody_does_not_cost_precision() -> None:
    """Potentials pushed to the reject cost of 1e9 must not blur costs near 1 once the crowd is gone."""
    random = np.random.default_rng(5)
    assignment = IncrementalAssignment()
    cost = random.random((12, 8))
    assignment.solve(range(12), range(8), cost, 1e9)
    for left in (11, 9, 8, 7):
        kept = cost[:left]
        matching = assignment.solve(range(left), range(8), kept, 1e9)
        assert math.isclose(matching.total, cold_total(kept, np.full(left, 1e9)), rel_tol=1e-9)


def test_a_matching_keeps_its_values_while_steps_go_on() -> None:
    random = np.random.default_rng(8)
    assignment = IncrementalAssignment()
    first = assignment.solve(range(20), range(20), random.random((20, 20)), 2.0)
    pairs, total = first.pairs, first.total
    for _ in range(20):
        assignment.add(random.normal(0, 0.5, (20, 20)))
    assert (first.pairs, first.total) == (pairs, total)
