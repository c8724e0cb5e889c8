"""See whowhere run without any hardware.

A simulated site whose sensors speak their real formats (UART bytes, radiotap bytes, MJPEG), the real processes that
read them, and the live page. It runs until Ctrl-C or --seconds and leaves no process behind. With --json the last line
on standard output is one JSON object with the figures of the run.
"""

import argparse
import contextlib
import json
import os
import sys
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from ...nodes.crop_keeping import require_folder
from ...sitefile import Learning, Simulated, Site
from ..arguments import natural, new_recording, port, seconds
from ..listening import Listener
from ..memory import memory_by_process
from ..processes import process_table
from ..run_folders import run_folder
from ..running import PageWatch, Recorded, SupervisorHeart, as_typed, page_url, stop_on_signals
from ..simulated_phones import with_phones
from ..site_files import load_site
from ..supervisor import Supervisor
from ..wiring import claim, is_free, wire, with_free_ports

EXAMPLE = """
whowhere demo                                  # Ctrl-C ends it
whowhere demo --seconds 40 --json --no-browser # for a program
whowhere demo --record demo.mcap --faults "radar-1:unplug@20-25"
whowhere demo --phones                         # everybody enrolled runs the app, too
whowhere demo --rooms                          # three rooms, one without a camera: recognised again by looks and gait
"""
SITE = Path(__file__).parents[1] / "sites" / "demo.toml"
ROOMS = SITE.with_name("rooms.toml")
MEMORY_EVERY_S = 5.0
HEADLINES = ("named_right", "position_error_m", "latency_ms", "messages", "rates_hz", "dropped")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=seconds, metavar="N", help="end by itself after N seconds")
    parser.add_argument("--json", action="store_true", help="print the figures as a last JSON line")
    parser.add_argument("--no-browser", action="store_true", help="only print the page's address")
    parser.add_argument("--seed", type=natural, metavar="N", help="another world (default 1)")
    parser.add_argument("--record", type=new_recording, metavar="FILE", help="record the session to FILE")
    parser.add_argument("--port", type=port, metavar="P", help="the page's port (default 8010, or a free one)")
    parser.add_argument("--phones", action="store_true", help="with phones that send their own sensors (docs/phone.md)")
    parser.add_argument("--rooms", action="store_true", help="three rooms, one with a radar only (docs/gait.md)")
    parser.add_argument("--crops", metavar="FOLDER", help="keep pictures of people there (docs/appearance.md)")
    parser.add_argument("--faults", default="", metavar="SPEC", help="faults of simulated sensors (docs/simulated.md)")


def run(args: argparse.Namespace) -> int:
    started_s = time.monotonic()
    stop = stop_on_signals(args.seconds)
    plain = keeping_crops(load_site(ROOMS if args.rooms else SITE), args.crops)
    with run_folder() as folder, demo_site(plain, folder, args.seed, args.port) as site:
        wiring = wire(with_phones(site, folder) if args.phones else site, folder, args.faults)
        recorded = Recorded(args.record)
        supervisor = Supervisor(process_table(wiring, record_to=str(recorded)))
        page = PageWatch(page_url(wiring.public.page), lambda url: _announce(url, wiring.public, args))
        memory = MemoryWatch()
        with Listener(wiring.public.bus) as listener, SupervisorHeart(wiring.public.bus, supervisor) as heart:

            def tick() -> None:
                page.poll()
                heart.beat()
                memory.poll()

            supervisor.run(stop, tick)
        scored = listener.result()
        figures = {
            **{name: scored.pop(name, None) for name in HEADLINES},
            "restarts": sum(supervisor.restarts.values()),
            "memory_mb": round(sum(memory.largest.values()), 1),
            "memory_by_process_mb": memory.largest,
            "seconds": round(time.monotonic() - started_s, 1),
            **scored,
        }
    if args.json:
        print(json.dumps(figures), flush=True)
    else:
        print(in_words(figures))
    is_cut = "recorder" in supervisor.refused  # it said why
    return 1 if recorded.is_missing() or is_cut or supervisor.given_up else 0


def keeping_crops(site: Site, folder: str | None) -> Site:
    """The same site, whose cameras keep pictures of people in `folder`. Raises SiteError where that can be none."""
    if folder is None:
        return site
    learning = Learning(crops=True, folder=str(Path(folder).resolve()))
    require_folder(learning)
    return replace(site, learning=learning)


@contextlib.contextmanager
def demo_site(site: Site, folder: Path, seed: int | None, page_port: int | None) -> Iterator[Site]:
    """A shipped demo on its own ports where they are free, else on free ones; its key lives with the run.

    Raises LaunchError where the page's port was asked for and is taken."""
    if seed is not None:
        site = replace(site, simulated=replace(site.simulated or Simulated(), seed=seed))
    site = replace(site, privacy=replace(site.privacy, key=str(folder / "site.key")))
    wanted = page_port or site.page.port
    claimed = claim(site.bus.port)  # a second demo may start before the first one listens
    try:
        bus_ports = range(site.bus.port, site.bus.port + 3)
        ours = wanted not in bus_ports and all(is_free(site.bus.host, port) for port in bus_ports)
        if claimed and ours and is_free(site.page.host, wanted):
            yield replace(site, page=replace(site.page, port=wanted))
        else:
            yield with_free_ports(site, page_port)
    finally:
        if claimed:
            claimed.close()


class MemoryWatch:
    """Keeps the largest sample of what all processes together used; `poll()` costs nothing between samples."""

    def __init__(self) -> None:
        self.largest: dict[str, float] = {}
        self._next_s = time.monotonic() + MEMORY_EVERY_S

    def poll(self) -> None:
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + MEMORY_EVERY_S
        sample = memory_by_process()
        if sum(sample.values()) > sum(self.largest.values()):
            self.largest = sample


def in_words(figures: dict[str, object]) -> str:
    share, error = figures["named_right"], figures["position_error_m"]
    if not isinstance(share, float) or not isinstance(error, float):
        return f"{figures['messages']} messages; it ran too short a time to score (15 s are needed)"
    return (
        f"named right {share:.0%} of the time, position error {error:.2f} m on average, "
        f"{figures['messages']} messages, {figures['memory_mb']} MB"
    )


def _announce(url: str, site: Site, args: argparse.Namespace) -> None:
    out = sys.stderr if args.json else sys.stdout
    print(f"whowhere demo: {url}", file=out, flush=True)
    where = "" if site.bus.port == 7310 else f" --bus tcp://{site.bus.host}:{site.bus.port}"
    us = as_typed()
    print(f"  also: {us} watch{where}, {us} record OUT.mcap{where}; Ctrl-C ends it", file=out, flush=True)
    if not args.no_browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(url)
