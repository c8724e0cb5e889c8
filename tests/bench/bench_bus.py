"""The bus, two hops through the hub, against one bare pyzmq PUB/SUB hop: latency and throughput in the same run.

Three ways, each with its receiver in a process of its own and the hub in a fourth: `hub` moves ready-made frames, as
the peer does, and so measures the hub alone; `bus` publishes typed radar frames through Publisher and Subscriber, so
that coding, numbering and counting are in its figures; the peer is one bare hop. All three stand open at once: latency
is taken by sending on each in turn, so that what else the machine does hits all alike; throughput in short turns.
Medians of rounds. Senders keep at most WINDOW messages unanswered, so that nothing is dropped and every message counts.
"""

import json
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zmq
from whowhere.messages import RadarFrame, Stamp, encode, encode_stamp
from whowhere.nodes import hub, reach
from whowhere.nodes.bus import Publisher, Subscriber, require_hub
from whowhere.nodes.node import NodeConfig
from whowhere.sitefile import Area, Bus, Site

sys.path.insert(0, str(Path(__file__).parent.parent))
from buses import free_bus

ROUNDS, LATENCY_MESSAGES, GAP_S, WINDOW = 7, 300, 0.0015, 400
WAYS = ("hub", "bus", "bare")
SIZES = {"1.4 kB (64 points)": (64, 10_000), "20 kB (1000 points)": (1000, 4_000)}  # points, messages for throughput
Sender = Callable[[int], None]  # takes monotonic ns


def frame(points: int) -> RadarFrame:
    cloud = np.random.default_rng(1).normal(size=(points, 5)).astype("f4")
    return RadarFrame(source="radar-1", t_ns=0, points=cloud, frame_number=0)


def serve_hub(bus: Bus) -> None:
    site = Site(name="bench", area=Area(x_m=(0, 1), y_m=(0, 1)), bus=bus)
    hub.main(NodeConfig(name="hub", site=site, run_dir="/tmp"), threading.Event())


def receive(way: str, bus: Bus, latencies: Any, received: "Synchronized[int]") -> None:
    """Counts messages in `received`; the latency of the n-th (ns) goes to latencies[n]."""
    take = take_typed(bus) if way == "bus" else take_raw(bus, way)
    while True:
        sent_ns = take()
        latencies[received.value % len(latencies)] = time.monotonic_ns() - sent_ns
        received.value += 1


def take_typed(bus: Bus) -> Callable[[], int]:
    subscriber = Subscriber(bus, ["radar/"])

    def take() -> int:
        while not (got := subscriber.receive(1.0)):
            pass
        return got.message.t_ns

    return take


def take_raw(bus: Bus, way: str) -> Callable[[], int]:
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.set_hwm(1000)
    socket.setsockopt(zmq.SUBSCRIBE, b"raw/")
    socket.connect(reach.endpoint(bus) if way == "hub" else reach.endpoint(bus, 3))
    return lambda: int.from_bytes(socket.recv_multipart()[1], "little")


def open_typed(bus: Bus, message: RadarFrame) -> tuple[Sender, Callable[[], None]]:
    publisher = Publisher(bus, "radar-1")
    assert not publisher.wait_until_heard([message.topic], 10)

    def send(now_ns: int) -> None:
        publisher.publish(msgspec.structs.replace(message, t_ns=now_ns))
        assert publisher.counters["dropped"] == 0

    return send, publisher.close


def open_raw(bus: Bus, message: RadarFrame, way: str) -> tuple[Sender, Callable[[], None]]:
    socket = zmq.Context.instance().socket(zmq.XPUB)
    socket.set_hwm(1000)
    if way == "hub":
        socket.connect(reach.endpoint(bus, reach.PUBLISHERS))
    else:
        socket.bind(reach.endpoint(bus, 3))
    while socket.recv() != b"\x01raw/":
        pass
    topic, body = b"raw/radar-1", encode(message)
    socket.setsockopt(zmq.XPUB_NODROP, 1)
    assert len(encode_stamp(Stamp("bootboot", 1))) >= 8

    def send(now_ns: int) -> None:
        socket.send_multipart((topic, now_ns.to_bytes(18, "little"), body))  # 18 bytes, as a stamp has

    return send, lambda: socket.close(0)


@contextmanager
def process(target: Callable[..., None], *args: Any) -> Any:
    child = multiprocessing.get_context("spawn").Process(target=target, args=args, daemon=True)
    child.start()
    try:
        yield
    finally:
        child.kill()
        child.join()


class Way:
    """One way from here to a receiver process: `send(monotonic ns)`; `received.value` messages have come through."""

    def __init__(self, name: str, bus: Bus, message: RadarFrame, undo: ExitStack) -> None:
        context = multiprocessing.get_context("spawn")
        self.latencies = context.Array("q", LATENCY_MESSAGES, lock=False)
        self.received = context.Value("q", 0, lock=False)
        self.sent = 0
        undo.enter_context(process(receive, name, bus, self.latencies, self.received))
        self._send, close = open_typed(bus, message) if name == "bus" else open_raw(bus, message, name)
        undo.callback(close)

    def send(self) -> None:
        self._send(time.monotonic_ns())
        self.sent += 1

    def settle(self, unanswered: int = 0) -> None:
        until(lambda: self.sent - self.received.value <= unanswered)


def latency_us(ways: dict[str, Way]) -> dict[str, tuple[float, float]]:
    """Per way p50 and p99 of LATENCY_MESSAGES, sent in turn."""
    for _ in range(LATENCY_MESSAGES):
        for way in ways.values():
            way.send()
            time.sleep(GAP_S)
    for way in ways.values():
        way.settle()
    return {name: tuple(np.percentile(np.array(way.latencies[:]) / 1e3, [50, 99])) for name, way in ways.items()}


def rate_hz(way: Way, messages: int) -> float:
    """Messages a second at full speed, first send to last receipt."""
    started = time.perf_counter()
    for number in range(messages):
        if number % 50 == 0:
            way.settle(WINDOW)
        way.send()
    way.settle()
    return messages / (time.perf_counter() - started)


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end, "messages were lost"
        time.sleep(0.0002)


def measure(points: int, messages: int) -> list[dict[str, dict[str, float]]]:
    """Per round and way: {"latency p50", "latency p99"} in us, {"throughput"} in messages/s."""
    bus, rounds = free_bus(), []
    with ExitStack() as undo:
        undo.enter_context(process(serve_hub, bus))
        require_hub(bus, 10)
        ways = {name: Way(name, bus, frame(points), undo) for name in WAYS}
        time.sleep(0.2)
        for number in range(ROUNDS):
            spread = latency_us(ways)
            order = [WAYS[(number + turn) % len(WAYS)] for turn in range(len(WAYS))]
            rates = {name: rate_hz(ways[name], messages) for name in order}
            rounds.append(
                {
                    name: {"latency p50": p50, "latency p99": p99, "throughput": rates[name]}
                    for name, (p50, p99) in spread.items()
                }
            )
    return rounds


def run() -> list[dict[str, Any]]:
    """Rows of case, ours, peer, peer_name, unit, ratio (above 1: ours is better)."""
    rows = []
    for size, (points, messages) in SIZES.items():
        rounds = measure(points, messages)
        for way in ("hub", "bus"):
            for what in ("latency p50", "latency p99", "throughput"):
                ours, peer = (statistics.median(one[side][what] for one in rounds) for side in (way, "bare"))
                rows.append(
                    {
                        "case": f"{way} {what}, {size}",
                        "ours": round(ours, 1),
                        "peer": round(peer, 1),
                        "peer_name": "pyzmq PUB/SUB, one hop",
                        "unit": "messages/s" if what == "throughput" else "us",
                        "ratio": round(ours / peer if what == "throughput" else peer / ours, 3),
                    }
                )
    return rows


if __name__ == "__main__":
    print(json.dumps({"bench": "bus", "rows": run()}, indent=1))
