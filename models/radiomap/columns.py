"""The columns of an updated map: what each old fingerprint would hear now, told by the batch's scans most like it.

A fingerprint's donors are the scans that are near it both in signal (surviving access points) and in place. What it
hears is drawn from them: heard with the share of the donors that hear it, at their mean level. Drawing instead of
averaging keeps a weakly heard access point weakly heard: heard in some fingerprints of a place and not in others.
"""

import numpy as np

from .knn import INT, linear
from .maps import F32, F64
from .placing import sorensen

DONORS = 20
METRES = 0.03  # Sorensen distance that one metre is worth
RENEWED = 0.4  # share of the surviving columns' entries drawn anew
CHUNK = 1000


def donors(
    known: F32, batch_known: F32, position_m: F64, batch_position_m: F64, *, most: int = DONORS, metres: float = METRES
) -> tuple[INT, F64]:
    """The scans (n,K) most like each of n fingerprints, and their weights (n,K), which sum to 1."""
    count = min(most, len(batch_known))
    chosen, weight = np.empty((len(known), count), np.int64), np.empty((len(known), count))
    for start in range(0, len(known), CHUNK):
        rows = slice(start, start + CHUNK)
        apart = np.hypot(*(position_m[rows, None] - batch_position_m[None]).transpose(2, 0, 1))
        cost = sorensen(linear(batch_known), linear(known[rows])) + metres * apart
        best = np.argpartition(cost, count - 1, axis=1)[:, :count]
        near = 1.0 / (np.take_along_axis(cost, best, axis=1) + 0.02)
        chosen[rows], weight[rows] = best, near / near.sum(axis=1, keepdims=True)
    return chosen, weight


def drawn(chosen: INT, weight: F64, batch: F32, rng: np.random.Generator) -> F32:
    """(n,a) levels in dBm drawn for each fingerprint from its donors' scans (k,a); NaN = not heard."""
    heard = (~np.isnan(batch)).astype(np.float64)
    level = np.nan_to_num(batch).astype(np.float64)
    out = np.empty((len(chosen), batch.shape[1]), np.float32)
    for start in range(0, len(chosen), CHUNK):
        rows = slice(start, start + CHUNK)
        share = np.einsum("rk,rka->ra", weight[rows], heard[chosen[rows]])
        total = np.einsum("rk,rka->ra", weight[rows], level[chosen[rows]])
        is_heard = rng.random(share.shape) < share
        out[rows] = np.where(is_heard, total / np.maximum(share, 1e-9), np.nan)
    return out


def renewed(old: F32, fresh: F32, rng: np.random.Generator) -> F32:
    """Old columns (n,a) with a share of their entries replaced by fresh ones."""
    return np.where(rng.random(old.shape) < RENEWED, fresh, old)
