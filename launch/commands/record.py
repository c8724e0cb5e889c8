"""Write what a running site says to a session file, until Ctrl-C or --seconds.

The file is MCAP: messages byte for byte as they flew, readable by other MCAP tools too. An existing file is never
written over: the recording goes to NAME-2.mcap instead, and the same happens when the recorder had to be restarted.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from ...messages import Health
from ...nodes.bus import Subscriber, require_hub
from ..arguments import new_recording, seconds
from ..endpoint import add_bus_arguments, bus_of, running_site
from ..processes import recorder_row
from ..run_folders import run_folder
from ..running import stop_on_signals
from ..supervisor import Supervisor
from ..wiring import Wiring

EXAMPLE = """
whowhere record today.mcap
whowhere record demo.mcap --seconds 30
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=new_recording, metavar="OUT", help="the session file to write (.mcap)")
    parser.add_argument("--seconds", type=seconds, metavar="N", help="end by itself after N seconds")
    add_bus_arguments(parser)


def run(args: argparse.Namespace) -> int:
    bus = bus_of(args)
    require_hub(bus)
    site = running_site(bus)
    stop = stop_on_signals(args.seconds)
    name = f"recorder-{os.getpid()}"  # several may record one site
    with run_folder() as folder, Subscriber(bus, [f"health/{name}"]) as health:
        wiring = Wiring(private=site, public=site, run_dir=str(folder), options={})
        supervisor = Supervisor([recorder_row(wiring, str(Path(args.out).resolve()), name)])
        progress = _Progress(health)
        supervisor.run(stop, progress.poll)
        progress.poll()
    progress.done()
    return 1 if supervisor.given_up or not progress.last or progress.last.state == "refused" else 0


class _Progress:
    """Reads the recorder's health and keeps one line of it on the terminal."""

    def __init__(self, health: Subscriber) -> None:
        self._health = health
        self._started_s = time.monotonic()
        self.last: Health | None = None

    def poll(self) -> None:
        while received := self._health.receive(0.0):
            if isinstance(received.message, Health):
                self.last = received.message
                if sys.stderr.isatty():
                    print(f"\r{self._words()}", end="", file=sys.stderr, flush=True)

    def _words(self) -> str:
        if self.last is None:
            return "nothing was recorded"
        counters, seconds = self.last.counters, max(time.monotonic() - self._started_s, 0.1)
        messages, size = counters.get("messages", 0), counters.get("bytes", 0)
        lost = counters.get("missed", 0)
        rate = f"{messages / seconds:.0f}/s, {size / 1e6:.1f} MB, {size / seconds / 1e3:.0f} kB/s, {lost} missed"
        return f"{self.last.detail}: {seconds:.0f} s, {messages} messages, {rate}"

    def done(self) -> None:
        print(f"\r{self._words()}" if sys.stderr.isatty() else self._words(), file=sys.stderr)
