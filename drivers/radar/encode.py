"""Points and targets to the UART packets of TI's firmwares: the parser's mirror image (protocols A3-A5).

Used by the simulator, by the tests, and to send recordings that others had already parsed through the whole
corridor again. It writes what the firmware writes, quantisation included; it never reads.
"""

import math
import struct
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .headers import H40, H44, H48, H52, MAGIC, PADDING, Layout, checksum

PLATFORM = 0x000A6843
SDK_VERSION = 0x03060000  # 3.6.0.0
UNITS = (0.01, 0.01, 0.00028, 0.00025, 0.04)  # rad, rad, m/s, m, linear: the firmware's constants (A5)
COMPRESSED_POINT = np.dtype(
    [("elevation", "i1"), ("azimuth", "i1"), ("doppler", "<i2"), ("range", "<u2"), ("snr", "<u2")]
)
TARGET_BYTES = 112
_TLV = struct.Struct("<II")

Tlv: TypeAlias = tuple[int, bytes]
Floats: TypeAlias = NDArray[np.float32]


def encode_oob_frame(
    points: ArrayLike,
    frame_number: int,
    *,
    side_info: bool = True,
    noise_db: float = 30.0,
    stats: Sequence[int] | None = (0, 0, 0, 0, 0, 0),
    temperatures_c: Sequence[int] | None = None,
    cpu_cycles: int = 0,
) -> bytes:
    """One packet of the out-of-box demo: TLV 1 and 7 (only with points), 6, 9; padded to 32 bytes.

    points (N,5): x, y, z in m (sensor frame), doppler in m/s, snr in dB. stats: six u32 of TLV 6 (4 in us, 2 in %),
    temperatures_c: ten s16 of TLV 9; None leaves the TLV out. noise_db fills TLV 7's second column.
    """
    points = _rows(points, 5)
    tlvs: list[Tlv] = []
    if len(points):
        tlvs.append((1, points[:, :4].tobytes()))
        if side_info:
            tlvs.append((7, _side_info(points[:, 4], noise_db)))
    if stats is not None:
        tlvs.append((6, struct.pack("<6I", *stats)))
    if temperatures_c is not None:
        tlvs.append((9, struct.pack("<iI10h", 0, 0, *temperatures_c)))
    return encode_packet(H40, frame_number, tlvs, objects=len(points), pad=True, cpu_cycles=cpu_cycles)


def encode_people_frame(
    points: ArrayLike,
    frame_number: int,
    targets: ArrayLike | None = None,
    target_index: ArrayLike | None = None,
    presence: bool | None = None,
    *,
    old: bool = False,
) -> bytes:
    """One packet of 3D People Counting, not padded; the new format (TLV 1020 1010 1012 1011 1021 behind H40) or,
    with `old`, the one before lab 2.2.1 (TLV 6 7 8 11 behind H48, which has no heights).

    points (N,5) as in `encode_oob_frame`; targets (M,9) as in RadarFrame; target_index (K,): u8 labels of the PREVIOUS
    frame's points, sent only beside targets, as the firmware does.
    """
    cloud, target, index, present = (6, 7, 8, 11) if old else (1020, 1010, 1011, 1021)
    points = _rows(points, 5)
    people = _rows(targets if targets is not None else (), 9)
    tlvs: list[Tlv] = []
    if len(points):
        tlvs.append((cloud, compress(points)))
    if len(people):
        tlvs.append((target, _targets(people)))
        tall = people[people[:, 8] >= 0]
        if len(tall) and not old:
            tlvs.append((1012, b"".join(struct.pack("<Iff", int(row[0]), row[8], 0.0) for row in tall)))
        if target_index is not None:
            tlvs.append((index, np.ascontiguousarray(target_index, "u1").tobytes()))
    if presence is not None:
        tlvs.append((present, struct.pack("<I", presence)))
    if old:
        return encode_packet(H48, frame_number, tlvs, counts_header=True)
    return encode_packet(H40, frame_number, tlvs, objects=len(points))


def encode_packet(
    layout: Layout,
    frame_number: int,
    tlvs: Sequence[Tlv],
    *,
    objects: int = 0,
    counts_header: bool = False,
    pad: bool = False,
    subframe: int = 0,
    cpu_cycles: int = 0,
    platform: int = PLATFORM,
) -> bytes:
    """Any packet: header of that layout (with its checksum where it has one), TLVs (type, payload), padding."""
    extra = _TLV.size if counts_header else 0
    body = b"".join(_TLV.pack(kind, len(payload) + extra) + payload for kind, payload in tlvs)
    length = layout.size + len(body)
    if pad:
        length = math.ceil(length / PADDING) * PADDING
    header = _header(layout, length, frame_number, len(tlvs), objects, subframe, cpu_cycles, platform)
    return (header + body).ljust(length, b"\0")


def compress(points: Floats, units: Sequence[float] = UNITS) -> bytes:
    """The payload of TLV 1020: spherical, in whole units; snr becomes linear. Values outside the fields saturate."""
    x, y, z, doppler, snr = points.astype(np.float64).T
    distance = np.sqrt(x * x + y * y + z * z)
    elevation = np.arcsin(np.divide(z, distance, out=np.zeros_like(z), where=distance > 0))
    columns = (elevation, np.arctan2(x, y), doppler, distance, 10 ** (snr / 10))
    rows = np.empty(len(points), COMPRESSED_POINT)
    for name, values, unit in zip(COMPRESSED_POINT.names or (), columns, units, strict=True):
        field = np.iinfo(rows[name].dtype)
        rows[name] = np.clip(np.rint(values / unit), field.min, field.max)
    return struct.pack("<5f", *units) + rows.tobytes()


def _side_info(snr_db: Floats, noise_db: float) -> bytes:
    columns = np.empty((len(snr_db), 2), "<i2")
    columns[:, 0] = np.clip(np.rint(snr_db * 10), -32768, 32767)
    columns[:, 1] = round(noise_db * 10)
    return columns.tobytes()


def _targets(people: Floats) -> bytes:
    """112 bytes each: tid, position, velocity, acceleration (0), covariance (unit), gain, confidence."""
    rows = np.zeros((len(people), TARGET_BYTES // 4), "<f4")
    rows[:, 0] = people[:, 0].astype("<u4").view("<f4")
    rows[:, 1:7] = people[:, 1:7]
    rows[:, 10:26] = np.eye(4, dtype="<f4").ravel()
    rows[:, 26] = 3.0
    rows[:, 27] = people[:, 7]
    return rows.tobytes()


def _header(
    layout: Layout, length: int, number: int, tlvs: int, objects: int, subframe: int, cycles: int, platform: int
) -> bytes:
    if layout in (H40, H44):
        words = (SDK_VERSION, length, platform, number, cycles, objects, tlvs, subframe)
        return MAGIC + struct.pack("<8I", *words) + bytes(layout.size - H40.size)
    if layout is H48:
        words = (SDK_VERSION, length, platform, number, subframe, 0, 0, 0, 0)
    else:
        assert layout is H52
        words = (SDK_VERSION, platform, cycles, length, number, subframe, 0, 0, 0, 0)
    header = MAGIC + struct.pack(f"<{len(words)}IHH", *words, tlvs, 0)
    return header[:-2] + struct.pack("<H", checksum(header))


def _rows(values: ArrayLike, columns: int) -> Floats:
    rows = np.asarray(values, "<f4")
    if rows.size == 0:
        return np.zeros((0, columns), "<f4")
    if rows.ndim != 2 or rows.shape[1] != columns:
        raise ValueError(f"rows of shape {rows.shape}, expected (N,{columns})")
    return rows
