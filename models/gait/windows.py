"""Two seconds of a walk as the sensors hand them over, and the tensors that the gait networks take.

A window is put on a grid of 20 frames at 10 Hz, whatever the sensor's rate; a radar window's points lie in a frame that
goes with the track, so that a network sees limbs, not the room. What is too little to say anything is refused here.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

FRAMES, RATE_HZ, POINTS = 20, 10.0, 32
PROFILE = 64  # numbers of "gait-profile:1" (drivers/camera/gait.py); all zeros: no body in the frame
PROFILE_HEIGHT = 60  # which of them is the outline's share of the crop: 0 where there is none
GATE_M = 0.8  # points farther than this from the track are somebody else's
LEAST_POINTS, SPARSE_MOST = 3, 0.5  # frames with fewer points, and the share of them that is too many
STANDING_M_S = 0.2
LEAST_S = 1.0
SLACK_S = 0.06  # a frame counts for a place on the grid this far from it, radar


class CameraWindow(NamedTuple):
    """What a camera saw of one body. times_s (T,); profiles (T,64) "gait-profile:1"; height_m: the body's height as a
    calibrated camera measures it, speed_m_s: of its track; NaN where not known."""

    times_s: F64
    profiles: F32
    height_m: float = float("nan")
    speed_m_s: float = float("nan")


class RadarWindow(NamedTuple):
    """What a radar saw of one body. times_s (T,); points: T arrays (n,5) of x ahead and y left of the track's place in
    the direction it walks, z above the floor (m), doppler m/s (positive: receding), snr dB; range_m (T,): of the track;
    bearing_rad (T,): from the line of sight, outwards, to the direction it walks, counter-clockwise (pi: towards the
    radar); speed_m_s: of the track."""

    times_s: F64
    points: Sequence[NDArray[np.floating]]
    range_m: F64
    bearing_rad: F64
    speed_m_s: float


class Camera(Protocol):
    """Anything with a CameraWindow's fields: the engine may hand in its own."""

    @property
    def times_s(self) -> F64: ...
    @property
    def profiles(self) -> NDArray[np.floating]: ...
    @property
    def height_m(self) -> float: ...
    @property
    def speed_m_s(self) -> float: ...


class Radar(Protocol):
    """Anything with a RadarWindow's fields."""

    @property
    def times_s(self) -> F64: ...
    @property
    def points(self) -> Sequence[NDArray[np.floating]]: ...
    @property
    def range_m(self) -> F64: ...
    @property
    def bearing_rad(self) -> F64: ...
    @property
    def speed_m_s(self) -> float: ...


class CameraTensors(NamedTuple):
    """profiles (B,20,64), seen (B,20) 0 or 1, told (B,4): height and speed, scaled, each followed by whether known."""

    profiles: F32
    seen: F32
    told: F32


class RadarTensors(NamedTuple):
    """points (B,20,32,4): ahead, left, height, doppler without the track's; mask (B,20,32) 0 or 1; frames (B,20,4):
    cosine and sine of the bearing, range, number of points; speed (B,1). Scaled."""

    points: F32
    mask: F32
    frames: F32
    speed: F32


def aligned(
    times_s: F64, points: Sequence[NDArray[np.floating]], place_m: F64, velocity_m_s: F64, radar_m: F64
) -> RadarWindow:
    """A RadarWindow from points (n,5) in floor coordinates (x, y, z m, doppler, snr), the track's places (T,2) and its
    velocity (2,), and where the radar stands (2,). Points 0.8 m and more from the track are left out."""
    speed = float(np.hypot(*velocity_m_s))
    heading = float(np.arctan2(velocity_m_s[1], velocity_m_s[0]))
    ahead, left = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    sight = place_m - radar_m
    bearing = (heading - np.arctan2(sight[:, 1], sight[:, 0]) + np.pi) % (2 * np.pi) - np.pi
    done = []
    for cloud, place in zip(points, place_m, strict=True):
        off = cloud[:, :2] - place
        near = np.hypot(off[:, 0], off[:, 1]) < GATE_M
        done.append(np.column_stack((off @ ahead, off @ left, cloud[:, 2:]))[near])
    return RadarWindow(times_s, done, np.hypot(sight[:, 0], sight[:, 1]), bearing, speed)


def radar_tensors(window: Radar) -> RadarTensors | None:
    """The last 2 s of a window as tensors with B = 1; None: standing, shorter than 1 s, or fewer than 3 points in more
    than half of its frames. Values that are not finite count as missing points."""
    times = np.asarray(window.times_s, float)
    if not _is_long_enough(times) or not STANDING_M_S <= window.speed_m_s < np.inf:
        return None
    cells = _cells(times)
    out = np.zeros((1, FRAMES, POINTS, 4), np.float32)
    mask, frames = np.zeros((1, FRAMES, POINTS), np.float32), np.zeros((1, FRAMES, 4), np.float32)
    radial = window.speed_m_s * np.cos(window.bearing_rad)
    frames[0, :, 0] = np.interp(_grid(times), times, np.cos(window.bearing_rad))
    frames[0, :, 1] = np.interp(_grid(times), times, np.sin(window.bearing_rad))
    frames[0, :, 2] = np.interp(_grid(times), times, window.range_m) / 5
    counts = np.zeros(FRAMES, int)
    for k, cell in cells.items():
        cloud = np.asarray(window.points[k], np.float32)
        cloud = cloud[np.isfinite(cloud[:, :4]).all(axis=1)]
        counts[cell] = len(cloud)
        if len(cloud) > POINTS:
            cloud = cloud[np.linspace(0, len(cloud) - 1, POINTS).astype(int)]
        n = len(cloud)
        out[0, cell, :n, :2] = np.clip(cloud[:, :2], -1, 1) * 2
        out[0, cell, :n, 2] = np.clip(cloud[:, 2] - 0.9, -1.5, 1.5)
        out[0, cell, :n, 3] = np.clip(cloud[:, 3] - radial[k], -4, 4)
        mask[0, cell, :n] = 1
    within = np.arange(FRAMES) >= FRAMES - 1 - round((times[-1] - times[0]) * RATE_HZ)
    if (counts[within] < LEAST_POINTS).mean() > SPARSE_MOST or not np.isfinite(frames).all():
        return None
    frames[0, :, 3] = np.minimum(counts, 64) / 20
    return RadarTensors(out, mask, frames, np.array([[window.speed_m_s - 1.2]], np.float32))


def camera_tensors(window: Camera) -> CameraTensors | None:
    """The last 2 s of a window as tensors with B = 1; None: standing (where its speed is known), shorter than 1 s, or
    no outline in more than half of its frames."""
    times, profiles = np.asarray(window.times_s, float), np.asarray(window.profiles, np.float32)
    if not _is_long_enough(times) or window.speed_m_s < STANDING_M_S:
        return None
    has = np.isfinite(profiles).all(axis=1) & (profiles[:, PROFILE_HEIGHT] > 0)
    grid = _grid(times)
    lately = times >= grid[0] - 1e-6
    if has[lately].mean() <= 1 - SPARSE_MOST or has.sum() < 5:
        return None
    good, kept = times[has], profiles[has]
    after = np.clip(np.searchsorted(good, grid), 1, len(good) - 1)
    gap = good[after] - good[after - 1]
    share = np.clip((grid - good[after - 1]) / np.maximum(gap, 1e-9), 0, 1)[:, None].astype(np.float32)
    mixed = kept[after - 1] * (1 - share) + kept[after] * share
    seen = ((gap <= 0.35) & (grid >= good[0] - 0.05) & (grid <= good[-1] + 0.05)).astype(np.float32)
    told = np.zeros((1, 4), np.float32)
    for k, (value, middle, spread) in enumerate(((window.height_m, 1.7, 0.09), (window.speed_m_s, 1.2, 0.2))):
        if np.isfinite(value):
            told[0, 2 * k : 2 * k + 2] = np.clip((value - middle) / spread, -4, 4), 1
    return CameraTensors((np.clip(mixed, -2, 2) * seen[:, None])[None], seen[None], told)


def _is_long_enough(times: F64) -> bool:
    return len(times) >= 5 and bool(np.isfinite(times).all()) and times[-1] - times[0] >= LEAST_S


def _grid(times: F64) -> F64:
    """(20,) the instants of the grid: the last is the window's last frame."""
    return times[-1] + (np.arange(FRAMES) - FRAMES + 1) / RATE_HZ


def _cells(times: F64) -> dict[int, int]:
    """By frame of the window that counts: its place on the grid. One frame a place, the nearest."""
    places = np.rint((times - times[-1]) * RATE_HZ).astype(int) + FRAMES - 1
    off = np.abs(times - times[-1] - (places - FRAMES + 1) / RATE_HZ)
    best: dict[int, int] = {}
    for k in np.argsort(off, kind="stable")[::-1]:
        if 0 <= places[k] < FRAMES and off[k] <= SLACK_S:
            best[int(places[k])] = int(k)
    return {k: place for place, k in best.items()}
