"""How somebody's outline looks in one frame, in 64 numbers: the gait descriptor "gait-profile:1".

A camera node publishes one for each box, since pixels stay in the node; fusion collects them along a track, and from
two seconds of them cadence, swing, stride and proportions can be read. No picture can be made of them but a rough
outline. It says nothing about who it is, and nothing about absolute size: everything is in shares of the outline's
height.
"""

import numpy as np
from numpy.typing import NDArray

NAME = "gait-profile:1"
SIZE = 64  # silhouettes are SIZE x SIZE
BANDS = 20  # of the height, from the head down
WIDTH = 3 * BANDS + 4
LEAST_ROWS = 16  # a lower silhouette is no walking person near enough
LEAST_PIXELS = 2  # in a row that counts

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
    if silhouette.shape != (SIZE, SIZE):
        raise ValueError(f"a silhouette is {SIZE}x{SIZE}, not {'x'.join(map(str, silhouette.shape))}")
    out = np.zeros(WIDTH, np.float32)
    filled = silhouette.sum(axis=1)
    rows = np.flatnonzero(filled >= LEAST_PIXELS)
    if not len(rows) or rows[-1] - rows[0] + 1 < LEAST_ROWS:
        return out
    top, height = int(rows[0]), int(rows[-1] - rows[0] + 1)
    body = silhouette[top : top + height]
    middle = _median_column(body[: height // 2])
    has_any = body.any(axis=1)
    left = np.where(has_any, body.argmax(axis=1) - middle, 0.0)
    right = np.where(has_any, SIZE - body[:, ::-1].argmax(axis=1) - middle, 0.0)
    count = body.sum(axis=1)
    for part, values in ((LEFT, left), (RIGHT, right), (FILLED, count)):
        out[part] = _banded(values) / height
    out[HEIGHT] = height / SIZE
    out[AREA] = count.sum() / height**2
    out[MIDDLE] = middle / SIZE - 0.5
    out[GAPS] = float(np.mean(has_any & (right - left > count)))
    return out


def gait_profiles(silhouettes: NDArray[np.bool_]) -> NDArray[np.float32]:
    """One `gait_profile` a silhouette: (N,64,64) -> (N,64)."""
    return np.array([gait_profile(each) for each in silhouettes], np.float32).reshape(len(silhouettes), WIDTH)


def _median_column(body: NDArray[np.bool_]) -> float:
    """Between which columns half of the pixels lie to either side, in px from the left."""
    columns = np.cumsum(body.sum(axis=0))
    return float(np.interp(columns[-1] / 2, np.concatenate([[0], columns]), np.arange(SIZE + 1)))


def _banded(values: NDArray) -> NDArray[np.float64]:
    """(BANDS,) means over equal bands of the rows, a row on a border shared."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    edges = np.interp(np.linspace(0, len(values), BANDS + 1), np.arange(len(values) + 1), total)
    return np.diff(edges) * BANDS / len(values)
