"""Capture streams in pieces: pcap (microseconds or nanoseconds, either byte order) and pcapng.

`CaptureParser.feed` takes whatever bytes there are and gives the packets that are whole; it never raises. A stream
that is cut, joined, damaged or begun in the middle is scanned for the next record that makes sense, and what was
skipped is counted. It opens no files and does not look into the packets. Facts: protocols B4.
"""

import struct
from collections import Counter
from typing import NamedTuple

RADIOTAP, BARE_80211 = 127, 105
LINK_NAMES = {1: "Ethernet", 105: "bare 802.11", 113: "Linux cooked", 119: "Prism", 163: "AVS", 192: "PPI"}

_PCAP_MAGICS = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
_SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
MAGICS = (*_PCAP_MAGICS, _SECTION_MAGIC)
_PCAP_HEADER_BYTES, _RECORD_BYTES = 24, 16
_LONGEST_PACKET = 16384  # radiotap and the longest 802.11 frame (11,454 bytes) fit with room
_LONGEST_ORIGINAL = 2**20
_LONGEST_BLOCK = 2**18
_SECTION, _INTERFACE, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 3, 6
_BLOCK_TYPES = {_SECTION, _INTERFACE, 2, _SIMPLE, 4, 5, _ENHANCED, 10, 0x0BAD, 0x40000BAD}
_OPTION_END, _OPTION_RESOLUTION, _OPTION_OFFSET = 0, 9, 14


class Packet(NamedTuple):
    """One captured packet. t_ns: UTC. link_type: what its first byte belongs to (127 radiotap)."""

    t_ns: int
    data: bytes
    link_type: int


class _Interface(NamedTuple):
    """Of a pcapng section: ticks per second of its times and the seconds to add to them."""

    link_type: int
    ticks_per_s: int
    offset_s: int


class CaptureParser:
    """Bytes of one stream in, packets out. counters: packets, garbage_bytes, resyncs, unread_blocks.

    link_types: those the stream has declared so far, in order.
    """

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.link_types: list[int] = []
        self._buffer = bytearray()
        self._is_pcapng: bool | None = None
        self._order = "<"
        self._record = struct.Struct("<IIII")
        self._tick_ns = 1
        self._in_step = True
        self._interfaces: list[_Interface | None] = []

    def feed(self, data: bytes) -> list[Packet]:
        """The packets completed by these bytes, in the order of the stream."""
        self._buffer += data
        packets: list[Packet] = []
        at = 0
        while True:
            if self._is_pcapng is None or self._begins_anew(at):
                taken = self._begin(at)
            elif self._is_pcapng:
                taken = self._block(at, packets)
            else:
                taken = self._pcap_record(at, packets)
            if taken == 0:
                break
            if taken < 0:  # no record starts here
                self._skip(1)
                taken = 1
            else:
                self._in_step = True
            at += taken
        del self._buffer[:at]
        self.counters["packets"] += len(packets)
        return packets

    @property
    def leftover_bytes(self) -> int:
        """Bytes of a record that is not whole yet; at the end of a file: how much of it was cut off."""
        return len(self._buffer)

    def _skip(self, count: int) -> None:
        self.counters["garbage_bytes"] += count
        if self._in_step:
            self.counters["resyncs"] += 1
            self._in_step = False

    def _begins_anew(self, at: int) -> bool:
        """A writer that was restarted, or a file appended to another, begins with a header of its own."""
        start = bytes(self._buffer[at : at + 4])
        return start in _PCAP_MAGICS or (start == _SECTION_MAGIC and not self._is_pcapng)

    def _begin(self, at: int) -> int:
        """Read the header that opens a stream. Returns bytes taken, 0 for more wanted, -1 for none here."""
        start = bytes(self._buffer[at : at + 4])
        if len(start) < 4:
            return 0
        if start == _SECTION_MAGIC:
            self._is_pcapng = True
            return self._block(at, [])
        if start not in _PCAP_MAGICS:
            return -1
        if len(self._buffer) - at < _PCAP_HEADER_BYTES:
            return 0
        order, tick_ns = _PCAP_MAGICS[start]
        major, _, _, _, _, link_type = struct.unpack_from(order + "HHiIII", self._buffer, at + 4)
        if major != 2:
            return -1
        self._is_pcapng, self._tick_ns = False, tick_ns
        self._record = struct.Struct(order + "IIII")
        self.link_types.append(link_type & 0xFFFF)
        return _PCAP_HEADER_BYTES

    def _pcap_record(self, at: int, packets: list[Packet]) -> int:
        if len(self._buffer) - at < _RECORD_BYTES:
            return 0
        seconds, fraction, length, original = self._record.unpack_from(self._buffer, at)
        if not self._is_plausible(fraction, length, original):
            return -1
        end = at + _RECORD_BYTES + length
        if len(self._buffer) < end:
            return 0
        if not self._in_step and not self._is_followed_well(end):
            return -1
        t_ns = seconds * 1_000_000_000 + fraction * self._tick_ns
        packets.append(Packet(t_ns, bytes(self._buffer[at + _RECORD_BYTES : end]), self.link_types[-1]))
        return end - at

    def _is_plausible(self, fraction: int, length: int, original: int) -> bool:
        return (
            0 < length <= _LONGEST_PACKET
            and length <= original <= _LONGEST_ORIGINAL
            and fraction * self._tick_ns < 1_000_000_000
        )

    def _is_followed_well(self, end: int) -> bool:
        """While searching, a record counts only where the next one, so far as it is here, makes sense as well."""
        if len(self._buffer) - end < _RECORD_BYTES or self._begins_anew(end):
            return True
        _, fraction, length, original = self._record.unpack_from(self._buffer, end)
        return self._is_plausible(fraction, length, original)

    def _block(self, at: int, packets: list[Packet]) -> int:
        """One pcapng block. Returns bytes taken, 0 for more wanted, -1 where this is none."""
        available = len(self._buffer) - at
        if available < 12:
            return 0
        if self._buffer[at : at + 4] == _SECTION_MAGIC:
            mark = bytes(self._buffer[at + 8 : at + 12])
            if mark not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
                return -1
            self._order = ">" if mark == b"\x1a\x2b\x3c\x4d" else "<"
        kind, length = struct.unpack_from(self._order + "II", self._buffer, at)
        if kind not in _BLOCK_TYPES or length % 4 or not 12 <= length <= _LONGEST_BLOCK:
            return -1
        if available < length:
            return 0
        if struct.unpack_from(self._order + "I", self._buffer, at + length - 4)[0] != length:
            return -1
        self._read_block(kind, bytes(self._buffer[at + 8 : at + length - 4]), packets)
        return length

    def _read_block(self, kind: int, body: bytes, packets: list[Packet]) -> None:
        if kind == _SECTION:
            self._interfaces = []
        elif kind == _INTERFACE:
            self._interfaces.append(self._interface(body))
        elif kind == _ENHANCED and (packet := self._enhanced(body)):
            packets.append(packet)
        elif kind in (2, _SIMPLE, _ENHANCED):  # packets without a time, or of no interface
            self.counters["unread_blocks"] += 1

    def _interface(self, body: bytes) -> _Interface | None:
        if len(body) < 8:
            return None
        link_type = struct.unpack_from(self._order + "H", body)[0]
        self.link_types.append(link_type)
        ticks, offset_s, at = 1_000_000, 0, 8
        while at + 4 <= len(body):
            code, length = struct.unpack_from(self._order + "HH", body, at)
            value = body[at + 4 : at + 4 + length]
            if code == _OPTION_END:
                break
            if code == _OPTION_RESOLUTION and len(value) == 1:
                exponent = value[0] & 0x7F
                if exponent > 63:
                    return None
                ticks = 2**exponent if value[0] & 0x80 else 10**exponent
            elif code == _OPTION_OFFSET and len(value) == 8:
                offset_s = struct.unpack(self._order + "q", value)[0]
            at += 4 + length + -length % 4
        return _Interface(link_type, ticks, offset_s)

    def _enhanced(self, body: bytes) -> Packet | None:
        if len(body) < 20:
            return None
        index, high, low, length, _ = struct.unpack_from(self._order + "5I", body)
        interface = self._interfaces[index] if index < len(self._interfaces) else None
        if interface is None or length > len(body) - 20:
            return None
        t_ns = (high << 32 | low) * 1_000_000_000 // interface.ticks_per_s + interface.offset_s * 1_000_000_000
        return Packet(t_ns, body[20 : 20 + length], interface.link_type) if 0 <= t_ns < 2**63 else None


def link_refusal(link_type: int) -> str | None:
    """Why packets of this link type tell no signal strength, as the end of a sentence; None where they do."""
    if link_type == RADIOTAP:
        return None
    name = LINK_NAMES.get(link_type, "unknown here")
    if link_type == BARE_80211:
        return f"has link type {link_type} ({name}), which tells no signal strength: capture with radiotap (127)"
    return f"has link type {link_type} ({name}), which is not read here: capture with radiotap (127)"
