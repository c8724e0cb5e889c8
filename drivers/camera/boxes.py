"""Boxes as rows of left, top, width, height in px: overlap, clipping and non-maximum suppression, all vectorised.

Pure arithmetic: it knows neither images nor detectors.
"""

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def intersection(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Areas (N,M) in px that a (N,4) and b (M,4) share."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    return np.clip(high - low, 0, None).prod(axis=2)


def overlap(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over union (N,M)."""
    shared = intersection(a, b)
    return _share(shared, _area(a)[:, None] + _area(b)[None] - shared)


def containment(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over the smaller of the two areas (N,M): 1 where one box lies inside the other."""
    return _share(intersection(a, b), np.minimum(_area(a)[:, None], _area(b)[None]))


def clip(boxes: Boxes, width: int, height: int) -> Boxes:
    """The part of each box inside a width x height image; boxes wholly outside are left out."""
    low = np.clip(boxes[:, :2], 0, (width, height))
    high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, (width, height))
    inside = np.hstack((low, high - low))
    return inside[(inside[:, 2:] >= 1).all(axis=1)].astype(np.float32)


def suppress(boxes: Boxes, scores: NDArray[np.float32], max_overlap: float, max_containment: float) -> NDArray[np.intp]:
    """Rows to keep, best score first: each box that neither overlaps (IoU) nor contains, nor lies in, a better one.

    HOG fires several times on one person at neighbouring places and scales; containment catches the torso inside the
    body, whose IoU is small. Isolated boxes stay, unlike with OpenCV's own grouping (protocols D2).
    """
    order = np.argsort(-scores, kind="stable")
    same = (overlap(boxes, boxes) > max_overlap) | (containment(boxes, boxes) > max_containment)
    keep: list[int] = []
    for row in order:
        if not same[row, keep].any():
            keep.append(int(row))
    return np.array(keep, np.intp)


def _share(part: Boxes, whole: Boxes) -> NDArray[np.float32]:
    """part / whole; empty boxes overlap with nothing."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _area(boxes: Boxes) -> NDArray[np.float32]:
    return boxes[:, 2] * boxes[:, 3]
