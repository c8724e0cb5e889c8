"""Recorded walks for the commands that learn from them or score on them: files, folders, or an archive of the two."""

import hashlib
import tarfile
import tempfile
from collections.abc import Collection, Sequence
from itertools import count
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
        once: dict[bytes, Path] = {}  # by content: an archive may lie beside the folder it was made of
        for number, given in enumerate(map(Path, paths)):
            for path in _files(given, Path(folder) / str(number)):
                once.setdefault(_digest(path), path)
        for walk in map(_read, once.values()):
            walks.append(_named(walk, {each.name for each in walks}))
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


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise LaunchError(f"{path} cannot be read: {error.strerror}") from error


def _named(walk: Walk, taken: Collection[str]) -> Walk:
    """The walk under a name that is not taken, as another phone's: 1.txt of Monday and 1.txt of Tuesday are two."""
    if walk.name not in taken:
        return walk
    name = next(name for n in count(2) if (name := f"{walk.name}-{n}") not in taken)
    batches = tuple(replace(batch, source=name) for batch in walk.batches)
    return Walk(name, batches, walk.waypoint_t_ns, walk.waypoint_m)
