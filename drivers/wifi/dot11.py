"""The 802.11 header: who transmitted a frame, and whether its strength tells where a client is.

A received strength always belongs to the transmitter, address 2 (protocols B2); the source in address 3 of a frame
relayed by an access point was somewhere else. Only the header counts: no names of networks, no contents.
"""

MANAGEMENT, CONTROL, DATA = 0, 1, 2
PROBE_REQUEST, PROBE_RESPONSE, BEACON = 4, 5, 8
CTS, ACK = 12, 13
QOS_NULL = 12
TO_DS, FROM_DS, RETRY = 0x01, 0x02, 0x08  # of the second frame control byte
GROUP_BIT = 0x01  # of an address's first byte

NOBODY, NETWORK, EITHER, CLIENT = range(4)
"""What a frame's first ten bits say about its sender: it is not named; it is an access point; it may be either, so
that only a device known to be a client (an enrolled one) counts; it is a client."""

_CONTROL_WITH_TRANSMITTER = {4, 5, 8, 9, 10, 11, 14, 15}  # report poll .. RTS, CF-End; not wrapper, CTS, ACK
_FROM_ACCESS_POINTS = {1, 3, PROBE_RESPONSE, 6, BEACON}  # (re)association responses, timing advertisement


def _role(frame_control: int) -> int:
    version, frame_type, subtype = frame_control & 3, frame_control >> 2 & 3, frame_control >> 4 & 15
    to_ds, from_ds = bool(frame_control >> 8 & TO_DS), bool(frame_control >> 8 & FROM_DS)
    if version != 0 or frame_type == 3:
        return NOBODY
    if frame_type == CONTROL:
        return EITHER if subtype in _CONTROL_WITH_TRANSMITTER else NOBODY
    if frame_type == DATA:
        return CLIENT if to_ds and not from_ds else NETWORK
    return NETWORK if subtype in _FROM_ACCESS_POINTS else CLIENT


ROLES = bytes(_role(bits) for bits in range(1024))  # indexed by frame_control & 0x3FF


def role_of(frame_control: int) -> int:
    """The role by frame control alone. A management frame whose address 3 equals its address 2 is an access
    point's (it names its own network) although this says CLIENT; whoever sees address 3 must look."""
    return ROLES[frame_control & 0x3FF]


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
