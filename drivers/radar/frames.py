"""UART bytes in, RadarFrame messages out: resynchronisation, frame numbers, labels and time (protocols A3-A9).

A packet is accepted when its TLVs are all there before the next magic word; totalPacketLen has to fit them but is never
jumped by, so padding and lost bytes at a packet's end cost nothing, and a packet goes out as soon as its last TLV is
in. Everything else costs one byte: the search goes on right behind the refused magic word. What comes out does not
depend on how the bytes were cut into chunks. It reads no port and no clock, and never raises on any bytes.

Time (design 4): a chunk is stamped when its last byte had arrived, so the frame's first byte arrived earlier by the
wire time of the bytes behind it; that byte's own wire time is taken off as well, so `t_ns` is the moment the firmware
began to send. It is never put before the previous chunk's stamp (less that one byte), since it was not in that chunk.
The firmware's own processing (some 10 ms to one frame) happened before and is not known here.
"""

import struct
from collections import deque

import numpy as np

from ...messages import RadarFrame
from .headers import MAGIC, MAX_TLVS, Dialect, dialects_of
from .tlvs import Decoded, Impossible, Packet, decode, walk

BITS_PER_BYTE = 10  # 8N1
SURE_AFTER = 3  # consistent packets that settle the dialect of a connection (A3)
UNSURE_AFTER = 20  # refused packets in a row that open the question again
LARGEST_GAP = 1000  # frames; a larger jump is a corrupt number or a rebooted device
FOLLOWS_WITHIN = 10  # frames; a second number this close behind an odd one confirms it

COUNTERS = (
    "bytes", "frames", "skipped_bytes", "refused_packets", "cut_packets", "short_packets", "points_refused",
    "missed_frames", "repeated_frames", "restarts", "labels_dropped",
)  # fmt: skip

_U32 = struct.Struct("<I")


class RadarParser:
    """One connection's parser. counters: totals by name (docs/radar.md), `tlv_<type>_skipped` per unknown TLV type.

    gauges: the firmware's latest account of itself (uart_us, frame_margin_us, cpu_percent, temperature_c).
    dialect: what this connection speaks, None until settled. version: the SDK's, from the header.
    """

    def __init__(self, source: str, baud: int = 921600) -> None:
        self.source = source
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.gauges: dict[str, int] = {}
        self.dialect: Dialect | None = None
        self.version = ""
        self._baud = baud
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte since the connection began
        self._arrivals: deque[tuple[int, int]] = deque()  # (offset behind the chunk, t_ns)
        self._before_ns = 0  # stamp of the chunk before the first in _arrivals
        self._wanted = 0  # buffer length below which only another magic word would change anything
        self._claimed_end = 0  # offset where the last accepted packet should end
        self._candidate: Dialect | None = None
        self._votes = 0
        self._refused_in_row = 0
        self._is_tracking = False
        self._number: int | None = None
        self._odd_number: int | None = None
        self._last: tuple[int, int] | None = None  # frame number and subframe of the last accepted packet
        self._cloud: Decoded | None = None  # of that packet: what the next labels are for

    def feed(self, data: bytes, t_ns: int) -> list[RadarFrame]:
        """The frames that `data` completes. t_ns: when its last byte had arrived, UTC nanoseconds."""
        if not data:
            return []
        new = max(0, len(self._buffer) - len(MAGIC) + 1)
        self._buffer += data
        self.counters["bytes"] += len(data)
        self._arrivals.append((self._offset + len(self._buffer), t_ns))
        if len(self._buffer) < self._wanted and self._buffer.find(MAGIC, new) < 0:
            return []
        return self._advance(is_idle=False)

    def idle(self) -> list[RadarFrame]:
        """To be called when nothing came for a while: a packet whose last bytes could have been the start of a magic
        word (a label 2 at the very end of an unpadded packet) is complete after all."""
        return self._advance(is_idle=True)

    def reconnect(self) -> None:
        """Forget the stream, keep the totals: to be called when the port was opened again."""
        self._forget(len(self._buffer))
        self._claimed_end = self._wanted = 0
        self.dialect, self._candidate, self._votes, self._refused_in_row = None, None, 0, 0
        self._number, self._odd_number, self._last, self._cloud = None, None, None, None

    def _advance(self, is_idle: bool) -> list[RadarFrame]:
        frames: list[RadarFrame] = []
        at, tail, self._wanted = 0, self._tail(), 0
        while True:
            start = self._buffer.find(MAGIC, at)
            if start < 0:
                rest = max(at, len(self._buffer) - len(MAGIC) + 1)
                self._skip(at, rest)
                at = rest
                break
            if start > at:
                self._skip(at, start)
            if self._offset + start < self._claimed_end:
                self.counters["short_packets"] += 1
                self._claimed_end = 0
            at = start
            found = self._packet(start, len(self._buffer) if is_idle else tail)
            if isinstance(found, int):
                self._wanted = found - start
                break
            if found:
                packet, decoded = found
                if frame := self._frame(start, packet, decoded):
                    frames.append(frame)
                at = min(start + packet.end, tail)
            else:
                self._refuse()
                self._skip(start, start + 1)
                at = start + 1
        self._forget(at)
        return frames

    def _packet(self, start: int, end: int) -> tuple[Packet, Decoded] | int | None:
        """What stands at the magic word `start`: a whole packet, one still arriving (it cannot be told before the
        buffer reaches that number), or none. `end`: of what may belong to it if no other magic word follows."""
        following = self._buffer.find(MAGIC, start + len(MAGIC))
        is_ended = following >= 0
        end = following if is_ended else end
        dialects = (self.dialect,) if self.dialect else dialects_of(self._buffer, start, end)
        if dialects is None and not is_ended:
            return end + 1
        is_cut = dialects is None
        for dialect in dialects or ():
            found = walk(self._buffer, start, end, dialect)
            if isinstance(found, Packet):
                if decoded := self._decoded(start, found):
                    return found, decoded
            elif found:
                if not is_ended:
                    return start + found
                is_cut = True
        self.counters["cut_packets"] += is_cut
        return None

    def _tail(self) -> int:
        """Where the bytes begin, at the buffer's end, that may prove to be the start of the next magic word."""
        size = len(self._buffer)
        if size and self._buffer[-1] in MAGIC:
            for count in range(len(MAGIC) - 1, 0, -1):
                if self._buffer.endswith(MAGIC[:count]):
                    return size - count
        return size

    def _decoded(self, start: int, packet: Packet) -> Decoded | None:
        try:
            return decode(bytes(memoryview(self._buffer)[start : start + packet.end]), packet)
        except Impossible:
            return None

    def _refuse(self) -> None:
        self.counters["refused_packets"] += 1
        self._refused_in_row += 1
        if self._refused_in_row >= UNSURE_AFTER:
            self.dialect, self._candidate, self._votes = None, None, 0

    def _frame(self, start: int, packet: Packet, decoded: Decoded) -> RadarFrame | None:
        layout = packet.dialect.layout
        (number,) = _U32.unpack_from(self._buffer, start + layout.number_at)
        (subframe,) = _U32.unpack_from(self._buffer, start + layout.subframe_at)
        self._claimed_end = self._offset + start + packet.length
        self._vote(start, packet)
        if self._last == (number, subframe):
            self.counters["repeated_frames"] += 1
            return None
        labels = self._labels(number, decoded)
        self._count_frame(number, decoded)
        self._last, self._cloud = (number, subframe), decoded
        self._is_tracking = self._is_tracking or decoded.is_tracking
        targets = decoded.targets
        if targets is None and self._is_tracking:
            targets = np.empty((0, 9), "<f4")
        return RadarFrame(
            source=self.source,
            t_ns=self._sent_ns(self._offset + start),
            points=decoded.points,
            frame_number=number,
            targets=targets,
            target_index=labels,
            presence=decoded.presence,
        )

    def _vote(self, start: int, packet: Packet) -> None:
        self._refused_in_row = 0
        if not self.version:
            self.version = ".".join(str(byte) for byte in reversed(self._buffer[start + 8 : start + 12]))
        if self.dialect or not packet.tlvs:
            return
        self._votes = self._votes + 1 if packet.dialect is self._candidate else 1
        self._candidate = packet.dialect
        if self._votes >= SURE_AFTER:
            self.dialect = packet.dialect

    def _labels(self, number: int, decoded: Decoded) -> np.ndarray | None:
        """Labels belong to the previous frame's cloud (A5): only if that frame is here, with as many points."""
        labels, cloud = decoded.index, self._cloud
        if labels is None:
            return None
        is_next = self._last is not None and number == self._last[0] + 1
        if cloud is None or not is_next or len(labels) != cloud.sent_points:
            self.counters["labels_dropped"] += 1
            return None
        return labels if cloud.keep is None else labels[cloud.keep]

    def _count_frame(self, number: int, decoded: Decoded) -> None:
        counters = self.counters
        counters["frames"] += 1
        if decoded.keep is not None:
            counters["points_refused"] += len(decoded.keep) - len(decoded.points)
        self.gauges.update(decoded.gauges)
        for kind in decoded.unknown:
            name = f"tlv_{kind}_skipped"
            if name not in counters and len(counters) >= len(COUNTERS) + MAX_TLVS:
                name = "tlv_other_skipped"  # a corrupt stream invents types without end
            counters[name] = counters.get(name, 0) + 1
        self._follow_number(number)

    def _follow_number(self, number: int) -> None:
        """Count gaps and restarts (A8). One odd number alone may be a flipped bit; the next frame tells."""
        step = number - self._number if self._number is not None else 1
        if 0 <= step <= LARGEST_GAP:
            self.counters["missed_frames"] += max(0, step - 1)
        elif self._odd_number is None or not 0 < number - self._odd_number <= FOLLOWS_WITHIN:
            self._odd_number = number
            return
        elif step < 0:
            self.counters["restarts"] += 1
        self._number, self._odd_number = number, None

    def _sent_ns(self, offset: int) -> int:
        """When the firmware began to send the byte at `offset`; see the module's text."""
        before_ns = self._before_ns
        for behind, t_ns in self._arrivals:
            if behind > offset:
                sent_ns = t_ns - self._wire_ns(behind - offset)
                return max(0, sent_ns, min(before_ns - self._wire_ns(1), t_ns))
            before_ns = t_ns
        return max(0, before_ns)

    def _wire_ns(self, count: int) -> int:
        return count * BITS_PER_BYTE * 1_000_000_000 // self._baud

    def _skip(self, start: int, end: int) -> None:
        """Count bytes that belong to no packet; padding belongs to one."""
        self.counters["skipped_bytes"] += max(0, end - max(start, self._claimed_end - self._offset))

    def _forget(self, count: int) -> None:
        if count:
            del self._buffer[:count]
            self._offset += count
        while self._arrivals and self._arrivals[0][0] <= self._offset:
            self._before_ns = self._arrivals.popleft()[1]
