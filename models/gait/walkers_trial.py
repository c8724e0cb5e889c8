"""Recorded walkers taught and judged: which of the known ones is it, how sure, and is it any of them at all.

A method gives scores of windows; what turns them into probabilities is fitted on the last sixth of the teaching time,
by the method taught on what comes before it, and so nothing judged has been seen. numpy only; the RF branch as
a method is in walkers_rf.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .walkers_features import Frames, frames_of
from .walkers_linear import discriminant, log_softmax
from .walkers_recording import F64, I64, Recording, WalkerError
from .walkers_scores import Calibration, area_under_roc, calibration_error, calibration_of, interval, top1, votes
from .walkers_summary import Table, corrected, table_of
from .walkers_track import Body, body_of
from .walkers_windows import Spans, Windows, cut, fitted, held_out, judged, teaching

TAUGHT_EVERY_S, JUDGED_EVERY_S = 0.5, 1.0
OFFSETS, OFFSET_S = 5, 0.1


class Walkers(NamedTuple):
    """Recordings of one radar: who, where, on which day, the points and the frames of each."""

    names: tuple[str, ...]
    rooms: tuple[str, ...]
    days: tuple[int, ...]
    bodies: tuple[Body, ...]
    frames: tuple[Frames, ...]

    def only(self, chosen: Sequence[int]) -> "Walkers":
        return Walkers(
            tuple(self.names[k] for k in chosen),
            tuple(self.rooms[k] for k in chosen),
            tuple(self.days[k] for k in chosen),
            tuple(self.bodies[k] for k in chosen),
            tuple(self.frames[k] for k in chosen),
        )


class Split(NamedTuple):
    """Of each walker the spans that teach and those that are judged."""

    teach: tuple[Spans, ...]
    judge: tuple[Spans, ...]


class Judged(NamedTuple):
    """logs (n,C) of probabilities of the windows."""

    logs: F64
    windows: Windows
    calibration: Calibration


Method = Callable[[Walkers, Split, Windows, int], F64]


def walkers_of(recordings: Sequence[Recording]) -> Walkers:
    bodies = tuple(body_of(each) for each in recordings)
    names, rooms = tuple(each.walker for each in recordings), tuple(each.room for each in recordings)
    return Walkers(
        names, rooms, tuple(each.day for each in recordings), bodies, tuple(frames_of(body) for body in bodies)
    )


def durations(walkers: Walkers) -> list[float]:
    return [float(frames.t_s[-1]) for frames in walkers.frames]


def final(walkers: Walkers) -> Split:
    """Taught by the first 60 %, judged by the rest."""
    times = durations(walkers)
    return Split(tuple(map(teaching, times)), tuple(map(judged, times)))


def choosing(walkers: Walkers, which: str = "last") -> Split:
    """All within the teaching time: judged by one sixth of it, taught by the others."""
    times = durations(walkers)
    return Split(tuple(fitted(each, which) for each in times), tuple(held_out(each, which) for each in times))


def taught_windows(walkers: Walkers, split: Split, seconds: float, seed: int) -> Windows:
    """The seed shifts where windows begin: the only chance there is in the linear method."""
    return _of_all(walkers, cut(walkers.frames, split.teach, seconds, TAUGHT_EVERY_S, OFFSET_S * (seed % OFFSETS)))


def judged_windows(walkers: Walkers, split: Split, seconds: float) -> Windows:
    return _of_all(walkers, cut(walkers.frames, split.judge, seconds, JUDGED_EVERY_S))


def _of_all(walkers: Walkers, windows: Windows) -> Windows:
    for k in np.setdiff1d(np.arange(len(walkers.names)), windows.walker):
        raise WalkerError(
            f"walker {walkers.names[k]} has no window of {windows.seconds:g} s: the recording is too short"
        )
    return windows


def tables(walkers: Walkers, split: Split, asked: Windows, seed: int) -> tuple[Table, I64, Table]:
    """The teaching windows' rows, whose they are, and the rows of the windows asked about."""
    correction = corrected(walkers.frames, split.teach)
    taught = taught_windows(walkers, split, asked.seconds, seed)
    return table_of(walkers.frames, correction, taught), taught.walker, table_of(walkers.frames, correction, asked)


def linear(walkers: Walkers, split: Split, asked: Windows, seed: int) -> F64:
    """The method that is shipped: the discriminant over all columns."""
    taught, walker, rows = tables(walkers, split, asked, seed)
    return discriminant(taught.rows, walker).scores(rows.rows)


def tried(method: Method, walkers: Walkers, seconds: float, seed: int) -> Judged:
    """The method taught and judged, its probabilities calibrated inside the teaching time."""
    return tried_together([method], walkers, seconds, seed)


def tried_together(methods: Sequence[Method], walkers: Walkers, seconds: float, seed: int) -> Judged:
    """The mean of several methods' log-probabilities, each calibrated by itself, calibrated once more."""
    choice, split = choosing(walkers), final(walkers)
    held, asked = judged_windows(walkers, choice, seconds), judged_windows(walkers, split, seconds)
    of_held, of_asked = np.zeros((2, 1, 1))
    for method in methods:
        scores = method(walkers, choice, held, seed)
        calibration = calibration_of(scores, held.walker)
        of_held = of_held + calibration(scores) / len(methods)
        of_asked = of_asked + calibration(method(walkers, split, asked, seed)) / len(methods)
    calibration = calibration_of(of_held, held.walker)
    return Judged(calibration(of_asked), asked, calibration)


def figures(judged_: Judged, rooms: Sequence[str], seed: int = 0, apart: str = "room2") -> dict[str, Any]:
    """top1 and its interval, the votes' over 20 s, calibration errors, and the room's own walkers apart."""
    logs, windows, _ = judged_
    summed = votes(logs, windows, discount_of(windows))
    voted = log_softmax(summed.logs) if len(summed.logs) else summed.logs
    low, high = interval(logs, windows.walker, windows.from_s, seed)
    said: dict[str, Any] = {
        "windows": len(windows.walker),
        "top1": top1(logs, windows.walker),
        "low": low,
        "high": high,
        "calibration_error": calibration_error(logs, windows.walker),
        "vote": top1(voted, summed.walker) if len(voted) else None,
        "vote_calibration_error": calibration_error(voted, summed.walker) if len(voted) else None,
    }
    inside = np.flatnonzero(np.array(rooms) == apart)
    if 1 < len(inside) < len(rooms):
        mine, his = np.isin(windows.walker, inside), np.isin(summed.walker, inside)
        said[apart] = top1(logs[mine][:, inside], np.searchsorted(inside, windows.walker[mine]))
        said[f"{apart}_vote"] = top1(summed.logs[his][:, inside], np.searchsorted(inside, summed.walker[his]))
    return said


def discount_of(windows: Windows) -> float:
    """So that each second of a walk is counted once in a sum over overlapping windows."""
    return min(1.0, JUDGED_EVERY_S / windows.seconds)


def strangers(walkers: Walkers, seconds: float, seed: int = 0) -> dict[str, float]:
    """Each walker left out of the teaching in turn: the area under the curve that tells windows of the known from his,
    by the likelihood ratio and by the best name's probability, and the same of the ratios summed over 20 s."""
    split = final(walkers)
    asked = judged_windows(walkers, split, seconds)
    taught, walker, rows = tables(walkers, split, asked, seed)
    ratio, best, summed_ratio = [], [], []
    for left in range(len(walkers.names)):
        kept = walker != left
        model = discriminant(taught.rows[kept], walker[kept] - (walker[kept] > left))
        known, own = model.known(rows.rows), asked.walker != left
        ratio.append(area_under_roc(known[own], known[~own]))
        surest = log_softmax(model.scores(rows.rows)).max(axis=1)
        best.append(area_under_roc(surest[own], surest[~own]))
        total = votes(known[:, None], asked)
        summed_ratio.append(area_under_roc(total.logs[total.walker != left, 0], total.logs[total.walker == left, 0]))
    return {
        "ratio": float(np.mean(ratio)),
        "worst": float(np.min(ratio)),
        "probability": float(np.mean(best)),
        "ratio_20s": float(np.mean(summed_ratio)),
    }
