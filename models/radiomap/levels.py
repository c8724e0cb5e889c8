"""What is heard at each surveyed fingerprint's place: the levels of a map, as against its fingerprints.

A map's fingerprints are samples: scans as they fall, whose variety is what the locator lives on. This is the estimate
beside them: the level in dBm that is to be expected there now, NaN where the access point is more often not heard than
heard. Each scan of the batch has a chance to have been taken where each fingerprint was: by how like they are, and by
where the walk has the scan (`placing`). A fingerprint hears what the scans hear that may be from there, and all
fingerprints of one place and storey say the same, the mean of theirs. Nothing locates by it: it is what a person reads.
"""

import numpy as np

from .knn import INT, linear
from .maps import F32, F64
from .placing import LIKENESS, Placed, sorensen
from .shape import storeys

MANY_HEARD = 12  # known access points a scan; of fewer, a Sorensen distance says less, by the square root
ASTRAY = 0.01  # chance of each place that the walk rules out
HEARD_FROM = 0.42  # share of the scans: a little under half, since a share is pulled towards the middle
RICH = 5  # access points that a fingerprint hears: of fewer, the batch tells storeys better
MOST_LINES = 1000  # looked at to tell storeys
STEP_DB = 0.5  # levels are rounded, so that the file stays small


def expected(survey: F32, known: F32, batch_known: F32, batch: F32, placed: Placed) -> F32:
    """(n,a) levels in dBm that are to be expected at the n fingerprints of a map, NaN = not heard.

    survey: (n,m) all that the fingerprints hear; known: (n,s) and batch_known: (k,s) levels of the access points by
    which fingerprints and scans are likened; batch: (k,a) those that are asked for, of scans placed on the map.
    """
    told = _told_by(known, batch_known, placed)
    spot = _spots(linear(survey), linear(batch), told, placed.row_place)
    pooled = np.zeros((int(spot.max()) + 1, len(batch)))
    np.add.at(pooled, spot, told)
    pooled /= np.bincount(spot)[:, None]
    share, total = pooled @ ~np.isnan(batch), pooled @ np.nan_to_num(batch)
    level = np.where(share >= HEARD_FROM, total / np.maximum(share, 1e-9), np.nan)
    return np.clip(np.round(level / STEP_DB) * STEP_DB, -120.0, 20.0).astype(np.float32)[spot]


def _told_by(known: F32, batch_known: F32, placed: Placed) -> F64:
    """(n,k) how much each scan counts at each fingerprint, where all of them sum to 1: by the chance that the scan was
    taken there and at none of the other fingerprints."""
    heard = float((~np.isnan(batch_known)).sum(axis=1).mean())
    likeness = LIKENESS * max(1.0, float(np.sqrt(MANY_HEARD / max(heard, 1e-3))))
    likely = np.log(placed.at + ASTRAY)[:, placed.row_place]
    likely -= sorensen(linear(known), linear(batch_known)) / likeness
    chance = np.exp(likely - likely.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    return (chance / np.maximum(chance.sum(axis=0), 1e-300)).T


def _spots(survey: F32, batch: F32, told: F64, row_place: INT) -> INT:
    """(n,) which fingerprints hear the same: those of one place, or of one storey of it where the survey (n,m) or the
    batch (k,a; linear levels both) falls apart into two. Each fingerprint is of the storey of the looked at one that is
    most like it, or of the scans that tell it (n,k)."""
    some, scans = (np.arange(0, len(lines), -(-len(lines) // MOST_LINES)) for lines in (survey, batch))
    if np.count_nonzero(survey) >= RICH * len(survey) and len(parts := storeys(survey[some])) > 1:
        length = np.maximum(np.linalg.norm(survey[some], axis=1), 1e-6)
        upper = parts[0][(survey @ (survey[some] / length[:, None]).T).argmax(axis=1)]
    elif len(parts := storeys(batch[scans])) > 1:
        part, rest = (told[:, scans[side]].sum(axis=1) for side in parts)
        upper = part > rest
    else:
        return row_place
    return np.unique(2 * row_place + upper, return_inverse=True)[1].ravel()
