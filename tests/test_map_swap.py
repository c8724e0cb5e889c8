"""Radio maps swapped in a running demo, as a person would: no gap in the stream, and a map of elsewhere refused."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from whowhere.launch.wiring import free_port
from whowhere.messages import PhonePosition
from whowhere.models.radiomap.maps import load_map, save_map
from whowhere.nodes.bus import Subscriber
from whowhere.nodes.session import Session
from whowhere.nodes.subscription import bus_at

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
WHOWHERE = [sys.executable, "-m", "whowhere.launch.cli"]
PATIENCE_S = 60.0
LONGEST_GAP_S = 2.5  # on a shared machine; a phone's positions are a second apart


def first_position(said: Path) -> str:
    """Wait for the demo's first position; its bus."""
    until = time.monotonic() + PATIENCE_S
    while "Ctrl-C ends it" not in (text := said.read_text()) and time.monotonic() < until:
        time.sleep(0.1)
    found = re.search(r"--bus (tcp://\S+?)[,;\s]", text)
    address = found[1] if found else "tcp://127.0.0.1:7310"
    with Subscriber(bus_at(address), ["position/"]) as subscriber:
        while time.monotonic() < until:
            if subscriber.receive(0.5):
                return address
    pytest.fail(f"no position in {PATIENCE_S} s: {text}")


def deploy(path: Path, address: str) -> subprocess.CompletedProcess[str]:
    words = [*WHOWHERE, "deploy", str(path), "--bus", address]
    return subprocess.run(words, capture_output=True, text=True, timeout=40, stdin=subprocess.DEVNULL)


def test_maps_are_swapped_without_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where the run's folder is made, and the surveyed map in it
    words = [*WHOWHERE, "demo", "--phones", "--no-browser", "--port", str(free_port())]
    with (tmp_path / "said").open("w") as said:
        words += ["--record", str(tmp_path / "demo.mcap")]
        process = subprocess.Popen(words, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
    try:
        address = first_position(tmp_path / "said")
        surveyed = load_map(next(tmp_path.glob("whowhere-*/surveyed.map")))
        answers = []
        for version in ("second", "third"):
            save_map(surveyed.changed(version=version), tmp_path / f"{version}.map")
            answers.append(deploy(tmp_path / f"{version}.map", address))
            time.sleep(2.0)
        strangers = tuple(f"other-{name}" for name in surveyed.bssids)
        save_map(surveyed.changed(version="elsewhere", bssids=strangers), tmp_path / "elsewhere.map")
        answers.append(deploy(tmp_path / "elsewhere.map", address))
        time.sleep(2.0)
    finally:
        process.terminate()
        process.wait(20)
    assert [answer.returncode for answer in answers] == [0, 0, 1], answers
    assert "of another site" in answers[2].stdout
    require_no_gap(tmp_path / "demo.mcap")


def require_no_gap(path: Path) -> None:
    last: dict[str, PhonePosition] = {}
    maps = set()
    for message in Session(path).messages():
        if isinstance(message, PhonePosition):
            if before := last.get(message.source):
                assert (message.t_ns - before.t_ns) / 1e9 < LONGEST_GAP_S
            last[message.source] = message
            maps.add(message.map)
    assert {"demo:second", "demo:third"} <= maps
    assert "demo:elsewhere" not in maps
