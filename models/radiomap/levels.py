"""What is heard at each surveyed fingerprint's place: the levels of a map, as against its fingerprints.

A map's fingerprints are samples: scans as they fall, whose variety is what the locator lives on. This is the estimate
beside them: the level in dBm that is to be expected there now, NaN where the access point is more often not heard than
heard. The batch's scans that are most like a fingerprint tell it, averaged over the fingerprints of the same place
that hear the same (two floors of one place do not). Nothing locates by it: it is what a person reads.
"""

import numpy as np

from .columns import donors
from .knn import linear
from .maps import F32, F64
from .placing import places_of, sorensen

METRES = 0.1  # Sorensen distance that one metre is worth: nearer scans only than where columns are drawn
FEWEST, MOST = 5, 20  # donors; between, half as many as there are scans per place
ALIKE = 0.06  # Sorensen distance at which a fingerprint of the same place counts e times less
HEARD_FROM = 0.45  # share of the donors: a little under half, since a share is pulled towards the middle
MOST_ROWS = 400  # of a place, looked at
STEP_DB = 0.5  # levels are rounded, so that the file stays small


def expected(known: F32, position_m: F64, batch_known: F32, batch: F32, batch_position_m: F64) -> F32:
    """(n,a) levels in dBm that are to be expected at n fingerprints at position_m (n,2), NaN = not heard.

    known: (n,s) and batch_known: (k,s) levels of the access points by which they are likened; batch: (k,a) those that
    are asked for, of scans taken at batch_position_m (k,2).
    """
    places, row_place = places_of(position_m)
    most = int(np.clip(round(0.5 * len(batch) / len(places)), FEWEST, MOST))
    chosen, weight = donors(known, batch_known, position_m, batch_position_m, most=most, metres=METRES)
    heard, level = (~np.isnan(batch)).astype(np.float32), np.nan_to_num(batch)
    out = np.full((len(known), batch.shape[1]), np.nan, np.float32)
    lines = linear(known)
    for place in range(len(places)):
        rows = np.flatnonzero(row_place == place)
        share = np.einsum("rk,rka->ra", weight[rows], heard[chosen[rows]])
        total = np.einsum("rk,rka->ra", weight[rows], level[chosen[rows]])
        some = np.arange(0, len(rows), -(-len(rows) // MOST_ROWS))
        like = np.exp(-sorensen(lines[rows[some]], lines[rows]) / ALIKE)
        like /= like.sum(axis=1, keepdims=True)
        share, total = like @ share[some], like @ total[some]
        out[rows] = np.where(share >= HEARD_FROM, total / np.maximum(share, 1e-9), np.nan)
    return np.clip(np.round(out / STEP_DB) * STEP_DB, -120.0, 20.0)
