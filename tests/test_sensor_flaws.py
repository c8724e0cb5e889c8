"""What real sensors do to fusion, each as a small case: seen first in the recordings (docs/results)."""

import numpy as np
from whowhere.fusion.detections import CameraView
from whowhere.fusion.geometry import floor_map, project
from whowhere.fusion.radar_view import RadarView
from whowhere.fusion.reorder import Reorder
from whowhere.fusion.tracks import Tracker
from whowhere.messages import CameraFrame, RadarFrame
from whowhere.sitefile import Area, Camera, Fusion, Pinhole, Pose, Radar

AREA = Area(x_m=(-5, 5), y_m=(0, 10))
POSE = Pose(position_m=(0.0, 0.0, 1.7), yaw_deg=90.0, tilt_deg=5.0, roll_deg=2.0)
PINHOLE = Pinhole(
    image_size=(640, 480),
    focal_px=(450, 455),
    centre_px=(318, 243),
    distortion=(-0.3, 0.09, 0.001, -0.002, 0),
    pose=POSE,
)
SECOND_NS = 1_000_000_000


def radar_frame(t_s: float, x: float, y: float, doppler: float) -> RadarFrame:
    near = np.array([(0, 0, 0), (0.1, 0.05, 0.2), (-0.1, 0, -0.2), (0.05, -0.05, 0.4)])
    points = np.column_stack((near + np.array((x, y, 0)), np.full(len(near), doppler), np.zeros(len(near))))
    return RadarFrame(source="r1", t_ns=round(t_s * SECOND_NS), points=points.astype(np.float32), frame_number=1)


def box_of(x: float, y: float, low_m: float, high_m: float) -> list[float]:
    """A box around somebody at (x, y) from that height to that, as the detector's: 8 % of it below the feet."""
    (u, bottom), (_, top) = project(PINHOLE, np.array([(x, y, low_m), (x, y, high_m)]))
    height = (bottom - top) / 0.92
    return [u - 0.2 * height, top, 0.4 * height, height]


def camera_frame(t_s: float, *boxes: list[float]) -> CameraFrame:
    return CameraFrame(
        source="c1",
        t_ns=round(t_s * SECOND_NS),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.ones(len(boxes), np.float32),
        image_size=(640, 480),
    )


def test_a_camera_slower_than_the_radar_that_began_alone_is_waited_for() -> None:
    """Or else each of its frames is too late, for ever: nothing else tells the buffer that there is a camera."""
    reorder = Reorder(Fusion())
    order = []
    for step in range(100):
        reorder.push(radar_frame(1 + step * 0.04, 0, 3, 1.0))
        if step % 5 == 4:
            reorder.push(camera_frame(1 + step * 0.04 - 0.15))
        order += [(message.t_ns, message.source) for message in reorder.released()]
    assert reorder.counters["too_late:c1"] <= 2
    assert reorder.counters["used:c1"] >= 18
    assert order == sorted(order)


def test_a_source_that_is_hopelessly_late_holds_nobody_up() -> None:
    reorder = Reorder(Fusion())
    for step in range(100):
        reorder.push(radar_frame(10 + step * 0.04, 0, 3, 1.0))
        if step > 5:
            reorder.push(camera_frame(10 + step * 0.04 - 3.0))
        assert sum(1 for _ in reorder.released()) == 1
    assert reorder.counters["too_late:c1"] == 94


def test_a_wall_never_becomes_a_body_and_somebody_who_stops_stays_one() -> None:
    view = RadarView(Radar(id="r1", cli_port="x", data_port="x", pose=POSE), AREA)
    tracker = Tracker()
    for step in range(100):
        tracker.update(view.detections(radar_frame(1 + step * 0.1, 2, 4, 0.0)))
    assert not tracker.confirmed.any()
    for step in range(200):
        moves = step < 20
        tracker.update(view.detections(radar_frame(12 + step * 0.1, 0, 3 + 0.1 * min(step, 20), float(moves))))
    assert tracker.confirmed.sum() == 1
    assert np.allclose(tracker.mean[0, :2], (0, 5.1), atol=0.15)


def test_a_box_around_the_upper_half_is_no_second_body() -> None:
    view = CameraView(Camera(id="c1", source="0", calibration=PINHOLE), AREA)
    tracker = Tracker()
    for step in range(60):
        low_m = 0.55 if step % 5 == 4 else 0.0  # dark trousers
        tracker.update(view.detections(camera_frame(1 + step * 0.2, box_of(1.0, 4.0, low_m, 1.75))))
    assert len(tracker.number) == 1
    assert np.allclose(tracker.mean[0, :2], (1, 4), atol=0.4)


def test_what_is_projected_is_found_again_on_the_floor() -> None:
    places = np.array([(x, y, 0.0) for x in (-2.0, 0.0, 2.0) for y in (3.0, 5.0, 9.0)])
    assert np.allclose(floor_map(PINHOLE)(project(PINHOLE, places)), places[:, :2], atol=0.01)
    assert np.isnan(project(PINHOLE, np.array([(0.0, -1.0, 1.0)]))).all()
