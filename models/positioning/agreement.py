"""Which fingerprints of a new map the other walks contradict: they were labelled with the wrong place.

Whoever records walks taps where they are, and some taps are wrong: then a stretch of the walk is told to be tens of
metres from where it was, and draws every phone there with it. It shows: other walks came by the place it is said to be
from and heard something else, while some walked elsewhere heard the same. Who of two that contradict each other is
wrong, the others decide: what is doubted counts less as a witness, in a few rounds (iteratively reweighted, as in
Huber, "Robust statistics", 1981, section 7.8, here with a bounded weight). A place that no other walk came by is never
doubted. No randomness; nothing is known here of phones or filters.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from ..radiomap.knn import Locator
from ..radiomap.maps import FingerprintMap

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]

# Found on the mall's walks, where anything near does as well (docs/results/positioning.md).
POWER = 3.0  # of the linear levels
NEAR_M = 2.2  # standard deviation of the smoothing: a fingerprint speaks for about so far around
WITNESS = 0.3  # weight of other walks' fingerprints, below which a place has no witness
DOUBT = 0.15  # by how much, in units of distance, another place is more alike than its own to what is half doubted
STEEPNESS = 4.0
STRETCH = 4  # fingerprints before and after, whose median counts: a single one errs by chance
ROUNDS = 4
FEWEST_WALKS = 3  # two cannot say which of them is wrong
MOST_FINGERPRINTS = 6000  # of more, all distances (n,n) take too much memory
MOST_DOUBTED = 0.25  # where more are doubted, it is not the labels that are wrong


def agreeing(radio_map: FingerprintMap, walk: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) which fingerprints the other walks do not contradict. walk (n,): which walk each is of; those of one walk
    stand in the order of time. All are, where there are fewer than 3 walks or more than 6000 fingerprints, and where
    more than a quarter is doubted."""
    everyone = np.ones(len(walk), bool)
    walks = [np.flatnonzero(walk == name) for name in np.unique(walk)]
    if len(walks) < FEWEST_WALKS or len(walk) > MOST_FINGERPRINTS:
        return everyone
    unlike = Locator(radio_map, power=POWER).distances_of(radio_map.rssi_dbm)
    near = _near(radio_map.position_m)
    believed = np.ones(len(walk), np.float32)
    for _ in range(ROUNDS):
        doubt = np.concatenate([_doubt(rows, unlike, near, believed) for rows in walks])
        believed[np.concatenate(walks)] = 1.0 / (1.0 + (doubt / DOUBT) ** STEEPNESS)
    kept = believed >= 0.5
    return kept if kept.mean() >= 1.0 - MOST_DOUBTED else everyone


def _near(place_m: F64) -> csr_matrix:
    """(n,n) Gaussian weights of the fingerprints about each fingerprint's place."""
    tree = KDTree(place_m)
    pairs = tree.sparse_distance_matrix(tree, 4 * NEAR_M, output_type="coo_matrix")
    weight = np.exp(-0.5 * (pairs.data / NEAR_M) ** 2).astype(np.float32)
    return csr_matrix((weight, (pairs.row, pairs.col)), shape=pairs.shape)


def _doubt(rows: NDArray[np.int64], unlike: F32, near: csr_matrix, believed: F32) -> F64:
    """How much more alike a walk's fingerprints (their rows, in time) are to the best place than to their own, as the
    other walks say; never negative, 0 where no other walk came by; the running median along the walk."""
    others = believed.copy()
    others[rows] = 0.0
    weight = near @ others
    witnessed = weight > WITNESS
    if not witnessed.any():
        return np.zeros(len(rows))
    field = (near @ (unlike[rows] * others).T)[witnessed] / weight[witnessed, None]  # (places, rows)
    here = np.full(len(rows), np.nan)
    mine = np.cumsum(witnessed) - 1
    seen = witnessed[rows]
    here[seen] = field[mine[rows[seen]], np.flatnonzero(seen)]
    doubt = np.nan_to_num(np.maximum(here - field.min(axis=0), 0.0))
    around = [doubt[max(0, j - STRETCH) : j + STRETCH + 1] for j in range(len(rows))]
    return np.array([float(np.median(each)) for each in around])
