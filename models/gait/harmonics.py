"""What a walk's two beats look like in 20 frames: waves of strides and steps at every cadence, by least squares.

A walk's signals repeat with every stride and, as left and right are alike, mostly with every step: half the period. The
cadence whose two waves together explain most of all signals is the walk's; this is sharper than a peak in a spectrum,
whose width over two seconds is half a step a second.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .windows import FRAMES, RATE_HZ

F64 = NDArray[np.float64]

BEATS_HZ = np.round(np.arange(1.3, 2.501, 0.025), 3)  # steps a second: 78 to 150 a minute


@cache
def harmonics() -> tuple[F64, F64]:
    """A projection (20,20) that takes mean and trend out of a series (from the right), and, for every cadence of
    BEATS_HZ, four orthonormal waves (F,20,4): two of the stride, two of the step."""
    t = np.arange(FRAMES) / RATE_HZ
    trend = np.stack([np.ones(FRAMES), t - t.mean()], axis=1)
    level = np.eye(FRAMES) - trend @ np.linalg.pinv(trend)
    waves = []
    for hertz in BEATS_HZ:
        angles = np.pi * hertz * t
        both = np.stack([np.cos(angles), np.sin(angles), np.cos(2 * angles), np.sin(2 * angles)], axis=1)
        waves.append(np.linalg.qr(level @ both)[0])
    return level, np.array(waves)


def cadence_hz(series: F64) -> tuple[F64, F64]:
    """(B,) steps a second of series (B,C,20), and which share of their energy strides and steps explain."""
    level, waves = harmonics()
    flat = series @ level
    energy = (np.einsum("bct,ftk->bcfk", flat, waves) ** 2).sum(axis=(1, 3))
    best = energy.argmax(axis=1)
    total = np.maximum((flat**2).sum(axis=(1, 2)), 1e-12)
    return BEATS_HZ[best], energy[np.arange(len(best)), best] / total
