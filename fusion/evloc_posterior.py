"""Exclusivity for many runs at once: the exact marginals of `posterior.py` with a leading axis of runs, for the frame
evaluation, which needs them a hundred thousand times. Where there are too many bodies for that, the product's own.
"""

import numpy as np

from .geometry import Floats
from .posterior import EXACT_COLUMNS, marginals

CHUNK = 64  # runs at once: 2^10 subsets of them stay in the cache
SETTLED = 1e-9  # beliefs nearer to 0 and 1 than this, with no body taken twice, are their own marginals


def exclusive(belief: Floats) -> tuple[Floats, Floats]:
    """Marginals (R, N, 1 + B) and the log of the total weight (R,) over all one-to-one assignments, from beliefs
    (R, N, 1 + B), column 0 being "nobody", each row summing to 1.

    Exact up to 12 bodies. Above that they are `posterior.marginals` run by run, and the total is not a number.
    """
    runs, _, columns = belief.shape
    result, total = belief.copy(), np.zeros(runs)
    if columns - 1 > EXACT_COLUMNS:
        for run in range(runs):
            result[run, :, 1:] = marginals(belief[run])
        result[:, :, 0] = np.maximum(1 - result[:, :, 1:].sum(axis=2), 0.0)
        return result, np.full(runs, np.nan)
    best = belief.argmax(axis=2)
    sure = (belief.max(axis=2) > 1 - SETTLED).all(axis=1)
    taken = (best[:, :, None] == np.arange(1, columns)).sum(axis=1)
    open_runs = np.flatnonzero(~(sure & (taken <= 1).all(axis=1)))
    for start in range(0, len(open_runs), CHUNK):
        part = open_runs[start : start + CHUNK]
        result[part], total[part] = _summed(np.ascontiguousarray(belief[part].transpose(1, 2, 0)))
    return result, total


def _summed(weights: Floats) -> tuple[Floats, Floats]:
    """Marginals (R, N, 1 + B) and log totals (R,) of weights (N, 1 + B, R): dynamic programming over the subsets of
    bodies taken, forward and backward over the identities, each step scaled."""
    identities, columns, runs = weights.shape
    forward = np.zeros((1 << (columns - 1), runs))
    forward[0] = 1.0
    before, total = [], np.zeros(runs)
    for row in weights:
        before.append(forward)
        forward = _with_one_more(forward, row)
        scale = np.maximum(forward.sum(axis=0), 1e-300)
        forward /= scale
        total += np.log(scale)
    backward = np.ones_like(forward)
    result = np.empty_like(weights)
    for d in range(identities - 1, -1, -1):
        row = weights[d]
        earlier = backward * row[0]
        result[d, 0] = np.einsum("sr,sr->r", before[d], earlier)
        for k in range(columns - 1):
            free, taken = _split(before[d], k)[:, 0], _split(backward, k)[:, 1]
            result[d, 1 + k] = np.einsum("asr,asr->r", free, taken) * row[1 + k]
            _split(earlier, k)[:, 0] += taken * row[1 + k]
        result[d] /= np.maximum(result[d].sum(axis=0), 1e-300)
        backward = earlier / np.maximum(earlier.max(axis=0), 1e-300)
    return result.transpose(2, 0, 1), total


def _with_one_more(forward: Floats, row: Floats) -> Floats:
    after = forward * row[0]
    for k in range(len(row) - 1):
        _split(after, k)[:, 1] += _split(forward, k)[:, 0] * row[1 + k]
    return after


def _split(subsets: Floats, k: int) -> Floats:
    """A view (a, 2, s, R) of (2^B, R) whose second axis says whether body k is in the subset."""
    runs = subsets.shape[1]
    return subsets.reshape(-1, 2, 1 << k, runs)
