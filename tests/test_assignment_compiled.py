"""The compiled loops give the bits that numpy's give: matching, total and state, over the same random edits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_assignment import World, check_edits
from whowhere.fusion import assignment as assignment_module
from whowhere.fusion import compiled
from whowhere.fusion.assignment import IncrementalAssignment, Matching

NUMBA = pytest.mark.skipif(not compiled.njit, reason="numba is not installed: pip install 'whowhere[fast]'")
LOOPS = object.__new__(compiled.Loops)  # where numba is missing the same loops are interpreted: slow, but as true
SEEDS = 100 if compiled.njit else 60


def check_same(ours: IncrementalAssignment, theirs: IncrementalAssignment, a: Matching, b: Matching) -> None:
    assert (a.total, a.mates.tobytes()) == (b.total, b.mates.tobytes())
    mine, other = ours.state(), theirs.state()
    for name, value in mine.items():
        if isinstance(value, np.ndarray):
            assert value.tobytes() == other[name].tobytes(), name
        else:
            assert value == other[name], name


@NUMBA
@settings(max_examples=250, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_total_equals_a_cold_solve_after_each_edit(seed: int) -> None:
    check_edits(seed, LOOPS)


@NUMBA
@pytest.mark.long
@pytest.mark.parametrize("block", range(8))
def test_total_equals_a_cold_solve_in_10000_sequences(block: int) -> None:
    for seed in range(1250 * block, 1250 * (block + 1)):
        check_edits(seed, LOOPS)


@pytest.mark.parametrize("many", [0, 12, 10**6])
def test_the_same_bits_after_each_edit(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment_module, "MANY", many)
    for seed in range(SEEDS):
        one, two = World(seed), World(seed)
        plain, quick = IncrementalAssignment(), IncrementalAssignment(LOOPS)
        check_same(plain, quick, one.solve(plain), two.solve(quick))
        for _ in range(40):
            check_same(plain, quick, one.edit(plain), two.edit(quick))


@NUMBA
@pytest.mark.parametrize("reject", [np.inf, 2.0])
def test_the_same_bits_where_searches_are_long(reject: float) -> None:
    random = np.random.default_rng(1)
    plain, quick = IncrementalAssignment(), IncrementalAssignment(LOOPS)
    cost, keys = random.integers(0, 9, (70, 70)).astype(float), range(70)
    check_same(plain, quick, plain.solve(keys, keys, cost, reject), quick.solve(keys, keys, cost, reject))
    for step in range(120):
        if step % 3:
            at, rows = random.choice(70, step % 5, replace=False), random.integers(0, 9, (step % 5, 70)).astype(float)
            check_same(plain, quick, plain.replace(at, rows), quick.replace(at, rows))
        else:
            delta = random.integers(-1, 2, (70, 70)).astype(float) * (random.random((70, 70)) < 0.05)
            check_same(plain, quick, plain.add(delta), quick.add(delta))


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_bad_number_is_refused_alike(bad: float) -> None:
    assignment = IncrementalAssignment(LOOPS)
    spoilt = np.array([[bad, 1.0], [1.0, 1.0]])
    for cost, reject in ((spoilt, 5.0), (np.eye(2), np.array([bad, 1.0]))):
        with pytest.raises(ValueError, match="numbers"):
            assignment.solve("ab", "xy", cost, reject)
    for change in (assignment.add, lambda cost: assignment.replace([0], cost[:1])):
        assert assignment.solve("ab", "xy", np.eye(2), 5.0).pairs == [("a", "y"), ("b", "x")]
        with pytest.raises(ValueError, match="numbers"):
            change(spoilt)


@pytest.mark.skipif(bool(compiled.njit), reason="numba is installed")
def test_without_numba_the_compiled_loops_are_refused() -> None:
    with pytest.raises(ImportError, match="numba"):
        compiled.Loops()
