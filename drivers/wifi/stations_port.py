"""Asks the access point on this machine for its station table: `iw`, or on OpenWrt `ubus`."""

import shutil
import subprocess
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from ..errors import DeviceLost, DeviceNotFound, DeviceRefused
from .sighting import Sighting
from .stations import Row, StationTable, parse_iw, parse_ubus

_SHORTEST_PERIOD_S = 0.25
_ANSWER_S = 2.0
_UBUS = "ubus:"


class StationsPort:
    """table: an interface ("wlan0", asked by iw), or "ubus:hostapd.wlan0". Asked twice per window."""

    is_finished = False

    def __init__(self, table: str, window_s: float) -> None:
        self._is_ubus = table.startswith(_UBUS)
        name = table.removeprefix(_UBUS)
        self._command = (
            ["ubus", "call", name, "get_clients"] if self._is_ubus else ["iw", "dev", name, "station", "dump"]
        )
        self._period_s = max(_SHORTEST_PERIOD_S, window_s / 2)
        self._due = 0.0
        self._stations = StationTable()

    @property
    def counters(self) -> Mapping[str, int]:
        return self._stations.counters

    def __enter__(self) -> Self:
        program = self._command[0]
        if shutil.which(program) is None:
            raise DeviceNotFound(f"stations: the program {program} is not installed here (`apt install {program}`)")
        self._stations.fresh(self._ask(), time.time_ns())  # says at once what is wrong; its rows may be old
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def read(self, timeout_s: float) -> list[Sighting] | None:
        wait_s = self._due - time.monotonic()
        if wait_s > 0:
            time.sleep(min(wait_s, timeout_s))
            if wait_s > timeout_s:
                return None
        self._due = time.monotonic() + self._period_s
        t_ns = time.time_ns()
        return self._stations.fresh(self._ask(), t_ns) or None

    def clock_ns(self) -> int | None:
        return time.time_ns()

    def _ask(self) -> list[Row]:
        shown = " ".join(self._command)
        try:
            answer = subprocess.run(self._command, capture_output=True, text=True, timeout=_ANSWER_S, errors="replace")
        except subprocess.TimeoutExpired as error:
            raise DeviceLost(f"stations: `{shown}` did not answer within {_ANSWER_S:g} s") from error
        except OSError as error:
            raise DeviceRefused(f"stations: `{shown}` cannot be run: {error.strerror}") from error
        if answer.returncode:
            reason = (answer.stderr.strip() or answer.stdout.strip() or f"exit {answer.returncode}").splitlines()[0]
            raise DeviceRefused(f"stations: `{shown}` says: {reason}")
        try:
            return parse_ubus(answer.stdout) if self._is_ubus else parse_iw(answer.stdout)
        except ValueError as error:
            raise DeviceRefused(f"stations: `{shown}`: {error}") from error
