"""The recorded walkers' files, from the archive or a folder: room, radar and walker are in each file's path.

mmGait (Meng et al., AAAI 2020), in part; no licence, so nothing of it or trained on it is shipped.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from ...models.gait.walkers_recording import Recording, WalkerError, parse
from ..errors import LaunchError

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "radar_gait" / "mmGait_part.tar.xz"


def recordings_in(path: Path) -> list[Recording]:
    """Every recording, ordered by radar, room and walker. Raises LaunchError where there are none or one is broken."""
    if not path.exists():
        raise LaunchError(
            f"{path} is not there: the recorded walkers are needed", "whowhere evaluate gait-walkers --data"
        )
    try:
        done = [parse(text, *_named(name)) for name, text in (_folder(path) if path.is_dir() else _archive(path))]
    except (tarfile.TarError, EOFError, OSError, WalkerError, UnicodeDecodeError) as error:
        raise LaunchError(f"{path} cannot be read: {error}") from error
    if not done:
        raise LaunchError(f"{path} holds no file like room2/1/fixed_route/77Ghz_radar/002.csv")
    return sorted(done, key=lambda each: (each.radar, each.room, each.walker))


def _named(name: str) -> tuple[str, str, str]:
    """walker, room, radar of room2/1/fixed_route/77Ghz_radar/002.csv."""
    parts = name.split("/")
    return parts[-1].removesuffix(".csv"), parts[-5], parts[-2].partition("G")[0]


def _folder(path: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(path.glob("**/room*/*/*/*Ghz_radar/*.csv")) or sorted(path.glob("room*/*/*/*Ghz_radar/*.csv")):
        yield file.as_posix(), file.read_text(encoding="ascii")


def _archive(path: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith(".csv") else None
            if content and member.name.count("/") >= 4:
                yield member.name, content.read().decode("ascii")
