"""What a radar's frame shows of bodies: the firmware's own targets, or groups of its points, with a polar error and how
fast each recedes.

People who walk close together are one group of points. Where bodies are expected in one, its points are shared out
among them, by place and by Doppler, each to the highest bidder, as group trackers do (Texas Instruments, design guide
TIDUE71, "Group Tracker"). What becomes of bodies is the tracker's business; nothing here remembers.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..messages import RadarFrame
from ..sitefile import Area, Radar
from .detections import NOBODY, Detections, Expected, inside
from .geometry import Floats, radar_to_site
from .kalman import along

WEIGHT = 0.4  # beside a camera's 1: a radar's frames come more often and have more ghosts
GROUP_M = 0.55  # points of one body lie closer than this to one another
GROUP_POINTS, TARGET_POINTS = 3, 10.0  # least of a group; what a target of the firmware counts as
MOVING_M_S, ABSURD_M_S = 0.1, 15.0  # who stands still sways this much, a wall does not; nobody goes so fast
RANGE_SD_M, ANGLE_SD_RAD = 0.12, np.radians(3.0)
BODY_DEPTH_M = 0.10  # the radar sees the near surface of a body, this far before its axis
NOWHERE_M = 1e-6  # nearer than this to the radar's axis nothing has a direction
HEAD_ROOM_M = 2.4  # points above or below a person are ceiling, floor or ghosts
REACH_M = 0.6  # a body is expected in a group if one of its points is this near
LIMBS_SD_M, LIMBS_SD_M_S = 0.3, 0.3  # of a body's points around where it is, and how fast it goes
STRAY_SPEED = 9.0  # squared, in standard deviations: an arm may be as fast as it likes


class Groups(NamedTuple):
    """What may be bodies: centres (M,3) in the sensor frame, radial speeds (M,) m/s, sizes (M,) in points, and which
    (M,) move: where the radar does not remove what stands still, walls and pillars are groups too."""

    centres: Floats
    speed: Floats
    size: Floats
    moves: NDArray[np.bool_]


class RadarView:
    """One radar's geometry, ready for its frames."""

    def __init__(self, radar: Radar, area: Area) -> None:
        self._pose = radar.pose
        self._origin = np.asarray(radar.pose.position_m)
        self._area = area

    def detections(self, frame: RadarFrame, expected: Expected = NOBODY) -> Detections:
        """Bodies in a frame: the firmware's targets where it tracks, else groups of its points."""
        groups = _targets(frame) if frame.targets is not None else self._groups(frame, expected)
        where, outward, sight = self._on_floor(groups.centres)
        kept = inside(self._area, where)
        distance = np.linalg.norm(where - self._origin[:2], axis=1)
        return Detections(
            source=frame.source,
            t_ns=frame.t_ns,
            position=where[kept],
            covariance=_polar_covariance(outward, distance, groups.size)[kept],
            score=groups.size[kept],
            weight=np.where(groups.moves[kept], WEIGHT, 0.0),
            receding=(sight[kept], groups.speed[kept]),
            fastest=_fastest(frame.points[:, 3]) if frame.targets is None else np.inf,
        )

    def _on_floor(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Of points (N,3) in the sensor frame, the bodies they are the near side of (N,2), the horizontal directions
        (N,2) from the radar, and the horizontal parts (N,2) of its lines of sight."""
        away = radar_to_site(self._pose, points) - self._origin
        level = np.maximum(np.hypot(away[:, 0], away[:, 1]), NOWHERE_M)
        outward = away[:, :2] / level[:, None]
        outward[level <= NOWHERE_M] = 1.0, 0.0  # right below the radar every direction is as good
        where = self._origin[:2] + away[:, :2] + BODY_DEPTH_M * outward
        return where, outward, away[:, :2] / np.hypot(level, away[:, 2])[:, None]

    def _groups(self, frame: RadarFrame, expected: Expected) -> Groups:
        """Groups of points at a person's height."""
        points = frame.points.astype(np.float64)
        heights = radar_to_site(self._pose, points[:, :3])[:, 2]
        points = points[(heights > -0.5) & (heights < HEAD_ROOM_M)]
        labels = grouped(points[:, :2], GROUP_M)
        if len(expected) > 1:
            where, _, sight = self._on_floor(points[:, :3])
            labels = shared_out(labels, where, sight, points[:, 3], expected)
        sizes = np.bincount(labels) if len(labels) else np.zeros(0, int)
        groups = [points[labels == label] for label in np.flatnonzero(sizes >= GROUP_POINTS)]
        return Groups(
            centres=np.array([group[:, :3].mean(axis=0) for group in groups]).reshape(-1, 3),
            speed=np.array([np.median(group[:, 3]) for group in groups]),  # limbs swing: the trunk's is in the middle
            size=np.array([float(len(group)) for group in groups]),
            moves=np.array([np.abs(group[:, 3]).max() >= MOVING_M_S for group in groups], bool),
        )


def _targets(frame: RadarFrame) -> Groups:
    """The bodies that the firmware tracks."""
    assert frame.targets is not None
    targets = frame.targets.astype(np.float64)
    centres, velocity = targets[:, 1:4], targets[:, 4:7]
    distance = np.maximum(np.linalg.norm(centres, axis=1), 0.1)
    speed = (centres * velocity).sum(axis=1) / distance
    return Groups(centres, speed, np.full(len(targets), TARGET_POINTS), np.ones(len(targets), bool))


def _fastest(doppler: NDArray[np.float32]) -> float:
    """The largest speed of points (N,) m/s, but for what only a corrupt frame can hold."""
    speed = np.abs(doppler)
    return float(speed.max(initial=0.0, where=speed < ABSURD_M_S))


def grouped(points: Floats, reach: float) -> NDArray[np.intp]:
    """Labels (N,) of the connected groups of points (N,2) in which neighbours lie closer than `reach` (m)."""
    labels = np.arange(len(points))
    if not len(points):
        return labels
    near = ((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=2) < reach * reach
    while True:
        smallest = np.where(near, labels[None, :], len(points)).min(axis=1)
        if (smallest == labels).all():
            return np.unique(labels, return_inverse=True)[1]
        labels = smallest


def shared_out(
    labels: NDArray[np.intp], where: Floats, sight: Floats, speed: Floats, expected: Expected
) -> NDArray[np.intp]:
    """Labels (N,) of points at `where` (N,2) m that recede at `speed` (N,) m/s along `sight` (N,2), where a group in
    which several bodies are expected is one group a body: of the points that fit that one best."""
    labels = labels.copy()
    near = np.linalg.norm(where[:, None] - expected.mean[None, :, :2], axis=2) < REACH_M
    for label in range(labels.max() + 1 if len(labels) else 0):
        members = np.flatnonzero(labels == label)
        bodies = np.flatnonzero(near[members].any(axis=0))
        if len(bodies) < 2:
            continue
        owner = _misfit(where[members], sight[members], speed[members], expected, bodies).argmin(axis=1)
        labels[members] = np.where(owner > 0, labels.max() + owner, label)
    return labels


def _misfit(where: Floats, sight: Floats, speed: Floats, expected: Expected, bodies: NDArray[np.intp]) -> Floats:
    """Of points (N) from bodies (K), -2 log-likelihoods (N,K) but for a constant."""
    mean, covariance = expected.mean[bodies], expected.covariance[bodies]
    spread = covariance[:, :2, :2] + LIMBS_SD_M**2 * np.eye(2)
    apart = where[:, None] - mean[None, :, :2]
    far = np.einsum("nki,kij,nkj->nk", apart, np.linalg.inv(spread), apart) + np.log(np.linalg.det(spread))
    if not expected.by_speed:
        return far
    predicted, variance = along(mean, covariance, sight)
    variance = variance.T + LIMBS_SD_M_S**2
    return far + np.minimum((speed[:, None] - predicted.T) ** 2 / variance, STRAY_SPEED) + np.log(variance)


def _polar_covariance(outward: Floats, distance: Floats, size: Floats) -> Floats:
    """Covariances (N,2,2): range error constant, lateral error growing with distance, both easing with points."""
    share = 1 / np.sqrt(np.clip(size / 4, 1.0, 4.0))
    along_m2 = (RANGE_SD_M**2 + 0.08**2) * np.ones_like(distance)
    across_m2 = (ANGLE_SD_RAD * distance * share) ** 2 + 0.10**2
    lateral = np.column_stack((-outward[:, 1], outward[:, 0]))
    return (
        outward[:, :, None] * outward[:, None, :] * along_m2[:, None, None]
        + lateral[:, :, None] * lateral[:, None, :] * across_m2[:, None, None]
    )
