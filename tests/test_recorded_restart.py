"""The promise of a recording, with real processes: fusion is killed in the middle, restarts from its checkpoint, and
what the recorder heard of both lives comes out again byte for byte."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from buses import free_bus, node, running_hub, wait_for
from whowhere.drivers.simulated.streams import streams
from whowhere.launch.site_files import load_site
from whowhere.launch.verify import verify
from whowhere.messages import Event, Stamp, encode
from whowhere.nodes import player, recorder
from whowhere.nodes.bus import Received, Subscriber
from whowhere.nodes.node import NodeConfig
from whowhere.nodes.session import Session, SessionWriter
from whowhere.sitefile import Site, site_as_json

DEMO = Path(__file__).resolve().parents[1] / "launch" / "sites" / "demo.toml"
FUSION = """
import sys, threading, signal, msgspec
from whowhere.nodes import fusion
from whowhere.nodes.node import NodeConfig
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
fusion.main(msgspec.json.decode(sys.argv[1], type=NodeConfig), stop)
"""


@contextlib.contextmanager
def fusion_process(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    config = NodeConfig(name="fusion", site=site, run_dir="/tmp")
    child = subprocess.Popen([sys.executable, "-c", FUSION, msgspec.json.encode(config).decode()])
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait(10)


@pytest.mark.system
def test_a_session_with_a_killed_fusion_is_verified_on_both_sides(tmp_path):
    site = msgspec.structs.replace(load_site(DEMO), bus=free_bus())
    sensed = tmp_path / "sensed.mcap"
    with SessionWriter(sensed, site_as_json(site)) as writer:
        for message in streams(site, 20.0, epoch_ns=time.time_ns()):
            writer.write(Received(message.topic, message, Stamp("s", 0), encode(message)), message.t_ns)
    out = tmp_path / "recorded.mcap"
    recording = NodeConfig(name="recorder", site=site, run_dir="/tmp", options={"out": str(out)})
    playing = NodeConfig(
        name="player",
        site=site,
        run_dir="/tmp",
        options={"session": str(sensed), "rate": "6", "wait_for": "fusion", "loop": "yes"},
    )
    with (
        running_hub(site.bus),
        Subscriber(site.bus, ["checkpoint/"]) as watcher,
        node(recorder.main, recording),
        node(player.main, playing),
    ):
        with fusion_process(site) as first:
            for _ in range(3):
                wait_for(lambda: watcher.receive(0.1), 60)
            first.send_signal(signal.SIGKILL)
            first.wait()
        with fusion_process(site):
            for _ in range(3):
                wait_for(lambda: watcher.receive(0.1), 60)
    outcome = verify(out)
    assert outcome.is_identical, outcome.in_words()
    assert outcome.processes == 2
    assert outcome.ended is None
    started = [m.text for m in Session(out).messages() if isinstance(m, Event) and m.type == "started"]
    assert len(started) == 2
    assert "checkpoint" in started[1]
    assert outcome.compared["checkpoint"] >= 3
