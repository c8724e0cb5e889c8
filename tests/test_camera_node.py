"""The camera node's loop, with a capture that can be scripted: empty frames, losses, and the end of a file."""

import threading
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
from whowhere.drivers.camera.appearance import NAME
from whowhere.drivers.camera.capture import Image
from whowhere.drivers.camera.people import PeopleDetector
from whowhere.drivers.errors import DeviceLost, DeviceRefused
from whowhere.nodes import camera as node
from whowhere.nodes.describing import Describer
from whowhere.sitefile import Area, Detector, Site


class ScriptedCapture:
    """Each step is an image's brightness, None for silence, or an error; after the last step the file has ended."""

    def __init__(self, *steps: int | Exception | None) -> None:
        self._steps = list(steps)
        self.counters = {"frames": 0, "opened": 0}
        self.is_finished = False
        self.trouble = ""

    def __enter__(self) -> Self:
        self.counters["opened"] += 1
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self, timeout_s: float) -> Image | None:
        if not self._steps:
            self.is_finished = True
            return None
        step = self._steps.pop(0)
        if isinstance(step, Exception):
            raise step
        self.trouble = "no frame for 3 s" if step is None else ""
        if step is None:
            return None
        self.counters["frames"] += 1
        return Image(np.full((240, 320, 3), step, np.uint8), 10**18 + len(self._steps), 0)


def watch(capture: ScriptedCapture, monkeypatch: Any) -> tuple[list[Any], list[tuple[str, str]]]:
    monkeypatch.setattr(node, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(node, "WAIT_S", 0.01)
    published: list[Any] = []
    states: list[tuple[str, str]] = []
    publisher = SimpleNamespace(name="hall", publish=published.append)
    heartbeat = SimpleNamespace(
        beat=lambda state="ok", detail="", counters=None: states.append((state, detail)), count=lambda message: None
    )
    detector = PeopleDetector(Detector())
    describer = Describer(Site(name="hall", area=Area(x_m=(0, 5), y_m=(0, 5))), "hall")
    watcher: Any = node.Watcher
    watcher(capture, detector, describer, publisher, heartbeat, threading.Event()).run()
    return published, states


def test_empty_frames_are_published_and_the_end_of_a_file_ends_the_node(monkeypatch: Any):
    published, states = watch(ScriptedCapture(50, None, 60, 70), monkeypatch)
    assert len(published) == 3
    frame = published[0]
    assert (frame.source, frame.image_size, frame.boxes.shape) == ("hall", (320, 240), (0, 4))
    assert frame.descriptors[NAME].shape[0] == 0
    assert states[0][0] == "starting"
    assert states[-1] == ("stopped", "read to its end")


def test_a_lost_camera_is_said_so_and_opened_again(monkeypatch: Any):
    capture = ScriptedCapture(50, DeviceLost("it was unplugged"), DeviceRefused("it is busy"), 60)
    published, states = watch(capture, monkeypatch)
    assert len(published) == 2
    assert capture.counters["opened"] == 3
    assert ("lost", "it was unplugged") in states
    assert ("refused", "it is busy") in states


def test_a_camera_is_well_only_while_frames_come(monkeypatch: Any):
    capture = ScriptedCapture(None, 50, None, 60, DeviceLost("it was unplugged"), None, None, 70)
    _, states = watch(capture, monkeypatch)
    changes = [pair for pair, before in zip(states, [("", ""), *states], strict=False) if pair != before]
    assert changes == [
        ("starting", ""),
        ("ok", ""),
        ("lost", "no frame for 3 s"),
        ("ok", ""),
        ("lost", "it was unplugged"),  # also while it is opened again
        ("ok", ""),
        ("stopped", "read to its end"),
    ]
