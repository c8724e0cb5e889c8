"""Who may be mistaken for whom: bodies that meet mix their names, unless a camera has lately told them apart; and a
body found where somebody unseen is thought to be is rather theirs."""

import numpy as np
from whowhere.fusion.detections import Detections
from whowhere.fusion.identities import Identities
from whowhere.fusion.tracks import TOLD_APART_S, Tracker
from whowhere.fusion.wireless import WirelessGrid
from whowhere.sitefile import Area

RED, BLUE = np.eye(256)[[10, 200]]
SECOND_NS = 1_000_000_000


class Silent:
    """A witness of nothing."""

    def add(self, weights: np.ndarray, /) -> None: ...
    def remove(self, column: int, weights: np.ndarray, /) -> None: ...
    def blend(self, column: int, other: int, share: np.ndarray, /) -> None: ...
    def leave(self, rows: list[int], position: np.ndarray, share: float, /) -> None: ...


def followed(clothes: np.ndarray | None, radar_s: float) -> Tracker:
    """Two people 0.7 m apart: seen by a camera for two seconds, in these clothes (2,256), then by a radar alone."""
    tracker = Tracker()
    places = np.array([[2.0, 2.0], [2.7, 2.0]])
    for t_ms in range(0, 2000 + round(1000 * radar_s), 200):
        is_camera = t_ms < 2000
        tracker.update(
            Detections(
                source="camera-1" if is_camera else "radar-1",
                t_ns=SECOND_NS + t_ms * 1_000_000,
                position=places,
                covariance=np.tile(0.03 * np.eye(2), (2, 1, 1)),
                score=np.ones(2),
                histogram=clothes.astype(np.float32) if clothes is not None and is_camera else None,
                weight=np.ones(2),
            )
        )
    return tracker


def test_who_was_lately_seen_in_other_clothes_is_told_apart() -> None:
    assert followed(np.array([RED, BLUE]), 0.0).distinct() == {1, 2}
    assert followed(np.array([RED, BLUE]), TOLD_APART_S - 1).distinct() == {1, 2}
    assert followed(np.array([RED, BLUE]), TOLD_APART_S + 1).distinct() == set()


def test_who_wears_the_same_or_was_never_seen_is_not() -> None:
    assert followed(np.array([RED, RED]), 0.0).distinct() == set()
    assert followed(None, 1.0).distinct() == set()


def surely_first_after(seconds: float, distinct: frozenset[int]) -> float:
    """What is left of the belief that Ada is body 1, once she has stood 0.3 m beside body 2 for so long."""
    identities = Identities(("Ada",), np.array([0]), Silent())
    for number in (1, 2):
        identities.born(number, {})
    identities.weigh(0, np.array([20.0, 0.0]))
    positions = {1: np.array([2.0, 2.0]), 2: np.array([2.3, 2.0])}
    for _ in range(round(10 * seconds)):
        identities.pass_time(0.1, positions, distinct)
    return float(identities.belief[0, identities.column(1)])


def test_names_of_those_who_meet_mix_but_hardly_where_looks_tell_them_apart() -> None:
    assert surely_first_after(5.0, frozenset()) < 0.75
    assert surely_first_after(5.0, frozenset({1})) < 0.75  # both must be known
    assert surely_first_after(5.0, frozenset({1, 2})) > 0.95


def test_a_body_found_where_somebody_is_thought_to_be_is_rather_theirs() -> None:
    area = Area(x_m=(0.0, 10.0), y_m=(0.0, 8.0))
    grid = WirelessGrid(area, [], 1)
    anywhere = grid.likelier(0, np.array([3.0, 3.0]))
    assert abs(anywhere - 1.0) < 0.05
    grid.leave(0, np.array([3.0, 3.0]), 0.5)
    near, far = grid.likelier(0, np.array([3.0, 3.0])), grid.likelier(0, np.array([8.0, 6.0]))
    assert near > 3 * anywhere
    assert 0.1 < far < anywhere
    taken = []
    for likelier in (far, anywhere, near):
        identities = Identities(("Ada",), np.array([0]), Silent())
        identities.born(1, {}, np.array([likelier]))
        taken.append(float(identities.belief[0, 1]))
    assert taken == sorted(taken)
    assert taken[2] > 1.5 * taken[0]
