"""A batch of scans without places: what an update of the map is made from, and the csv it comes in.

The csv has one line of names, `t_s` and one column per access point, and one line per scan: seconds (any origin; the
column may be missing) and dBm, empty (or 100, as some archives write it) where not heard.
"""

import csv
import io
from dataclasses import dataclass

import numpy as np

from .maps import F32, F64, STRONGEST_DBM, WEAKEST_DBM, MapError

NOT_HEARD = 100.0  # how public archives write it
MAX_SCANS = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class Scans:
    """k scans of m access points. rssi_dbm: (k,m) f32, NaN = not heard. t_s: (k,) f64 rising, or None where unknown."""

    bssids: tuple[str, ...]
    rssi_dbm: F32
    t_s: F64 | None = None

    def __post_init__(self) -> None:
        rssi = np.ascontiguousarray(self.rssi_dbm, np.float32)
        object.__setattr__(self, "rssi_dbm", rssi)
        object.__setattr__(self, "bssids", tuple(str(bssid) for bssid in self.bssids))
        if rssi.ndim != 2 or rssi.shape[1] != len(self.bssids) or len(set(self.bssids)) != len(self.bssids):
            raise MapError(f"scans of shape {rssi.shape} do not fit {len(self.bssids)} different access points")
        heard = rssi[~np.isnan(rssi)]
        if not heard.size:
            raise MapError("no access point was heard in any scan")
        if heard.min() < WEAKEST_DBM or heard.max() > STRONGEST_DBM:
            raise MapError(f"levels must be {WEAKEST_DBM:g} to {STRONGEST_DBM:g} dBm; found {heard.max():g}")
        if self.t_s is not None and (self.t_s.shape != (len(rssi),) or not np.isfinite(self.t_s).all()):
            raise MapError("every scan needs a time, or none of them")

    def __len__(self) -> int:
        return len(self.rssi_dbm)

    def heard(self) -> tuple[str, ...]:
        """The access points heard at least once, in the order of the columns."""
        ever = (~np.isnan(self.rssi_dbm)).any(axis=0)
        return tuple(self.bssids[j] for j in np.flatnonzero(ever))

    def columns(self, bssids: tuple[str, ...]) -> F32:
        """(k, len(bssids)) levels in that order, NaN for access points not heard here."""
        at = {bssid: j for j, bssid in enumerate(self.bssids)}
        out = np.full((len(self), len(bssids)), np.nan, np.float32)
        for j, bssid in enumerate(bssids):
            if (column := at.get(bssid)) is not None:
                out[:, j] = self.rssi_dbm[:, column]
        return out

    def rows(self, chosen: np.ndarray) -> "Scans":
        """Some of the scans, in their order."""
        return Scans(self.bssids, self.rssi_dbm[chosen], None if self.t_s is None else self.t_s[chosen])


def scans_from_csv(text: str) -> Scans:
    """Read the csv described on top. Raises MapError, naming the line."""
    lines = csv.reader(io.StringIO(text))
    head = [name.strip() for name in next(lines, [])]
    timed = bool(head) and head[0] == "t_s"
    bssids = tuple(head[1:] if timed else head)
    if not bssids or not all(bssids):
        raise MapError("line 1 must name the access points (and may start with t_s)")
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        if len(line) != len(head):
            raise MapError(f"line {number} has {len(line)} fields, line 1 has {len(head)}")
        try:
            rows.append([float(cell) if cell.strip() else np.nan for cell in line])
        except ValueError as error:
            raise MapError(f"line {number}: {error}") from error
        if len(rows) > MAX_SCANS:
            raise MapError(f"more than {MAX_SCANS} scans: cut the batch")
    if not rows:
        raise MapError("there is no scan after line 1")
    return _sorted(bssids, np.array(rows), timed)


def scans_to_csv(scans: Scans) -> str:
    """The csv that reads back as these scans, to 0.1 dB and 1 ms."""
    out = [",".join((["t_s"] if scans.t_s is not None else []) + list(scans.bssids))]
    for i, row in enumerate(scans.rssi_dbm):
        time = [] if scans.t_s is None else [f"{scans.t_s[i]:.3f}"]
        out.append(",".join(time + ["" if np.isnan(level) else f"{level:.1f}" for level in row]))
    return "\n".join(out) + "\n"


def _sorted(bssids: tuple[str, ...], table: F64, timed: bool) -> Scans:
    if not timed:
        return Scans(bssids, _levels(table))
    if not np.isfinite(table[:, 0]).all():
        raise MapError("a scan has no time though the file has a t_s column")
    order = np.argsort(table[:, 0], kind="stable")
    return Scans(bssids, _levels(table[order, 1:]), table[order, 0].copy())


def _levels(table: F64) -> F32:
    return np.where(table == NOT_HEARD, np.nan, table).astype(np.float32)
