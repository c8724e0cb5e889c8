"""Bad input from cameras, as docs/fusion.md ("Bad input") defines what becomes of it."""

from typing import Any

import numpy as np
import pytest
from bad_streams import SECONDS, S, bodies, changed, run
from msgspec.structs import replace
from whowhere.drivers.simulated.streams import HISTOGRAM, streams
from whowhere.fusion.detections import CameraView
from whowhere.messages import (
    CameraFrame,
    Message,
    Truth,
)
from whowhere.sitefile import Site


@pytest.fixture(scope="module")
def recorded(site: Site) -> list[Message]:
    return [message for message in streams(site, SECONDS) if not isinstance(message, Truth)]


# Cameras


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((100, 100, -50, 200), id="negative width"),
        pytest.param((100, 300, 50, -200), id="negative height"),
        pytest.param((100, 100, 0, 0), id="no size"),
        pytest.param((5000, -3000, 50, 150), id="outside the image"),
        pytest.param((-1e30, -1e30, 1, 1), id="far outside"),
        pytest.param((100, 100, 1e30, 100), id="huge width"),
        pytest.param((-400, 100, 1300, 150), id="more than twice as wide as the image"),
    ],
)
def test_boxes_that_hold_nobody_are_no_bodies(site: Site, recorded: list[Message], box: tuple[float, ...]) -> None:
    """Beside them the real boxes of the same frame are used as ever."""

    def spoilt(frame: CameraFrame) -> dict[str, Any]:
        count = len(frame.boxes) + 1
        known = frame.descriptors.get(HISTOGRAM, np.zeros((0, 256))).reshape(-1, 256)
        return {
            "boxes": np.vstack((frame.boxes, np.array([box]))),
            "scores": np.ones(count),
            "descriptors": {HISTOGRAM: np.vstack((known, np.full((1, 256), 1 / 256)))},
        }

    _, plain = run(site, recorded)
    _, scenes = run(site, changed(recorded, CameraFrame, spoilt))
    seen, expected = (np.mean([len(bodies(scene)) for scene in of]) for of in (scenes, plain))
    assert abs(seen - expected) <= 0.6  # a body can be found a little earlier or later


@pytest.mark.parametrize("size", [1e4, 1e20, 3e38])
def test_boxes_of_any_size_do_no_harm(site: Site, recorded: list[Message], size: float) -> None:
    run(site, changed(recorded, CameraFrame, lambda m: {"boxes": m.boxes * 0 + np.float32(size)}))


@pytest.mark.parametrize("value", [0.0, -1e30, 3e38])
def test_descriptors_of_any_values_do_no_harm(site: Site, recorded: list[Message], value: float) -> None:
    def descriptors(frame: CameraFrame) -> dict[str, Any]:
        return {"descriptors": {HISTOGRAM: np.full((len(frame.boxes), 256), value, "f4")}}

    _, scenes = run(site, changed(recorded, CameraFrame, descriptors))
    assert bodies(scenes[-1])


def test_a_descriptor_of_another_length_is_left_alone(site: Site, recorded: list[Message]) -> None:
    run(site, changed(recorded, CameraFrame, lambda m: {"descriptors": {HISTOGRAM: np.ones((len(m.boxes), 3))}}))


def crowd(rng: np.random.Generator, scores: np.ndarray) -> CameraFrame:
    """A frame of boxes of people's size, with a histogram each that tells its row."""
    count = len(scores)
    boxes = rng.uniform((0, 0, 40, 100), (600, 200, 90, 250), (count, 4)).astype("f4")
    histograms = np.tile(np.arange(count, dtype="f4")[:, None], (1, 256))
    return CameraFrame(
        source="camera-1",
        t_ns=S,
        boxes=boxes,
        scores=scores.astype("f4"),
        image_size=(640, 480),
        descriptors={HISTOGRAM: histograms},
    )


def test_of_five_hundred_boxes_the_surest_are_used(site: Site) -> None:
    """What comes of them is what comes of a frame of these alone, in the same order and with their looks."""
    rng = np.random.default_rng(1)
    view = CameraView(site.cameras[0], site.area)
    frame = crowd(rng, rng.random(500))
    seen = view.detections(frame)
    best = np.flatnonzero(frame.scores >= np.sort(frame.scores)[-100])
    alone = replace(
        frame,
        boxes=frame.boxes[best],
        scores=frame.scores[best],
        descriptors={HISTOGRAM: frame.descriptors[HISTOGRAM][best]},
    )
    expected = view.detections(alone)
    assert 0 < len(seen) <= 100
    for field in ("position", "covariance", "score", "weight", "histogram"):
        assert np.array_equal(getattr(seen, field), getattr(expected, field)), field


def test_of_equal_boxes_the_first_are_used(site: Site) -> None:
    frame = crowd(np.random.default_rng(2), np.ones(500))
    seen = CameraView(site.cameras[0], site.area).detections(frame)
    assert seen.histogram is not None
    rows = seen.histogram[:, 0]
    assert 0 < len(rows) <= 100
    assert rows.max() < 100
    assert (np.diff(rows) > 0).all()


def test_boxes_of_no_size_take_no_room_from_people(site: Site) -> None:
    """However sure of them the camera is."""
    view = CameraView(site.cameras[0], site.area)
    frame = crowd(np.random.default_rng(3), np.ones(400))
    nothing = frame.boxes.copy()
    nothing[50:, 2] = -1.0
    scores = np.where(np.arange(400) < 50, 0.1, 9.0)
    seen = view.detections(replace(frame, boxes=nothing, scores=scores))
    few = {HISTOGRAM: frame.descriptors[HISTOGRAM][:50]}
    expected = view.detections(replace(frame, boxes=frame.boxes[:50], scores=scores[:50], descriptors=few))
    assert len(seen) == len(expected) > 0
    assert np.array_equal(seen.position, expected.position)


@pytest.mark.parametrize("size", [(0, 0), (640, 0), (-640, 480)])
def test_an_image_without_size_is_refused(recorded: list[Message], size: tuple[int, int]) -> None:
    frame = next(m for m in recorded if isinstance(m, CameraFrame))
    with pytest.raises(ValueError, match="image_size"):
        replace(frame, image_size=size)
