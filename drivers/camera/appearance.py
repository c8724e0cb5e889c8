"""What somebody looks like, as a histogram of colours: the first appearance descriptor, "hsv-8x8x4:1".

Clothes, not faces: 256 numbers that tell people in one room apart for some minutes, from which no picture can be
made. It learns nothing and matches nobody; that is fusion's.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

NAME = "hsv-8x8x4:1"
BINS = (8, 8, 4)  # hue, saturation, value (EV-Loc)
SAMPLES_PX = (24, 48)  # every box is sampled at this size: same cost and same weight, near and far
CENTRE = (0.5, 0.42)  # of the box: the torso, and the trousers' upper half below it
SPREAD = (0.20, 0.22)  # standard deviations of the weight, shares of the box; the rim is mostly background


def hsv_histogram(pixels: NDArray[np.uint8], box: NDArray[np.floating]) -> NDArray[np.float32]:
    """(256,) f32 summing to 1, of a box (left, top, width, height px) in a BGR image; bin = (hue * 8 + sat) * 4 + val.

    Each pixel counts with a Gaussian weight centred on the torso. A box without a pixel inside the image says
    nothing: all bins are equal.
    """
    rows, columns = pixels.shape[:2]
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    right, bottom = min(columns, int(np.ceil(box[0] + box[2]))), min(rows, int(np.ceil(box[1] + box[3])))
    if right <= left or bottom <= top:
        return np.full(_SIZE, 1 / _SIZE, np.float32)
    sample = cv2.resize(pixels[top:bottom, left:right], SAMPLES_PX, interpolation=cv2.INTER_AREA)
    hue, saturation, value = (plane.astype(np.intp) for plane in cv2.split(cv2.cvtColor(sample, cv2.COLOR_BGR2HSV)))
    bins = (hue * BINS[0] // 180 * BINS[1] + saturation * BINS[1] // 256) * BINS[2] + value * BINS[2] // 256
    return np.bincount(bins.ravel(), _WEIGHTS, _SIZE).astype(np.float32)


def histograms(pixels: NDArray[np.uint8], boxes: NDArray[np.floating]) -> NDArray[np.float32]:
    """One `hsv_histogram` a box: (N,4) -> (N,256)."""
    return np.array([hsv_histogram(pixels, box) for box in boxes], np.float32).reshape(len(boxes), _SIZE)


def bhattacharyya(p: NDArray[np.floating], q: NDArray[np.floating]) -> float:
    """Distance 0 (equal) .. 1 (nothing in common) of two histograms that sum to 1: sqrt(1 - sum sqrt(p q))."""
    return float(np.sqrt(max(0.0, 1.0 - float(np.sqrt(p.astype(np.float64) * q).sum()))))


def _weights() -> NDArray[np.float64]:
    across = (np.arange(SAMPLES_PX[0]) + 0.5) / SAMPLES_PX[0] - CENTRE[0]
    down = (np.arange(SAMPLES_PX[1]) + 0.5) / SAMPLES_PX[1] - CENTRE[1]
    weights = np.exp(-0.5 * ((down[:, None] / SPREAD[1]) ** 2 + (across[None] / SPREAD[0]) ** 2))
    return (weights / weights.sum()).ravel()


_SIZE = BINS[0] * BINS[1] * BINS[2]
_WEIGHTS = _weights()
