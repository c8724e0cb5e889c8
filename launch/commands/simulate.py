"""Write a simulated session faster than real time, without starting any process.

The simulated world (the demo's, or that of --site) is sensed, fused and written as if it had been recorded. By default
the sensors' real bytes and pixels are made and parsed; with --boxes the messages come straight from the world, which is
many times faster. The same site and seed give the same messages.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from ...sitefile import Simulated
from ..arguments import natural, new_file, seconds
from ..errors import LaunchError
from ..simulation import Simulation, published_for_simulation, sensed
from ..site_files import load_site
from ..wiring import with_world
from .demo import SITE, keeping_crops

EXAMPLE = """
whowhere simulate hour.mcap --seconds 3600 --boxes
whowhere simulate demo.mcap --seconds 60 --seed 7 && whowhere evaluate session demo.mcap
"""
PROGRESS_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "out", type=new_file, metavar="OUT", help="the session file to write (.mcap); it must not exist"
    )
    parser.add_argument("--seconds", type=seconds, default=60.0, metavar="N", help="of simulated time (default 60)")
    parser.add_argument("--seed", type=natural, metavar="N", help="another world (default: the site's)")
    parser.add_argument("--site", metavar="FILE", help="a site file with simulated sensors (default: the demo's)")
    parser.add_argument("--boxes", action="store_true", help="straight from the world: no bytes, no pixels, fast")
    parser.add_argument("--crops", metavar="FOLDER", help="keep pictures of people there (docs/appearance.md)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON line")


def run(args: argparse.Namespace) -> int:
    site = with_world(load_site(args.site or SITE))
    if args.seed is not None:
        site = replace(site, simulated=replace(site.simulated or Simulated(), seed=args.seed))
    site = keeping_crops(site, args.crops)
    if site.simulated is None:
        raise LaunchError(f'{args.site}: none of its sensors is "simulated", and it has no table [simulated]')
    simulation = Simulation(published_for_simulation(site), Path(args.out))
    progress = _Progress(args.seconds)
    simulation.run(sensed(site, args.seconds, args.boxes), progress)
    figures = progress.figures(simulation)
    if args.json:
        print(json.dumps({"session": args.out, **figures}))
    else:
        print(f"{args.out}: {args.seconds:g} s in {figures['wall_s']} s, {sum(simulation.counts.values())} messages")
    return 0


class _Progress:
    """One line that keeps up, on a terminal only."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started_s = self._next_s = time.monotonic()
        self._first_ns = 0

    def __call__(self, simulation: Simulation) -> None:
        self._first_ns = self._first_ns or simulation.heard_ns
        if time.monotonic() >= self._next_s and sys.stderr.isatty():
            self._next_s = time.monotonic() + PROGRESS_S
            done_s = (simulation.heard_ns - self._first_ns) / 1e9
            speed = done_s / max(time.monotonic() - self._started_s, 1e-3)
            print(f"\r{done_s:6.1f} of {self._seconds:g} s, {speed:.1f}x real time ", end="", file=sys.stderr)

    def figures(self, simulation: Simulation) -> dict[str, object]:
        if sys.stderr.isatty():
            print("\r" + " " * 50 + "\r", end="", file=sys.stderr)
        wall_s = time.monotonic() - self._started_s
        return {
            "simulated_s": self._seconds,
            "wall_s": round(wall_s, 2),
            "times_real_time": round(self._seconds / wall_s, 1),
            "messages": simulation.counts,
        }
