"""What the recognising rests on: kinds of numbers alone and left out, place alone, and other ground than was taught.

All walkers of a room walk one line, but each was recorded in one session only: clothes, shoes and the day are his
alone. What changes within a session can be audited here; what does not, cannot.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .walkers_features import Frames
from .walkers_linear import discriminant
from .walkers_recording import F64, I64
from .walkers_scores import top1
from .walkers_summary import GROUPS, places_of
from .walkers_trial import (
    JUDGED_EVERY_S,
    Split,
    Walkers,
    choosing,
    final,
    judged_windows,
    linear,
    tables,
    taught_windows,
)
from .walkers_windows import Windows, cut

LEFT_OUT: tuple[tuple[str, ...], ...] = (
    ("intensity",),
    ("intensity", "count", "side"),
    ("walking speed",),
    ("height",),
    ("height", "intensity", "count", "side"),
)
TAUGHT_S = (15.0, 30.0, 60.0)
RATE_HZ = 10.0


class Audit(NamedTuple):
    """top1 of all, and among room2's own where that was measured."""

    what: str
    top1: float
    apart: float | None


def by_kind(walkers: Walkers, seconds: float, seed: int = 0) -> list[Audit]:
    """Each kind of numbers alone, then some left out."""
    cases: list[tuple[str, Sequence[str], bool]] = [(f"{name} alone", (name,), False) for name in GROUPS]
    cases += [(f"without {', '.join(names)}", names, True) for names in LEFT_OUT]
    split = final(walkers)
    asked = judged_windows(walkers, split, seconds)
    taught, walker, rows = tables(walkers, split, asked, seed)
    done = []
    for what, groups, without in cases:
        model = discriminant(taught.only(groups, without).rows, walker)
        done.append(_judged(what, model.scores(rows.only(groups, without).rows), asked.walker, walkers.rooms))
    return done


def by_place(walkers: Walkers, seconds: float, seed: int = 0) -> list[Audit]:
    """Where the windows were, and nothing else; then all numbers, but taught on one half of the route or one way of
    walking, and judged on the other."""
    split = final(walkers)
    asked = judged_windows(walkers, split, seconds)
    done = [_judged("place alone", place_alone(walkers, split, asked, seed), asked.walker, walkers.rooms)]
    taught, walker, rows = tables(walkers, split, asked, seed)
    before = taught_windows(walkers, split, seconds, seed)
    for what, taught_side, judged_side in _halves(walkers, before, asked):
        if len(np.unique(walker[taught_side])) < len(walkers.names):
            continue
        model = discriminant(taught.rows[taught_side], walker[taught_side])
        done.append(_judged(what, model.scores(rows.rows[judged_side]), asked.walker[judged_side], walkers.rooms))
    return done


def early(walkers: Walkers, seconds: float, seed: int = 0) -> Audit:
    """Judged on the first sixth of the teaching time, taught by the rest of it: how much people settle in."""
    split = choosing(walkers, "first")
    asked = cut(walkers.frames, split.judge, seconds, JUDGED_EVERY_S)  # some recordings begin with a hole
    return _judged("judged by the session's begin", linear(walkers, split, asked, seed), asked.walker, walkers.rooms)


def by_day(walkers: Walkers, seconds: float, seed: int = 0) -> list[Audit]:
    """Only those of one room and one day among the candidates: a radar set up anew for another day tells nothing."""
    split = final(walkers)
    asked = judged_windows(walkers, split, seconds)
    scores = linear(walkers, split, asked, seed)
    sessions = list(zip(walkers.rooms, walkers.days, strict=True))
    done = []
    for session in sorted(set(sessions)):
        inside = np.flatnonzero([each == session for each in sessions])
        mine = np.isin(asked.walker, inside)
        if 1 < len(inside) < len(sessions):
            right = top1(scores[mine][:, inside], np.searchsorted(inside, asked.walker[mine]))
            day = np.datetime64(session[1], "D")
            done.append(Audit(f"among the {len(inside)} of {session[0]} on {day}", right, None))
    return done


def by_length(walkers: Walkers, seconds: float, seed: int = 0) -> list[Audit]:
    """Taught by less: only the last so many seconds of walking in the teaching time."""
    whole = final(walkers)
    asked = judged_windows(walkers, whole, seconds)
    done = []
    for taught_s in TAUGHT_S:
        ends = [(frames, span[-1][1]) for frames, span in zip(walkers.frames, whole.teach, strict=True)]
        short = Split(tuple(((_begin(frames, end, taught_s), end),) for frames, end in ends), whole.judge)
        scores = linear(walkers, short, asked, seed)
        done.append(_judged(f"taught by {taught_s:g} s", scores, asked.walker, walkers.rooms))
    return done


def _begin(frames: Frames, end_s: float, taught_s: float) -> float:
    """From when on a walker is before the radar for taught_s until end_s; recordings have holes."""
    last = int(np.searchsorted(frames.t_s, end_s))
    return float(frames.t_s[max(0, last - round(RATE_HZ * taught_s))])


def place_alone(walkers: Walkers, split: Split, asked: Windows, seed: int) -> F64:
    """A method that is given range and azimuth of the windows only."""
    taught = taught_windows(walkers, split, asked.seconds, seed)
    return discriminant(places_of(walkers.frames, taught), taught.walker).scores(places_of(walkers.frames, asked))


def _halves(
    walkers: Walkers, before: Windows, asked: Windows
) -> list[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Each walker's own median range divides the route; the mean aspect divides going away from coming near."""
    done = []
    for what, column in (("far", 0), ("going away", 3)):
        taught, later = (_mean_of(walkers, windows, column) for windows in (before, asked))
        middle = np.array([np.median(frames.place[:, column]) if column == 0 else 0.0 for frames in walkers.frames])
        high, high_later = taught > middle[before.walker], later > middle[asked.walker]
        other = {"far": "near", "going away": "coming near"}[what]
        done += [
            (f"taught {what}, judged {other}", high, ~high_later),
            (f"taught {other}, judged {what}", ~high, high_later),
        ]
    return done


def _mean_of(walkers: Walkers, windows: Windows, column: int) -> F64:
    return np.array(
        [
            walkers.frames[k].place[low:high, column].mean()
            for k, low, high in zip(windows.walker, windows.low, windows.high, strict=True)
        ]
    )


def _judged(what: str, scores: F64, walker: I64, rooms: Sequence[str]) -> Audit:
    inside = np.flatnonzero(np.array(rooms) == "room2")
    if not 1 < len(inside) < len(rooms):
        return Audit(what, top1(scores, walker), None)
    mine = np.isin(walker, inside)
    return Audit(what, top1(scores, walker), top1(scores[mine][:, inside], np.searchsorted(inside, walker[mine])))
