"""Write a commented site file with the devices found on this machine.

Radars, cameras and WiFi interfaces in monitor mode are filled in; what only a person can know (where they stand, who is
enrolled) is marked with "measure". Without --output the text goes to standard output.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from ...sitefile import SiteError
from .. import devices
from ..arguments import new_file
from ..errors import LaunchError
from ..site_files import parse_site
from ..whole_files import write_whole

EXAMPLE = """
whowhere init --output site.toml
whowhere check site.toml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=new_file, metavar="FILE", help="write here; a file that is there already is not touched"
    )
    parser.add_argument("--name", default="my-site", help="the site's name (default my-site)")


def run(args: argparse.Namespace) -> int:
    text = site_text(args.name)
    try:
        parse_site(text, "--name")
    except SiteError as error:
        raise LaunchError(str(error), "whowhere init --name hall") from error
    if not args.output:
        print(text, end="")
        return 0
    if Path(args.output).exists():
        raise LaunchError(f"{args.output} is there already: choose another name", f"cat {args.output}")
    write_whole(args.output, text)
    print(f"wrote {args.output}; measure and fill in what is marked, then: whowhere check {args.output}")
    return 0


def site_text(name: str) -> str:
    """A site file that `check` accepts as it stands."""
    parts = (_head(name), _radars(), _cameras(), _sniffers(), _people(), _models(), _learning())
    return "\n".join(["\n".join(part) for part in parts]) + "\n"


def _head(name: str) -> Iterator[str]:
    yield "# A whowhere site: which sensors stand where, and who is enrolled. docs/site.md lists every key."
    yield "# Lengths in metres, angles in degrees; x and y on the floor, z up."
    yield f"name = {json.dumps(name, ensure_ascii=False)}"  # a JSON string is a TOML string too
    yield ""
    yield "[area] # measure: the room's extent"
    yield "x_m = [0.0, 10.0]"
    yield "y_m = [0.0, 8.0]"
    yield "walls = [] # [x1, y1, x2, y2] each, drawn on the page"


def _radars() -> Iterator[str]:
    pairs = devices.radar_pairs(devices.serial_ports())
    yield ""
    if not pairs:
        yield '# No radar was found. This one is simulated: put its two ports in place of "simulated".'
    for number, (cli, data) in enumerate(((c.path, d.path) for c, d in pairs) if pairs else [("simulated",) * 2], 1):
        yield "[[radars]]"
        yield f'id = "radar-{number}"'
        yield f'cli_port = "{cli}"'
        yield f'data_port = "{data}"'
        yield 'config = "iwr6843_oob_10hz.cfg" # or any TI .cfg file beside this one'
        yield "# measure: where it hangs; yaw from the +x axis counter-clockwise, tilt positive = down"
        yield "pose = { position_m = [5.0, 0.1, 2.0], yaw_deg = 90.0, tilt_deg = 10.0 }"
        yield ""


def _cameras() -> Iterator[str]:
    found = devices.cameras()
    if not found:
        yield '# No camera was found, so this one is simulated. For a network camera: source = "rtsp://user:password@host/path"'
    for number, (source, label) in enumerate([(str(i), n) for i, n in found] or [("simulated", "")], 1):
        yield "[[cameras]]"
        yield f'id = "camera-{number}"'
        yield f'source = "{source}"{f" # {label}" if label else ""}'
        yield "fps = 5"
        yield '[cameras.calibration] # measure: or use model = "homography" with four floor points and their pixels'
        yield 'model = "pinhole"'
        yield "image_size = [640, 480]"
        yield "focal_px = [560.0, 560.0]"
        yield "centre_px = [320.0, 240.0]"
        yield "pose = { position_m = [0.2, 0.2, 2.6], yaw_deg = 42.0, tilt_deg = 18.0 }"
        yield ""


def _sniffers() -> Iterator[str]:
    sources = [f"interface:{found.name}" for found in devices.wireless_interfaces() if found.is_monitor]
    if not sources:
        yield "# No WiFi interface in monitor mode was found (whowhere doctor says how). This one is simulated."
    for number, source in enumerate(sources or ["simulated"], 1):
        yield "[[sniffers]]"
        yield f'id = "sniffer-{number}"'
        yield f'source = "{source}"'
        yield "position_m = [0.3, 0.3, 2.2] # measure"
        yield ""


def _people() -> Iterator[str]:
    yield "# Who is enrolled. Nobody without consent = true is ever named; other phones are only counted."
    yield "# [[identities]]"
    yield '# name = "Ada"'
    yield '# devices = ["a4:83:e7:12:34:56"] # the hardware address her phone uses in this network'
    yield "# consent = true"
    yield ""


def _models() -> Iterator[str]:
    yield "# People are known again by their looks and their walk, where their phones are not heard. Take away the #."
    yield "# [models]"
    yield '# appearance = "shipped" # looks, before cameras (docs/appearance.md)'
    yield '# gait = "shipped" # the walk, before radars and cameras of 10 fps (docs/gait.md)'
    yield ""


def _learning() -> Iterator[str]:
    yield "# What cameras keep for learning how people look here; nothing, unless crops = true."
    yield "# [learning]"
    yield "# crops = true # small pictures of people, which never leave the camera's machine by themselves"
    yield '# folder = "crops" # where, beside this file'
    yield "# every_s = 1.0 # at most so often"
    yield "# keep_days = 7.0 # and then they are deleted"
