"""A camera's virtual twin: rendered frames as MJPEG over HTTP on loopback, so that the real URL path runs.

GET /{id}.mjpeg answers multipart/x-mixed-replace; each part carries X-Timestamp, the time of exposure in UNIX seconds.
A viewer gets the newest frame only; frames nobody watches are not even drawn.
"""

import threading
from collections.abc import Mapping
from heapq import heappop, heappush
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from ...sitefile import Camera
from ..errors import DeviceRefused
from .faults import Condition
from .optics import View
from .painter import Painter
from .world import World

JPEG_QUALITY = 85
BOUNDARY = "whowhere"
PATIENCE_S = 0.5  # how long a viewer's thread sleeps before it looks whether it should end
IDLE_NS = 50_000_000


class Screen:
    """The newest frame of one camera, for any number of viewers."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._part = b""
        self._number = 0
        self.viewers = 0
        self.is_plugged_in = True

    def show(self, jpeg: bytes, t_ns: int) -> None:
        head = (
            f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n"
            f"X-Timestamp: {t_ns // 10**9}.{t_ns % 10**9:09d}\r\n\r\n"
        )
        with self._news:
            self._part = head.encode() + jpeg + b"\r\n"
            self._number += 1
            self._news.notify_all()

    def plug(self, is_plugged_in: bool) -> None:
        with self._news:
            self.is_plugged_in = is_plugged_in
            self._news.notify_all()

    def join(self, step: int) -> None:
        with self._news:
            self.viewers += step

    @property
    def number(self) -> int:
        return self._number

    def wait_after(self, number: int) -> tuple[int, bytes]:
        """The newest part once there is one beyond `number`, else (number, b"") after a while."""
        with self._news:
            self._news.wait_for(lambda: self._number > number or not self.is_plugged_in, PATIENCE_S)
            return (self._number, self._part) if self._number > number else (number, b"")


class MjpegServer:
    """Serves screens on 127.0.0.1. Raises DeviceRefused when the port is taken."""

    def __init__(self, port: int, screens: Mapping[str, Screen]) -> None:
        self._stop = threading.Event()
        handler = type("Handler", (_Handler,), {"screens": screens, "stop": self._stop})
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError as error:
            raise DeviceRefused(
                f"http_port = {port}: simulated cameras cannot be served there: {error.strerror}; choose another port"
            ) from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    screens: Mapping[str, Screen]
    stop: threading.Event
    timeout = 5.0  # a viewer that stops reading loses its connection
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        screen = self.screens.get(self.path.strip("/").removesuffix(".mjpeg"))
        if screen is None:
            self.send_error(404, f"there is no camera here; there are {', '.join(self.screens)}")
            return
        if not screen.is_plugged_in:
            self.send_error(503, "the camera is unplugged")
            return
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        screen.join(+1)
        try:
            self._send(screen)
        except OSError:
            pass  # the viewer left: nothing to do about it
        finally:
            screen.join(-1)

    def _send(self, screen: Screen) -> None:
        number = screen.number
        while not self.stop.is_set() and screen.is_plugged_in:
            number, part = screen.wait_after(number)
            self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None:
        """Not a word: every demo's viewer would be a line on standard error."""


class CameraTwin:
    """One simulated camera. counters: frames (drawn and shown), skipped (too busy)."""

    def __init__(self, world: World, camera: Camera, now_ns: int) -> None:
        self.id = camera.id
        self.screen = Screen()
        self.counters = {"frames": 0, "skipped": 0}
        self._world = world
        self._painter = Painter(world, View(camera))
        row = [other.id for other in world.site.cameras].index(camera.id)
        self._rng = np.random.default_rng([world.seed, 52, row])
        self._period = 1e9 / camera.fps
        self._phase = exposure_phase(row)
        self._number = int(max(now_ns - world.epoch_ns, 0) / self._period)
        self._pending: list[tuple[int, int, bytes]] = []  # due, exposed, jpeg

    def step(self, now_ns: int, condition: Condition) -> int:
        """Draw and show what is due at `now_ns`; returns when to come again."""
        self.screen.plug(not condition.unplug)
        due_ns = self._exposure_ns(self._number)
        if due_ns <= now_ns:
            last = self._number
            while self._exposure_ns(last + 1) <= now_ns:
                last += 1
            self.counters["skipped"] += last - self._number
            due_ns, self._number = self._exposure_ns(last), last + 1
            if self.screen.viewers and not condition.silent and not condition.unplug:
                self._expose(due_ns, last, condition)
        while self._pending and self._pending[0][0] <= now_ns:
            _, exposed_ns, jpeg = heappop(self._pending)
            self.screen.show(jpeg, exposed_ns)
        following = self._exposure_ns(self._number)
        return min(following, self._pending[0][0]) if self._pending else min(following, now_ns + IDLE_NS)

    def close(self) -> None:
        self.screen.plug(False)

    def _expose(self, t_ns: int, number: int, condition: Condition) -> None:
        image = self._painter.frame(self._world.people_at(t_ns), number)
        _, encoded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
        jpeg = condition.damage(encoded.tobytes(), self._rng)
        heappush(self._pending, (t_ns + int(condition.late * 1e9), t_ns + int(condition.offset * 1e9), jpeg))
        self.counters["frames"] += 1

    def _exposure_ns(self, number: int) -> int:
        return self._world.epoch_ns + int((number + self._phase) * self._period)


def exposure_phase(row: int) -> float:
    """Cameras are not synchronised: each exposes at its own part of the period."""
    return (0.13 + 0.37 * row) % 1.0
