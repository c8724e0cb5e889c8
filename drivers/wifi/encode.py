"""Writes what a monitor interface would deliver: 802.11 frames behind radiotap headers, as records of a pcap stream.

For the virtual twin and for tests; it writes only the few kinds of frame a phone or an access point is heard by, with
a correct check sequence, so that any sniffing program reads the result. It does not transmit anything.
"""

import struct
import zlib
from typing import Literal, TypeAlias

from .dot11 import BEACON, DATA, FROM_DS, MANAGEMENT, PROBE_REQUEST, QOS_NULL, RETRY, TO_DS, channel_frequency_mhz

Kind: TypeAlias = Literal["probe-request", "qos-null", "beacon", "downlink"]

BROADCAST = b"\xff" * 6
ACCESS_POINT = bytes.fromhex("02005e000001")  # the address that clients' frames are sent to unless told otherwise
_PRESENT = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 11  # TSFT, flags, rate, channel, signal, antenna
_RADIOTAP = struct.Struct("<BxHIQBBHHbB")
_FCS_AT_END = 0x10
_PCAP_HEADER = struct.Struct("<IHHiIII")
_PCAP_RECORD = struct.Struct("<IIII")
_MAGIC_NS = 0xA1B23C4D
_EMPTY_SSID = b"\x00\x00"
_RATES = b"\x01\x08\x82\x84\x8b\x96\x0c\x12\x18\x24"

# kind: frame type, subtype, flags of the second frame control byte
_FRAME_CONTROL: dict[str, tuple[int, int, int]] = {
    "probe-request": (MANAGEMENT, PROBE_REQUEST, 0),
    "qos-null": (DATA, QOS_NULL, TO_DS),
    "beacon": (MANAGEMENT, BEACON, 0),
    "downlink": (DATA, QOS_NULL, FROM_DS),
}


def pcap_header(link_type: int = 127, snaplen: int = 65535) -> bytes:
    """The 24 bytes that open a little-endian pcap stream with nanosecond times (protocols B4)."""
    return _PCAP_HEADER.pack(_MAGIC_NS, 2, 4, 0, 0, snaplen, link_type)


def pcap_record(t_ns: int, frame: bytes) -> bytes:
    """One captured frame; t_ns is UTC nanoseconds."""
    seconds, nanoseconds = divmod(t_ns, 1_000_000_000)
    return _PCAP_RECORD.pack(seconds, nanoseconds, len(frame), len(frame)) + frame


def radiotap_frame(
    t_ns: int,
    rssi_dbm: float,
    channel: int,
    transmitter: bytes,
    kind: Kind = "probe-request",
    seq: int = 0,
    *,
    retry: bool = False,
    access_point: bytes = ACCESS_POINT,
) -> bytes:
    """What a monitor interface delivers for one frame sent by `transmitter` (6 bytes) on WiFi channel `channel`.

    The signal is rounded to whole dBm and held within -127..-1; the adapter's own clock (TSFT, us) is taken from t_ns.
    seq: the sequence number, kept modulo 4096. retry marks a repetition of the same seq.
    """
    tsft_us = (t_ns // 1000) & 0xFFFF_FFFF_FFFF_FFFF
    dbm = max(-127, min(-1, round(rssi_dbm)))
    frequency = channel_frequency_mhz(channel)
    band = 0x00A0 if frequency < 3000 else 0x0140
    header = _RADIOTAP.pack(0, _RADIOTAP.size, _PRESENT, tsft_us, _FCS_AT_END, 2, frequency, band, dbm, 0)
    body = _frame(transmitter, kind, seq, retry, access_point)
    return header + body + struct.pack("<I", zlib.crc32(body))


def _frame(transmitter: bytes, kind: Kind, seq: int, retry: bool, access_point: bytes) -> bytes:
    """The 802.11 frame without its check sequence."""
    frame_type, subtype, flags = _FRAME_CONTROL[kind]
    first = frame_type << 2 | subtype << 4
    second = flags | (RETRY if retry else 0)
    if kind == "qos-null":
        addresses = access_point + transmitter + access_point
        body = b"\x00\x00"  # QoS control
    elif kind == "downlink":
        addresses = BROADCAST + transmitter + transmitter
        body = b"\x00\x00"
    elif kind == "beacon":
        addresses = BROADCAST + transmitter + transmitter
        body = bytes(8) + struct.pack("<HH", 100, 1) + _EMPTY_SSID + _RATES
    else:
        addresses = BROADCAST + transmitter + BROADCAST
        body = _EMPTY_SSID + _RATES
    return bytes((first, second, 0, 0)) + addresses + struct.pack("<H", (seq & 0xFFF) << 4) + body
