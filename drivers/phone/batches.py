"""A phone's samples and scans, sorted into seconds: what PhoneBatch messages are made of.

Seconds end on whole UTC seconds, so those of all phones fall together; one holds what was sensed in (end - 1 s, end].
Times are integers until the very end. A second without a sample and without a scan is no message. No clock, no file.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch

SECOND_NS = 1_000_000_000
SENSORS = ("acc", "gyro", "mag")
_NOTHING = np.empty((0, 4), np.float32)


class Samples(NamedTuple):
    """One sensor's samples, in order of time: t_ns (N,) int64 UTC, xyz (N,3) in the sensor's unit, phone frame."""

    t_ns: NDArray[np.int64]
    xyz: NDArray[np.float32]


class Scan(NamedTuple):
    """Access points heard at once. heard_ns: when the phone said so. end_ns: when the scan ended, at or before that.

    readings: (bssid, dBm), each access point once.
    """

    heard_ns: int
    end_ns: int
    readings: tuple[tuple[str, float], ...]


def in_order(t_ns: Sequence[int], xyz: Sequence[Sequence[float]]) -> Samples:
    """Samples sorted by time; of several at the same time the first counts."""
    times, first = np.unique(np.array(t_ns, np.int64), return_index=True)
    return Samples(times, np.array(xyz, np.float32).reshape(-1, 3)[first])


def second_of(t_ns: int) -> int:
    """The end (UTC ns) of the second that a time belongs to."""
    return -(-t_ns // SECOND_NS) * SECOND_NS


def seconds(source: str, samples: Mapping[str, Samples], scans: Sequence[Scan]) -> Iterator[PhoneBatch]:
    """One PhoneBatch for each second that holds anything, in order. samples: by name, of SENSORS; scans in any order.

    Of two scans heard in one second the later is taken, and a scan counts in the second it was heard in, so that
    nothing is known before it could be.
    """
    latest = {second_of(scan.heard_ns): scan for scan in sorted(scans, key=lambda scan: scan.heard_ns)}
    cut = {name: cut_seconds(stream) for name, stream in samples.items()}
    ends = sorted(set(latest).union(*(pieces for pieces in cut.values())))
    for seq, end_ns in enumerate(ends):
        yield batch(source, end_ns, {name: pieces.get(end_ns) for name, pieces in cut.items()}, latest.get(end_ns), seq)


def batch(
    source: str, end_ns: int, samples: Mapping[str, Samples | None], scan: Scan | None = None, seq: int = 0
) -> PhoneBatch:
    """The message of one second."""
    acc, gyro, mag = (_rows(samples.get(name), end_ns) for name in SENSORS)
    return PhoneBatch(
        source=source,
        t_ns=end_ns,
        seq=seq,
        acc=acc,
        gyro=gyro,
        mag=mag,
        scan=scan.readings if scan else (),
        scan_age_s=(end_ns - scan.end_ns) / SECOND_NS if scan else 0.0,
    )


def cut_seconds(stream: Samples) -> dict[int, Samples]:
    """The samples of each second, by the second's end."""
    if not len(stream.t_ns):
        return {}
    ends = -(-stream.t_ns // SECOND_NS)
    cuts = [0, *(np.flatnonzero(ends[1:] != ends[:-1]) + 1).tolist(), len(ends)]
    return {
        int(ends[start]) * SECOND_NS: Samples(stream.t_ns[start:stop], stream.xyz[start:stop])
        for start, stop in pairwise(cuts)
    }


def _rows(stream: Samples | None, end_ns: int) -> NDArray[np.float32]:
    if stream is None or not len(stream.t_ns):
        return _NOTHING
    rows = np.empty((len(stream.t_ns), 4), np.float32)
    rows[:, 0] = (end_ns - stream.t_ns) / SECOND_NS
    rows[:, 1:] = stream.xyz
    return rows
