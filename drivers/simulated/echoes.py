"""What a simulated 60 GHz radar receives from a crowd: points in the sensor frame, with noise, fading and ghosts.

A model of the out-of-box demo with static clutter removal: who walks returns several points from moving limbs, who
stands fades out within a second or two, who stands behind somebody returns few. Angles are coarse (protocols A6).
It encodes nothing: `radar` turns the points into bytes.
"""

import numpy as np
from numpy.typing import NDArray

from ...sitefile import Pose, Radar
from .cast import settings
from .gait import joints, placed
from .gait_radar import RADAR_HEIGHT_M, TINY_S, body_points
from .optics import axes_of
from .plan import Floats
from .world import Crowd, World, effort_of

MAX_RANGE_M = 12.0
HALF_VIEW_RAD = np.radians(60.0)
FEWEST_POINTS = 2.0
STILL_FADE_S = 0.7
STILL_POINTS = 0.12  # mean number a frame that a standing body's sway still returns
HIDDEN_SHARE = 0.12  # of its points that a body behind another one returns
SHADOW_HALF_WIDTH_M = 0.25
RANGE_NOISE_M = 0.05
AZIMUTH_NOISE_RAD = np.radians(3.0)
ELEVATION_NOISE_RAD = np.radians(3.0)
SHARED_AZIMUTH_NOISE_RAD = np.radians(1.0)  # of all points of one body in one frame
DOPPLER_NOISE_M_S = 0.05
GHOSTS = 0.25  # mean number a frame
ECHO_CHANCE = 0.04  # per walking person and frame: a double bounce farther out
SNR_AT_4_M_DB = 22.0


class Echoes:
    """One radar's view of a world; `points(crowd, number)` is a pure function of both."""

    def __init__(self, world: World, radar: Radar) -> None:
        self.world = world
        self.pose: Pose = radar.pose
        self._points_at_3_m = settings(world.site).radar_points
        self._origin = np.asarray(radar.pose.position_m, float)
        self._axes = np.stack(axes_of(radar.pose))
        self._row = next(i for i, other in enumerate(world.site.radars) if other.id == radar.id)

    def sees(self, crowd: Crowd) -> NDArray[np.bool_]:
        """(N,): who is in view, unhidden, and moved lately enough to return points."""
        return self._strength(crowd) > FEWEST_POINTS / 2

    def points(self, crowd: Crowd, number: int) -> NDArray[np.float32]:
        """Points (N,5) f32 of frame `number`: x right, y boresight, z up in m, doppler m/s, snr dB."""
        rng = np.random.default_rng([self.world.seed, 10, self._row, number])
        counts = rng.poisson(self._strength(crowd))
        owner = np.repeat(np.arange(len(counts)), counts)
        clouds = [self._body_points(crowd, owner, rng)] if len(owner) else []
        walking = np.flatnonzero((counts > 0) & (crowd.still_s == 0.0))
        echoing = walking[rng.random(len(walking)) < ECHO_CHANCE]
        if len(echoing):
            echo = self._body_points(crowd, echoing, rng)
            echo[:, :3] *= 1.0 + rng.uniform(0.15, 0.6, (len(echo), 1))
            echo[:, 4] -= 8.0
            clouds.append(echo)
        clouds.append(_ghosts(rng))
        cloud = np.concatenate(clouds)
        near = (np.linalg.norm(cloud[:, :3], axis=1) < MAX_RANGE_M) & (cloud[:, 1] > 0.1)
        return np.ascontiguousarray(cloud[near], "<f4")

    def _strength(self, crowd: Crowd) -> Floats:
        """Mean number of points (N,) that each body returns."""
        reach = crowd.position - self._origin[:2]
        distance = np.maximum(np.hypot(reach[:, 0], reach[:, 1]), 0.3)
        bearing = np.arctan2(reach[:, 1], reach[:, 0]) - np.radians(self.pose.yaw_deg)
        bearing = np.abs(np.mod(bearing + np.pi, 2 * np.pi) - np.pi)
        origin = np.repeat(self._origin[None, :2], len(distance), 0)
        open_line = self.world.plan.count_walls(origin, crowd.position) == 0
        there = crowd.present & (bearing < HALF_VIEW_RAD) & (distance < MAX_RANGE_M) & open_line
        points = np.maximum(self._points_at_3_m * (3.0 / distance) ** 0.8, FEWEST_POINTS)
        points *= np.cos(bearing * 0.7)
        points = points * np.exp(-crowd.still_s / STILL_FADE_S) + STILL_POINTS
        points[_hidden(reach, distance, there)] *= HIDDEN_SHARE
        return np.where(there, points, 0.0)

    def _body_points(self, crowd: Crowd, owner: NDArray[np.int64], rng: np.random.Generator) -> Floats:
        """Points (n,5) on the limbs of bodies `owner` (n,), as they move at this instant (generator G1)."""
        who, frame = np.unique(owner, return_inverse=True)
        now, soon = self._joints(crowd, who, 0.0), self._joints(crowd, who, TINY_S)
        girth = np.ones(len(owner)) * self.world.heights_m[owner]
        place, velocity = body_points(now, (soon - now) / TINY_S, frame, girth, rng)
        count = len(owner)
        right, down, forward = (place @ self._axes.T).T
        ground = np.hypot(right, forward)
        distance = np.hypot(ground, down) + rng.normal(0.0, RANGE_NOISE_M, count)
        shared = rng.normal(0.0, SHARED_AZIMUTH_NOISE_RAD, len(crowd.present))[owner]
        azimuth = np.arctan2(right, forward) + shared + rng.normal(0.0, AZIMUTH_NOISE_RAD, count)
        elevation = np.arctan2(-down, ground) + rng.normal(0.0, ELEVATION_NOISE_RAD, count)
        radial = (velocity * place).sum(axis=1) / np.maximum(np.linalg.norm(place, axis=1), 0.1)
        doppler = radial + rng.normal(0.0, DOPPLER_NOISE_M_S, count)
        snr = SNR_AT_4_M_DB - 40 * np.log10(np.maximum(distance, 0.5) / 4) / 2 + rng.normal(0.0, 3.0, count)
        return _cartesian(distance, azimuth, elevation, doppler, np.maximum(snr, 8.0))

    def _joints(self, crowd: Crowd, who: NDArray[np.int64], later_s: float) -> Floats:
        """Joints (W,24,3) of bodies `who` a moment later, where `body_points` wants them: the radar at its origin."""
        return np.stack([self._joints_of(crowd, row, later_s) for row in who.tolist()]) - [
            *self._origin[:2], self._origin[2] - RADAR_HEIGHT_M,
        ]  # fmt: skip

    def _joints_of(self, crowd: Crowd, row: int, later_s: float) -> Floats:
        gait, velocity = self.world.bodies[row].gait, crowd.velocity[row]
        phase = crowd.phase[row] + np.hypot(*velocity) * later_s / (2 * gait.step_m)
        body = joints(gait, phase, effort_of(self.world.bodies[row], crowd, row))
        return placed(body, crowd.position[row] + velocity * later_s, crowd.heading[row])


def _hidden(reach: Floats, distance: Floats, there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,): who stands behind somebody else, seen from the radar."""
    bearing = np.arctan2(reach[:, 1], reach[:, 0])
    gap = np.abs(np.mod(bearing[:, None] - bearing[None] + np.pi, 2 * np.pi) - np.pi)
    nearer = there[None] & (distance[None] < distance[:, None] - 0.3)
    hidden = nearer & (gap < SHADOW_HALF_WIDTH_M / distance[None])
    return np.asarray(hidden.any(axis=1))


def _ghosts(rng: np.random.Generator) -> Floats:
    count = rng.poisson(GHOSTS)
    azimuth = rng.uniform(-HALF_VIEW_RAD, HALF_VIEW_RAD, count)
    elevation = rng.normal(0.0, 0.2, count)
    return _cartesian(
        rng.uniform(0.5, MAX_RANGE_M, count), azimuth, elevation, rng.normal(0, 0.6, count), rng.uniform(8, 12, count)
    )


def _cartesian(distance: Floats, azimuth: Floats, elevation: Floats, doppler: Floats, snr: Floats) -> Floats:
    """Columns x right, y boresight, z up, doppler, snr (protocols A6)."""
    level = distance * np.cos(elevation)
    return np.column_stack(
        (level * np.sin(azimuth), level * np.cos(azimuth), distance * np.sin(elevation), doppler, snr)
    )
