"""A linear classifier of windows that says how sure it is, and whether it is anybody it knows.

Fisher's discriminant with its covariance shrunk towards the diagonal (Friedman, "Regularized Discriminant Analysis",
1989), equal priors. "Nobody I know" compares, in the space of the discriminants, each known walker's density with that
of a walker drawn from all walkers (two-covariance model; Ioffe, "Probabilistic Linear Discriminant Analysis", 2006).
numpy only.
"""

from typing import NamedTuple

import numpy as np

from .walkers_recording import F64, I64

SHRINKAGE = 0.3
FLOOR = 1e-3
CLIP = 5.0


class Discriminant(NamedTuple):
    """mean, scale (D,) of the columns; weights (D,C), offsets (C,); axes (D,K) whiten within a walker; centres (C,K)
    of the walkers on them; between (K,) variance of walkers' centres."""

    mean: F64
    scale: F64
    weights: F64
    offsets: F64
    axes: F64
    centres: F64
    between: F64

    def scores(self, rows: F64) -> F64:
        """(n,C): log-likelihood of each walker, up to what is the same for all."""
        return self._normal(rows) @ self.weights + self.offsets

    def known(self, rows: F64) -> F64:
        """(n,): log-likelihood ratio of the best known walker against one drawn from all walkers."""
        at = self._normal(rows) @ self.axes
        one = -0.5 * ((at[:, None] - self.centres) ** 2).sum(axis=2).min(axis=1)
        any_of = -0.5 * (at**2 / (1 + self.between) + np.log1p(self.between)).sum(axis=1)
        return one - any_of

    def _normal(self, rows: F64) -> F64:
        return np.clip((rows - self.mean) / self.scale, -CLIP, CLIP)


def discriminant(rows: F64, walker: I64, shrinkage: float = SHRINKAGE) -> Discriminant:
    """Fitted to rows (n,D) of walkers 0..C-1, each of whom has rows. Each walker weighs the same."""
    count = int(walker.max()) + 1
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    normal = np.clip((rows - mean) / scale, -CLIP, CLIP)
    centres = np.stack([normal[walker == k].mean(axis=0) for k in range(count)])
    within = (
        sum((np.cov(normal[walker == k].T, bias=True) for k in range(count)), np.zeros((rows.shape[1],) * 2)) / count
    )
    shrunk = (1 - shrinkage) * within + shrinkage * np.diag(np.diag(within)) + FLOOR * np.eye(len(within))
    weights = np.linalg.solve(shrunk, centres.T).astype(np.float64)
    offsets = -0.5 * (centres.T * weights).sum(axis=0)
    root = np.linalg.inv(np.linalg.cholesky(shrunk)).T.astype(np.float64)  # whitens: root.T @ shrunk @ root = 1
    middle = centres.mean(axis=0)
    _, spread, turned = np.linalg.svd((centres - middle) @ root, full_matrices=False)
    kept = spread > 1e-9
    axes = root @ turned[kept].T
    between = spread[kept] ** 2 / max(count - 1, 1)
    return Discriminant(
        mean + middle * scale, scale, weights, offsets + middle @ weights, axes, (centres - middle) @ axes, between
    )


def log_softmax(scores: F64, temperature: float = 1.0) -> F64:
    """Logs of probabilities (n,C) that sum to one."""
    cool = scores / temperature
    cool = cool - cool.max(axis=1, keepdims=True)
    return cool - np.log(np.exp(cool).sum(axis=1, keepdims=True))
