"""MMDA: which tracklets a phone's owner is in, by clusters of looks that come back in fragment after fragment.

Source: UMTF equations 1 to 4. For each trajectory the tracklets of all its fragments are clustered by k-means, K by
equation 2; a cluster that meets Q of the R fragments is the owner with P = Q / R (equation 1); P is also the affinity
of the cluster's pairs (equation 3), and what all M trajectories say of a pair is a histogram (equation 4).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .tracklets import F64, I64, Fragment

BINS = 32
RESTARTS, STEPS = 10, 30


class Cluster(NamedTuple):
    """Tracklets that look alike among those of one trajectory's fragments, and the probability P that they are its
    owner."""

    phone: int
    members: I64
    probability: float


class Affinity(NamedTuple):
    """S of equation 3, sparse: pairs first < second (L,), the trajectory that says so (L,), and P (L,)."""

    first: I64
    second: I64
    phone: I64
    probability: F64


class Histograms(NamedTuple):
    """Equation 4 for pairs (i, j) with any affinity, both directions and the diagonal: rows (U,32), unique; pair_row
    (L,) which of them a pair (i, j) (L,2) has; counts (U,) how often each occurs among all N x N pairs, the empty one
    (the last row) for pairs without any."""

    rows: F64
    counts: F64
    pairs: I64
    pair_row: I64


def clusters_of(
    features: F64,
    passages: Sequence[Fragment],
    members: Sequence[I64],
    phones: int,
    strength: float = 3.0,
    seed: int = 0,
    restarts: int = RESTARTS,
) -> list[Cluster]:
    """The clusters of every trajectory. features (N,D) of length 1; members: V of each passage; strength: lambda."""
    fragments_each = np.bincount([each.phone for each in passages], minlength=phones)
    found = []
    for phone in range(phones):
        sets = [rows for each, rows in zip(passages, members, strict=True) if each.phone == phone]
        union = np.unique(np.concatenate(sets)) if sets else np.zeros(0, np.int64)
        if not len(union):
            continue
        k = number_of_clusters(sum(map(len, sets)), phones, int(fragments_each.sum()), strength, len(union))
        label = k_means(features[union], k, np.random.default_rng([seed, phone]), restarts)
        for number in np.unique(label):
            cluster = union[label == number]
            found.append(Cluster(phone, cluster, owner_probability(cluster, sets)))
    return found


def number_of_clusters(seen: int, phones: int, fragments_all: int, strength: float, most: int) -> int:
    """K of equation 2, 1 to `most`. seen: tracklets of the trajectory's fragments, summed."""
    return int(np.clip(round(strength * seen * phones / max(fragments_all, 1)), 1, max(most, 1)))


def owner_probability(cluster: I64, sets: Sequence[I64]) -> float:
    """P of equation 1: the share of a trajectory's fragments whose tracklets hold one of the cluster's."""
    return sum(1 for rows in sets if np.isin(rows, cluster).any()) / max(len(sets), 1)


def affinity(clusters: Sequence[Cluster]) -> Affinity:
    """S of equation 3 without its diagonal (which is 1)."""
    first, second, phone, probability = [], [], [], []
    for each in clusters:
        i, j = np.triu_indices(len(each.members), 1)
        first.append(each.members[i])
        second.append(each.members[j])
        phone.append(np.full(len(i), each.phone))
        probability.append(np.full(len(i), each.probability))
    if not first:
        none = np.zeros(0, np.int64)
        return Affinity(none, none, none, np.zeros(0))
    return Affinity(*(np.concatenate(part) for part in (first, second, phone, probability)))


def histogram(values: F64) -> F64:
    """Equation 4 for one pair's affinities (M,): shares (32,) in equal bins over 0..1, the last one closed."""
    place = np.minimum((np.asarray(values) * BINS).astype(int), BINS - 1)
    return np.bincount(place, minlength=BINS) / max(len(values), 1)


def histograms(said: Affinity, size: int, phones: int) -> Histograms:
    """Equation 4 for all pairs of `size` tracklets, by `phones` trajectories."""
    code, pair = np.unique(said.first * size + said.second, return_inverse=True)
    counts = np.zeros((len(code), BINS))
    place = np.minimum((said.probability * BINS).astype(int), BINS - 1)
    np.add.at(counts, (pair, place), 1.0)
    counts[:, 0] += phones - counts.sum(axis=1)
    self_row, empty = np.eye(BINS)[BINS - 1] * max(phones, 1), np.eye(BINS)[0] * max(phones, 1)
    rows, which = np.unique(np.vstack([counts, self_row]), axis=0, return_inverse=True)
    there = np.column_stack([code // size, code % size])
    diagonal = np.arange(size)
    pairs = np.concatenate([there, there[:, ::-1], np.column_stack([diagonal, diagonal])])
    pair_row = np.concatenate([which[:-1], which[:-1], np.full(size, which[-1])])
    often = np.bincount(pair_row, minlength=len(rows)).astype(np.float64)
    return Histograms(
        np.vstack([rows, empty]) / max(phones, 1), np.append(often, float(size**2 - len(pairs))), pairs, pair_row
    )


def average(said: Affinity, size: int, phones: int) -> F64:
    """A_avg (N,N): the mean affinity over trajectories, 1 on the diagonal."""
    mean = np.zeros((size, size))
    np.add.at(mean, (said.first, said.second), said.probability / max(phones, 1))
    mean = mean + mean.T
    np.fill_diagonal(mean, 1.0)
    return mean


def owned(clusters: Sequence[Cluster], phones: int) -> list[I64]:
    """The tracklets of each trajectory's likeliest cluster (the larger of equal ones)."""
    best: list[Cluster | None] = [None] * phones
    for each in clusters:
        now = best[each.phone]
        if now is None or (each.probability, len(each.members)) > (now.probability, len(now.members)):
            best[each.phone] = each
    return [each.members if each else np.zeros(0, np.int64) for each in best]


def k_means(features: F64, k: int, rng: np.random.Generator, restarts: int = RESTARTS) -> I64:
    """Labels (n,) of k clusters of features (n,D): Lloyd's steps from k-means++ starts, the best of `restarts`."""
    if k >= len(features):
        return np.arange(len(features))
    squares = (features**2).sum(axis=1)
    best, least = np.zeros(len(features), np.int64), np.inf
    for _ in range(restarts):
        centre = _spread(features, squares, k, rng)
        apart = np.zeros((len(features), k))
        label = np.full(len(features), -1)
        for _ in range(STEPS):
            apart = squares[:, None] - 2 * features @ centre.T + (centre**2).sum(axis=1)
            new = apart.argmin(axis=1)
            if (new == label).all():
                break
            label = new
            member: NDArray[np.float64] = (label[:, None] == np.arange(k)).astype(features.dtype)
            sizes = member.sum(axis=0)
            centre = np.where(sizes[:, None] > 0, member.T @ features / np.maximum(sizes, 1)[:, None], centre)
        loss = float(apart[np.arange(len(features)), label].sum())
        if loss < least - 1e-12:
            best, least = label, loss
    return best


def _spread(features: F64, squares: F64, k: int, rng: np.random.Generator) -> F64:
    """k-means++: each centre drawn in proportion to the squared distance from the nearest so far."""
    chosen = [int(rng.integers(len(features)))]
    near = np.full(len(features), np.inf)
    while len(chosen) < k:
        last = chosen[-1]
        near = np.minimum(near, np.maximum(squares - 2 * features @ features[last] + squares[last], 0.0))
        total = near.sum()
        share = near / total if total > 0 else np.full(len(features), 1 / len(features))
        chosen.append(int(rng.choice(len(features), p=share)))
    return features[chosen].copy()
