"""Walkers taught before one radar, recognised before another at another place, with another band and another scale.

The other radar's walks come without names. What they give is how its numbers lie: their correction for range and
aspect is learnt from stretches of tracks, and each column is shifted and scaled so that all walks together lie as the
first radar's do (as in "frustratingly easy" adaptation: Sun, Feng and Saenko, AAAI 2016, without the correlations).
"""

from typing import Any, Literal

import numpy as np

from .walkers_linear import discriminant
from .walkers_recording import F64
from .walkers_scores import interval, top1, votes
from .walkers_summary import corrected, table_of
from .walkers_trial import JUDGED_EVERY_S, Walkers, discount_of, final, judged_windows, taught_windows
from .walkers_windows import cut

STRETCH_S = 20.0
OF_ITS_OWN = ("intensity",)  # columns whose scale means nothing to another radar
Adapted = Literal["not", "shifted", "shifted and scaled"]


def crossed(taught: Walkers, other: Walkers, seconds: float, adapted: Adapted, seed: int = 0) -> dict[str, Any]:
    """top1 among the walkers before both radars: taught by the first 60 % before one, judged by the last 40 % before
    the other, adapted by that one's first 60 % without names."""
    both = [name for name in other.names if name in taught.names]
    here = taught.only([taught.names.index(name) for name in both])
    there = other.only([other.names.index(name) for name in both])
    split, asked_of = final(here), final(there)
    before = taught_windows(here, split, seconds, seed)
    rows = table_of(here.frames, corrected(here.frames, split.teach), before).only(OF_ITS_OWN, without=True).rows
    correction = corrected(there.frames, asked_of.teach, STRETCH_S)
    nameless = cut(there.frames, asked_of.teach, seconds, JUDGED_EVERY_S)
    asked = judged_windows(there, asked_of, seconds)
    pool, judged_rows = (
        table_of(there.frames, correction, windows).only(OF_ITS_OWN, without=True).rows for windows in (nameless, asked)
    )
    scores = discriminant(rows, before.walker).scores(moved(judged_rows, pool, rows, adapted))
    summed = votes(scores, asked, discount_of(asked))
    low, high = interval(scores, asked.walker, asked.from_s, seed)
    return {
        "walkers": both,
        "windows": len(asked.walker),
        "top1": top1(scores, asked.walker),
        "low": low,
        "high": high,
        "vote": top1(summed.logs, summed.walker),
    }


def moved(rows: F64, pool: F64, target: F64, adapted: Adapted) -> F64:
    """Rows (n,D) of a source whose nameless pool (m,D) is to lie as the target (k,D) does."""
    if adapted == "not":
        return rows
    shifted = rows - pool.mean(axis=0)
    if adapted == "shifted and scaled":
        shifted = shifted * target.std(axis=0) / np.maximum(pool.std(axis=0), 1e-6)
    return shifted + target.mean(axis=0)
