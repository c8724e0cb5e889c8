"""What shape a batch of scans has by itself, without a map: which scans are of one storey, and how they lie on it.

Scans that hear alike were taken near each other. Along chains of such neighbours a storey can be unrolled into a plane
(Isomap: Tenenbaum, de Silva and Langford, "A Global Geometric Framework for Nonlinear Dimensionality Reduction", 2000),
up to turning and mirroring, which only a map can tell. Another storey is no neighbour: a ceiling parts scans more than
any distance on a storey.
"""

import numpy as np
from scipy.sparse.csgraph import shortest_path

from .maps import F32, F64
from .placing import alike, sorensen

NEIGHBOURS, CHAIN = 10, 15
CUT = 0.02  # share of the neighbourhoods that reach over: two storeys of a library 0.003, halves of one from 0.04
LEAST_PART = 0.2  # of the scans


def storeys(levels: F32) -> list[np.ndarray]:
    """Which of the scans (k,a; linear levels) belong together: one (k,) mask, or two where the batch falls apart."""
    kernel, count = alike(levels), len(levels)
    near = np.argsort(-kernel, axis=1, kind="stable")[:, 1 : NEIGHBOURS + 1]
    linked = np.zeros_like(kernel)
    np.put_along_axis(linked, near, np.take_along_axis(kernel, near, axis=1), axis=1)
    linked = np.maximum(linked, linked.T) + 1e-9
    size = linked.sum(axis=1)
    second = np.linalg.eigh(linked / np.sqrt(size[:, None] * size[None]))[1][:, -2] / np.sqrt(size)
    best, part = CUT, np.ones(count, bool)
    for limit in np.quantile(second, np.linspace(LEAST_PART, 1.0 - LEAST_PART, 61)):
        side = second > limit
        if not LEAST_PART <= side.mean() <= 1.0 - LEAST_PART:
            continue
        cut = linked[side][:, ~side].sum() / min(size[side].sum(), size[~side].sum())
        if cut < best:
            best, part = cut, side
    return [part] if part.all() else [part, ~part]


def unrolled(levels: F32) -> F64:
    """(k,2) where scans (k,a; linear levels) lie on their storey, longest side first, in units of its own."""
    apart = sorensen(levels, levels).astype(np.float64)
    apart = np.maximum((apart + apart.T) / 2.0, 1e-9)
    np.fill_diagonal(apart, 0.0)
    near = np.argsort(apart, axis=1, kind="stable")[:, 1 : CHAIN + 1]
    steps = np.zeros_like(apart)
    np.put_along_axis(steps, near, np.take_along_axis(apart, near, axis=1), axis=1)
    along = shortest_path(np.maximum(steps, steps.T), directed=False)
    along = np.minimum(along, 1.2 * along[np.isfinite(along)].max())
    squared = along**2
    centred = -0.5 * (squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean())
    values, vectors = np.linalg.eigh(centred)
    plane = vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0.0))
    flip = np.sign(plane[np.abs(plane).argmax(axis=0), [0, 1]])  # which way an eigenvector points is chance
    return plane * np.where(flip == 0.0, 1.0, flip)
