"""One frame heard from one device: what every WiFi source, whatever its format, hands on. Never leaves the node."""

from typing import NamedTuple

from .dot11 import CLIENT, RETRY


class Sighting(NamedTuple):
    """t_ns: UTC when it was received. transmitter: 6 bytes, whom the strength belongs to. rssi_dbm: whole dBm.

    channel: WiFi channel, 0 where unknown. role: what the frame says about its sender (dot11). frame_control: the
    16 bits as on the air. sequence: the 16 bits of sequence control, -1 where there is none. tsft_us: the adapter's
    own clock, None where it told none.
    """

    t_ns: int
    transmitter: bytes
    rssi_dbm: int
    channel: int
    role: int = CLIENT
    frame_control: int = 0
    sequence: int = -1
    tsft_us: int | None = None

    @property
    def type(self) -> int:
        return self.frame_control >> 2 & 3

    @property
    def subtype(self) -> int:
        return self.frame_control >> 4 & 15

    @property
    def is_retry(self) -> bool:
        return bool(self.frame_control >> 8 & RETRY)

    @property
    def seq(self) -> int:
        """The sequence number, 0..4095, or -1."""
        return self.sequence >> 4

    @property
    def frag(self) -> int:
        return self.sequence & 15 if self.sequence >= 0 else -1
