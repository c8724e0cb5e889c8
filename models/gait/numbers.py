"""The gait numbers that are estimated from a walk, how they follow from a walk's own, and the people's spread.

Numbers of a walk, not of a person: a person who walks again differs by a few per cent.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

# name, how it follows from a walk's numbers by name, the people's mean and standard deviation
TARGETS: tuple[tuple[str, Callable[[dict[str, F64]], F64], float, float], ...] = (
    ("height_m", lambda n: n["height_m"], 1.69, 0.09),
    ("cadence_per_min", lambda n: n["cadence_per_min"], 112.0, 8.5),
    ("step_m", lambda n: n["step_m"], 0.69, 0.05),
    ("swing_rad", lambda n: n["swing_rad"], 0.436, 0.14),
    ("knee_rad", lambda n: n["knee_rad"], 1.05, 0.11),
    ("step_ratio", lambda n: n["step_m"] / n["height_m"], 0.41, 0.023),
    ("leg_ratio", lambda n: n["leg_ratio"], 0.49, 0.0115),
    ("shoulder_ratio", lambda n: n["shoulder_m"] / n["height_m"], 0.23, 0.0115),
    ("speed_m_s", lambda n: n["step_m"] * n["cadence_per_min"] / 60, 1.27, 0.11),
)


def targets(numbers: F64, names: tuple[str, ...]) -> NDArray[np.float32]:
    """(...,9) of gait numbers (...,11) with these names, less their means, in units of their standard deviations."""
    table = {name: numbers[..., k] for k, name in enumerate(names)}
    return np.stack([(f(table) - mean) / sd for _, f, mean, sd in TARGETS], axis=-1).astype(np.float32)
