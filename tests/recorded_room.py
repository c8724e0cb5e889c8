"""One room, recorded: an IWR6843 and a camera that both saw three people (milliEye, MIT licence), as one site.

The points, which others had parsed, become UART bytes again and go through the parser; the video goes through the
capture process and the people detector. Nobody wrote down where the camera stood, so the first session has a guess
for it, `whowhere calibrate radar-camera` finds the pose in that session, and the second session is fused with it.

    python tests/recorded_room.py docs/results      # measures all, draws the picture; a minute
"""

import contextlib
import heapq
import io
import json
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from msgspec.structs import replace
from whowhere.drivers.camera.appearance import NAME, histograms
from whowhere.drivers.camera.capture import open_camera
from whowhere.drivers.camera.people import PeopleDetector
from whowhere.drivers.radar.encode import encode_oob_frame
from whowhere.drivers.radar.frames import RadarParser
from whowhere.fusion.alignment import walks
from whowhere.fusion.geometry import project
from whowhere.launch.cli import main
from whowhere.launch.simulation import Simulation
from whowhere.launch.verify import verify
from whowhere.messages import INPUT_KINDS, CameraFrame, Message, RadarFrame, Scene, decode, kind_of, numbered
from whowhere.nodes.session import Session
from whowhere.sitefile import Area, Camera, Detector, Pinhole, Pose, Radar, Site

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "radar_camera"
LENSES = ("calib_FOV90.yaml", "calib2_FOV110.yaml")
GUESS = Pinhole(  # lens: any, the files are tried; pose: beside the radar, at eye level, looking the same way
    image_size=(640, 480), focal_px=(450, 450), centre_px=(320, 240), pose=Pose(position_m=(0, 0, 1.4), yaw_deg=90)
)
RADAR_POSE = Pose(position_m=(0.0, 0.0, 1.0), yaw_deg=90.0)  # makes the frame: x right of it, y ahead; height assumed
EVERY = 4  # of the 20 frames a second: five are looked at, as by the site file's default
CAMERA_DELAY_NS, BYTE_NS = 150_000_000, 10_851  # detection; 921600 baud
Arrival = tuple[int, Message]


def site() -> Site:
    return Site(
        name="recorded-room",
        area=Area(x_m=(-4.0, 4.0), y_m=(0.0, 8.0)),
        radars=(Radar(id="r1", cli_port="file", data_port="file", config=str(DATA / "indoor.cfg"), pose=RADAR_POSE),),
        cameras=(
            Camera(
                id="c1",
                source=str(DATA / "video.mp4"),
                fps=20.0 / EVERY,
                timestamps=str(DATA / "timestamps.txt"),
                calibration=GUESS,
                detector=Detector(scale=1.05, hit_threshold=0.0),  # dark clothes in low light
            ),
        ),
    )


def sensed(room: Site, phase: int = 0) -> Iterator[Arrival]:
    """(arrival_ns, numbered message) of both sensors; of the video, frames phase, phase + EVERY, ... are looked at."""
    counts: dict[str, int] = {}
    for arrival_ns, message in heapq.merge(radar(room), camera(room, phase), key=lambda arrival: arrival[0]):
        yield arrival_ns, numbered(message, counts)


def radar(room: Site) -> Iterator[Arrival]:
    parser = RadarParser(room.radars[0].id)
    with (DATA / "pointcloud.jsonl").open() as lines:
        for recorded in map(json.loads, lines):
            rows = np.array(recorded["pts"], np.float64).reshape(-1, 4)
            with np.errstate(over="ignore"):  # frame 0 holds bytes that were no numbers
                points = np.column_stack((rows, np.zeros(len(rows)))).astype(np.float32)
            packet = encode_oob_frame(points, recorded["frame"] + 1, side_info=False)
            arrival_ns = round(recorded["t"] * 1e9) + len(packet) * BYTE_NS
            yield from ((arrival_ns, frame) for frame in parser.feed(packet, arrival_ns))


def camera(room: Site, phase: int) -> Iterator[Arrival]:
    """Up to the radar's end; the video goes on for four seconds more."""
    config = room.cameras[0]
    detector = PeopleDetector(config.detector)
    with open_camera(config) as capture:
        while not capture.is_finished:
            image = capture.read(1.0)
            if image is None or image.index % EVERY != phase:
                continue
            if image.t_ns > radar_end_ns():
                return
            boxes, scores = detector.detect(image.pixels)
            frame = CameraFrame(
                source=config.id,
                t_ns=image.t_ns,
                boxes=boxes,
                scores=scores,
                image_size=GUESS.image_size,
                descriptors={NAME: histograms(image.pixels, boxes)},
            )
            yield image.t_ns + CAMERA_DELAY_NS, frame


@cache
def radar_end_ns() -> int:
    return max(round(json.loads(line)["t"] * 1e9) for line in (DATA / "pointcloud.jsonl").open())


def calibrate(session: Path, table: Path) -> dict[str, Any]:
    """What `whowhere calibrate radar-camera` finds in a session; its fragment of the site file goes to `table`."""
    lenses = [text for lens in LENSES for text in ("--lens", str(DATA / lens))]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["calibrate", "radar-camera", str(session), *lenses, "--out", str(table), "--json"]) == 0
    return json.loads(said.getvalue())


def as_calibrated(room: Site, table: Path) -> Site:
    """The site with the camera of that fragment."""
    (camera,) = tomllib.loads(table.read_text())["cameras"]
    return replace(room, cameras=(msgspec.convert(camera, Camera),))


def heard_again(session: Session, late_s: float) -> Iterator[Arrival]:
    """A session's inputs, the camera's stamps put `late_s` earlier, as `latency_s` does for a live camera."""
    for record in session.records():
        message = decode(record.body)
        if kind_of(message) in INPUT_KINDS:
            if isinstance(message, CameraFrame):
                message = replace(message, t_ns=message.t_ns - round(late_s * 1e9))
            yield record.log_time_ns, message


def record(room: Site, heard: Iterator[Arrival], out: Path) -> Session:
    out.unlink(missing_ok=True)
    Simulation(room, out).run(heard)
    return Session(out)


def fused(session: Session) -> dict[str, Any]:
    """How far both sensors agreed to be seeing the same bodies, while both ran and once two seconds have passed."""
    messages = list(session.messages())
    seen = [m for m in messages if isinstance(m, RadarFrame)]
    scenes = [m for m in messages if isinstance(m, Scene) and seen[0].t_ns + 2e9 < m.t_ns < seen[-1].t_ns]
    bodies = [person for scene in scenes for person in scene.people]
    both = [person for person in bodies if set(person.sources) >= {"r1", "c1"}]
    return {
        "radar_frames": len(seen),
        "camera_frames": sum(isinstance(m, CameraFrame) for m in messages),
        "scenes": len(scenes),
        "bodies_a_scene": round(len(bodies) / max(len(scenes), 1), 2),
        "scenes_with_three": round(sum(len(s.people) == 3 for s in scenes) / max(len(scenes), 1), 3),
        "tracks": len({person.track for person in bodies}),
        "seen_by_both": round(len(both) / max(len(bodies), 1), 3),
    }


def in_turn(folder: Path, phase: int = 0) -> tuple[Site, Session, dict[str, Any]]:
    """Record with the guess, calibrate, record again; the calibrated site, its session and the figures."""
    guessed = record(site(), sensed(site(), phase), folder / "guessed.mcap")
    found = calibrate(guessed.path, folder / "camera.toml")
    room = as_calibrated(site(), folder / "camera.toml")
    session = record(room, heard_again(guessed, room.cameras[0].latency_s), folder / "calibrated.mcap")
    figures = {"calibration": found, "with_guess": fused(guessed), "fused": fused(session)}
    figures["verified"] = verify(session.path).figures()
    return room, session, figures


def picture(room: Site, session: Session, out: Path, at_s: float = 6.4) -> None:
    """The floor with everybody's way, and one video frame with the radar's people drawn into it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    messages = list(session.messages())
    figure, (plan, view) = plt.subplots(1, 2, figsize=(13, 5.4), width_ratios=(1, 1.25))
    draw_plan(plan, [m for m in messages if isinstance(m, Scene)], room)
    start_ns = min(m.t_ns for m in messages if isinstance(m, RadarFrame))
    images = [m for m in messages if isinstance(m, CameraFrame)]
    draw_view(view, room, messages, min(images, key=lambda image: abs(image.t_ns - start_ns - at_s * 1e9)))
    figure.text(0.99, 0.01, "recording: milliEye, (c) 2021 Shuai Xian, MIT licence", ha="right", fontsize=7)
    figure.tight_layout()
    figure.savefig(out, dpi=90)


def draw_plan(plan: Any, scenes: list[Scene], room: Site) -> None:
    ways: dict[int, list[tuple[float, float, bool]]] = {}
    for scene in scenes:
        for person in scene.people:
            both = {"r1", "c1"} <= set(person.sources)
            ways.setdefault(person.track or 0, []).append((person.x_m, person.y_m, both))
    for number, way in ways.items():
        x, y, both = np.array(way).T
        (line,) = plan.plot(x, y, lw=1, label=f"track {number}")
        plan.scatter(x[both > 0], y[both > 0], s=22, color=line.get_color())
        plan.scatter(x[both == 0], y[both == 0], s=22, facecolors="none", edgecolors=line.get_color())
    eye = room.cameras[0].calibration
    assert isinstance(eye, Pinhole)
    plan.plot(*RADAR_POSE.position_m[:2], "ks", label="radar")
    plan.plot(*eye.pose.position_m[:2], "k^", label="camera (found)")
    plan.set(aspect="equal", xlabel="x (m)", ylabel="y (m)", title="fused tracks; filled: both sensors, hollow: one")
    plan.legend(fontsize=7, loc="lower left")


def draw_view(view: Any, room: Site, messages: list[Message], image: CameraFrame) -> None:
    """One frame, brightened: the detector's boxes, and a pole of 1.7 m where the radar alone follows somebody."""
    eye = room.cameras[0].calibration
    assert isinstance(eye, Pinhole)
    view.imshow(np.clip(1.8 * frame_at(image.t_ns + round(room.cameras[0].latency_s * 1e9))[..., ::-1] / 255, 0, 1))
    for left, top, width, height in image.boxes:
        view.plot(
            [left, left + width, left + width, left, left], [top, top, top + height, top + height, top], "y", lw=1
        )
    for body in walks([m for m in messages if isinstance(m, RadarFrame)], room.radars[0], room.area):
        row = int(np.abs(body.t_ns - image.t_ns).argmin())
        if abs(int(body.t_ns[row]) - image.t_ns) < 1e8:
            foot_and_head = np.array([(*body.position[row], 0.0), (*body.position[row], 1.7)])
            view.plot(*project(eye, foot_and_head).T, "c-o", lw=2, ms=4)
    view.set(xlim=(0, 640), ylim=(480, 0), title="radar's people (poles) in the image, HOG's boxes")
    view.axis("off")


def frame_at(t_ns: int) -> np.ndarray:
    times = [float(line.split()[0]) for line in (DATA / "timestamps.txt").open()]
    video = cv2.VideoCapture(str(DATA / "video.mp4"))
    wanted = int(np.abs(np.array(times) - t_ns / 1e9).argmin())
    for _ in range(wanted):
        video.grab()
    return np.asarray(video.read()[1])


if __name__ == "__main__":
    if not DATA.is_dir():
        sys.exit(f"the recording in {DATA} is not here")
    for phase in reversed(range(EVERY)):
        with tempfile.TemporaryDirectory() as folder:
            calibrated, last, results = in_turn(Path(folder), phase)
            print(json.dumps({"phase": phase, **results}))
            if phase == 0:
                picture(calibrated, last, Path(sys.argv[1]) / "radar_camera.png")
                print(Path(folder, "camera.toml").read_text())
