"""GUFU's graph without the network: weights, access point features, virtual edges and edge prediction.

A reconstruction of Chiu et al., "GUFU" (IMWUT 2025, arXiv 2507.11038), whose text has lost its formulas; what was
chosen instead is said where it was. Edge prediction by fairness and goodness: Kumar et al., "Edge Weight Prediction in
Weighted Signed Networks" (ICDM 2016).
"""

from dataclasses import dataclass

import numpy as np

from .knn import INT
from .maps import F32, F64

OFFSET_DB = 120.0  # c: edge weight = rss + c, and "not heard" is -120 dBm
TAU, CAP = 0.9, 20  # cosine above which two samples are virtual neighbours, and how many at most
ADD_FROM, REMOVE_BELOW, REMOVE_NEIGHBOURS = 25.0, 10.0, 5
SWEEPS = 200


def weights(rssi_dbm: F32) -> F64:
    """Edge weights (n,m): rss + 120 where heard, else 0."""
    return np.nan_to_num(rssi_dbm.astype(np.float64) + OFFSET_DB, nan=0.0).clip(0.0)


def ap_features(weight: F64, features: F64) -> F64:
    """(m,d): the mean of the samples' features (n,d) that hear each access point, weighted by the edges (n,m)."""
    return weight.T @ features / np.maximum(weight.sum(axis=0)[:, None], 1e-9)


@dataclass(frozen=True, slots=True, eq=False)
class VirtualEdges:
    """Pairs first[i], second[i] of samples and the cosine of their features."""

    first: INT
    second: INT
    cosine: F64


def virtual_edges(
    features: F64, weight: F64, other: F64, other_weight: F64, tau: float = TAU, cap: int = CAP
) -> VirtualEdges:
    """From samples (n) to others (k): cosine above tau, an access point in common, the `cap` nearest per sample."""
    cosine = _unit(features) @ _unit(other).T
    shared = (weight > 0).astype(np.float32) @ (other_weight > 0).astype(np.float32).T > 0
    usable = (cosine > tau) & shared
    if features is other:
        np.fill_diagonal(usable, False)
    score = np.where(usable, cosine, -2.0)
    few = min(cap, score.shape[1])
    best = np.argpartition(-score, few - 1, axis=1)[:, :few]
    kept = np.zeros_like(usable)
    np.put_along_axis(kept, best, True, axis=1)
    kept &= usable
    if features is other:  # one end that counts the other among its nearest is enough: the relation is symmetric
        kept |= kept.T
    first, second = np.nonzero(kept)
    return VirtualEdges(first, second, cosine[first, second])


def fairness_goodness(weight: F64, sweeps: int = SWEEPS) -> tuple[F64, F64, F64, F64]:
    """Kumar's fixed point on the bipartite graph (n samples, m access points) of weights in [0,1], 0 = no edge.

    Returns fairness of samples (n) and of access points (m), then goodness of both; from a start of ones. The printed
    algorithm starts "per feature dimension"; the fixed point does not depend on the start, so there is one (spec 4 i).
    """
    edge = weight > 0
    of_sample, of_ap = np.maximum(edge.sum(axis=1), 1), np.maximum(edge.sum(axis=0), 1)
    fair_s, fair_a = np.ones(weight.shape[0]), np.ones(weight.shape[1])
    good_s, good_a = fair_s, fair_a
    for _ in range(sweeps):
        good_s, good_a = weight @ fair_a / of_sample, weight.T @ fair_s / of_ap
        fair_s = 1 - (np.abs(weight - good_a[None, :]) * edge).sum(axis=1) / of_sample
        fair_a = 1 - (np.abs(weight - good_s[:, None]) * edge).sum(axis=0) / of_ap
    return fair_s, fair_a, good_s, good_a


def predicted_paper(weight: F64, sweeps: int = SWEEPS) -> F64:
    """(n,m) edge weights as printed: (f(u) g(v) + f(v) g(u)) / 2. Always positive, so theta = 0 adds every one."""
    fair_s, fair_a, good_s, good_a = fairness_goodness(weight, sweeps)
    return (fair_s[:, None] * good_a[None, :] + fair_a[None, :] * good_s[:, None]) / 2


def predicted_local(edges: VirtualEdges, count: int, new_weight: F64, fair: F64) -> tuple[F64, INT]:
    """The resolution: (count,m) weights told to each old sample by its virtual neighbours among the new samples
    (k,m), weighted by their fairness (k); and how many neighbours each has. edges: old to new."""
    mass = np.zeros((count, new_weight.shape[0]))
    mass[edges.first, edges.second] = fair[edges.second]
    total = mass.sum(axis=1, keepdims=True)
    return mass @ new_weight / np.maximum(total, 1e-9), np.bincount(edges.first, minlength=count)


def relinked(old_weight: F64, told: F64, neighbours: INT, most: float, is_new: np.ndarray) -> F64:
    """Old samples' edge weights (n,m) after adding what is told for new access points (m,) and removing old edges
    that at least five neighbours do not confirm. told in units of `most`, the largest weight."""
    asked = neighbours[:, None] > 0
    added = np.where(asked & (told >= ADD_FROM / most), told * most, 0.0)
    removed = (neighbours[:, None] >= REMOVE_NEIGHBOURS) & (told < REMOVE_BELOW / most)
    return np.where(is_new[None, :], added, np.where(removed, 0.0, old_weight))


def _unit(features: F64) -> F64:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
