"""From what a sensor saw in its own frame to the floor of the site, with honest covariance. Pure functions of arrays.

Conventions (protocols A6, docs/site.md): the site frame is right-handed, z up, floor at z = 0. A pose's yaw is the
heading of the sensor's axis, counter-clockwise from +x; tilt is positive downwards; roll turns the image clockwise.
A radar's own frame is x right, y along the boresight, z up; a camera's is x right, y down, z along the axis.
"""

from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..sitefile import Homography, Pinhole, Pose

Floats = NDArray[np.float64]
_ACROSS, _ALONG = np.array([1.0, 0.0]), np.array([0.0, 1.0])  # one pixel


class FloorMap(Protocol):
    """Pixels (N,2) to floor points (N,2) in m; NaN where a pixel does not look at the floor."""

    def __call__(self, pixels: Floats, height_m: float = 0.0) -> Floats: ...


@lru_cache(maxsize=1024)
def axes_of(pose: Pose) -> tuple[Floats, Floats, Floats]:
    """Unit vectors right, down, forward of a sensor, in the site frame."""
    yaw, tilt, roll = np.radians([pose.yaw_deg, pose.tilt_deg, pose.roll_deg])
    forward = np.array([np.cos(yaw) * np.cos(tilt), np.sin(yaw) * np.cos(tilt), -np.sin(tilt)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.cross(forward, right)
    return np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right, forward


def radar_to_site(pose: Pose, points: Floats) -> Floats:
    """Radar points (N,3) in the sensor frame to the site frame (N,3) (protocols A6)."""
    right, down, forward = axes_of(pose)
    return np.asarray(pose.position_m) + points[:, :1] * right + points[:, 1:2] * forward - points[:, 2:3] * down


def floor_map(calibration: Homography | Pinhole) -> FloorMap:
    """The camera's pixel-to-floor function. Raises ValueError where a homography's points lie on one line."""
    if isinstance(calibration, Homography):
        return _homography_map(calibration)
    return _pinhole_map(calibration)


def _pinhole_map(camera: Pinhole) -> FloorMap:
    right, down, forward = axes_of(camera.pose)
    origin = np.asarray(camera.pose.position_m)

    def to_floor(pixels: Floats, height_m: float = 0.0) -> Floats:
        plane = undistorted(camera, pixels)
        rays = plane[:, :1] * right + plane[:, 1:] * down + forward
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = (height_m - origin[2]) / rays[:, 2]
        scale = np.where(scale > 0, scale, np.nan)  # at or above the horizon
        return origin[:2] + scale[:, None] * rays[:, :2]

    return to_floor


def heights_above(camera: Pinhole, pixels: Floats, places: Floats) -> Floats:
    """How high above floor places (N,2) pixels (N,2) look: where a pixel's ray is as far away as the place."""
    right, down, forward = axes_of(camera.pose)
    plane = undistorted(camera, pixels)
    rays = plane[:, :1] * right + plane[:, 1:] * down + forward
    origin = np.asarray(camera.pose.position_m)
    far = np.hypot(*(places - origin[:2]).T)
    return origin[2] + far * rays[:, 2] / np.maximum(np.hypot(rays[:, 0], rays[:, 1]), 1e-9)


def pixels_of(calibration: Homography | Pinhole, floor: Floats, height_m: float = 0.0) -> Floats:
    """Where points (N,2) of the floor, or at a height above it, appear in the image: (N,2) px, NaN behind the camera.

    Lens distortion is left out: good enough to say what a camera looks at. A homography knows the floor only."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if isinstance(calibration, Homography):
            matrix = fit_homography(np.asarray(calibration.floor_m), np.asarray(calibration.pixels_px))
            mapped = np.column_stack((floor, np.ones(len(floor)))) @ matrix.T
            ahead = mapped[:, 2] * (matrix[2] @ np.append(np.mean(calibration.floor_m, axis=0), 1.0)) > 0
            return np.where(ahead[:, None], mapped[:, :2] / mapped[:, 2:], np.nan)
        right, down, forward = axes_of(calibration.pose)
        away = np.column_stack((floor, np.full(len(floor), height_m))) - np.asarray(calibration.pose.position_m)
        depth = away @ forward
        plane = np.column_stack((away @ right, away @ down)) / np.where(depth > 0.1, depth, np.nan)[:, None]
        return plane * np.asarray(calibration.focal_px) + np.asarray(calibration.centre_px)


def undistorted(camera: Pinhole, pixels: Floats) -> Floats:
    """Pixels (N,2) to the normalised image plane (N,2), radial and tangential distortion removed by fixed-point
    iteration (Brown's model, coefficients k1 k2 p1 p2 k3)."""
    k1, k2, p1, p2, k3 = camera.distortion
    seen = (pixels - np.asarray(camera.centre_px)) / np.asarray(camera.focal_px)
    if not any(camera.distortion):
        return seen
    plane = seen
    for _ in range(20):
        x, y = plane[:, 0], plane[:, 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        shift = np.column_stack(
            (2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y),
        )
        plane = (seen - shift) / radial[:, None]
    return plane


def project(camera: Pinhole, points: Floats) -> Floats:
    """Points (N,3) of the site to pixels (N,2), through the lens; NaN for what is not in front of the camera."""
    right, down, forward = axes_of(camera.pose)
    rays = points - np.asarray(camera.pose.position_m)
    depth = rays @ forward
    with np.errstate(divide="ignore", invalid="ignore"):
        plane = np.column_stack((rays @ right, rays @ down)) / np.where(depth > 0, depth, np.nan)[:, None]
    k1, k2, p1, p2, k3 = camera.distortion
    x, y = plane[:, 0], plane[:, 1]
    r2 = x * x + y * y
    shift = np.column_stack((2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y))
    seen = plane * (1 + r2 * (k1 + r2 * (k2 + r2 * k3)))[:, None] + shift
    return seen * np.asarray(camera.focal_px) + np.asarray(camera.centre_px)


def _homography_map(calibration: Homography) -> FloorMap:
    matrix = fit_homography(np.asarray(calibration.pixels_px), np.asarray(calibration.floor_m))
    inside = matrix[2] @ np.append(np.mean(calibration.pixels_px, axis=0), 1.0)

    def to_floor(pixels: Floats, height_m: float = 0.0) -> Floats:
        if height_m:
            return np.full((len(pixels), 2), np.nan)  # a homography knows the floor only
        mapped = np.column_stack((pixels, np.ones(len(pixels)))) @ matrix.T
        with np.errstate(divide="ignore", invalid="ignore"):
            floor = mapped[:, :2] / mapped[:, 2:]
        return np.where((mapped[:, 2:] * inside) > 0, floor, np.nan)  # beyond the horizon the sign flips

    return to_floor


def fit_homography(pixels: Floats, floor: Floats) -> Floats:
    """The 3x3 matrix that maps pixels (N,2) to floor points (N,2), N >= 4, by the normalised direct linear transform.

    Raises ValueError where the points do not determine it (three of four on one line)."""
    source, from_source = _normalised(pixels)
    target, from_target = _normalised(floor)
    rows = []
    for (u, v), (x, y) in zip(source, target, strict=True):
        rows.append([u, v, 1, 0, 0, 0, -x * u, -x * v, -x])
        rows.append([0, 0, 0, u, v, 1, -y * u, -y * v, -y])
    _, sizes, basis = np.linalg.svd(np.asarray(rows))
    if sizes[7] < 1e-9 * sizes[0]:
        raise ValueError("the calibration points do not determine a floor plane: spread them, no three on one line")
    return np.linalg.inv(from_target) @ basis[8].reshape(3, 3) @ from_source


def _normalised(points: Floats) -> tuple[Floats, Floats]:
    centre = points.mean(axis=0)
    scale = np.sqrt(2) / max(float(np.sqrt(((points - centre) ** 2).sum(axis=1)).mean()), 1e-12)
    transform = np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]])
    return (points - centre) * scale, transform


def floor_slopes(to_floor: FloorMap, pixels: Floats, height_m: float = 0.0) -> tuple[Floats, Floats, Floats]:
    """Floor points (N,2) of pixels (N,2) in m, and how they move with a pixel across and along the image (N,2), by
    central differences of one pixel."""
    around = np.concatenate((pixels, pixels + _ACROSS, pixels - _ACROSS, pixels + _ALONG, pixels - _ALONG))
    here, right, left, below, above = to_floor(around, height_m).reshape(5, -1, 2)
    return here, (right - left) / 2, (below - above) / 2


def pushed_covariance(across: Floats, along: Floats, variance: Floats) -> Floats:
    """Pixel variances (N,2) on the floor, by its slopes (N,2): covariances (N,2,2) in m2."""
    return (
        across[:, :, None] * across[:, None, :] * variance[:, :1, None]
        + along[:, :, None] * along[:, None, :] * variance[:, 1:, None]
    )
