"""A radio map: what a phone hears at known places, as one file that needs nothing but numpy to be read.

The file is a zip archive of `.npy` members and `card.json`, written with fixed dates and order, so that the same map
always gives the same bytes. This module knows the file only: locating is in `knn`, changing a map in `update`.
"""

import io
import json
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..whole_files import write_whole

WEAKEST_DBM, STRONGEST_DBM = -120.0, 20.0
MAX_FILE_BYTES = 256 * 2**20
FORMAT = "whowhere radio map 1"

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
SURVEY, LEVELS = "survey.map", "levels.map"
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # a date of its own would make every file differ


class MapError(ValueError):
    """What is wrong with a radio map or with scans for it, in one sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class FingerprintMap:
    """n fingerprints of m access points.

    bssids: m names, in the order of the columns. position_m: (n,2) f64 in the site frame. rssi_dbm: (n,m) f32, NaN
    where the access point was not heard. card: plain JSON: provenance, parent version, metrics, access points added,
    moved and removed, and `calibration` (see `knn.calibrated`). survey: the map that was surveyed, where this one was
    made from it by updates, so that the next one starts from what was measured and not from what was drawn. levels: the
    level to be expected at each of the survey's places after an update, for people to read. Raises MapError when these
    do not fit together.
    """

    name: str
    version: str
    bssids: tuple[str, ...]
    position_m: F64
    rssi_dbm: F32
    card: dict[str, Any] = field(default_factory=dict)
    survey: "FingerprintMap | None" = None
    levels: "FingerprintMap | None" = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "bssids", tuple(self.bssids))
        object.__setattr__(self, "position_m", np.ascontiguousarray(self.position_m, np.float64))
        object.__setattr__(self, "rssi_dbm", np.ascontiguousarray(self.rssi_dbm, np.float32))
        _check(self)

    @property
    def label(self) -> str:
        """ "name:version", as published positions name the map they were computed with."""
        return f"{self.name}:{self.version}"

    def to_bytes(self) -> bytes:
        """The file's content: the same map always gives the same bytes."""
        head = {"format": FORMAT, "name": self.name, "version": self.version, "card": self.card}
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            _member(archive, "card.json", json.dumps(head, sort_keys=True, indent=1).encode())
            _member(archive, "bssids.npy", _npy(np.array([b.encode() for b in self.bssids], dtype=np.bytes_)))
            _member(archive, "position_m.npy", _npy(self.position_m.astype("<f8")))
            _member(archive, "rssi_dbm.npy", _npy(self.rssi_dbm.astype("<f4")))
            for name, beside in ((SURVEY, self.survey), (LEVELS, self.levels)):
                if beside is not None:
                    _member(archive, name, beside.to_bytes())
        return out.getvalue()

    @staticmethod
    def from_bytes(content: bytes, inside: bool = False) -> "FingerprintMap":
        """The map in a file's content. Raises MapError for anything that is not one. inside: whether it lies in
        another map's file; such a one holds none itself."""
        if len(content) > MAX_FILE_BYTES:
            raise MapError(f"a radio map of {len(content)} bytes is more than the {MAX_FILE_BYTES} that are read")
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                head = json.loads(_content(archive, "card.json"))
                arrays = [_array(archive, name) for name in ("bssids", "position_m", "rssi_dbm")]
                within = () if inside else {SURVEY, LEVELS} & set(archive.namelist())
                contents = {name[: -len(".map")]: _content(archive, name) for name in sorted(within)}
        except MapError:
            raise
        except Exception as error:  # a damaged archive fails in a dozen ways, all meaning the same
            raise MapError(f"this is not a radio map, or a damaged one ({error})") from error
        made = _assembled(head, *arrays)
        return replace(made, **{name: FingerprintMap.from_bytes(part, inside=True) for name, part in contents.items()})

    def changed(self, **fields: Any) -> "FingerprintMap":
        """A copy with other fields."""
        return replace(self, **fields)


def load_map(path: str | Path) -> FingerprintMap:
    """Read a map's file. Raises MapError, naming the file."""
    try:
        return FingerprintMap.from_bytes(Path(path).read_bytes())
    except OSError as error:
        raise MapError(f"{path} cannot be read: {error.strerror}") from error
    except MapError as error:
        raise MapError(f"{path}: {error}") from error


def save_map(radio_map: FingerprintMap, path: str | Path) -> None:
    """Write a map's file whole or not at all: readers never see half a map. Raises MapError, naming it."""
    try:
        write_whole(path, radio_map.to_bytes())
    except OSError as error:
        raise MapError(f"{path} cannot be written: {error.strerror}") from error


def _check(radio_map: FingerprintMap) -> None:
    n, m = len(radio_map.position_m), len(radio_map.bssids)
    if not radio_map.name or not radio_map.version:
        raise MapError("a radio map needs a name and a version")
    if radio_map.position_m.shape != (n, 2) or radio_map.rssi_dbm.shape != (n, m):
        raise MapError(
            f"positions {radio_map.position_m.shape}, levels {radio_map.rssi_dbm.shape} and {m} access points "
            "do not belong together: (n,2), (n,m) and m are needed"
        )
    if not n or not m:
        raise MapError("a radio map without fingerprints or without access points locates nobody")
    if len(set(radio_map.bssids)) != m or not all(radio_map.bssids):
        raise MapError("an access point is in the radio map twice, or has no name")
    if not np.isfinite(radio_map.position_m).all():
        raise MapError("a position in the radio map is not a number")
    heard = radio_map.rssi_dbm[~np.isnan(radio_map.rssi_dbm)]
    if not heard.size or heard.min() < WEAKEST_DBM or heard.max() > STRONGEST_DBM:
        raise MapError(f"a radio map's levels must be {WEAKEST_DBM:g} to {STRONGEST_DBM:g} dBm, or NaN for not heard")


def _assembled(
    head: Any, bssids: npt.NDArray[Any], position_m: npt.NDArray[Any], rssi: npt.NDArray[Any]
) -> FingerprintMap:
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise MapError(f'this is not a radio map: its card does not say "{FORMAT}"')
    name, version, card = head.get("name"), head.get("version"), head.get("card")
    if not isinstance(name, str) or not isinstance(version, str) or not isinstance(card, dict):
        raise MapError("the radio map's card lacks its name, version or card")
    if bssids.dtype.kind != "S" or bssids.ndim != 1 or position_m.dtype != "<f8" or rssi.dtype != "<f4":
        raise MapError("the radio map's arrays are of another kind than the format says")
    try:
        names = tuple(b.decode() for b in bssids.tolist())
    except UnicodeDecodeError as error:
        raise MapError("the radio map's access point names are not text") from error
    return FingerprintMap(name, version, names, position_m, rssi, card)


def _npy(array: npt.NDArray[Any]) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=False)
    return out.getvalue()


def _member(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _ZIP_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MAX_FILE_BYTES:
        raise MapError(f"{name} in the radio map is larger than the {MAX_FILE_BYTES} bytes that are read")
    return archive.read(name)


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    return np.lib.format.read_array(io.BytesIO(_content(archive, f"{name}.npy")), allow_pickle=False)
