"""Kinds of arguments on the command line, each refused in argparse's own sentence where it is another: numbers, and
places to write to, which are looked at before any work is done and never touched."""

import argparse
import math
import os
from pathlib import Path

MOST_PORT = 65535
MOST_WHOLE = 2**62  # of whole numbers: what a generator of random numbers is seeded with
MOST_S = 1e9  # 30 years: what a time in ns bears


def natural(text: str) -> int:
    """A whole number from 0 on, as seeds are. Raises ArgumentTypeError."""
    return _from(text, 0)


def positive(text: str) -> int:
    """A whole number from 1 on. Raises ArgumentTypeError."""
    return _from(text, 1)


def port(text: str) -> int:
    """A port to listen on, from 1 to 65535. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} must be a port: a whole number from 1 to {MOST_PORT}")
    return int(text)


def seconds(text: str) -> float:
    """A time that passes: more than 0 s, and an end. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MOST_S:  # NaN neither
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds, more than 0 and {MOST_S:.0e} at most")
    return value


def not_negative(text: str) -> float:
    """A number from 0 on, with an end. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:  # NaN neither
        raise argparse.ArgumentTypeError(f"{text!r} must be a number, 0 or more")
    return value


def new_file(text: str) -> str:
    """A file to write, over an older one if need be, in a folder that is there. Raises ArgumentTypeError."""
    _require_no_folder(text)
    path = Path(text)
    if path.exists():
        _require_writable(text, path)
        return text
    _require_folder(text, path.parent)
    if not path.parent.exists():
        raise argparse.ArgumentTypeError(f"{text!r} lies in a folder that is not there: make {path.parent} first")
    return text


def new_recording(text: str) -> str:
    """A session file for a recorder, which makes the folder where it is missing. Raises ArgumentTypeError."""
    _require_no_folder(text)
    _require_folder(text, Path(text).parent)
    return text


def new_folder(text: str) -> str:
    """A folder to write into: one that is there, or that can be made. Raises ArgumentTypeError."""
    _require_folder(text, Path(text))
    return text


def _from(text: str, least: int) -> int:
    if not text.strip().lstrip("-").isdigit() or not least <= int(text) <= MOST_WHOLE:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, {least} or more and 2^62 at most")
    return int(text)


def _require_no_folder(text: str) -> None:
    if Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder where a file is needed: name a file in it")


def _require_folder(text: str, folder: Path) -> None:
    """Refuse `text` where `folder`, or as much of it as there is, is none or may not be written to."""
    there = next(path for path in (folder, *folder.parents, Path()) if path.exists())
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} needs a folder where {there} is a file: name another place")
    _require_writable(text, there)


def _require_writable(text: str, there: Path) -> None:
    if not os.access(there, os.W_OK):
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be written: you may not write to {there}; name another place"
        )
