"""pcap and pcapng in pieces: the same packets however chopped, and the next good one after any damage."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whowhere.drivers.wifi.capture import CaptureParser, Packet, link_refusal
from whowhere.drivers.wifi.encode import pcap_header, pcap_record, radiotap_frame

T_NS = 1_700_000_000_123_456_789
FRAMES = [radiotap_frame(T_NS, -50 - n, 6, bytes((2, 0, 0, 0, 0, n)), seq=n) for n in range(20)]
EXPECTED = [Packet(T_NS + n * 1_000_001, frame, 127) for n, frame in enumerate(FRAMES)]
STREAM = pcap_header() + b"".join(pcap_record(packet.t_ns, packet.data) for packet in EXPECTED)


def block(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def pcapng(order: str, options: bytes, ticks: list[int], link_type: int = 127) -> bytes:
    section = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    interface = block(order, 1, struct.pack(order + "HHI", link_type, 0, 0) + options)
    packets = [
        block(order, 6, struct.pack(order + "5I", 0, tick >> 32, tick & 0xFFFFFFFF, len(frame), len(frame)) + frame)
        for tick, frame in zip(ticks, FRAMES, strict=False)
    ]
    return section + interface + block(order, 0x0BAD, b"other") + b"".join(packets)


def packets_of(data: bytes, size: int) -> list[Packet]:
    parser = CaptureParser()
    return [packet for at in range(0, len(data), size) for packet in parser.feed(data[at : at + size])]


@pytest.mark.parametrize("size", [1, 7, 512, 100_000])
def test_chunks_do_not_matter(size: int) -> None:
    assert packets_of(STREAM, size) == EXPECTED


@pytest.mark.parametrize(("magic", "order", "unit_ns"), [
    (0xA1B2C3D4, ">", 1000), (0xA1B2C3D4, "<", 1000), (0xA1B23C4D, ">", 1), (0xA1B23C4D, "<", 1),
])  # fmt: skip
def test_every_pcap_flavour(magic: int, order: str, unit_ns: int) -> None:
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 127)
    for n, frame in enumerate(FRAMES):
        data += struct.pack(order + "IIII", 1_700_000_000 + n, 250_000, len(frame), len(frame)) + frame
    times = [packet.t_ns for packet in packets_of(data, 33)]
    assert times == [(1_700_000_000 + n) * 1_000_000_000 + 250_000 * unit_ns for n in range(20)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks_per_s"), [(None, 10**6), (9, 10**9), (6, 10**6), (0x80 | 20, 2**20), (3, 1000)]
)
def test_pcapng_time_resolutions(order: str, resolution: int | None, ticks_per_s: int) -> None:
    options = b""
    if resolution is not None:
        options = struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    ticks = [1_700_000_000 * ticks_per_s + n * ticks_per_s // 8 for n in range(20)]
    packets = packets_of(pcapng(order, options, ticks), 11)
    assert [packet.t_ns for packet in packets] == [tick * 10**9 // ticks_per_s for tick in ticks]
    assert [packet.data for packet in packets] == FRAMES


def test_a_second_stream_may_follow_the_first() -> None:
    assert packets_of(STREAM + STREAM, 100) == EXPECTED * 2
    mixed = packets_of(STREAM + pcapng(">", b"", [1_700_000_000_000_000]) + STREAM, 100)
    assert mixed == [*EXPECTED, Packet(1_700_000_000_000_000_000, FRAMES[0], 127), *EXPECTED]


def test_a_cut_file_gives_its_whole_packets() -> None:
    parser = CaptureParser()
    assert parser.feed(STREAM[:-5]) == EXPECTED[:-1]
    assert parser.leftover_bytes == 16 + len(FRAMES[-1]) - 5
    assert parser.counters["garbage_bytes"] == 0


@pytest.mark.parametrize("junk", [b"\xff" * 100, b"hello world", bytes(50)])
def test_finds_the_next_packet_behind_garbage(junk: bytes) -> None:
    middle = 24 + 10 * (16 + len(FRAMES[0]))
    parser = CaptureParser()
    packets = parser.feed(junk + STREAM[:middle] + junk + STREAM[middle:])
    assert packets[:10] == EXPECTED[:10]
    assert packets[-9:] == EXPECTED[-9:]
    assert parser.counters["garbage_bytes"] >= len(junk)
    assert parser.counters["resyncs"] >= 1


def test_lost_bytes_cost_few_packets() -> None:
    """A cut within a packet makes it swallow the start of the next; behind that, all are found."""
    rng = random.Random(4)
    for _ in range(50):
        at = rng.randrange(24, len(STREAM) - 200)
        damaged = STREAM[:at] + STREAM[at + rng.randrange(1, 60) :]
        found = packets_of(damaged, 64)
        assert len([packet for packet in found if packet in EXPECTED]) >= 17


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_recovers_too(order: str) -> None:
    whole = pcapng(order, b"", [1_700_000_000_000_000 + n for n in range(20)])
    damaged = bytearray(whole)
    damaged[-5 * 120] ^= 0xFF
    assert len(packets_of(bytes(damaged), 50)) >= 18


def test_prism_and_bare_frames_are_refused_by_name() -> None:
    assert link_refusal(127) is None
    for link_type, word in ((105, "no signal strength"), (119, "Prism"), (192, "PPI"), (163, "AVS"), (999, "unknown")):
        sentence = link_refusal(link_type)
        assert sentence is not None
        assert word in sentence
        assert str(link_type) in sentence
    assert packets_of(pcap_header(119) + pcap_record(T_NS, b"abc"), 10) == [Packet(T_NS, b"abc", 119)]


@given(st.lists(st.binary(max_size=200), max_size=8), st.sampled_from([b"", STREAM[:24], pcapng("<", b"", [])]))
@settings(max_examples=200, deadline=None)
def test_random_bytes_never_raise(pieces: list[bytes], start: bytes) -> None:
    parser = CaptureParser()
    for piece in (start, *pieces):
        for packet in parser.feed(piece):
            assert 0 <= packet.t_ns < 2**63


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_flipped_bits_never_raise_and_lose_little(data: st.DataObject) -> None:
    damaged = bytearray(STREAM + STREAM[24:])
    at = data.draw(st.integers(24, len(STREAM) // 2))
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    found = [packet for packet in packets_of(bytes(damaged), 200) if packet in EXPECTED]
    assert len(found) >= 38  # of 40
