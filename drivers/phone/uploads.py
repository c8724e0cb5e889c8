"""What a phone's app sends, taken apart: our own JSON (docs/phone.md), and what the app "Sensor Logger" pushes.

Sensor Logger (Kelvin Choi): its HTTP push as github.com/tszheichoi/awesome-sensor-logger describes it in PUSHING.md
(the message) and UNITS.md (units, WiFi's fields). The two formats are told apart by their keys. Values that make no
sense are counted, a body that is neither format is refused with one sentence. It keeps nothing and knows no clock.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from .batches import SECOND_NS, SENSORS, Samples, Scan

MAX_BYTES = 2 * 2**20  # a minute of three sensors at 50 Hz is about 1 MB
MAX_READINGS = 512  # access points of one scan; the strongest stay
MOST_SCANS = 120
WEAKEST_DBM, STRONGEST_DBM = -120.0, -1.0
STALE_NS = 3 * SECOND_NS  # an access point last seen longer before its scan is no part of it
_FROM_G = 9.80665
_WIFI_TOGETHER_NS = SECOND_NS  # entries of one scan come with times that are hardly apart
_LARGEST = 1e5  # no phone's sensor says more, in any of the units
_LATEST_NS = 2**62


class BadUpload(ValueError):
    """A body that is no upload; the text is one sentence."""


class Upload(NamedTuple):
    """samples: by name of SENSORS, by the phone's clock, not sorted, empty ones left out. scans: likewise.

    sent_ns: when the phone sent it by its own clock, None where it does not say. skipped: values left out, by reason.
    """

    samples: dict[str, Samples]
    scans: list[Scan]
    sent_ns: int | None
    skipped: Counter[str]


class _Heard(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    bssid: str
    dbm: float
    age_s: float = 0.0  # how long before the scan's end it was last seen


class _Scan(msgspec.Struct, forbid_unknown_fields=True):
    t_ms: float
    heard: list[_Heard]


_Rows = list[tuple[float, float, float, float]]


class _Entry(msgspec.Struct, gc=False):
    """One reading of Sensor Logger."""

    name: str
    time: int | float | str
    values: Any = None


class _Sent(msgspec.Struct):
    """Sensor Logger's payload, or ours: rows are t_ms (UTC milliseconds by the phone's clock), x, y, z."""

    payload: list[_Entry] | msgspec.UnsetType = msgspec.UNSET
    acc: _Rows = []
    gyro: _Rows = []
    mag: _Rows = []
    scans: list[_Scan] = []
    sent_ms: float | None = None


_DECODE = msgspec.json.Decoder(_Sent).decode
_OUR_KEYS = (b'"acc"', b'"gyro"', b'"mag"', b'"scans"', b'"sent_ms"')


def parse(body: bytes, pseudonym: Callable[[str], str]) -> Upload:
    """Raises BadUpload. pseudonym: what an access point's address becomes; ValueError where it is no address."""
    if len(body) > MAX_BYTES:
        raise BadUpload(f"the upload has {len(body)} bytes, at most {MAX_BYTES} are taken: send more often")
    try:
        sent = _DECODE(body)
        if sent.payload is not msgspec.UNSET:
            return _from_sensor_logger(sent.payload, pseudonym)
        if not any(key in body for key in _OUR_KEYS):
            raise BadUpload('the upload has none of "acc", "gyro", "mag", "scans" nor Sensor Logger\'s "payload"')
        return _from_ours(sent, pseudonym)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadUpload(f"the upload is not the JSON that docs/phone.md describes: {error}") from error


def _from_ours(sent: _Sent, pseudonym: Callable[[str], str]) -> Upload:
    skipped: Counter[str] = Counter()
    samples: dict[str, Samples] = {}
    for name in SENSORS:
        rows: _Rows = getattr(sent, name)
        if rows:
            table = np.array(rows, np.float64)
            _keep(samples, name, _ns_of_ms(table[:, 0]), table[:, 1:], skipped)
    scans = []
    for scan in sent.scans[:MOST_SCANS]:
        end_ns = int(scan.t_ms * 1e6) if 0 < scan.t_ms < _LATEST_NS / 1e6 else -1
        heard = [(each.bssid, each.dbm, round(min(max(each.age_s, -60.0), 60.0) * SECOND_NS)) for each in scan.heard]
        _keep_scan(scans, end_ns, heard, pseudonym, skipped)
    skipped["excess"] += len(sent.scans[MOST_SCANS:])
    sent_ns = int(sent.sent_ms * 1e6) if sent.sent_ms and 0 < sent.sent_ms < _LATEST_NS / 1e6 else None
    return Upload(samples, scans, sent_ns, skipped)


def _from_sensor_logger(payload: Sequence[_Entry], pseudonym: Callable[[str], str]) -> Upload:
    """Readings by name, in any order; names that positions need nothing of are left out without a count."""
    skipped: Counter[str] = Counter()
    spelt: defaultdict[str, list[_Entry]] = defaultdict(list)
    for entry in payload:
        spelt[entry.name].append(entry)
    entries: defaultdict[str, list[_Entry]] = defaultdict(list)
    for name, some in spelt.items():
        entries[name.lower().replace(" ", "")] += some
    read = {name: found for name in sorted(_XYZ & entries.keys()) if len((found := _xyz(entries[name], skipped))[0])}
    wifi: list[tuple[int, str, float]] = []
    for entry in entries["wifi"]:
        try:
            networks = entry.values if isinstance(entry.values, list) else [entry.values]
            t_ns = int(entry.time)
            wifi += [(t_ns, str(network["bssid"]), float(network["level"])) for network in networks]
        except _DAMAGED:
            skipped["damaged"] += 1
    samples: dict[str, Samples] = {}
    for name, (t_ns, xyz) in (("acc", _acceleration(read, skipped)), ("gyro", _of(read, "gyroscope"))):
        _keep(samples, name, t_ns, xyz, skipped)
    _keep(samples, "mag", *_of(read, "magnetometer"), skipped)
    return Upload(samples, _scans(wifi, pseudonym, skipped), None, skipped)


def _xyz(entries: Sequence[_Entry], skipped: Counter[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Times (N,) and values (N,3) of one sensor's readings; damaged ones are left out."""
    try:
        return _columns(entries)
    except _DAMAGED:  # seldom, so each is asked by itself only then
        sound: list[_Entry] = []
        for entry in entries:
            try:
                _columns([entry])
                sound.append(entry)
            except _DAMAGED:
                skipped["damaged"] += 1
        return _columns(sound)


def _columns(entries: Sequence[_Entry]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """A time that makes no sense is 0; raises one of _DAMAGED."""
    times = [t_ns if 0 < t_ns < _LATEST_NS else 0 for t_ns in map(int, [entry.time for entry in entries])]
    values = [entry.values for entry in entries]
    rows = [(float(value["x"]), float(value["y"]), float(value["z"])) for value in values]
    return np.array(times, np.int64), np.array(rows, np.float64).reshape(-1, 3)


_Read = dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
_DAMAGED = (KeyError, TypeError, ValueError, OverflowError)
_XYZ = {"totalacceleration", "accelerometer", "gravity", "accelerometeruncalibrated", "gyroscope", "magnetometer"}


def _of(read: _Read, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return read.get(name) or (np.empty(0, np.int64), np.empty((0, 3)))


def _acceleration(read: _Read, skipped: Counter[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """With gravity, in m/s2: the app's `accelerometer` is without. On Android totalacceleration has both; elsewhere
    gravity, which changes slowly, is added; raw values are in g on iOS unless units are standardised."""
    if "totalacceleration" in read:
        return read["totalacceleration"]
    if "accelerometeruncalibrated" in read:
        t_ns, xyz = read["accelerometeruncalibrated"]
        is_in_g = len(xyz) and np.median(np.linalg.norm(xyz, axis=1)) < 3.0
        return t_ns, xyz * (_FROM_G if is_in_g else 1.0)
    t_ns, xyz = _of(read, "accelerometer")
    if "gravity" in read and len(t_ns):
        gravity_ns, gravity = read["gravity"]
        order = np.argsort(gravity_ns, kind="stable")
        near = order[np.clip(np.searchsorted(gravity_ns[order], t_ns), 0, len(order) - 1)]
        return t_ns, xyz + gravity[near]
    skipped["without_gravity"] += len(t_ns)
    return _of(read, "")


def _scans(wifi: list[tuple[int, str, float]], pseudonym: Callable[[str], str], skipped: Counter[str]) -> list[Scan]:
    """Entries of one access point each, joined into scans by their times."""
    scans: list[Scan] = []
    together: list[tuple[int, str, float]] = []
    for entry in [*sorted(wifi), None]:
        if together and (entry is None or entry[0] - together[0][0] > _WIFI_TOGETHER_NS):
            end_ns = together[-1][0]
            _keep_scan(scans, end_ns, [(bssid, dbm, 0) for _, bssid, dbm in together], pseudonym, skipped)
            together = []
        if entry is not None:
            together.append(entry)
    skipped["excess"] += len(scans[MOST_SCANS:])
    return scans[:MOST_SCANS]


def _keep(
    samples: dict[str, Samples], name: str, t_ns: NDArray[np.int64], xyz: NDArray[np.float64], skipped: Counter[str]
) -> None:
    if not len(t_ns):
        return
    if not (np.abs(xyz).max() < _LARGEST and t_ns.min() > 0):  # NaN is not below
        good = (np.abs(xyz) < _LARGEST).all(axis=1) & (t_ns > 0)
        skipped["damaged"] += int(np.count_nonzero(~good))
        t_ns, xyz = t_ns[good], xyz[good]
    if len(t_ns):
        samples[name] = Samples(t_ns, xyz.astype(np.float32))


def _keep_scan(
    scans: list[Scan],
    end_ns: int,
    heard: list[tuple[str, float, int]],
    pseudonym: Callable[[str], str],
    skipped: Counter[str],
) -> None:
    """heard: (bssid, dBm, how long before the scan's end it was last seen, ns). An empty scan says that nothing is
    heard here, which PhoneBatch cannot tell from no scan: it is left out."""
    latest: dict[str, tuple[int, float]] = {}
    for bssid, dbm, age_ns in heard:
        if not WEAKEST_DBM <= dbm <= STRONGEST_DBM:
            skipped["damaged"] += 1
        elif age_ns > STALE_NS:
            skipped["stale"] += 1
        elif bssid not in latest or age_ns < latest[bssid][0]:
            latest[bssid] = (age_ns, dbm)
    readings: dict[str, float] = {}
    for bssid, (_, dbm) in latest.items():
        try:
            readings[pseudonym(bssid)] = dbm
        except ValueError:
            skipped["damaged"] += 1
    if not 0 < end_ns < _LATEST_NS:
        skipped["damaged"] += len(readings)
    elif readings:
        kept = list(readings.items())
        if len(kept) > MAX_READINGS:
            skipped["excess"] += len(kept) - MAX_READINGS
            kept = sorted(kept, key=lambda reading: (-reading[1], reading[0]))[:MAX_READINGS]
        scans.append(Scan(end_ns, end_ns, tuple(sorted(kept))))


def _ns_of_ms(t_ms: NDArray[np.float64]) -> NDArray[np.int64]:
    """Half a microsecond is what a double holds of today's milliseconds."""
    if not (t_ms.min() > 0 and t_ms.max() < _LATEST_NS / 1e6):  # NaN is neither
        t_ms = np.where((t_ms > 0) & (t_ms < _LATEST_NS / 1e6), t_ms, 0.0)
    return np.rint(t_ms * 1e3).astype(np.int64) * 1000
