"""Frames from any camera, by way of a process that can be killed.

`open_camera(config)` gives a Capture; entering it starts the capture process (child.py), `read` gives one image or
None, leaving it ends the process. A source that fails to open, breaks, or is silent for too long is an exception of
drivers/errors.py and the process is gone by then; entering the same Capture again starts anew, its counters go on.
Pixels come as the camera's own JPEG where it sends one (decoded here), else raw through the pipe.
"""

import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from ...sitefile import Camera
from ..errors import DeviceError, DeviceLost, DeviceNotFound, DeviceRefused
from .child import ENCODED, FAILED, FINISHED, HEADER, RAW
from .sources import Request

OPEN_S = 20.0  # for the first frame: starting, connecting, waiting for an RTSP key frame
STALL_S = 5.0  # for every further one, or five periods of slow cameras
MAX_PAYLOAD_BYTES = 256 * 2**20
PIPE_BYTES = 2**20  # as much as the kernel lets anybody have; a 640x480 frame then crosses in one go
_ERRORS = {error.__name__: error for error in (DeviceNotFound, DeviceLost, DeviceRefused)}
# FFmpeg and OpenCV write to stderr what the exceptions say better.
_QUIET = {
    "OPENCV_LOG_LEVEL": "OFF",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Image:
    """pixels: (height, width, 3) u8 BGR. t_ns: when it was seen, UTC ns. index: its number in the source, from 0."""

    pixels: NDArray[np.uint8]
    t_ns: int
    index: int


class Capture:
    """One camera. is_finished: a file or folder has been read to its end.

    counters: frames (delivered), skipped (live frames replaced by newer ones), thinned (live frames beyond the
    camera's fps), garbage (what was no image), damaged (JPEGs with errors in them, delivered as far as they could be
    read), opened (how often the capture process was started).
    """

    def __init__(self, config: Camera, stall_s: float | None = None) -> None:
        self._config = config
        self._stall_s = max(STALL_S, 5 / config.fps) if stall_s is None else stall_s
        self._open_s = max(OPEN_S if stall_s is None else stall_s, self._stall_s)
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = bytearray()
        self._is_asked = False
        self._patience_s = self._open_s
        self._since = 0.0
        self._before = (0, 0, 0)  # skipped, thinned, garbage of capture processes that are gone
        self._lost = (0, 0, 0)  # of this one
        self.is_finished = False
        self.counters = {"frames": 0, "skipped": 0, "thinned": 0, "garbage": 0, "damaged": 0, "opened": 0}
        self._undecodable = 0
        self._complaints = Complaints()

    @property
    def pid(self) -> int | None:
        """The capture process, None while closed."""
        return self._process.pid if self._process else None

    @property
    def trouble(self) -> str:
        """What is wrong in words with a camera that has been silent for half as long as it may be, else ""."""
        silent_s = time.monotonic() - self._since
        return f"no frame for {silent_s:.0f} s" if self._is_asked and silent_s > self._patience_s / 2 else ""

    def read(self, timeout_s: float) -> Image | None:
        """The next image (live: the newest one not yet read), or None when none came in time or the file has ended.

        Raises DeviceNotFound, DeviceRefused (could not be opened) and DeviceLost (broke, hung or died); the capture
        process has been ended then.
        """
        if self.is_finished:
            return None
        try:
            return self._read(time.monotonic() + timeout_s)
        except DeviceError:
            self.close()
            raise

    def close(self) -> None:
        """End the capture process, whatever it hangs in. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in a driver: it ends when the driver lets go
            process.wait(2.0)

    def __enter__(self) -> Self:
        self.close()
        self._buffer.clear()
        self._is_asked = self.is_finished = False
        self._patience_s, self._since = self._open_s, time.monotonic()
        self._before, self._lost = tuple(map(sum, zip(self._before, self._lost, strict=True))), (0, 0, 0)
        self.counters["opened"] += 1
        config = self._config
        request = Request(config.source, config.fps, config.timestamps, config.latency_s)
        process = self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.child"],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_QUIET},
        )
        if process.stdout and hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # an administrator's lower limit: frames then cross in more pieces
                fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._send(json.dumps(request._asdict()).encode() + b"\n")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _read(self, deadline: float) -> Image | None:
        while True:
            if not self._is_asked:
                self._send(b"\n")
                self._is_asked, self._since = True, time.monotonic()
            if not self._fill(deadline):
                self._check_patience()
                return None
            kind, image = self._take()
            self._patience_s = self._stall_s
            if kind == FINISHED:
                self.is_finished = True
                return None
            if image is not None:
                self.counters["frames"] += 1
                return image

    def _fill(self, deadline: float) -> bool:
        """Read until header and payload are here; False when they are not in time. Raises DeviceLost at the end."""
        while True:
            needed = HEADER.size
            if len(self._buffer) >= needed:
                needed += HEADER.unpack_from(self._buffer)[5]
                if needed > MAX_PAYLOAD_BYTES:
                    raise DeviceLost(f"a frame of {needed} bytes is more than any camera sends")
                if len(self._buffer) >= needed:
                    return True
            process = self._process
            if process is None or process.stdout is None:
                raise DeviceLost("the camera is not open")
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return False
            data = os.read(process.stdout.fileno(), max(needed - len(self._buffer), 1))
            if not data:
                raise DeviceLost(f"the capture process ended ({_how_it_ended(process)})")
            self._buffer += data

    def _take(self) -> tuple[str, Image | None]:
        """What has arrived: an image, None for one that could not be decoded, or the end. Raises what the child did."""
        kind, t_ns, number, rows, columns, length, *lost = HEADER.unpack_from(self._buffer)
        payload = self._buffer[HEADER.size : HEADER.size + length]
        self._buffer, self._is_asked = bytearray(), False
        kind = kind.decode("latin-1")
        self._lost = tuple(lost)
        if kind == FAILED:
            self._count()
            name, _, sentence = payload.decode(errors="replace").partition("\n")
            raise _ERRORS.get(name, DeviceLost)(sentence)
        pixels = None
        if kind == RAW:
            pixels = np.frombuffer(payload, np.uint8).reshape(rows, columns, -1)
        elif kind == ENCODED:
            with self._complaints as complaints:
                pixels = _decoded(payload)
            self._undecodable += pixels is None
            self.counters["damaged"] += complaints.were_made and pixels is not None
        self._count()
        return kind, None if pixels is None else Image(pixels, t_ns, number)

    def _count(self) -> None:
        skipped, thinned, garbage = (a + b for a, b in zip(self._before, self._lost, strict=True))
        self.counters.update(skipped=skipped, thinned=thinned, garbage=garbage + self._undecodable)

    def _check_patience(self) -> None:
        silent_s = time.monotonic() - self._since
        if silent_s > self._patience_s:
            raise DeviceLost(
                f"no frame for {silent_s:.0f} s: the capture process was ended; check the camera's power and network"
            )

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # it has ended: reading says how
            if self._process and self._process.stdin:
                os.write(self._process.stdin.fileno(), data)


class Complaints:
    """What libjpeg writes to standard error about damaged pictures, one line each and with no way to turn it off, is
    kept from there while this context is open; were_made tells afterwards whether there was anything."""

    def __init__(self) -> None:
        self._paper = os.memfd_create("complaints") if hasattr(os, "memfd_create") else os.open(os.devnull, os.O_RDWR)
        self._stderr = -1
        self.were_made = False

    def __enter__(self) -> Self:
        self._stderr = os.dup(2)
        os.dup2(self._paper, 2)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        self.were_made = os.fstat(self._paper).st_size > 0
        if self.were_made:
            os.ftruncate(self._paper, 0)
            os.lseek(self._paper, 0, os.SEEK_SET)

    def __del__(self) -> None:
        os.close(self._paper)


def open_camera(config: Camera, stall_s: float | None = None) -> Capture:
    """The camera of a site file, to be entered. stall_s: how long it may be silent, default max(5 s, 5 / fps).

    Entering returns at once, so that a node stays awake while a camera connects; what is wrong with the source is
    raised by `read`.
    """
    return Capture(config, stall_s)


def _decoded(data: bytearray) -> NDArray[np.uint8] | None:
    """BGR pixels of an image file's bytes, None for what is none."""
    if not data:
        return None
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # a header that promises more pixels than OpenCV allows
        return None
    return None if pixels is None else np.asarray(pixels, np.uint8)


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    try:
        status = process.wait(1.0)
    except subprocess.TimeoutExpired:
        return "it closed its pipe"
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
