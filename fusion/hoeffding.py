"""The paper's thresholds on the squared descriptor distance of a phone and a body: what a right pair costs on average,
how far above that its mean over frames may lie (Hoeffding's bound), and a tighter one, a gamma law with the right
mean and variance. Only formulae; what is done with them is in `evloc.py`.

Source: EV-Loc (paper), section on thresholds, as restored in the specification, section 2; Hoeffding 1963.
All lengths in metres. `mu` (..., J) are a body's distances to the sniffers, `sx` the standard deviation of the log of
a distance by radio, `sy` that of a distance by camera.
"""

import numpy as np
from scipy.special import gammaincinv

from .geometry import Floats


def range_sigma(sigma_db: float, exponent: float) -> float:
    """sx of distances from readings with `sigma_db` (equation 3): ln 10 sigma / a, a = 10 exponent."""
    return float(np.log(10) * sigma_db / (10 * exponent))


def expected_terms(mu: Floats, sx: float, sy: float) -> Floats:
    """E of each squared difference (..., J) of a right pair; E[A] is their sum."""
    return mu**2 * (np.exp(2 * sx**2) - 2 * np.exp(sx**2 / 2) + 1) + sy**2


def widest_terms(mu: Floats, sx: float, sy: float) -> Floats:
    """b (..., J): what each squared difference stays below, by the rule of three standard deviations."""
    return (mu * (np.exp(3 * sx) - 1) + 3 * sy) ** 2


def variance_terms(mu: Floats, sx: float, sy: float) -> Floats:
    """The variance of each squared difference (..., J): (mu (e^Z - 1) - W)^2, Z and W normal."""
    powers = [np.exp(k * k * sx**2 / 2) for k in range(5)]
    second = mu**2 * (powers[2] - 2 * powers[1] + 1)
    fourth = mu**4 * (powers[4] - 4 * powers[3] + 6 * powers[2] - 4 * powers[1] + 1)
    return fourth + 6 * second * sy**2 + 3 * sy**4 - (second + sy**2) ** 2


def hoeffding(confidence: float, squares: Floats, frames: Floats) -> Floats:
    """t with Pr(mean(A - E[A]) >= t) <= 1 - confidence over `frames` frames, `squares` the sum of b^2 over frames and
    sniffers: sqrt(ln(1 / (1 - c)) S / 2) / m."""
    return np.sqrt(np.log(1 / (1 - confidence)) * squares / 2) / np.maximum(frames, 1)


def gamma(confidence: float, expected: Floats, variance: Floats, frames: Floats) -> Floats:
    """The same threshold from a gamma law with the mean `expected` and the `variance` of the sum over the frames."""
    shape = expected**2 / np.maximum(variance, 1e-300)
    quantile = gammaincinv(np.maximum(shape, 1e-9), confidence) * variance / np.maximum(expected, 1e-300)
    return (quantile - expected) / np.maximum(frames, 1)
