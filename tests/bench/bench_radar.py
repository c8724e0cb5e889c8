"""The radar parser against two naive ones: value by value with struct, and byte by byte to the magic word; the
second finds the magic word with one call, so that decoding alone is compared.

Same chunks, same acceptance rules (all TLVs there before the next magic word, slack, ranges, a refused packet costs one
byte), the same RadarFrame messages out; the naive ones leave labels, time stamps, gaps and counters away.
"""

import gc
import math
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from whowhere.drivers.radar.encode import encode_oob_frame, encode_people_frame
from whowhere.drivers.radar.frames import RadarParser
from whowhere.drivers.radar.headers import MAGIC
from whowhere.messages import RadarFrame

UART = Path(__file__).resolve().parents[3] / "shared" / "data" / "radar_uart"
ROUNDS = 7
_KNOWN = (1, 2, 3, 4, 5, 6, 7, 8, 9, 1000, 1010, 1011, 1012, 1020, 1021)


class NaiveParser:
    """What most scripts do: lists of values, made arrays at the end."""

    name = "naive per-value struct parser"

    def __init__(self) -> None:
        self.buffer = b""
        self.scanned = 0

    def feed(self, data: bytes) -> list[RadarFrame]:
        self.buffer += data
        frames: list[RadarFrame] = []
        while True:
            start = self._find(0)
            if start < 0:
                self.buffer = self.buffer[-7:]
                break
            self.buffer = self.buffer[start:]
            following = self._find(max(8, self.scanned - 7))
            self.scanned = 0 if following >= 0 else len(self.buffer)
            end = following if following >= 0 else len(self.buffer) - self._open_magic()
            outcome = self._packet(end)
            if outcome == "missing" and following < 0:
                break
            self.scanned = 0
            if isinstance(outcome, str):
                self.buffer = self.buffer[1:]
                continue
            frame, length = outcome
            frames.append(frame)
            self.buffer = self.buffer[length:]
        return frames

    def _find(self, at: int) -> int:
        for position in range(at, len(self.buffer) - 7):
            if self.buffer[position : position + 8] == MAGIC:
                return position
        return -1

    def _open_magic(self) -> int:
        """How many bytes at the end may be the start of a magic word."""
        return next((count for count in range(7, 0, -1) if self.buffer[-count:] == MAGIC[:count]), 0)

    def _packet(self, end: int) -> str | tuple[RadarFrame, int]:
        if end < 40:
            return "missing"
        length = struct.unpack("<I", self.buffer[12:16])[0]
        number = struct.unpack("<I", self.buffer[20:24])[0]
        count = struct.unpack("<I", self.buffer[32:36])[0]
        if not 40 <= length <= 32768 or count > 16:
            return "wrong"
        at, tlvs = 40, []
        for _ in range(count):
            if at + 8 > length:
                return "wrong"
            if at + 8 > end:
                return "missing"
            kind = struct.unpack("<I", self.buffer[at : at + 4])[0]
            size = struct.unpack("<I", self.buffer[at + 4 : at + 8])[0]
            if at + 8 + size > length:
                return "wrong"
            tlvs.append((kind, at + 8, size))
            at += 8 + size
        if length - at > 31 or (tlvs and all(kind not in _KNOWN for kind, _, _ in tlvs)):
            return "wrong"
        if at > end:
            return "missing"
        content = self._contents(tlvs)
        if content is None:
            return "wrong"
        points, targets = (np.array(rows, "<f4") for rows in content)
        return RadarFrame(
            source="r1", t_ns=10**18, points=points, frame_number=number, targets=targets if len(targets) else None
        ), at

    def _contents(self, tlvs: list[tuple[int, int, int]]) -> tuple[list[list[float]], list[list[float]]] | None:
        points: list[list[float]] = []
        targets: list[list[float]] = []
        for kind, at, size in tlvs:
            if kind == 1:
                points = [[*self._floats(row, 4), 0.0] for row in range(at, at + size, 16)]
            elif kind == 7:
                for index, row in enumerate(range(at, at + size, 4)):
                    points[index][4] = struct.unpack("<h", self.buffer[row : row + 2])[0] * 0.1
            elif kind == 1020:
                points = self._compressed(at, size)
            elif kind == 1010:
                targets = [self._target(row) for row in range(at, at + size, 112)]
            elif kind == 1012:
                for index, row in enumerate(range(at, at + size, 12)):
                    targets[index][8] = self._floats(row + 4, 1)[0]
        for point in points:
            if not all(math.isfinite(value) for value in point) or any(abs(value) >= 30 for value in point[:3]):
                return None
        return points, targets

    def _floats(self, at: int, count: int) -> list[float]:
        return [struct.unpack("<f", self.buffer[at + 4 * i : at + 4 * i + 4])[0] for i in range(count)]

    def _compressed(self, at: int, size: int) -> list[list[float]]:
        units = self._floats(at, 5)
        points = []
        for row in range(at + 20, at + size, 8):
            elevation = struct.unpack("<b", self.buffer[row : row + 1])[0] * units[0]
            azimuth = struct.unpack("<b", self.buffer[row + 1 : row + 2])[0] * units[1]
            doppler = struct.unpack("<h", self.buffer[row + 2 : row + 4])[0] * units[2]
            distance = struct.unpack("<H", self.buffer[row + 4 : row + 6])[0] * units[3]
            snr = struct.unpack("<H", self.buffer[row + 6 : row + 8])[0] * units[4]
            ground = distance * math.cos(elevation)
            x, y, z = ground * math.sin(azimuth), ground * math.cos(azimuth), distance * math.sin(elevation)
            points.append([x, y, z, doppler, 10 * math.log10(max(snr, units[4]))])
        return points

    def _target(self, at: int) -> list[float]:
        tid = struct.unpack("<I", self.buffer[at : at + 4])[0]
        values = self._floats(at + 4, 27)
        return [tid, *values[:6], values[26], -1.0]


class FindingParser(NaiveParser):
    """The same, but for the search."""

    name = "the same with bytes.find for the magic word"

    def _find(self, at: int) -> int:
        return self.buffer.find(MAGIC, at)


def run() -> list[dict[str, object]]:
    """Rows of {"case", "ours", "peer", "peer_name", "unit", "ratio"}; ratio > 1 = ours is faster."""
    return [row for case, data in _streams() for chunk in (512, 4096) for row in _rows(case, data, chunk)]


def _streams() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(1)
    cloud = rng.uniform((-4, 1, -1, -2, 8), (4, 9, 1, 2, 30), (64, 5))
    people = rng.uniform(-2, 2, (3, 9))
    people[:, 0], people[:, 7], people[:, 8] = range(3), 0.9, 1.7
    labels = np.zeros(64)
    yield "out-of-box, 64 points", b"".join(encode_oob_frame(cloud, n) for n in range(1, 101))
    crowd = rng.uniform((-4, 1, -1, -2, 8), (4, 9, 1, 2, 30), (256, 5))
    yield "out-of-box, 256 points", b"".join(encode_oob_frame(crowd, n) for n in range(1, 31))
    yield (
        "people counting, 256 points, 3 targets",
        b"".join(encode_people_frame(crowd, n, people, np.zeros(256)) for n in range(1, 31)),
    )
    yield (
        "people counting, 64 points, 3 targets",
        b"".join(encode_people_frame(cloud, n, people, labels) for n in range(1, 101)),
    )
    for path in sorted(UART.glob("azim*.bin"))[-1:]:
        yield f"recording {path.name.split('.')[0]}", path.read_bytes()
    for path in sorted(UART.glob("30fps_moving*.bin")):
        yield f"recording {path.name.split('.')[0]}", path.read_bytes()


def _rows(case: str, data: bytes, chunk: int) -> list[dict[str, object]]:
    parts = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    peers = (NaiveParser, FindingParser)

    def ours() -> int:
        parser = RadarParser("r1")
        return sum(len(parser.feed(part, 10**18)) for part in parts)

    def naive(kind: type[NaiveParser]) -> int:
        parser = kind()
        return sum(len(parser.feed(part)) for part in parts)

    frames = min(_require_equal(parts, kind) for kind in peers)
    ours_us, *peers_us = _median_us(ours, *(partial(naive, kind) for kind in peers))
    return [
        {
            "case": f"{case}, chunks of {chunk}",
            "ours": round(ours_us / frames, 2),
            "peer": round(peer_us / frames, 2),
            "peer_name": kind.name,
            "unit": "us/frame",
            "ratio": round(peer_us / ours_us, 2),
        }
        for kind, peer_us in zip(peers, peers_us, strict=True)
    ]


def _require_equal(parts: list[bytes], kind: type[NaiveParser]) -> int:
    """Both see the same frames with the same points; how many."""
    parser, naive = RadarParser("r1"), kind()
    mine = [frame for part in parts for frame in parser.feed(part, 10**18)]
    theirs = [frame for part in parts for frame in naive.feed(part)]
    if len(mine) != len(theirs):
        raise AssertionError(f"{len(mine)} frames against {len(theirs)} of the naive parser")
    for frame, other in zip(mine, theirs, strict=True):
        assert frame.frame_number == other.frame_number
        np.testing.assert_allclose(frame.points, other.points, atol=1e-4)
        if frame.targets is not None and other.targets is not None:
            np.testing.assert_allclose(frame.targets, other.targets, atol=1e-6)
    return len(mine)


def _median_us(*tasks: Callable[[], int]) -> list[float]:
    """The median of some interleaved rounds each, in us: the machine is shared, so it is the thread's own time that
    counts."""
    spent: list[list[float]] = [[] for _ in tasks]
    gc.disable()
    for _ in range(ROUNDS):
        for task, mine in zip(tasks, spent, strict=True):
            start = time.thread_time()
            task()
            mine.append((time.thread_time() - start) * 1e6)
    gc.enable()
    return [median(mine) for mine in spent]


if __name__ == "__main__":
    for row in run():
        print(row)
