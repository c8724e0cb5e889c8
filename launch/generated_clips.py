"""Generated walks (G1) as Mission takes them: clouds of radar points, silhouettes, and the poses that supervise it."""

import numpy as np
from numpy.typing import NDArray

from ..drivers.simulated.gait import draw_gait, draw_walk, joints
from ..drivers.simulated.gait_camera import see
from ..drivers.simulated.gait_radar import Heard, hear
from ..drivers.simulated.gait_walk import Walk, draw_path
from ..models.gait.mission_training import Clips
from .generated_gaits import NEAR_M, tracked

F32 = NDArray[np.float32]

INTENSITY_DB = 30.0


def clips(
    people: int, walks: int, seed: int, frames: int = 20, points: int = 64, angle_rad: float | None = None
) -> Clips:
    """`people` of G1, `walks` with the radar and as many others with the camera; the last `frames` of 2 s."""
    rows = []
    for k in range(people):
        rng = np.random.default_rng([seed, k])
        gait = draw_gait(rng)
        heard, seen = [], []
        while len(heard) < walks:
            walk = draw_path(draw_walk(gait, rng), rng, angle_rad=angle_rad)
            cloud = _cloud(hear(walk, rng), points)
            if cloud is not None:
                heard.append((*(part[-frames:] for part in cloud), _poses(walk)[-frames:]))
        for _ in range(walks):
            walk = draw_path(draw_walk(gait, rng), rng, angle_rad=angle_rad)
            seen.append((_pictures(walk, rng)[-frames:], _poses(walk)[-frames:]))
        rows.append([np.stack(each) for each in (*zip(*heard, strict=True), *zip(*seen, strict=True))])
    points_, mask, radar_poses, crops, camera_poses = (np.stack(each) for each in zip(*rows, strict=True))
    return Clips(points_, mask, crops, radar_poses, camera_poses)


def _cloud(heard: Heard, most: int) -> tuple[F32, F32] | None:
    """Points (20,N,5) of the cluster about the track, x and y from it, z above the floor, and their mask (20,N)."""
    line = tracked(heard)
    if line is None:
        return None
    place, _ = line
    out, mask = np.zeros((len(heard.points), most, 5), np.float32), np.zeros((len(heard.points), most), np.float32)
    for k, cloud in enumerate(heard.points):
        about = cloud[:, :2] - place[k]
        near = np.flatnonzero(np.hypot(about[:, 0], about[:, 1]) < NEAR_M)[:most]
        out[k, : len(near), :2] = about[near]
        out[k, : len(near), 2] = cloud[near, 2]
        out[k, : len(near), 3] = cloud[near, 4] / INTENSITY_DB
        out[k, : len(near), 4] = cloud[near, 3]
        mask[k, : len(near)] = 1
    return out, mask


def _pictures(walk: Walk, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(20,64,64): the camera's 15 frames a second, the nearest to each tenth of a second."""
    seen = see(walk, rng)
    nearest = np.abs(seen.times_s[:, None] - np.arange(20) / 10).argmin(axis=0)
    return seen.silhouettes[nearest]


def _poses(walk: Walk) -> F32:
    """(20,24,3) joints about the pelvis, in the direction of the walk."""
    phase = walk.phase + (np.arange(20) / 10 - walk.middle_s) / walk.gait.cycle_s
    body = joints(walk.gait, phase, 1.0, walk.style)
    return (body - body[:, :1]).astype(np.float32)
