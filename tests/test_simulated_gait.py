"""Generated walkers: the body keeps its measures, the sensors' windows look as G1 says, the same seed the same walk."""

import numpy as np
import pytest
from whowhere.drivers.camera.gait import AREA, BANDS, FILLED, HEIGHT, LEFT, RIGHT, gait_profile, gait_profiles
from whowhere.drivers.simulated.gait import (
    JOINTS,
    NUMBERS,
    PLAIN,
    ROW,
    SPEED_RANGE_M_S,
    draw_gait,
    draw_style,
    draw_walk,
    joints,
    placed,
)
from whowhere.drivers.simulated.gait_camera import see
from whowhere.drivers.simulated.gait_radar import MOST_POINTS, hear
from whowhere.drivers.simulated.gait_walk import draw_path


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(1)
    return [draw_gait(rng) for _ in range(400)]


def test_people_are_drawn_as_g1_says(people):
    table = dict(zip(NUMBERS, np.array([each.as_array() for each in people]).T, strict=True))
    assert table["height_m"].min() >= 1.52
    assert table["height_m"].max() <= 1.87
    assert table["leg_ratio"].mean() == pytest.approx(0.49, abs=0.003)
    assert (table["step_m"] / table["height_m"]).mean() == pytest.approx(0.41, abs=0.005)
    assert (table["step_m"] / table["height_m"]).std() == pytest.approx(0.0205, rel=0.15)
    assert table["cadence_per_min"].std() == pytest.approx(8.0, rel=0.15)
    assert np.degrees(table["swing_rad"]).mean() == pytest.approx(25.0, abs=1.5)
    assert abs(table["asymmetry"]).max() <= 0.06


def test_walks_of_a_person_differ_by_three_per_cent_and_keep_the_bones(people):
    rng = np.random.default_rng(2)
    walks = [draw_walk(people[0], rng) for _ in range(300)]
    assert {walk.height_m for walk in walks} == {people[0].height_m}
    assert np.std([walk.swing_rad for walk in walks]) / people[0].swing_rad == pytest.approx(0.03, rel=0.2)
    low, high = SPEED_RANGE_M_S
    assert all(low - 1e-9 <= walk.speed_m_s <= high + 1e-9 for walk in walks)
    assert draw_walk(people[0], rng, speed_m_s=1.0).speed_m_s == pytest.approx(1.0)


@pytest.mark.parametrize("styled", [False, True])
def test_bones_keep_their_length_and_feet_stay_near_the_floor(people, styled: bool):
    style = draw_style(np.random.default_rng(3)) if styled else PLAIN
    phase = np.linspace(0, 1, 60, endpoint=False)
    for gait in people[:5]:
        body = joints(gait, phase, 1.0, style)
        assert body.shape == (60, len(JOINTS), 3)
        for a, b in (("left hip", "left knee"), ("right knee", "right ankle"), ("left shoulder", "left elbow")):
            assert np.ptp(np.linalg.norm(body[:, ROW[a]] - body[:, ROW[b]], axis=1)) < 1e-9
        lowest = body[:, [ROW["left foot"], ROW["right foot"]], 2].min(axis=1)
        assert lowest.min() > -0.08
        assert lowest.max() < 0.2  # in double support: bounce is G1's, not the legs' own
        assert body[:, ROW["head"], 2].mean() == pytest.approx(0.935 * gait.height_m, abs=0.02)
        reach = abs(body[:, ROW["left ankle"], 0] - body[:, ROW["right ankle"], 0]).max()
        assert reach == pytest.approx(gait.step_m, rel=0.4 if styled else 0.25)


def test_who_stands_does_not_swing_and_placing_turns_left(people):
    still = joints(people[0], np.linspace(0, 1, 8), 0.0)
    assert np.ptp(still, axis=0).max() < 1e-9
    there = placed(still[:1], np.array([[2.0, 3.0]]), np.array([np.pi / 2]))[0]
    assert there[ROW["left shoulder"], 0] < 2.0 < there[ROW["right shoulder"], 0]
    assert there[ROW["left foot"], 1] > there[ROW["left ankle"], 1]


def test_radar_points_lie_around_the_body_and_know_its_speed(people):
    rng = np.random.default_rng(4)
    walks = [draw_path(draw_walk(gait, rng), rng, angle_rad=0.2) for gait in people[:40]]
    windows = [hear(walk, rng) for walk in walks]
    counts = np.array([len(frame) for window in windows for frame in window.points])
    assert counts.max() <= MOST_POINTS
    assert counts.mean() == pytest.approx(23 * (1 - 0.2 * 0.6), rel=0.05)
    near, doppler = [], []
    for walk, window in zip(walks, windows, strict=True):
        for t, points in zip(window.times_s, window.points, strict=True):
            off = np.hypot(*(points[:, :2] - walk.place_m(np.array(t))).T)
            near.append(off < 0.7)
            doppler.append(points[off < 0.7, 3].mean() + walk.gait.speed_m_s)
            assert points[off < 0.7, 2].max(initial=1.0) < walk.gait.height_m + 1.2
    assert np.concatenate(near).mean() > 0.85
    assert np.nanmedian(np.array(doppler)) == pytest.approx(0.0, abs=0.15)


def test_the_camera_measures_height_to_a_few_per_cent(people):
    rng = np.random.default_rng(5)
    walks = [draw_path(draw_walk(gait, rng), rng) for gait in people[:30]]
    ratio = [see(walk, rng).height_m / walk.gait.height_m for walk in walks]
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.03)
    assert 0.01 < np.std(ratio) < 0.05


def test_a_seed_is_a_walk(people):
    done = []
    for _ in range(2):
        rng = np.random.default_rng(6)
        walk = draw_path(people[0], rng)
        done.append((see(walk, rng).silhouettes.tobytes(), [p.tobytes() for p in hear(walk, rng).points]))
    assert done[0] == done[1]


def test_a_profile_is_the_outline_whatever_its_size_and_place():
    body = np.zeros((64, 64), bool)
    body[4:60, 24:40] = True
    small = np.zeros((64, 64), bool)
    small[10:38, 30:38] = True
    a, b = gait_profiles(np.stack([body, small]))
    for part in (LEFT, RIGHT, FILLED):
        assert a[part] == pytest.approx(b[part], abs=1e-6)
    assert a[LEFT] == pytest.approx(np.full(BANDS, -8 / 56))
    assert a[AREA] == pytest.approx(16 / 56)
    assert (a[HEIGHT], b[HEIGHT]) == pytest.approx((56 / 64, 28 / 64))


def test_a_profile_of_nobody_is_zero_and_of_another_size_refused():
    assert not gait_profile(np.zeros((64, 64), bool)).any()
    speck = np.zeros((64, 64), bool)
    speck[30:35, 30:35] = True
    assert not gait_profile(speck).any()
    with pytest.raises(ValueError, match="64x64"):
        gait_profile(np.zeros((32, 64), bool))
    full = gait_profile(np.ones((64, 64), bool))
    assert np.isfinite(full).all()


def test_profiles_tell_the_cadence(people):
    rng = np.random.default_rng(7)
    errors = []
    for gait in people[:12]:
        walk = draw_path(gait, rng, seconds=4.0, angle_rad=1.0)
        profiles = gait_profiles(see(walk, rng, frames=60).silhouettes)
        legs = (profiles[:, RIGHT] - profiles[:, LEFT])[:, 14:].mean(axis=1)
        hertz = np.fft.rfftfreq(600, 1 / 15)
        power = abs(np.fft.rfft((legs - legs.mean()) * np.hanning(60), 600))
        band = (hertz > 1.2) & (hertz < 2.6)
        errors.append(60 * hertz[band][power[band].argmax()] - gait.cadence_per_min)
    assert np.median(np.abs(errors)) < 6


def test_somebody_else_beside_is_left_out_of_the_profile():
    body = np.zeros((64, 64), bool)
    body[4:60, 26:38] = True
    both = body.copy()
    both[10:64, 50:60] = True
    assert gait_profile(both) == pytest.approx(gait_profile(body))
