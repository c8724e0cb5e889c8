"""The player: pace, order, start, loop, and no message before somebody listens."""

import threading
import time

import msgspec
import pytest
from buses import camera, free_bus, health, node, radar, running_hub, scene, site_on, wait_for
from hypothesis import given
from hypothesis import strategies as st
from whowhere.messages import CameraFrame, Stamp, encode
from whowhere.nodes import player
from whowhere.nodes.bus import Publisher, Received, Subscriber
from whowhere.nodes.node import NodeConfig
from whowhere.nodes.pacing import paced
from whowhere.nodes.session import Session, SessionWriter
from whowhere.sitefile import site_as_json

SECOND_NS = 1_000_000_000
T0 = 1_700_000_000 * SECOND_NS


class Stopwatch(threading.Event):
    """A clock that only moves when somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return self.is_set()


def session_of(path, messages):
    """A session of (seconds after T0, message) pairs."""
    with SessionWriter(path, site_as_json(site_on(free_bus(), sensors=2))) as writer:
        for after_s, message in messages:
            at_ns = T0 + round(after_s * SECOND_NS)
            later = msgspec.structs.replace(message, t_ns=at_ns - 10_000_000)
            writer.write(Received(later.topic, later, Stamp("b", at_ns), encode(later)), at_ns)
    return path


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=20), st.sampled_from([0.5, 1.0, 4.0]))
def test_items_come_when_their_time_has_come_and_never_before(times, rate):
    watch = Stopwatch()
    for at_ns in paced(times, lambda t: t, rate, watch, clock=lambda: watch.now):
        assert watch.now >= 100.0 + (at_ns - times[0]) / 1e9 / rate - 1e-6
    assert watch.now == pytest.approx(100.0 + max(0, max(times) - times[0]) / 1e9 / rate)


def test_rate_zero_never_waits_and_stop_ends():
    watch = Stopwatch()
    given_out = []
    for at_ns in paced(range(0, 10**12, 10**9), lambda t: t, 0.0, watch):
        given_out.append(at_ns)
        if len(given_out) == 7:
            watch.set()
    assert watch.now == 100.0
    assert len(given_out) == 7


def test_only_sensors_are_played_and_in_file_order(tmp_path):
    said = [camera(seq=5), scene(), health("camera-1"), health("fusion"), radar("radar-9"), camera("camera-2")]
    session = Session(session_of(tmp_path / "a.mcap", [(n * 0.1, m) for n, m in enumerate(said)]))
    assert [p.message.topic for p in player.sensed(session)] == [
        "camera/camera-1",
        "health/camera-1",
        "radar/radar-9",
        "camera/camera-2",
    ]
    assert [p.message.topic for p in player.sensed(session, start_s=0.35)] == ["radar/radar-9", "camera/camera-2"]


def test_a_loop_runs_forward_in_time(tmp_path):
    session = Session(session_of(tmp_path / "a.mcap", [(0.0, camera()), (1.0, camera()), (3.0, camera())]))
    times = []
    for message, at_ns in player.looped(session):
        times.append((message.t_ns - T0) / SECOND_NS)
        assert at_ns - message.t_ns == 10_000_000
        if len(times) == 7:
            break
    assert times == pytest.approx([-0.01, 0.99, 2.99, 3.49, 4.49, 6.49, 6.99])


def test_an_empty_session_does_not_loop_for_ever(tmp_path):
    assert list(player.looped(Session(session_of(tmp_path / "a.mcap", [(0.0, scene())])))) == []


def test_nothing_is_played_before_somebody_listens_to_every_sensor(tmp_path):
    bus = free_bus()
    path = session_of(tmp_path / "a.mcap", [(n * 0.02, camera(f"camera-{n % 2 + 1}")) for n in range(50)])
    site = site_on(bus, sensors=2)
    options = {"session": str(path), "rate": "2", "wait_for": "fusion"}
    config = NodeConfig(name="player", site=site, run_dir=str(tmp_path), options=options)
    with running_hub(bus), node(player.main, config), Publisher(bus, "fusion") as fusion:
        time.sleep(0.3)  # long enough for the whole session, if it did not wait
        with Subscriber(bus, ["camera/camera-1", "camera/camera-2"]) as subscriber:
            assert subscriber.receive(0.3) is None  # fusion is not up yet
            fusion.publish(health("fusion"))
            started = time.monotonic()
            received = [subscriber.receive(5) for _ in range(50)]
            assert 0.4 < time.monotonic() - started < 10  # 0.98 s at twice the pace
    messages = [r.message for r in received if r]
    assert all(isinstance(m, CameraFrame) for m in messages)
    assert [m.source for m in messages] == ["camera-1", "camera-2"] * 25
    assert [m.t_ns for m in messages] == [T0 + n * 20_000_000 - 10_000_000 for n in range(50)]
    assert [m.seq for m in messages if m.source == "camera-1"] == list(range(25))


def test_the_player_ends_with_the_session_and_says_what_it_played(tmp_path):
    bus = free_bus()
    path = session_of(tmp_path / "a.mcap", [(0, camera()), (0.1, camera())])
    config = NodeConfig(
        name="player", site=site_on(bus), run_dir=str(tmp_path), options={"session": str(path), "rate": "0"}
    )
    with running_hub(bus), Subscriber(bus, ["camera/", "health/player"]) as subscriber:
        with Publisher(bus, "probe") as probe:
            assert probe.wait_until_heard(["camera/camera-1"], 5) == []
        player.main(config, threading.Event())
        said = []
        wait_for(lambda: ((r := subscriber.receive(0.1)) and said.append(r.message)) or len(said) >= 5)
    assert [m.topic for m in said if isinstance(m, CameraFrame)] == ["camera/camera-1"] * 2
    last = said[-1]
    assert (last.state, last.counters["messages"]) == ("stopped", 2)
