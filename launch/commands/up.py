"""Run a site: every sensor in its file, fusion, and the live page, until Ctrl-C.

Sensors whose source is "simulated" get their virtual twin, so a site can be tried before its hardware is there.
Exit status 0: stopped as asked. 1: it could not start, a process crashed so often that it was given up, or the
recording had to stop.
"""

import argparse
import sys

from ...sitefile import is_loopback
from ..arguments import new_recording, seconds
from ..processes import process_table
from ..run_folders import run_folder
from ..running import OPEN_PAGE, PageWatch, Recorded, SupervisorHeart, page_url, stop_on_signals
from ..site_files import load_site
from ..supervisor import Supervisor
from ..wiring import require_free, wire

EXAMPLE = """
whowhere up site.toml
whowhere up site.toml --record today.mcap
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("site", metavar="SITE", help="the site file (TOML; docs/site.md)")
    parser.add_argument("--seconds", type=seconds, metavar="N", help="end by itself after N seconds")
    parser.add_argument("--record", type=new_recording, metavar="FILE", help="record the session to FILE")
    parser.add_argument("--faults", default="", metavar="SPEC", help="faults of simulated sensors (docs/simulated.md)")


def run(args: argparse.Namespace) -> int:
    site = load_site(args.site)
    require_free(site)
    if not is_loopback(site.page.host):
        print(f"whowhere up: {OPEN_PAGE}", file=sys.stderr)
    stop = stop_on_signals(args.seconds)
    with run_folder() as folder:
        wiring = wire(site, folder, args.faults)
        recorded = Recorded(args.record)
        supervisor = Supervisor(process_table(wiring, record_to=str(recorded)))
        page = PageWatch(page_url(site.page), lambda url: print(f"whowhere up: {url}", flush=True))
        with SupervisorHeart(wiring.public.bus, supervisor) as heart:

            def tick() -> None:
                page.poll()
                heart.beat()

            supervisor.run(stop, tick)
    is_cut = "recorder" in supervisor.refused  # it said why
    return 1 if recorded.is_missing() or is_cut or supervisor.given_up else 0
