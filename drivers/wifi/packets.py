"""Captured packets become sightings, whatever they were captured by, and what cannot is counted by its reason."""

from collections import Counter
from collections.abc import Iterable

from ..errors import DeviceRefused
from .capture import RADIOTAP, Packet, link_refusal
from .radiotap import parse_radiotap, refusal
from .sighting import Sighting


class PacketReader:
    """name: the source, for errors. counters: frames, and by reason those left out: bad_fcs, no_signal, ..."""

    def __init__(self, name: str) -> None:
        self.counters: Counter[str] = Counter()
        self._name = name

    def sightings(self, packets: Iterable[Packet]) -> list[Sighting]:
        """Raises DeviceRefused for packets of a link type that tells no signal strength."""
        sightings = []
        for t_ns, data, link_type in packets:
            if link_type != RADIOTAP:
                raise DeviceRefused(f"{self._name} {link_refusal(link_type)}")
            if sighting := parse_radiotap(data, t_ns):
                sightings.append(sighting)
            else:
                self.counters[refusal(data)] += 1
        self.counters["frames"] += len(sightings)
        return sightings
