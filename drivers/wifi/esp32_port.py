"""The serial port an ESP32 sniffer hangs on."""

import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import serial

from ..errors import DeviceError, DeviceLost, DeviceNotFound, DeviceRefused
from .esp32 import LineParser
from .sighting import Sighting

BAUD = 921600
_MUTE_S = 10.0  # of bytes without a single good line


class Esp32Port:
    """device: a path, better one of /dev/serial/by-id, with another speed than 921600 as "PATH@115200"."""

    is_finished = False

    def __init__(self, device: str) -> None:
        path, _, baud = device.partition("@")
        self.path = path
        self._baud = int(baud) if baud.isdigit() else BAUD
        self._parser = LineParser()
        self._port: serial.Serial | None = None
        self._heard_nothing_since: float | None = None

    @property
    def counters(self) -> Mapping[str, int]:
        return self._parser.counters

    def __enter__(self) -> Self:
        try:
            self._port = serial.Serial(self.path, self._baud, timeout=0, exclusive=True)
        except (serial.SerialException, ValueError, OSError) as error:
            raise self._refusal(error) from error
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    def read(self, timeout_s: float) -> list[Sighting] | None:
        if self._port is None:
            raise DeviceLost(f"{self.path}: is not open")
        try:
            self._port.timeout = timeout_s
            data = self._port.read(1)  # waits; then whatever else is there, stamped at once
            t_ns = time.time_ns()
            data += self._port.read(self._port.in_waiting) if data else b""
        except (serial.SerialException, OSError) as error:
            raise DeviceLost(f"{self.path}: the sniffer went away (unplugged?)") from error
        if not data:
            return None
        sightings = self._parser.feed(data, t_ns)
        self._check_language()
        return sightings or None

    def clock_ns(self) -> int | None:
        return time.time_ns()

    def _check_language(self) -> None:
        """Bytes but never a line: said once and for all, since waiting does not cure a wrong speed or firmware."""
        now = time.monotonic()
        if self._parser.counters["lines"]:
            self._heard_nothing_since = None
        elif self._heard_nothing_since is None:
            self._heard_nothing_since = now
        elif now - self._heard_nothing_since > _MUTE_S:
            raise DeviceRefused(
                f"{self.path}: sends bytes but no line of the form in docs/wifi.md at {self._baud} baud: check the "
                'firmware, or give its speed as "esp32:PATH@115200"'
            )

    def _refusal(self, error: Exception) -> DeviceError:
        if not os.path.exists(self.path):
            return DeviceNotFound(f"{self.path}: there is no such port")
        if not os.access(self.path, os.R_OK | os.W_OK):
            return DeviceRefused(
                f"{self.path}: this user may not open it: `sudo usermod -aG dialout $USER`, then log in again"
            )
        if "lock" in str(error).lower():
            return DeviceRefused(f"{self.path}: another program has this port open")
        return DeviceRefused(f"{self.path}: is not a serial port that can be opened at {self._baud} baud")
