"""How often the right person comes first, and whether probabilities are honest: the honest pair protocol.

A query and the gallery are different walks of people that nothing was trained on; every candidate is scored with the
query alone, never with its true partner. Galleries are drawn again and again from the people, by a seed.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .latent import probabilities

F64 = NDArray[np.float64]


class Ranked(NamedTuple):
    """Queries against galleries. place (n,): of the right person, 0 best; trial (n,): which gallery."""

    place: NDArray[np.int64]
    trial: NDArray[np.int64]

    def top(self, count: int = 1) -> float:
        return float((self.place < count).mean())

    def curve(self, most: int = 10) -> F64:
        """(most,) share of queries whose right person is among the first 1, 2, ..."""
        return np.array([self.top(k) for k in range(1, most + 1)])


def ranked(scores: F64, gallery: int, trials: int, seed: int) -> Ranked:
    """`trials` galleries of `gallery` people out of P, each of its people queried once. scores (P,P): of query i
    against candidate j, greater is more alike; ties count against."""
    rng = np.random.default_rng(seed)
    places, numbers = [], []
    for trial in range(trials):
        rows = rng.choice(len(scores), min(gallery, len(scores)), replace=False)
        part = scores[np.ix_(rows, rows)]
        right = np.diag(part)[:, None]
        places.append((part >= right).sum(axis=1) - 1)
        numbers.append(np.full(len(rows), trial))
    return Ranked(np.concatenate(places), np.concatenate(numbers))


class Beliefs(NamedTuple):
    """What was believed of each answer (n,) and whether it was right (n,)."""

    believed: F64
    right: NDArray[np.bool_]

    def calibration_error(self, bins: int = 10) -> float:
        """Expected calibration error over equal bins of the belief."""
        total = 0.0
        for low in np.linspace(0, 1, bins, endpoint=False):
            inside = (self.believed >= low) & (self.believed < low + 1 / bins + (1e-9 if low + 1 / bins >= 1 else 0))
            if inside.any():
                total += inside.mean() * abs(self.believed[inside].mean() - self.right[inside].mean())
        return float(total)


def beliefs(log_ratios: F64, gallery: int, trials: int, seed: int, known: float = 0.5) -> Beliefs:
    """The published answers, the best candidate or nobody, to queries of which a share `known` has its person in the
    gallery; all (gallery + 1) probabilities of each query count. log_ratios (P,P): query i, candidate j."""
    query, candidates, is_known = _asked(len(log_ratios), gallery, trials, seed, known)
    chance = probabilities(log_ratios[query[:, None], candidates], known)
    best = chance.argmax(axis=1)
    return Beliefs(chance.max(axis=1), best == np.where(is_known, gallery - 1, gallery))


@cache  # a calibration asks the same of hundreds of matrices
def _asked(people: int, gallery: int, trials: int, seed: int, known: float) -> tuple[NDArray, NDArray, NDArray]:
    """Queries (T,), their candidates (T,G), and (T,) whether the query is among them: it is the last one then."""
    rng = np.random.default_rng(seed)
    query, candidates = np.empty(trials, np.intp), np.empty((trials, gallery), np.intp)
    is_known = np.empty(trials, bool)
    for trial in range(trials):
        rows = rng.choice(people, gallery + 1, replace=False)
        query[trial], candidates[trial] = rows[0], rows[1:]
        is_known[trial] = rng.random() < known
    candidates[is_known, -1] = query[is_known]
    return query, candidates, is_known
