"""The whole demo with its real processes: what a stranger sees in the first minute, and what is left afterwards."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from whowhere.launch.memory import descendants
from whowhere.launch.wiring import free_port
from whowhere.messages import Health, Scene
from whowhere.nodes.bus import Subscriber, snapshot
from whowhere.nodes.session import Session
from whowhere.nodes.subscription import bus_at

pytestmark = [pytest.mark.system, pytest.mark.timeout(150)]

FIGURES = {"named_right", "position_error_m", "latency_ms", "messages", "rates_hz", "dropped", "restarts", "memory_mb"}
START_S = 15.0
NAMED = ("confirmed", "tentative")


class Demo:
    """A running `whowhere demo`; `url` and `bus` as it printed them."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._errors = folder / "demo.err"
        self._output = folder / "demo.out"
        command = [sys.executable, "-m", "whowhere.launch.cli", "demo", "--no-browser", "--json", *options]
        self.started_s = time.monotonic()
        with self._output.open("w") as out, self._errors.open("w") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder)
        self.family: list[int] = []

    def wait_for_url(self) -> str:
        while not (found := re.search(r"whowhere demo: (http://\S+)", self.errors)):
            assert self.process.poll() is None, self.errors
            assert time.monotonic() - self.started_s < START_S, f"no page after {START_S} s: {self.errors}"
            time.sleep(0.1)
        self.family = descendants(self.process.pid)
        return found[1]

    @property
    def bus_address(self) -> str:
        found = re.search(r"--bus (tcp://\S+?)[,;\s]", self.errors)
        return found[1] if found else "tcp://127.0.0.1:7310"

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def finish(self, within_s: float) -> dict[str, object]:
        self.family = sorted({*self.family, *descendants(self.process.pid)})
        status = self.process.wait(within_s)
        assert status == 0, self.errors
        return json.loads(self._output.read_text().splitlines()[-1])

    def left_over(self) -> list[str]:
        """Names of its processes that are still there, after a moment for the kernel to tidy up."""
        deadline = time.monotonic() + 3
        while (alive := [pid for pid in self.family if is_alive(pid)]) and time.monotonic() < deadline:
            time.sleep(0.1)
        return [Path(f"/proc/{pid}/comm").read_text() for pid in alive]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def demo(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Demo]:
    running = Demo(tmp_path, "--port", str(free_port()), *getattr(request, "param", ()))
    yield running
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGINT)
        try:
            running.process.wait(20)
        except subprocess.TimeoutExpired:
            running.process.kill()


@pytest.mark.parametrize("demo", [("--seconds", "28", "--record", "demo.mcap")], indirect=True)
def test_the_demo_names_people_records_itself_and_leaves_nothing(demo: Demo, tmp_path: Path):
    url = demo.wait_for_url()
    page = urllib.request.urlopen(url, timeout=5).read().decode()
    assert "<canvas" in page or "<svg" in page
    names = named_within(demo, 24)
    figures = demo.finish(within_s=60)
    assert figures.keys() >= FIGURES
    assert names, "nobody was named"
    rates = figures["rates_hz"]
    assert isinstance(rates, dict)
    assert {"radar-1", "camera-1", "camera-2", "sniffer-1", "sniffer-2", "sniffer-3", "sniffer-4"} <= rates.keys()
    assert figures["restarts"] == 0, demo.errors
    assert demo.left_over() == []
    session = Session(tmp_path / "demo.mcap")
    kinds = {record.topic.split("/")[0] for record in session.records()}
    assert session.ended is None
    assert {"radar", "camera", "wifi", "location", "scene", "event", "checkpoint", "health", "truth"} <= kinds


def test_a_killed_fusion_is_back_within_five_seconds_and_ctrl_c_ends_everything(demo: Demo):
    demo.wait_for_url()
    bus = bus_at(demo.bus_address)
    with Subscriber(bus, ["scene/", "health/fusion"]) as subscriber:
        first = boot_of_next_scene(subscriber, within_s=10)
        fusion = next(pid for pid in demo.family if Path(f"/proc/{pid}/comm").read_text().strip() == "fusion")
        os.kill(fusion, signal.SIGKILL)
        killed_s = time.monotonic()
        while boot_of_next_scene(subscriber, within_s=6) == first:
            assert time.monotonic() - killed_s < 6
        assert time.monotonic() - killed_s < 5
    deadline = time.monotonic() + 4
    while not (restarts := reported_restarts(demo)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert restarts == 1
    demo.process.send_signal(signal.SIGINT)
    figures = demo.finish(within_s=20)
    assert figures["restarts"] == 1
    assert demo.left_over() == []


def named_within(demo: Demo, seconds: float) -> set[str]:
    """Enrolled people whom scenes put on a seen body within `seconds` of the start; ends early at the first two."""
    names: set[str] = set()
    with Subscriber(bus_at(demo.bus_address), ["scene/"]) as subscriber:
        while time.monotonic() - demo.started_s < seconds and len(names) < 2:
            received = subscriber.receive(1.0)
            if received and isinstance(received.message, Scene):
                names |= {person.id for person in received.message.people if person.state in NAMED}
    return names


def boot_of_next_scene(subscriber: Subscriber, within_s: float) -> str:
    deadline = time.monotonic() + within_s
    while (left_s := deadline - time.monotonic()) > 0:
        received = subscriber.receive(left_s)
        if received and isinstance(received.message, Scene):
            return received.stamp.boot
    raise AssertionError(f"no scene within {within_s} s")


def reported_restarts(demo: Demo) -> int:
    """As the supervisor says on the bus."""
    for received in snapshot(bus_at(demo.bus_address), ["health/supervisor"]):
        if isinstance(received.message, Health):
            return received.message.counters.get("restarts", 0)
    return 0
