"""Camera detections without pixels: what the HOG detector would say about a crowd, in milliseconds less.

Box size and bias follow what was measured on rendered walkers (docs/simulated.md); clothes give the HSV histogram.
For developing and testing fusion in-process; the demo renders real frames (`painter`) and runs the real detector.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from .cast import Body
from .optics import Sight, View
from .plan import Floats
from .world import Crowd, World

HISTOGRAM = "hsv-8x8x4:1"
DETECTED = 0.93  # of bodies in full view and large enough
SMALLEST_PX = 85.0  # body height at which detection begins, and 25 px later is complete
FOOT_MARGIN, FOOT_SPREAD = 0.11, 0.045  # box bottom below the feet, in shares of the body's height
HEAD_MARGIN, HEAD_SPREAD = -0.01, 0.025  # box top above the head
SIDE_SPREAD = 0.026
ASPECT = 0.375  # width over height, once the detector has cut its window
FALSE_BOXES = 0.08  # a frame
SAMPLES = 600  # pixels behind one histogram
FLOOR_BGR = (150, 155, 160)


class Glimpses:
    """One camera's detections; `of(crowd, number)` is a pure function of both."""

    def __init__(self, world: World, view: View) -> None:
        self.world = world
        self.view = view
        self._row = next(i for i, camera in enumerate(world.site.cameras) if camera.id == view.camera.id)

    def of(self, crowd: Crowd, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """boxes (N,4) f32 px, scores (N,) f32, histograms (N,256) f32 of frame `number`."""
        rng = np.random.default_rng([self.world.seed, 30, self._row, number])
        sight = self.view.sight(crowd, self.world.heights_m, self.world.plan)
        rows = np.flatnonzero(rng.random(len(sight.share)) < _chance(sight))
        real = _jittered(sight.boxes[rows], rng)
        false = _false_boxes(rng, self.view.size)
        boxes = np.concatenate((real, false))
        scores = np.concatenate((rng.normal(1.2, 0.4, len(real)), rng.normal(0.3, 0.15, len(false))))
        colours = [self._histogram(self.world.bodies[row], sight.share[row], rng) for row in rows]
        colours += [_histogram_of(np.tile(FLOOR_BGR, (SAMPLES, 1)), rng) for _ in false]
        histograms = np.array(colours, "<f4").reshape(-1, 256)
        return boxes.astype("<f4"), np.maximum(scores, 0.05).astype("<f4"), histograms

    def _histogram(self, body: Body, share: float, rng: np.random.Generator) -> Floats:
        """Clothes, skin and hair in the box, with as much background as there is around and before the body."""
        parts = (body.top_bgr, body.legs_bgr, body.skin_bgr, body.hair_bgr, FLOOR_BGR)
        weights = np.array([0.34, 0.26, 0.07, 0.03, 0.3 + 0.5 * (1 - share)])
        chosen = rng.choice(len(parts), SAMPLES, p=weights / weights.sum())
        return _histogram_of(np.asarray(parts)[chosen], rng)


def _chance(sight: Sight) -> Floats:
    """Probability (N,) that each body gets a box."""
    large = np.clip((sight.boxes[:, 3] - SMALLEST_PX) / 25.0, 0.0, 1.0)
    return DETECTED * large * np.clip((sight.share - 0.35) / 0.5, 0.0, 1.0)


def _jittered(boxes: Floats, rng: np.random.Generator) -> Floats:
    count, height = len(boxes), boxes[:, 3]
    top = boxes[:, 1] - height * rng.normal(HEAD_MARGIN, HEAD_SPREAD, count)
    bottom = boxes[:, 1] + height * (1 + rng.normal(FOOT_MARGIN, FOOT_SPREAD, count))
    centre = boxes[:, 0] + boxes[:, 2] / 2 + height * rng.normal(0.0, SIDE_SPREAD, count)
    width = (bottom - top) * ASPECT
    return np.column_stack((centre - width / 2, top, width, bottom - top))


def _false_boxes(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    count = rng.poisson(FALSE_BOXES)
    height = rng.uniform(110.0, 220.0, count)
    left = rng.uniform(0.0, size[0] - height / 2)
    return np.column_stack((left, rng.uniform(0.0, size[1] - height), height / 2, height))


def _histogram_of(colours: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """HSV 8x8x4 histogram (256,), summing to 1, of BGR colours (N,3) under changing light and noise."""
    light = rng.normal(1.0, 0.06)
    pixels = np.clip(colours * light + rng.normal(0.0, 8.0, colours.shape), 0, 255).astype(np.uint8)
    hsv = cv2.cvtColor(pixels[None], cv2.COLOR_BGR2HSV)[0].astype(np.int64)
    bins = (hsv[:, 0] * 8 // 180 * 8 + hsv[:, 1] // 32) * 4 + hsv[:, 2] // 64
    return np.bincount(bins, minlength=256) / len(bins)
