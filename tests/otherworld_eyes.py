"""A camera of the other world at work: frame by frame the boxes of people found, missed, lost for seconds, or imagined.

Part of tests/otherworld.py; the geometry is in otherworld_cameras.py.
"""

import numpy as np
from numpy.typing import NDArray
from otherworld_cameras import EDGE_SD, Lens, chances, lens_of
from otherworld_looks import NAME, Light, colours
from otherworld_people import Walks
from whowhere.messages import CameraFrame
from whowhere.sitefile import Camera

T0_NS = 1_767_225_600_000_000_000  # 2026-01-01; only differences matter
GAP_EVERY_S, GAP_S = 20.0, (1.0, 4.0)  # the detector loses a whole person so often, for so long
FALSE_BOXES = (0.02, 0.1)  # a frame
LATENCY_S = (0.04, 0.12)

Array = NDArray[np.float64]


def absences(rng: np.random.Generator, seconds: float) -> list[tuple[float, float]]:
    """From when to when the detector does not find somebody at all."""
    gaps, t = [], rng.exponential(GAP_EVERY_S)
    while t < seconds:
        gaps.append((t, t + rng.uniform(*GAP_S)))
        t = gaps[-1][1] + rng.exponential(GAP_EVERY_S)
    return gaps


class Eye:
    """One camera and its people detector."""

    def __init__(
        self,
        rng: np.random.Generator,
        dress: np.random.Generator,
        camera: Camera,
        ways: Walks,
        gaps: list[list[tuple[float, float]]],
        clothes: list[Array] | None,
        clock_s: float,
    ) -> None:
        self.rng, self.dress, self.camera, self.ways, self.gaps, self.clothes = rng, dress, camera, ways, gaps, clothes
        self.lens: Lens = lens_of(camera)
        self.light = Light(dress)
        self.false_boxes = rng.uniform(*FALSE_BOXES)
        self.clutter = [self.anything() for _ in range(2)]  # a coat stand, a poster: half of all false boxes
        self.offset_s = rng.uniform(-1, 1) * clock_s
        self.latency_s = rng.uniform(*LATENCY_S)

    def frames(self, seconds: float) -> list[tuple[float, CameraFrame, list[int]]]:
        """(arrival, frame, whose each box is by row of people, -1 for nobody's)."""
        period, result = 1 / self.camera.fps, []
        t = self.rng.uniform(0, period)
        while t < seconds:
            at_s = t + self.rng.normal(0, 0.03) * period
            boxes, rows = self.look(max(at_s, 0.0))
            result.append((at_s + self.latency_s * self.rng.uniform(0.9, 1.3), self.frame(at_s, boxes, rows), rows))
            t += period
        return result

    def look(self, t: float) -> tuple[list[Array], list[int]]:
        rng = self.rng
        place, _, inside = self.ways.at(t)
        here = np.flatnonzero(inside)
        boxes, chance, _, hidden = chances(self.lens, place[here], self.ways.height[here])
        found: list[tuple[Array, int]] = []
        for number, row in enumerate(here):
            is_lost = any(start <= t < end for start, end in self.gaps[row])
            noise = rng.normal(0, EDGE_SD * (1 + hidden[number]), 4)
            if rng.random() < chance[number] and not is_lost:
                box = self.as_detected(boxes[number], noise)
                if box is not None:
                    found.append((box, int(row)))
        for _ in range(rng.poisson(self.false_boxes)):
            spot = self.clutter[rng.integers(2)] if rng.random() < 0.5 else self.anything()
            found.append((spot + rng.normal(0, EDGE_SD * spot[3], 4) * [1, 1, 0.5, 0.5], -1))
        order = rng.permutation(len(found))
        return [found[place][0] for place in order], [found[place][1] for place in order]

    def as_detected(self, body: Array, noise: Array) -> Array | None:
        """Left, top, width, height of a body's box with its margin at the feet and noise, clipped to the image."""
        tall = body[3] - body[1]
        margin = self.camera.detector.foot_margin
        edges = body + [0, 0, 0, tall * margin / (1 - margin)] + noise * tall
        left, top, right, bottom = np.clip(edges, 0, [*self.lens.size, *self.lens.size])
        return np.array([left, top, right - left, bottom - top]) if right - left > 4 and bottom - top > 8 else None

    def anything(self) -> Array:
        rng, (wide, high) = self.rng, self.lens.size
        tall = rng.uniform(0.12, 0.6) * high
        return np.array([rng.uniform(0, wide - 0.4 * tall), rng.uniform(0, high - tall), 0.4 * tall, tall])

    def frame(self, t: float, boxes: list[Array], rows: list[int]) -> CameraFrame:
        looks = {}
        if self.clothes is not None:
            blobs = [self.clothes[row] if row >= 0 else colours(self.dress) for row in rows]
            looks[NAME] = np.array([self.light.histogram(self.dress, one) for one in blobs], np.float32).reshape(
                -1, 256
            )
        scores = [max(0.3, self.rng.normal(1.2 if row >= 0 else 0.6, 0.4)) for row in rows]
        return CameraFrame(source=self.camera.id, t_ns=T0_NS + round((t + self.offset_s) * 1e9),
                           boxes=np.array(boxes, np.float32).reshape(-1, 4), scores=np.array(scores, np.float32),
                           image_size=self.lens.size, descriptors=looks)  # fmt: skip
