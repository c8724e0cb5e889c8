"""The 802.11 header: who transmitted a frame, what kind it is, and whether its strength tells where a client is.

A received strength always belongs to the transmitter, address 2 (protocols B2); the source in address 3 of a frame
relayed by an access point was somewhere else. Only the header is read: no names of networks, no contents.
"""

from typing import NamedTuple

MANAGEMENT, CONTROL, DATA = 0, 1, 2
ASSOCIATION_REQUEST, REASSOCIATION_REQUEST, PROBE_REQUEST, PROBE_RESPONSE, BEACON = 0, 2, 4, 5, 8
DISASSOCIATION, AUTHENTICATION, DEAUTHENTICATION, ACTION = 10, 11, 12, 13
QOS_NULL = 12
TO_DS, FROM_DS, RETRY = 0x01, 0x02, 0x08  # of the second frame control byte
GROUP_BIT = 0x01  # of an address's first byte

_CONTROL_WITH_TRANSMITTER = {4, 5, 8, 9, 10, 11, 14, 15}  # CF-End tells it too; CTS (12) and ACK (13) do not
_SHORTEST = 16  # frame control, duration, address 1, address 2
_WITH_SEQUENCE = 24
_FROM_ACCESS_POINTS = {1, 3, PROBE_RESPONSE, 6, BEACON, 9}  # association responses, timing advertisement, ATIM


class Dot11(NamedTuple):
    """transmitter: address 2, 6 bytes. type and subtype as on the air. seq and frag: -1 where the frame has none
    (control frames, or a capture cut short). access_point: the transmitter's own network id (address 3 = address 2),
    which only access points send."""

    transmitter: bytes
    type: int
    subtype: int
    to_ds: bool
    from_ds: bool
    retry: bool
    seq: int
    frag: int
    access_point: bool


def parse_dot11(frame: bytes, start: int = 0, end: int | None = None) -> Dot11 | None:
    """The header of the 802.11 frame in frame[start:end]; None where it is cut short or names no transmitter."""
    end = len(frame) if end is None else end
    if end - start < _SHORTEST:
        return None
    first, flags = frame[start], frame[start + 1]
    frame_type, subtype = first >> 2 & 3, first >> 4
    if first & 3 or frame_type == 3 or (frame_type == CONTROL and subtype not in _CONTROL_WITH_TRANSMITTER):
        return None
    transmitter = frame[start + 10 : start + 16]
    if transmitter[0] & GROUP_BIT:
        return None
    sequence = -1
    if frame_type != CONTROL and end - start >= _WITH_SEQUENCE:
        sequence = frame[start + 22] | frame[start + 23] << 8
    return Dot11(
        transmitter=bytes(transmitter),
        type=frame_type,
        subtype=subtype,
        to_ds=bool(flags & TO_DS),
        from_ds=bool(flags & FROM_DS),
        retry=bool(flags & RETRY),
        seq=sequence >> 4 if sequence >= 0 else -1,
        frag=sequence & 15 if sequence >= 0 else -1,
        access_point=sequence >= 0 and frame[start + 16 : start + 22] == transmitter,
    )


def is_from_client(header: Dot11) -> bool:
    """Whether the strength of this frame tells where a client (a phone) is.

    Yes for data towards an access point and for management frames that clients send; no for whatever an access
    point relays or announces, and for control frames, whose address 2 may carry a bandwidth mark.
    """
    if header.type == DATA:
        return header.to_ds and not header.from_ds
    return header.type == MANAGEMENT and header.subtype not in _FROM_ACCESS_POINTS and not header.access_point


def channel_number(frequency_mhz: int) -> int:
    """The WiFi channel at a centre frequency, 0 where there is none (2.4, 5 and 6 GHz bands)."""
    if frequency_mhz == 2484:
        return 14
    if 2412 <= frequency_mhz <= 2472:
        return (frequency_mhz - 2407) // 5
    if 5160 <= frequency_mhz <= 5895:
        return (frequency_mhz - 5000) // 5
    if 5955 <= frequency_mhz <= 7115:
        return (frequency_mhz - 5950) // 5
    return 0


def channel_frequency_mhz(channel: int) -> int:
    """The centre frequency of a 2.4 or 5 GHz channel. Raises ValueError where there is no such channel."""
    if channel == 14:
        return 2484
    if 1 <= channel <= 13:
        return 2407 + 5 * channel
    if 32 <= channel <= 177:
        return 5000 + 5 * channel
    raise ValueError(f"channel = {channel} is neither a 2.4 GHz (1-14) nor a 5 GHz (32-177) channel")
