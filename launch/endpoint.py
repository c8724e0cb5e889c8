"""Which running site a command means: --bus tcp://host:port, with --keys beyond this machine."""

import argparse
from urllib.parse import urlsplit

import msgspec

from ..sitefile import Bus
from .errors import LaunchError

DEFAULT = f"tcp://{Bus().host}:{Bus().port}"


def add_bus_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bus", default=DEFAULT, metavar="ADDRESS", help=f"the site's bus (default {DEFAULT})")
    parser.add_argument("--keys", metavar="DIR", help="key folder, needed for a bus on another machine (keygen)")


def bus_of(args: argparse.Namespace) -> Bus:
    """Raises LaunchError where the address is none."""
    try:
        parts = urlsplit(args.bus if "://" in args.bus else f"tcp://{args.bus}")
        host, port = parts.hostname, parts.port
        if parts.scheme != "tcp" or not host or not port:
            raise ValueError
        return msgspec.convert({"host": host, "port": port, "keys": args.keys}, Bus)
    except ValueError as error:  # also msgspec's ValidationError
        raise LaunchError(
            f'--bus "{args.bus}" is not an address like {DEFAULT}', f"whowhere watch --bus {DEFAULT}"
        ) from error
