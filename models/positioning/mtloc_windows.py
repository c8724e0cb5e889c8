"""The tensors MTLoc takes: one second of acceleration, turning and magnetic field at 10 Hz beside the last scan.

Source: MTLoc (Wei and Radu, IPIN 2022) with the gaps filled as /specs/mtloc.md section 1 decides: magnitudes only,
linear interpolation to a 1 ms grid of which rows 99, 199 ... 999 stay, levels (rss + 100) / 60 with 0 for not heard,
a scan held for 3 s at most. The ranges of the magnitudes are of the training walks only. numpy only, no torch.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch
from .walks import MERGED_DECAY_S, Walk

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

STEPS = 10
ROWS = 1000  # of the 1 ms grid in a window
KEPT_ROWS = np.arange(99, ROWS, 100)
SCAN_MAX_AGE_S = 3.0
ABSENT_DBM, SPAN_DB, ONLINE_MOST = -100.0, 60.0, 1.2
MOST_MERGED = 8  # scans: a batch of a second has one at most
SENSORS = ("acc", "gyro", "mag")


class Windows(NamedTuple):
    """n windows: wifi (n,A), imu (n,10,2) acceleration and turning, mag (n,10,1), place_m (n,2) NaN where unknown,
    missing (n,3) bool for wifi, imu, mag; walk (n,) which walk each is of; t_ns (n,) their ends."""

    wifi: F32
    imu: F32
    mag: F32
    place_m: F64
    missing: NDArray[np.bool_]
    walk: NDArray[np.int64]
    t_ns: NDArray[np.int64]

    def take(self, rows: NDArray) -> "Windows":
        """The windows of some rows, by number or by mask."""
        parts: list[NDArray] = [part[rows] for part in self]
        return Windows(*parts)

    def joined(self, more: "Windows") -> "Windows":
        """These windows and others of the same columns behind them."""
        parts: list[NDArray] = [np.concatenate(pair) for pair in zip(self, more, strict=True)]
        return Windows(*parts)


Ranges = Mapping[str, tuple[float, float]]


class Hearing(NamedTuple):
    """How scans become a window's WiFi: hold_s, how old the last may be; merged_s, how long before it the phone's scans
    are merged with it (0: not at all), as one scan hears half of what is; power of the levels. Its defaults are the
    specification's; a model's card says its own (`hearing`)."""

    hold_s: float = SCAN_MAX_AGE_S
    merged_s: float = 0.0
    power: float = 1.0


AS_PRINTED = Hearing()


def magnitudes(t_s: F64, xyz: F64) -> F64:
    """Ten magnitudes (10,) of a second's samples: t_s (n,) 0..1 from the window's start, xyz (n,3). Rows 99..999 of the
    linear interpolation to 1 ms (row r is r ms after the start). Raises ValueError without a sample."""
    if not len(t_s):
        raise ValueError("a window without a sample has no magnitudes")
    return np.interp(KEPT_ROWS / ROWS, t_s, np.linalg.norm(xyz, axis=1))


def wifi_vector(scan: Mapping[str, float], column: Mapping[str, int], clip: bool = False) -> F32:
    """(A,) levels (rss + 100) / 60, 0 for not heard; access points without a column are left out."""
    vector = np.zeros(len(column), np.float32)
    for bssid, rssi_dbm in scan.items():
        if (j := column.get(bssid)) is not None:
            vector[j] = max(0.0, (rssi_dbm - ABSENT_DBM) / SPAN_DB)
    return np.minimum(vector, ONLINE_MOST) if clip else vector


def heard_together(scans: Sequence[tuple[int, F32]], hearing: Hearing) -> F32:
    """(A,) the last of a phone's scans (heard when, ns; levels (A,)), oldest first, merged with those shortly before:
    the mean level over those that heard the access point, weighted as in walks.radio_map_of; to the power."""
    last_ns, merged = scans[-1]
    if hearing.merged_s:
        recent = [(last_ns - t_ns, each) for t_ns, each in scans if 0 <= last_ns - t_ns <= hearing.merged_s * 1e9]
        levels = np.stack([each for _, each in recent])
        weight = np.exp([[-age_ns / 1e9 / MERGED_DECAY_S] for age_ns, _ in recent]).astype(np.float32)
        total = (weight * (levels > 0)).sum(axis=0)
        merged = (weight * levels).sum(axis=0) / np.where(total > 0, total, np.float32(1.0))
    return merged if hearing.power == 1.0 else merged ** np.float32(hearing.power)


def ranges_of(walks: Sequence[Walk]) -> dict[str, tuple[float, float]]:
    """The least and greatest magnitude of each sensor in the training walks; (0, 1) for one that none has."""
    found = {}
    for name in SENSORS:
        rows = [np.linalg.norm(getattr(b, name)[:, 1:], axis=1) for w in walks for b in w.batches]
        every = np.concatenate(rows) if rows else np.zeros(0)
        found[name] = (float(every.min()), float(every.max())) if len(every) and np.ptp(every) > 0 else (0.0, 1.0)
    return found


def scaled(values: F64, limits: tuple[float, float]) -> F64:
    """Magnitudes to the training range's 0..1; not clipped."""
    return (values - limits[0]) / (limits[1] - limits[0])


def windows_of(
    walks: Sequence[Walk],
    bssids: Sequence[str],
    ranges: Ranges,
    stride_s: float = 0.1,
    label: str = "last",
    hearing: Hearing = AS_PRINTED,
) -> Windows:
    """Every window of the walks whose label lies between way points. label: "first" as in the paper's code, "last" for
    use on line (a position known at the window's end). stride_s: 0.1 in the paper. hearing: how scans
    become its WiFi, which is `missing` when the last is older than 3 s, however long it is held."""
    column = {bssid: j for j, bssid in enumerate(bssids)}
    parts: list[list] = [[] for _ in Windows._fields]
    for number, walk in enumerate(walks):
        if not walk.batches:
            continue
        streams = {name: _stream(walk.batches, name) for name in SENSORS}
        scans = _scans(walk.batches, column, hearing)
        ends = np.arange(walk.batches[0].t_ns, walk.batches[-1].t_ns + 1, round(stride_s * 1e9))
        places = walk.where_m(ends if label == "last" else ends - 10**9)
        for end_ns, place in zip(ends.tolist(), places, strict=True):
            if np.isfinite(place).all():
                imu, mag, gone = _sensed(streams, end_ns, ranges)
                wifi, old = _held(scans, end_ns, len(column), hearing.hold_s)
                row = (wifi, imu, mag, place, np.array([old, *gone]), number, end_ns)
                for part, value in zip(parts, row, strict=True):
                    part.append(value)
    return _stacked(parts, len(column))


def _stacked(parts: list[list], width: int) -> Windows:
    if not parts[0]:
        shapes = [(0, width), (0, STEPS, 2), (0, STEPS, 1), (0, 2), (0, 3), (0,), (0,)]
        kinds = ["<f4", "<f4", "<f4", "<f8", "?", "<i8", "<i8"]
        return Windows(*(np.zeros(s, k) for s, k in zip(shapes, kinds, strict=True)))
    return Windows(*(np.array(part) for part in parts))


def _scans(batches: Sequence[PhoneBatch], column: Mapping[str, int], hearing: Hearing) -> list[tuple[int, int, F32]]:
    """The scans in order: known since when and heard when (ns), what the network gets of each (A,)."""
    heard = [b for b in batches if b.scan]
    levels = [(b.t_ns - round(b.scan_age_s * 1e9), wifi_vector(dict(b.scan), column)) for b in heard]
    found = []
    for k, batch in enumerate(heard):
        found.append((batch.t_ns, levels[k][0], heard_together(levels[max(0, k + 1 - MOST_MERGED) : k + 1], hearing)))
    return found


def _stream(batches: Sequence[PhoneBatch], name: str) -> tuple[NDArray[np.int64], F64]:
    """All samples of a sensor, in order: times (n,) ns, magnitudes (n,)."""
    times = [b.t_ns - np.round(np.asarray(getattr(b, name)[:, 0], np.float64) * 1e9).astype(np.int64) for b in batches]
    values = [np.linalg.norm(np.asarray(getattr(b, name)[:, 1:], np.float64), axis=1) for b in batches]
    t_ns, value = np.concatenate(times), np.concatenate(values)
    order = np.argsort(t_ns, kind="stable")
    return t_ns[order], value[order]


def _sensed(streams: Mapping[str, tuple], end_ns: int, ranges: Ranges) -> tuple[F32, F32, tuple[bool, bool]]:
    """imu (10,2), mag (10,1) of the second before end_ns, zeros for a sensor without a sample; whether each is gone."""
    rows: dict[str, F64 | None] = {}
    for name, (t_ns, value) in streams.items():
        low, high = np.searchsorted(t_ns, [end_ns - 10**9, end_ns + 1])
        rows[name] = None
        if high > low:
            at = np.interp(KEPT_ROWS / ROWS, (t_ns[low:high] - (end_ns - 10**9)) / 1e9, value[low:high])
            rows[name] = scaled(at, ranges[name])
    zeros = np.zeros(STEPS)
    acc, gyro, mag = (rows[name] if rows[name] is not None else zeros for name in SENSORS)
    imu = np.stack([acc, gyro], axis=1).astype(np.float32)  # type: ignore[list-item]
    return imu, np.asarray(mag, np.float32)[:, None], (rows["acc"] is None, rows["mag"] is None)


def _held(scans: list[tuple[int, int, F32]], end_ns: int, width: int, hold_s: float) -> tuple[F32, bool]:
    """The last scan known at end_ns, zeros where it is older than hold_s; whether it is older than SCAN_MAX_AGE_S."""
    for known_ns, heard_ns, vector in reversed(scans):
        if known_ns <= end_ns:
            age_ns = end_ns - heard_ns
            held = vector if age_ns <= hold_s * 1e9 else np.zeros(width, np.float32)
            return held, age_ns > SCAN_MAX_AGE_S * 1e9
    return np.zeros(width, np.float32), True
