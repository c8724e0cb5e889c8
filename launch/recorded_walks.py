"""Recorded walks for the commands that learn from them or score on them: files, folders, or an archive of the two."""

import hashlib
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from ..drivers.phone.logs import WalkError, find_walks, read_walk
from ..models.positioning.walks import Walk
from .errors import LaunchError

FRESH_S = 10.0  # readings of a list count that long: 0.15 m better on the mall's walks than 3 s


def walks_in(paths: Sequence[str | Path]) -> list[Walk]:
    """The walks of files, folders and .tar.xz archives, in the order of their paths, each once however often it is
    given; of several with one name, all but the first get a number. Raises LaunchError for a path without a walk, and
    where no walk has two way points."""
    walks: list[Walk] = []
    with tempfile.TemporaryDirectory() as folder:
        files = [each for n, path in enumerate(map(Path, paths)) for each in _files(path, Path(folder) / str(n))]
        once = {
            hashlib.sha256(each.read_bytes()).digest(): each for each in reversed(files)
        }  # an archive and its folder
        taken: dict[str, int] = {}
        for path in reversed(once.values()):
            walk = _read(path)
            taken[walk.name] = taken.get(walk.name, 0) + 1
            walks.append(walk if taken[walk.name] == 1 else _named(f"{walk.name}-{taken[walk.name]}", walk))
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


def _files(path: Path, folder: Path) -> list[Path]:
    try:
        return find_walks([_unpacked(path, folder)])
    except WalkError as error:
        raise LaunchError(str(error)) from error


def _read(path: Path) -> Walk:
    try:
        walk = read_walk(path, fresh_s=FRESH_S)
    except WalkError as error:
        raise LaunchError(str(error)) from error
    return Walk(walk.name, walk.batches, walk.waypoint_t_ns, walk.waypoint_m)


def _named(name: str, walk: Walk) -> Walk:
    """The walk as another phone's: 1.txt of Monday and 1.txt of Tuesday are two."""
    batches = tuple(replace(batch, source=name) for batch in walk.batches)
    return Walk(name, batches, walk.waypoint_t_ns, walk.waypoint_m)
