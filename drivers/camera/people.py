"""People in images: OpenCV's HOG detector (Dalal and Triggs) run where the motion gate says, and one box a person.

It finds upright people at least about 100 px tall (times 1 / resize); those who sit, bend or are half hidden it
mostly misses, and poles it sometimes takes for people (protocols D5). It tracks nobody and maps nothing to the floor.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ...sitefile import Detector
from ..errors import DeviceRefused
from .boxes import clip, suppress
from .gate import MotionGate

WINDOW_PX = (64, 128)  # of the default people detector
MAX_CONTAINMENT = 0.6  # of the smaller box: beyond it the two are one person

# HOG windows carry a margin around the person (protocols D3). Measured on pets_s2l1 (docs/camera.md): cutting these
# shares leaves boxes 1.2 times as wide and 1.1 as tall as the annotated ones, with the box's bottom a share
# `foot_margin` (default 0.08) of the box's height below the feet; fusion takes that last step, for it is per camera.
CUT_SIDE, CUT_TOP, CUT_BOTTOM = 0.20, 0.12, 0.08


class PeopleDetector:
    """detect(pixels) -> (boxes (N,4) f32: left, top, width, height px of that image, clipped to it; scores (N,) f32).

    Scores are SVM margins, best first; from 0 (barely) to about 3. counters: frames, full_scans (whole frames
    searched), regions (searched instead), boxes. Raises DeviceRefused when this OpenCV has no HOG detector.
    """

    def __init__(self, config: Detector) -> None:
        cv2.setNumThreads(1)  # more threads than free cores make it slower (protocols D4)
        self._config = config
        self._hog = _people_hog()
        self._padding_px = safe_padding_px(config.scale)
        smallest = (WINDOW_PX[0] / config.resize, WINDOW_PX[1] / config.resize)
        self._gate = MotionGate(smallest) if config.motion_gate else None
        self.counters = {"frames": 0, "full_scans": 0, "regions": 0, "boxes": 0}

    def detect(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """People in one BGR (or grey) image of 8 bits; call it with consecutive frames of one camera."""
        height, width = pixels.shape[:2]
        regions = self._gate.regions(pixels) if self._gate else None
        if regions is None:
            self.counters["full_scans"] += 1
            windows, scores = self._search(pixels)
        else:
            self.counters["regions"] += len(regions)
            windows, scores = self._search_regions(pixels, regions)
        boxes = _cut(windows)
        keep = suppress(boxes, scores, self._config.overlap, MAX_CONTAINMENT)
        keep = keep[_inside(boxes[keep], width, height)]
        if self._gate:
            self._gate.remember(windows[keep])
        self.counters["frames"] += 1
        self.counters["boxes"] += len(keep)
        return clip(boxes[keep], width, height), scores[keep]

    def _search_regions(
        self, pixels: NDArray[np.uint8], regions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        found = []
        for left, top, width, height in regions:
            x, y = int(left), int(top)
            windows, scores = self._search(pixels[y : int(np.ceil(top + height)), x : int(np.ceil(left + width))])
            found.append((windows + np.array((x, y, 0, 0), np.float32), scores))
        if not found:
            return np.empty((0, 4), np.float32), np.empty(0, np.float32)
        return np.vstack([windows for windows, _ in found]), np.concatenate([scores for _, scores in found])

    def _search(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Every window (N,4) above the threshold in image px, ungrouped, and its margin (N,)."""
        config = self._config
        if config.resize != 1.0:
            pixels = np.asarray(cv2.resize(pixels, None, fx=config.resize, fy=config.resize), np.uint8)
        if pixels.shape[1] < WINDOW_PX[0] or pixels.shape[0] < WINDOW_PX[1]:
            return np.empty((0, 4), np.float32), np.empty(0, np.float32)
        windows, margins = self._hog.detectMultiScale(
            pixels,
            hitThreshold=config.hit_threshold,
            winStride=(config.stride_px, config.stride_px),
            padding=(self._padding_px, self._padding_px),
            scale=config.scale,
            groupThreshold=0,
        )  # an empty tuple each where nobody is
        boxes = np.asarray(windows, np.float32).reshape(-1, 4) / np.float32(config.resize)
        return boxes, np.asarray(margins, np.float32).reshape(-1)


def _people_hog() -> cv2.HOGDescriptor:
    make = getattr(cv2, "HOGDescriptor", None)
    if make is None:
        raise DeviceRefused(
            f"OpenCV {cv2.__version__} has no HOG people detector: install opencv-python-headless below 5 "
            '(pip install "opencv-python-headless>=4.12,<5")'
        )
    hog = make()
    hog.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())
    return hog


def safe_padding_px(scale: float) -> int:
    """Padding around what is searched, a multiple of the block stride, so that people at the border are found.

    It must be this large for memory's sake, too: the last level of OpenCV's pyramid is smaller than the window, and
    where padding does not make up for it, windowsInImage() rounds -1/8 to 0 and one window is read beyond the end.
    """
    lacking = WINDOW_PX[1] * (1 - 1 / scale) + 1  # px that the last level may lack in height, and rounding
    return max(8, 8 * int(np.ceil(lacking / 2 / 8)))


def _cut(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The person's box inside the detector's window."""
    left, top, width, height = windows.T
    return np.column_stack(
        (
            left + CUT_SIDE * width,
            top + CUT_TOP * height,
            width * (1 - 2 * CUT_SIDE),
            height * (1 - CUT_TOP - CUT_BOTTOM),
        )
    )


def _inside(boxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.intp]:
    """Rows of boxes with their centre in the image: what lies mostly in the padding is no observation."""
    centre = boxes[:, :2] + boxes[:, 2:] / 2
    return np.flatnonzero(((centre >= 0) & (centre < (width, height))).all(axis=1))
