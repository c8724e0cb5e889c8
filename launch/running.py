"""What the commands that run processes share: signals as an event, the page's address said as
soon as it answers, and a heartbeat of the supervisor itself. It decides nothing about which processes run."""

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ..nodes.bus import Publisher
from ..nodes.health import Heartbeat
from ..sitefile import Bus, Page
from .supervisor import Supervisor

PAGE_RETRY_S = 0.25
OPEN_PAGE = "page.host lets other machines in: whoever can reach this one may watch, without a password (docs/page.md)"


def stop_on_signals(seconds: float | None = None) -> threading.Event:
    """An event that Ctrl-C, SIGTERM or the end of `seconds` (an argument of that kind) sets."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if seconds is not None:
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()
    return stop


class Recorded:
    """The file that `--record` asks for: where it will be, since none is written over, and whether it came to be."""

    def __init__(self, asked: str | None) -> None:
        self._path = None
        if asked:
            from ..nodes.session import free_path  # here: who does not record need not carry MCAP about

            self._path = free_path(Path(asked).resolve())

    def __str__(self) -> str:
        """For the recorder; "" where no recording was asked for."""
        return str(self._path or "")

    def is_missing(self) -> bool:
        """At the end: says so where there is none."""
        if self._path is None or self._path.exists():
            return False
        print(
            f"whowhere: nothing was recorded to {self._path}: it ended before the recorder could begin", file=sys.stderr
        )
        return True


def page_url(page: Page) -> str:
    host = "localhost" if page.host in ("0.0.0.0", "::", "127.0.0.1") else page.host
    return f"http://{host}:{page.port}/"


def as_typed() -> str:
    """What to type for `whowhere` here: its path where it is not on the PATH, as after `make demo`."""
    ours = Path(sys.argv[0])
    if ours.name != "whowhere" or shutil.which("whowhere"):
        return "whowhere"
    return os.path.relpath(ours) if ours.is_relative_to(Path.cwd()) else str(ours)


class PageWatch:
    """Calls `announce(url)` once, when the page answers. `poll()` costs nothing between tries."""

    def __init__(self, url: str, announce: Callable[[str], None]) -> None:
        self._url = url
        self._announce = announce
        self._next_s = 0.0
        self.is_up = False

    def poll(self) -> None:
        if self.is_up or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + PAGE_RETRY_S
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(self._url, timeout=0.5).close()
            self.is_up = True
            self._announce(self._url)


class SupervisorHeart:
    """The supervisor's own health on the bus: how often it restarted whom, and whom it gave up."""

    def __init__(self, bus: Bus, supervisor: Supervisor) -> None:
        self._publisher = Publisher(bus, "supervisor", wait_s=0.0)  # the hub is yet to be started
        self._heartbeat = Heartbeat(self._publisher, "supervisor", clock_offset_s=0.0)  # on the hub's own machine
        self._supervisor = supervisor

    def __enter__(self) -> "SupervisorHeart":
        return self

    def __exit__(self, *_failure: object) -> None:
        self._publisher.close()

    def beat(self) -> None:
        given_up = self._supervisor.given_up
        counters = {f"restarts of {name}": n for name, n in self._supervisor.restarts.items() if n}
        counters["restarts"] = sum(counters.values())
        self._heartbeat.beat(
            state="lost" if given_up else "ok",
            detail=f"gave up {', '.join(given_up)}" if given_up else "",
            counters=counters,
        )
