"""A radar's two serial ports: open, configure, read chunks; every failure as one of the four device errors.

It finds out by listening whether the sensor already streams and configures it only if not, since most firmwares cannot
be configured twice (protocols A2). It reads bytes and stamps them; parser.feed makes frames of them. Reopening after
a failure is the node's business.
"""

import errno
import termios
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import serial

from ...sitefile import Radar
from ..errors import DeviceError, DeviceLost, DeviceNotFound, DeviceRefused
from .configure import NO_TEXT, RESET, commands_of, configure, unreadable
from .frames import RadarParser
from .headers import MAGIC

CLI_BAUD = 115200
MAX_CHUNK_BYTES = 4096
GATHER_S = 0.004  # between reads while bytes flow: fewer wake-ups; the first byte after a pause is never delayed
LISTEN_S = 0.6  # long enough for a frame of any sensible configuration
FIRST_DATA_S = 3.0


class Chunk(NamedTuple):
    """Bytes as they came; t_ns: UTC ns when they had."""

    data: bytes
    t_ns: int


class RadarPort:
    """An open radar; use `open_radar`. warnings: what the sensor said while it was configured."""

    def __init__(self, config: Radar) -> None:
        self.config = config
        self.warnings: list[str] = []
        self._early: deque[Chunk] = deque()
        self._read_at_s = 0.0
        self._data = _open(config.data_port, config.baud, "data_port")

    def __enter__(self) -> Self:
        try:
            if not self._is_streaming(LISTEN_S):
                self.configure()
        except DeviceError:
            self._data.close()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._data.close()

    def configure(self) -> None:
        """Send the configuration file and wait for data. Raises DeviceNotFound, DeviceRefused, DeviceLost."""
        name, file = self.config.cli_port, self.config.config
        try:
            text = Path(file).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise DeviceRefused(f"{file}: the configuration cannot be read: {error.strerror}") from error
        commands = commands_of(text)
        if not commands:
            raise DeviceRefused(f"{file}: holds no commands, so it is no radar configuration")
        if (line := unreadable(commands)) is not None:
            raise DeviceRefused(f"{file}:{line}: {NO_TEXT}")
        with _open(name, CLI_BAUD, "cli_port") as cli:
            self.warnings = configure(cli, commands, Path(file).name, name)
        self._early.clear()
        self._await_data()

    def read(self, timeout_s: float) -> Chunk | None:
        """The next bytes, None when nothing came. Raises DeviceLost."""
        if self._early:
            return self._early.popleft()
        pause_s = self._read_at_s + GATHER_S - time.monotonic()
        if pause_s > 0:
            time.sleep(pause_s)
        try:
            self._data.timeout = timeout_s
            data = self._data.read(1)
            if data:
                data += self._data.read(min(self._data.in_waiting, MAX_CHUNK_BYTES - 1))
        except (OSError, termios.error, TypeError) as error:  # pyserial's TypeError: closed under our hands
            raise DeviceLost(f"{self.config.data_port}: the radar was unplugged or hung up ({error})") from error
        if not data:
            return None
        self._read_at_s = time.monotonic()
        return Chunk(data, time.time_ns())

    def _is_streaming(self, patience_s: float) -> bool:
        """Whether whole frames arrive by themselves; what was heard is kept for `read`."""
        trial = RadarParser(self.config.id, self.config.baud)
        heard: list[Chunk] = []
        deadline = time.monotonic() + patience_s
        while not trial.counters["frames"] and time.monotonic() < deadline:
            if chunk := self.read(timeout_s=0.05):
                heard.append(chunk)
                trial.feed(chunk.data, chunk.t_ns)
            else:
                trial.idle()
        self._early.extend(heard)
        return trial.counters["frames"] > 0

    def _await_data(self) -> None:
        if self._is_streaming(FIRST_DATA_S):
            return
        port, heard = self.config.data_port, b"".join(chunk.data for chunk in self._early)
        if not heard:
            raise DeviceRefused(
                f"{port}: the sensor took every command but sends nothing: the firmware image is for another board "
                "(ISK and AOP differ), or data_port is not its Standard/if01 port"
            )
        if MAGIC in heard:
            raise DeviceRefused(f"{port}: packets arrive but none is whole: this firmware's format is not supported")
        raise DeviceRefused(
            f"{port}: {len(heard)} bytes but no frame among them: wrong baud ({self.config.baud}), or another "
            f"program reads the same port; else {RESET}"
        )


def open_radar(config: Radar) -> RadarPort:
    """Open the data port of a radar; on entering, configure it unless frames already stream.

    Raises DeviceNotFound, DeviceRefused, DeviceLost, each with one sentence.
    """
    return RadarPort(config)


def _open(name: str, baud: int, key: str) -> serial.Serial:
    try:
        return serial.Serial(name, baud, timeout=0.05, write_timeout=2.0, exclusive=True)
    except (OSError, termios.error, ValueError) as error:
        code = getattr(error, "errno", None)
        if code in (errno.EACCES, errno.EPERM):
            raise DeviceRefused(
                f"{key} = {name}: no permission: run `sudo usermod -aG dialout $USER` and log in again"
            ) from error
        if code in (errno.EAGAIN, errno.EBUSY):
            raise DeviceRefused(f"{key} = {name}: in use by another program: close it") from error
        if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO):
            raise DeviceNotFound(f"{key} = {name}: no such port{_others()}") from error
        raise DeviceRefused(f"{key} = {name}: cannot be opened as a serial port: {error}") from error


def _others() -> str:
    """The serial ports that are there, by id: most often the right one is among them."""
    names = sorted(str(path) for path in Path("/dev/serial/by-id").glob("*"))
    return f"; there are {', '.join(names)}" if names else "; no serial device is plugged in"
