"""The bus: order, loss, garbage, reconnection, the snapshot, the clock, and keys."""

import threading
import time
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq
from buses import free_bus, radar, running_hub, scene, wait_for
from whowhere.messages import BadMessage, Checkpoint, Health, SiteInForce, Stamp, decode, encode, encode_stamp
from whowhere.nodes import hub, reach
from whowhere.nodes.bus import BusError, Publisher, Service, Subscriber, keygen, require_hub, snapshot, unpack
from whowhere.nodes.health import SAID_AFTER_S, Heartbeat, HostClock, memory_mb
from whowhere.nodes.subscription import bus_at, subscribe
from whowhere.sitefile import Bus


def test_messages_arrive_in_order_and_as_they_were_sent():
    bus = free_bus()
    with running_hub(bus), Subscriber(bus, ["radar/"]) as subscriber, Publisher(bus, "radar-1") as publisher:
        assert publisher.wait_until_heard(["radar/radar-1"], 5) == []
        for number in range(200):
            publisher.publish(radar(number=number))
        received = [subscriber.receive(2) for _ in range(200)]
    assert [r.message.seq for r in received if r] == list(range(200))
    last = received[-1]
    assert last is not None
    assert last.topic == "radar/radar-1"
    assert last.stamp.boot == publisher.boot
    assert last.stamp.t_sent_ns <= time.time_ns()
    assert encode(last.message) == last.body
    assert np.array_equal(decode(last.body).points, np.ones((3, 5), "f4"))  # type: ignore[union-attr]
    assert subscriber.counters == {"received": 200, "malformed": 0, "missed": 0}
    assert publisher.counters == {"sent": 200, "dropped": 0}


def test_a_gap_in_seq_is_counted():
    bus = free_bus()
    with running_hub(bus), Subscriber(bus, ["radar/"]) as subscriber, Publisher(bus, "radar-1") as publisher:
        publisher.wait_until_heard(["radar/radar-1"], 5)
        for seq in (0, 1, 5, 6, 8):
            publisher.forward(msgspec.structs.replace(radar(), seq=seq))
        assert all(subscriber.receive(2) for _ in range(5))
        assert subscriber.counters["missed"] == 4


def test_garbage_on_the_bus_is_counted_and_never_crashes():
    bus = free_bus()
    stamp = encode_stamp(Stamp("b", 1))
    garbage = [
        [b"radar/x"],
        [b"radar/x", b"", b""],
        [b"radar/x", stamp, b"\xff" * 50],
        [b"radar/x", b"nonsense", encode(radar("x"))],
        [b"radar/other", stamp, encode(radar("x"))],
        [b"radar/\xff\xfe", stamp, encode(radar("x"))],
        [b"radar/x", stamp, encode(radar("x")), b"more"],
        [b"radar/x", stamp, msgspec.msgpack.encode({"kind": "radar", "source": "x", "t_ns": -1})],
    ]
    with running_hub(bus), Subscriber(bus, ["radar/"]) as subscriber, Publisher(bus, "x") as publisher:
        publisher.wait_until_heard(["radar/x"], 5)
        for frames in garbage:
            publisher._socket.send_multipart(frames)
        publisher.publish(radar("x"))
        received = subscriber.receive(5)
        assert received is not None
        assert received.message.source == "x"
        assert subscriber.counters["malformed"] == len(garbage)


def test_unpack_refuses_a_message_under_a_wrong_topic():
    with pytest.raises(BadMessage, match=r"radar/radar-1 under the topic b'radar/y'"):
        unpack([b"radar/y", encode_stamp(Stamp("b", 1)), encode(radar())])


def test_a_full_queue_drops_and_counts_without_blocking():
    bus = free_bus()
    with running_hub(bus), Subscriber(bus, ["radar/"]), Publisher(bus, "radar-1", queue=5) as publisher:
        publisher.wait_until_heard(["radar/radar-1"], 5)
        big = msgspec.structs.replace(radar(), points=np.ones((50_000, 5), "f4"))
        started = time.monotonic()
        for _ in range(100):
            publisher.publish(big)
        assert time.monotonic() - started < 5
        assert publisher.counters["dropped"] > 0
        assert publisher.counters["sent"] + publisher.counters["dropped"] == 100


def test_both_sides_reconnect_when_the_hub_dies_and_comes_back():
    bus = free_bus()
    with Subscriber(bus, ["radar/"]) as subscriber:
        with running_hub(bus):
            publisher = Publisher(bus, "radar-1")
            assert publisher.wait_until_heard(["radar/radar-1"], 5) == []
            publisher.publish(radar(number=1))
            assert subscriber.receive(5) is not None
        wait_for(lambda: not publisher.is_heard("radar/radar-1"))
        publisher.publish(radar(number=2))  # lost, not delivered late
        with running_hub(bus):
            wait_for(lambda: subscriber.receive(0.01) or publisher.is_heard("radar/radar-1"))
            publisher.publish(radar(number=3))
            received = subscriber.receive(5)
            assert received is not None
            assert received.message.frame_number == 3  # type: ignore[union-attr]
            assert subscriber.counters["missed"] == 1
        publisher.close()


def test_a_late_joiner_gets_the_last_of_each_kept_topic_only():
    bus = free_bus()
    with running_hub(bus), Publisher(bus, "fusion") as publisher:
        for t_ns in (1, 2, 3):
            publisher.publish(scene(t_ns))
            publisher.publish(radar(t_ns=t_ns))
        publisher.publish(Checkpoint(source="fusion", t_ns=3, state=b"s", site_hash="h"))
        wait_for(lambda: any(r.topic == "checkpoint/fusion" for r in snapshot(bus)))
        kept = {r.topic: r for r in snapshot(bus)}
        assert kept["scene/fusion"].message.t_ns == 3
        assert kept["scene/fusion"].stamp.boot == publisher.boot
        assert isinstance(kept["site/test"].message, SiteInForce)
        assert "radar/radar-1" not in kept
        assert [r.topic for r in snapshot(bus, ["scene/"])] == ["scene/fusion"]


def test_the_hub_answers_nonsense_with_a_sentence_and_goes_on():
    bus = free_bus()
    with running_hub(bus), Service(bus) as service, zmq.Context() as context:
        with context.socket(zmq.REQ) as plain:  # any language's plain REQ socket will do
            plain.connect(reach.endpoint(bus, reach.SERVICES))
            plain.send(b"rubbish")
            assert plain.poll(5000)
            assert plain.recv_multipart()[0] == b"error"
        with context.socket(zmq.DEALER) as rude:
            rude.linger = 0
            rude.connect(reach.endpoint(bus, reach.SERVICES))
            rude.send(b"no envelope")
            assert service.clock(5) is not None


def test_clock_measures_little_offset_on_one_machine():
    bus = free_bus()
    with running_hub(bus), Service(bus) as service:
        clock = HostClock(service)
        wait_for(lambda: clock.offset_s() is not None and clock.is_settled)
        offset_s = clock.offset_s()
    assert offset_s is not None
    assert abs(offset_s) < 0.03


def test_host_clock_trusts_the_shortest_round_trip():
    class Answers:
        def __init__(self) -> None:
            self.left = [(0.5, 0.9), (0.1, 0.001), (-0.4, 0.8)]

        def clock(self, timeout_s: float) -> tuple[float, float] | None:
            return self.left.pop(0) if self.left else None

    clock = HostClock(Answers())  # type: ignore[arg-type]
    assert [clock.offset_s() for _ in range(4)] == [0.5, 0.1, 0.1, 0.1]


def test_heartbeats_come_once_a_second_with_rate_lag_and_memory():
    bus = free_bus()
    with running_hub(bus), Subscriber(bus, ["health/radar-1"]) as subscriber, Publisher(bus, "radar-1") as publisher:
        publisher.wait_until_heard(["health/radar-1"], 5)
        heartbeat = Heartbeat(publisher, "radar-1")
        beats: list[Health] = []

        def turn() -> bool:
            frame = radar(t_ns=time.time_ns() - 20_000_000)
            publisher.publish(frame)
            heartbeat.count(frame)
            heartbeat.beat(counters={"bad_frames": 7})
            beats.extend(r.message for r in [subscriber.receive(0.05)] if r and isinstance(r.message, Health))
            return len(beats) >= 2 and beats[-1].clock_offset_s is not None

        wait_for(turn, 15)
        heartbeat.beat("lost", "unplugged")  # a new state does not wait for its second
        last = subscriber.receive(5)
    assert last is not None
    assert (last.message.state, last.message.detail) == ("lost", "unplugged")  # type: ignore[union-attr]
    assert [beat.state for beat in beats] == ["ok"] * len(beats)
    assert all(later.t_ns - earlier.t_ns > 900_000_000 for earlier, later in pairwise(beats))
    beat = beats[-1]
    assert 0 < beat.rate_hz < 20.5
    assert beat.lag_s >= 0.02
    assert beat.counters["bad_frames"] == 7
    assert abs(beat.clock_offset_s or 0.0) < 0.03  # half of the longest round trip that is waited for
    assert beat.memory_mb is not None
    assert beat.memory_mb > 5


def test_trouble_that_lasts_is_said_in_the_terminal_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    with Publisher(free_bus(), "sniffer-1", wait_s=0.0) as publisher:
        heartbeat = Heartbeat(publisher, "sniffer-1", clock_offset_s=0.0)
        for state in ("starting", "refused", "lost", "refused", "ok", "lost", "refused"):
            heartbeat.beat(state, "no such source")  # type: ignore[arg-type]
        heartbeat.beat("ok")
        heartbeat.beat("refused", "the disk is full", is_said=True)
        assert capsys.readouterr().err == "sniffer-1: no such source\n" * 2
        monkeypatch.setitem(SAID_AFTER_S, "lost", 0.01)
        for _ in range(3):
            heartbeat.beat("lost", "unplugged")
            time.sleep(0.01)
    assert capsys.readouterr().err == "sniffer-1: unplugged\n"


def test_memory_is_known_on_linux():
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("no /proc/self/smaps_rollup on this system")
    assert 5 < (memory_mb() or 0) < 10_000


def test_a_second_hub_says_that_the_endpoint_is_in_use():
    bus = free_bus()
    with running_hub(bus):
        require_hub(bus, 5)
        with pytest.raises(BusError, match=r"is in use: another whowhere.*bus.port"):
            hub.Hub(bus)
        require_hub(bus, 5)


def test_no_hub_is_a_sentence():
    with pytest.raises(BusError, match=r"no hub answers at tcp://127.0.0.1:\d+: is `whowhere up"):
        require_hub(free_bus(), 0.1)
    with pytest.raises(BusError, match="no hub answers"):
        snapshot(free_bus(), timeout_s=0.1)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "hub.example.org"])
def test_beyond_loopback_keys_are_required(host):
    bus = Bus(host=host)
    for attempt in (lambda: hub.Hub(bus), lambda: Publisher(bus, "x"), lambda: Subscriber(bus, [""])):
        with pytest.raises(BusError, match="whowhere keygen DIR"):
            attempt()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.3.2.1"])
def test_loopback_needs_no_keys(host):
    reach.check_reach(Bus(host=host))


def test_keys_let_in_those_who_have_them_and_nobody_else(tmp_path):
    files = keygen(tmp_path / "keys")
    assert {file.name for file in files} == {"hub.key", "hub.key_secret", "node.key", "node.key_secret"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    with pytest.raises(BusError, match="holds keys already"):
        keygen(tmp_path / "keys")
    bus = free_bus(str(tmp_path / "keys"))
    keygen(tmp_path / "stranger")
    stranger = msgspec.structs.replace(bus, keys=str(tmp_path / "stranger"))
    impostor = tmp_path / "impostor"  # knows the hub's public key, but is not among its keys
    keygen(impostor)
    (impostor / "hub.key").write_bytes((tmp_path / "keys" / "hub.key").read_bytes())
    with running_hub(bus), Subscriber(bus, ["radar/"]) as subscriber, Publisher(bus, "radar-1") as publisher:
        assert publisher.wait_until_heard(["radar/radar-1"], 5) == []
        publisher.publish(radar())
        assert subscriber.receive(5) is not None
        assert snapshot(bus)
        for outsider in (stranger, msgspec.structs.replace(bus, keys=str(impostor)), Bus(port=bus.port)):
            with pytest.raises(BusError, match="no hub answers"):
                require_hub(outsider, 0.5)


def test_missing_keys_are_a_sentence(tmp_path):
    with pytest.raises(BusError, match=r"is not a readable key: run `whowhere keygen"):
        Publisher(Bus(keys=str(tmp_path)), "x")


def test_subscribe_gives_the_present_first_and_then_what_comes():
    from whowhere.messages import Location, Person

    def person(name: str, x_m: float) -> Person:
        return Person(
            id=name,
            x_m=x_m,
            y_m=0.0,
            covariance_m2=(1.0, 0.0, 1.0),
            velocity_m_s=(0.0, 0.0),
            candidates=((name, 1.0),),
            state="confirmed",
            sources=(),
            since_ns=0,
        )

    bus = free_bus()
    with running_hub(bus), Publisher(bus, "fusion") as publisher:
        publisher.publish(msgspec.structs.replace(scene(10), people=(person("Al", 1.0), person("Alice", 2.0))))
        wait_for(lambda: snapshot(bus, ["scene/"]))
        everybody, al = subscribe(reach.endpoint(bus)), subscribe(reach.endpoint(bus), "Al")
        assert [next(everybody).id, next(everybody).id, next(al).id] == ["Al", "Alice", "Al"]
        assert publisher.wait_until_heard(["location/Al", "location/Alice"], 5) == []
        for name, t_ns in (("Alice", 10), ("Alice", 20), ("Al", 20)):
            fields = msgspec.structs.asdict(person(name, 3.0))
            publisher.publish(Location(source="fusion", t_ns=t_ns, **fields))
        live = next(everybody)
        assert (live.id, live.t_ns, live.x_m) == ("Alice", 20, 3.0)  # t = 10 was in the scene
        assert (next(al).id, next(everybody).id) == ("Al", "Al")


@pytest.mark.parametrize("address", ["", "tcp://", "tcp://host", "http://h:1", "tcp://127.0.0.1:99999", "a:b"])
def test_a_wrong_address_is_a_sentence(address):
    with pytest.raises(BusError, match=r'is not an address like "tcp://127.0.0.1:7310"'):
        bus_at(address)


def test_nothing_is_left_running_after_a_hub():
    bus = free_bus()
    before = threading.active_count()
    with running_hub(bus):
        require_hub(bus, 5)
    assert threading.active_count() == before
