"""Cameras of the other world: where they hang, what a people detector makes of the bodies before them.

A pinhole camera without lens distortion. The site file's convention (sitefile.Pose): yaw counter-clockwise from +x,
tilt positive downwards; image u to the right, v downwards. A body is an upright box 0.5 m wide. Pixels, metres.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from whowhere.sitefile import Camera, Detector, Pinhole, Pose

BODY_WIDTH_M = 0.5
EDGE_SD = 0.04  # of the box's height: scatter of its edges
IN_VIEW = 0.5  # a body is in view when so much of its box lies inside the image
FULL_PX, LEAST_PX = 90.0, 40.0  # detection is as good as it gets from the one, and impossible below the other
DETECTION, HIDDEN = 0.9, 0.6  # probability for a whole, near body; covered by more than HIDDEN nobody is found
COVER = (0.5, 0.75)  # of the floor, by all cameras together
TRIES = 40

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Lens:
    """A pinhole camera ready to project: place (3,), axes (3,3) rows right, down, forward, focal length and centre."""

    place: Array
    axes: Array
    focal: float
    size: tuple[int, int]

    def pixels(self, points: Array) -> tuple[Array, Array]:
        """(N,2) pixels and (N,) depths of (N,3) points; pixels of points behind the camera mean nothing."""
        local = (points - self.place) @ self.axes.T
        depth = local[:, 2]
        flat = np.where(depth > 0.05, depth, 0.05)
        return local[:, :2] / flat[:, None] * self.focal + np.array(self.size) / 2, depth

    def on_plane(self, u: float, v: float, z: float) -> Array | None:
        """(2,) where the ray through a pixel meets the height z; None where it does not."""
        ray = np.array([(u - self.size[0] / 2) / self.focal, (v - self.size[1] / 2) / self.focal, 1.0]) @ self.axes
        if abs(ray[2]) < 1e-6 or (z - self.place[2]) / ray[2] <= 0:
            return None
        return (self.place + ray * (z - self.place[2]) / ray[2])[:2]


def lens_of(camera: Camera) -> Lens:
    optics = camera.calibration
    assert isinstance(optics, Pinhole)
    yaw, tilt = np.radians(optics.pose.yaw_deg), np.radians(optics.pose.tilt_deg)
    forward = np.array([np.cos(yaw) * np.cos(tilt), np.sin(yaw) * np.cos(tilt), -np.sin(tilt)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.cross(forward, right)
    return Lens(
        np.array(optics.pose.position_m), np.stack([right, down, forward]), optics.focal_px[0], optics.image_size
    )


def body_boxes(lens: Lens, place: Array, height: Array) -> tuple[Array, Array]:
    """(N,4) left, top, right, bottom in px, not clipped, and (N,) depths of bodies at (N,2) with (N,) heights."""
    count = len(place)
    feet, _ = lens.pixels(np.column_stack([place, np.zeros(count)]))
    head, _ = lens.pixels(np.column_stack([place, height]))
    middle, depth = lens.pixels(np.column_stack([place, height / 2]))
    half = BODY_WIDTH_M / 2 * lens.focal / np.maximum(depth, 0.05)
    boxes = np.column_stack([middle[:, 0] - half, head[:, 1], middle[:, 0] + half, feet[:, 1]])
    return boxes, depth


def share_in_image(lens: Lens, boxes: Array, depth: Array) -> Array:
    """(N,) the share of each box that lies inside the image; 0 behind the camera."""
    clipped = np.clip(boxes, 0, [*lens.size, *lens.size])
    whole = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    inside = (clipped[:, 2] - clipped[:, 0]) * (clipped[:, 3] - clipped[:, 1])
    return np.where((depth > 0.4) & (whole > 0), inside / np.maximum(whole, 1e-9), 0.0)


def covered(boxes: Array, depth: Array) -> Array:
    """(N,) the share of each box that boxes of nearer bodies hide."""
    hidden = np.zeros(len(boxes))
    for row, (left, top, right, bottom) in enumerate(boxes):
        beside = (boxes[:, 2] < left) | (boxes[:, 0] > right) | (boxes[:, 3] < top) | (boxes[:, 1] > bottom)
        nearer = np.flatnonzero((depth < depth[row] - 0.05) & (depth > 0.4) & ~beside)
        if not len(nearer) or depth[row] < 0.4:
            continue
        u, v = np.linspace(left, right, 9), np.linspace(top, bottom, 13)[:, None]
        behind = np.zeros((13, 9), bool)
        for a, b, c, d in boxes[nearer]:
            behind |= (u >= a) & (u <= c) & (v >= b) & (v <= d)
        hidden[row] = behind.mean()
    return hidden


def chances(lens: Lens, place: Array, height: Array) -> tuple[Array, Array, NDArray[np.bool_], Array]:
    """Boxes (N,4), the detection probability (N,), who is in view and not hidden (N,), and the share hidden (N,)."""
    boxes, depth = body_boxes(lens, place, height)
    inside = share_in_image(lens, boxes, depth)
    hidden = covered(boxes, depth)
    tall = np.clip((boxes[:, 3] - boxes[:, 1] - LEAST_PX) / (FULL_PX - LEAST_PX), 0, 1)
    is_seen = (inside >= IN_VIEW) & (hidden <= HIDDEN) & (tall > 0)
    whole = np.clip((inside - 0.3) / 0.5, 0, 1)
    chance = np.where(is_seen, DETECTION * tall * whole * (1 - (hidden / HIDDEN) ** 2), 0.0)
    return boxes, chance, is_seen, hidden


def coverage(lenses: list[Lens], size: tuple[float, float]) -> float:
    """The share of the floor on which a body of 1.7 m would be in view of some camera."""
    x, y = np.meshgrid(np.arange(0.25, size[0], 0.5), np.arange(0.25, size[1], 0.5))
    place = np.column_stack([x.ravel(), y.ravel()])
    seen = np.zeros(len(place), bool)
    for lens in lenses:
        boxes, depth = body_boxes(lens, place, np.full(len(place), 1.7))
        seen |= (share_in_image(lens, boxes, depth) >= IN_VIEW) & (boxes[:, 3] - boxes[:, 1] > LEAST_PX)
    return float(seen.mean())


def hang(rng: np.random.Generator, size: tuple[float, float], count: int) -> tuple[Camera, ...]:
    """Cameras on walls or in corners that cover COVER of the floor together, found by trying."""
    wanted = rng.uniform(COVER[0] + 0.03, COVER[1] - 0.03)
    tries = [tuple(one_camera(rng, size, f"eye{number + 1}") for number in range(count)) for _ in range(TRIES)]
    off = [abs(coverage([lens_of(camera) for camera in cameras], size) - wanted) for cameras in tries]
    best = int(np.argmin(off))
    return tries[best] if off[best] < 0.03 else hang(rng, size, count)


def one_camera(rng: np.random.Generator, size: tuple[float, float], name: str) -> Camera:
    wide, deep = size
    along, wall = rng.uniform(0.1, 0.9), rng.integers(8)
    place = [(0, 0), (wide, 0), (wide, deep), (0, deep), (along * wide, 0), (wide, along * deep), (along * wide, deep),
             (0, along * deep)][wall]  # fmt: skip
    target = np.array([wide, deep]) * rng.uniform(0.3, 0.7, 2) - place
    image = (640, 480) if rng.random() < 0.5 else (1280, 720)
    focal = image[0] / 2 / np.tan(np.radians(rng.uniform(45, 80)) / 2)
    pose = Pose(
        position_m=(float(place[0]), float(place[1]), round(rng.uniform(2.2, 3.0), 2)),
        yaw_deg=round(float(np.degrees(np.arctan2(target[1], target[0]))), 1),
        tilt_deg=round(rng.uniform(14, 26), 1),
    )
    optics = Pinhole(image_size=image, focal_px=(focal, focal), centre_px=(image[0] / 2, image[1] / 2), pose=pose)
    detector = Detector(foot_margin=float(rng.choice([0.0, 0.04, 0.08])))
    return Camera(id=name, source="simulated", fps=round(rng.uniform(5, 10), 1), calibration=optics, detector=detector)
