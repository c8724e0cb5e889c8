"""Make the keys that a bus beyond this machine needs.

Writes the key pairs of the hub and of the nodes into a new folder. Name it in the site file (bus.keys = "DIR"); another
machine that shall join needs hub.key, node.key and node.key_secret from it. Whoever holds a secret key can listen.
"""

import argparse
from pathlib import Path

from ...nodes.bus import keygen

EXAMPLE = """
whowhere keygen keys
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="a folder without keys; it is made where it is missing")


def run(args: argparse.Namespace) -> int:
    for file in keygen(args.folder):
        print(file)
    print(f'now set bus.keys = "{Path(args.folder)}" in the site file, and keep *.key_secret to yourself')
    return 0
