"""Learn what the running system uses from what was recorded: radio maps, locators, how people look; gait from
generated walks. All but radio maps needs torch, the `train` extra; running does not.
"""

import argparse
from importlib import import_module
from typing import Protocol, cast

EXAMPLE = """
whowhere learn appearance monday.mcap --crops crops/ --out models/
whowhere learn positioning walks/ --out models/
whowhere learn gait --generated --out gait/
whowhere learn radiomap scans.csv --map hall.map --out hall-2.map --report changes.html
whowhere learn radiomap --from-session walk.mcap --out hall.map
"""

LEARNERS = {  # what: (module below launch/ with add_arguments and run, what it does)
    "appearance": ("learning_appearance", "how people look at this site, from kept crops and phones"),
    "gait": ("learning_gait", "how to recognise people by their walk, from generated walks"),
    "positioning": ("learning_positioning", "how to locate phones, from walks with way points"),
    "radiomap": ("learning_radiomap", "keep a radio map true from scans without places, or make the first one"),
}


class Learner(Protocol):
    """A module of launch/."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, args: argparse.Namespace) -> int: ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    for name, (module, text) in LEARNERS.items():
        learner = _learner(module)
        learner.add_arguments(what.add_parser(name, help=text, description=learner.__doc__))


def run(args: argparse.Namespace) -> int:
    return _learner(LEARNERS[args.what][0]).run(args)


def _learner(module: str) -> Learner:
    return cast(Learner, import_module(f"...{module}", __name__))
