"""Radiotap and 802.11 headers: layouts, alignment, namespaces, what is refused and why; and never an exception."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whowhere.drivers.wifi.dot11 import CLIENT, EITHER, NETWORK, channel_frequency_mhz, channel_number
from whowhere.drivers.wifi.encode import radiotap_frame
from whowhere.drivers.wifi.radiotap import parse_radiotap, refusal

PHONE = bytes.fromhex("a483e7123456")
PROBE = bytes.fromhex("40000000") + b"\xff" * 6 + PHONE + b"\xff" * 6 + struct.pack("<H", 77 << 4) + b"\x00\x00"
MORE, RESET, VENDOR, TLV = 1 << 31, 1 << 29, 1 << 30, 1 << 28
CHAIN = 1 << 5 | 1 << 11  # signal and antenna


def tap(words: list[int], fields: bytes, frame: bytes = PROBE) -> bytes:
    header = b"".join(struct.pack("<I", word) for word in words) + fields
    return struct.pack("<BBH", 0, 0, 4 + len(header)) + header + frame


@pytest.mark.parametrize(
    ("words", "fields", "tsft", "dbm", "channel"),
    [
        ([1 << 5], b"\xc8", None, -56, 0),
        ([1 << 0 | 1 << 5], struct.pack("<Qb", 7, -40), 7, -40, 0),
        ([1 << 1 | 1 << 3 | 1 << 5], struct.pack("<BxHHb", 0, 2437, 0xA0, -61), None, -61, 6),  # channel 2-aligned
        ([1 << 2 | 1 << 3 | 1 << 5], struct.pack("<BxHHb", 2, 5180, 0x140, -70), None, -70, 36),
        ([1 << 1 | 1 << 2 | 1 << 4 | 1 << 5], struct.pack("<BBHb", 0, 2, 9, -33), None, -33, 0),  # FHSS: 1-aligned
        ([1 << 5 | 1 << 19 | 1 << 21 | 1 << 22], b"\xb0" + bytes(40), None, -80, 0),  # fields behind do not matter
        # two chains after the combined value, each restarting the namespace; a chain's 0 dBm is a placeholder
        ([1 << 5 | RESET | MORE, CHAIN | RESET | MORE, CHAIN], b"\xa2\x00\x00\xa4\x01", None, -94, 0),
        # no combined value, the first chain is a placeholder
        ([1 << 1 | RESET | MORE, CHAIN | RESET | MORE, CHAIN], b"\x00\x00\x00\xa4\x01", None, -92, 0),
        # TSFT is aligned to 8 from the header's start, behind two words too
        ([1 << 0 | 1 << 5 | RESET | MORE, 1 << 5], bytes(4) + struct.pack("<Qbb", 9, -50, -51), 9, -50, 0),
        # a vendor's fields first (skipped by their own length), then the radiotap namespace again
        ([1 << 1 | VENDOR | MORE, RESET | MORE | 5, 1 << 5], b"\x00\x00abc\x07\x03\x00xyz\xc4", None, -60, 0),
        # signal first, the vendor behind it
        ([1 << 5 | VENDOR | MORE, 0xFF], b"\xc4\x00abc\x07\x02\x00xy", None, -60, 0),
        # a TLV list fills the rest
        ([1 << 3 | 1 << 5 | TLV], struct.pack("<HHb", 2412, 0, -45) + bytes(3) + b"\x20\x00\x04\x00abcd", None, -45, 1),
    ],
)  # fmt: skip
def test_finds_the_fields(words: list[int], fields: bytes, tsft: int | None, dbm: int, channel: int) -> None:
    for _ in range(2):  # worked out, then remembered
        sighting = parse_radiotap(tap(words, fields), 5)
        assert sighting is not None
        assert (sighting.t_ns, sighting.tsft_us, sighting.rssi_dbm, sighting.channel) == (5, tsft, dbm, channel)
        assert (sighting.transmitter, sighting.type, sighting.subtype, sighting.seq) == (PHONE, 0, 4, 77)


def test_vendor_fields_of_changing_length_move_what_follows() -> None:
    words = [1 << 1 | VENDOR | MORE, RESET | MORE, 1 << 5]
    for length in (2, 3, 10, 2):
        fields = b"\x00\x00abc\x07" + struct.pack("<H", length) + b"z" * length + struct.pack("b", -length - 40)
        sighting = parse_radiotap(tap(words, fields))
        assert sighting is not None
        assert sighting.rssi_dbm == -length - 40


def test_flags_behind_the_signal_still_count() -> None:
    words = [1 << 5 | RESET | MORE, 1 << 1 | 1 << 3]
    good = parse_radiotap(tap(words, b"\xc4\x00" + struct.pack("<HH", 2462, 0)))
    assert good is not None
    assert (good.rssi_dbm, good.channel) == (-60, 11)
    bad = tap(words, b"\xc4\x40" + struct.pack("<HH", 2462, 0))
    assert parse_radiotap(bad) is None
    assert refusal(bad) == "bad_fcs"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (tap([1 << 1 | 1 << 5], b"\x40\xc8"), "bad_fcs"),
        (tap([1 << 1], b"\x00"), "no_signal"),
        (tap([1 << 5], b"\x00"), "no_signal"),
        (tap([1 << 5], b"\x80"), "no_signal"),
        (tap([1 << 5], b"\xc8", bytes.fromhex("d4000000") + PHONE), "no_transmitter"),  # ACK
        (tap([1 << 5], b"\xc8", bytes.fromhex("c4000000") + PHONE), "no_transmitter"),  # CTS
        (tap([1 << 5], b"\xc8", PROBE[:20]), "malformed"),
        (tap([1 << 5], b"\xc8", b""), "malformed"),
        (tap([1 << 5], b"\xc8", b"\x41" + PROBE[1:]), "no_transmitter"),  # protocol version 1
        (b"\x01" + tap([1 << 5], b"\xc8")[1:], "malformed"),
        (b"", "malformed"),
    ],
)  # fmt: skip
def test_refuses_by_name(frame: bytes, reason: str) -> None:
    assert parse_radiotap(frame) is None
    assert refusal(frame) == reason


@pytest.mark.parametrize(
    ("kind", "role"),
    [("probe-request", CLIENT), ("qos-null", CLIENT), ("beacon", NETWORK), ("downlink", NETWORK)],
)
def test_encoded_frames_are_read_back(kind: str, role: int) -> None:
    frame = radiotap_frame(1_700_000_000_123_456_789, -55.4, 11, PHONE, kind, 4097, retry=True)  # type: ignore[arg-type]
    sighting = parse_radiotap(frame, 1)
    assert sighting is not None
    assert sighting.transmitter == PHONE
    assert (sighting.rssi_dbm, sighting.channel, sighting.seq, sighting.frag) == (-55, 11, 1, 0)
    assert (sighting.is_retry, sighting.role) == (True, role)
    assert sighting.tsft_us == 1_700_000_000_123_456


def test_control_frames_name_their_sender_without_a_sequence() -> None:
    rts = bytes.fromhex("b4000000") + b"\x02" * 6 + bytes((PHONE[0] | 1,)) + PHONE[1:]  # with a bandwidth mark
    for frame in (tap([1 << 5], b"\xc8", rts), tap([1 << 1 | 1 << 5], b"\x10\xc8", rts + b"\x01\x02\x03\x04")):
        sighting = parse_radiotap(frame)
        assert sighting is not None
        assert (sighting.transmitter, sighting.role, sighting.seq, sighting.frag) == (PHONE, EITHER, -1, -1)
    assert parse_radiotap(tap([1 << 1 | 1 << 5], b"\x10\xc8", rts[:-2])) is None


def test_a_frame_about_the_senders_own_network_is_an_access_points() -> None:
    deauth = bytes.fromhex("c0000000") + b"\x02" * 6 + PHONE + PHONE + b"\x10\x00\x01\x00"
    sighting = parse_radiotap(tap([1 << 5], b"\xc8", deauth))
    assert sighting is not None
    assert sighting.role == NETWORK


def test_channels_and_frequencies_agree() -> None:
    for channel in (*range(1, 15), 36, 64, 100, 144, 149, 177):
        assert channel_number(channel_frequency_mhz(channel)) == channel
    assert (channel_number(5955), channel_number(7115), channel_number(2000)) == (1, 233, 0)
    with pytest.raises(ValueError, match="channel = 20"):
        channel_frequency_mhz(20)


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=120))
def test_random_bytes_never_raise(frame: bytes) -> None:
    assert parse_radiotap(frame) is not None or refusal(frame)


@settings(deadline=None)  # the machine may be busy
@given(
    st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4),
    st.binary(max_size=80),
    st.integers(0, 120),
    st.integers(0, 150),
)
def test_random_headers_never_raise(words: list[int], fields: bytes, length: int, cut: int) -> None:
    words = [word | MORE for word in words[:-1]] + words[-1:]
    frame = tap(words, fields)
    frame = frame[:2] + struct.pack("<H", length) + frame[4:]
    for piece in (frame, frame[:cut]):
        assert parse_radiotap(piece) is not None or refusal(piece)


@settings(deadline=None)  # the machine may be busy
@given(st.binary(min_size=24, max_size=60), st.integers(-120, -1))
def test_any_frame_behind_a_good_header_keeps_its_signal(body: bytes, dbm: int) -> None:
    sighting = parse_radiotap(tap([1 << 5], struct.pack("b", dbm), body))
    if sighting is not None:
        assert sighting.rssi_dbm == dbm
        assert sighting.transmitter[1:] == body[11:16]
