"""What radars tell of bodies: how fast they recede, and whose points are whose where people walk close together."""

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.fusion import doppler
from whowhere.fusion.detections import NOBODY, Expected
from whowhere.fusion.kalman import begin, update_speed
from whowhere.fusion.radar_view import RadarView, shared_out
from whowhere.fusion.tracks import Tracker
from whowhere.messages import RadarFrame
from whowhere.sitefile import Area, Pose, Radar

AREA = Area(x_m=(-5, 5), y_m=(0, 10))
RADAR = Radar(id="r1", cli_port="x", data_port="x", pose=Pose(position_m=(0.0, 0.0, 1.0), yaw_deg=90.0))  # along y
POINTS = 12
CLOSEST_M = 0.3
ARM_M_S = 2.2
Walker = tuple[float, float, float, float]  # x, y m and vx, vy m/s


def frame(t_s: float, walkers: list[Walker], rng: np.random.Generator) -> RadarFrame:
    """A dozen points a walker, scattered and as unlike in speed as limbs are."""
    clouds = []
    for x, y, vx, vy in walkers:
        place = np.array([x, y, 0.0]) + rng.normal(0, 0.12, (POINTS, 3))
        towards = place / np.linalg.norm(place, axis=1, keepdims=True)
        speed = towards @ np.array([vx, vy, 0.0]) + rng.normal(0, 0.2, POINTS)
        speed[0] = ARM_M_S
        clouds.append(np.column_stack((place, speed, np.full(POINTS, 20.0))))
    points = np.concatenate(clouds).astype("f4")
    return RadarFrame(source="r1", t_ns=round(t_s * 1e9), points=points, frame_number=round(t_s * 10))


def keep_their_numbers(seed: int, with_dopplers: bool) -> bool:
    """Whether two people who meet, 0.3 m from each other, and turn back as they came end with the numbers they had."""
    rng, view, tracker = np.random.default_rng(seed), RadarView(RADAR, AREA), Tracker()
    sides: list[dict[int, bool]] = []
    for step in range(60):
        since_s = (step - 30) / 10
        apart = float(np.hypot(CLOSEST_M, since_s))
        near, far = ((side * 0.15, 4.5 + side * apart, 0.0, side * since_s / apart) for side in (-1, 1))
        seen = frame(1 + step / 10, [near, far], rng)
        detections = view.detections(seen, tracker.expected("r1", seen.t_ns) if with_dopplers else NOBODY)
        tracker.update(detections if with_dopplers else replace(detections, receding=None))
        rows = np.flatnonzero(tracker.confirmed)
        sides.append({int(tracker.number[row]): bool(tracker.mean[row, 1] > 4.5) for row in rows})
    return len(sides[-1]) == 2 and all(sides[-1].get(number) is far for number, far in sides[15].items())


def test_two_people_who_meet_and_turn_back_are_told_apart_by_their_dopplers() -> None:
    kept, without = ([keep_their_numbers(seed, told) for seed in range(10)] for told in (True, False))
    assert sum(kept) >= 8
    assert sum(without) <= 2  # who turns back looks just like who walks on


def test_a_doppler_says_where_somebody_just_found_is_heading() -> None:
    rng, tracker = np.random.default_rng(1), Tracker()
    tracker.update(RadarView(RADAR, AREA).detections(frame(1.0, [(0.0, 4.0, 0.0, -1.2)], rng)))
    assert tracker.mean[0, 3] == pytest.approx(-1.1, abs=0.15)  # a little is left to what is usual
    assert tracker.covariance[0, 3, 3] < 0.1 < tracker.covariance[0, 2, 2]  # of the walk across it knows nothing


def test_a_speed_that_no_body_could_have_teaches_nothing() -> None:
    mean, covariance = begin(np.array([[0.0, 4.0]]), np.array([0.03 * np.eye(2)]))
    mean[0, 2:], covariance[0, 2:, 2:] = (0.0, 1.0), 0.02 * np.eye(2)
    sight = np.array([[0.0, 1.0]])
    row = np.array([0])
    fast, spread = doppler.learn(mean, covariance, (sight, np.array([-2.5])), row)
    assert np.array_equal(fast, mean)
    assert np.array_equal(spread, covariance)
    assert doppler.learn(mean, covariance, (sight, np.array([0.7])), row)[0][0, 3] < 1.0


@pytest.mark.parametrize(("largest_m_s", "is_heard"), [(1.0, False), (2.0, True)])
def test_a_radar_that_folds_speeds_back_is_not_believed(largest_m_s: float, is_heard: bool) -> None:
    rng, view, tracker = np.random.default_rng(4), RadarView(RADAR, AREA), Tracker()
    for step in range(30):
        seen = frame(1 + step / 10, [(0.0, 2 + 0.13 * step, 0.0, 1.3)], rng)
        seen.points[:, 3] = (seen.points[:, 3] + largest_m_s) % (2 * largest_m_s) - largest_m_s  # 1.3 shows as -0.7
        seen.points[0, 3] = 3e38 if step == 5 else seen.points[0, 3]  # a corrupt frame shows nothing
        tracker.update(view.detections(seen))
    assert tracker.number.tolist() == [1]
    assert tracker.expected("r1", tracker.t_ns).by_speed == is_heard
    assert tracker.mean[0, 3] == pytest.approx(1.3, abs=0.25)
    again = Tracker.from_state(tracker.state())
    again.update(replace(view.detections(frame(4.0, [(0.0, 5.9, 0.0, 1.3)], rng)), fastest=0.0))
    assert (again.covariance[0, 3, 3] < 0.03) == is_heard  # who is heard once is known to be telling


def test_a_speed_is_one_more_coordinate_of_a_measurement() -> None:
    rng = np.random.default_rng(3)
    root = rng.normal(size=(5, 4, 4))
    mean, covariance = rng.normal(size=(5, 4)), root @ root.transpose(0, 2, 1) + 0.1 * np.eye(4)
    sight, speed, noise = rng.normal(size=(5, 2)), rng.normal(size=5), rng.uniform(0.05, 0.5, 5)
    after, spread = update_speed(mean, covariance, sight, speed, noise)
    for row in range(5):
        seen_by = np.array([0.0, 0.0, *sight[row]])
        information = np.linalg.inv(covariance[row]) + np.outer(seen_by, seen_by) / noise[row]
        vector = np.linalg.inv(covariance[row]) @ mean[row] + seen_by * speed[row] / noise[row]
        assert spread[row] == pytest.approx(np.linalg.inv(information))
        assert after[row] == pytest.approx(np.linalg.solve(information, vector))


def test_a_group_is_shared_out_among_those_who_are_expected_in_it() -> None:
    where = np.array([[0.0, 4.0], [0.1, 4.0], [0.3, 4.0], [0.4, 4.0], [3.0, 6.0]])
    speed, sight = np.array([1.0, 1.1, -0.9, -1.0, 0.0]), np.tile([0.0, 1.0], (5, 1))
    labels = np.array([0, 0, 0, 0, 1])
    mean = np.array([[0.2, 4.0, 0.0, 1.0], [0.2, 4.0, 0.0, -1.0], [3.0, 6.0, 0.0, 0.0]])
    expected = Expected(mean, np.tile(0.05 * np.eye(4), (3, 1, 1)), by_speed=True)
    assert shared_out(labels, where, sight, speed, expected).tolist() == [0, 0, 2, 2, 1]
    assert shared_out(labels, where, sight, speed, NOBODY).tolist() == labels.tolist()
    assert labels.tolist() == [0, 0, 0, 0, 1]  # not changed in place
    mean[:2, 0] = 0.4, 0.0
    assert shared_out(labels, where, sight, speed, replace(expected, by_speed=False)).tolist() == [2, 2, 0, 0, 1]


def test_bodies_that_may_be_one_person_share_nothing() -> None:
    rng, view, tracker = np.random.default_rng(5), RadarView(RADAR, AREA), Tracker()
    for step in range(30):
        tracker.update(view.detections(frame(1 + step / 10, [(0.0, 3 + step / 20, 0.0, 0.5)], rng)))
    assert len(tracker.expected("r1", tracker.t_ns)) == 1
    twin = Tracker.from_state(tracker.state())
    twin.append(tracker)
    twin.number = np.array([1, 2])
    twin.update(view.detections(frame(4.0, [(0.0, 4.5, 0.0, 0.5)], rng), twin.expected("r1", 4_000_000_000)))
    assert len(twin.expected("r1", twin.t_ns)) == 0


def test_firmware_targets_tell_how_fast_they_recede() -> None:
    targets = np.zeros((1, 9), "f4")
    targets[0, 1:7] = 0.0, 4.0, 0.0, 0.3, -1.0, 0.0
    seen = RadarFrame(source="r1", t_ns=1, points=np.zeros((0, 5), "f4"), frame_number=1, targets=targets)
    sight, speed = RadarView(RADAR, AREA).detections(seen).receding or (None, None)
    assert sight == pytest.approx(np.array([[0.0, 1.0]]))
    assert speed == pytest.approx([-1.0])


@pytest.mark.filterwarnings("error")
def test_absurd_speeds_and_a_target_inside_the_radar_do_no_harm() -> None:
    rng, view, tracker = np.random.default_rng(9), RadarView(RADAR, AREA), Tracker()
    for step in range(60):
        seen = frame(1 + step / 10, [(-0.2, 4.0, 0.0, 0.5), (0.2, 4.0, 0.0, -0.5)], rng)
        if step > 20:
            seen.points[:, 3] = (0.0, 3e38, -3e38, 50.0)[step % 4]
        targets = np.array([[1, 0, 0, 0, 3e38, 3e38, 0, 1, 1.7], [2, 0, 4, 0, -3e38, 3e38, 3e38, 1, 1.7]], "f4")
        tracked = replace(seen, t_ns=seen.t_ns + 1, targets=targets)
        for each in (seen, tracked):
            tracker.update(view.detections(each, tracker.expected("r1", each.t_ns)))
        assert np.isfinite(tracker.mean).all()
        assert (np.linalg.eigvalsh(tracker.covariance) > 0).all()


@pytest.mark.parametrize(("probability", "sightings"), [(0.99, 2), (0.9, 4)])
def test_who_comes_back_is_believed_sooner(probability: float, sightings: int) -> None:
    rng, view, tracker = np.random.default_rng(7), RadarView(RADAR, AREA), Tracker()
    needed = 0
    while not tracker.confirmed.any():
        needed += 1
        seen = view.detections(frame(1 + needed / 10, [(0.0, 4.0, 0.0, 0.0)], rng))
        tracker.update(replace(seen, weight=np.ones(len(seen))), again=lambda _: probability)
    assert needed == sightings
