"""Which crops are worth an embedding, and how the embeddings of one track become one.

A crop that is too small, cut by the image's rim, hidden by somebody nearer, or blurred says more about its flaw than
about the person. What slips through (another person's shoulder) is weighed by how well it agrees with the rest.
"""

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .stripes import F32, Image

Flaw = Literal["", "small", "cut", "hidden", "blurred"]

LEAST_HEIGHT_PX, LEAST_WIDTH_PX = 40, 12
LEAST_INSIDE = 0.85  # share of the box that lies inside the image
MOST_HIDDEN = 0.4  # share of the box behind somebody nearer
LEAST_DETAIL = 12.0  # variance of the Laplacian at 32 x 64 px; real crops have 100 and more
DETAIL_PX = (32, 64)
DISAGREES = 0.04  # by which a crop's likeness to the median may lag before it loses half its weight


def cut_out(image: Image, boxes: NDArray[np.floating]) -> list[Image]:
    """The crops of boxes (N,4) left, top, width, height px; a box without a pixel inside the image is a (0,0,3) one."""
    rows, columns = image.shape[:2]
    crops = []
    for left, top, wide, high in np.asarray(boxes, np.float64).tolist():
        x0, y0 = min(max(0, int(left)), columns), min(max(0, int(top)), rows)
        x1, y1 = max(x0, min(columns, int(np.ceil(left + wide)))), max(y0, min(rows, int(np.ceil(top + high))))
        crops.append(image[y0:y1, x0:x1] if x1 > x0 and y1 > y0 else np.zeros((0, 0, 3), np.uint8))
    return crops


def flaws(crops: Sequence[Image], boxes: NDArray[np.floating], image_size: tuple[int, int]) -> list[Flaw]:
    """What is wrong with each crop, "" for nothing: boxes (N,4) px in an image of (width, height). Nearer is whose
    box ends lower."""
    box = np.asarray(boxes, np.float64).reshape(-1, 4)
    inside, hidden = _inside(box, image_size), hidden_shares(box)
    return [
        flaw_of(crop, float(share), float(behind)) for crop, share, behind in zip(crops, inside, hidden, strict=True)
    ]


def flaw_of(crop: Image, inside: float = 1.0, hidden: float = 0.0) -> Flaw:
    """What is wrong with one crop. inside: share of its box in the image; hidden: share behind somebody nearer."""
    if crop.shape[0] < LEAST_HEIGHT_PX or crop.shape[1] < LEAST_WIDTH_PX:
        return "small"
    if inside < LEAST_INSIDE:
        return "cut"
    if hidden > MOST_HIDDEN:
        return "hidden"
    grey = cv2.cvtColor(cv2.resize(crop, DETAIL_PX, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return "blurred" if float(cv2.Laplacian(grey, cv2.CV_64F).var()) < LEAST_DETAIL else ""


def hidden_shares(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) the largest share of each box (N,4) that one nearer box covers."""
    if not len(box):
        return np.zeros(0)
    low = np.maximum(box[:, None, :2], box[None, :, :2])
    high = np.minimum(box[:, None, :2] + box[:, None, 2:], box[None, :, :2] + box[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    foot = box[:, 1] + box[:, 3]
    shared[foot[:, None] >= foot[None]] = 0.0
    return shared.max(axis=1) / np.maximum(box[:, 2] * box[:, 3], 1e-9)


def pooled(vectors: NDArray[np.floating]) -> F32:
    """One vector (D,) of length 1 for a track's embeddings (n,D), n >= 1: their mean, with those that disagree with
    the median by more than the others do weighed down."""
    vectors = np.asarray(vectors, np.float32)
    weights = agreement(vectors)
    mean = weights @ vectors
    return (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)


def agreement(vectors: NDArray[np.floating]) -> F32:
    """Weights (n,) in 0..1: 1 for those as near the median as the middle one is, less the further behind."""
    if len(vectors) < 3:
        return np.ones(len(vectors), np.float32)
    middle = np.median(vectors, axis=0)
    alike = vectors @ (middle / max(float(np.linalg.norm(middle)), 1e-9))
    lag = np.maximum(float(np.median(alike)) - alike, 0.0)
    return (1 / (1 + (lag / DISAGREES) ** 2)).astype(np.float32)


def _inside(box: NDArray[np.float64], image_size: tuple[int, int]) -> NDArray[np.float64]:
    low = np.maximum(box[:, :2], 0.0)
    high = np.minimum(box[:, :2] + box[:, 2:], np.array(image_size, np.float64))
    return np.prod(np.maximum(high - low, 0.0), axis=1) / np.maximum(box[:, 2] * box[:, 3], 1e-9)
