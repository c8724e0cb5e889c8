"""Capture files, and live capture streams through a FIFO: `tcpdump -w`, a remote sniffer over ssh, the virtual twin.

A file is read as fast as it is asked for and ends; its packets' times are its clock. A FIFO never ends: when its
writer goes away that is DeviceLost, and opening again waits for the next writer.
"""

import os
import select
import stat
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from ..errors import DeviceError, DeviceLost, DeviceNotFound, DeviceRefused
from .capture import MAGICS, CaptureParser, link_refusal
from .clock import SourceClock
from .packets import PacketReader
from .sighting import Sighting

_FILE_CHUNK = 16384  # some hundred packets: a node stays responsive and its queue short
_FIFO_CHUNK = 65536
_WRITER_WAIT_S = 1.0  # then open again: whoever makes the FIFO may have made a new one
_LOOK_S = 0.02
_FUTURE_NS = 5_000_000_000  # a stamp further ahead of its stream is damaged


def open_stream(path: str) -> "FilePort | FifoPort":
    """The port for a capture by what lies at `path`. Raises DeviceNotFound where nothing does."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise DeviceNotFound(f"{path}: cannot be opened: {error.strerror}") from error
    return FifoPort(path) if stat.S_ISFIFO(mode) else FilePort(path)


class _Stream:
    """What files and FIFOs share: an open descriptor, a capture parser, a packet reader."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_finished = False
        self._descriptor = -1
        self._parser = CaptureParser()
        self._packets = PacketReader(path)

    @property
    def counters(self) -> Mapping[str, int]:
        return {**self._packets.counters, **self._parser.counters}

    def __enter__(self) -> Self:
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError as error:
            raise DeviceRefused(
                f"{self.path}: this user may not read it: give it to the group, or `chmod a+r` it"
            ) from error
        except OSError as error:
            raise DeviceNotFound(f"{self.path}: cannot be opened: {error.strerror}") from error
        try:
            self._prepare()
        except OSError as error:
            self.__exit__(None, None, None)
            raise self._stopped(error) from error
        except DeviceError:
            self.__exit__(None, None, None)
            raise
        return self

    def _prepare(self) -> None:
        """Look whether what was opened can be read. Raises DeviceLost, DeviceRefused or OSError."""
        raise NotImplementedError

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _stopped(self, error: OSError) -> DeviceLost:
        return DeviceLost(f"{self.path}: reading stopped: {error.strerror}")

    def _parse(self, data: bytes) -> list[Sighting]:
        packets = self._parser.feed(data)
        refusals = [link_refusal(link_type) for link_type in self._parser.link_types]
        if refusals and all(refusals):  # said before the first packet; a pcapng may have other interfaces beside
            raise DeviceRefused(f"{self.path} {refusals[0]}")
        return self._packets.sightings(packets)


class FilePort(_Stream):
    """A pcap or pcapng file."""

    def _prepare(self) -> None:
        start = os.pread(self._descriptor, 4, 0)
        if start not in MAGICS:
            shown = start.hex(" ") or "nothing"
            raise DeviceRefused(f"{self.path}: is no pcap or pcapng capture (it begins with {shown})")

    def read(self, timeout_s: float) -> list[Sighting] | None:
        try:
            data = os.read(self._descriptor, _FILE_CHUNK)
        except OSError as error:
            raise self._stopped(error) from error
        if not data:
            self.is_finished = True
            self._parser.counters["cut_bytes"] = self._parser.leftover_bytes
            return None
        return self._parse(data)

    def clock_ns(self) -> int | None:
        return None


class FifoPort(_Stream):
    """A named pipe that some program writes a capture into."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._clock = SourceClock()
        self._pending = b""

    def _prepare(self) -> None:
        """Wait a moment for a writer: without one, this is not yet a device."""
        deadline = time.monotonic() + _WRITER_WAIT_S
        while not self._has_writer():
            if time.monotonic() > deadline:
                raise DeviceLost(f"{self.path}: nobody writes into this stream")
            time.sleep(_LOOK_S)

    def _has_writer(self) -> bool:
        try:
            self._pending = os.read(self._descriptor, _FIFO_CHUNK)
        except BlockingIOError:  # somebody has it open, and says nothing yet
            return True
        return bool(self._pending)

    def read(self, timeout_s: float) -> list[Sighting] | None:
        data = self._receive(timeout_s)
        if not data:
            return None
        sightings = self._parse(data)
        if sightings:
            now = time.time_ns()
            stamp = sightings[-1].t_ns
            if not self._clock.is_set or stamp < self._clock.reading(now) + _FUTURE_NS:
                self._clock.observe(stamp, now)
        return sightings

    def clock_ns(self) -> int | None:
        """The stream's clock by its packets, so that windows close in its time even where its host's clock is off."""
        return self._clock.reading(time.time_ns()) if self._clock.is_set else None

    def _receive(self, timeout_s: float) -> bytes | None:
        """Bytes, or None while there are none. Raises DeviceLost when nobody writes any more."""
        if self._pending:
            data, self._pending = self._pending, b""
            return data
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        poller.poll(timeout_s * 1000)
        try:
            data = os.read(self._descriptor, _FIFO_CHUNK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._stopped(error) from error
        if not data:
            raise DeviceLost(f"{self.path}: its writer went away")
        return data
