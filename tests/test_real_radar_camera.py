"""A real radar and a real camera as one site: calibrated, fused, recorded and replayed. docs/results/radar_camera.md
has the figures; the floors here leave room below them."""

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import recorded_room
from whowhere.drivers.simulated.streams import EPOCH_NS, streams
from whowhere.fusion.alignment import Walk, align, walks
from whowhere.fusion.geometry import project
from whowhere.launch.calibration import read_lens
from whowhere.launch.cli import main
from whowhere.launch.commands.demo import SITE
from whowhere.launch.errors import LaunchError
from whowhere.launch.site_files import load_site
from whowhere.messages import CameraFrame, RadarFrame
from whowhere.nodes.session import Session
from whowhere.sitefile import Camera, Detector, Pinhole, Pose

there = pytest.mark.skipif(not recorded_room.DATA.is_dir(), reason=f"the recording in {recorded_room.DATA} is not here")
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Session, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("room")
    _, session, figures = recorded_room.in_turn(folder)
    return folder, session, figures


@there
def test_recorded_points_arrive_through_uart_bytes_as_they_were() -> None:
    frames = [message for _, message in recorded_room.radar(recorded_room.site())]
    with (recorded_room.DATA / "pointcloud.jsonl").open() as lines:
        recorded = {row["frame"] + 1: row for row in map(json.loads, lines)}
    assert len(frames) >= 399  # the first holds bytes that were no numbers
    for frame in frames[1:]:
        assert isinstance(frame, RadarFrame)
        row = recorded[frame.frame_number]
        assert np.array_equal(frame.points[:, :4], np.array(row["pts"], np.float32).reshape(-1, 4))
        assert abs(frame.t_ns - row["t"] * 1e9) < 10_000_000


@there
def test_the_camera_is_found_beside_the_radar(room: tuple[Path, Session, dict[str, Any]]) -> None:
    folder, _, figures = room
    found = figures["calibration"]
    assert found["pairs"] > 0.8 * found["boxes"] > 120
    assert found["residual_m"]["median"] < 0.4
    assert found["held_out_m"]["median"] < 0.5
    pose, sd = found["pose"], found["sd"]
    assert abs(pose["x_m"]) < 0.5
    assert abs(pose["y_m"]) < 0.7
    assert 1.5 < pose["height_m"] < 1.85
    assert 85 < pose["yaw_deg"] < 97
    assert sd["height_m"] < 0.1
    assert sd["tilt_deg"] < 1.5
    (camera,) = tomllib.loads((folder / "camera.toml").read_text())["cameras"]
    table = msgspec.convert(camera, Camera)
    assert table.latency_s == pytest.approx(-pose["offset_s"], abs=1e-3)
    assert table.detector == recorded_room.site().cameras[0].detector


@there
def test_both_sensors_follow_the_same_three_people(room: tuple[Path, Session, dict[str, Any]]) -> None:
    _, _, figures = room
    fused = figures["fused"]
    assert fused["scenes"] > 60
    assert 2.8 <= fused["bodies_a_scene"] <= 4.0
    assert fused["seen_by_both"] > 0.65
    assert fused["tracks"] <= 6


@there
def test_the_recording_replays_byte_for_byte(
    room: tuple[Path, Session, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    _, session, figures = room
    assert figures["verified"]["identical"]
    assert main(["replay", str(session.path), "--verify"]) == 0
    assert "identical" in capsys.readouterr().out


@there
def test_a_session_without_both_sensors_is_refused_in_a_sentence(
    room: tuple[Path, Session, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    _, session, _ = room
    assert main(["calibrate", "radar-camera", str(session.path), "--camera", "c9"]) == 1
    assert 'no camera "c9": this session\'s site has: c1' in capsys.readouterr().err


LENS = Pinhole(
    image_size=(640, 480),
    focal_px=(450, 455),
    centre_px=(318, 243),
    distortion=(-0.2, 0.05, 0.001, -0.002, 0),
    pose=Pose(position_m=(0.3, -0.2, 1.9), yaw_deg=110.0, tilt_deg=12.0, roll_deg=2.0),
)


def made_up(late_s: float) -> tuple[list[Walk], list[CameraFrame]]:
    """Three people on their ways, and their boxes, perfect but for a pixel or two, stamped `late_s` late."""
    rng = np.random.default_rng(3)
    seconds = np.arange(0, 20, 0.04)
    bodies, frames = [], []
    for turn in (0.0, 2.0, 4.0):
        angle = turn + 0.5 * seconds
        position = np.column_stack((-1 + 1.6 * np.cos(angle), 4.5 + 1.6 * np.sin(angle)))
        velocity = np.gradient(position, 0.04, axis=0)
        bodies.append(Walk(SECOND_NS + (seconds * 1e9).astype(np.int64), position, velocity))
    for row in range(0, len(seconds), 5):
        places = np.array([body.position[row] for body in bodies])
        feet = project(LENS, np.column_stack((places, np.zeros(3))))
        heads = project(LENS, np.column_stack((places, np.full(3, 1.7))))
        height = (feet[:, 1] - heads[:, 1]) / 0.87  # 5 % above the head, 8 % below the feet
        top = heads[:, 1] - 0.05 * height
        middle = (feet[:, 0] + heads[:, 0]) / 2 + rng.normal(0, 1, 3)
        boxes = np.column_stack((middle - 0.2 * height, top, 0.4 * height, height)).astype(np.float32)
        t_ns = int(bodies[0].t_ns[row] + late_s * 1e9)
        frames.append(
            CameraFrame(source="c1", t_ns=t_ns, boxes=boxes, scores=np.ones(3, np.float32), image_size=(640, 480))
        )
    return bodies, frames


def test_a_known_pose_and_delay_are_found_from_a_poor_guess() -> None:
    bodies, frames = made_up(late_s=0.1)
    guess = msgspec.structs.replace(LENS, pose=Pose(position_m=(0, 0, 1.5), yaw_deg=85.0))
    found = align(bodies, frames, guess, Detector())
    pose = found.camera.pose
    assert pose.position_m == pytest.approx((0.3, -0.2, 1.9), abs=0.08)
    assert (pose.yaw_deg, pose.tilt_deg, pose.roll_deg) == pytest.approx((110, 12, 2), abs=1.0)
    assert found.offset_s == pytest.approx(-0.1, abs=0.03)
    assert np.median(found.held_out_m) < 0.1
    assert found.pairs > 0.95 * found.boxes


def test_a_simulated_camera_is_found_through_ghosts_and_half_boxes() -> None:
    """The demo's world, whose true pose is known; the guess is 25 degrees and half a metre off."""
    site = load_site(SITE)
    camera, radar = site.cameras[1], site.radars[0]
    messages = list(streams(site, 60, EPOCH_NS))
    truth = camera.calibration
    assert isinstance(truth, Pinhole)
    (x, y, height), pose = truth.pose.position_m, truth.pose
    wrong = Pose(position_m=(x + 0.4, y - 0.3, height - 0.4), yaw_deg=pose.yaw_deg + 25, tilt_deg=pose.tilt_deg - 8)
    bodies = walks([m for m in messages if isinstance(m, RadarFrame)], radar, site.area)
    images = [m for m in messages if isinstance(m, CameraFrame) and m.source == camera.id]
    found = align(bodies, images, msgspec.structs.replace(truth, pose=wrong), camera.detector)
    there = found.camera.pose
    assert there.position_m == pytest.approx((x, y, height), abs=0.4)
    assert (there.yaw_deg, there.tilt_deg) == pytest.approx((pose.yaw_deg, pose.tilt_deg), abs=2.0)
    assert np.nanmedian(found.held_out_m) < 0.5


def test_too_little_in_common_is_said() -> None:
    bodies, frames = made_up(late_s=0.0)
    with pytest.raises(ValueError, match="at least 20 are needed"):
        align(bodies, frames[:5], LENS, Detector())


def test_a_lens_file_is_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "lens.yaml"
    path.write_text("image_width: 640\nimage_height: 480\ncamera_matrix:\n  rows: 3\n  data: [1, 2]\n")
    with pytest.raises(LaunchError, match="camera_matrix"):
        read_lens(path, LENS)
    path.write_text(
        "image_width: 320\nimage_height: 240\ncamera_matrix:\n\n  data: [200., 0, 160, 0, 201., 120, 0, 0, 1]\n"
        "distortion_coefficients:\n  data: [0.1, 0.2, 0.3, 0.4, 0.5]\n"
    )
    lens = read_lens(path, LENS)
    assert (lens.image_size, lens.focal_px, lens.centre_px) == ((320, 240), (200.0, 201.0), (160, 120))
    assert lens.distortion == (0.1, 0.2, 0.3, 0.4, 0.5)
