"""Writes a file whole or not at all: a full disk, or a kill half-way, leaves what was there before as it was."""

import contextlib
import shutil
from pathlib import Path

from .errors import LaunchError


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8, over an older file if there is one. Raises LaunchError, naming the file."""
    content = content.encode() if isinstance(content, str) else content
    target = Path(path).resolve()  # a link stays one
    beside = target.with_name(f".{target.name}.new")
    try:
        if target.exists() and not target.is_file():  # /dev/stdout and its like have nothing to lose
            target.write_bytes(content)
            return
        beside.write_bytes(content)
        if target.exists():
            shutil.copymode(target, beside)
        beside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise LaunchError(f"{path} cannot be written: {error.strerror}") from error
