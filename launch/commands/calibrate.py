"""Find out where a sensor stands, from a session in which people walked about.

`radar-camera` takes a recording of a site whose radar and camera see the same people, with the camera's pose guessed
in the site file (within 60 degrees and half a metre or so), and finds the pose that puts the radar's people under the
camera's. Walk for half a minute, near and far, left and right. It prints the camera's table for the site file and says
how far each value can be trusted. With several --lens files the one that fits best is taken.
"""

import argparse
import json
from pathlib import Path

from ...nodes.session import Session
from ..calibration import figures, fragment, in_words, radar_camera

EXAMPLE = """
whowhere calibrate radar-camera walk.mcap
whowhere calibrate radar-camera walk.mcap --lens narrow.yaml --lens wide.yaml --out camera.toml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["radar-camera"], help="which pair of sensors")
    parser.add_argument("session", metavar="FILE", help="a session file (.mcap)")
    parser.add_argument("--radar", metavar="ID", help="which radar (default: the only one)")
    parser.add_argument("--camera", metavar="ID", help="which camera (default: the only one)")
    parser.add_argument(
        "--lens", metavar="YAML", action="append", default=[], help="a lens as ROS's camera_calibration writes it"
    )
    parser.add_argument("--out", metavar="TOML", help="write the camera's table here instead of printing it")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON line")


def run(args: argparse.Namespace) -> int:
    lenses = [Path(lens) for lens in args.lens]
    radar, camera, ranked = radar_camera(Session(args.session), args.radar, args.camera, lenses)
    lens, best = ranked[0]
    words = list(in_words(radar, camera, ranked))
    table = fragment(camera, best, f"by whowhere calibrate radar-camera, lens {lens}\n" + "\n".join(words))
    if args.out:
        Path(args.out).write_text(table, encoding="utf-8")
    if args.json:
        print(json.dumps({"lens": lens, **figures(best), "lenses": {name: figures(a) for name, a in ranked}}))
        return 0
    print("\n".join(words) if args.out else table, end="\n" if args.out else "")
    return 0
