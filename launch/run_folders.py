"""A folder for each run, for pseudo-terminals, streams and keys, gone when the run is over; where the run was killed
(power, kill -9), when the next one starts.

A folder is known to be in use by a lock that the system lets go with the process that holds it. Only folders of our
own user that have such a lock are ever looked at. Traces of crashes stay, for bug reports.
"""

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX, LOCK, TRACES = "whowhere-", "in-use.lock", "*.crash"


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A fresh folder; of it stays, and is said, only where a process left its trace. Folders of dead runs go first."""
    sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    draft = folder / f".{LOCK}"
    held = os.open(draft, os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o600)  # children do not inherit it
    fcntl.flock(held, fcntl.LOCK_EX)
    draft.rename(folder / LOCK)  # whoever sweeps never sees it unheld
    try:
        yield folder
    finally:
        _clear(folder)
        os.close(held)
        if traces := sorted(folder.glob(TRACES)):
            print(f"whowhere: traces for a bug report: {', '.join(map(str, traces))}", file=sys.stderr)


def sweep(where: Path) -> None:
    """Clear the folders in `where` of this user's runs that ended without clearing theirs."""
    for folder in where.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # in use, another user's, or another sweeper was quicker
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            held = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _clear(folder)
            finally:
                os.close(held)


def _clear(folder: Path) -> None:
    """Remove everything but traces, the lock last, and the folder where nothing is left."""
    traces = set(folder.glob(TRACES))
    for path in sorted(folder.iterdir(), key=lambda path: path.name == LOCK):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path not in traces:
            with contextlib.suppress(OSError):
                path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()
