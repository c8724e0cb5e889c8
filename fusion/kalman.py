"""A constant-velocity Kalman filter over many bodies at once: state (x, y, vx, vy), arrays with one row a body.

Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation" (2001), section 6.3; the
velocity decays slowly, so that a body nobody sees any more does not walk out of the building.
"""

import numpy as np

from .geometry import Floats

ACCELERATION_PSD = 0.15  # m2/s3: people start, stop and turn
VELOCITY_DECAY_S = 4.0  # while somebody sees the body
FIRST_SPEED_SD = 0.9  # m/s, of a body just found


def begin(position: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Means (N,4) and covariances (N,4,4) of bodies found at `position` (N,2) with `covariance` (N,2,2)."""
    mean = np.zeros((len(position), 4))
    mean[:, :2] = position
    spread = np.zeros((len(position), 4, 4))
    spread[:, :2, :2] = covariance
    spread[:, 2, 2] = spread[:, 3, 3] = FIRST_SPEED_SD**2
    return mean, spread


def predict(
    mean: Floats, covariance: Floats, elapsed_s: float, decay_s: float | Floats = VELOCITY_DECAY_S
) -> tuple[Floats, Floats]:
    """Both, `elapsed_s` later; decay_s: how long a velocity lasts, for all bodies or (N,) for each."""
    if elapsed_s <= 0:
        return mean, covariance
    decay = np.broadcast_to(np.exp(-elapsed_s / np.asarray(decay_s)), len(mean))
    step = np.tile(np.eye(4), (len(mean), 1, 1))
    step[:, 0, 2] = step[:, 1, 3] = np.asarray(decay_s) * (1 - decay)
    step[:, 2, 2] = step[:, 3, 3] = decay
    noise = np.zeros((4, 4))
    noise[[0, 1], [0, 1]] = elapsed_s**3 / 3
    noise[[0, 1, 2, 3], [2, 3, 0, 1]] = elapsed_s**2 / 2
    noise[[2, 3], [2, 3]] = elapsed_s
    moved = (step @ mean[:, :, None])[:, :, 0]
    return moved, step @ covariance @ step.transpose(0, 2, 1) + ACCELERATION_PSD * noise


def innovation(mean: Floats, covariance: Floats, position: Floats, noise: Floats) -> tuple[Floats, Floats, Floats]:
    """Every body against every measurement: differences (N,M,2), inverse covariances (N,M,2,2), log-determinants."""
    difference = position[None, :, :] - mean[:, None, :2]
    spread = covariance[:, None, :2, :2] + noise[None, :, :, :]
    determinant = spread[..., 0, 0] * spread[..., 1, 1] - spread[..., 0, 1] * spread[..., 1, 0]
    inverse = np.empty_like(spread)
    inverse[..., 0, 0], inverse[..., 1, 1] = spread[..., 1, 1], spread[..., 0, 0]
    inverse[..., 0, 1], inverse[..., 1, 0] = -spread[..., 0, 1], -spread[..., 1, 0]
    return difference, inverse / determinant[..., None, None], np.log(determinant)


def update(mean: Floats, covariance: Floats, position: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Bodies (N) each with its own measurement (N): Joseph form, so that covariances stay positive."""
    spread = covariance[:, :2, :2] + noise
    gain = covariance[:, :, :2] @ np.linalg.inv(spread)
    difference = position - mean[:, :2]
    mean = mean + (gain @ difference[:, :, None])[:, :, 0]
    keep = np.broadcast_to(np.eye(4), covariance.shape).copy()
    keep[:, :, :2] -= gain
    turned = gain.transpose(0, 2, 1)
    return mean, keep @ covariance @ keep.transpose(0, 2, 1) + gain @ noise @ turned


def along(mean: Floats, covariance: Floats, sight: Floats) -> tuple[Floats, Floats]:
    """Bodies (N) against lines of sight (M,2): how fast each recedes along each, and the variance of that: (N,M)."""
    speed = mean[:, 2:] @ sight.T
    return speed, np.einsum("mi,nij,mj->nm", sight, covariance[:, 2:, 2:], sight)


def update_speed(
    mean: Floats, covariance: Floats, sight: Floats, speed: Floats, noise: Floats
) -> tuple[Floats, Floats]:
    """Bodies (N) each with the speed (N,), variance `noise` (N,), at which it recedes along a line of sight (N,2)."""
    reach = (covariance[:, :, 2:] @ sight[:, :, None])[:, :, 0]
    spread = (sight * reach[:, 2:]).sum(axis=1) + noise
    gain = reach / spread[:, None]
    mean = mean + gain * (speed - (sight * mean[:, 2:]).sum(axis=1))[:, None]
    return mean, covariance - gain[:, :, None] * reach[:, None, :]
