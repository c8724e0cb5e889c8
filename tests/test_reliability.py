"""Reliability of published probabilities: bins, and several sessions taken as one."""

import pytest
from whowhere.launch.evaluate.reliability import Reliability, pooled


def told(*rows: tuple[float, bool, float]) -> Reliability:
    made = Reliability()
    for row in rows:
        made.add(*row)
    return made


def test_sessions_taken_together_are_as_one_session() -> None:
    """Two that err opposite ways are together honest in one bin, and off in another."""
    one = [(0.72, True, 3.0), (0.78, True, 1.0), (0.15, False, 2.0)]
    other = [(0.74, False, 1.0), (0.75, True, 0.5), (0.12, True, 0.5)]
    together = pooled([told(*one).result(), told(*other).result()])
    expected = told(*one, *other).result()
    assert together["expected_error"] == pytest.approx(expected["expected_error"], abs=1e-3)
    for found, true in zip(together["bins"], expected["bins"], strict=True):
        assert found == pytest.approx(true, abs=1e-3)


def test_the_error_of_each_is_mostly_chance_and_not_that_of_all() -> None:
    sessions = [told((0.75, True, 3.0)).result(), told((0.75, False, 1.0)).result()]
    assert [session["expected_error"] for session in sessions] == [0.25, 0.75]
    assert pooled(sessions)["expected_error"] == 0.0


def test_nothing_published_is_not_measured() -> None:
    assert pooled([]) == {"expected_error": None, "bins": []}
    assert pooled([told().result()])["expected_error"] is None
