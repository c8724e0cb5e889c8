"""How many bodies are strangers, and what that does to the probabilities of names."""

import numpy as np
import pytest
from whowhere.fusion.identities import Identities
from whowhere.fusion.strangers import FIRST_SHARE, LEAST, MOST, Strangers


class Silent:
    """A witness that says nothing."""

    def add(self, weights: np.ndarray, /) -> None: ...
    def remove(self, column: int, weights: np.ndarray, /) -> None: ...
    def blend(self, column: int, other: int, share: np.ndarray, /) -> None: ...
    def leave(self, rows: list[int], position: np.ndarray, share: float, /) -> None: ...


def after(probability: list[list[float]], seconds: float) -> Strangers:
    strangers = Strangers()
    for _ in range(round(seconds * 5)):
        strangers.learn(np.array(probability), 0.2)
    return strangers


def test_where_everybody_is_enrolled_a_body_is_hardly_a_stranger_and_among_strangers_it_is() -> None:
    assert Strangers().odds == pytest.approx(1.0)
    everybody, two_of_three = after([[0.98, 0.01], [0.01, 0.98]], 600), after([[0.9, 0.03, 0.03]], 600)
    assert everybody.odds == LEAST
    assert MOST >= two_of_three.odds > 1
    assert two_of_three.share == pytest.approx(1 - 0.96 / 3, abs=0.01)


def test_it_is_learnt_within_minutes_and_not_from_empty_rooms() -> None:
    assert after([[0.98, 0.01], [0.01, 0.98]], 5).odds > 0.7
    assert after([[0.98, 0.01], [0.01, 0.98]], 120).odds < 0.35
    assert after([[], []], 600).share == FIRST_SHARE


def test_the_same_evidence_names_more_where_there_are_no_strangers() -> None:
    identities = Identities(("Ada",), np.array([0]), Silent())
    identities.born(1, {})
    at_first = identities.answer(0.2)
    identities._strangers.share = 0.1
    later = identities.answer(0.2)
    assert later.bodies == at_first.bodies == [1]
    assert later.probability[0, 0] > at_first.probability[0, 0] + 0.1


def test_what_is_published_is_milder_than_what_is_believed_and_of_the_same_order() -> None:
    identities = Identities(("Ada", "Bruno"), np.array([0, 1]), Silent())
    for number in (1, 2):
        identities.born(number, {})
    identities.weigh(0, np.array([4.0, 0.0]))
    answer = identities.answer(0.2)
    assert answer.believed[0, 0] > answer.probability[0, 0] > 0.6
    assert answer.probability[0].argsort().tolist() == answer.believed[0].argsort().tolist()
    assert answer.probability.sum(axis=0).max() < 1
    assert answer.assigned[1] == "Ada"


def test_it_comes_back_with_the_state_and_goes_on_alike() -> None:
    strangers, back = after([[0.9, 0.03, 0.03]], 20), Strangers()
    back.load(strangers.state())
    for each in (strangers, back):
        each.learn(np.array([[0.2, 0.1]]), 0.2)
    assert back.state() == strangers.state()
