"""What somebody wears as colours in stripes, from head to feet: the descriptor that needs no training.

Six stripes of a crop, each with histograms of hue (weighted by saturation), saturation and value; square roots, so
that a scalar product is the Bhattacharyya coefficient. Everything learnt is measured against it, and it is a part of
every embedding of this house: a network that never saw a site does not make it worse.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Image = NDArray[np.uint8]

STRIPES, BINS = 6, (8, 4, 4)  # bins of hue, saturation and value
SIZE = STRIPES * sum(BINS)
SAMPLE_PX = (24, 48)  # width, height at which every crop is looked at
SPREAD = 0.22  # standard deviation of the weight across, in widths: the rim is mostly background


def stripes(crops: Sequence[Image]) -> F32:
    """(N,96) f32 of length 1, of BGR crops (height, width, 3) of any size."""
    return np.array([_of_one(crop) for crop in crops], np.float32).reshape(len(crops), SIZE)


def _of_one(crop: Image) -> F32:
    sample = cv2.resize(crop, SAMPLE_PX, interpolation=cv2.INTER_AREA)
    planes = cv2.cvtColor(sample, cv2.COLOR_BGR2HSV).reshape(-1, 3).astype(np.intp)
    counts = [
        np.bincount(
            _STRIPE * bins + planes[:, plane] * bins // limit,
            _WEIGHT * (planes[:, 1] / 255 if plane == 0 else 1.0),
            STRIPES * bins,
        ).reshape(STRIPES, bins)
        for plane, (bins, limit) in enumerate(zip(BINS, (180, 256, 256), strict=True))
    ]
    rooted = np.sqrt(np.concatenate(counts, axis=1)).ravel()
    return (rooted / np.linalg.norm(rooted)).astype(np.float32)


_STRIPE = np.repeat(np.arange(SAMPLE_PX[1]) * STRIPES // SAMPLE_PX[1], SAMPLE_PX[0])
_ACROSS = np.exp(-0.5 * (((np.arange(SAMPLE_PX[0]) + 0.5) / SAMPLE_PX[0] - 0.5) / SPREAD) ** 2)
_WEIGHT = np.tile(_ACROSS / _ACROSS.sum(), SAMPLE_PX[1])
