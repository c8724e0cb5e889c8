"""People found in images: suppression, the motion gate, colour histograms, and the detector on real frames."""

import importlib.util
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from whowhere.drivers.camera.appearance import bhattacharyya, histograms, hsv_histogram
from whowhere.drivers.camera.boxes import clip, containment, overlap, suppress
from whowhere.drivers.camera.gate import FULL_SCAN_FRAMES, MEMORY_FRAMES, MotionGate, merged
from whowhere.drivers.camera.people import PeopleDetector, safe_padding_px
from whowhere.drivers.errors import DeviceRefused
from whowhere.sitefile import Detector


def load_bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_camera", Path(__file__).parent / "bench" / "bench_camera.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bench = load_bench()
needs_pets = pytest.mark.skipif(not bench.PETS.is_dir(), reason="../shared/data/video/pets_s2l1 is absent")


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_overlap_and_containment():
    a, b = boxes((0, 0, 10, 10)), boxes((5, 0, 10, 10), (2, 2, 2, 2), (20, 0, 5, 5), (3, 3, 0, 0))
    assert overlap(a, b) == pytest.approx(np.array([[1 / 3, 0.04, 0, 0]]))
    assert containment(a, b) == pytest.approx(np.array([[0.5, 1, 0, 0]]))


def test_suppression_keeps_the_best_of_each_person_and_every_isolated_one():
    found = boxes((0, 0, 40, 100), (4, 2, 40, 100), (10, 30, 20, 50), (200, 0, 40, 100))
    scores = np.array([0.5, 0.9, 2.0, 0.1], np.float32)
    assert suppress(found, scores, 0.45, 0.6).tolist() == [2, 3]
    assert suppress(found, scores, 0.45, 1.0).tolist() == [2, 1, 3]
    assert suppress(found[:0], scores[:0], 0.45, 0.6).tolist() == []


def test_clip_leaves_what_is_inside():
    assert clip(boxes((-10, 5, 30, 200), (700, 0, 5, 5)), 100, 80).tolist() == [[0, 5, 20, 75]]


def test_regions_are_joined_only_where_that_is_cheaper():
    near = merged(boxes((0, 0, 50, 100), (10, 5, 50, 100), (400, 300, 50, 100)))
    assert sorted(map(tuple, near)) == [(0, 0, 60, 105), (400, 300, 50, 100)]


def test_hog_never_reads_beyond_the_last_level_of_its_pyramid():
    for scale in np.arange(1.01, 3.0, 0.01):
        last = 128 / scale - 0.5  # the last level is at least this high, after rounding
        assert last + 2 * safe_padding_px(float(scale)) >= 128
        assert safe_padding_px(float(scale)) % 8 == 0


def test_gate_looks_at_everything_at_first_then_where_something_moves():
    gate, room = MotionGate((64, 128)), np.full((480, 640, 3), 120, np.uint8)
    assert gate.regions(room) is None
    for _ in range(3):
        regions = gate.regions(room)
        assert regions is not None
        assert len(regions) == 0
    moved = room.copy()
    moved[200:330, 300:350] = 30
    regions = gate.regions(moved)
    assert regions is not None
    left, top, width, height = regions[0]
    assert left < 300 < 350 < left + width
    assert top < 200 < 330 < top + height
    assert width * height < 0.25 * 640 * 480
    assert gate.regions(255 - moved) is None  # the light was switched


def test_gate_remembers_who_stands_still_for_a_while():
    gate, room = MotionGate((64, 128)), np.full((480, 640, 3), 120, np.uint8)
    gate.regions(room)
    gate.remember(boxes((100, 100, 80, 160)))
    looks = []
    for _ in range(FULL_SCAN_FRAMES):
        regions = gate.regions(room)
        looks.append(regions is not None and len(regions) > 0)
        gate.remember(boxes())
    assert sum(looks) == MEMORY_FRAMES
    assert looks[0]
    assert gate.regions(room) is None  # now and then it looks everywhere


def test_gate_starts_anew_when_the_image_size_changes():
    gate = MotionGate((64, 128))
    assert gate.regions(np.zeros((480, 640, 3), np.uint8)) is None
    gate.remember(boxes((500, 300, 80, 160)))
    assert gate.regions(np.zeros((240, 320, 3), np.uint8)) is None


def test_drawn_people_are_found_while_they_walk_and_when_they_stop():
    detector = PeopleDetector(Detector())
    right = people = found = 0
    for number, (pixels, truth) in enumerate(bench.drawn(40, stop_after=20)):
        boxes, scores = detector.detect(pixels)
        assert len(boxes) == len(scores)
        assert boxes.dtype == scores.dtype == np.float32
        if number >= 24:
            right, people, found = right + bench.hits(boxes, truth), people + len(truth), found + len(boxes)
    assert right / people > 0.7
    assert right / found > 0.8
    assert detector.counters["full_scans"] == 2
    assert detector.counters["frames"] == 40


def test_same_frames_give_the_same_boxes():
    first, second = (PeopleDetector(Detector()) for _ in range(2))
    for pixels, _ in bench.drawn(6):
        assert [a.tolist() for a in first.detect(pixels)] == [b.tolist() for b in second.detect(pixels)]


@pytest.mark.parametrize("shape", [(480, 640, 3), (100, 50, 3), (127, 64, 3), (1, 1, 3), (130, 60, 3)])
@pytest.mark.parametrize("gate", [True, False])
def test_nobody_in_an_empty_or_tiny_image(shape: tuple[int, int, int], gate: bool):
    detector = PeopleDetector(Detector(motion_gate=gate))
    for _ in range(2):
        found, scores = detector.detect(np.full(shape, 90, np.uint8))
        assert found.shape == (0, 4)
        assert scores.shape == (0,)


def test_opencv_without_hog_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(cv2, "HOGDescriptor")
    with pytest.raises(DeviceRefused, match="no HOG people detector: install opencv-python-headless below 5"):
        PeopleDetector(Detector())


def test_histogram_is_of_the_torso_and_sums_to_one():
    pixels = np.full((200, 200, 3), (0, 255, 0), np.uint8)
    pixels[60:130, 80:120] = (0, 0, 255)  # a red torso on green
    histogram = hsv_histogram(pixels, np.array([60, 20, 80, 170]))
    assert histogram.shape == (256,)
    assert histogram.dtype == np.float32
    assert histogram.sum() == pytest.approx(1, abs=1e-5)
    red, green = (0 * 8 + 7) * 4 + 3, (60 * 8 // 180 * 8 + 7) * 4 + 3
    assert histogram[red] + histogram[green] > 0.95
    assert histogram[red] > histogram[green]


def test_histograms_tell_clothes_apart_and_survive_odd_boxes():
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 30, (100, 200, 3)).astype(np.uint8)
    pixels[:, 100:] += np.array((180, 40, 20), np.uint8)
    dark, again, blue = histograms(pixels, boxes((0, 0, 60, 100), (30, 0, 60, 100), (120, 0, 60, 100)))
    assert bhattacharyya(dark, dark) == pytest.approx(0, abs=1e-3)
    assert bhattacharyya(dark, again) < 0.3 < 0.9 < bhattacharyya(dark, blue)
    assert histograms(pixels, boxes()).shape == (0, 256)
    for odd in ((-50, -50, 20, 20), (10, 10, 0, 0), (190, 90, 500, 500)):
        assert hsv_histogram(pixels, np.array(odd)).sum() == pytest.approx(1, abs=1e-5)


@needs_pets
def test_pets_is_detected_behind_the_gate():
    """The first 50 frames; docs/camera.md has the whole recording. The floors are well below what was measured."""
    config = Detector(resize=1.5, scale=1.1, hit_threshold=0.4)
    _, recall, precision = bench.measure(lambda: bench.pets(50), config)
    assert recall > 0.6
    assert precision > 0.85


@needs_pets
@pytest.mark.long
def test_the_gate_is_three_times_faster_and_loses_nobody():
    time_row, recall, precision = bench.run()
    assert time_row["ratio"] >= 3
    assert recall["ours"] >= recall["peer"] - 0.02
    assert precision["ours"] >= precision["peer"]
