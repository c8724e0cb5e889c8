"""Gait windows: what a sensor hands over becomes the same tensors whatever its rate, and too little becomes None."""

import numpy as np
import pytest
from whowhere.models.gait.harmonics import BEATS_HZ, cadence_hz, harmonics
from whowhere.models.gait.windows import (
    FRAMES,
    PROFILE,
    CameraWindow,
    RadarWindow,
    aligned,
    camera_tensors,
    radar_tensors,
)


def cloud(count: int = 10, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack(
        (rng.normal(0, 0.2, (count, 2)), rng.uniform(0.2, 1.7, count), rng.normal(-1, 0.3, count), np.full(count, 20.0))
    )


def radar(frames: int = 20, count: int = 10, speed: float = 1.2, period: float = 0.1) -> RadarWindow:
    times = 1000.0 + np.arange(frames, dtype=np.float64) * period
    return RadarWindow(
        times, [cloud(count, k) for k in range(frames)], np.full(frames, 4.0), np.full(frames, np.pi), speed
    )


def camera(frames: int = 30, rate: float = 15.0, speed: float = float("nan")) -> CameraWindow:
    times = 50.0 + np.arange(frames) / rate
    profiles = np.full((frames, PROFILE), 0.1, np.float32)
    profiles[:, 0] = np.sin(2 * np.pi * times)
    return CameraWindow(times, profiles, 1.75, speed)


def test_a_radar_window_fills_the_grid_and_loses_the_tracks_own_speed():
    tensors = radar_tensors(radar())
    assert tensors is not None
    assert tensors.points.shape == (1, FRAMES, 32, 4)
    assert tensors.mask.sum() == 200
    moved = tensors.points[..., 3][tensors.mask > 0]
    assert moved.mean() == pytest.approx(0.2, abs=0.1)  # -1 m/s where the track makes -1.2
    assert tensors.frames[0, :, 0] == pytest.approx(-1.0)


@pytest.mark.parametrize(
    "window",
    [
        radar(count=2),
        radar(speed=0.1),
        radar(speed=float("nan")),
        radar(frames=8),
        radar(frames=0),
        radar()._replace(points=[np.full((5, 5), np.nan)] * 20),
        radar()._replace(range_m=np.full(20, np.nan)),
    ],
    ids=["2 points a frame", "standing", "no speed", "0.7 s", "empty", "not finite", "no range"],
)
def test_a_radar_window_that_says_too_little_is_none(window: RadarWindow):
    assert radar_tensors(window) is None


def test_three_points_a_frame_are_just_enough_and_sixty_are_thinned():
    few, many = radar_tensors(radar(count=3)), radar_tensors(radar(count=60))
    assert few is not None
    assert many is not None
    assert many.mask.sum() == FRAMES * 32
    assert many.frames[0, 0, 3] == pytest.approx(3.0)


def test_a_slow_radar_leaves_gaps_and_a_short_window_its_beginning():
    slow, short = radar_tensors(radar(frames=15, period=0.15)), radar_tensors(radar(frames=12))
    assert slow is not None
    assert short is not None
    assert short.mask[0, :8].sum() == 0
    assert short.mask[0, 8:].sum() == 120


def test_a_camera_window_is_interpolated_to_ten_a_second():
    for frames, rate in ((30, 15.0), (20, 10.0), (14, 7.0)):
        window = camera(frames, rate)
        tensors = camera_tensors(window)
        assert tensors is not None
        grid = window.times_s[-1] - np.arange(FRAMES - 1, -1, -1) / 10
        seen = tensors.seen[0] > 0
        assert seen.sum() >= 19
        assert tensors.profiles[0, 1:, 0] == pytest.approx(np.sin(2 * np.pi * grid)[1:], abs=0.15)
    assert tensors.told[0, 1] == 1
    assert tensors.told[0, 3] == 0


def test_a_camera_window_that_says_too_little_is_none():
    empty = camera()
    empty.profiles[:20] = 0
    assert camera_tensors(empty) is None
    assert camera_tensors(camera(frames=6)) is None
    assert camera_tensors(camera(speed=0.05)) is None
    assert camera_tensors(camera()._replace(profiles=np.full((30, PROFILE), np.nan, np.float32))) is None
    some = camera()
    some.profiles[10:14] = 0
    tensors = camera_tensors(some)
    assert tensors is not None
    assert np.isfinite(tensors.profiles).all()


def test_aligned_turns_points_into_the_tracks_frame():
    place = np.array([[0.0, 4.0]])
    points = np.array([[0.0, 3.5, 1.0, -1.0, 20.0], [3.0, 4.0, 1.0, 0.0, 20.0]])
    window = aligned(np.array([0.0]), [points], place, np.array([0.0, -1.2]), np.zeros(2))
    assert len(window.points[0]) == 1  # the other one is 3 m away
    assert window.points[0][0, :2] == pytest.approx([0.5, 0.0])
    assert abs(window.bearing_rad[0]) == pytest.approx(np.pi)
    assert (window.range_m[0], window.speed_m_s) == pytest.approx((4.0, 1.2))


def test_two_beats_tell_the_cadence_where_a_spectrum_cannot():
    t = np.arange(FRAMES) / 10
    rng = np.random.default_rng(0)
    true = np.array([1.55, 1.8, 2.2])
    series = np.stack(
        [[np.cos(np.pi * f * t + 1) + 0.5 * np.sin(2 * np.pi * f * t), 0.3 * np.cos(2 * np.pi * f * t)] for f in true]
    )
    found, share = cadence_hz(series + 0.05 * rng.normal(size=series.shape) + 3 * t)
    assert found == pytest.approx(true, abs=0.05)
    assert share.min() > 0.9
    _, waves = harmonics()
    assert waves.shape == (len(BEATS_HZ), FRAMES, 4)
    assert np.einsum("ftk,ftl->fkl", waves, waves) == pytest.approx(np.broadcast_to(np.eye(4), (len(BEATS_HZ), 4, 4)))
