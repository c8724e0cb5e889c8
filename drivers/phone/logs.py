"""Recorded walks of two public data sets, read into the PhoneBatch messages that the phone would have sent.

Mall: the text logs of Microsoft's indoor location competition (location-competition/indoor-location-competition-20).
Office: the XML logs of P. Wei's walks (PeterWeiJust/MMLoc), with the CSV of way points beside each. Both hold traps:
WiFi lists repeat what was last seen up to a minute ago, and a phone that slept delivers its samples minutes late. Half
a file is read as far as it goes; what could not be used is counted. What is no such file is a WalkError.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch
from .batches import SECOND_NS, Samples, Scan, in_order, seconds

FRESH_S = 3.0  # an access point last seen longer before its list was given is not part of it; the lists come 2 s apart
MAX_BYTES = 512 * 2**20
_WEAKEST_DBM, _STRONGEST_DBM = -120.0, -1.0  # what a phone can hear; 0 and above are marks of a broken reading
_MS = 1_000_000
_ASTRAY_NS = 3 * 3600 * SECOND_NS  # a row this far from the walk's middle has a damaged time

_RECORD = re.compile(r"(\d{13})\t(TYPE_[A-Z_0-9]+)\t?(.*?)(?=\d{13}\tTYPE_|$)", re.MULTILINE)
_MALL_SENSORS = {"TYPE_ACCELEROMETER": "acc", "TYPE_GYROSCOPE": "gyro", "TYPE_MAGNETIC_FIELD": "mag"}
_OFFICE_SENSORS = {"a": "acc", "g": "gyro", "m": "mag"}
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_TAG = re.compile(r"<(/?[a-z]+)\b(.*?)>")


class WalkError(ValueError):
    """No recorded walk; the text is one sentence naming the file."""


class LoggedWalk(NamedTuple):
    """One recorded walk.

    batches: one a second, t_ns = the second's end (UTC), with the scan that was heard in that second.
    waypoint_t_ns (k,), waypoint_m (k,2): when the walker was where, in the data set's floor frame (mall: metres of the
    floor plan; office: metres east and north). skipped: what could not be used, by reason.
    """

    name: str
    batches: tuple[PhoneBatch, ...]
    waypoint_t_ns: NDArray[np.int64]
    waypoint_m: NDArray[np.float64]
    skipped: dict[str, int]


class _Rows:
    """What has been read of a walk so far."""

    def __init__(self) -> None:
        self.skipped: Counter[str] = Counter()
        self.t_ns: dict[str, list[int]] = {name: [] for name in _MALL_SENSORS.values()}
        self.xyz: dict[str, list[tuple[float, ...]]] = {name: [] for name in _MALL_SENSORS.values()}
        self.scans: list[Scan] = []
        self.waypoints: list[tuple[int, float, float]] = []

    def sample(self, sensor: str, t_ns: int, values: Iterable[str]) -> None:
        """Raises ValueError unless there are three finite values."""
        x, y, z = map(float, values)
        if not np.isfinite(x + y + z):
            raise ValueError("not finite")
        self.t_ns[sensor].append(t_ns)
        self.xyz[sensor].append((x, y, z))


def read_walk(path: str | Path, pseudonym: Callable[[str], str] = str.lower, fresh_s: float = FRESH_S) -> LoggedWalk:
    """The walk recorded in a file of either format, recognised by its content. pseudonym: what a BSSID becomes.

    fresh_s: how long before its list an access point may have been seen last. Raises WalkError where the file cannot be
    read, is no walk, or holds neither a sample nor a scan.
    """
    path = Path(path)
    text = _text(path)
    if "\tTYPE_" in text:
        rows = _read_mall(text, pseudonym, round(fresh_s * SECOND_NS))
    elif "<data " in text[:1000] or '<a t="' in text:
        rows = _read_office(text, pseudonym)
        _read_office_waypoints(path.with_suffix(".csv"), text, rows)
    else:
        raise WalkError(
            f"{path}: is no recorded walk (neither TYPE_ lines of the mall's logs nor <data> of the office's)"
        )
    walk = _walk(path.stem, rows)
    if not walk.batches:
        raise WalkError(f"{path}: holds neither a sensor's sample nor a WiFi scan")
    return walk


def find_walks(paths: Iterable[str | Path]) -> list[Path]:
    """The walk files meant by files and folders (searched to any depth), sorted, each once.

    Raises WalkError where a path does not exist or a folder holds none.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.suffix in (".txt", ".xml") and _looks_so(each))
            if not inside:
                raise WalkError(f"{path}: holds no recorded walk (.txt of the mall, .xml of the office)")
            found.update(dict.fromkeys(inside))
        elif path.exists():
            found[path] = None
        else:
            raise WalkError(f"{path}: there is no such file or folder")
    return list(found)


def _looks_so(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(10_000)
    return b"\tTYPE_" in start or b"<data " in start


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WalkError(f"{path}: is larger than {MAX_BYTES // 2**20} MiB, which no walk is")
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise WalkError(f"{path}: cannot be read: {error.strerror}") from error


def _read_mall(text: str, pseudonym: Callable[[str], str], fresh_ns: int) -> _Rows:
    """Lines of `ms TAB type TAB values`; where a line break is lost, a record ends where the next one starts."""
    rows = _Rows()
    lists: dict[int, list[tuple[str, float, int]]] = {}
    for ms, kind, rest in _RECORD.findall(text):
        t_ns, values = int(ms) * _MS, rest.split("\t")
        try:
            if kind in _MALL_SENSORS:
                rows.sample(_MALL_SENSORS[kind], t_ns, values[:3])
            elif kind == "TYPE_WIFI":
                _ssid, bssid, rssi, _frequency, seen_ms = values[:5]
                lists.setdefault(t_ns, []).append((_bssid(bssid), float(rssi), int(seen_ms) * _MS))
            elif kind == "TYPE_WAYPOINT":
                x_m, y_m = map(float, values[:2])
                rows.waypoints.append((t_ns, x_m, y_m))
        except ValueError:
            rows.skipped["damaged lines"] += 1
    seen_before: dict[str, int] = {}
    for heard_ns, heard in sorted(lists.items()):
        if scan := _mall_scan(heard_ns, heard, fresh_ns, seen_before, pseudonym, rows.skipped):
            rows.scans.append(scan)
    return rows


def _mall_scan(
    heard_ns: int,
    heard: list[tuple[str, float, int]],
    fresh_ns: int,
    seen_before: dict[str, int],
    pseudonym: Callable[[str], str],
    skipped: Counter[str],
) -> Scan | None:
    """What of a list was really heard lately: Android repeats an access point for up to a minute after it was last
    seen, with the strength it had then, where the walker was then. seen_before: when the lists before this one had
    seen each; a reading that one of them held already tells nothing new."""
    latest: dict[str, tuple[int, float]] = {}
    for bssid, rssi_dbm, seen_ns in heard:
        if not _WEAKEST_DBM <= rssi_dbm <= _STRONGEST_DBM:
            skipped["impossible strengths"] += 1
        elif not -SECOND_NS <= heard_ns - seen_ns <= fresh_ns:
            skipped["stale readings"] += 1
        elif seen_ns <= seen_before.get(bssid, -1):
            skipped["repeated readings"] += 1
        elif bssid not in latest or seen_ns > latest[bssid][0]:
            latest[bssid] = (seen_ns, rssi_dbm)
    seen_before.update((bssid, seen_ns) for bssid, (seen_ns, _) in latest.items())
    if not latest:
        return None
    end_ns = min(heard_ns, max(seen_ns for seen_ns, _ in latest.values()))
    return Scan(heard_ns, end_ns, tuple((pseudonym(bssid), rssi) for bssid, (_, rssi) in sorted(latest.items())))


def _read_office(text: str, pseudonym: Callable[[str], str]) -> _Rows:
    """Elements, one a line; `t` is when the app got a sample (ms UTC), `st` when the sensor took it (ns since boot).

    While the phone slept, samples waited up to 100 s and then came all at once: `st` tells when they were taken.
    """
    rows = _Rows()
    lags: list[int] = []
    heard: dict[str, float] | None = None
    heard_ns, before = 0, {}
    for tag, attributes in _TAG.findall(text):
        value = dict(_ATTRIBUTE.findall(attributes))
        try:
            if tag in _OFFICE_SENSORS:
                taken_ns = int(value["st"])
                rows.sample(_OFFICE_SENSORS[tag], taken_ns, (value[axis] for axis in "xyz"))
                lags.append(int(value["t"]) * _MS - taken_ns)
            elif tag == "wr":
                heard, heard_ns = {}, int(value["t"]) * _MS
            elif tag == "r" and heard is not None:
                rssi_dbm = float(value["s"])
                if _WEAKEST_DBM <= rssi_dbm <= _STRONGEST_DBM:
                    heard[pseudonym(_bssid(value["b"]))] = rssi_dbm
                else:
                    rows.skipped["impossible strengths"] += 1
            elif tag == "/wr" and heard:
                if heard == before:  # the app was given the same list again, up to 50 times a second
                    rows.skipped["repeated scans"] += 1
                else:
                    rows.scans.append(Scan(heard_ns, heard_ns, tuple(sorted(heard.items()))))
                heard, before = None, heard
        except (ValueError, KeyError):
            rows.skipped["damaged lines"] += 1
    rows.skipped["unfinished scans"] += heard is not None
    offset_ns = int(np.percentile(lags, 1)) if lags else 0  # the samples that came at once say what the clocks differ
    for times in rows.t_ns.values():
        times[:] = [t_ns + offset_ns for t_ns in times]
    return rows


def _read_office_waypoints(path: Path, text: str, rows: _Rows) -> None:
    """Columns Time (s since the log's first sample), lat, Lng: which are metres east and north, whatever they say."""
    first = re.search(r'<[a-z]+ t="(\d{13})"', text)
    if first is None or not path.exists():
        rows.skipped["missing files of way points"] += 1
        return
    start_ns = int(first.group(1)) * _MS
    for row in csv.DictReader(io.StringIO(_text(path))):
        try:
            t_s, x_m, y_m = (float(row[column]) for column in ("Time", "lat", "Lng"))
        except (KeyError, TypeError, ValueError):
            rows.skipped["damaged lines"] += 1
        else:
            rows.waypoints.append((start_ns + round(t_s * SECOND_NS), x_m, y_m))


def _bssid(text: str) -> str:
    if not text.strip():
        raise ValueError("an access point without an address")
    return text.strip()


def _walk(name: str, rows: _Rows) -> LoggedWalk:
    samples = {sensor: in_order(times, rows.xyz[sensor]) for sensor, times in rows.t_ns.items()}
    times = np.concatenate([*(stream.t_ns for stream in samples.values()), [scan.heard_ns for scan in rows.scans]])
    middle_ns = int(np.median(times)) if len(times) else 0
    samples = {sensor: _not_astray(stream, middle_ns, rows.skipped) for sensor, stream in samples.items()}
    scans = [scan for scan in rows.scans if abs(scan.heard_ns - middle_ns) <= _ASTRAY_NS]
    rows.skipped["times astray"] += len(rows.scans) - len(scans)
    points = sorted(point for point in rows.waypoints if np.isfinite(point[1] + point[2]))
    rows.skipped["damaged lines"] += len(rows.waypoints) - len(points)
    return LoggedWalk(
        name,
        tuple(seconds(name, samples, scans)),
        np.array([t_ns for t_ns, _, _ in points], np.int64),
        np.array([(x_m, y_m) for _, x_m, y_m in points], np.float64).reshape(-1, 2),
        {reason: count for reason, count in rows.skipped.items() if count},
    )


def _not_astray(stream: Samples, middle_ns: int, skipped: Counter[str]) -> Samples:
    near = np.abs(stream.t_ns - middle_ns) <= _ASTRAY_NS
    skipped["times astray"] += int(np.count_nonzero(~near))
    return Samples(stream.t_ns[near], stream.xyz[near])
