"""Recorded walks for the commands that learn from them or score on them: files, folders, or an archive of the two."""

import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..drivers.phone.logs import WalkError, find_walks, read_walk
from ..models.positioning.walks import Walk
from .errors import LaunchError

FRESH_S = 10.0  # readings of a list count that long: 0.15 m better on the mall's walks than 3 s


def walks_in(paths: Sequence[str | Path]) -> list[Walk]:
    """The walks of files, folders and .tar.xz archives, in the order of their paths. Raises LaunchError for a path
    without a walk, and where no walk has two way points."""
    walks: list[Walk] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(map(Path, paths)):
            walks += _read(_unpacked(path, Path(folder) / str(number)))
    usable = [walk for walk in walks if len(walk.waypoint_t_ns) >= 2]
    if not usable:
        raise LaunchError(f"{', '.join(map(str, paths))}: none of {len(walks)} walks has two way points to learn from")
    return usable


def _unpacked(path: Path, folder: Path) -> Path:
    if not path.name.endswith((".tar.xz", ".tar.gz", ".tar")):
        return path
    try:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise LaunchError(f"{path} cannot be unpacked: {error}") from error
    return folder


def _read(path: Path) -> list[Walk]:
    try:
        read = [read_walk(each, fresh_s=FRESH_S) for each in find_walks([path])]
    except WalkError as error:
        raise LaunchError(str(error)) from error
    return [Walk(walk.name, walk.batches, walk.waypoint_t_ns, walk.waypoint_m) for walk in read]
