"""Rendered frames: the real HOG detector finds the walkers, and HTTP serves them with their exposure times."""

import dataclasses
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.drivers.camera.people import PeopleDetector
from whowhere.drivers.errors import DeviceRefused
from whowhere.drivers.simulated.camera import CameraTwin, MjpegServer, Screen
from whowhere.drivers.simulated.faults import Condition
from whowhere.drivers.simulated.gait import draw_gait
from whowhere.drivers.simulated.optics import View
from whowhere.drivers.simulated.painter import Painter, pose_of
from whowhere.drivers.simulated.streams import EPOCH_NS, camera_times
from whowhere.drivers.simulated.world import World
from whowhere.launch.site_files import load_site
from whowhere.sitefile import Site

DEMO = Path(__file__).resolve().parents[1] / "launch" / "sites" / "demo.toml"
S = 1_000_000_000
TALL = dataclasses.replace(draw_gait(np.random.default_rng(1)), height_m=1.8)


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(DEMO)


@pytest.fixture(scope="module")
def world(site: Site) -> World:
    return World(site, EPOCH_NS)


def test_hog_finds_the_walkers(site: Site, world: World) -> None:
    expected = found = false = 0
    camera = site.cameras[1]
    view = View(camera)
    painter = Painter(world, view)
    detector = PeopleDetector(replace(camera.detector, motion_gate=False))
    for number in range(0, 150, 8):
        crowd = world.people_at(EPOCH_NS + number * S // 5)
        boxes, _ = detector.detect(painter.frame(crowd, number))
        sight = view.sight(crowd, world.heights_m, world.plan)
        for row in np.flatnonzero(sight.share == 1.0):
            expected += 1
            found += any(overlap(sight.boxes[row], box) > 0.4 for box in boxes)
        nobody = sight.boxes[sight.share > 0]
        false += sum(all(overlap(person, box) < 0.02 for person in nobody) for box in boxes)
    assert expected >= 15
    assert found / expected >= 0.85
    assert false / 19 <= 0.3


def test_frames_are_a_function_of_crowd_and_number(site: Site, world: World) -> None:
    crowd = world.people_at(EPOCH_NS + 10 * S)
    view = View(site.cameras[0])
    first, second = Painter(world, view).frame(crowd, 50), Painter(World(site, EPOCH_NS), view).frame(crowd, 50)
    assert first.shape == (480, 640, 3)
    assert np.array_equal(first, second)


def test_the_near_hide_the_far(site: Site, world: World) -> None:
    """Painting order: the nearer person's shirt is what the picture shows where two overlap."""
    view = View(site.cameras[0])
    crowd = world.people_at(EPOCH_NS)
    position = crowd.position.copy()
    ahead = view.forward[:2] / np.hypot(*view.forward[:2])
    position[:2] = view.origin[:2] + 5.5 * ahead, view.origin[:2] + 6.5 * ahead
    only = np.arange(len(position)) < 2
    painter = Painter(world, view)
    for near, far in ((0, 1), (1, 0)):
        placed = position.copy()
        placed[[near, far]] = position[:2]
        image = painter.frame(dataclasses.replace(crowd, position=placed, present=only), 0)
        chest, _ = view.project(np.array([[*placed[near], 0.7 * world.heights_m[near]]]))
        u, v = np.rint(chest[0]).astype(int)
        shown = image[v - 2 : v + 3, u - 2 : u + 3].reshape(-1, 3).mean(axis=0)
        assert np.abs(shown - world.bodies[near].top_bgr).max() < 45
    assert world.bodies[0].top_bgr != world.bodies[1].top_bgr


def test_feet_stand_on_the_floor_and_heads_reach_the_height() -> None:
    for phase in np.linspace(0, 1, 12):
        joints = pose_of(TALL, 0.3, float(phase), 1.2)
        assert 0.0 < joints[[2, 5], 2].min() < 0.09
        assert 1.6 < joints[13, 2] < 1.8
        assert np.abs(joints[:, :2]).max() < 0.8


@pytest.fixture
def served(site: Site, world: World):
    twin = CameraTwin(world, site.cameras[0], EPOCH_NS)
    with MjpegServer(0, {twin.id: twin.screen}) as server:
        yield twin, f"http://127.0.0.1:{server.port}/{twin.id}.mjpeg"
        twin.close()


def test_mjpeg_carries_frames_and_their_times(served, site: Site) -> None:
    twin, url = served
    assert twin.step(EPOCH_NS + S, Condition()) > EPOCH_NS + S
    assert twin.counters["frames"] == 0  # nobody watches: nothing is drawn
    with urllib.request.urlopen(url, timeout=5) as reply:
        assert reply.headers["Content-Type"].startswith("multipart/x-mixed-replace; boundary=")
        wait_for(lambda: twin.screen.viewers == 1)
        exposures = [t for t, _ in zip(camera_times(site, site.cameras[0], EPOCH_NS), range(60), strict=False)]
        for now_s, condition in ((2.0, Condition()), (3.0, Condition(offset=0.25)), (4.0, Condition(cut_frames=1.0))):
            now_ns = EPOCH_NS + int(now_s * S)
            twin.step(now_ns, condition)
            t_ns, jpeg = read_part(reply)
            latest = max(t for t in exposures if t <= now_ns)
            assert t_ns == latest + int(condition.offset * S)
            if not condition.cut_frames:
                image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
                assert image is not None
                assert image.shape == (480, 640, 3)
            else:
                assert not jpeg.endswith(b"\xff\xd9")
        twin.step(EPOCH_NS + 5 * S, Condition(unplug=True))
        assert reply.read().strip() == b""  # hung up
    with pytest.raises(urllib.error.HTTPError, match="unplugged"):
        urllib.request.urlopen(url, timeout=5)
    with pytest.raises(urllib.error.HTTPError, match="there are camera-1"):
        urllib.request.urlopen(url.replace("camera-1", "camera-9"), timeout=5)


def test_late_and_silent_cameras(served) -> None:
    twin, url = served
    with urllib.request.urlopen(url, timeout=5):
        wait_for(lambda: twin.screen.viewers == 1)
        twin.step(EPOCH_NS + 2 * S, Condition(silent=True))
        assert twin.screen.number == 0
        twin.step(EPOCH_NS + 3 * S, Condition(late=0.8))
        assert twin.screen.number == 0
        twin.step(EPOCH_NS + 3 * S + 790_000_000, Condition(silent=True))
        assert twin.screen.number == 1


def test_a_taken_port_is_one_sentence() -> None:
    with MjpegServer(0, {"c": Screen()}) as server, pytest.raises(DeviceRefused, match="choose another port"):
        MjpegServer(server.port, {"c": Screen()})


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[:2] + a[2:], b[:2] + b[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def read_part(reply) -> tuple[int, bytes]:
    head: dict[bytes, bytes] = {}
    while line := reply.readline().strip() or not head:
        if isinstance(line, bytes) and b":" in line:
            name, value = line.split(b": ")
            head[name] = value
    seconds, fraction = head[b"X-Timestamp"].split(b".")
    assert len(fraction) == 9
    return int(seconds) * S + int(fraction), reply.read(int(head[b"Content-Length"]))


def wait_for(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
