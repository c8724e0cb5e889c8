"""Generated walks (G1) as the gait models take them: the simulated sensors' windows, tracked, as tensors.

The tracker's stand-in is a straight line through the frames' middles; it never sees the truth. Every walk of a person
is another one: none serves as a radar's and as a camera's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..drivers.camera.gait import gait_profiles
from ..drivers.simulated.gait import NUMBERS, PLAIN, Gait, Style, draw_gait, draw_style, draw_walk
from ..drivers.simulated.gait_camera import LEVEL, Mount, Seen, see
from ..drivers.simulated.gait_radar import Heard, hear
from ..drivers.simulated.gait_walk import Walk, draw_path
from ..models.gait.walkset import WalkSet, stacked
from ..models.gait.windows import (
    CameraTensors,
    CameraWindow,
    RadarTensors,
    RadarWindow,
    aligned,
    camera_tensors,
    radar_tensors,
)

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

TRIES = 50  # of a walk whose window says nothing
FRAMES = 20
NEAR_M = 0.8
SPEED_ERROR = 0.03  # of a calibrated camera's track over 2 s


@dataclass(frozen=True, slots=True)
class Conditions:
    """What walks are like, plain G1 by default; all but the last three are shares of the walks. styled: another
    generator's choices; away: from the sensor; wide: at angles up to 90 degrees; loose: a live tracker's errors added;
    drawn_speed: speeds drawn from 0.9 to 1.4 m/s in place of the person's own; slow_camera: 8 frames a second; sparse:
    6 to 23 radar points a frame; company: somebody else walks 1 m beside; high: the camera hangs 1.5 to 3 m high and
    looks down, as they do on walls."""

    styled: float = 0.0
    away: float = 0.0
    wide: float = 0.0
    loose: float = 0.0
    drawn_speed: float = 0.0
    slow_camera: float = 0.0
    sparse: float = 0.0
    company: float = 0.0
    high: float = 0.0
    angle_rad: float | None = None
    frames: int = FRAMES
    points: float = 23.0


G1 = Conditions()
TRAINING = Conditions(styled=0.7, away=0.2, wide=0.2, loose=0.5, slow_camera=0.2, sparse=0.25, high=0.4)


def generated(people: int, walks: int, seed: int, conditions: Conditions = G1, first: int = 0) -> WalkSet:
    """`people` of G1 with `walks` radar and as many camera walks each. Person k of a seed is the same whatever else is
    asked for; `first`: number of the first person."""
    rows = [_person([seed, first + k], walks, conditions) for k in range(people)]
    radar = RadarTensors(*stacked([[each[0] for each in row["radar"]] for row in rows]))
    camera = CameraTensors(*stacked([[each[0] for each in row["camera"]] for row in rows]))

    def numbers(side: str) -> F64:
        return np.array([[walk.gait.as_array() for _, walk in row[side]] for row in rows])

    def angle(side: str) -> F64:
        return np.array([[abs(abs(walk.heading_rad) - np.pi / 2) for _, walk in row[side]] for row in rows])

    return WalkSet(radar, camera, numbers("radar"), numbers("camera"), angle("radar"), angle("camera"), NUMBERS)


def radar_window(heard: Heard, radar_m: F64 | None = None) -> RadarWindow | None:
    """The window with a straight track through it; None with too few points to have one."""
    line = tracked(heard)
    if line is None:
        return None
    place, velocity = line
    return aligned(heard.times_s, heard.points, place, velocity, np.zeros(2) if radar_m is None else radar_m)


def camera_window(seen: Seen) -> CameraWindow:
    """What a camera node publishes of a window, and the calibrated height; no speed."""
    return CameraWindow(seen.times_s, gait_profiles(seen.silhouettes), seen.height_m)


def _person(seed: list[int], walks: int, conditions: Conditions) -> dict[str, list[Any]]:
    rng = np.random.default_rng(seed)
    gait = draw_gait(rng)
    done: dict[str, list[Any]] = {}
    for side, window in (("radar", _radar), ("camera", _camera)):
        done[side] = []
        for _ in range(walks):
            for _ in range(TRIES):
                walk = _walk(gait, rng, conditions)
                tensors = window(walk, rng, conditions)
                if tensors is not None:
                    break
            else:
                raise ValueError(f"no walk of {TRIES} under {conditions} says anything")
            done[side].append((tensors, walk))
    return done


def _walk(gait: Gait, rng: np.random.Generator, conditions: Conditions) -> Walk:
    style: Style = draw_style(rng) if rng.random() < conditions.styled else PLAIN
    speed = float(rng.uniform(0.9, 1.4)) if rng.random() < conditions.drawn_speed else None
    angle = float(rng.uniform(0, np.pi / 2)) if rng.random() < conditions.wide else conditions.angle_rad
    seconds = conditions.frames / 10
    return draw_path(draw_walk(gait, rng, speed), rng, seconds, angle, style, bool(rng.random() < conditions.away))


def _radar(walk: Walk, rng: np.random.Generator, conditions: Conditions) -> RadarTensors | None:
    points = float(rng.uniform(6.0, conditions.points)) if rng.random() < conditions.sparse else conditions.points
    heard = hear(walk, rng, conditions.frames, points)
    if rng.random() < conditions.company:
        other = hear(_beside(walk, rng), rng, conditions.frames, points)
        both = [np.concatenate(each) for each in zip(heard.points, other.points, strict=True)]
        heard = Heard(heard.times_s, tuple(_near(walk, heard.times_s, both)))
    line = tracked(heard)
    if line is None:
        return None
    place, velocity = line
    if rng.random() < conditions.loose:
        turn = rng.normal(0.0, 0.06)
        turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        velocity = turned @ velocity * rng.normal(1.0, 0.02)
        place = place + rng.normal(0.0, 0.06, 2)
    window = aligned(heard.times_s, heard.points, place, velocity, np.zeros(2))
    return radar_tensors(window)


def _camera(walk: Walk, rng: np.random.Generator, conditions: Conditions) -> CameraTensors | None:
    rate = 8.0 if rng.random() < conditions.slow_camera else 15.0
    other = _beside(walk, rng) if rng.random() < conditions.company else None
    mount = LEVEL
    if conditions.high and rng.random() < conditions.high:
        mount = Mount(float(rng.uniform(1.5, 3.0)), float(np.radians(rng.uniform(5.0, 30.0))))
    seen = see(walk, rng, round(conditions.frames / 10 * rate), rate, other, mount)
    speed = walk.gait.speed_m_s * float(rng.normal(1.0, SPEED_ERROR))
    return camera_tensors(camera_window(seen)._replace(speed_m_s=speed))


def _beside(walk: Walk, rng: np.random.Generator) -> Walk:
    """Somebody else, 1 m to the left or right, in the same direction."""
    side = rng.choice([-1.0, 1.0])
    away = side * np.array([-np.sin(walk.heading_rad), np.cos(walk.heading_rad)])
    place = np.array(walk.middle_m) + away
    gait = draw_walk(draw_gait(rng), rng, walk.gait.speed_m_s)
    return replace(walk, gait=gait, middle_m=(float(place[0]), float(place[1])), phase=float(rng.random()))


def _near(walk: Walk, times: F64, points: list[F32]) -> Iterator[F32]:
    """What lies within 0.8 m of where the body is: a tracker that follows it keeps no more."""
    for place, cloud in zip(walk.place_m(times), points, strict=True):
        yield cloud[np.hypot(*(cloud[:, :2] - place).T) < NEAR_M]


def tracked(heard: Heard) -> tuple[F64, F64] | None:
    """Places (T,2) and velocity (2,) of a straight line through the points, those far from it left out."""
    frame = np.repeat(np.arange(len(heard.points)), [len(points) for points in heard.points])
    cloud = np.concatenate(heard.points)[:, :2].astype(float)
    if len(cloud) < 20:
        return None
    t = heard.times_s[frame]
    used = [k for k, points in enumerate(heard.points) if len(points)]
    middles = np.array([np.median(heard.points[k][:, :2], axis=0) for k in used])
    line = np.polyfit(heard.times_s[used], middles, 1)
    for _ in range(3):
        near = np.linalg.norm(cloud - (t[:, None] * line[0] + line[1]), axis=1) < NEAR_M
        if near.sum() < 20:
            return None
        line = np.polyfit(t[near], cloud[near], 1)
    return heard.times_s[:, None] * line[0] + line[1], line[0]
