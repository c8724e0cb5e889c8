"""The capture process: reads one source and hands frames to its parent, one for each that is asked for.

It exists to be killed: VideoCapture.read() can hang for ever, and only a process can be ended then. It detects
nothing and decides nothing. `python -m whowhere.drivers.camera.child`, with pipes: in come one line of JSON (Request)
and then one byte for each frame wanted; out go HEADER and payload, see capture.py.
"""

import ctypes
import json
import os
import signal
import struct
import sys
import threading
from collections.abc import Iterator

from ..errors import DeviceError, DeviceLost
from .sources import Frame, Request, frames_of, is_live

# kind, t_ns, number of the frame in the source, rows, columns, bytes of payload; so far: skipped, thinned, garbage
HEADER = struct.Struct("<cqQIIIQQQ")
ENCODED, RAW, FINISHED, FAILED = "J", "R", "F", "E"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Thinning:
    """Lets through so many of a live source's frames that `fps` is kept on average."""

    def __init__(self, fps: float) -> None:
        self._period_ns = round(1e9 / fps)
        self._due_ns: int | None = None

    def wants(self, t_ns: int) -> bool:
        """A quarter of a period early is still in time: cameras jitter."""
        due_ns = self._due_ns
        if due_ns is None or abs(t_ns - due_ns) > 5 * self._period_ns:  # the first, a pause, or a clock set anew
            due_ns = t_ns
        if t_ns < due_ns - self._period_ns // 4:
            return False
        self._due_ns = max(due_ns, t_ns - self._period_ns) + self._period_ns
        return True


class Slot:
    """Holds one frame between the reading and the sending thread; newer frames replace it, or wait for it to go."""

    def __init__(self, replaces: bool) -> None:
        self._replaces = replaces
        self._changed = threading.Condition()
        self._frame: tuple[int, Frame] | None = None
        self._end: tuple[str, str] | None = None
        self.skipped = self.thinned = self.garbage = 0

    def put(self, number: int, frame: Frame) -> None:
        with self._changed:
            if self._frame is not None and self._replaces:
                self.skipped += 1
            self._changed.wait_for(lambda: self._frame is None or self._replaces)
            self._frame = (number, frame)
            self._changed.notify_all()

    def close(self, kind: str, text: str = "") -> None:
        """No frame will follow; the last one is still handed out."""
        with self._changed:
            self._end = (kind, text)
            self._changed.notify_all()

    def take(self) -> tuple[int, Frame] | tuple[str, str]:
        """The frame as soon as there is one, or how it ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._end is not None)
            if self._frame is None:
                return self._end or (FINISHED, "")
            taken, self._frame = self._frame, None
            self._changed.notify_all()
            return taken


def main() -> None:
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a codec prints must not get among the frames
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends us
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    request = _read_request()
    live = is_live(request.source)
    slot = Slot(replaces=live)
    threading.Thread(target=_send, args=(out, slot), daemon=True).start()
    try:
        _read(frames_of(request), slot, Thinning(request.fps) if live else None)
        slot.close(FINISHED)
    except Exception as error:  # whatever a codec or a library raises: the parent turns it into its DeviceError
        known = error if isinstance(error, DeviceError) else DeviceLost(f"reading failed: {error!r}")
        slot.close(FAILED, f"{type(known).__name__}\n{known}")
    threading.Event().wait()  # the sending thread ends the process when the parent closes its pipe


def _read(frames: Iterator[Frame], slot: Slot, thinning: Thinning | None) -> None:
    for number, frame in enumerate(frames):
        slot.garbage = frame.garbage
        if thinning and not thinning.wants(frame.t_ns):
            slot.thinned += 1
        else:
            slot.put(number, frame)


def _read_request() -> Request:
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        line += byte
    return Request(**json.loads(line))


def _send(out: int, slot: Slot) -> None:
    """One answer for each byte on standard input, until the parent goes away."""
    try:
        while os.read(0, 1):
            first, second = slot.take()
            if isinstance(second, Frame):
                _write(out, int(first), second, slot)
            else:
                text = str(second).encode()
                _write_all(out, _header(slot, str(first), len(text)) + text)
    except OSError:
        pass  # the parent closed its end: nobody is left to tell
    os._exit(0)


def _write(out: int, number: int, frame: Frame, slot: Slot) -> None:
    if frame.pixels is None:
        _write_all(out, _header(slot, ENCODED, len(frame.encoded), frame.t_ns, number))
        _write_all(out, frame.encoded)
    else:
        pixels = frame.pixels.data.cast("B")
        _write_all(out, _header(slot, RAW, len(pixels), frame.t_ns, number, *frame.pixels.shape[:2]))
        _write_all(out, pixels)


def _header(
    slot: Slot, kind: str, length: int, t_ns: int = 0, number: int = 0, rows: int = 0, columns: int = 0
) -> bytes:
    lost = (slot.skipped, slot.thinned, slot.garbage)
    return HEADER.pack(kind.encode(), t_ns, number, rows, columns, length, *lost)


def _write_all(out: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(out, view) :]


if __name__ == "__main__":
    main()
