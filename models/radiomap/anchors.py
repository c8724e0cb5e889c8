"""What the few access points that a map still knows say about where each scan was taken: heard and NOT heard alike.

Where one or two known access points are left, most scans hear none of them; that too is told by the map, which knows
where they ought to be heard. An access point may have become weaker or louder altogether since the survey, so only
where it is heard more often than elsewhere is believed, not how often.
"""

import numpy as np

from .knn import INT
from .maps import F32, F64

FEWEST_SCANS, FEWEST_ROWS = 3, 5  # that hear it: less tells nothing, and an access point that none hears is gone
STRAY = 0.05  # chance that a scan has nothing to do with what the map says
LEVEL_DB = 6.0  # standard deviation of a level from scan to scan
PRIOR = 0.5  # fingerprints' worth of the whole map in what a place says
TURNS, MOST_ODDS = 40, 6.0


def anchored(known: F32, batch_known: F32, row_place: INT, count: int) -> F64:
    """(k,q) how much likelier (log) each scan is at each of q places than anywhere, by the known access points.

    known: (n,s) levels of the map's fingerprints, which are of places row_place (n,); batch_known: (k,s).
    """
    heard, out = ~np.isnan(batch_known), np.zeros((len(batch_known), count))
    for a in np.flatnonzero(heard.sum(axis=0) >= FEWEST_SCANS):
        rows = np.flatnonzero(~np.isnan(known[:, a]))
        if len(rows) < FEWEST_ROWS:
            continue
        scans, often = np.flatnonzero(heard[:, a]), float(heard[:, a].mean())
        share = _share(np.bincount(row_place[rows], minlength=count), np.bincount(row_place, minlength=count), often)
        says = np.tile(np.log((1.0 - share) / (1.0 - often + 1e-9)), (len(heard), 1))
        level = _level(known[rows, a], row_place[rows], batch_known[scans, a], count)
        says[scans] = np.log(share / often) + level
        out += says
    return out


def _share(heard: INT, rows: INT, often: float) -> F64:
    """(q,) share of a place's scans that hear an access point which the batch hears this often altogether."""
    overall = heard.sum() / rows.sum()
    survey = np.clip((heard + PRIOR * overall) / (rows + PRIOR), 1e-6, 1.0 - 1e-6)
    odds, shift = np.log(survey / (1.0 - survey)), 0.0
    for _ in range(TURNS):
        share = 1.0 / (1.0 + np.exp(-(odds + shift)))
        shift = float(np.clip(shift + 0.5 * np.log((often + 1e-4) / (share.mean() + 1e-4)), -MOST_ODDS, MOST_ODDS))
    return np.clip((1.0 - STRAY) / (1.0 + np.exp(-(odds + shift))) + STRAY * often, 1e-9, 1.0 - 1e-9)


def _level(known: F32, place: INT, found: F32, count: int) -> F64:
    """(h,q) how much likelier (log) the levels found (h,) are at each place than anywhere it is heard."""
    near = np.exp(-0.5 * ((found[:, None].astype(np.float64) - known[None]) / LEVEL_DB) ** 2)
    anywhere, at_place = near.mean(axis=1), np.zeros((len(found), count))
    np.add.at(at_place.T, place, near.T)
    rows = np.bincount(place, minlength=count)
    here = (at_place + PRIOR * anywhere[:, None]) / (rows + PRIOR)
    return np.log((1.0 - STRAY) * here + STRAY * anywhere[:, None] + 1e-9) - np.log(anywhere + 1e-9)[:, None]
