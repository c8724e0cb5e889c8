"""The typed codec of a 64-point radar frame against bare msgpack: packing and unpacking the same raw bytes as a dict.

Ours decodes into a checked, typed message with arrays; the peer does nothing of the kind: it packs a dict whose arrays
are bytes already, and unpacks it with one numpy.frombuffer. Batches are interleaved; the median batch counts.
"""

import json
from collections.abc import Callable
from statistics import median
from time import perf_counter_ns
from typing import Any

import msgpack
import numpy as np
from whowhere.messages import RadarFrame, decode, encode

BATCHES, CALLS = 60, 500


def frame() -> RadarFrame:
    cloud = np.random.default_rng(1).normal(size=(64, 5)).astype("f4")
    return RadarFrame(source="radar-1", t_ns=1_700_000_000_000_000_000, seq=12_345, points=cloud, frame_number=12_345)


def peer_pack(message: RadarFrame) -> bytes:
    packed = msgpack.packb(
        {
            "kind": "radar",
            "source": message.source,
            "t_ns": message.t_ns,
            "seq": message.seq,
            "v": message.v,
            "points": message.points.tobytes(),
            "frame_number": message.frame_number,
            "targets": None,
            "target_index": None,
            "presence": None,
        }
    )
    assert packed is not None
    return packed


def peer_unpack(body: bytes) -> dict[str, Any]:
    fields = msgpack.unpackb(body)
    fields["points"] = np.frombuffer(fields["points"], "<f4").reshape(-1, 5)
    return fields


def interleaved(*calls: Callable[[], object]) -> list[float]:
    """The median time of each call, in us."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(BATCHES):
        for call, mine in zip(calls, times, strict=True):
            started = perf_counter_ns()
            for _ in range(CALLS):
                call()
            mine.append((perf_counter_ns() - started) / CALLS / 1e3)
    return [median(mine) for mine in times]


def run() -> list[dict[str, Any]]:
    """Rows of case, ours, peer, peer_name, unit, ratio (above 1: ours is better)."""
    message = frame()
    body, peer_body = encode(message), peer_pack(message)
    assert np.array_equal(decode(body).points, peer_unpack(peer_body)["points"])  # type: ignore[union-attr]
    times = interleaved(
        lambda: encode(message),
        lambda: peer_pack(message),
        lambda: decode(body),
        lambda: peer_unpack(peer_body),
    )
    cases = (("pack", *times[:2]), ("unpack", *times[2:]), ("pack + unpack", times[0] + times[2], times[1] + times[3]))
    return [
        {
            "case": f"{what} a radar frame of 64 points ({len(body)} B)",
            "ours": round(ours, 2),
            "peer": round(peer, 2),
            "peer_name": "msgpack, raw bytes in a dict",
            "unit": "us",
            "ratio": round(peer / ours, 3),
        }
        for what, ours, peer in cases
    ]


if __name__ == "__main__":
    print(json.dumps({"bench": "codec", "rows": run()}, indent=1))
