"""Radiotap, the header a monitor interface puts before each 802.11 frame: where in it signal and channel lie.

Which fields a header has, and so where each lies, is told by its "present" words; an adapter uses a handful of
combinations, so each is worked out once and kept as one struct that reads every wanted value at a stroke, the
802.11 header's included. Facts: protocols B1. Nothing here knows files, sockets or clocks.
"""

import struct
from functools import lru_cache
from typing import NamedTuple

from .dot11 import CONTROL, EITHER, GROUP_BIT, NETWORK, NOBODY, ROLES, channel_number
from .sighting import Sighting

# (size, alignment) of the fields of bits 0..27, aligned from the start of the header
_FIELDS = (
    (8, 8), (1, 1), (1, 1), (4, 2), (2, 1), (1, 1), (1, 1), (2, 2), (2, 2), (2, 2), (1, 1), (1, 1), (1, 1), (1, 1),
    (2, 2), (2, 2), (1, 1), (1, 1), (8, 4), (3, 1), (8, 4), (12, 2), (12, 8), (12, 2), (12, 2), (6, 2), (1, 1), (4, 2),
)  # fmt: skip
_TSFT, _FLAGS, _CHANNEL, _SIGNAL = 0, 1, 3, 5
_TLV, _RESET, _VENDOR, _MORE = 1 << 28, 1 << 29, 1 << 30, 1 << 31
_WANTED = ((_TSFT, "Q"), (_FLAGS, "B"), (_CHANNEL, "H"))
_BAD_FCS, _FCS_AT_END = 0x40, 0x10
_LONGEST_HEADER = 512  # real ones have 10 to 100 bytes
_WEAKEST_DBM = -120
_MAX_WORDS = 32
_CHANNELS = {mhz: channel_number(mhz) for mhz in range(2400, 7200) if channel_number(mhz)}
_CONTROL_WITH_SENDER = 16  # bytes of the shortest frame that names its transmitter
_WITH_SEQUENCE = 24


class _Layout(NamedTuple):
    """struct: reads (tsft, flags, MHz, dBm, frame control, address 2, address 3, sequence control), b"" for what is
    missing; order puts them so where the header has them otherwise. spare: offsets of further signal fields."""

    struct: struct.Struct
    order: tuple[int, ...]
    spare: tuple[int, ...]
    length: int


def parse_radiotap(frame: bytes, t_ns: int = 0) -> Sighting | None:
    """Who was heard how strongly; None where that cannot be told (`refusal` says why). Never raises.

    frame: radiotap header and 802.11 frame as captured, at least to the sequence control. t_ns: goes into the result.
    The signal is the first antenna-signal field, the combined one; values of 0 and above are placeholders.
    """
    layout = _layout(frame[:8]) or _extended(frame)
    if layout is None:
        return None
    try:
        values = layout.struct.unpack_from(frame)
    except struct.error:
        return _short(frame, layout, t_ns)
    if layout.order:
        values = [values[i] for i in layout.order]
    tsft, flags, mhz, dbm, frame_control, transmitter, network, sequence = values
    role = ROLES[frame_control & 0x3FF]
    if role == NOBODY or (flags and flags & _BAD_FCS):
        return None
    if not _WEAKEST_DBM <= dbm < 0:
        dbm = _spare_signal(frame, layout.spare)
        if dbm is None:
            return None
    if role == EITHER:
        sequence = -1
        transmitter = _without_group_bit(transmitter)
    elif transmitter == network:
        role = NETWORK
    if tsft == b"":
        tsft = None
    return Sighting(t_ns, transmitter, dbm, _CHANNELS.get(mhz, 0), role, frame_control, sequence, tsft)


def refusal(frame: bytes) -> str:
    """Why `parse_radiotap` gave None for this frame, as the name of a counter."""
    layout = _layout(frame[:8]) or _extended(frame)
    if layout is None:
        return "no_signal" if _is_radiotap(frame) else "malformed"
    body = frame[layout.length :]
    flags = _value(frame, layout, 1)
    if isinstance(flags, int) and flags & _BAD_FCS:
        return "bad_fcs"
    if len(body) < 2:
        return "malformed"
    role = ROLES[body[0] | (body[1] & 3) << 8]
    if role == NOBODY:
        return "no_transmitter"
    return "malformed" if len(body) < (_CONTROL_WITH_SENDER if role == EITHER else _WITH_SEQUENCE) else "no_signal"


def _is_radiotap(frame: bytes) -> bool:
    return len(frame) >= 8 and frame[0] == 0 and 8 <= int.from_bytes(frame[2:4], "little") <= len(frame)


def _extended(frame: bytes) -> _Layout | None:
    """The layout of a header with several present words, and maybe a vendor's fields before ours."""
    if len(frame) < 8 or not frame[7] & 0x80:
        return None
    end = 8
    while end + 4 <= len(frame) and frame[end - 1] & 0x80 and end < 4 + 4 * _MAX_WORDS:
        end += 4
    # a vendor's fields tell their own length: only then does the layout depend on more than the words
    return _layout(frame[:end]) or _layout(frame[: min(int.from_bytes(frame[2:4], "little"), _LONGEST_HEADER)])


@lru_cache(maxsize=256)
def _layout(header: bytes) -> _Layout | None:
    """Where things are, told by the start of a header (all its present words, or all of it); None where it cannot be
    told from that, where it is no radiotap version 0, or where no antenna signal is among its fields."""
    if len(header) < 8 or header[0] != 0:
        return None
    length = int.from_bytes(header[2:4], "little")
    found = _offsets(header)
    if found is None or not 8 <= length <= _LONGEST_HEADER:
        return None
    signals = [offset for bit, offset in found if bit == _SIGNAL and offset + 1 <= length]
    if not signals:
        return None
    first = {bit: offset for bit, offset in reversed(found) if offset + _FIELDS[bit][0] <= length}
    wanted: list[tuple[int, str]] = []
    for bit, code in _WANTED:
        before = wanted[-1][0] if wanted else 0
        wanted.append((first[bit], code) if bit in first else (before, "0s"))
    wanted.append((signals[0], "b"))
    ranks = sorted(range(4), key=lambda slot: wanted[slot][0])
    form, at = "<", 0
    for slot in ranks:
        offset, code = wanted[slot]
        form += f"{max(offset - at, 0)}x{code}"
        at = max(offset, at) + struct.calcsize("<" + code)
    form += f"{length - at}xH8x6s6sH"
    order = () if ranks == [0, 1, 2, 3] else (*(ranks.index(slot) for slot in range(4)), 4, 5, 6, 7)
    return _Layout(struct.Struct(form), order, tuple(signals[1:]), length)


def _offsets(header: bytes) -> list[tuple[int, int]] | None:
    """(bit, offset) of every field of the radiotap namespace in order; None where `header` is too short to tell."""
    words, at = _present_words(header)
    if words is None:
        return None
    found: list[tuple[int, int]] = []
    is_known, next_known = True, True
    for index, word in enumerate(words):
        if index:
            is_known = next_known
        if is_known:
            for bit in range(28):
                if word >> bit & 1:
                    size, alignment = _FIELDS[bit]
                    at = -(-at // alignment) * alignment
                    found.append((bit, at))
                    at += size
            if word & _TLV:
                break
        if word & _VENDOR:
            at += at & 1
            if len(header) < at + 6:
                # what follows is unknown yet; good enough when the wanted fields came before it
                return found if any(bit == _SIGNAL for bit, _ in found) else None
            at += 6 + int.from_bytes(header[at + 4 : at + 6], "little")
            next_known = False
        elif word & _RESET:
            next_known = True
        elif is_known:
            next_known = False  # bits 32 and up are not defined yet
    return found


def _present_words(header: bytes) -> tuple[list[int] | None, int]:
    """The present words and the offset behind them; None where `header` ends before they do."""
    words: list[int] = []
    at = 4
    while True:
        if at + 4 > len(header) or len(words) == _MAX_WORDS:
            return None, at
        words.append(int.from_bytes(header[at : at + 4], "little"))
        at += 4
        if not words[-1] & _MORE:
            return words, at


def _short(frame: bytes, layout: _Layout, t_ns: int) -> Sighting | None:
    """A frame that ends before a sequence control can be: only control frames may."""
    body = frame[layout.length :]
    if len(body) < _CONTROL_WITH_SENDER or body[0] >> 2 & 3 != CONTROL:
        return None
    flags = _value(frame, layout, 1)
    if isinstance(flags, int) and flags & _FCS_AT_END and len(body) < _CONTROL_WITH_SENDER + 4:
        return None
    return parse_radiotap(frame + bytes(_WITH_SEQUENCE - len(body)), t_ns)


def _value(frame: bytes, layout: _Layout, slot: int) -> int | bytes:
    """One of the layout's values, also where the frame behind the header is cut short."""
    try:
        values = layout.struct.unpack_from(frame + bytes(_WITH_SEQUENCE))
    except struct.error:
        return b""
    return values[layout.order[slot] if layout.order else slot]


def _spare_signal(frame: bytes, offsets: tuple[int, ...]) -> int | None:
    """The first sensible of the per-chain signals, for an adapter that gives no combined one."""
    for offset in offsets:
        dbm = frame[offset] - 256 if frame[offset] > 127 else 0
        if _WEAKEST_DBM <= dbm < 0:
            return dbm
    return None


def _without_group_bit(address: bytes) -> bytes:
    """Control frames may mark their bandwidth in the transmitter's group bit; the device is the same."""
    return bytes((address[0] & ~GROUP_BIT,)) + address[1:]
