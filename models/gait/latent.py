"""How likely two walks are one person's: Gaussian evidence about hidden numbers of a person, in closed form.

Beforehand a person is z ~ N(0, I) in K dimensions. A walk says something of z: exp(z.eta - z.diag(lambda).z / 2), a
signature (eta, lambda). Evidence adds: walks of one person are joined by adding their signatures. The log-likelihood
ratio "one person" against "two of the population" of signatures a and b is e(a + b) - e(a) - e(b) with
e = sum over k of (eta^2 / (1 + lambda) - log(1 + lambda)) / 2; it is that of probabilistic linear discriminant analysis
with an uncertainty of each walk's own. It learns nothing; networks and analytic estimators both end here.
"""

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

MOST_WALKS = 4


def evidence(eta: NDArray, precision: NDArray) -> F64:
    """(...,) log of what the population expects of a signature (...,K), up to a constant of the walk's own."""
    more = 1.0 + np.asarray(precision, np.float64)
    return 0.5 * (np.asarray(eta, np.float64) ** 2 / more - np.log(more)).sum(axis=-1)


def ratios(eta: NDArray, precision: NDArray, etas: NDArray, precisions: NDArray) -> F64:
    """(G,) log-likelihood ratios in nats of one signature (K,) against G of them (G,K)."""
    both = evidence(etas + eta, precisions + precision)
    return both - evidence(eta, precision) - evidence(etas, precisions)


def share_of(walks: int, alike: float) -> float:
    """What the sum of several walks' signatures counts for: walks of one person by one kind of sensor err alike, as it
    were, so that three say less than three times as much. alike 0: each says something new, 1: all say the same."""
    return 1.0 / (1.0 + (max(walks, 1) - 1) * alike)


def added(query_walks: int, walks: NDArray, per_walk: float) -> F64:
    """(G,) nats that joined signatures' ratios lack: people are not quite Gaussian, and the more walks are joined the
    more it shows. Counts beyond four walks a side add no more."""
    mean = (min(query_walks, MOST_WALKS) + np.minimum(np.asarray(walks, np.float64), MOST_WALKS)) / 2
    return per_walk * (mean - 1.0)


def pair_ratios(etas: NDArray, precisions: NDArray, others: NDArray, other_precisions: NDArray) -> F64:
    """(Q,G) ratios of Q signatures (Q,K) against G (G,K)."""
    rows = [ratios(e, p, others, other_precisions) for e, p in zip(etas, precisions, strict=True)]
    return np.array(rows).reshape(len(etas), len(others))


def probabilities(log_ratios: NDArray, known: float) -> F64:
    """(..., G+1) who it is, by ratios (..., G): each of the gallery, and last nobody of it. known: how likely,
    beforehand, it is one of them; each is as likely as the others. An empty gallery says nobody."""
    *queries, count = np.shape(log_ratios)
    if not count:
        return np.ones((*queries, 1))
    each = np.asarray(log_ratios, np.float64) + np.log(known / count)
    logs = np.concatenate((each, np.full((*queries, 1), np.log1p(-known))), axis=-1)
    likely = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return likely / likely.sum(axis=-1, keepdims=True)
