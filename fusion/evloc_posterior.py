"""Exclusivity for many runs at once: the exact marginals of `posterior.py` with a leading axis of runs, for the frame
evaluation, which needs them a hundred thousand times. Where there are too many bodies for that, the product's own.
"""

import numpy as np
from numpy.typing import NDArray

from .geometry import Floats
from .posterior import EXACT_COLUMNS, marginals

CHUNK = 64  # runs at once: 2^10 subsets of them stay in the cache
SETTLED, WANTED = 1e-8, 0.05  # who is so near to certain of a body that no other wants so much is taken out first


def exclusive(belief: Floats, settled: float = SETTLED) -> tuple[Floats, Floats]:
    """Marginals (R, N, 1 + B) and the log of the total weight (R,) over all one-to-one assignments, from beliefs
    (R, N, 1 + B), column 0 being "nobody", each row summing to 1.

    Exact up to 12 bodies, but for what `settled` leaves out (less than 1e-5). Above that they are
    `posterior.marginals` run by run, and the total is not a number.
    """
    runs, _, columns = belief.shape
    result, total = belief.copy(), np.zeros(runs)
    if columns - 1 > EXACT_COLUMNS:
        for run in range(runs):
            result[run, :, 1:] = marginals(belief[run])
        result[:, :, 0] = np.maximum(1 - result[:, :, 1:].sum(axis=2), 0.0)
        return result, np.full(runs, np.nan)
    rest, free = _open(belief, settled)
    sizes = rest.sum(axis=1) * columns + free.sum(axis=1)
    for size in np.unique(sizes[rest.any(axis=1)]):
        at = np.flatnonzero((sizes == size) & rest.any(axis=1))
        for part in (at[start : start + CHUNK] for start in range(0, len(at), CHUNK)):
            rows = np.nonzero(rest[part])[1].reshape(len(part), -1)
            bodies = np.nonzero(free[part])[1].reshape(len(part), -1)
            index = (part[:, None, None], rows[:, :, None], bodies[:, None])
            found, total[part] = _summed(np.ascontiguousarray(belief[index].transpose(1, 2, 0)))
            result[part[:, None], rows] = 0.0
            result[index] = found
    return result, total


def _open(belief: Floats, settled: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Identities (R, N) that are not settled, and columns (R, 1 + B) left to them, nobody always."""
    best = belief.argmax(axis=2)
    sure = (belief.max(axis=2) > 1 - settled) & (best > 0)
    wanted = (belief > WANTED).sum(axis=1)
    sure &= np.take_along_axis(wanted, best, axis=1) == 1
    taken = ((best[:, :, None] == np.arange(belief.shape[2])) & sure[:, :, None]).any(axis=1)
    return np.asarray(~sure), np.asarray(~taken)


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
