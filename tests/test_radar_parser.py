"""The radar parser: formats, chopped, joined, corrupted and random bytes."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whowhere.drivers.radar.encode import encode_oob_frame, encode_packet, encode_people_frame
from whowhere.drivers.radar.frames import RadarParser
from whowhere.drivers.radar.headers import H40, H44, H48, H52, MAGIC, Layout
from whowhere.messages import RadarFrame, encode

BAUD = 1_000_000  # 10 us a byte: no rounding in the stamps
EPOCH_NS = 1_700_000_000_000_000_000
RNG = np.random.default_rng(5)


def cloud(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low, high = (-3, 0.5, -1, -2, 8), (3, 8, 1, 2, 30)
    return rng.uniform(low, high, (count, 5)).astype("<f4")


def people(count: int) -> np.ndarray:
    rows = np.random.default_rng(count).uniform(-2, 2, (count, 9)).astype("<f4")
    rows[:, 0], rows[:, 7], rows[:, 8] = np.arange(count), 0.9, 1.75
    return rows


def parse(data: bytes, chunk: int = 4096, parser: RadarParser | None = None) -> list[RadarFrame]:
    parser = parser or RadarParser("r1", BAUD)
    frames: list[RadarFrame] = []
    for at in range(0, len(data), chunk):
        part = data[at : at + chunk]
        frames += parser.feed(part, EPOCH_NS + (at + len(part)) * 10_000)
    return frames + parser.idle()


def test_oob_points_come_back_exactly() -> None:
    points = cloud(20)
    points[:, 4] = np.round(points[:, 4], 1)
    [frame] = parse(encode_oob_frame(points, 7))
    assert frame.frame_number == 7
    np.testing.assert_allclose(frame.points, points, atol=1e-5)
    assert frame.targets is None
    assert frame.presence is None


def test_points_without_side_info_have_no_snr() -> None:
    [frame] = parse(encode_oob_frame(cloud(3), 1, side_info=False))
    assert (frame.points[:, 4] == 0).all()


def test_empty_frame_is_a_frame() -> None:
    assert [len(f.points) for f in parse(encode_oob_frame([], 1) + encode_packet(H40, 2, []))] == [0, 0]


def test_stats_and_temperature_become_gauges() -> None:
    parser = RadarParser("r1", BAUD)
    packet = encode_oob_frame([], 1, stats=(1, 2, 3, 4, 5, 6), temperatures_c=(40, 41, 42, 43, 50, 51, 52, 47, 48, 49))
    parse(packet, parser=parser)
    assert parser.gauges == {"uart_us": 2, "frame_margin_us": 3, "cpu_percent": 5, "temperature_c": 52}


@pytest.mark.parametrize("old", [False, True])
def test_people_counting_round_trip(old: bool) -> None:
    first, second, targets = cloud(30, 1), cloud(11, 2), people(3)
    data = encode_people_frame(first, 1, old=old)
    data += encode_people_frame(second, 2, targets, np.arange(30) % 3, True, old=old)
    before, frame = parse(data)
    assert before.target_index is None
    assert before.targets is not None
    assert len(before.targets) == 0
    np.testing.assert_allclose(frame.points[:, :3], second[:, :3], atol=0.08)  # 0.01 rad at 8 m
    np.testing.assert_allclose(frame.points[:, 3], second[:, 3], atol=2e-4)
    np.testing.assert_allclose(frame.points[:, 4], second[:, 4], atol=0.05)
    assert frame.targets is not None
    np.testing.assert_allclose(frame.targets[:, :8], targets[:, :8], atol=1e-6)
    assert (frame.targets[:, 8] == (-1 if old else 1.75)).all()
    assert frame.presence is True
    assert frame.target_index is not None
    assert frame.target_index.tolist() == [i % 3 for i in range(30)]


def test_labels_of_another_cloud_are_dropped() -> None:
    parser = RadarParser("r1", BAUD)
    data = encode_people_frame(cloud(9), 1) + encode_people_frame(cloud(9), 2, people(1), np.zeros(8))
    data += encode_people_frame(cloud(9), 4, people(1), np.zeros(9))  # frame 3 was lost
    assert all(frame.target_index is None for frame in parse(data, parser=parser))
    assert parser.counters["labels_dropped"] == 2
    assert parser.counters["missed_frames"] == 1


def test_labels_follow_refused_points() -> None:
    bad = cloud(5)
    bad[2, 1] = np.nan
    rows = [(1, bad[:, :4].tobytes())]
    data = encode_packet(H40, 1, rows) + encode_packet(H40, 2, [(1010, bytes(112)), (1011, bytes([4, 3, 2, 1, 0]))])
    first, second = parse(data)
    assert len(first.points) == 4
    assert second.target_index is not None
    assert second.target_index.tolist() == [4, 3, 1, 0]


def test_spherical_points() -> None:
    row = struct.pack("<4f", 5.0, np.pi / 6, 0.0, 1.5)
    [frame] = parse(encode_packet(H40, 1, [(1000, row), (7, struct.pack("<2h", 123, 0))], pad=True))
    np.testing.assert_allclose(frame.points[0], [2.5, 5 * np.cos(np.pi / 6), 0, 1.5, 12.3], rtol=1e-5)


@pytest.mark.parametrize(
    ("layout", "counts_header", "pad", "tlvs", "name"),
    [
        (H40, False, True, [(1, bytes(32)), (6, bytes(24))], "H40, lengths without TLV header"),
        (H40, False, False, [(1020, struct.pack("<5f", 1, 1, 1, 1, 1) + bytes(8))], "H40, lengths without TLV header"),
        (H40, True, False, [(1, bytes(32)), (6, bytes(24))], "H40, lengths with TLV header"),
        (H44, False, True, [(1, bytes(32)), (7, bytes(8))], "H44, lengths without TLV header"),
        (H48, True, False, [(6, struct.pack("<5f", 1, 1, 1, 1, 1) + bytes(8))], "H48, lengths with TLV header"),
        (H52, True, False, [(7, bytes(68)), (8, bytes(5))], "H52, lengths with TLV header"),
        (H52, False, True, [(6, bytes(32)), (9, bytes(8)), (7, bytes(40)), (8, bytes(2))], "H52, lengths without"),
    ],
)
def test_headers_and_length_conventions_are_told_apart(
    layout: Layout, counts_header: bool, pad: bool, tlvs: list[tuple[int, bytes]], name: str
) -> None:
    parser = RadarParser("r1", BAUD)
    data = b"".join(encode_packet(layout, n, tlvs, counts_header=counts_header, pad=pad) for n in range(1, 6))
    assert [frame.frame_number for frame in parse(data, 7, parser)] == [1, 2, 3, 4, 5]
    assert parser.dialect is not None
    assert parser.dialect.name.startswith(name)
    assert parser.version == "3.6.0.0"


def test_a_captured_old_header_has_a_valid_checksum() -> None:
    packet = bytearray(encode_people_frame(cloud(4), 1, old=True))
    assert len(parse(bytes(packet))) == 1
    packet[21] ^= 1  # the frame number, under the checksum
    assert parse(bytes(packet)) == []


def test_unknown_tlvs_are_skipped_and_counted() -> None:
    parser = RadarParser("r1", BAUD)
    tlvs = [(1030, bytes(4)), (1, cloud(2)[:, :4].tobytes()), (1040, bytes(136))]
    frames = parse(encode_packet(H40, 1, tlvs) + encode_packet(H40, 2, tlvs), parser=parser)
    assert [len(frame.points) for frame in frames] == [2, 2]
    assert parser.counters["tlv_1030_skipped"] == parser.counters["tlv_1040_skipped"] == 2


def test_whole_packet_is_emitted_at_once() -> None:
    parser = RadarParser("r1", BAUD)
    for number in range(1, 4):
        assert len(parser.feed(encode_oob_frame(cloud(5), number), EPOCH_NS)) == 1


def test_trailing_label_2_waits_for_the_next_byte_only() -> None:
    parser = RadarParser("r1", BAUD)
    packet = encode_people_frame(cloud(1), 2, people(1), [2])
    parser.feed(encode_people_frame(cloud(1), 1), EPOCH_NS)
    assert parser.feed(packet, EPOCH_NS) == []
    [frame] = parser.idle()
    assert frame.target_index is not None
    assert frame.target_index.tolist() == [2]
    [following] = parser.feed(encode_people_frame(cloud(1), 3), EPOCH_NS)
    assert following.frame_number == 3


def test_a_magic_word_ends_a_packet() -> None:
    whole = [encode_people_frame(cloud(4, n), n) for n in range(1, 5)]
    data = whole[0] + whole[1][:-1] + whole[2] + whole[3]  # unpadded: the lost byte was payload
    for chunk in (1, 7, 512):
        parser = RadarParser("r1", BAUD)
        assert [frame.frame_number for frame in parse(data, chunk, parser)] == [1, 3, 4]
        assert parser.counters["cut_packets"] == 1


def test_padding_may_be_lost() -> None:
    packets = [encode_oob_frame(cloud(3), n)[:-1] for n in range(1, 6)]
    parser = RadarParser("r1", BAUD)
    assert len(parse(b"".join(packets), parser=parser)) == 5
    assert parser.counters["short_packets"] == 4
    assert parser.counters["skipped_bytes"] == 0


def test_resynchronises_one_byte_after_a_bad_magic() -> None:
    good = encode_oob_frame(cloud(3), 9)
    for bad in (MAGIC, MAGIC[:5], MAGIC + b"\xff" * 40, MAGIC + struct.pack("<8I", 0, 40000, 0xA6843, *[0] * 5)):
        assert [frame.frame_number for frame in parse(bad + good)] == [9]
    assert [frame.frame_number for frame in parse(b"\x02" + good + b"\xff" * 16 + good[:21])] == [9]


def test_corrupt_values_are_refused() -> None:
    parser = RadarParser("r1", BAUD)
    far = cloud(10)
    far[:, 1] = 1e19
    wild = people(1)
    wild[0, 2] = np.inf
    data = encode_oob_frame(far, 1) + encode_people_frame([], 2, wild) + encode_packet(H40, 3, [(1020, bytes(28))])
    assert parse(data, parser=parser) == []
    assert parser.counters["refused_packets"] == 3


def test_gaps_restarts_and_repeats_are_counted() -> None:
    parser = RadarParser("r1", BAUD)
    numbers = [1, 2, 2, 5, 900_000, 6, 7, 1, 2, 3]
    frames = parse(b"".join(encode_oob_frame(cloud(1), n) for n in numbers), parser=parser)
    assert [frame.frame_number for frame in frames] == [1, 2, 5, 900_000, 6, 7, 1, 2, 3]
    counters = parser.counters
    assert (counters["repeated_frames"], counters["missed_frames"], counters["restarts"]) == (1, 2, 1)


def test_subframes_share_a_number() -> None:
    data = b"".join(encode_packet(H40, 1, [(1, cloud(1)[:, :4].tobytes())], subframe=n) for n in (0, 1))
    assert len(parse(data)) == 2


def test_time_is_when_sending_began() -> None:
    packet = encode_oob_frame(cloud(5), 1)
    for chunk in (1, 7, len(packet)):
        first, second = parse(b"\xff" * 16 + packet + packet[:20] + encode_oob_frame(cloud(5), 2), chunk)
        assert first.t_ns == EPOCH_NS + 16 * 10_000
        assert second.t_ns == EPOCH_NS + (16 + len(packet) + 20) * 10_000


def test_time_is_not_before_the_previous_chunk() -> None:
    parser = RadarParser("r1", BAUD)
    parser.feed(encode_oob_frame(cloud(50), 1), EPOCH_NS)
    [frame] = parser.feed(encode_oob_frame(cloud(50), 2), EPOCH_NS + 1_000_000)  # faster than the wire: a burst
    assert frame.t_ns == EPOCH_NS - 10_000


@st.composite
def dirty_streams(draw: st.DrawFn) -> bytes:
    """Packets of one firmware with damage between and inside them, and two good ones at the end."""
    make = draw(st.sampled_from((encode_oob_frame, encode_people_frame, _old)))
    parts = []
    for number in range(1, draw(st.integers(2, 5))):
        packet = bytearray(make(cloud(draw(st.integers(0, 12)), number), number))
        match draw(st.sampled_from(("whole", "flip", "cut", "lose", "double", "junk"))):
            case "flip":
                packet[draw(st.integers(0, len(packet) - 1))] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del packet[draw(st.integers(0, len(packet) - 1)) :]
            case "lose":
                del packet[draw(st.integers(0, len(packet) - 1))]
            case "double":
                packet *= 2
            case "junk":
                packet += draw(st.binary(max_size=40)) + draw(st.sampled_from((b"", MAGIC, MAGIC[:3], b"\xff" * 16)))
        parts.append(bytes(packet))
    return b"".join(parts) + make(cloud(3, 98), 98) + make(cloud(4, 99), 99)


def _old(points: np.ndarray, number: int) -> bytes:
    return encode_people_frame(points, number, old=True)


@given(dirty_streams(), st.sampled_from((1, 7, 33, 512)))
@settings(max_examples=150, deadline=None)
def test_damage_never_raises_and_the_next_good_frame_is_found(data: bytes, chunk: int) -> None:
    frames = parse(data, chunk)
    assert [frame.frame_number for frame in frames[-2:]] == [98, 99]
    whole = parse(data, len(data))
    assert [encode(frame) for frame in frames] == [encode(frame) for frame in whole]


@given(st.lists(st.one_of(st.binary(max_size=60), st.just(MAGIC), st.just(MAGIC + bytes(12) + b"\x43\x68\x0a\x00"))))
@settings(max_examples=200, deadline=None)
def test_random_bytes_never_raise(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert parse(data, 5) == [] or MAGIC in data


@given(st.binary(min_size=0, max_size=120), st.integers(0, 4), st.sampled_from((1, 6, 7, 9, 1000, 1010, 1012, 1020)))
@settings(max_examples=200, deadline=None)
def test_random_payloads_never_raise(payload: bytes, copies: int, kind: int) -> None:
    for layout, counts in ((H40, False), (H48, True), (H52, False)):
        packet = encode_packet(layout, 1, [(kind, payload)] * copies, counts_header=counts)
        frames = parse(packet + encode_packet(layout, 2, [], counts_header=counts))
        assert all(isinstance(encode(frame), bytes) for frame in frames)
