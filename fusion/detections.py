"""From one sensor's frame to positions on the floor with covariance: what the tracker is updated with; and cameras,
which give foot points whose range error grows with distance. Radars have `radar_view`. Nothing here remembers anything.
"""

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..messages import CameraFrame
from ..sitefile import Area, Camera, Pinhole
from .geometry import (
    Floats,
    FloorMap,
    floor_map,
    floor_slopes,
    heights_above,
    pixels_of,
    pushed_covariance,
)
from .looks import HISTOGRAM

FOOT_SD = 0.036  # of the box height: the scatter of HOG's box bottom around the feet (style.md section 3)
HALF_SD = 0.25  # the same for boxes that may hold the upper half only: dark trousers, somebody in front
SIDE_SD = 0.06  # of the box width
CALIBRATION_SD_M = 0.20  # what an ordinary calibration leaves
PERSON_HEIGHT_M, PERSON_HEIGHT_SD_M = 1.70, 0.10  # for boxes whose feet the image cuts off
MAX_RANGE_SD_M = 2.5  # a foot point vaguer than this is no position
EDGE_PX = 10.0
OUTSIDE_M = 1.0  # how far outside the floor plan a detection may lie
MAX_BOXES = 100  # of a frame: more people than an image shows; a step's cost grows faster than their number
MAX_BOX_SIZE = 2.0  # of the image's: beyond it no person

CAMERA_WEIGHT = 1.0  # what one sighting counts towards believing that there is a body


class Detections(msgspec.Struct, frozen=True, kw_only=True):
    """Bodies one sensor saw at one instant.

    position (N,2) m; covariance (N,2,2) m2; score (N,), larger is surer; histogram (N,256) or None.
    weight (N,): how much a sighting counts towards believing that there is a body; one of weight 0 can tell where a
    known body is, and never begins one. loose: positions (N,2) and covariances (N,2,2) where the sensor misjudged a
    body's extent, as a box around its upper half does; None where it cannot. sees: of places (N,2), which the sensor
    would see a body at, somebody in front aside; None where that cannot be said, as for a radar and who stands still.
    rows (N,): of a camera's boxes, those that these are; None for radars. receding: of a radar's bodies, the horizontal
    part (N,2) of the unit vector from it to each, and how fast (N,) m/s each recedes along that vector (its Doppler);
    fastest: the largest speed in the frame, of any point.
    """

    source: str
    t_ns: int
    position: Floats
    covariance: Floats
    score: Floats
    weight: Floats
    loose: tuple[Floats, Floats] | None = None
    sees: Callable[[Floats], NDArray[np.bool_]] | None = None
    histogram: NDArray[np.float32] | None = None
    rows: NDArray[np.intp] | None = None
    receding: tuple[Floats, Floats] | None = None
    fastest: float = np.inf

    def __len__(self) -> int:
        return len(self.position)


class Expected(msgspec.Struct, frozen=True):
    """Bodies that are believed, their filters as predicted to a frame's time: mean (K,4), covariance (K,4,4). by_speed:
    the Dopplers of the radar that asks are speeds (doppler.Telling)."""

    mean: Floats
    covariance: Floats
    by_speed: bool = False

    def __len__(self) -> int:
        return len(self.mean)


NOBODY = Expected(np.empty((0, 4)), np.empty((0, 4, 4)))


class CameraView:
    """One camera's geometry, ready for its frames."""

    def __init__(self, camera: Camera, area: Area) -> None:
        self._camera = camera
        self._area = area
        self._to_floor: FloorMap = floor_map(camera.calibration)

    def detections(self, frame: CameraFrame, _: Expected = NOBODY) -> Detections:
        """Foot points of the boxes, whoever is expected; those of no person's size, near the horizon or off the plan
        are left out, and so are all but the surest MAX_BOXES."""
        width, height = self._camera.calibration.image_size
        scale = np.array([width / frame.image_size[0], height / frame.image_size[1]])
        boxes = frame.boxes.astype(np.float64) * np.tile(scale, 2)
        rows = _surest(boxes, frame.scores, MAX_BOX_SIZE * np.array([width, height]))
        boxes = boxes[rows]
        position, covariance, loose = self._foot_points(boxes)
        beside = position
        if isinstance(self._camera.calibration, Pinhole):
            head, spread = self._from_heads(boxes)  # the upper half of a body has its head
            cut = boxes[:, 1] + boxes[:, 3] >= height - 2
            position[cut], covariance[cut] = head[cut], spread[cut]
            surer = (spread.trace(axis1=1, axis2=2) < loose.trace(axis1=1, axis2=2)) | cut
            beside, loose = np.where(surer[:, None], head, position), np.where(surer[:, None, None], spread, loose)
        kept = np.isfinite(covariance).all(axis=(1, 2)) & inside(self._area, position)
        kept &= np.where(np.isfinite(covariance), covariance, 0).trace(axis1=1, axis2=2) < MAX_RANGE_SD_M**2
        rows = rows[kept]
        histogram = frame.descriptors.get(HISTOGRAM)
        return Detections(
            source=frame.source,
            t_ns=frame.t_ns,
            position=position[kept],
            covariance=covariance[kept],
            score=frame.scores[rows].astype(np.float64),
            weight=np.full(int(kept.sum()), CAMERA_WEIGHT),
            loose=(beside[kept], loose[kept]),
            sees=self.sees,
            rows=rows,
            histogram=histogram[rows] if histogram is not None and histogram.shape == (len(frame.boxes), 256) else None,
        )

    def statures(self, frame: CameraFrame) -> Floats:
        """How tall the bodies in a frame's boxes are (N,) m, standing where their feet are: NaN where the calibration
        cannot say, as a homography cannot, and for boxes that the image cuts off."""
        lens = self._camera.calibration
        if not isinstance(lens, Pinhole) or not len(frame.boxes):
            return np.full(len(frame.boxes), np.nan)
        width, height = lens.image_size
        boxes = frame.boxes.astype(np.float64) * np.tile([width / frame.image_size[0], height / frame.image_size[1]], 2)
        middle, bottom = boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3]
        feet = np.column_stack((middle, bottom - boxes[:, 3] * self._camera.detector.foot_margin))
        tall = heights_above(lens, np.column_stack((middle, boxes[:, 1])), self._to_floor(feet))
        return np.where((boxes[:, 1] > 2) & (bottom < height - 2), tall, np.nan)

    def sees(self, position: Floats) -> NDArray[np.bool_]:
        """Of places (N,2), those where the camera has a whole person in its image."""
        width, height = self._camera.calibration.image_size
        seen = np.ones(len(position), bool)
        for height_m in (0.0, PERSON_HEIGHT_M) if isinstance(self._camera.calibration, Pinhole) else (0.0,):
            pixels = pixels_of(self._camera.calibration, position, height_m)
            with np.errstate(invalid="ignore"):
                framed = (pixels > EDGE_PX) & (pixels < np.array([width, height]) - EDGE_PX)
            seen &= framed.all(axis=1)
        return seen

    def _foot_points(self, boxes: Floats) -> tuple[Floats, Floats, Floats]:
        """Positions of the boxes' feet, their covariances, and those of half bodies (protocols D3, D6)."""
        margin = self._camera.detector.foot_margin
        feet = np.column_stack((boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3] * (1 - margin)))
        position, across, along = floor_slopes(self._to_floor, feet)
        calibration = CALIBRATION_SD_M**2 * np.eye(2)
        tight, loose = (
            pushed_covariance(across, along, np.column_stack((SIDE_SD * boxes[:, 2], foot_sd * boxes[:, 3])) ** 2)
            + calibration
            for foot_sd in (FOOT_SD, HALF_SD)
        )
        return position, tight, loose

    def _from_heads(self, boxes: Floats) -> tuple[Floats, Floats]:
        """The same for boxes cut off by the image's lower edge, from the head and an ordinary person's height."""
        heads = np.column_stack((boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + 0.05 * boxes[:, 3]))
        variance = np.column_stack((SIDE_SD * boxes[:, 2], FOOT_SD * boxes[:, 3])) ** 2
        position, across, along = floor_slopes(self._to_floor, heads, PERSON_HEIGHT_M)
        covariance = pushed_covariance(across, along, variance)
        spread = self._to_floor(heads, PERSON_HEIGHT_M + PERSON_HEIGHT_SD_M) - position
        return position, covariance + spread[:, :, None] * spread[:, None, :] + CALIBRATION_SD_M**2 * np.eye(2)


def _surest(boxes: Floats, scores: NDArray[np.float32], largest: Floats) -> NDArray[np.intp]:
    """Rows of the boxes (N,4) of a positive size up to `largest` (width, height), in the frame's order: the
    MAX_BOXES with the best scores, of equal scores the first."""
    rows = np.flatnonzero(((boxes[:, 2:] > 0) & (boxes[:, 2:] <= largest)).all(axis=1))
    return np.sort(rows[np.argsort(-scores[rows], kind="stable")[:MAX_BOXES]])


def inside(area: Area, position: Floats) -> NDArray[np.bool_]:
    """Which places (N,2) are on the plan, or not far from it; NaN is not."""
    with np.errstate(invalid="ignore"):
        return (
            (position[:, 0] > area.x_m[0] - OUTSIDE_M)
            & (position[:, 0] < area.x_m[1] + OUTSIDE_M)
            & (position[:, 1] > area.y_m[0] - OUTSIDE_M)
            & (position[:, 1] < area.y_m[1] + OUTSIDE_M)
        )
