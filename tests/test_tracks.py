"""The tracker: bodies begun, followed, missed, doubted and merged, in tiny worlds."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from whowhere.fusion.continuity import Continuity
from whowhere.fusion.detections import Detections
from whowhere.fusion.sureness import FULL_BIRTH, Sureness, births, doubt
from whowhere.fusion.tracks import Tracker

Place = tuple[float, float]


def walk(
    tracker: Tracker,
    positions: dict[int, list[Place]],
    source: str = "camera-1",
    sees: Callable[[np.ndarray], np.ndarray] | None = None,
    scores: Sequence[float] = (),
    vague: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None,
) -> None:
    """Frames, ms to places; scores: of each frame's places; vague: of places (N,2), where a half body would be."""
    for t_ms, places in positions.items():
        count = len(places)
        there = np.array(places, float).reshape(count, 2)
        tracker.update(
            Detections(
                source=source,
                t_ns=1_000_000_000 + t_ms * 1_000_000,
                position=there,
                covariance=np.tile(0.03 * np.eye(2), (count, 1, 1)),
                score=np.array(scores or np.ones(count), float),
                sees=sees,
                weight=np.ones(count),
                loose=vague(there) if vague else None,
            )
        )


def test_two_people_pass_each_other_and_keep_their_numbers() -> None:
    tracker = Tracker()
    walk(tracker, {t: [(t / 1000, 2.0), (6 - t / 1000, 3.0)] for t in range(0, 6000, 200)})
    assert tracker.number[tracker.confirmed].tolist() == [1, 2]
    assert tracker.mean[0, 0] > 5
    assert tracker.mean[1, 0] < 1


def test_a_missed_person_is_carried_on_and_then_lost() -> None:
    tracker = Tracker()
    walk(tracker, {t: [(t / 1000, 2.0)] for t in range(0, 2000, 200)})
    walk(tracker, {t: [] for t in range(2000, 3600, 200)})
    assert 2.2 < tracker.mean[0, 0] < 3.2
    walk(tracker, {t: [] for t in range(3600, 16000, 200)})
    assert [change.kind for change in tracker.take_changes()] == ["born", "lost"]
    assert len(tracker.number) == 0


def test_a_body_that_a_camera_looks_for_in_vain_is_lost_sooner() -> None:
    tracker = Tracker()
    walk(tracker, {t: [(2.0, 2.0)] for t in range(0, 2000, 200)})
    for t in range(2000, 9000, 200):
        walk(tracker, {t: []}, sees=everywhere)
    assert [change.kind for change in tracker.take_changes()] == ["born", "lost"]


def test_one_false_alarm_is_nobody() -> None:
    tracker = Tracker()
    walk(tracker, {0: [(1, 1)], 200: [], 400: [], 600: [], 800: []})
    assert tracker.take_changes() == []
    assert len(tracker.number) == 0


def test_one_person_seen_by_two_cameras_half_a_metre_apart_is_one() -> None:
    tracker = Tracker()
    for t in range(0, 4000, 200):
        walk(tracker, {t: [(2 + t / 2000, 2.0)]}, "camera-1")
        walk(tracker, {t + 90: [(2 + t / 2000, 2.5)]}, "camera-2")
    assert int(tracker.confirmed.sum()) == 1


def test_a_body_that_comes_back_is_probably_the_one_that_was_lost() -> None:
    tracker, continuity = Tracker(), Continuity()
    walk(tracker, {t: [(t / 1000, 2.0)] for t in range(0, 2000, 200)})
    walk(tracker, {t: [] for t in range(2000, 16000, 200)})
    walk(tracker, {t: [(3.5, 2.2)] for t in range(16000, 17000, 200)})
    changes = tracker.take_changes()
    assert [change.kind for change in changes] == ["born", "lost", "born"]
    continuity.lost(changes[1])
    near = continuity.parents(changes[2])
    assert 0.5 < near[1] < 0.99
    continuity.forget(changes[2].t_ns + 100_000_000_000)
    assert continuity.parents(changes[2]) == {}


def everywhere(position: np.ndarray) -> np.ndarray:
    return np.ones(len(position), bool)


def begun(tracker: Tracker) -> int:
    return sum(change.kind == "born" for change in tracker.take_changes())


@pytest.mark.parametrize("scale", [1.0, 0.3, 0.01, 40.0])
def test_what_a_detector_is_unsure_of_begins_no_body_however_long_it_stays(scale: float) -> None:
    """A pole that HOG takes for somebody now and then, beside people: a tenth of their score, in half of the frames."""
    tracker = Tracker()
    for t in range(0, 60_000, 200):
        places, scores = [(2.0, 2.0)], [2.0 * scale]
        if t > 30_000 and t % 400 == 0:  # the usual score is learnt first
            places, scores = [*places, (6.0, 6.0)], [*scores, 0.2 * scale]
        walk(tracker, {t: places}, sees=everywhere, scores=scores)
    assert begun(tracker) == 1


@pytest.mark.parametrize("score", [0.0, 1e-4, 0.9, -0.5])
def test_a_detector_whose_scores_say_nothing_is_believed(score: float) -> None:
    tracker = Tracker()
    walk(tracker, {t: [(2.0, 2.0)] for t in range(0, 1000, 200)}, sees=everywhere, scores=[score])
    assert begun(tracker) == 1


def test_what_it_is_fairly_sure_of_begins_one_later() -> None:
    """The score of half a person, as of somebody partly hidden, is enough; a third of it needs more sightings."""
    waits = []
    for share in (1.0, FULL_BIRTH, 0.3):
        tracker = Tracker()
        walk(tracker, {t: [(8.0, 8.0)] for t in range(0, 2000, 200)}, sees=everywhere, scores=[1.9])
        for t in range(2000, 6000, 200):
            walk(tracker, {t: [(8.0, 8.0), (2.0, 2.0)]}, sees=everywhere, scores=[1.9, 1.9 * share])
            if tracker.confirmed.sum() == 2:
                waits.append(t - 2000)
                break
    assert waits == [600, 600, 1400]


def test_an_unsure_box_tells_where_a_known_body_is_but_only_if_it_fits() -> None:
    near, far = Tracker(), Tracker()
    for tracker, place in ((near, (2.1, 2.0)), (far, (2.8, 2.0))):
        walk(tracker, {t: [(2.0, 2.0)] for t in range(0, 2000, 200)}, sees=everywhere, scores=[2.0])
        walk(tracker, {2000: [place]}, sees=everywhere, scores=[0.2])
    assert near.paired == [(1, 0)]
    assert far.paired == []


def test_radars_are_not_doubted() -> None:
    tracker = Tracker()
    walk(tracker, {t: [(2.0, 2.0)] for t in range(0, 2000, 200)}, "radar-1", scores=[0.01])
    assert begun(tracker) == 1


def test_half_a_bodys_box_nourishes_no_second_body_behind_it() -> None:
    """Once the detector boxes somebody and their upper half, which stands 1 m farther off; then it alternates."""

    def vague(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return places, np.tile(0.6 * np.eye(2), (len(places), 1, 1))

    tracker = Tracker()
    walk(tracker, {t: [(2.0, 2.0)] for t in range(0, 2000, 200)}, sees=everywhere, vague=vague, scores=[2.0])
    walk(tracker, {2000: [(2.0, 2.0), (2.0, 3.0)]}, sees=everywhere, vague=vague, scores=[2.0, 2.0])
    for t in range(2200, 8000, 200):
        place = (2.0, 3.0) if t % 400 else (2.0, 2.0)
        walk(tracker, {t: [place]}, sees=everywhere, vague=vague, scores=[2.0])
    assert begun(tracker) == 1
    assert tracker.confirmed.tolist() == [True]


def test_the_usual_score_is_each_cameras_own_and_comes_back_with_the_state() -> None:
    sureness = Sureness()
    sureness.learn("camera-1", np.full(400, 0.9), np.arange(400))
    assert sureness.of("camera-1", np.array([0.9, 0.45])) == pytest.approx([1.0, 0.5], abs=0.05)
    assert sureness.of("camera-2", np.array([1.9]))[0] == pytest.approx(1.0)
    again = Sureness()
    again.load(sureness.state())
    again.learn("camera-1", np.array([0.7]), np.arange(1))
    sureness.learn("camera-1", np.array([0.7]), np.arange(1))
    assert again.state() == sureness.state()


def test_doubt_falls_and_births_rise_with_the_score() -> None:
    shares = np.linspace(-1, 3, 50)
    assert (np.diff(doubt(shares)) <= 0).all()
    assert (np.diff(births(shares)) >= 0).all()
    assert births(shares).min() == 0
    assert births(shares).max() == 1
    assert doubt(shares)[-1] == 0
