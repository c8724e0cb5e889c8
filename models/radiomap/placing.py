"""Where the scans of a batch were taken, by the access points that survived.

Three steps, each taking in what the one before could not know: how like each scan is to each place of the map
(Sorensen distance, as the locator); a walk through the places, because scans seconds apart were taken metres apart
(hidden Markov model, forward-backward); and, where that leaves doubt, how like the scans are to each other over ALL
their access points, the unknown ones too (Gaussian process whose noise is the doubt left). The estimates are then
stretched back to the spread of the map: an average of places always lies too near the middle.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .knn import INT, linear
from .maps import F32, F64

LIKENESS = 0.03  # Sorensen distance that makes a place e times less likely
WALK_M_S, LOST_WALK_M_S = 0.4, 0.8  # standard deviation of a surveying person's speed: much standing
LOST_BELOW = 2.5  # known access points a scan: the walk is then believed less, each error lasts for a whole stand
JUMP = 1e-4  # a recording may go on elsewhere
GAP_S = (1.0, 60.0)  # gaps between scans are taken as no less and no more than this
DOUBT, DOUBT_AT, DOUBTS = 3.0, 5.0, (0.1, 20.0)  # how much more the walk's doubt counts than it says: where five known
# access points are heard; by the square, within bounds, where more or fewer are, since then its errors go together more
LEAST_DOUBT_M2 = 0.3
MOST_STRETCH = 1.7
MAX_PLACES = 400


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """position_m: (k,2) where the scans were taken; variance_m2: (k,) per axis, of the walk alone; at: (k,q) the
    probability of each of the map's q places, whose centres are places_m (q,2); row_place: (n,) the map's rows. sure:
    by how much (log) it is likelier than all else where the scans were placed by their own chart (`chart`), so that few
    known access points are enough; 0 where they were not."""

    position_m: F64
    variance_m2: F64
    at: F64
    places_m: F64
    row_place: INT
    sure: float = 0.0

    def rows(self, which: INT) -> "Placed":
        """The scans (j,) alone, as they were placed among all."""
        return replace(self, position_m=self.position_m[which], variance_m2=self.variance_m2[which], at=self.at[which])


def place_scans(position_m: F64, known: F32, batch_known: F32, batch_all: F32, t_s: F64 | None) -> Placed:
    """Place k scans on a map of n fingerprints at position_m (n,2).

    known: (n,s) and batch_known: (k,s) levels of the surviving access points; batch_all: (k,a) of all that were heard.
    """
    places, row_place = places_of(position_m)
    heard = float((~np.isnan(batch_known)).sum(axis=1).mean())
    likeness = _likeness(linear(known), linear(batch_known), row_place, len(places)) / LIKENESS
    walk_m_s = WALK_M_S if heard >= LOST_BELOW else LOST_WALK_M_S
    at, _ = walked(likeness, None if t_s is None else moves(places, t_s, walk_m_s))
    doubt = float(np.clip(DOUBT * (DOUBT_AT / max(heard, 1e-3)) ** 2, *DOUBTS))
    return smoothed(at, places, row_place, position_m, batch_all, doubt)


def smoothed(at: F64, places: F64, row_place: INT, position_m: F64, batch_all: F32, doubt: float) -> Placed:
    """Scans that are at places (q,2) with probability at (k,q), their positions made as like as what they hear."""
    mean = at @ places
    variance = np.maximum((at @ (places**2).sum(axis=1) - (mean**2).sum(axis=1)) / 2, 0.0)
    noise_m2 = doubt * np.maximum(variance, LEAST_DOUBT_M2)
    return Placed(_smoothed(mean, noise_m2, alike(linear(batch_all)), position_m), variance, at, places, row_place)


def places_of(position_m: F64, most: int = MAX_PLACES) -> tuple[F64, INT]:
    """The map's distinct places (q,2), and each fingerprint's; fingerprints of walks are gathered in cells."""
    cell_m = 0.1
    while True:
        _, place = np.unique(np.round(position_m / cell_m), axis=0, return_inverse=True)
        place = place.ravel()
        count = int(place.max()) + 1
        if count <= max(16, min(most, len(position_m) // 3)):
            size = np.bincount(place)
            return np.stack([np.bincount(place, position_m[:, a]) / size for a in (0, 1)], axis=1), place
        cell_m *= 1.4


def spread(placed: Placed, position_m: F64) -> float:
    """How far the scans lie apart, as a share of how far the map's fingerprints at position_m (n,2) do."""
    middle = placed.at @ placed.places_m
    return float(np.sqrt(middle.var(axis=0).sum() / max(position_m.var(axis=0).sum(), 1e-9)))


def sorensen(levels: F32, others: F32) -> F32:
    """Distances (len(others), len(levels)) between linear levels of the same access points."""
    columns = np.ascontiguousarray(levels.T)
    total = columns.sum(axis=0)
    out = np.empty((len(others), len(levels)), np.float32)
    for i, other in enumerate(others):
        heard = np.flatnonzero(other)
        common = np.minimum(columns[heard], other[heard, None]).sum(axis=0)
        out[i] = 1.0 - 2.0 * common / np.maximum(total + other.sum(), 1e-6)
    return out


def alike(levels: F32) -> F64:
    """How like k scans are to each other, (k,k), 1 on the diagonal: the min kernel, which is positive definite."""
    common = np.array([np.minimum(levels, one).sum(axis=1) for one in levels], np.float64)
    size = np.sqrt(np.maximum(np.diag(common), 1e-6))
    return common / size[:, None] / size[None, :]


def _likeness(known: F32, batch: F32, row_place: INT, count: int) -> F64:
    """Minus the distance of each scan to the five fingerprints of each place that are nearest to it, (k,q)."""
    distance = sorensen(known, batch)
    out = np.empty((len(batch), count))
    for place in range(count):
        here = distance[:, row_place == place]
        few = min(5, here.shape[1])
        out[:, place] = -np.partition(here, few - 1, axis=1)[:, :few].mean(axis=1)
    return out


def walked(score: F64, steps: Callable[[int], F64] | None) -> tuple[F64, F64]:
    """The probability (...,k,q) of each state for each scan, and the log-likelihood (...) of all scans, by
    forward-backward.

    score: (...,k,q) log-likelihood of each scan by state; steps(i): (q,q) from scan i - 1 to i, None: scans know
    nothing of each other."""
    most = score.max(axis=-1, keepdims=True)
    seen = np.exp(score - most)
    if steps is None:
        total = seen.sum(axis=-1, keepdims=True)
        return seen / total, (most + np.log(total / seen.shape[-1])).sum(axis=(-2, -1))
    forward, backward, size = np.zeros_like(seen), np.ones_like(seen), np.ones_like(most)
    size[..., 0, :] = seen[..., 0, :].sum(axis=-1, keepdims=True)
    forward[..., 0, :] = seen[..., 0, :] / size[..., 0, :]
    for i in range(1, seen.shape[-2]):
        now = (forward[..., i - 1, :] @ steps(i)) * seen[..., i, :] + 1e-300
        size[..., i, :] = now.sum(axis=-1, keepdims=True)
        forward[..., i, :] = now / size[..., i, :]
    for i in range(seen.shape[-2] - 2, -1, -1):
        then = (seen[..., i + 1, :] * backward[..., i + 1, :]) @ steps(i + 1).T + 1e-300
        backward[..., i, :] = then / then.sum(axis=-1, keepdims=True)
    at = forward * backward + 1e-300
    likelihood = (most + np.log(size)).sum(axis=(-2, -1)) - np.log(seen.shape[-1])
    return at / at.sum(axis=-1, keepdims=True), likelihood


def moves(places: F64, t_s: F64, walk_m_s: float, storeys: int = 1, climb: float = 0.0) -> Callable[[int], F64]:
    """steps(i) for `walked`: a walk at this speed through the places (q,2) of each storey, which the next scan leaves
    for another one with the chance climb."""
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    between = np.full((storeys, storeys), climb) + (1.0 - climb * storeys) * np.eye(storeys)
    # a matrix per quarter of an e-fold is fine enough
    keys = [round(4 * float(np.log(gap))) for gap in np.clip(np.diff(t_s), *GAP_S)]
    known: dict[int, F64] = {}
    for key in dict.fromkeys(keys):
        move = np.exp(-0.5 * (apart / (walk_m_s * float(np.exp(key / 4)))) ** 2) + JUMP
        known[key] = np.kron(between, move / move.sum(axis=1, keepdims=True))
    return lambda i: known[keys[i - 1]]


def _smoothed(mean: F64, noise_m2: F64, kernel: F64, position_m: F64) -> F64:
    signal = float(position_m.var(axis=0).mean())
    noise = noise_m2 / max(signal, 1e-6)
    middle = mean.mean(axis=0)
    smooth = middle + kernel @ np.linalg.solve(kernel + np.diag(noise), mean - middle)
    stretch = np.clip(position_m.std(axis=0) / np.maximum(smooth.std(axis=0), 1e-6), 1.0, MOST_STRETCH)
    # only as far as a batch from all over the site would need it: the spread of the walk itself bounds it too
    smooth = smooth.mean(axis=0) + (smooth - smooth.mean(axis=0)) * stretch
    return np.clip(smooth, position_m.min(axis=0), position_m.max(axis=0))
