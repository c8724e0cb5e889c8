"""Find out where a sensor stands or how well it hears, from a session in which people walked about.

`radar-camera` takes a recording of a site whose radar and camera see the same people, with the camera's pose guessed
in the site file (within 60 degrees and half a metre or so), and finds the pose that puts the radar's people under the
camera's. Walk for half a minute, near and far, left and right. It prints the camera's table for the site file and says
how far each value can be trusted. With several --lens files the one that fits best is taken.

`wifi` takes a recording in which people were confirmed while sniffers heard their phones, and finds each sniffer's
reference_dbm and path_loss_exponent; a sniffer that seems to stand elsewhere than the site file says is named. Walk
for five minutes, near to and far from every sniffer. It prints the sniffers' tables, or edits a site file with --write.
"""

import argparse
import json
from pathlib import Path

from ...nodes.session import Session
from .. import radio_calibration as radio
from ..arguments import new_file
from ..calibration import figures, fragment, in_words, radar_camera
from ..errors import LaunchError
from ..whole_files import write_whole

EXAMPLE = """
whowhere calibrate radar-camera walk.mcap
whowhere calibrate radar-camera walk.mcap --lens narrow.yaml --lens wide.yaml --out camera.toml
whowhere calibrate wifi walk.mcap --write site.toml
"""
BY = "by whowhere calibrate"
OTHERS = {"radar-camera": ("write", "again"), "wifi": ("radar", "camera", "lens")}  # options of the other kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["radar-camera", "wifi"], help="which sensors")
    parser.add_argument("session", metavar="FILE", help="a session file (.mcap)")
    parser.add_argument("--radar", metavar="ID", help="radar-camera: which radar (default: the only one)")
    parser.add_argument("--camera", metavar="ID", help="radar-camera: which camera (default: the only one)")
    parser.add_argument(
        "--lens",
        metavar="YAML",
        action="append",
        default=[],
        help="radar-camera: a lens as ROS's camera_calibration writes it",
    )
    parser.add_argument("--out", type=new_file, metavar="TOML", help="write the tables here instead of printing them")
    parser.add_argument("--write", metavar="SITE", help="wifi: put the values into this site file")
    parser.add_argument("--again", action="store_true", help="wifi: fuse again with the values found, and compare")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON line")


def run(args: argparse.Namespace) -> int:
    for option in OTHERS[args.what]:
        if getattr(args, option):
            raise LaunchError(f"--{option} is not for {args.what}: leave it out", "whowhere calibrate --help")
    if args.out and not _is_ours(Path(args.out)):
        raise LaunchError(f"{args.out} is there already, and not by whowhere calibrate: choose another name")
    return _wifi(args) if args.what == "wifi" else _radar_camera(args)


def _radar_camera(args: argparse.Namespace) -> int:
    lenses = [Path(lens) for lens in args.lens]
    radar, camera, ranked = radar_camera(Session(args.session), args.radar, args.camera, lenses)
    lens, best = ranked[0]
    words = list(in_words(radar, camera, ranked))
    table = fragment(camera, best, f"{BY} radar-camera, lens {lens}\n" + "\n".join(words))
    if args.out:
        write_whole(args.out, table)
    if args.json:
        print(json.dumps({"lens": lens, **figures(best), "lenses": {name: figures(a) for name, a in ranked}}))
        return 0
    print("\n".join(words) if args.out else table, end="\n" if args.out else "")
    return 0


def _wifi(args: argparse.Namespace) -> int:
    if args.write and not Path(args.write).is_file():
        raise LaunchError(f"--write {args.write}: there is no such site file", "whowhere calibrate --help")
    found, *again = calibrated = radio.wifi(Session(args.session), args.again)
    words = list(radio.in_words(calibrated))
    comment = "".join(f"# {line}\n" for line in (f"{BY} wifi", *words))
    if args.write:
        radio.write_into(Path(args.write), found)
    if args.out:
        write_whole(args.out, comment + radio.tables(found))
    if args.json:
        print(json.dumps({**radio.figures(found), "again": [radio.figures(other) for other in again]}))
    elif args.write or args.out:
        print("\n".join(words))
    else:
        print(comment + radio.tables(found), end="")
    return 0


def _is_ours(path: Path) -> bool:
    """Whether nothing is lost by writing there: what calibrate wrote before is replaced, a site file is not."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        return file.read(len(BY) + 2) in (b"", f"# {BY}".encode())
