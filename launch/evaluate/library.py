"""The library data: two floors fingerprinted every month for years, with real drift and churn of access points.

Mendoza-Silva et al., "Long-Term WiFi Fingerprinting Dataset for Research on Robust Indoor Positioning", Data 2018
(CC BY 4.0), as the folder of the archive or the .tar.xz itself. Nothing of it is shipped.
"""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np

from ...models.radiomap.maps import F32, F64
from ..errors import LaunchError

DEFAULT = Path("../shared/data/positioning/library_months_01_11.tar.xz")
NOT_HEARD = 100.0
NAMES = tuple(f"ap{j + 1:03d}" for j in range(620))
Kind = Literal["trn", "tst"]


@dataclass(frozen=True, slots=True, eq=False)
class Month:
    """rssi_dbm (k,620), NaN = not heard; place (k,3): x, y in m and floor; t_s (k,) local time."""

    rssi_dbm: F32
    place: F64
    t_s: F64


class Library:
    """The months in a folder or archive. Raises LaunchError where there are none."""

    def __init__(self, source: Path) -> None:
        if not source.exists():
            raise LaunchError(
                f"{source} is not there: the library data is needed", "whowhere evaluate radiomap --data FILE"
            )
        self._files = _from_folder(source) if source.is_dir() else _from_archive(source)
        if not self._files:
            raise LaunchError(f"{source} holds no file like 01/trn01rss.csv: it is not the library data")

    def month(self, number: int, kind: Kind) -> Month:
        """Training or test scans of a month; scans without a floor are left out."""
        stems = sorted(name[:-7] for name in self._files if name.startswith(f"{number:02d}/{kind}") and "rss" in name)
        if not stems:
            raise LaunchError(f"the library data has no {kind} scans of month {number}")
        rssi = np.vstack([self._table(f"{stem}rss.csv") for stem in stems])
        place = np.vstack([self._table(f"{stem}crd.csv") for stem in stems])
        times = [_seconds(line) for stem in stems for line in self._files[f"{stem}tms.csv"].decode().split()]
        valid = place[:, 2] > 0
        levels = np.where(rssi == NOT_HEARD, np.nan, rssi).astype(np.float32)
        return Month(levels[valid], place[valid], np.array(times)[valid])

    def _table(self, name: str) -> F64:
        return np.loadtxt(io.BytesIO(self._files[name]), delimiter=",", ndmin=2)


def _seconds(stamp: str) -> float:
    """20160602155217232 to seconds."""
    minute = datetime.strptime(stamp[:12], "%Y%m%d%H%M").timestamp()
    return minute + int(stamp[12:14]) + int(stamp[14:17] or 0) / 1000  # a few stamps say 60 s


def _from_folder(folder: Path) -> Mapping[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in sorted(folder.rglob("t[rs]*.csv"))}


def _from_archive(path: Path) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name.endswith(".csv") else None
                if content:
                    found["/".join(member.name.split("/")[-2:])] = content.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise LaunchError(f"{path} is not the library's archive: {error}") from error
    return found
