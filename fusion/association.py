"""Who is whose: what it costs to give a detection to a body, and the pairs that cost least. It changes nothing."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from . import doppler
from .body_table import BodyTable
from .detections import Detections
from .geometry import Floats
from .kalman import innovation
from .looks import CARRIED_S, looks_cost

GATE = 15.0  # of the squared Mahalanobis distance; 13.8 is 99.9 %, the rest is for boxes around half a body


def pairing_costs(bodies: BodyTable, seen: Detections, position: Floats, covariance: Floats) -> Floats:
    """What it costs to give each body each detection (bodies, detections), in twice nats: Mahalanobis distance with its
    log-determinant, Doppler and looks; infinite beyond the gate. position (M,2), covariance (M,2,2): of `seen`, or
    what else a sensor may have meant."""
    difference, inverse, log_determinant = innovation(bodies.mean, bodies.covariance, position, covariance)
    distance2 = np.einsum("nmi,nmij,nmj->nm", difference, inverse, difference)
    cost = distance2 + log_determinant + 4.0  # 4: shifts a good match of usual vagueness to about zero
    if seen.receding is not None:
        cost = cost + doppler.cost(bodies.mean, bodies.covariance, *seen.receding)
    if seen.histogram is not None:
        carried = bodies.seen_ns - bodies.faced_ns > CARRIED_S * 1e9
        cost = cost + looks_cost(bodies.looks, carried, seen.histogram.astype(np.float64))
    return np.where(distance2 < GATE, cost, np.inf)


def match(cost: NDArray[np.float64], gate: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The one-to-one pairs (rows, columns) of least total cost among those with cost < `gate`; each pair counts
    `gate - cost` in its favour, so that a pair is never forced."""
    if not cost.size or cost.min() >= gate:
        none = np.zeros(0, np.intp)
        return none, none
    rows, columns = linear_sum_assignment(np.minimum(cost, gate))
    kept = cost[rows, columns] < gate
    return rows[kept], columns[kept]
