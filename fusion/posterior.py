"""Exclusivity: one body has at most one identity, one identity at most one body. From each identity's own belief to
the probabilities that hold when all of them are true at once, exactly wherever the problem falls into small groups.

Loopy belief propagation is not used: its marginals are overconfident (design section 5).
"""

import numpy as np
from numpy.typing import NDArray

from .geometry import Floats

NEGLIGIBLE = 1e-4  # of an identity's belief: smaller links do not join two groups
EXACT_COLUMNS = 12  # 2^12 subsets are cheap; larger groups are scaled instead
SCALING_STEPS = 50


def marginals(belief: Floats) -> Floats:
    """Probabilities (D, K) that identity d is body k, from each identity's own belief (D, 1 + K), column 0 being
    "nobody", under exclusivity: P(assignment) is proportional to the product of the beliefs it picks."""
    result = np.zeros((len(belief), belief.shape[1] - 1))
    linked = (belief[:, 1:] > NEGLIGIBLE) | (belief[:, 1:] > belief[:, :1])  # least of all, but better than nobody
    for rows, columns in _groups(linked):
        part = belief[np.ix_(rows, np.append(0, columns + 1))]
        solve = _exact if len(columns) <= EXACT_COLUMNS else _scaled
        result[np.ix_(rows, columns)] = solve(part)
    return result


def _exact(belief: Floats) -> Floats:
    """Sum over all one-to-one assignments, by dynamic programming over the subsets of bodies taken."""
    identities, columns = len(belief), belief.shape[1] - 1
    subsets = np.arange(1 << columns)
    free = [subsets[(subsets >> k) & 1 == 0] for k in range(columns)]
    forward = [np.zeros(len(subsets))]
    forward[0][0] = 1.0
    for row in belief:
        after = forward[-1] * row[0]
        for k in range(columns):
            after[free[k] | (1 << k)] += forward[-1][free[k]] * row[1 + k]
        forward.append(after / max(after.sum(), 1e-300))
    backward = np.ones(len(subsets))
    result = np.zeros((identities, columns))
    for d in range(identities - 1, -1, -1):
        row, before = belief[d], forward[d]
        taken = [float((before[free[k]] * backward[free[k] | (1 << k)]).sum()) * row[1 + k] for k in range(columns)]
        total = float((before * backward).sum()) * row[0] + sum(taken)
        result[d] = np.asarray(taken) / max(total, 1e-300)
        earlier = backward * row[0]
        for k in range(columns):
            earlier[free[k]] += backward[free[k] | (1 << k)] * row[1 + k]
        backward = earlier / max(earlier.max(), 1e-300)
    return result


def _scaled(belief: Floats) -> Floats:
    """An approximation for large groups: rows sum to 1, columns are scaled down to at most 1, in turn (Sinkhorn)."""
    scaled = belief / np.maximum(belief.sum(axis=1, keepdims=True), 1e-300)
    for _ in range(SCALING_STEPS):
        load = scaled[:, 1:].sum(axis=0)
        scaled[:, 1:] /= np.maximum(load, 1.0)
        scaled /= np.maximum(scaled.sum(axis=1, keepdims=True), 1e-300)
    return scaled[:, 1:] / np.maximum(scaled[:, 1:].sum(axis=0), 1.0)


def _groups(linked: NDArray[np.bool_]) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The connected groups (rows, columns) of a bipartite graph, in order of their first row."""
    rows_left = np.flatnonzero(linked.any(axis=1)).tolist()
    groups = []
    while rows_left:
        rows = np.zeros(len(linked), bool)
        rows[rows_left[0]] = True
        while True:
            columns = linked[rows].any(axis=0)
            grown = rows | linked[:, columns].any(axis=1)
            if (grown == rows).all():
                break
            rows = grown
        groups.append((np.flatnonzero(rows), np.flatnonzero(columns)))
        rows_left = [row for row in rows_left if not rows[row]]
    return groups
