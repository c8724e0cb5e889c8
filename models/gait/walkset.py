"""Many walks of many people as tensors, for training and for measuring: which sensor saw them, whose they are.

Where they come from (generated, recorded) is not known here; launch/generated_gaits.py makes generated ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .windows import CameraTensors, RadarTensors

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


TOLD = {"crop": (0, 0), "height": (1, 0), "height, speed": (1, 1)}  # what is known beside outlines: height, speed


class WalkSet(NamedTuple):
    """walks of P people, R radar and C camera walks each, all different walks. radar, camera: tensors whose first axis
    runs over people, then walks. radar_numbers (P,R,11), camera_numbers (P,C,11): the gait numbers of each walk, in the
    order of `names`; radar_angle, camera_angle (P,R), (P,C): of the walk to the sensor's axis, rad."""

    radar: RadarTensors
    camera: CameraTensors
    radar_numbers: F64
    camera_numbers: F64
    radar_angle: F64
    camera_angle: F64
    names: tuple[str, ...]

    @property
    def people(self) -> int:
        return len(self.radar_numbers)

    def taken(self, rows: NDArray[np.integer]) -> "WalkSet":
        """The people of these rows."""
        return WalkSet(
            RadarTensors(*(part[rows] for part in self.radar)),
            CameraTensors(*(part[rows] for part in self.camera)),
            self.radar_numbers[rows],
            self.camera_numbers[rows],
            self.radar_angle[rows],
            self.camera_angle[rows],
            self.names,
        )


def told_only(camera: CameraTensors, kind: str) -> CameraTensors:
    """The windows (...) with only what `kind` of TOLD says known beside the outlines."""
    height, speed = TOLD[kind]
    return camera._replace(told=camera.told * np.array([height, height, speed, speed], np.float32))


def stacked(parts: Sequence[Sequence[RadarTensors]] | Sequence[Sequence[CameraTensors]]) -> list[F32]:
    """The parts of tensors of P people with W walks each, (P,W,...)."""
    fields = range(len(parts[0][0]))
    return [np.stack([np.concatenate([each[f] for each in walks]) for walks in parts]) for f in fields]
