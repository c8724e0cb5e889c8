"""Where a generated person walks past a sensor (generator G1): straight, at 0.9 to 1.4 m/s, at an angle to its axis.

The sensor stands at the origin and looks along +y, x runs to its right, z is height above the floor. A walk is what a
body does during a window; gait_radar and gait_camera say what their sensors see of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gait import PLAIN, Gait, Style, joints, placed

Floats = NDArray[np.float64]

ANGLE_MOST_RAD = np.radians(60.0)
OFFSET_MOST_M = 1.2
MIDDLE_M = (3.0, 5.5)  # distance of the window's middle: of a path of 6 m and more


@dataclass(frozen=True, slots=True)
class Walk:
    """A straight walk of a body. gait: the numbers of this very walk; middle_m (2,): where it is at middle_s;
    heading_rad from +x, counter-clockwise; phase: gait cycles at middle_s."""

    gait: Gait
    middle_m: tuple[float, float]
    heading_rad: float
    phase: float
    middle_s: float = 1.0
    style: Style = PLAIN

    def place_m(self, t_s: Floats) -> Floats:
        """(..., 2) at times t_s (...)."""
        way = self.gait.speed_m_s * (np.asarray(t_s, float) - self.middle_s)[..., None]
        return np.array(self.middle_m) + way * np.array([np.cos(self.heading_rad), np.sin(self.heading_rad)])

    def joints_m(self, t_s: Floats) -> Floats:
        """(..., 24, 3) in the sensor's floor frame at times t_s (...)."""
        t_s = np.asarray(t_s, float)
        phase = self.phase + (t_s - self.middle_s) / self.gait.cycle_s
        body = joints(self.gait, phase, 1.0, self.style)
        return placed(body, self.place_m(t_s), np.full(t_s.shape, self.heading_rad))


def draw_path(
    gait: Gait,
    rng: np.random.Generator,
    seconds: float = 2.0,
    angle_rad: float | None = None,
    style: Style = PLAIN,
    away: bool = False,
) -> Walk:
    """A walk of G1 with the given numbers: towards the sensor (or away from it), 0 to 60 degrees off, 0 to 1.2 m
    aside. angle_rad: this angle instead of a drawn one."""
    angle = rng.uniform(0.0, ANGLE_MOST_RAD) if angle_rad is None else angle_rad
    middle = (float(rng.uniform(-1, 1) * OFFSET_MOST_M), float(rng.uniform(*MIDDLE_M)))
    heading = (np.pi / 2 if away else -np.pi / 2) + float(rng.choice([-1.0, 1.0])) * angle
    return Walk(gait, middle, float(heading), float(rng.random()), seconds / 2, style)
