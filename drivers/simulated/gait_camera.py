"""What a camera's detector makes of a walking body (generator G1): silhouettes in jittering boxes, keypoints, a height.

Silhouettes are 64x64, the crop scaled to the box with equal sides, so that absolute size is gone from them; the height
is what a calibrated camera measures apart from that, feet against the horizon. No colours, no faces, no detector.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .gait import ROW
from .gait_walk import Walk

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]

CAMERA_HEIGHT_M, FOCAL_PX = 0.86, 610.0
CENTRE_PX = (640.0, 360.0)
RATE_HZ = 15.0
SIZE = 64
FINE = 3  # silhouettes are drawn so many times finer, then reduced
MARGIN = 0.08  # of the box's height around it, as a detector's window has
JITTER, JITTER_TIME_S = 0.04, 0.2  # of the box's edges, shares of its height, and how long it lasts
TILT_ERROR = 0.01  # of the height: what the calibration is off by
KEYPOINT_SD_PX = 3.0
OCCLUDED = 0.1  # of the walks
NEAREST_M = 0.3

# (joint, joint, radius at each as a share of the body height)
LIMBS = (
    ("left hip", "left knee", 0.052, 0.036),
    ("right hip", "right knee", 0.052, 0.036),
    ("left knee", "left ankle", 0.034, 0.024),
    ("right knee", "right ankle", 0.034, 0.024),
    ("left ankle", "left foot", 0.022, 0.016),
    ("right ankle", "right foot", 0.022, 0.016),
    ("left shoulder", "left elbow", 0.028, 0.024),
    ("right shoulder", "right elbow", 0.028, 0.024),
    ("left elbow", "left hand", 0.024, 0.02),
    ("right elbow", "right hand", 0.024, 0.02),
    ("neck", "head", 0.035, 0.056),
)
TRUNK = (("left shoulder", 0.04), ("right shoulder", 0.04), ("left hip", 0.06), ("right hip", 0.06), ("spine 3", 0.065))
_BITS = 4  # sub-pixel bits of cv2's drawing
_CIRCLE = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)], axis=1)
_START, _END = np.array([ROW[a] for a, *_ in LIMBS]), np.array([ROW[b] for _, b, *_ in LIMBS])
_RADII = np.array([[p, q] for *_, p, q in LIMBS])
_TRUNK = np.array([ROW[name] for name, _ in TRUNK])
_TRUNK_RADII = np.array([radius for _, radius in TRUNK])


@dataclass(frozen=True, slots=True)
class Mount:
    """How a camera is mounted: its height, and by how much it looks down."""

    height_m: float = CAMERA_HEIGHT_M
    tilt_rad: float = 0.0


LEVEL = Mount()


@dataclass(frozen=True, slots=True)
class Seen:
    """A window of a camera. times_s (T,); silhouettes (T,64,64) bool; keypoints_px (T,24,2) in the image; boxes_px
    (T,4) left, top, width, height, jittering; height_m: the body's, as the calibrated camera measures it."""

    times_s: Floats
    silhouettes: Masks
    keypoints_px: Floats
    boxes_px: Floats
    height_m: float


def see(
    walk: Walk,
    rng: np.random.Generator,
    frames: int = 30,
    rate_hz: float = RATE_HZ,
    beside: Walk | None = None,
    mount: Mount = LEVEL,
) -> Seen:
    """The camera's frames of a walk, from time 0 on; beside: somebody else in the same picture."""
    times = np.arange(frames) / rate_hz
    places = walk.joints_m(times)
    pixels, depth = project(places, mount)
    girth = walk.gait.height_m * walk.style.girth
    px_per_m = FOCAL_PX / np.maximum(depth.mean(axis=1), NEAREST_M)
    top = pixels[:, ROW["head"], 1] - 0.065 * walk.gait.height_m * px_per_m
    bottom = pixels[:, [ROW["left foot"], ROW["right foot"]], 1].max(axis=1) + 0.016 * girth * px_per_m
    true = np.stack([pixels[..., 0].min(axis=1), top, np.ptp(pixels[..., 0], axis=1), bottom - top], axis=1)
    boxes = jittered(true, rng, 1 / rate_hz)
    masks = np.stack([silhouette(pixels[k], girth * px_per_m[k], boxes[k]) for k in range(frames)])
    if beside is not None:
        masks |= _of_another(beside, times, boxes, mount)
    masks = roughened(masks, rng)
    if rng.random() < OCCLUDED:
        occlude(masks, rng)
    keypoints = pixels + rng.normal(0.0, KEYPOINT_SD_PX, pixels.shape)
    return Seen(times, masks, keypoints, boxes, measured_height_m(boxes, mount) * float(rng.normal(1.0, TILT_ERROR)))


def _of_another(walk: Walk, times: Floats, boxes: Floats, mount: Mount) -> Masks:
    """Their silhouettes (T,64,64) in these boxes."""
    pixels, depth = project(walk.joints_m(times), mount)
    body_px = walk.gait.height_m * walk.style.girth * FOCAL_PX / np.maximum(depth.mean(axis=1), NEAREST_M)
    return np.stack([silhouette(*each) for each in zip(pixels, body_px, boxes, strict=True)])


def project(places_m: Floats, mount: Mount = LEVEL) -> tuple[Floats, Floats]:
    """Pixels (...,2) and depths (...,) m of places (...,3) in the camera's floor frame."""
    up, cos, sin = places_m[..., 2] - mount.height_m, np.cos(mount.tilt_rad), np.sin(mount.tilt_rad)
    depth = np.maximum(places_m[..., 1] * cos - up * sin, NEAREST_M)
    u = CENTRE_PX[0] + FOCAL_PX * places_m[..., 0] / depth
    v = CENTRE_PX[1] - FOCAL_PX * (places_m[..., 1] * sin + up * cos) / depth
    return np.stack([u, v], axis=-1), depth


def jittered(boxes_px: Floats, rng: np.random.Generator, period_s: float) -> Floats:
    """Boxes (T,4) with top and bottom off by 4 % of the height, alike for about 0.2 s, as a detector's are."""
    keep = np.exp(-period_s / JITTER_TIME_S)
    error = rng.normal(0.0, JITTER, (len(boxes_px), 2))
    for k in range(1, len(error)):
        error[k] = keep * error[k - 1] + np.sqrt(1 - keep**2) * error[k]
    off = error * boxes_px[:, 3:]
    out = boxes_px.copy()
    out[:, 1] += off[:, 0]
    out[:, 3] += off[:, 1] - off[:, 0]
    return out


def measured_height_m(boxes_px: Floats, mount: Mount = LEVEL) -> float:
    """What a camera of known mount measures: how high the box's top is above where its feet stand, median."""
    top, feet = (
        mount.tilt_rad + np.arctan((boxes_px[:, 1] + share * boxes_px[:, 3] - CENTRE_PX[1]) / FOCAL_PX)
        for share in (0, 1)
    )  # below the horizon
    away = mount.height_m / np.tan(np.maximum(feet, 0.01))
    return float(np.median(mount.height_m - away * np.tan(top)))


def silhouette(pixels: Floats, body_px: float, box: Floats) -> Masks:
    """(64,64) bool of joints (24,2) px, limbs as thick as a body of body_px, in the box's square crop."""
    side = box[3] * (1 + 2 * MARGIN)
    corner = np.array([box[0] + box[2] / 2 - side / 2, box[1] - MARGIN * box[3]])
    scale = SIZE * FINE / side
    at, thick = (pixels - corner) * scale, body_px * scale
    image = np.zeros((SIZE * FINE, SIZE * FINE), np.uint8)
    for outline in _outlines(at, thick):
        cv2.fillConvexPoly(image, outline, 255, cv2.LINE_8, _BITS)
    return cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA) >= 128


def roughened(masks: Masks, rng: np.random.Generator) -> Masks:
    """The silhouettes (T,64,64) with rims as uneven as a background subtraction leaves them."""
    soft = np.stack([cv2.blur(mask.view(np.uint8) * 252, (3, 3)) for mask in masks])
    noise = (rng.integers(0, 256, soft.shape, np.uint8) // 2).astype(np.int16) - 64  # flat, sd 0.14 of a pixel's depth
    return np.where((soft > 12) & (soft < 240), soft + noise >= 126, masks)


def occlude(masks: Masks, rng: np.random.Generator) -> None:
    """Something stands before part of the body for a while: a block of 15 to 40 % of the crop, in place."""
    frames = len(masks)
    first = int(rng.integers(0, max(frames - 1, 1)))
    last = first + int(rng.integers(max(frames // 4, 1), frames + 1))
    thick = int(rng.integers(SIZE * 15 // 100, SIZE * 40 // 100))
    if rng.random() < 0.5:
        masks[first:last, SIZE - thick :] = False
    else:
        left = int(rng.integers(SIZE // 4, SIZE * 3 // 4 - thick // 2))
        masks[first:last, :, left : left + thick // 2] = False


def _outlines(at: Floats, thick: float) -> list[NDArray[np.int32]]:
    """Convex outlines of the limbs and the trunk, in cv2's fixed-point pixels."""
    ends = np.stack([at[_START], at[_END]], axis=1)  # (limbs,2,2)
    rims = ends[:, :, None] + (_RADII * thick)[:, :, None, None] * _CIRCLE
    points = [*rims.reshape(len(LIMBS), -1, 2)]
    points.append((at[_TRUNK][:, None] + (_TRUNK_RADII * thick)[:, None, None] * _CIRCLE).reshape(-1, 2))
    fixed = [np.rint(each * (1 << _BITS)).astype(np.int32) for each in points]
    return [np.asarray(cv2.convexHull(each), np.int32) for each in fixed]
