"""What a 60 GHz radar returns from a walking body whose limbs are capsules (generator G1): points with Doppler.

Points lie on surfaces that face the radar; noise, fading frames, ghosts mirrored over a wall and quantised Doppler are
G1's. It tracks nobody and clusters nothing: ghosts stay in.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gait import ROW
from .gait_walk import Walk

Floats = NDArray[np.float64]

RADAR_HEIGHT_M = 0.85
RATE_HZ = 10.0
MEAN_POINTS, MOST_POINTS = 23.0, 64
FADED_FRAMES, FADED_TO = 0.2, 0.4
RANGE_SD_M, ANGLE_SD_RAD = 0.05, np.radians(3.0)
DOPPLER_STEP_M_S = 0.13
GHOSTS, WALL_M = 0.05, (2.0, 4.0)  # share of points mirrored, and how far aside the wall stands
SNR_AT_1_M_DB, SNR_SD_DB = 45.0, 3.0
TINY_S = 1e-3  # velocities of surfaces are differences over so long

# (joint, joint, radius as a share of the body height, share of the points); the trunk is between hips and shoulders.
LIMBS = (
    ("left hip", "left knee", 0.045, 0.10),
    ("right hip", "right knee", 0.045, 0.10),
    ("left shoulder", "left elbow", 0.026, 0.0375),
    ("right shoulder", "right elbow", 0.026, 0.0375),
    ("left elbow", "left hand", 0.022, 0.0375),
    ("right elbow", "right hand", 0.022, 0.0375),
    ("left knee", "left ankle", 0.03, 0.05),
    ("right knee", "right ankle", 0.03, 0.05),
    ("neck", "head", 0.055, 0.05),
)
TRUNK_SHARE, TRUNK_RADIUS = 0.5, 0.065
_FROM = np.array([ROW["left hip"], *(ROW[a] for a, *_ in LIMBS)])
_TO = np.array([ROW["left shoulder"], *(ROW[b] for _, b, *_ in LIMBS)])
_RADIUS = np.array([TRUNK_RADIUS, *(r for _, _, r, _ in LIMBS)])
_SHARES = np.array([TRUNK_SHARE, *(s for *_, s in LIMBS)])


@dataclass(frozen=True, slots=True)
class Heard:
    """A window of a radar. times_s (T,); points: T arrays (N,5) f32 of x right, y along the axis, z above the floor
    (m), doppler m/s (positive: receding), snr dB."""

    times_s: Floats
    points: tuple[NDArray[np.float32], ...]


def hear(walk: Walk, rng: np.random.Generator, frames: int = 20, mean_points: float = MEAN_POINTS) -> Heard:
    """The radar's frames of a walk, from time 0 on at 10 Hz."""
    times = np.arange(frames) / RATE_HZ
    mean = mean_points * np.where(rng.random(frames) < FADED_FRAMES, FADED_TO, 1.0)
    counts = np.minimum(rng.poisson(mean), MOST_POINTS)
    frame = np.repeat(np.arange(frames), counts)
    now, soon = walk.joints_m(times), walk.joints_m(times + TINY_S)
    body = body_points(now, (soon - now) / TINY_S, frame, walk.gait.height_m * walk.style.girth, rng)
    wall = float(rng.uniform(*WALL_M) * rng.choice([-1.0, 1.0]))
    points = sensed(*body, rng, wall)
    return Heard(times, tuple(np.split(points, np.cumsum(counts)[:-1])))


def body_points(
    joints_m: Floats,
    velocity_m_s: Floats,
    frame: NDArray[np.int64],
    girth_m: float | Floats,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Places and velocities (n,3), relative to the radar, of surface points, one for each entry of `frame` (n,).

    joints_m and velocity_m_s: (F,24,3) in the radar's floor frame (drivers/simulated/gait_walk.py); girth_m, or (n,):
    the body height that limbs' radii are shares of. Each point lies on the half of its capsule that faces the radar.
    """
    n = len(frame)
    limb = rng.choice(len(_SHARES), n, p=_SHARES / _SHARES.sum())
    along, across = rng.random((n, 1)), np.where(limb == 0, rng.random(n), 0.0)[:, None]
    start, end, moved = (_mixed(which, frame, limb, across, joints_m, velocity_m_s) for which in (_FROM, _TO, None))
    axis = end - start
    place = start + along * axis - [0.0, 0.0, RADAR_HEIGHT_M]
    a, b = moved[:, :3], moved[:, 3:]
    velocity = a + along * (b - a)
    axis = axis / np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-9)
    facing = -place - (-place * axis).sum(axis=1, keepdims=True) * axis
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-9)
    around = rng.uniform(-np.pi / 2, np.pi / 2, (n, 1))
    normal = np.cos(around) * facing + np.sin(around) * np.cross(axis, facing)
    return place + normal * (_RADIUS[limb] * girth_m)[:, None], velocity


def sensed(place_m: Floats, velocity_m_s: Floats, rng: np.random.Generator, wall_m: float) -> NDArray[np.float32]:
    """Points (n,5) as Heard describes, of places and velocities (n,3) relative to the radar, with G1's noise."""
    n = len(place_m)
    distance = np.linalg.norm(place_m, axis=1)
    doppler = (place_m * velocity_m_s).sum(axis=1) / np.maximum(distance, 0.1)
    doppler = np.round((doppler + rng.uniform(-0.5, 0.5, n) * 1e-3) / DOPPLER_STEP_M_S) * DOPPLER_STEP_M_S
    ghost = rng.random(n) < GHOSTS
    x = np.where(ghost, 2 * wall_m - place_m[:, 0], place_m[:, 0])
    azimuth = np.arctan2(x, place_m[:, 1]) + rng.normal(0.0, ANGLE_SD_RAD, n)
    ground = np.hypot(x, place_m[:, 1])
    elevation = np.arctan2(place_m[:, 2], ground) + rng.normal(0.0, ANGLE_SD_RAD, n)
    far = np.hypot(ground, place_m[:, 2])
    snr = SNR_AT_1_M_DB - 40 * np.log10(np.maximum(far, 0.3)) + rng.normal(0.0, SNR_SD_DB, n)
    far = far + rng.normal(0.0, RANGE_SD_M, n)
    level = far * np.cos(elevation)
    z = far * np.sin(elevation) + RADAR_HEIGHT_M
    return np.column_stack((level * np.sin(azimuth), level * np.cos(azimuth), z, doppler, snr)).astype(np.float32)


def _mixed(
    which: NDArray[np.int64] | None,
    frame: NDArray[np.int64],
    limb: NDArray[np.int64],
    across: Floats,
    joints_m: Floats,
    velocity_m_s: Floats,
) -> Floats:
    """A bone's end (n,3), the trunk's moved from the left side towards the right; None: both ends' velocities (n,6)."""
    if which is None:
        ends = [_mixed(end, frame, limb, across, velocity_m_s, velocity_m_s) for end in (_FROM, _TO)]
        return np.concatenate(ends, axis=1)
    row = which[limb]
    mirror = np.where(limb == 0, row + 1, row)  # the joint after a left one is the right one
    return joints_m[frame, row] * (1 - across) + joints_m[frame, mirror] * across
