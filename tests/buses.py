"""A bus of one's own for a test: free ports, a hub in a thread, and one small message of each kind."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from whowhere.launch.wiring import free_port
from whowhere.messages import CameraFrame, Health, RadarFrame, Scene, WifiWindow
from whowhere.nodes import hub
from whowhere.nodes.node import NodeConfig
from whowhere.sitefile import Area, Bus, Camera, Homography, Site


def free_bus(keys: str | None = None) -> Bus:
    """Three consecutive ports that nobody uses at the moment."""
    return Bus(port=free_port(count=3), keys=keys)


def site_on(bus: Bus, sensors: int = 1) -> Site:
    corners = ((0.0, 0.0), (640.0, 0.0), (640.0, 480.0), (0.0, 480.0))
    floor = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0))
    plan = Homography(image_size=(640, 480), pixels_px=corners, floor_m=floor)
    cameras = tuple(Camera(id=f"camera-{n + 1}", source="0", calibration=plan) for n in range(sensors))
    return Site(name="test", area=Area(x_m=(0, 4), y_m=(0, 4)), bus=bus, cameras=cameras)


@contextmanager
def node(main: Callable[[NodeConfig, threading.Event], None], config: NodeConfig) -> Iterator[threading.Event]:
    """Run a node's main in a thread; it is asked to stop at the end."""
    stop = threading.Event()
    thread = threading.Thread(target=main, args=(config, stop), daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def running_hub(bus: Bus) -> Iterator[threading.Event]:
    with node(hub.main, NodeConfig(name="hub", site=site_on(bus), run_dir="/tmp")) as stop:
        yield stop


def radar(source: str = "radar-1", t_ns: int = 1_000, number: int = 0) -> RadarFrame:
    return RadarFrame(source=source, t_ns=t_ns, points=np.ones((3, 5), "f4"), frame_number=number)


def camera(source: str = "camera-1", t_ns: int = 1_000, seq: int = 0) -> CameraFrame:
    boxes = np.array([[1, 2, 30, 60]], "f4")
    return CameraFrame(source=source, t_ns=t_ns, seq=seq, boxes=boxes, scores=np.ones(1, "f4"), image_size=(640, 480))


def wifi(source: str = "sniffer-1", t_ns: int = 1_000) -> WifiWindow:
    one = np.ones(1, "f4")
    return WifiWindow(
        source=source,
        t_ns=t_ns,
        window_s=0.5,
        devices=("d",),
        rssi_dbm=-50 * one,
        rssi_std_db=one,
        count=one.astype("u4"),
        channel=one.astype("u1"),
    )


def scene(t_ns: int = 1_000) -> Scene:
    return Scene(source="fusion", t_ns=t_ns, people=())


def health(source: str = "camera-1", t_ns: int = 1_000) -> Health:
    return Health(source=source, t_ns=t_ns, state="ok")


def wait_for(what: Callable[[], object], timeout_s: float = 5.0) -> object:
    """Until `what()` is truthy; fails the test when it does not become so."""
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found
