"""Writes a text file whole or not at all: a full disk, or a kill half-way, leaves what was there before as it was."""

import contextlib
import shutil
from pathlib import Path

from .errors import LaunchError


def write_whole(path: str | Path, text: str) -> None:
    """Write UTF-8 text to `path`, over an older file if there is one. Raises LaunchError, naming the file."""
    target = Path(path).resolve()  # a link stays one
    beside = target.with_name(f".{target.name}.new")
    try:
        if target.exists() and not target.is_file():  # /dev/stdout and its like have nothing to lose
            target.write_text(text, encoding="utf-8")
            return
        beside.write_text(text, encoding="utf-8")
        if target.exists():
            shutil.copymode(target, beside)
        beside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise LaunchError(f"{path} cannot be written: {error.strerror}") from error
