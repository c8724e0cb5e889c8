"""The radar node against a misbehaving radar, with a bus that only remembers."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from radar_twin import Twin
from whowhere.drivers.radar import configure, port
from whowhere.drivers.radar.encode import encode_oob_frame
from whowhere.nodes import radar as node
from whowhere.nodes.node import NodeConfig
from whowhere.sitefile import Area, Site


class Memory:
    """Stands for both Publisher and Heartbeat."""

    def __init__(self, *_args: object) -> None:
        pass

    frames: list[int]
    states: list[tuple[str, str]]
    counters: dict[str, int]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None: ...
    def publish(self, frame: Any) -> None:
        self.frames.append(frame.frame_number)

    def count(self, frame: Any) -> None: ...
    def beat(self, state: str = "ok", detail: str = "", counters: dict[str, int] | None = None) -> None:
        if (state, detail) not in self.states[-1:]:
            self.states.append((state, detail))
        self.counters.update(counters or {})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    for name in ("WAKE_S", "ANSWER_S", "START_S"):
        monkeypatch.setattr(configure, name, 0.3)
    monkeypatch.setattr(port, "LISTEN_S", 0.1)
    monkeypatch.setattr(node, "FIRST_RETRY_S", 0.1)
    Memory.frames, Memory.states, Memory.counters = [], [], {}
    monkeypatch.setattr(node, "Publisher", Memory)
    monkeypatch.setattr(node, "Heartbeat", Memory)
    numbers = iter([*range(1, 400), *range(1, 400)])
    twin = Twin(tmp_path, lambda: (encode_oob_frame([], number) for number in numbers))
    site = Site(name="test", area=Area(x_m=(0, 1), y_m=(0, 1)), radars=(twin.config,))
    stop = threading.Event()
    config = NodeConfig(name="r1", site=site, run_dir=str(tmp_path))
    thread = threading.Thread(target=node.main, args=(config, stop))
    yield SimpleNamespace(twin=twin, start=thread.start, memory=Memory, numbers=numbers)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    twin.unplug()
    assert Memory.states[-1][0] == "stopped"


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 4
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_streams_and_survives_an_unplug(run: SimpleNamespace) -> None:
    run.start()
    until(lambda: len(run.memory.frames) > 5)
    run.twin.unplug()
    until(lambda: "lost" in [state for state, _ in run.memory.states])
    lost = len(run.memory.frames)
    run.twin.plug()
    until(lambda: len(run.memory.frames) > lost + 5)
    assert run.memory.states[0] == ("starting", "")
    assert "unplugged or hung up" in next(detail for state, detail in run.memory.states if state == "lost")
    assert run.memory.counters["frames"] > 5


def test_a_radar_that_needs_a_person_says_so(run: SimpleNamespace) -> None:
    run.twin.deaf = True
    run.start()
    until(lambda: run.memory.states[-1][0] == "refused")
    assert "NRST" in run.memory.states[-1][1]
    run.twin.deaf = False  # somebody pressed the button
    until(lambda: len(run.memory.frames) > 3)


def test_a_rebooted_radar_is_configured_again(run: SimpleNamespace) -> None:
    run.twin.period_s = 0.003
    run.start()
    until(lambda: run.memory.counters.get("restarts") == 1 and run.memory.frames[-1] < 390)
    until(lambda: [line.split()[0] for line in run.twin.heard].count("sensorStart") == 2)
