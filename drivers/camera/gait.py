"""How somebody's outline looks in one frame, in 64 numbers: the gait descriptor "gait-profile:1".

A camera node publishes one for each box, since pixels stay in the node; fusion collects them along a track, and from
two seconds of them cadence, swing, stride and proportions can be read. No picture can be made of them but a rough
outline. It says nothing about who it is, and nothing about absolute size: everything is in shares of the outline's
height.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

NAME = "gait-profile:1"
SIZE = 64  # silhouettes are SIZE x SIZE
BANDS = 20  # of the height, from the head down
WIDTH = 3 * BANDS + 4
LEAST_ROWS = 16  # a lower silhouette is no walking person near enough
LEAST_PIXELS = 2  # in a row that counts
BESIDE_PX = 2  # a part this far beside the body's is somebody else

# Where things are in the 64 numbers. The last four: outline height / crop height, its area / height squared, where its
# middle (the upper half's median column) lies in the crop, the rows' share with a gap (between legs, arms).
LEFT, RIGHT, FILLED = slice(0, BANDS), slice(BANDS, 2 * BANDS), slice(2 * BANDS, 3 * BANDS)
HEIGHT, AREA, MIDDLE, GAPS = range(3 * BANDS, WIDTH)


def gait_profile(silhouette: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(64,) f32 of a silhouette (64,64), True where the body is, in a square crop around it (equal scale both ways).

    For each of 20 bands of the outline's own height: how far it reaches left and right of the body's middle, and how
    much of it is filled, in shares of the height (left extents are negative). All zeros: no body to speak of.
    Raises ValueError for another shape.
    """
    return gait_profiles(silhouette[None])[0]


def gait_profiles(silhouettes: NDArray[np.bool_]) -> NDArray[np.float32]:
    """One `gait_profile` a silhouette: (N,64,64) -> (N,64)."""
    if silhouettes.shape[1:] != (SIZE, SIZE):
        raise ValueError(f"a silhouette is {SIZE}x{SIZE}, not {'x'.join(map(str, silhouettes.shape[1:]))}")
    out = np.zeros((len(silhouettes), WIDTH), np.float32)
    silhouettes = np.array([_of_one(each) for each in silhouettes], bool).reshape(-1, SIZE, SIZE)
    count = silhouettes.sum(axis=2)
    counts = count >= LEAST_PIXELS
    top, bottom = counts.argmax(axis=1), SIZE - counts[:, ::-1].argmax(axis=1)
    height = bottom - top
    kept = np.flatnonzero(counts.any(axis=1) & (height >= LEAST_ROWS))
    if not len(kept):
        return out
    body, count, top, height = silhouettes[kept], count[kept], top[kept], height[kept]
    row = np.arange(SIZE)
    middle = _median_column(body & (row < (top + height // 2)[:, None])[..., None] & (row >= top[:, None])[..., None])
    has_any = count > 0
    left = np.where(has_any, body.argmax(axis=2) - middle[:, None], 0.0)
    right = np.where(has_any, SIZE - body[:, :, ::-1].argmax(axis=2) - middle[:, None], 0.0)
    inside = (row >= top[:, None]) & (row < (top + height)[:, None])
    for part, values in ((LEFT, left), (RIGHT, right), (FILLED, count)):
        out[kept, part] = _banded(values, top, height) / height[:, None]
    out[kept, HEIGHT] = height / SIZE
    out[kept, AREA] = (count * inside).sum(axis=1) / height**2
    out[kept, MIDDLE] = middle / SIZE - 0.5
    out[kept, GAPS] = (has_any & (right - left > count) & inside).sum(axis=1) / height
    return out


def _of_one(silhouette: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The silhouette without somebody else beside: the part with most pixels in the middle, and what lies above or
    below it. Who touches it stays in."""
    parts, labels, stats, _ = cv2.connectedComponentsWithStats(silhouette.view(np.uint8))
    if parts <= 2:
        return silhouette
    weight = np.bincount(labels[:, SIZE // 4 : -SIZE // 4].ravel(), minlength=parts)
    weight[0] = -1
    left, right = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_LEFT] + stats[:, cv2.CC_STAT_WIDTH]
    main = int(weight.argmax())
    kept = (left < right[main] + BESIDE_PX) & (right > left[main] - BESIDE_PX)
    kept[0] = False
    return kept[labels]


def _median_column(body: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) between which columns half of the pixels lie to either side, in px from the left."""
    columns = np.cumsum(body.sum(axis=1), axis=1)
    half = columns[:, -1:] / 2
    at = (columns >= half).argmax(axis=1)
    here = np.arange(len(body))
    before = np.where(at > 0, columns[here, np.maximum(at - 1, 0)], 0)
    return at + (half[:, 0] - before) / np.maximum(columns[here, at] - before, 1)


def _banded(values: NDArray, top: NDArray, height: NDArray) -> NDArray[np.float64]:
    """(N,BANDS) means of values (N,64) over equal bands of rows top to top + height, a row on a border shared."""
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    edges = top[:, None] + height[:, None] * np.linspace(0, 1, BANDS + 1)
    low = np.minimum(edges.astype(int), SIZE - 1)
    here = np.arange(len(values))[:, None]
    at = total[here, low] + (edges - low) * (total[here, low + 1] - total[here, low])
    return np.diff(at, axis=1) * BANDS / height[:, None]
