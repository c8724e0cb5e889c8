"""Writes files whole or not at all: a full disk, or a kill half-way, leaves what was there before as it was.

Files that belong together, as a model and its card, are all written beside their places first and take them at the
end, one right after the other: only a kill between two of these renames leaves new beside old, which the sums in the
cards tell when it is loaded. It guards nobody against a power cut, after which a disk may hold less than was written.
"""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8, over an older file if there is one. Raises OSError, naming the file."""
    write_together({path: content})


def write_together(contents: Mapping[str | Path, str | bytes]) -> None:
    """Write several files, of which none changes unless all could be written; in their order. Raises OSError, naming
    the file that could not be."""
    drafts: dict[Path, Path] = {}
    path: str | Path = ""
    try:
        for path, content in contents.items():
            data = content.encode() if isinstance(content, str) else content
            target = Path(path).resolve()  # a link stays one
            if target.exists() and not target.is_file():  # /dev/stdout and its like have nothing to lose
                target.write_bytes(data)
                continue
            beside = target.with_name(f".{target.name}.new")
            drafts[beside] = target
            beside.write_bytes(data)
            if target.exists():
                shutil.copymode(target, beside)
        for beside, path in drafts.items():
            beside.replace(path)
    except OSError as error:
        for beside in drafts:
            with contextlib.suppress(OSError):
                beside.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error
