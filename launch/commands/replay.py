"""Play a session again: its sensors onto a fresh bus, fused anew, on the live page.

--rate 1 is the recorded pace, 4 is four times as fast, 0 as fast as it goes. It ends with the session (--loop: with
Ctrl-C) and leaves no process behind. With --verify nothing is started: every recorded input goes through the engine
from the first recorded checkpoint on, and what comes out must equal what was recorded, byte for byte; exit status 1
where it does not.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from ...messages import Health
from ...nodes.bus import Subscriber
from ...nodes.session import Session
from ...sitefile import Bus, Site
from ..arguments import not_negative, port
from ..errors import LaunchError
from ..processes import player_row, process_table
from ..run_folders import run_folder
from ..running import PageWatch, SupervisorHeart, as_typed, page_url, stop_on_signals
from ..supervisor import Supervisor
from ..wiring import Wiring, with_free_ports

EXAMPLE = """
whowhere replay demo.mcap --rate 4 --loop
whowhere replay demo.mcap --start 20
whowhere replay demo.mcap --verify
"""
DRAIN_S = 1.5  # after the last message, for the engine to finish and the page to show it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a session file (.mcap)")
    parser.add_argument(
        "--rate", type=not_negative, default=1.0, metavar="R", help="times the recorded pace; 0 = at once"
    )
    parser.add_argument("--start", type=not_negative, default=0.0, metavar="S", help="skip the first S seconds")
    parser.add_argument("--loop", action="store_true", help="begin again at the end, until Ctrl-C")
    parser.add_argument("--port", type=port, metavar="P", help="the page's port (default: a free one)")
    parser.add_argument("--verify", action="store_true", help="compare with what was recorded, byte for byte")
    parser.add_argument("--json", action="store_true", help="with --verify: print the outcome as one JSON object")


def run(args: argparse.Namespace) -> int:
    return _verify(args) if args.verify else _play(args)


def _verify(args: argparse.Namespace) -> int:
    from ..verify import verify  # here: playing needs no engine in this process

    outcome = verify(Path(args.file))
    print(json.dumps(outcome.figures()) if args.json else outcome.in_words())
    return 0 if outcome.is_identical else 1


def _play(args: argparse.Namespace) -> int:
    site = with_free_ports(_local(Session(args.file).site()), args.port)
    stop = stop_on_signals()
    options = {
        "session": str(Path(args.file).resolve()),
        "rate": str(args.rate),
        "start": str(args.start),
        "loop": "yes" if args.loop else "",
        "wait_for": "fusion",
    }
    with run_folder() as folder:
        wiring = Wiring(private=site, public=site, run_dir=str(folder), options={})
        supervisor = Supervisor([*process_table(wiring, sensors=False), player_row(wiring, options)])
        page = PageWatch(page_url(site.page), lambda url: _announce(url, site))
        with Subscriber(site.bus, ["health/player"]) as health, SupervisorHeart(site.bus, supervisor) as heart:
            progress = _Progress(health)
            supervisor.run(stop, lambda: _tick(supervisor, page, heart, progress))
        progress.done()
    if not progress.played:
        raise LaunchError(f"{args.file}: no sensor said anything after --start {args.start:g}; nothing was played")
    return 1 if supervisor.given_up else 0


def _announce(url: str, site: Site) -> None:
    bus = f"--bus tcp://{site.bus.host}:{site.bus.port}"
    us = as_typed()
    print(f"whowhere replay: {url}\n  also: {us} watch {bus}, {us} record OUT.mcap {bus}", flush=True)


def _tick(supervisor: Supervisor, page: PageWatch, heart: SupervisorHeart, progress: "_Progress") -> bool:
    page.poll()
    heart.beat()
    progress.poll()
    return progress.is_over("player" in supervisor.pids)


def _local(site: Site) -> Site:
    """The recorded site on this machine alone: no keys, no other machine's models."""
    return replace(site, bus=Bus())


class _Progress:
    """What the player says of itself, as one line on a terminal; `is_over` once it has ended and fusion had time."""

    def __init__(self, health: Subscriber) -> None:
        self._health = health
        self._last: Health | None = None
        self._ended_s: float | None = None
        self._rate_hz: list[float] = []

    def poll(self) -> None:
        while received := self._health.receive(0.0):
            if isinstance(received.message, Health):
                self._last = received.message
                if received.message.rate_hz:
                    self._rate_hz.append(received.message.rate_hz)
                if sys.stderr.isatty():
                    print(f"\r{self._words(received.message)} ", end="", file=sys.stderr, flush=True)

    def is_over(self, is_playing: bool) -> bool:
        if is_playing:
            return False
        self._ended_s = self._ended_s or time.monotonic()
        return time.monotonic() - self._ended_s > DRAIN_S

    def done(self) -> None:
        start = "\r" if sys.stderr.isatty() else ""
        print(start + (self._words(self._last) if self._last else "nothing was played"), file=sys.stderr)

    @property
    def played(self) -> int:
        """How many messages, as the player last said."""
        return self._last.counters.get("messages", 0) if self._last else 0

    def _words(self, health: Health) -> str:
        told = {name: n for name, n in health.counters.items() if name == "messages" or (n and name != "sent")}
        counters = ", ".join(f"{number} {name}" for name, number in told.items())
        return f"{health.detail or health.state}: {counters}"
