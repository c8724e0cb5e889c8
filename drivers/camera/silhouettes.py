"""Outlines of people in boxes, by what differs from the background: what gait profiles are made of. Pixels stay here.

A background model at full resolution, for outlines need what the motion gate does without. Who stands still for
minutes melts into it, and has no gait to speak of. It looks for nobody; the detector does.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from .gait import SIZE

LEARNING_FRAMES = 500  # the background forgets what has stood still for about this long
VARIANCE_THRESHOLD = 25.0  # squared sigmas of a pixel's own noise
MARGIN = 0.08  # of a box's height, around it
COVERED = 0.5  # share of a cell of the 64x64 that must be foreground
REACH = 0.36  # of a box's height, to either side of its middle: as far as a walker's feet go
BESIDE = 0.12  # of a box's height: whoever is nearer beside has limbs in the outline


class Silhouettes:
    """of(pixels, boxes): call it with every frame of one camera, in order, with or without boxes."""

    def __init__(self) -> None:
        self._background = cv2.createBackgroundSubtractorMOG2(LEARNING_FRAMES, VARIANCE_THRESHOLD, False)

    def of(self, pixels: NDArray[np.uint8], boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(N,64,64) bool in square crops around boxes (N,4) left, top, width, height px, True where somebody is; empty
        outside the image, and for boxes with somebody else's so near that outlines would run together."""
        mask = np.asarray(cv2.morphologyEx(self._background.apply(pixels), cv2.MORPH_CLOSE, _GAPS), np.uint8)
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        done = np.zeros((len(boxes), SIZE, SIZE), bool)
        for row in np.flatnonzero(~_crowded(boxes)):
            done[row] = _outline(mask, boxes[row])
        return done


def _outline(mask: NDArray[np.uint8], box: NDArray[np.floating]) -> NDArray[np.bool_]:
    """The largest piece of foreground in a box's square crop."""
    left, top, width, height = (float(value) for value in box)
    side = height * (1 + 2 * MARGIN)
    scale = SIZE / side
    move = np.array([[scale, 0, -scale * (left + width / 2 - side / 2)], [0, scale, -scale * (top - MARGIN * height)]])
    crop = cv2.warpAffine(mask, move, (SIZE, SIZE), flags=cv2.INTER_AREA)
    found = (crop >= 255 * COVERED).astype(np.uint8)
    found[:, np.abs(np.arange(SIZE) + 0.5 - SIZE / 2) > REACH * height * scale] = 0
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found, connectivity=8)
    if count < 2:
        return np.zeros((SIZE, SIZE), bool)
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def _crowded(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which boxes (N,4) have another one over them or beside them."""
    left, top = boxes[:, 0] - BESIDE * boxes[:, 3], boxes[:, 1]
    right, bottom = boxes[:, 0] + boxes[:, 2] + BESIDE * boxes[:, 3], boxes[:, 1] + boxes[:, 3]
    meet = (left[:, None] < right[None]) & (left[None] < right[:, None])
    meet &= (top[:, None] < bottom[None]) & (top[None] < bottom[:, None])
    return meet.sum(axis=1) > 1


_GAPS = np.ones((3, 3), np.uint8)
