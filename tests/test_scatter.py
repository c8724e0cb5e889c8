"""How far a sensor's detections scatter, learnt from the bodies that nobody is near."""

import numpy as np
import pytest
from test_tracks import Place, walk
from whowhere.fusion.scatter import LEAST, MOST, Scatter
from whowhere.fusion.tracks import Tracker

SD_M = 0.03**0.5  # of `walk`'s detections, as its covariances have it


def scattered(seed: int, times: float, seconds: float = 60.0, apart_m: float = 6.0) -> Tracker:
    """A tracker that two people walked before, seen `times` as scattered as said."""
    rng = np.random.default_rng(seed)
    frames: dict[int, list[Place]] = {}
    for t_ms in range(0, round(seconds * 1000), 100):
        along = 4 + 3 * np.sin(t_ms / 4000)
        noise = rng.normal(0, times * SD_M, (2, 2))
        frames[t_ms] = [(along + noise[0, 0], 2 + noise[0, 1]), (along + noise[1, 0], 2 + apart_m + noise[1, 1])]
    tracker = Tracker()
    walk(tracker, frames)
    return tracker


@pytest.mark.parametrize("times", [1.5, 2.0])
def test_a_detector_that_scatters_more_is_found_out(times: float) -> None:
    assert scattered(1, times)._scatter.of("camera-1") == pytest.approx(times**2, rel=0.25)


def test_one_that_scatters_less_is_not_believed_more_and_other_sensors_are_as_said() -> None:
    tracker = scattered(2, 0.5)
    assert tracker._scatter.of("camera-1") == LEAST == 1.0
    assert tracker._scatter.of("camera-2") == 1.0


def test_nothing_is_learnt_from_people_side_by_side() -> None:
    assert scattered(3, 1.3, apart_m=0.6)._scatter.of("camera-1") == pytest.approx(1.0, abs=0.05)
    assert scattered(3, 1.3)._scatter.of("camera-1") > 1.4


def test_who_is_known_to_be_seen_poorly_keeps_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held to the covariance of its kind, a third of what such a detector finds is nobody's, and begins bodies."""
    assert len(numbers_of(scattered(5, 2.6))) <= 4
    monkeypatch.setattr("whowhere.fusion.scatter.MOST", LEAST)
    assert len(numbers_of(scattered(5, 2.6))) >= 7


def numbers_of(tracker: Tracker) -> list[int]:
    """Of all bodies that were ever believed."""
    return [change.number for change in tracker.take_changes() if change.kind == "born"]


def test_it_is_bounded_and_comes_back_with_the_state() -> None:
    scatter, back = Scatter(), Scatter()
    far = np.tile([5.0, 5.0], (5000, 1))
    scatter.learn("camera-1", far, np.tile(np.eye(2), (5000, 1, 1)), np.tile(0.03 * np.eye(2), (5000, 1, 1)))
    assert scatter.of("camera-1") == MOST
    back.load(scatter.state())
    assert back.state() == scatter.state()
