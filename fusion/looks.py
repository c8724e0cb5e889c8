"""How alike two bodies look, and what that costs when a box is given to a body."""

import numpy as np
from numpy.typing import NDArray

from .geometry import Floats

HISTOGRAM = "hsv-8x8x4:1"  # the descriptor of looks that every camera node sends
LOOKS_WEIGHT, LOOKS_MOST = 30.0, 20.0  # per unit of distance, and at most; in units of the tracker's cost, twice nats
CARRIED_WEIGHT, CARRIED_S = 14.0, 0.5  # of bodies that radars alone saw since: they may have taken up somebody else
SWAPPED = 0.35  # by how much exchanged looks must fit two bodies better before they are taken for swapped
LOOKS_LIKE = 0.45  # Bhattacharyya distance at which looks say neither yes nor no


def bhattacharyya(first: Floats, second: Floats) -> Floats:
    """Distances (N,M) in 0..1 between normalised histograms (N,D) and (M,D): sqrt(1 - sum sqrt(p q)) (EV-Loc 3.5)."""
    return np.sqrt(np.maximum(1.0 - np.sqrt(np.maximum(first, 0)) @ np.sqrt(np.maximum(second, 0)).T, 0.0))


def looks_cost(looks: Floats, carried: NDArray[np.bool_], histogram: Floats) -> Floats:
    """Costs (N,M) of giving boxes with `histogram` (M,D) to bodies of these looks (N,D), all 0 where unknown."""
    distance = bhattacharyya(looks, histogram)
    known = (looks.max(axis=1) > 0)[:, None]
    weight = np.where(carried, CARRIED_WEIGHT, LOOKS_WEIGHT)[:, None]
    return np.where(known, np.clip(weight * (distance - LOOKS_LIKE), -LOOKS_MOST, LOOKS_MOST), 0.0)


def exchanged(looks: Floats, recent: Floats) -> tuple[int, int] | None:
    """The two rows whose `recent` looks (N,D) fit each other's `looks` (N,D) best, where that is clearly better than
    their own; None where it is nobody's."""
    apart = bhattacharyya(looks, recent)
    kept = np.diag(apart)
    gain = kept[:, None] + kept[None, :] - apart - apart.T
    first, second = np.unravel_index(int(np.argmax(gain)), gain.shape)
    return (int(first), int(second)) if gain[first, second] > SWAPPED else None
