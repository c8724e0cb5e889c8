"""What the recognising rests on: kinds of numbers alone and left out, place alone, and other ground than was taught.

All walkers of a room walk one line, but each was recorded in one session only: clothes, shoes and the day are his
alone. What changes within a session can be audited here; what does not, cannot.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .walkers_linear import discriminant
from .walkers_recording import F64, I64
from .walkers_scores import top1
from .walkers_summary import GROUPS, places_of
from .walkers_trial import (
    Split,
    Walkers,
    choosing,
    figures,
    final,
    judged_windows,
    linear,
    tables,
    taught_windows,
    tried,
)
from .walkers_windows import Windows

LEFT_OUT: tuple[tuple[str, ...], ...] = (
    ("intensity",),
    ("intensity", "count", "side"),
    ("walking speed",),
    ("height",),
)


class Audit(NamedTuple):
    """top1 of all, and among room2's own where that was measured."""

    what: str
    top1: float
    apart: float | None


def by_kind(walkers: Walkers, seconds: float, seed: int = 0) -> list[Audit]:
    """Each kind of numbers alone, then some left out."""
    cases: list[tuple[str, Sequence[str], bool]] = [(f"{name} alone", (name,), False) for name in GROUPS]
    cases += [(f"without {', '.join(names)}", names, True) for names in LEFT_OUT]
    done = []
    for what, groups, without in cases:
        said = figures(tried(linear(groups, without), walkers, seconds, seed), walkers.rooms)
        done.append(Audit(what, said["top1"], said.get("room2")))
    return done


def by_place(walkers: Walkers, seconds: float, seed: int = 0) -> list[Audit]:
    """Where the windows were, and nothing else; then all numbers, but taught on one half of the route or one way of
    walking, and judged on the other."""
    done = []
    said = figures(tried(place_alone, walkers, seconds, seed), walkers.rooms)
    done.append(Audit("place alone", said["top1"], said.get("room2")))
    split = final(walkers)
    asked = judged_windows(walkers, split, seconds)
    taught, walker, rows = tables(walkers, split, asked, seed)
    before = taught_windows(walkers, split, seconds, seed)
    for what, taught_side, judged_side in _halves(walkers, before, asked):
        if len(np.unique(walker[taught_side])) < len(walkers.names):
            continue
        model = discriminant(taught.rows[taught_side], walker[taught_side])
        logs, whose = model.scores(rows.rows[judged_side]), asked.walker[judged_side]
        done.append(Audit(what, top1(logs, whose), _apart(logs, whose, walkers.rooms)))
    return done


def early(walkers: Walkers, seconds: float, seed: int = 0) -> Audit:
    """Judged on the first sixth of the teaching time, taught by the rest of it: how much people settle in."""
    split = choosing(walkers, "first")
    asked = judged_windows(walkers, split, seconds)
    logs = linear()(walkers, split, asked, seed)
    return Audit("judged by the session's begin", top1(logs, asked.walker), _apart(logs, asked.walker, walkers.rooms))


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


def _apart(logs: F64, walker: I64, rooms: Sequence[str]) -> float | None:
    inside = np.flatnonzero(np.array(rooms) == "room2")
    if not 1 < len(inside) < len(rooms):
        return None
    mine = np.isin(walker, inside)
    return top1(logs[mine][:, inside], np.searchsorted(inside, walker[mine]))
