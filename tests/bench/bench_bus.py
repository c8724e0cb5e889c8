"""The bus, two hops through the hub, against one bare pyzmq PUB/SUB hop: latency and throughput in the same run.

Three ways, each with its receiver in a process of its own and the hub in a third: `hub` moves ready-made frames, as the
peer does, and so measures the hub alone; `bus` publishes typed radar frames through Publisher and Subscriber, so that
coding, numbering and counting are in its figures; the peer is one bare hop. Rounds are interleaved; medians of rounds.
Senders keep at most WINDOW messages unanswered, so that nothing is ever dropped and every message is counted.
"""

import json
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
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

ROUNDS, LATENCY_MESSAGES, LATENCY_HZ, WINDOW = 5, 150, 200, 400
SIZES = {"1.4 kB (64 points)": (64, 15_000), "20 kB (1000 points)": (1000, 8_000)}  # points, messages for throughput
Sender = Callable[[int, int], None]  # (monotonic ns, number)


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
    socket.setsockopt(zmq.SUBSCRIBE, b"radar/")
    socket.connect(reach.endpoint(bus) if way == "hub" else reach.endpoint(bus, 3))
    return lambda: int.from_bytes(socket.recv_multipart()[1], "little")


def open_typed(bus: Bus, message: RadarFrame) -> tuple[Sender, Callable[[], None]]:
    publisher = Publisher(bus, "radar-1")
    assert not publisher.wait_until_heard([message.topic], 10)

    def send(now_ns: int, number: int) -> None:
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
    while socket.recv() != b"\x01radar/":
        pass
    topic, body = message.topic.encode(), encode(message)
    socket.setsockopt(zmq.XPUB_NODROP, 1)
    assert len(encode_stamp(Stamp("bootboot", 1))) >= 8

    def send(now_ns: int, number: int) -> None:
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


def round_trip(way: str, bus: Bus, points: int, messages: int) -> dict[str, float]:
    """One round: {"p50", "p99"} in us at LATENCY_HZ, then {"rate"} in messages/s at full speed."""
    context = multiprocessing.get_context("spawn")
    latencies, received = context.Array("q", LATENCY_MESSAGES, lock=False), context.Value("q", 0, lock=False)
    with process(receive, way, bus, latencies, received):
        send, close = open_typed(bus, frame(points)) if way == "bus" else open_raw(bus, frame(points), way)
        time.sleep(0.1)
        for number in range(LATENCY_MESSAGES):
            send(time.monotonic_ns(), number)
            time.sleep(1 / LATENCY_HZ)
        until(lambda: received.value >= LATENCY_MESSAGES)
        p50_us, p99_us = np.percentile(np.array(latencies[:]) / 1e3, [50, 99])
        started = time.perf_counter()
        for number in range(messages):
            if number % 50 == 0:
                until(lambda number=number: LATENCY_MESSAGES + number - received.value < WINDOW)
            send(time.monotonic_ns(), number)
        until(lambda: received.value >= LATENCY_MESSAGES + messages)
        rate = messages / (time.perf_counter() - started)
        close()
    return {"p50": float(p50_us), "p99": float(p99_us), "rate": rate}


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end, "messages were lost"
        time.sleep(0.0002)


def run() -> list[dict[str, Any]]:
    """Rows of case, ours, peer, peer_name, unit, ratio (above 1: ours is better)."""
    rows = []
    for name, (points, messages) in SIZES.items():
        bus = free_bus()
        with process(serve_hub, bus):
            require_hub(bus, 10)
            rounds = [
                {way: round_trip(way, bus, points, messages) for way in ("hub", "bus", "bare")} for _ in range(ROUNDS)
            ]
        for way in ("hub", "bus"):
            for figure, unit in (("p50", "us"), ("p99", "us"), ("rate", "messages/s")):
                ours, peer = (statistics.median(r[side][figure] for r in rounds) for side in (way, "bare"))
                ratio = ours / peer if figure == "rate" else peer / ours
                what = "throughput" if figure == "rate" else f"latency {figure}"
                rows.append(
                    {
                        "case": f"{way} {what}, {name}",
                        "ours": round(ours, 1),
                        "peer": round(peer, 1),
                        "peer_name": "pyzmq PUB/SUB, one hop",
                        "unit": unit,
                        "ratio": round(ratio, 3),
                    }
                )
    return rows


if __name__ == "__main__":
    print(json.dumps({"bench": "bus", "rows": run()}, indent=1))
