"""What frames of RSSI say without any camera, for many runs at once: distances by the path loss, multilateration, and
a map of the floor under one frame's readings. Readings that were not heard are NaN.

Source: EV-Loc (paper), equation 3, and multilateration by nonlinear least squares, which the paper compares with.
"""

from dataclasses import dataclass

import numpy as np

from .geometry import Floats

STEPS, DAMPING = 30, 1e-3  # of Levenberg and Marquardt's iteration
CELL_M = 0.5
MIN_DISTANCE_M = 0.3


@dataclass(frozen=True)
class Radio:
    """The signal model: mean power at 1 m, path-loss exponent, noise of a frame's mean reading, and how far above or
    below the phones the sniffers are."""

    reference_dbm: float = -40.0
    exponent: float = 2.0
    sigma_db: float = 1.58
    height_m: float = 0.0

    def distance_m(self, sniffers: Floats, places: Floats) -> Floats:
        """Distances (..., J) from sniffers (J, 2) to places (..., 2)."""
        apart = places[..., None, :] - sniffers
        return np.sqrt(np.maximum((apart**2).sum(axis=-1) + self.height_m**2, MIN_DISTANCE_M**2))

    def expected_dbm(self, distance_m: Floats) -> Floats:
        return self.reference_dbm - 10 * self.exponent * np.log10(distance_m)

    def range_m(self, rssi_dbm: Floats) -> Floats:
        """x of equation 3: the distance at which a reading is what one expects."""
        return 10 ** ((self.reference_dbm - rssi_dbm) / (10 * self.exponent))


def multilaterated(sniffers: Floats, ranges: Floats, sx: float, start: Floats) -> tuple[Floats, Floats]:
    """Places (..., 2) that fit distances (..., J) best in least squares of metres, and the variance (...) of each
    coordinate there, sx being the standard deviation of the log of a distance. NaN distances count for nothing."""
    heard = np.isfinite(ranges)
    measured = np.where(heard, ranges, 0.0)
    place = np.broadcast_to(start, (*ranges.shape[:-1], 2)).copy()
    damping = np.full(ranges.shape[:-1], DAMPING)
    normal, downhill, cost = _normal_equations(sniffers, measured, heard * 1.0, place)
    for _ in range(STEPS):
        step = _solved(normal + damping[..., None, None] * np.eye(2), downhill)
        tried = _normal_equations(sniffers, measured, heard * 1.0, place + step)
        better = tried[2] < cost
        place += np.where(better[..., None], step, 0.0)
        normal = np.where(better[..., None, None], tried[0], normal)
        downhill = np.where(better[..., None], tried[1], downhill)
        cost = np.where(better, tried[2], cost)
        damping = np.where(better, damping * 0.3, damping * 8)
    information = _normal_equations(sniffers, measured, heard / np.maximum(sx * measured, 1e-3) ** 2, place)[0]
    determinant = information[..., 0, 0] * information[..., 1, 1] - information[..., 0, 1] ** 2
    variance = (information[..., 0, 0] + information[..., 1, 1]) / 2 / np.maximum(determinant, 1e-9)
    return place, np.clip(variance, 1e-4, 1e6)


def _normal_equations(
    sniffers: Floats, ranges: Floats, weights: Floats, place: Floats
) -> tuple[Floats, Floats, Floats]:
    """J'WJ (..., 2, 2), -J'W error (..., 2), error' W error (...)."""
    apart = place[..., None, :] - sniffers
    length = np.maximum(np.linalg.norm(apart, axis=-1), 1e-6)
    towards, error = apart / length[..., None], length - ranges
    normal = np.einsum("...j,...ja,...jb->...ab", weights, towards, towards)
    downhill = -np.einsum("...j,...ja->...a", weights * error, towards)
    return normal, downhill, (weights * error * error).sum(axis=-1)


def _solved(matrix: Floats, right: Floats) -> Floats:
    a, b, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
    determinant = a * d - b * b
    x = (d * right[..., 0] - b * right[..., 1]) / determinant
    y = (a * right[..., 1] - b * right[..., 0]) / determinant
    return np.stack((x, y), axis=-1)


class RadioMap:
    """A grid over a square floor, for one frame's readings at a time: nothing is remembered."""

    def __init__(self, radio: Radio, sniffers: Floats, side_m: float) -> None:
        ticks = np.arange(CELL_M / 2, side_m, CELL_M)
        self.cells = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
        self._expected = radio.expected_dbm(radio.distance_m(sniffers, self.cells))  # (C, J)

    def weigh(self, rssi_dbm: Floats, variance_db2: float) -> tuple[Floats, Floats, Floats]:
        """For readings (..., J): the mean place (..., 2), the variance (...) of a coordinate, and the log of the mean
        density (...) over the floor, which is what "somebody unseen, somewhere" says of them."""
        heard = np.isfinite(rssi_dbm)
        reading = np.where(heard, rssi_dbm, 0.0)
        squares = (reading**2).sum(axis=-1)[..., None] - 2 * reading @ self._expected.T
        log_fit = -0.5 * (squares + heard @ (self._expected**2).T) / variance_db2
        highest = log_fit.max(axis=-1, keepdims=True)
        fit = np.exp(log_fit - highest)
        total = fit.sum(axis=-1)
        place = fit @ self.cells / total[..., None]
        square = fit @ (self.cells**2).sum(axis=1) / total
        variance = (square - (place**2).sum(axis=-1)) / 2 + CELL_M**2 / 12
        constant = -0.5 * heard.sum(axis=-1) * np.log(2 * np.pi * variance_db2)
        return place, variance, highest[..., 0] + np.log(total / len(self.cells)) + constant


def fused(first: Floats, first_variance: Floats, second: Floats, second_variance: Floats) -> tuple[Floats, Floats]:
    """Equation 2 in coordinates: places (..., 2) weighted by the inverse of their variances (...), and the variance of
    the result. With `first` electronic and `second` visual, its weights are the paper's alpha and beta."""
    alpha = second_variance / (first_variance + second_variance)
    place = alpha[..., None] * first + (1 - alpha)[..., None] * second
    return place, first_variance * second_variance / (first_variance + second_variance)
