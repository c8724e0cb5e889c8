"""The supervisor: back-off and budget on a pretend clock, and real tiny processes that are killed and stopped."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from tiny_nodes import SITE, appears, is_alive, supervised, wait_for
from whowhere.launch.child import EXIT_REFUSED
from whowhere.launch.memory import descendants, memory_by_process
from whowhere.launch.processes import Process
from whowhere.launch.supervisor import BACKOFF_S, BUDGET, REFUSED_RETRY_S, Supervisor
from whowhere.nodes.node import NodeConfig


class Pretend:
    """Processes that end when told to, and a clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.started: list[tuple[float, str]] = []
        self.running: dict[str, Pretend.Handle] = {}

    class Handle:
        pid = None
        exitcode: int | None = None

        def join(self, timeout: float | None = None) -> None:
            self.exitcode = 0

    def launch(self, row: Process) -> "Pretend.Handle":
        self.started.append((self.now, row.name))
        self.running[row.name] = Pretend.Handle()
        return self.running[row.name]

    def clock(self) -> float:
        return self.now


def pretend_row(name: str) -> Process:
    return Process(name=name, module="none", config=NodeConfig(name=name, site=SITE, run_dir="/nowhere"))


def pretend(*names: str) -> tuple[Pretend, Supervisor, list[str]]:
    world, said = Pretend(), list[str]()
    table = [pretend_row(name) for name in names]
    return world, Supervisor(table, say=said.append, launch=world.launch, clock=world.clock), said


def crash(world: Pretend, supervisor: Supervisor, name: str, status: int = 1) -> None:
    world.running[name].exitcode = status
    supervisor.reconcile()


def test_back_off_grows_and_the_budget_ends_one_row_only():
    world, supervisor, said = pretend("good", "bad")
    supervisor.reconcile()
    assert list(world.running) == ["good"], "not one newcomer a tick"
    supervisor.reconcile()
    for wait_s in BACKOFF_S[: BUDGET - 1]:
        crash(world, supervisor, "bad")
        world.now += wait_s - 0.01
        supervisor.reconcile()
        assert world.running["bad"].exitcode == 1, "came back before its time"
        world.now += 0.02
        supervisor.reconcile()
        assert world.running["bad"].exitcode is None, "did not come back in time"
    crash(world, supervisor, "bad")
    world.now += 1000
    supervisor.reconcile()
    assert supervisor.given_up == ["bad"]
    assert "GIVING UP on bad" in said[-1]
    assert supervisor.restarts == {"good": 0, "bad": BUDGET - 1}
    assert supervisor.is_busy
    assert world.running["good"].exitcode is None


def test_crashes_far_apart_never_exhaust_the_budget():
    world, supervisor, _ = pretend("old")
    supervisor.reconcile()
    for _ in range(3 * BUDGET):
        crash(world, supervisor, "old")
        world.now += 61
        supervisor.reconcile()
    assert supervisor.given_up == []
    assert supervisor.restarts == {"old": 3 * BUDGET}


def test_status_zero_means_finished():
    world, supervisor, said = pretend("once")
    supervisor.reconcile()
    crash(world, supervisor, "once", status=0)
    world.now += 100
    supervisor.reconcile()
    assert not supervisor.is_busy
    assert len(world.started) == 1
    assert said == []


def test_a_refused_device_is_tried_again_for_ever_but_slowly():
    world, supervisor, said = pretend("radar-1")
    supervisor.reconcile()
    for _ in range(2 * BUDGET):
        crash(world, supervisor, "radar-1", EXIT_REFUSED)
        assert supervisor.refused == ["radar-1"]
        world.now += REFUSED_RETRY_S + 0.01
        supervisor.reconcile()
        assert supervisor.refused == []
    assert supervisor.given_up == []
    assert len(world.started) == 2 * BUDGET + 1
    assert "needs a person" in said[0]


@pytest.mark.system
def test_a_killed_process_is_back_within_five_seconds_and_stop_leaves_none(tiny, tmp_path: Path):
    up = tmp_path / "patient.up"
    supervisor = Supervisor([tiny("patient")], say=lambda _: None)
    wait_for(up.exists, supervisor)
    first = supervisor.pids["patient"]
    os.kill(first, signal.SIGKILL)
    took_s = wait_for(lambda: up.read_text() == "xx", supervisor)
    assert took_s < 5
    assert supervisor.restarts == {"patient": 1}
    second = supervisor.pids["patient"]
    assert second != first
    assert any(name.startswith("patient ") and mb > 1 for name, mb in memory_by_process().items())
    supervisor.stop()
    assert not Path(f"/proc/{second}").exists()


@pytest.mark.system
def test_a_run_that_ends_as_it_begins_ends_quietly():
    """The first process of a program is asked to stop while Python itself still starts in it."""
    probe = """
        import time
        from whowhere.launch.supervisor import Supervisor
        from whowhere.launch.processes import Process
        from whowhere.launch.wiring import free_port
        from whowhere.nodes.node import NodeConfig
        from whowhere.sitefile import Area, Bus, Site
        if __name__ == "__main__":
            site = Site(name="tiny", area=Area(x_m=(0, 1), y_m=(0, 1)), bus=Bus(port=free_port(count=3)))
            config = NodeConfig(name="first", site=site, run_dir="/nowhere")
            supervisor = Supervisor([Process(name="first", module="whowhere.nodes.hub", config=config)])
            supervisor.reconcile()
            time.sleep(0.05)
            supervisor.stop()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(probe)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == ""


@pytest.mark.system
def test_stop_goes_from_the_highest_stage_down(tiny, tmp_path: Path):
    rows = [tiny("patient", "hub", stage=0), tiny("patient", "radar-1"), tiny("patient", "player", stage=2)]
    supervisor = Supervisor(rows, say=lambda _: None)
    wait_for(lambda: all((tmp_path / f"{row.name}.up").exists() for row in rows), supervisor)
    supervisor.stop()
    assert (tmp_path / "order").read_text().split() == ["player", "radar-1", "hub"]


@pytest.mark.system
def test_a_process_that_does_not_stop_is_killed(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("whowhere.launch.child.GRACE_S", 1)
    said: list[str] = []
    supervisor = Supervisor([tiny("deaf")], say=said.append)
    wait_for((tmp_path / "deaf.up").exists, supervisor)
    pid = supervisor.pids["deaf"]
    supervisor.stop()
    assert "did not stop within" in said[-1]
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.system
@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ("failing", "failing: /dev/ttyUSB0 went away; plug it in again\n"),
        ("faulty", "faulty: a fault in whowhere itself at "),
    ],
)
def test_an_error_is_one_sentence_and_its_trace_is_kept(tiny, tmp_path: Path, node: str, sentence: str):
    parent = supervised(tmp_path, node)
    appears(tmp_path / f"{node}.crash")
    parent.send_signal(signal.SIGINT)
    out, err = parent.communicate(timeout=15)
    assert sentence in err
    assert "Traceback" not in err
    assert "Traceback" in (tmp_path / f"{node}.crash").read_text()
    assert out == "", "a node wrote to the command's standard output"


@pytest.mark.system
def test_no_process_outlives_a_killed_supervisor(tiny, tmp_path: Path):
    """Even kill -9 of the supervisor, even a node that does not listen (ended by its own alarm)."""
    parent = supervised(tmp_path, "patient", "deaf")
    appears(tmp_path / "patient.up")
    appears(tmp_path / "deaf.up")
    family = descendants(parent.pid)
    assert len(family) >= 3
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 8
    while any(is_alive(pid) for pid in family):
        time.sleep(0.1)
        assert time.monotonic() < deadline, [Path(f"/proc/{p}/comm").read_text() for p in family if is_alive(p)]


def test_run_ends_when_everything_has_finished():
    world, supervisor, _ = pretend("once")

    def tick() -> bool:
        world.running["once"].exitcode = 0
        return False

    supervisor.run(threading.Event(), tick)
    assert not supervisor.is_busy
