"""Give the running site another radio map, without a gap in its stream.

The site's positioning node checks the map, uses it from the next scan on and keeps it on trial: where it makes things
worse, or is of another site, the old one comes back. What became of it is said here and in the events.
"""

import argparse

from ...models.radiomap.maps import load_map
from ...nodes.bus import require_hub
from ...nodes.positioning import publish_map
from ..endpoint import add_bus_arguments, bus_of

EXAMPLE = """
whowhere deploy hall-2.map
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("map", metavar="MAP", help="a radio map, as `whowhere learn radiomap` writes it")
    add_bus_arguments(parser)


def run(args: argparse.Namespace) -> int:
    radio_map = load_map(args.map)
    bus = bus_of(args)
    require_hub(bus)
    answer = publish_map(bus, radio_map)
    print(answer)
    return 1 if "refused" in answer else 0
