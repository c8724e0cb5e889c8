"""What a simulated camera has in view: projection, body boxes, and how much of each body is hidden.

Convention (sitefile.Pose): the optical axis is the heading, yaw from the site's +x counter-clockwise, tilt positive
downwards; image x (u) runs right, y (v) down, so right x down = forward; roll turns the camera clockwise about its
axis, seen from behind it. Pixels are (u, v) with the centre of the top left pixel at (0, 0). Lenses distort by Brown's
model (k1, k2, p1, p2, k3). It draws nothing and detects nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...sitefile import Camera, Pinhole, Pose, SiteError
from .plan import Floats, FloorPlan
from .world import Crowd

BODY_HALF_WIDTH_M = 0.22
NEAREST_M = 0.3  # closer to the lens than this is not in the picture
SEEN_SHARE = 0.6  # of the body that must be visible for truth to call somebody seen
_ACROSS, _UP = np.meshgrid(np.linspace(-0.8, 0.8, 5), np.linspace(0.03, 0.97, 9))
_ACROSS, _UP = _ACROSS.ravel(), _UP.ravel()  # where a body is probed for being hidden


def axes_of(pose: Pose) -> tuple[Floats, Floats, Floats]:
    """Unit vectors right, down, forward of a sensor in the site frame (convention above)."""
    yaw, tilt, roll = np.radians([pose.yaw_deg, pose.tilt_deg, pose.roll_deg])
    forward = np.array([np.cos(yaw) * np.cos(tilt), np.sin(yaw) * np.cos(tilt), -np.sin(tilt)])
    level = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    below = np.cross(forward, level)
    return np.cos(roll) * level + np.sin(roll) * below, np.cos(roll) * below - np.sin(roll) * level, forward


@dataclass(frozen=True, slots=True)
class Sight:
    """What one camera has of everybody (N rows): boxes (N,4) f64 left, top, width, height px from head to feet; depth
    (N,) m along the axis; share (N,) of the body in the picture and not hidden, 0 for those who are out."""

    boxes: Floats
    depth: Floats
    share: Floats

    @property
    def seen(self) -> NDArray[np.bool_]:
        return self.share >= SEEN_SHARE


class View:
    """A camera's geometry. Raises SiteError for a camera without a pinhole model: it has no place to look from."""

    def __init__(self, camera: Camera) -> None:
        if not isinstance(camera.calibration, Pinhole):
            raise SiteError(
                f'cameras.{camera.id}: a simulated camera needs calibration with model = "pinhole", '
                "because a homography does not say where the camera stands"
            )
        self.camera = camera
        self.lens = camera.calibration
        self.size = self.lens.image_size
        self.origin = np.asarray(self.lens.pose.position_m, float)
        self.right, self.down, self.forward = axes_of(self.lens.pose)

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Site points (N,3) m to pixels (N,2) and depths (N,) m; pixels mean nothing where depth < NEAREST_M."""
        ray = points - self.origin
        depth = ray @ self.forward
        safe = np.maximum(depth, NEAREST_M)
        plane = np.column_stack((ray @ self.right / safe, ray @ self.down / safe))
        if any(self.lens.distortion):
            plane = _distorted(plane, self.lens.distortion)
        return plane * self.lens.focal_px + self.lens.centre_px, depth

    def sight(self, crowd: Crowd, heights_m: Floats, plan: FloorPlan) -> Sight:
        """Boxes and visible shares of everybody, hidden by the picture's edge, by walls and by nearer people."""
        count = len(heights_m)
        feet = np.column_stack((crowd.position, np.zeros(count)))
        head = np.column_stack((crowd.position, heights_m))
        low, depth = self.project(feet)
        high, _ = self.project(head)
        width = 2 * BODY_HALF_WIDTH_M * self.lens.focal_px[0] / np.maximum(depth, NEAREST_M)
        top, height = high[:, 1], low[:, 1] - high[:, 1]
        boxes = np.column_stack(((low[:, 0] + high[:, 0] - width) / 2, top, width, height))
        open_line = plan.count_walls(np.repeat(self.origin[None, :2], count, 0), crowd.position) == 0
        there = crowd.present & (depth > NEAREST_M) & open_line
        probes = boxes[:, None, :2] + np.stack((_ACROSS + 1, 2 * _UP), -1) / 2 * boxes[:, None, 2:]
        visible = ((probes >= 0) & (probes <= np.asarray(self.size) - 1.0)).all(axis=2)
        for nearer in np.flatnonzero(there):
            behind = depth > depth[nearer] + 0.1
            inside = (probes >= boxes[nearer, :2]) & (probes <= boxes[nearer, :2] + boxes[nearer, 2:])
            visible &= ~(inside.all(axis=2) & behind[:, None])
        return Sight(boxes, depth, np.where(there, visible.mean(axis=1), 0.0))


def _distorted(plane: Floats, coefficients: tuple[float, ...]) -> Floats:
    k1, k2, p1, p2, k3 = coefficients
    x, y = plane[:, 0], plane[:, 1]
    square = np.minimum(x * x + y * y, 4.0)  # far outside the picture the polynomial folds back
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    shift_x = 2 * p1 * x * y + p2 * (square + 2 * x * x)
    shift_y = p1 * (square + 2 * y * y) + 2 * p2 * x * y
    return np.column_stack((x * radial + shift_x, y * radial + shift_y))
