"""Portraits of looks and gait: whose they are, what they say of bodies, and what they never do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from whowhere.fusion.changes import Change
from whowhere.fusion.continuity import Continuity
from whowhere.fusion.evidence.appearance import LEAST_SIGHTINGS, MOST_NATS, AppearanceEvidence, Histograms
from whowhere.fusion.evidence.gait import GaitEvidence
from whowhere.fusion.evidence.galleries import AGAIN_S, MOST_PORTRAITS, Galleries

S = 1_000_000_000
RED, BLUE, GREEN = (np.eye(256)[k] for k in (3, 40, 90))


class Equal:
    """Contents are numbers: the same is 2 nats for, another 2 against."""

    def ratios(self, query: list[int], galleries: Sequence[Sequence[list[int]]], /) -> np.ndarray:
        return np.array([2.0 if query == gallery[0] else -2.0 for gallery in galleries])

    def pack(self, content: list[int], /) -> Any:
        return content

    def unpack(self, packed: Any, /) -> list[int]:
        return list(packed)


def galleries(identities: int = 2, **how: Any) -> Galleries[list[int]]:
    return Galleries(identities, Equal(), list, 3.0, 3600.0, **how)


def gone(book: Galleries[list[int]], number: int, looks: int, weights: list[float], t_ns: int = S) -> None:
    book.of(number, t_ns).append(looks)
    book.settle(t_ns, [number], np.array(weights)[:, None])
    book.part(number)


def test_a_gallery_counts_as_far_as_it_is_believed() -> None:
    book = galleries()
    gone(book, 1, 7, [0.9, 0.05])
    book.of(2, 50 * S).append(7)
    said = book.nats(50 * S, [2])[2]
    sure = 0.9 * np.exp(-49 / 3600)
    assert said[0] == pytest.approx(np.log(sure * np.exp(2.0) + 1 - sure))
    assert said[1] == 0.0  # five per cent is no gallery


def test_what_was_said_is_not_said_again_and_is_corrected_when_more_is_known() -> None:
    book = galleries()
    gone(book, 1, 7, [1.0, 0.0])
    book.of(2, 50 * S).append(7)
    first = book.nats(50 * S, [2])[2][0]
    assert book.nats(52 * S, [2]) == {}  # nothing new
    book.of(2, 60 * S)
    again = book.nats(60 * S, [2])[2][0]
    assert again == pytest.approx(first * (1 - np.exp(-10 / AGAIN_S)), rel=0.05)
    book.of(2, 62 * S).append(8)  # somebody else after all
    assert book.nats(62 * S, [2])[2][0] < -first


def test_a_body_is_not_compared_with_itself_nor_with_whom_continuity_compared_it() -> None:
    book = galleries()
    for number in (1, 2):
        book.of(number, S).append(7)
    book.settle(S, [1, 2], np.array([[1.0, 0.0], [0.0, 1.0]]))
    book.ask(3, [1])
    book.part(1)
    book.of(3, 5 * S).append(7)
    assert set(book.nats(5 * S, [2, 3])) == {2}
    gone(book, 4, 7, [1.0, 0.0], 6 * S)
    book.of(3, 7 * S)
    assert set(book.nats(7 * S, [2, 3])) == {3}


def test_bodies_just_lost_are_compared_with_only_where_asked_for() -> None:
    for counts_lost in (False, True):
        book = galleries(counts_lost=counts_lost)
        book.of(1, S).append(7)
        book.settle(S, [1], np.array([[1.0], [0.0]]))
        book.of(2, 3 * S).append(7)
        assert bool(book.nats(3 * S, [2])) == counts_lost


def test_merged_and_nameless_bodies_leave_no_portrait_and_memory_is_bounded() -> None:
    book = galleries()
    book.of(1, S).append(7)
    book.settle(S, [1], np.array([[1.0], [0.0]]))
    book.part(1, heir=2)
    gone(book, 3, 7, [0.2, 0.2])
    assert not book.gone
    for number in range(10, 10_010):
        gone(book, number, number, [0.9, 0.0], number * S)
    assert len(book.gone) == MOST_PORTRAITS
    assert book.gone[-1].number == 10_009


def looked(evidence: AppearanceEvidence, number: int, histogram: np.ndarray, t_ns: int, camera: str = "hall") -> None:
    for k in range(LEAST_SIGHTINGS):
        evidence.see(number, camera, histogram, t_ns + k)


def known(evidence: AppearanceEvidence, number: int, histogram: np.ndarray, weights: list[float]) -> None:
    looked(evidence, number, histogram, S)
    evidence.settle(S, [number], np.array(weights)[:, None])
    evidence.part(number)


def test_who_comes_back_is_known_by_their_clothes() -> None:
    evidence = AppearanceEvidence(2, Histograms())
    known(evidence, 1, RED, [0.98, 0.0])
    known(evidence, 2, BLUE, [0.0, 0.98])
    looked(evidence, 3, RED, 100 * S)
    ada, bruno = evidence.nats(101 * S, [3])[3]
    assert ada > 2.0
    assert bruno < -2.0


def test_other_clothes_never_say_more_than_a_radio_can_take_back() -> None:
    evidence = AppearanceEvidence(1, Histograms())
    for number in range(1, 9):  # eight portraits are no stronger proof than one
        known(evidence, number, RED, [1.0])
    looked(evidence, 20, GREEN, 100 * S)
    assert -MOST_NATS <= evidence.nats(101 * S, [20])[20][0] < 0.0


def test_twins_share_what_looks_say() -> None:
    evidence = AppearanceEvidence(2, Histograms())
    known(evidence, 1, RED, [0.9, 0.1])
    known(evidence, 2, RED, [0.1, 0.9])
    looked(evidence, 3, RED, 100 * S)
    ada, bruno = evidence.nats(101 * S, [3])[3]
    assert ada == pytest.approx(bruno)


def test_crops_that_were_no_good_say_nothing() -> None:
    evidence = AppearanceEvidence(1, Histograms())
    known(evidence, 1, RED, [1.0])
    looked(evidence, 2, np.zeros(256), 100 * S)
    assert evidence.nats(101 * S, [2]) == {}


def test_portraits_of_another_model_are_left_out() -> None:
    evidence = AppearanceEvidence(1, Histograms())
    known(evidence, 1, RED, [1.0])
    same, other = AppearanceEvidence(1, Histograms()), AppearanceEvidence(1, Histograms())
    same.load(evidence.state())
    other.load({**evidence.state(), "label": "looks:2"})
    assert len(same.gone) == 1
    assert not other.gone


class PaceModel:
    """Tells people by their speed alone; two windows of one walk are one."""

    label = "pace:1"

    def look(self, window: Any) -> Any:
        return window.speed_m_s

    def follow(self, times_s: Any, points: Any, place_m: Any, velocity_m_s: Any, radar_m: Any) -> Any:
        return float(np.hypot(*velocity_m_s))

    def joined(self, signatures: Sequence[Any]) -> Any:
        return float(np.mean(signatures)) if signatures else None

    one_walk = joined

    def ratios(self, query: Any, gallery: Sequence[Any]) -> np.ndarray:
        return np.array([2.0 - 10 * abs(query - each) for each in gallery])


def walk(evidence: GaitEvidence, number: int, speed_m_s: float, t_ns: int, sensor: str, curve: float = 0.0) -> int:
    """2.2 s of it at 10 Hz; when it was over."""
    nothing = np.zeros((4, 5), np.float32)
    for k in range(23):
        t_s = k / 10
        angle = curve * t_s
        place = speed_m_s * t_s * np.array([np.cos(angle), np.sin(angle)])
        if sensor == "radar":
            evidence.sense(number, sensor, nothing, np.zeros(2), place, t_ns + k * S // 10)
        else:
            evidence.look(number, sensor, np.ones(64, np.float32), 1.7, place, t_ns + k * S // 10)
    return t_ns + 22 * S // 10


def test_gait_goes_from_a_camera_to_a_radar() -> None:
    evidence = GaitEvidence(2, PaceModel())
    over = max(walk(evidence, 1, 1.3, S, "camera"), walk(evidence, 2, 0.9, S, "camera"))
    evidence.settle(over, [1, 2], np.array([[0.95, 0.0], [0.0, 0.95]]))
    over = walk(evidence, 3, 1.3, over + S, "radar")
    said = evidence.nats(over, [3])[3]  # bodies 1 and 2 are lost, not yet forgotten
    assert said[0] > 1.0
    assert said[1] < -0.5


@pytest.mark.parametrize(("speed_m_s", "curve"), [(0.1, 0.0), (1.2, 2.5)])
def test_who_stands_or_turns_gives_no_window(speed_m_s: float, curve: float) -> None:
    evidence = GaitEvidence(1, PaceModel())
    walk(evidence, 1, speed_m_s, S, "radar", curve)
    assert not evidence.bodies[1].content.windows


def test_a_state_with_half_a_window_goes_on_where_it_was() -> None:
    evidence, anew = GaitEvidence(1, PaceModel()), GaitEvidence(1, PaceModel())
    for k in range(12):
        evidence.look(1, "camera", np.ones(64, np.float32), 1.7, np.array([0.12 * k, 0.0]), k * S // 10)
    assert not evidence.bodies[1].content.windows
    anew.load(evidence.state())
    assert anew.bodies[1].content.frames["camera"].t_ns == evidence.bodies[1].content.frames["camera"].t_ns


class Learnt(Histograms):
    """The same comparison under another name, as if it had been learnt."""

    label = "looks:1"


def test_stitching_asks_learnt_looks_where_there_are_any() -> None:
    plain, learnt = AppearanceEvidence(1, Histograms()), AppearanceEvidence(1, Learnt())
    for evidence in (plain, learnt):
        for number, clothes in ((1, RED), (2, RED), (3, BLUE)):
            looked(evidence, number, clothes, S)
    assert plain.alike(1, 2) is None  # histograms are continuity's own
    same, other = learnt.alike(1, 2), learnt.alike(1, 3)
    assert same is not None
    assert other is not None
    assert same > 2.0 > -2.0 > other
    assert learnt.alike(1, 9) is None
    ghost = Change("lost", 1, S, S, np.zeros(4), np.eye(4), np.zeros(256))
    born = Change("born", 2, 2 * S, 2 * S, np.zeros(4), np.eye(4), np.zeros(256))
    continuity = Continuity()
    continuity.lost(ghost)
    chances = [continuity.parents(born, (), lambda _, nats=nats: nats)[1] for nats in (same, None, other)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > chances[2]
