"""The fork server: what kills it, what it imports, what its forks say last."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import zmq
from tiny_nodes import appears, is_alive, supervised, wait_for
from whowhere.launch.memory import descendants
from whowhere.launch.supervisor import Supervisor


@pytest.mark.system
def test_a_killed_fork_server_takes_its_processes_along_and_all_come_back(tiny, tmp_path: Path):
    up = tmp_path / "patient.up"
    supervisor = Supervisor([tiny("patient")], say=lambda _: None)
    wait_for(up.exists, supervisor)
    first = supervisor.pids["patient"]
    server = next(pid for pid in descendants(os.getpid()) if first in descendants(pid)[1:] and pid != os.getpid())
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: up.read_text() == "xx", supervisor)
    wait_for(lambda: not is_alive(first), supervisor)
    assert (tmp_path / "order").read_text() == "patient\n", "it was not asked to stop"
    assert supervisor.restarts == {"patient": 1}
    supervisor.stop()


@pytest.mark.system
def test_a_module_that_brings_the_fork_server_down_costs_the_others_nothing(tiny, tmp_path: Path):
    parent = supervised(tmp_path, "patient", "failing", "faulty", "broken")
    appears(tmp_path / "patient.up")
    appears(tmp_path / "broken.crash")
    parent.send_signal(signal.SIGINT)
    _, said = parent.communicate(timeout=15)
    assert "built for another numpy" in said
    assert said.count("Traceback") <= 2, "the server was brought down again for every row"


@pytest.mark.system
def test_nothing_is_imported_from_the_current_folder_and_nothing_printed_reaches_the_output(tiny, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("tiny_chatty.py", "serial.py"):
        (elsewhere / name).write_text(f"open({str(elsewhere / 'imported')!r}, 'w')")
    parent = supervised(tmp_path, "chatty", cwd=elsewhere)
    appears(tmp_path / "chatty.up")
    parent.send_signal(signal.SIGINT)
    out, said = parent.communicate(timeout=15)
    assert not (elsewhere / "imported").exists()
    assert out == ""
    assert said.count("imported, as many a library says") == 1


@pytest.mark.system
def test_what_a_node_publishes_last_is_sent(tiny, tmp_path: Path):
    with zmq.Context() as context, context.socket(zmq.SUB) as listener:
        listener.setsockopt(zmq.RCVHWM, 0)
        listener.subscribe(b"")
        port = listener.bind_to_random_port("tcp://127.0.0.1")
        (tmp_path / "address").write_text(f"tcp://127.0.0.1:{port}")
        supervisor = Supervisor([tiny("ending")], say=lambda _: None)
        heard = 0

        def has_ended() -> bool:
            nonlocal heard
            while listener.poll(0):
                listener.recv()
                heard += 1
            return not supervisor.is_busy

        wait_for(has_ended, supervisor)
        time.sleep(0.5)
        has_ended()
    assert heard == 3000


def test_no_node_starts_a_thread_by_being_imported():
    """A thread of the fork server would be missing in its forks. (OpenBLAS starts its own anew after a fork.)"""
    probe = """
        import os, pkgutil
        from importlib import import_module
        from whowhere import nodes
        for found in pkgutil.walk_packages(nodes.__path__, "whowhere.nodes."):
            import_module(found.name)
        print(len(os.listdir("/proc/self/task")))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(probe)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stdout == "1\n"
