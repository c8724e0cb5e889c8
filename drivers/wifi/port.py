"""Where sightings come from: one port for each kind of source that a site file may name. What is read is parsed at
once, so that addresses and frames go no further than the node's memory.

Every port has the same five things, so that the node need not know which it holds.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from ...sitefile import Sniffer
from ..errors import DeviceRefused
from .sighting import Sighting


class SnifferPort(Protocol):
    """A context manager that opens on entry, raising DeviceNotFound, DeviceRefused or DeviceLost."""

    @property
    def counters(self) -> Mapping[str, int]:
        """Totals since opening, each named: what was heard and what was left out, and why."""
        ...

    @property
    def is_finished(self) -> bool:
        """Whether a file was read to its end; live sources never are."""
        ...

    def read(self, timeout_s: float) -> list[Sighting] | None:
        """What was heard, None while nothing is. Raises DeviceLost, or DeviceRefused where only a person helps."""
        ...

    def clock_ns(self) -> int | None:
        """What the source's clock shows now (UTC ns); None while only its packets tell (a file, or no packet yet)."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


SCHEMES = ("interface", "pcap", "esp32", "stations")


def open_sniffer(config: Sniffer) -> SnifferPort:
    """The port of a sniffer, by the scheme of its source. Raises DeviceRefused where there is no such scheme."""
    scheme, _, rest = config.source.partition(":")
    if scheme == "interface" and rest:
        from .monitor import MonitorPort

        return MonitorPort(rest)
    if scheme == "pcap" and rest:
        from .stream import open_stream

        return open_stream(rest)
    if scheme == "esp32" and rest:
        from .esp32_port import Esp32Port

        return Esp32Port(rest)
    if scheme == "stations" and rest:
        from .stations_port import StationsPort

        return StationsPort(rest, config.window_s)
    known = ", ".join(f'"{name}:..."' for name in SCHEMES)
    raise DeviceRefused(f'sniffers.{config.id}.source = "{config.source}": is none of {known}')
