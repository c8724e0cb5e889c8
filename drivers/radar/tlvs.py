"""TLV walk and decoding: the bytes of one packet to points, targets, labels (protocols A4-A6).

`walk` finds out whether a packet's TLVs are all there and add up; `decode` reads them with numpy and refuses what
cannot be true (protocols A9: there is no checksum over the body, so everything is range-checked). Neither keeps
state: what needs the previous frame is done in frames.py.
"""

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .encode import COMPRESSED_POINT
from .headers import MAX_PACKET_BYTES, MAX_TLVS, Content, Dialect

MAX_POINTS = 1000  # the tracker's limit (A9)
MAX_TARGETS = 250  # 250 and above are no target numbers in a target index (A5)
MAX_DISTANCE_M = 30.0
MAX_SPEED_M_S = 60.0
MAX_HEIGHT_M = 5.0

Span: TypeAlias = tuple[int, int]
Bytes: TypeAlias = bytes | bytearray
F32: TypeAlias = NDArray[np.float32]

_U32 = struct.Struct("<I")
_COUNTS = {"<I": _U32, "<H": struct.Struct("<H")}
_TLV = struct.Struct("<II")
_UNITS = struct.Struct("<5f")
_STATS = struct.Struct("<6I")
_TEMPERATURE = struct.Struct("<iI10h")
_TENTH = np.float32(0.1)
_absolute, _greatest = np.absolute, np.maximum.reduce
_TARGET_LIMITS = np.array([MAX_TARGETS - 1, *[MAX_DISTANCE_M] * 3, *[MAX_SPEED_M_S] * 3, 1, MAX_HEIGHT_M], "<f4")
_HEIGHT = struct.Struct("<I2f")  # tid, top, bottom
_TARGET = struct.Struct("<I6f80xf")  # position, velocity; acceleration, 4x4 covariance, gain; confidence
_TARGET_Z_LAST = struct.Struct("<I4f8x2f72x")  # x y of position, velocity; acceleration; z of both; the rest
_TARGET_SHORT = struct.Struct("<I4f8x2f4x")  # the same without covariance and gain


class Impossible(ValueError):
    """A payload that no firmware sends: the packet is corrupt."""


class Packet(NamedTuple):
    """A packet whose TLVs are all there; offsets count from its magic word. end: behind the last TLV; length: what the
    header claims; tlvs: (type, offset, size)."""

    dialect: Dialect
    end: int
    length: int
    tlvs: tuple[tuple[int, int, int], ...]


@dataclass(slots=True)
class Decoded:
    """What a packet says, in the sensor frame; as in RadarFrame, but `index` still unchecked against the last frame.

    keep: which of the sent points are in `points`, None when all. unknown: types of skipped TLVs. gauges: the
    firmware's own account of itself, by name.
    """

    points: F32
    keep: NDArray[np.bool_] | None = None
    targets: F32 | None = None
    index: NDArray[np.uint8] | None = None
    presence: bool | None = None
    is_tracking: bool = False
    unknown: list[int] = field(default_factory=list)
    gauges: dict[str, int] = field(default_factory=dict)

    @property
    def sent_points(self) -> int:
        return len(self.points) if self.keep is None else len(self.keep)


def walk(data: Bytes, start: int, end: int, dialect: Dialect) -> Packet | int | None:
    """The packet at `start` in one dialect, where data[start:end] is all that can belong to it.

    A number: not all of it is there; nothing more can be said before `end - start` reaches that. None: no packet.
    """
    layout = dialect.layout
    if end - start < layout.size:
        return layout.size
    (length,) = _U32.unpack_from(data, start + layout.length_at)
    (count,) = _COUNTS[layout.tlvs_format].unpack_from(data, start + layout.tlvs_at)
    if not layout.size <= length <= MAX_PACKET_BYTES or count > MAX_TLVS:
        return None
    included = _TLV.size if dialect.counts_header else 0
    at, available = layout.size, end - start
    least = length - dialect.slack  # where the last TLV ends at the earliest: no need to look again before
    tlvs: list[tuple[int, int, int]] = []
    is_known = count == 0
    for _ in range(count):
        at += 8
        if at > length:
            return None
        if at > available:
            return max(at, least)
        kind, size = _TLV.unpack_from(data, start + at - 8)
        size -= included
        if size < 0 or at + size > length:
            return None
        tlvs.append((kind, at, size))
        is_known = is_known or kind in dialect.contents
        at += size
    if at < least or not is_known:
        return None
    return at if at > available else Packet(dialect, at, length, tuple(tlvs))


def decode(data: bytes, packet: Packet) -> Decoded:
    """Read a packet; `data` begins with its magic word. Raises Impossible."""
    spans: dict[Content, Span] = {}
    unknown: list[int] = []
    contents = packet.dialect.contents
    for kind, at, size in packet.tlvs:
        content = contents.get(kind)
        if content is None:
            unknown.append(kind)
        elif content is not Content.SKIPPED:
            if content in spans:
                raise Impossible(f"{content} twice")
            spans[content] = (at, size)
    decoded = _cloud(data, spans)
    decoded.unknown = unknown
    if not _TRACKER_CONTENTS.isdisjoint(spans):
        decoded.is_tracking = True
        _read_tracker(data, spans, decoded)
    if Content.STATS in spans or Content.TEMPERATURE in spans:
        _read_gauges(data, spans, decoded.gauges)
    return decoded


def _cloud(data: bytes, spans: dict[Content, Span]) -> Decoded:
    if span := spans.get(Content.CARTESIAN):
        rows = _array(data, span, "<f4", 4)
        points = _with_snr(data, spans, rows)
    elif span := spans.get(Content.COMPRESSED):
        points = rows = _compressed(data, span)
    elif span := spans.get(Content.SPHERICAL):
        rows = _array(data, span, "<f4", 4)
        distance, azimuth, elevation, doppler = rows.T
        with np.errstate(invalid="ignore", over="ignore"):  # a corrupt angle becomes a NaN, which is refused below
            points = _with_snr(data, spans, _cartesian(distance, azimuth, elevation, doppler)[:, :4])
    else:
        return Decoded(np.empty((0, 5), "<f4"))
    if len(points) > MAX_POINTS:
        raise Impossible(f"{len(points)} points")
    # A NaN fails the comparison too, so one reduction clears nearly every frame.
    if not len(points) or _greatest(_absolute(rows), None) < MAX_DISTANCE_M:
        return Decoded(points)
    keep = np.isfinite(points).all(axis=1) & (np.abs(points[:, :3]) < MAX_DISTANCE_M).all(axis=1)
    keep &= np.abs(points[:, 3]) < MAX_SPEED_M_S
    refused = len(points) - int(keep.sum())
    if refused > max(1, len(points) // 20):
        raise Impossible(f"{refused} of {len(points)} points are nowhere")
    return Decoded(points[keep], keep=keep if refused else None)


def _with_snr(data: bytes, spans: dict[Content, Span], rows: F32) -> F32:
    points = np.empty((len(rows), 5), "<f4")
    points[:, :4] = rows
    if span := spans.get(Content.SIDE_INFO):
        if span[1] != 4 * len(rows):
            raise Impossible(f"{span[1]} bytes of side info for {len(rows)} points")
        np.multiply(np.frombuffer(data, "<i2", 2 * len(rows), span[0])[::2], _TENTH, points[:, 4])
    else:
        points[:, 4] = 0
    return points


def _compressed(data: bytes, span: Span) -> F32:
    at, size = span
    count, rest = divmod(size - _UNITS.size, COMPRESSED_POINT.itemsize)
    if count < 0 or rest:
        raise Impossible(f"{size} bytes are no compressed points")
    units = _UNITS.unpack_from(data, at)
    if not (min(units) > 0 and max(units) < 10):
        raise Impossible(f"units {units}")
    rows = np.frombuffer(data, COMPRESSED_POINT, count, at + _UNITS.size)
    tables = _tables(units[0], units[1], units[4])
    elevation, azimuth = rows["elevation"], rows["azimuth"]
    distance = rows["range"] * np.float32(units[3])
    ground = distance * tables.cos_elevation.take(elevation)
    points = np.empty((count, 5), "<f4")
    x, y, z, doppler, snr = points.T
    np.multiply(ground, tables.sin_azimuth.take(azimuth), x)
    np.multiply(ground, tables.cos_azimuth.take(azimuth), y)
    np.multiply(distance, tables.sin_elevation.take(elevation), z)
    np.multiply(rows["doppler"], np.float32(units[2]), doppler)
    snr[:] = tables.snr_db.take(rows["snr"])
    return points


class _Tables(NamedTuple):
    """The functions of a compressed point's small integers; a negative index finds its value from the end."""

    sin_elevation: F32
    cos_elevation: F32
    sin_azimuth: F32
    cos_azimuth: F32
    snr_db: F32


@lru_cache(maxsize=4)
def _tables(elevation_rad: float, azimuth_rad: float, snr: float) -> _Tables:
    """The units are constants of a firmware, so the tables are made once."""
    angles = np.arange(256).astype("i1").astype("f8")
    elevation, azimuth = angles * elevation_rad, angles * azimuth_rad
    snr_db = 10 * np.log10(np.maximum(np.arange(65536), 1) * snr)  # a linear ratio on the wire
    values = (np.sin(elevation), np.cos(elevation), np.sin(azimuth), np.cos(azimuth), snr_db)
    return _Tables(*(value.astype("<f4") for value in values))


def _cartesian(distance: np.ndarray, azimuth: np.ndarray, elevation: np.ndarray, doppler: np.ndarray) -> np.ndarray:
    """Spherical to the sensor frame (protocols A6); points (N,5) with snr 0."""
    points = np.zeros((len(distance), 5), "<f4")
    ground = distance * np.cos(elevation)
    np.multiply(ground, np.sin(azimuth), out=points[:, 0])
    np.multiply(ground, np.cos(azimuth), out=points[:, 1])
    np.multiply(distance, np.sin(elevation), out=points[:, 2])
    points[:, 3] = doppler
    return points


def _read_tracker(data: bytes, spans: dict[Content, Span], decoded: Decoded) -> None:
    tops: dict[int, float] = {}
    if span := spans.get(Content.HEIGHTS):
        heights = _HEIGHT.iter_unpack(_rows(data, span, _HEIGHT.size))
        tops = {tid: top for tid, top, _ in heights if 0 <= top < MAX_HEIGHT_M}
    if span := spans.get(Content.TARGETS):
        records = _TARGET.iter_unpack(_rows(data, span, _TARGET.size))
        decoded.targets = _targets([(*values, tops.get(values[0], -1.0)) for values in records])
    elif span := spans.get(Content.TARGETS_Z_LAST):
        record = _TARGET_Z_LAST if span[1] % _TARGET_Z_LAST.size == 0 else _TARGET_SHORT
        records = record.iter_unpack(_rows(data, span, record.size))
        decoded.targets = _targets(
            [(tid, x, y, z, vx, vy, vz, -1.0, tops.get(tid, -1.0)) for tid, x, y, vx, vy, z, vz in records]
        )
    if span := spans.get(Content.INDEX):
        decoded.index = np.frombuffer(data, "|u1", span[1], span[0]).copy()
    if span := spans.get(Content.PRESENCE):
        if span[1] != 4:
            raise Impossible(f"{span[1]} bytes of presence")
        decoded.presence = any(data[span[0] : span[0] + 4])


_TRACKER_CONTENTS = frozenset(
    (Content.COMPRESSED, Content.TARGETS, Content.TARGETS_Z_LAST, Content.INDEX, Content.HEIGHTS, Content.PRESENCE)
)


def _targets(rows: list[tuple[float, ...]]) -> F32:
    """(M,9) as in RadarFrame. There are few targets, so that lists are quicker than arrays here."""
    targets = np.array(rows, "<f4").reshape(-1, 9)
    if 0 in (_absolute(targets) <= _TARGET_LIMITS).tobytes():  # a NaN fails too
        targets[:, 7] = np.where(np.isfinite(targets[:, 7]), np.clip(targets[:, 7], -1, 1), -1)
        if not (_absolute(targets) <= _TARGET_LIMITS).all():
            raise Impossible("a target that is nowhere")
    return targets


def _read_gauges(data: bytes, spans: dict[Content, Span], gauges: dict[str, int]) -> None:
    if (span := spans.get(Content.STATS)) and span[1] == _STATS.size:
        _, uart_us, margin_us, _, busy, _ = _STATS.unpack_from(data, span[0])
        gauges.update(uart_us=uart_us, frame_margin_us=margin_us, cpu_percent=busy)
    if (span := spans.get(Content.TEMPERATURE)) and span[1] == _TEMPERATURE.size:
        gauges["temperature_c"] = max(_TEMPERATURE.unpack_from(data, span[0])[2:])


def _rows(data: bytes, span: Span, width: int) -> bytes:
    at, size = span
    if size % width:
        raise Impossible(f"{size} bytes are no rows of {width}")
    return data[at : at + size]


def _array(data: bytes, span: Span, dtype: str, columns: int) -> np.ndarray:
    at, size = span
    width = columns * int(dtype[2])
    if size % width:
        raise Impossible(f"{size} bytes are no rows of {width}")
    return np.ndarray((size // width, columns), dtype, data, at)
