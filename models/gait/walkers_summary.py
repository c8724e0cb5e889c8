"""A window's frames as one row of numbers: their means, their spreads, and how fast the walker goes.

Rows are what the linear classifier sees. Columns carry the names of the frame's numbers, so that groups of them can be
left out and an audit can say which of them do the recognising. Spectra of what swings were tried and told nothing more.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .walkers_features import Correction, Frames, correction_of
from .walkers_recording import F64
from .walkers_windows import POINTS_LEAST, Spans, Windows, inside

PACE = ("speed mean", "speed most", "speed spread", "speed change")
SEEN_LEAST = 5  # frames
STILL = 0.05  # what no spread at all counts as
GROUPS = {  # by the first words of a column's name
    "Doppler": ("doppler", "band 0 doppler", "band 1 doppler", "band 2 doppler", "band 0 swing", "band 1 swing",
                "band 2 swing", "height doppler"),
    "height": ("height",),
    "range": ("range", "band 0 range", "band 1 range", "band 2 range"),
    "side": ("side",),
    "intensity": ("light",),
    "count": ("points",),
    "walking speed": ("speed",),
}  # fmt: skip


class Table(NamedTuple):
    """rows (n,D), names (D,) of the windows."""

    rows: F64
    names: tuple[str, ...]

    def only(self, groups: Sequence[str], without: bool = False) -> "Table":
        """The columns of the groups, or all the others."""
        starts = tuple(f"{start} " for group in groups for start in GROUPS[group])
        kept = [name.startswith(starts) != without for name in self.names]
        return Table(self.rows[:, kept], tuple(name for name, keep in zip(self.names, kept, strict=True) if keep))


def corrected(walkers: Sequence[Frames], spans: Sequence[Spans], stretch_s: float | None = None) -> Correction:
    """Learnt from the spans' frames. stretch_s: where walkers are unknown, so long a stretch of a track is one."""
    taken = [inside(frames, parts) for frames, parts in zip(walkers, spans, strict=True)]
    group = [
        np.full(len(rows), 1000 * k) + (0 if stretch_s is None else (frames.t_s[rows] // stretch_s).astype(np.int64))
        for k, (frames, rows) in enumerate(zip(walkers, taken, strict=True))
    ]
    features = np.concatenate([frames.features[rows] for frames, rows in zip(walkers, taken, strict=True)])
    place = np.concatenate([frames.place[rows] for frames, rows in zip(walkers, taken, strict=True)])
    return correction_of(features, place, np.concatenate(group))


def table_of(walkers: Sequence[Frames], correction: Correction, windows: Windows) -> Table:
    """A row a window."""
    clean = [correction(frames.features, frames.place) for frames in walkers]
    rows = [
        _row(clean[k][low:high], walkers[k], int(low), int(high))
        for k, low, high in zip(windows.walker, windows.low, windows.high, strict=True)
    ]
    names = walkers[0].names
    columns = (*(f"{name} (mean)" for name in names), *(f"{name} (spread)" for name in names), *PACE)
    return Table(np.array(rows).reshape(-1, len(columns)), columns)


def places_of(walkers: Sequence[Frames], windows: Windows) -> F64:
    """What place alone says of each window (n,8): mean, spread, least and most of range and side. For the audit."""
    rows = []
    for k, low, high in zip(windows.walker, windows.low, windows.high, strict=True):
        at = walkers[k].place[low:high, :2]
        rows.append(np.concatenate([at.mean(axis=0), at.std(axis=0), at.min(axis=0), at.max(axis=0)]))
    return np.array(rows).reshape(-1, 8)


def _row(clean: F64, frames: Frames, low: int, high: int) -> F64:
    full = frames.points[low:high] >= POINTS_LEAST
    seen = clean[full] if full.sum() >= SEEN_LEAST else clean
    speed = frames.place[low:high, 2]
    pace = [speed.mean(), speed.max(), speed.std(), np.abs(np.diff(speed)).mean()]
    return np.concatenate([seen.mean(axis=0), np.log(seen.std(axis=0) + STILL), pace])
