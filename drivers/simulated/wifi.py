"""A sniffer's virtual twin: what a monitor interface would have captured, as a pcap stream on a FIFO.

{run_dir}/{id}.pcap: radiotap frames of phones (empty QoS data, probe requests, retries) and of one access point
(beacons). Readers come and go: each gets a header first, and nothing waits for them.
"""

import contextlib
import os
import select
from collections import deque
from pathlib import Path

import numpy as np

from ...sitefile import SiteError, Sniffer
from ..wifi.encode import ACCESS_POINT, pcap_header, pcap_record, radiotap_frame
from .cast import Phone
from .faults import Condition
from .radio import Air

CHANNEL = 6
BEACON_NS = 102_400_000
BEACON_SPREAD_DB = 1.5
ACCESS_POINT_DB = 15.0  # how much stronger than a phone an access point sends
DELIVERY_NS = 20_000_000  # capture programs hand over a few packets at a time


class SnifferTwin:
    """One simulated sniffer. counters: packets, unread (nobody or too slow a reader), readers (so far)."""

    def __init__(self, air: Air, sniffer: Sniffer, run_dir: Path, now_ns: int) -> None:
        self.id = sniffer.id
        self.counters = {"packets": 0, "unread": 0, "readers": 0}
        world = air.world
        self._air = air
        self._addresses = [address_of(phone) for phone in world.phones]
        self._row = [other.id for other in world.site.sniffers].index(sniffer.id)
        self._rng = np.random.default_rng([world.seed, 51, self._row])
        area = world.site.area
        x, y, _ = sniffer.position_m
        distance = max(float(np.hypot(x - sum(area.x_m) / 2, y - sum(area.y_m) / 2)), 1.0)  # it hangs in the middle
        loss_db = 10 * sniffer.path_loss_exponent * float(np.log10(distance))
        self._beacon_dbm = sniffer.reference_dbm + ACCESS_POINT_DB - loss_db
        self._from_ns = now_ns
        self._pipe = Pipe(run_dir / f"{sniffer.id}.pcap")
        self._pending: deque[tuple[int, bytes]] = deque()

    def step(self, now_ns: int, condition: Condition) -> int:
        """Hand over what was captured until `now_ns`; returns when to come again."""
        if condition.unplug:
            self._pipe.unplug()
        elif self._pipe.serve():
            self.counters["readers"] += 1
        start_ns, self._from_ns = self._from_ns, now_ns
        if not condition.unplug and not condition.silent:
            self._capture(start_ns, now_ns, condition)
        while self._pending and self._pending[0][0] <= now_ns:
            self.counters["unread"] += not self._pipe.write(self._pending.popleft()[1])
        return now_ns + DELIVERY_NS

    def close(self) -> None:
        self._pipe.unplug()

    def _capture(self, start_ns: int, end_ns: int, condition: Condition) -> None:
        offset_ns, late_ns = int(condition.offset * 1e9), int(condition.late * 1e9)
        for t_ns, frame in self._frames(start_ns, end_ns):
            record = condition.damage(pcap_record(t_ns + offset_ns, frame), self._rng)
            self._pending.append((t_ns + late_ns, record))
            self.counters["packets"] += 1

    def _frames(self, start_ns: int, end_ns: int) -> list[tuple[int, bytes]]:
        frames = []
        for packet, dbm in self._air.heard(self._row, start_ns, end_ns):
            address = self._addresses[packet.phone]
            frame = radiotap_frame(
                packet.t_ns, dbm, CHANNEL, address, packet.kind, packet.sequence, retry=packet.is_retry
            )
            frames.append((packet.t_ns, frame))
        epoch_ns = self._air.world.epoch_ns
        for number in range(-(-(start_ns - epoch_ns) // BEACON_NS), -(-(end_ns - epoch_ns) // BEACON_NS)):
            t_ns = epoch_ns + number * BEACON_NS
            dbm = self._beacon_dbm + self._rng.normal(0.0, BEACON_SPREAD_DB)
            frames.append((t_ns, radiotap_frame(t_ns, dbm, CHANNEL, ACCESS_POINT, "beacon", number)))
        return sorted(frames, key=lambda timed: timed[0])


class Pipe:
    """A FIFO that is written without ever waiting, whoever reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def serve(self) -> bool:
        """Make the FIFO if it is not there, notice a reader that left; True when a new reader was found."""
        if self._descriptor is not None and self._is_abandoned():
            self._hang_up()
        if self._descriptor is not None:
            return False
        if not self._path.is_fifo():
            self._path.unlink(missing_ok=True)
            os.mkfifo(self._path, 0o600)
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # ENXIO: nobody reads yet
            return False
        self.write(pcap_header())
        return True

    def write(self, data: bytes) -> bool:
        """Whether the bytes went to a reader: all of them, since a record is shorter than PIPE_BUF."""
        if self._descriptor is None:
            return False
        try:
            return os.write(self._descriptor, data) == len(data)
        except BlockingIOError:
            return False
        except BrokenPipeError:
            self._hang_up()
            return False

    def unplug(self) -> None:
        self._hang_up()
        self._path.unlink(missing_ok=True)

    def _is_abandoned(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor or 0, select.POLLOUT)
        return any(event & select.POLLERR for _, event in poll.poll(0))

    def _hang_up(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None


def address_of(phone: Phone) -> bytes:
    """The six bytes of its address. Raises SiteError where the site has pseudonyms in place of addresses."""
    try:
        address = bytes.fromhex(phone.address.replace(":", ""))
    except ValueError:
        address = b""
    if len(address) != 6:
        raise SiteError(
            f'device "{phone.address}" is not a hardware address: simulated sniffers need the site file itself, '
            "not the published one with its pseudonyms"
        )
    return address
