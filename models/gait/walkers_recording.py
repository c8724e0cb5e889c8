"""Recorded radar walkers: the text of one file to frames of points, and nothing else; who walks is the file's name.

The format is that of the mmGait recordings (Meng et al., "Gait Recognition for Co-existing Multiple People Using
Millimeter Wave Sensing", AAAI 2020): a line a point, "Frame #,# Obj,X,Y,Z,Doppler,Intensity,y,m,d,h,m,s". The
60 GHz files leave the intensity's name out. Frame numbers are reused, so that number and time tell frames apart. Files
cut short are refused.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

HEADER = "Frame #,# Obj,X,Y,Z,Doppler,Intensity,y,m,d,h,m,s"
COLUMNS = HEADER.count(",") + 1
FRAMES_LEAST = 20  # two seconds
DAY_S = 86_400


class WalkerError(ValueError):
    """A recording that is not one, with the reason in one sentence."""


class Recording(NamedTuple):
    """One walker before one radar. day: of the first frame, since 1970; t_s (F,) seconds from it, rising; first (F+1,)
    where each frame's points begin; points (P,5): x, y, z m in the sensor's frame (y ahead, z up), doppler m/s
    (positive: going away), intensity in the radar's own unit, above 0."""

    walker: str
    room: str
    radar: str
    day: int
    t_s: F64
    first: I64
    points: F64


def parse(text: str, walker: str, room: str, radar: str) -> Recording:
    """The frames of one file. Points at 0,0,0 or without intensity are no points and go.

    Raises WalkerError for another header, a row that is not thirteen numbers, a last frame with fewer points than it
    announces, time that runs backwards, or fewer than 20 frames.
    """
    lines = text.splitlines()
    name = f"{room}/{radar}/{walker}"
    if not lines or lines[0].strip() not in (HEADER, HEADER.replace("Intensity", "")):
        raise WalkerError(f"{name} does not begin with the columns {HEADER}")
    rows = _numbers(lines[1:], name)
    stamps, first = _frames(rows, name)
    if (np.diff(stamps) < 0).any():
        raise WalkerError(f"{name} has a time that runs backwards, in frame {int(rows[first[_backwards(stamps)], 0])}")
    last = rows[first[-2] :]
    if len(last) < last[0, 1]:
        raise WalkerError(f"{name} is cut short: its last frame has {len(last)} of {int(last[0, 1])} points")
    real = (np.abs(rows[:, 2:5]).max(axis=1) > 0) & (rows[:, 6] > 0)
    kept = np.concatenate([[0], np.cumsum(real)])[first]
    return Recording(walker, room, radar, int(stamps[0] // DAY_S), stamps - stamps[0], kept, rows[real, 2:7])


def frames(recording: Recording) -> Iterator[tuple[float, F64]]:
    """Each frame's time (s) and points (n,5), n may be 0."""
    for k, t_s in enumerate(recording.t_s):
        yield float(t_s), recording.points[recording.first[k] : recording.first[k + 1]]


def between(recording: Recording, from_s: float, to_s: float) -> Recording:
    """The frames with from_s <= t < to_s; times stay as they are."""
    low, high = np.searchsorted(recording.t_s, [from_s, to_s])
    first = recording.first[low : high + 1]
    return recording._replace(
        t_s=recording.t_s[low:high], first=first - first[0], points=recording.points[first[0] : first[-1]]
    )


def _numbers(lines: list[str], name: str) -> F64:
    try:
        rows = np.array([[float(cell) for cell in line.split(",")] for line in lines if line], ndmin=2)
    except ValueError as error:
        raise WalkerError(f"{name} has a row that is not {COLUMNS} numbers") from error
    if rows.ndim != 2 or rows.shape[1] != COLUMNS or not np.isfinite(rows).all():
        raise WalkerError(f"{name} has a row that is not {COLUMNS} numbers")
    return rows


def _frames(rows: F64, name: str) -> tuple[F64, I64]:
    """Times (F,) of the frames, in seconds of some day, and (F+1,) their first rows."""
    changed = (np.diff(rows[:, [0, 12, 11, 10]], axis=0) != 0).any(axis=1)
    first = np.concatenate([[0], np.flatnonzero(changed) + 1, [len(rows)]])
    if len(first) <= FRAMES_LEAST:
        raise WalkerError(f"{name} has {len(first) - 1} frames: {FRAMES_LEAST} are the least")
    return np.array([_seconds(row, name) for row in rows[first[:-1], 7:]]), first


def _seconds(stamp: F64, name: str) -> float:
    year, month, day, hour, minute = (int(part) for part in stamp[:5])
    try:
        date = np.datetime64(f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}", "s")
    except ValueError as error:
        raise WalkerError(f"{name} has a row whose date is none: {error}") from error
    return float(date.astype(np.int64)) + float(stamp[5])


def _backwards(stamps: F64) -> int:
    return int(np.argmax(np.diff(stamps) < 0)) + 1
