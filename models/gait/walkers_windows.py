"""Which stretches of a recording teach and which are judged, and the windows cut of them.

The first 60 % of each walker's time teaches, the rest is judged, with a gap between them in which nothing is used. What
has to be chosen (a temperature, a shrinkage, epochs) is chosen inside the first 60 % alone: its last sixth is held out
for that, and for sturdier choices the first and a middle sixth as well.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .walkers_features import Frames
from .walkers_recording import I64

TRAIN_SHARE, GAP_S = 0.6, 5.0
SIXTHS = {"first": 0.0, "middle": 2.5, "last": 5.0}  # of the teaching time, held out for choices
POINTS_LEAST, POOR_MOST = 3, 0.5  # a window with more frames of fewer points asks nothing (specification, section 6)
FRAMES_LEAST_PER_S = 5.0

Span = tuple[float, float]
Spans = tuple[Span, ...]


class Windows(NamedTuple):
    """walker (n,) index; low, high (n,) frames of that walker's recording; from_s (n,); seconds: their length."""

    walker: I64
    low: I64
    high: I64
    from_s: NDArray[np.float64]
    seconds: float


def teaching(duration_s: float) -> Spans:
    return ((0.0, TRAIN_SHARE * duration_s - GAP_S),)


def judged(duration_s: float) -> Spans:
    return ((TRAIN_SHARE * duration_s, np.inf),)


def held_out(duration_s: float, which: str = "last") -> Spans:
    """A sixth of the teaching time."""
    sixth = TRAIN_SHARE * duration_s / 6
    low = SIXTHS[which] * sixth
    return ((low, min(low + sixth, TRAIN_SHARE * duration_s - GAP_S)),)


def fitted(duration_s: float, which: str = "last") -> Spans:
    """The teaching time without that sixth and a gap on either side of it."""
    sixth = TRAIN_SHARE * duration_s / 6
    low = SIXTHS[which] * sixth
    around = ((0.0, low - GAP_S), (low + sixth + GAP_S, TRAIN_SHARE * duration_s - GAP_S))
    return tuple(span for span in around if span[1] > span[0])


def cut(
    walkers: Sequence[Frames], spans: Sequence[Spans], seconds: float, stride_s: float, from_s: float = 0.0
) -> Windows:
    """Windows of the walkers' spans, stride_s apart, the first from_s after each span's begin. Windows in which over
    half the frames hold fewer than three points, or half the frames are missing, are left out."""
    done: list[tuple[int, int, int, float]] = []
    for k, (frames, parts) in enumerate(zip(walkers, spans, strict=True)):
        for begin, end in parts:
            starts = np.arange(begin + from_s, min(end, frames.t_s[-1]) - seconds + 1e-9, stride_s)
            low = np.searchsorted(frames.t_s, starts)
            high = np.searchsorted(frames.t_s, starts + seconds)
            done += [
                (k, int(a), int(b), float(start))
                for start, a, b in zip(starts, low, high, strict=True)
                if b - a >= FRAMES_LEAST_PER_S * seconds and (frames.points[a:b] < POINTS_LEAST).mean() <= POOR_MOST
            ]
    table = np.array(done).reshape(-1, 4)
    walker, low, high = table[:, :3].astype(np.int64).T
    return Windows(walker, low, high, table[:, 3], seconds)


def inside(frames: Frames, spans: Spans) -> I64:
    """The frames of the spans that hold points enough to be learnt from."""
    kept = np.zeros(len(frames.t_s), np.bool_)
    for begin, end in spans:
        kept |= (frames.t_s >= begin) & (frames.t_s < end)
    return np.flatnonzero(kept & (frames.points >= POINTS_LEAST))
