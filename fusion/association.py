"""Who is whose: a function of a matrix. Knows nothing of tracks, sensors or people."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def match(cost: NDArray[np.float64], gate: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The one-to-one pairs (rows, columns) of least total cost among those with cost < `gate`; each pair counts
    `gate - cost` in its favour, so that a pair is never forced."""
    if not cost.size or cost.min() >= gate:
        none = np.zeros(0, np.intp)
        return none, none
    rows, columns = linear_sum_assignment(np.minimum(cost, gate))
    kept = cost[rows, columns] < gate
    return rows[kept], columns[kept]
