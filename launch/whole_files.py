"""Writes a command's file whole or not at all, and says in a command's words when it cannot."""

from pathlib import Path

from ..models import whole_files
from .errors import LaunchError


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8, over an older file if there is one. Raises LaunchError, naming the file."""
    try:
        whole_files.write_whole(path, content)
    except OSError as error:
        raise LaunchError(f"{path} cannot be written: {error.strerror}") from error
