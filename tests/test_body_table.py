"""The tracker's table: all its arrays grow and shrink alike, and come back as they were saved."""

import numpy as np
import pytest
from whowhere.fusion.body_table import BodyTable


def table(*numbers: int) -> BodyTable:
    """Bodies of these numbers, everything of whom is filled with their number."""
    made = BodyTable(len(numbers))
    for values in made.arrays().values():
        values.T[:] = numbers
    made.sources = [{"camera-1": number} for number in numbers]
    return made


def require_rows(found: BodyTable, *numbers: int) -> None:
    right = table(*numbers)
    for name, values in right.arrays().items():
        assert np.array_equal(found.arrays()[name], values), name
        assert found.arrays()[name].dtype == values.dtype, name
    assert found.sources == right.sources


def test_rows_are_added_behind_and_dropped_in_place() -> None:
    bodies = BodyTable()
    bodies.append(table(1, 2, 3))
    bodies.append(table(7))
    require_rows(bodies, 1, 2, 3, 7)
    bodies.keep(np.array([True, False, True, True]))
    require_rows(bodies, 1, 3, 7)
    bodies.keep(np.zeros(3, bool))
    require_rows(bodies)


def test_what_is_saved_comes_back_and_what_is_missing_is_refused() -> None:
    saved = {**table(4, 5).arrays(), "sources": table(4, 5).sources}
    bodies = BodyTable()
    bodies.load(saved)
    require_rows(bodies, 4, 5)
    del saved["looks"]
    with pytest.raises(KeyError, match="looks"):
        BodyTable().load(saved)


def test_a_change_keeps_what_was_known() -> None:
    bodies = table(4, 5)
    change = bodies.change("lost", 1, 9)
    bodies.mean[:] = 0.0
    assert (change.kind, change.number, change.t_ns, change.seen_ns) == ("lost", 5, 9, 5)
    assert change.mean.tolist() == [5.0] * 4
