"""The line an ESP32 sniffer sends for each frame it heard; docs/wifi.md describes it for whoever writes the firmware.

`W1,<ms>,<channel>,<rssi>,<frame control>,<address 2>,<sequence control>*<CRC>`; anything else is counted and skipped.
Pure: bytes and their arrival time in, sightings out.
"""

import binascii
import re
from collections import Counter

from .clock import SourceClock
from .dot11 import EITHER, NOBODY, role_of
from .sighting import Sighting

_LINE = re.compile(
    rb"W1,(\d{1,10}),(\d{1,3}),(-\d{1,3}),([0-9a-f]{4}),([0-9a-f]{12}),([0-9a-f]{4})\*([0-9a-f]{4})", re.IGNORECASE
)
_LONGEST_LINE = 96
_MS_WRAP = 2**32
_MS = 1_000_000


class LineParser:
    """counters: lines, malformed (not in the format), bad_crc, no_transmitter, clock_restarts."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self._buffer = bytearray()
        self._clock = SourceClock(wraps_ns=_MS_WRAP * _MS)

    def feed(self, data: bytes, t_ns: int) -> list[Sighting]:
        """data: what arrived until t_ns (host, UTC). Times in the result are the ESP32's own, mapped to the host."""
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        if len(rest) > _LONGEST_LINE:
            self.counters["malformed"] += 1
            self._buffer = bytearray()
        sightings = [sighting for line in lines if (sighting := self._line(bytes(line).strip(), t_ns))]
        self.counters["clock_restarts"] = self._clock.restarts
        return sightings

    def _line(self, line: bytes, arrival_ns: int) -> Sighting | None:
        if not line:
            return None
        match = _LINE.fullmatch(line)
        if match is None:
            self.counters["malformed"] += 1
            return None
        if crc_of(line[: match.start(7) - 1]) != int(match[7], 16):
            self.counters["bad_crc"] += 1
            return None
        ms, channel, rssi_dbm = int(match[1]), int(match[2]), int(match[3])
        if ms >= _MS_WRAP or channel > 255 or rssi_dbm < -120 or rssi_dbm == 0:
            self.counters["malformed"] += 1
            return None
        self.counters["lines"] += 1
        t_ns = self._clock.observe(ms * _MS, arrival_ns)
        control = int.from_bytes(bytes.fromhex(match[4].decode()), "little")
        sequence = int.from_bytes(bytes.fromhex(match[6].decode()), "little")
        transmitter, role = bytes.fromhex(match[5].decode()), role_of(control)
        if role == NOBODY:
            self.counters["no_transmitter"] += 1
            return None
        return Sighting(t_ns, transmitter, rssi_dbm, channel, role, control, -1 if role == EITHER else sequence)


def line_of(ms: int, channel: int, rssi_dbm: int, frame_control: int, transmitter: bytes, sequence: int) -> bytes:
    """The line for one frame, as the firmware has to write it (tests and virtual twins)."""
    control, number = frame_control.to_bytes(2, "little").hex(), sequence.to_bytes(2, "little").hex()
    text = f"W1,{ms % _MS_WRAP},{channel},{rssi_dbm},{control},{transmitter.hex()},{number}".encode()
    return text + b"*%04x\n" % crc_of(text)


def crc_of(text: bytes) -> int:
    """CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, not reflected, no final exclusive or."""
    return binascii.crc_hqx(text, 0xFFFF)
