"""Camera frames of the simulated world: a room with floor and walls, and walkers that the HOG detector finds.

Bodies are thick limbs in perspective, with a gait, clothes and skin, drawn far to near so that the near hide the far.
Good enough for a gradient detector and a colour histogram; not a picture of anybody, and without shadows or faces.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .cast import Body, settings
from .gait import Gait
from .optics import NEAREST_M, View
from .plan import Floats
from .world import Crowd, World

Image = NDArray[np.uint8]

WALL_HEIGHT_M = 2.8
TILE_M = 0.6
NOISE_BGR = 2.0  # standard deviation of the sensor's noise
NOISE_SHIFT_PX = 64  # one grain larger than the picture is shifted about from frame to frame
BAND_ROWS = 40  # of the room painted at a time: whole-picture float arrays would take 100 MB for a moment
SWING_RAD = 0.38  # of ordinary legs at an easy walk
ARM_SHARE, USUAL_STEP, USUAL_KNEE_RAD = 0.8, 0.41, 1.05
USUAL_SWING_RAD = 0.9 * SWING_RAD / ARM_SHARE  # of the upper arms
BRUSH_BITS = 4  # sub-pixel bits of cv2's drawing

# A standing body in shares of its height: joint heights, half widths, limb thicknesses.
HEAD_Z, NECK_Z, SHOULDER_Z, HIP_Z = 0.93, 0.86, 0.80, 0.53
SHOULDER_Y, HIP_Y = 0.115, 0.055
THIGH, SHANK, FOOT, UPPER_ARM, FOREARM = 0.245, 0.255, 0.09, 0.17, 0.16
HEAD_R, TORSO_W, LEG_W, SHANK_W, ARM_W, SHOE_W = 0.062, 0.15, 0.095, 0.075, 0.06, 0.045
SHOE_BGR = (40, 40, 45)


class Painter:
    """One camera's pictures; `frame(crowd, number)` is a pure function of both."""

    def __init__(self, world: World, view: View) -> None:
        cv2.setNumThreads(1)  # the other cores are for what watches
        self.world = world
        self.view = view
        self._gaits = [body.gait if settings(world.site).own_gaits else usual(body.gait) for body in world.bodies]
        rng = np.random.default_rng([world.seed, 40])
        self._room = _paint_room(view, world, rng)
        size = (view.size[1] + NOISE_SHIFT_PX, view.size[0] + NOISE_SHIFT_PX, 3)
        noise = np.rint(rng.standard_normal(size, np.float32) * NOISE_BGR).astype(np.int8)
        self._brighter, self._darker = np.maximum(noise, 0).view(np.uint8), np.maximum(-noise, 0).view(np.uint8)

    def frame(self, crowd: Crowd, number: int) -> Image:
        """The picture (height, width, 3) BGR of frame `number`."""
        image = self._room.copy()
        sight = self.view.sight(crowd, self.world.heights_m, self.world.plan)
        for row in np.argsort(-sight.depth, kind="stable"):
            if sight.share[row] > 0 or _reaches_in(sight.boxes[row], self.view.size, bool(crowd.present[row])):
                self._draw(image, self.world.bodies[row], crowd, int(row))
        image = cv2.GaussianBlur(image, (3, 3), 0.8)
        down, across = number * 37 % NOISE_SHIFT_PX, number * 23 % NOISE_SHIFT_PX
        part = slice(down, down + image.shape[0]), slice(across, across + image.shape[1])
        return np.asarray(cv2.subtract(cv2.add(image, self._brighter[part]), self._darker[part]), np.uint8)

    def _draw(self, image: Image, body: Body, crowd: Crowd, row: int) -> None:
        joints = pose_of(self._gaits[row], crowd.heading[row], crowd.phase[row], np.hypot(*crowd.velocity[row]))
        places = joints + np.array([*crowd.position[row], 0.0])
        pixels, depth = self.view.project(places)
        if depth.min() < NEAREST_M:
            return
        scale = self.view.lens.focal_px[0] / float(depth.mean()) * body.height_m
        side = (crowd.position[row] - self.view.origin[:2]) @ [np.sin(crowd.heading[row]), -np.cos(crowd.heading[row])]
        far, near = ("left", "right") if side < 0 else ("right", "left")
        brush = _Brush(image, pixels, scale)
        brush.limb(_ROWS[f"{far} arm"], ARM_W, _shaded(body.top_bgr, 0.8), body.long_sleeves, body.skin_bgr)
        for leg, light in ((far, 0.85), (near, 1.0)):
            brush.limb(_ROWS[f"{leg} leg"], LEG_W, _shaded(body.legs_bgr, light))
            brush.shoe(_ROWS[f"{leg} foot"])
        brush.torso(body)
        brush.head(body)
        brush.limb(_ROWS[f"{near} arm"], ARM_W, _shaded(body.top_bgr, 0.92), body.long_sleeves, body.skin_bgr)


# Rows of the joints that pose_of returns.
_ROWS: dict[str, tuple[int, ...]] = {
    "left leg": (0, 1, 2),
    "right leg": (3, 4, 5),
    "left arm": (6, 7, 8),
    "right arm": (9, 10, 11),
    "left foot": (2, 14),
    "right foot": (5, 15),
}
_NECK, _HEAD = 12, 13


def pose_of(gait: Gait, heading_rad: float, phase: float, speed_m_s: float) -> Floats:
    """Joints (16,3) in m, relative to the body's place on the floor: left hip, knee, ankle; right hip, knee, ankle;
    left shoulder, elbow, wrist; right shoulder, elbow, wrist; neck; head; left toes, right toes.
    phase is in gait cycles. Proportions are those that the HOG detector finds; how far legs and arms swing and knees
    bend is the person's."""
    effort = min(speed_m_s / 1.1, 1.2)
    legs = SWING_RAD * gait.step_m / (USUAL_STEP * gait.height_m)
    arms, knees = ARM_SHARE * gait.swing_rad, gait.knee_rad / USUAL_KNEE_RAD
    joints = np.zeros((16, 3))  # columns: ahead, left, up, in shares of the height
    for leg, arm, toes, sign in ((0, 6, 14, 1.0), (3, 9, 15, -1.0)):
        swing = sign * np.sin(2 * np.pi * phase)
        lift = max(0.0, sign * np.cos(2 * np.pi * phase))  # the leg that comes forward is bent
        thigh = legs * effort * swing + 0.25 * effort * lift
        shank = thigh - effort * (0.15 + 0.75 * knees * lift)
        apart = HIP_Y + 0.02 * (1 - min(effort, 1.0))
        joints[leg] = (0.0, sign * HIP_Y, HIP_Z)
        joints[leg + 1] = joints[leg] + (THIGH * np.sin(thigh), sign * (apart - HIP_Y), -THIGH * np.cos(thigh))
        joints[leg + 2] = joints[leg + 1] + (SHANK * np.sin(shank), 0.0, -SHANK * np.cos(shank))
        joints[toes] = joints[leg + 2] + (FOOT * np.cos(shank), 0.0, FOOT * np.sin(shank) - 0.01)
        upper = -arms * effort * swing
        lower = upper + 0.15 + 0.3 * effort
        joints[arm] = (0.0, sign * SHOULDER_Y, SHOULDER_Z)
        joints[arm + 1] = joints[arm] + (UPPER_ARM * np.sin(upper), sign * 0.03, -UPPER_ARM * np.cos(upper))
        joints[arm + 2] = joints[arm + 1] + (FOREARM * np.sin(lower), 0.0, -FOREARM * np.cos(lower))
    joints[_NECK], joints[_HEAD] = (0.0, 0.0, NECK_Z), (0.01, 0.0, HEAD_Z)
    joints[:, 2] += 0.03 - min(joints[2, 2], joints[5, 2])  # the lower foot stands on the floor
    ahead = np.array([np.cos(heading_rad), np.sin(heading_rad), 0.0])
    left = np.array([-np.sin(heading_rad), np.cos(heading_rad), 0.0])
    return (joints[:, :1] * ahead + joints[:, 1:2] * left + joints[:, 2:] * [0.0, 0.0, 1.0]) * gait.height_m


def usual(gait: Gait) -> Gait:
    """The same body, walking as everybody does."""
    return replace(gait, step_m=USUAL_STEP * gait.height_m, swing_rad=USUAL_SWING_RAD, knee_rad=USUAL_KNEE_RAD)


class _Brush:
    """Draws one body's parts; `scale` is the body's height in px."""

    def __init__(self, image: Image, pixels: Floats, scale: float) -> None:
        self._image = image
        self._scale = scale
        self._points = np.rint(np.clip(pixels, -4000, 4000) * (1 << BRUSH_BITS)).astype(np.int32)

    def limb(
        self,
        rows: tuple[int, ...],
        width: float,
        colour: tuple[int, int, int],
        is_covered: bool = True,
        skin: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        first, middle, last = rows
        self._line(middle, last, width * (SHANK_W / LEG_W), colour if is_covered else skin)
        self._line(first, middle, width, colour)

    def shoe(self, rows: tuple[int, ...]) -> None:
        self._line(rows[0], rows[-1], SHOE_W, SHOE_BGR)

    def torso(self, body: Body) -> None:
        corners = self._points[[6, 9, 3, 0]]
        cv2.fillConvexPoly(self._image, cv2.convexHull(corners), body.top_bgr, cv2.LINE_AA, BRUSH_BITS)
        chest = (self._points[6] + self._points[9]) // 2
        belly = (chest + self._points[0] + self._points[3]) // 3
        self._stroke((5 * chest + belly) // 6, belly, TORSO_W, body.top_bgr)
        self._stroke(self._points[6], self._points[9], ARM_W, body.top_bgr)
        self._line(0, 3, LEG_W * 1.1, body.legs_bgr)
        self._line(_NECK, _HEAD, 0.055, body.skin_bgr)

    def head(self, body: Body) -> None:
        radius = HEAD_R * self._scale * (1 << BRUSH_BITS)
        x, y = (int(v) for v in self._points[_HEAD])
        axes = (max(int(radius * 0.82), 8), max(int(radius * 1.1), 8))
        cv2.ellipse(self._image, (x, y), axes, 0, 0, 360, body.skin_bgr, -1, cv2.LINE_AA, BRUSH_BITS)
        cv2.ellipse(self._image, (x, y), axes, 0, 180, 360, body.hair_bgr, -1, cv2.LINE_AA, BRUSH_BITS)

    def _line(self, first: int, last: int, width: float, colour: tuple[int, int, int]) -> None:
        self._stroke(self._points[first], self._points[last], width, colour)

    def _stroke(self, start: NDArray[np.int32], end: NDArray[np.int32], width: float, colour: object) -> None:
        a, b = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
        cv2.line(self._image, a, b, colour, max(round(width * self._scale), 1), cv2.LINE_AA, BRUSH_BITS)  # type: ignore


def _reaches_in(box: Floats, size: tuple[int, int], is_present: bool) -> bool:
    """Whether any of a box can be in the picture though no probe of the body was: hidden ones are painted over."""
    left, top, width, height = box
    return is_present and left < size[0] and left + width > 0 and top < size[1] and top + height > 0


def _shaded(colour: tuple[int, int, int], light: float) -> tuple[int, int, int]:
    blue, green, red = (int(channel * light) for channel in colour)
    return blue, green, red


def _paint_room(view: View, world: World, rng: np.random.Generator) -> Image:
    """The empty room: each pixel's ray meets the floor or the nearest wall, whichever comes first."""
    width, height = view.size
    grain = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32) * 10, (0, 0), 2.0)
    room = np.empty((height, width, 3), np.uint8)
    for first in range(0, height, BAND_ROWS):
        rows = slice(first, min(first + BAND_ROWS, height))
        colours = _paint_rays(view, world, _rays(view, rows)).reshape(-1, width, 3)
        room[rows] = np.clip(colours + grain[rows, :, None], 0, 255)
    return room


def _rays(view: View, rows: slice) -> Floats:
    """Directions (N,3) in the site frame, of length 1 along the axis, that the pixels of some rows look in."""
    columns = np.arange(view.size[0], dtype=float)
    grid = np.stack(np.meshgrid(columns, np.arange(rows.start, rows.stop, dtype=float)), -1).reshape(-1, 1, 2)
    (fx, fy), (cx, cy) = view.lens.focal_px, view.lens.centre_px
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    plane = cv2.undistortPoints(grid, matrix, np.asarray(view.lens.distortion)).reshape(-1, 2)
    return plane[:, :1] * view.right + plane[:, 1:] * view.down + view.forward


def _paint_rays(view: View, world: World, rays: Floats) -> Floats:
    """The colours (N,3) that rays (N,3) from the lens meet."""
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(rays[:, 2] < 0, -view.origin[2] / rays[:, 2], np.inf)
    reach = np.minimum(reach, 60.0)
    along, light = np.zeros(len(rays)), np.full(len(rays), 150.0)
    is_wall = np.zeros(len(rays), bool)
    for x1, y1, x2, y2 in world.plan.walls:
        length = np.hypot(x2 - x1, y2 - y1)
        distance, share = _meet(view.origin, rays, (x1, y1), (x2, y2))
        z = view.origin[2] + distance * rays[:, 2]
        hit = (distance > 0) & (distance < reach) & (share >= 0) & (share <= 1) & (z < WALL_HEIGHT_M)
        reach = np.where(hit, distance, reach)
        along = np.where(hit, share * length, along)
        light = np.where(hit, 185.0 - 12.0 * abs(y2 - y1) / length, light)
        is_wall |= hit
    place = view.origin + reach[:, None] * rays
    checks = (np.floor(place[:, 0] / TILE_M) + np.floor(place[:, 1] / TILE_M)) % 2
    skirting = is_wall & (place[:, 2] < 0.1)
    light = np.where(is_wall, light - 25 * skirting + 3 * np.sin(along * 1.7), 145.0 + 7.0 * checks)
    tint = np.where(is_wall[:, None], np.array([0.97, 1.0, 1.02]), np.array([0.93, 1.0, 1.05]))
    return light[:, None] * tint


def _meet(origin: Floats, rays: Floats, start: tuple[float, float], end: tuple[float, float]) -> tuple[Floats, Floats]:
    """Where each ray meets a wall's plane: distance along the ray, and share of the way from start to end."""
    wall = np.subtract(end, start)
    offset = np.subtract(start, origin[:2])
    across = rays[:, 0] * wall[1] - rays[:, 1] * wall[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (offset[0] * wall[1] - offset[1] * wall[0]) / across
        share = (offset[0] * rays[:, 1] - offset[1] * rays[:, 0]) / across
    return distance, np.nan_to_num(share, nan=-1.0)
