"""Which running site a command means: --bus tcp://host:port, with --keys beyond this machine."""

import argparse

from ..nodes.bus import endpoint, snapshot
from ..nodes.subscription import bus_at
from ..sitefile import Bus, Site, is_loopback, site_from_json
from .errors import LaunchError

DEFAULT = endpoint(Bus())


def add_bus_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bus", default=DEFAULT, metavar="ADDRESS", help=f"the site's bus (default {DEFAULT})")
    parser.add_argument("--keys", metavar="DIR", help="key folder, needed for a bus on another machine (keygen)")


def bus_of(args: argparse.Namespace) -> Bus:
    """Raises BusError where the address is none, LaunchError where it is another machine's and no keys are named."""
    bus = bus_at(args.bus, args.keys)
    if bus.keys is None and not is_loopback(bus.host):
        raise LaunchError(
            f"--bus {args.bus} is on another machine, whose bus needs keys: add --keys DIR", "whowhere keygen --help"
        )
    return bus


def running_site(bus: Bus) -> Site:
    """The site in force on a bus, as its hub publishes it, reached as the caller reaches it. Raises BusError where no
    hub answers, LaunchError where it has no site."""
    from msgspec.structs import replace

    from ..messages import SiteInForce

    for received in snapshot(bus, ["site/"]):
        if isinstance(received.message, SiteInForce):
            return replace(site_from_json(received.message.document), bus=bus)
    raise LaunchError(f"the hub at {endpoint(bus)} has not published its site yet", "try again in a second")
