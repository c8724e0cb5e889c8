"""Radiotap and 802.11 headers: ours against dpkt and scapy on the same bytes, for the same four fields.

TSFT, channel, signal and transmitter of each frame, in memory already. dpkt and scapy take whole frames apart, which is
what asking them for these fields costs; the values of all parsers are compared before anything is timed.
"""

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import thread_time_ns
from typing import Any, TypeAlias

import dpkt
from whowhere.drivers.wifi import parse_radiotap
from whowhere.drivers.wifi.capture import CaptureParser
from whowhere.drivers.wifi.dot11 import channel_number
from whowhere.drivers.wifi.encode import radiotap_frame

Fields: TypeAlias = tuple[int | None, int, int, bytes]
Parser: TypeAlias = Callable[[bytes], Fields]

FRAMES, SCAPY_FRAMES, REPEATS = 5000, 300, 7
TWO_WORDS = 0.2
T_NS = 1_700_000_000_000_000_000
RECORDING = Path(__file__).resolve().parents[3] / "shared/data/wifi_sniff/one_phone_each/iPhoneXR-L_anonymized.pcap"


def synthetic() -> list[bytes]:
    """Probe requests and QoS nulls of 40 phones; a fifth with a second present word (one chain's signal)."""
    rng = random.Random(1)
    phones = [bytes((2, *rng.randbytes(5))) for _ in range(40)]
    frames = []
    for n in range(FRAMES):
        kind = rng.choice(("probe-request", "qos-null"))
        frame = radiotap_frame(
            T_NS + n * 1000, rng.randint(-90, -30), rng.choice((1, 6, 11)), rng.choice(phones), kind, n
        )
        frames.append(with_second_word(frame) if rng.random() < TWO_WORDS else frame)
    return frames


def with_second_word(frame: bytes) -> bytes:
    """The same frame as from an adapter that also tells its first chain's signal and number."""
    length = int.from_bytes(frame[2:4], "little")
    present = int.from_bytes(frame[4:8], "little") | 1 << 29 | 1 << 31
    chain = struct.pack("<bB", -50, 0)
    # four bytes more before TSFT, four bytes of padding to keep it on a multiple of eight
    header = struct.pack("<BBHII4x", 0, 0, length + 8 + len(chain), present, 1 << 5 | 1 << 11)
    return header + frame[8:length] + chain + frame[length:]


def recorded() -> list[bytes]:
    return [packet.data for packet in CaptureParser().feed(RECORDING.read_bytes())] if RECORDING.is_file() else []


def by_us(frame: bytes) -> Fields:
    sighting = parse_radiotap(frame)
    assert sighting is not None
    return sighting.tsft_us, sighting.channel, sighting.rssi_dbm, sighting.transmitter


def by_dpkt(frame: bytes) -> Fields:
    tap: Any = dpkt.radiotap.Radiotap(frame)  # makes its attributes as it reads
    tsft = tap.tsft.usecs if tap.tsft_present else None
    dot11 = tap.data
    sender = dot11.mgmt.src if dot11.type == 0 else dot11.data_frame.src
    return tsft, channel_number(tap.channel.freq), tap.ant_sig.db, sender


def by_scapy(frame: bytes) -> Fields:
    from scapy.layers.dot11 import Dot11, RadioTap

    tap = RadioTap(frame)
    return tap.mac_timestamp, channel_number(tap.ChannelFrequency), tap.dBm_AntSignal, bytes.fromhex(
        tap[Dot11].addr2.replace(":", "")
    )  # fmt: skip


def per_second(parser: Parser, frames: list[bytes]) -> float:
    started = thread_time_ns()
    for frame in frames:
        parser(frame)
    return len(frames) / (thread_time_ns() - started) * 1e9


def compare(case: str, frames: list[bytes], peer: Parser, peer_name: str) -> dict[str, object]:
    for frame in frames:
        if by_us(frame) != peer(frame):
            raise AssertionError(f"{peer_name} and ours differ on {frame.hex()}: {by_us(frame)}, {peer(frame)}")
    pairs = [(per_second(by_us, frames), per_second(peer, frames)) for _ in range(REPEATS)]
    ours, theirs = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    return {
        "case": case,
        "ours": round(ours),
        "peer": round(theirs),
        "peer_name": peer_name,
        "unit": "frames/s",
        "ratio": round(ours / theirs, 2),
    }


def run() -> list[dict[str, object]]:
    """One row per workload and peer; ratio > 1 means ours is faster."""
    rows = []
    for case, frames in (("synthetic, 20 % two words", synthetic()), ("recorded probe requests", recorded())):
        if frames:
            rows.append(compare(case, frames, by_dpkt, "dpkt"))
            rows.append(compare(f"{case}, first {SCAPY_FRAMES}", frames[:SCAPY_FRAMES], by_scapy, "scapy"))
    return rows


if __name__ == "__main__":
    print(json.dumps({"bench": "radiotap", "rows": run()}, indent=1))
