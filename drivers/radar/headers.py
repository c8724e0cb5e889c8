"""The frame headers of TI's mmWave firmwares and the dialects spoken behind them (protocols A3, A4).

A layout says where a header keeps its fields; a dialect adds what the TLVs behind it mean and how their lengths
count. Which dialect a connection speaks is decided from the bytes by `dialects_of` and the walk in tlvs.py; this
module only knows the tables and decides nothing for good.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np

MAGIC = bytes((2, 1, 4, 3, 6, 5, 8, 7))
MAX_PACKET_BYTES = 32 * 1024  # the largest real packet is about 11 kB (protocols A9)
MAX_TLVS = 16
PADDING = 32  # the OOB family fills packets up to a multiple of this; 3D People Counting does not
MIN_HEADER_BYTES = 40


class Content(IntEnum):
    """What a TLV holds, whatever number its firmware gives it (protocols A5)."""

    CARTESIAN = auto()  # x, y, z, doppler as f32
    SPHERICAL = auto()  # range, azimuth, elevation, doppler as f32
    COMPRESSED = auto()  # five f32 units, then s8 elevation, s8 azimuth, s16 doppler, u16 range, u16 snr
    SIDE_INFO = auto()  # snr and noise in 0.1 dB
    TARGETS = auto()  # 112 bytes each
    TARGETS_Z_LAST = auto()  # 108 or 40 bytes each, the z components behind those of x and y
    INDEX = auto()
    HEIGHTS = auto()
    PRESENCE = auto()
    STATS = auto()
    TEMPERATURE = auto()
    SKIPPED = auto()  # known, and of no use here: profiles, heat maps


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a header keeps what we need; all fields are little-endian u32 but for a u16 `tlvs_format`."""

    name: str
    size: int
    length_at: int
    number_at: int
    subframe_at: int
    tlvs_at: int
    tlvs_format: str


H40 = Layout("H40", 40, 12, 20, 36, 32, "<I")
H44 = Layout("H44", 44, 12, 20, 36, 32, "<I")
H48 = Layout("H48", 48, 12, 20, 24, 44, "<H")
H52 = Layout("H52", 52, 20, 24, 28, 48, "<H")


@dataclass(frozen=True, slots=True)
class Dialect:
    """A layout, whether TLV lengths include their own 8-byte header, the slack allowed between the last TLV and
    totalPacketLen, and what each TLV type holds."""

    name: str
    layout: Layout
    counts_header: bool
    slack: int
    contents: Mapping[int, Content]


_OOB = {
    1: Content.CARTESIAN, 2: Content.SKIPPED, 3: Content.SKIPPED, 4: Content.SKIPPED, 5: Content.SKIPPED,
    6: Content.STATS, 7: Content.SIDE_INFO, 8: Content.SKIPPED, 9: Content.TEMPERATURE,
    1000: Content.SPHERICAL, 1010: Content.TARGETS, 1011: Content.INDEX, 1012: Content.HEIGHTS,
    1020: Content.COMPRESSED, 1021: Content.PRESENCE,
}  # fmt: skip
_AREA_SCANNER = {**_OOB, 10: Content.SKIPPED, 11: Content.SKIPPED}
_OLD_3DPC = {
    6: Content.COMPRESSED, 7: Content.TARGETS, 8: Content.INDEX,
    9: Content.SKIPPED, 10: Content.SKIPPED, 11: Content.PRESENCE,
}  # fmt: skip
_OLD_LRPD = {6: Content.SPHERICAL, 7: Content.TARGETS_Z_LAST, 8: Content.INDEX, 9: Content.SIDE_INFO}
_OLD_2D = {7: Content.SKIPPED, 8: Content.SKIPPED}  # record layouts not confirmed: never guess positions

OOB = Dialect("H40, lengths without TLV header", H40, False, PADDING - 1, _OOB)
AREA_SCANNER = Dialect("H44, lengths without TLV header", H44, False, PADDING - 1, _AREA_SCANNER)
OLD_3DPC = Dialect("H48, lengths with TLV header", H48, True, 0, _OLD_3DPC)
OLD_2D = Dialect("H52, lengths with TLV header", H52, True, 0, _OLD_2D)
OLD_LRPD = Dialect("H52, lengths without TLV header", H52, False, PADDING - 1, _OLD_LRPD)
OOB_COUNTING = Dialect("H40, lengths with TLV header", H40, True, 0, _OOB)

_U32 = struct.Struct("<I")


def dialects_of(packet: bytes | bytearray, start: int, end: int) -> tuple[Dialect, ...] | None:
    """The dialects that a header at `start` could speak, likeliest first (protocols A3); None: more bytes needed.

    `end` bounds what belongs to this packet so far. The walk over the TLVs settles which one holds.
    """
    if end - start < MIN_HEADER_BYTES:
        return None
    if _is_platform(_U32.unpack_from(packet, start + 12)[0]):
        return (OLD_2D, OLD_LRPD)
    length = _U32.unpack_from(packet, start + H48.length_at)[0]
    if length >= H48.size and _is_platform(_U32.unpack_from(packet, start + 16)[0]):
        if end - start < H48.size:
            return None
        tlvs = struct.unpack_from(H48.tlvs_format, packet, start + H48.tlvs_at)[0]
        if tlvs <= 12 and checksum_holds(packet[start : start + H48.size]):
            return (OLD_3DPC,)
    return (OOB, AREA_SCANNER, OOB_COUNTING)


def checksum(header: bytes | bytearray) -> int:
    """The u16 that completes a header whose checksum field is 0: folded sum of its u16 words, complemented (A3)."""
    return ~_folded_sum(header) & 0xFFFF


def checksum_holds(header: bytes | bytearray) -> bool:
    return _folded_sum(header) == 0xFFFF


def _folded_sum(header: bytes | bytearray) -> int:
    total = int(np.frombuffer(header, "<u2").sum(dtype=np.uint64))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _is_platform(value: int) -> bool:
    """0xA1642, 0xA1843, 0xA6843, ...: no length that is allowed reaches these numbers."""
    return value >> 16 == 0xA
