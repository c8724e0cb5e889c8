"""Walks whose truth is known, and what is learnt from them without training: labels, and a radio map of their scans.

Between way points a walker is taken to have kept their speed. Walks are split whole: windows of one walk in both the
training and the validation part would leak (neighbouring windows share nine tenths of their data).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch
from ..radiomap.maps import FingerprintMap
from .agreement import agreeing

F64 = NDArray[np.float64]
T = TypeVar("T")
MERGED_S = 4.5  # a fingerprint takes in the walk's scans this long before and after it: one scan hears half of what is
MERGED_DECAY_S = 2.0


class WalkError(ValueError):
    """What is wrong with walks to learn from, in one sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """One walk: batches in order; waypoint_t_ns (k,) rising, waypoint_m (k,2) in the site frame: who was where when."""

    name: str
    batches: tuple[PhoneBatch, ...]
    waypoint_t_ns: NDArray[np.int64]
    waypoint_m: F64

    def where_m(self, t_ns: NDArray[np.int64]) -> F64:
        """(n,2) the walker at times (n,), between way points in proportion; NaN before the first and after the last."""
        t_ns = np.asarray(t_ns, np.int64)
        if len(self.waypoint_t_ns) < 2:
            return np.full((len(t_ns), 2), np.nan)
        since_s = (t_ns - self.waypoint_t_ns[0]) / 1e9
        at_s = (self.waypoint_t_ns - self.waypoint_t_ns[0]) / 1e9
        return np.stack(
            [np.interp(since_s, at_s, self.waypoint_m[:, k], left=np.nan, right=np.nan) for k in range(2)], axis=1
        )


def labelled_scans(walk: Walk) -> tuple[F64, F64, list[dict[str, float]]]:
    """The walk's scans that were known between its way points: times (n,) s since its first batch, positions (n,2),
    readings {bssid: dBm}.

    A scan is placed where the phone was when it was known, not when it ended (0.8 s before, in the mall): the live
    locator uses it then, and so need not guess how far the phone went since. On the mall's walks this is worth 0.15 m.
    """
    heard = [batch for batch in walk.batches if batch.scan]
    if not heard:
        return np.zeros(0), np.zeros((0, 2)), []
    t_ns = np.array([batch.t_ns for batch in heard], np.int64)
    where = walk.where_m(t_ns)
    usable = np.isfinite(where.sum(axis=1))
    since_s = (t_ns - walk.batches[0].t_ns) / 1e9
    return since_s[usable], where[usable], [dict(b.scan) for b, good in zip(heard, usable, strict=True) if good]


def radio_map_of(walks: Sequence[Walk], name: str, version: str) -> FingerprintMap:
    """A radio map of the walks' scans, each merged with its neighbours in time: a mean weighted exp(-|dt|/2 s) over
    those that heard the access point. What other walks contradict is left out (agreement.py), and the card says how
    many (`contradicted`). Raises WalkError when there is no scan to place."""
    rows, places, columns = [], [], {}
    of_walk: list[int] = []
    for number, walk in enumerate(walks):
        since_s, where, scans = labelled_scans(walk)
        for t_s, place in zip(since_s, where, strict=True):
            near = [(abs(s - t_s), scan) for s, scan in zip(since_s, scans, strict=True) if abs(s - t_s) <= MERGED_S]
            rows.append(merged([scan for _, scan in near], [float(np.exp(-d / MERGED_DECAY_S)) for d, _ in near]))
            places.append(place)
            of_walk.append(number)
            for bssid in rows[-1]:
                columns.setdefault(bssid, len(columns))
    if not rows:
        raise WalkError("none of the walks has a WiFi scan between two way points: no radio map can be made of them")
    rssi = np.full((len(rows), len(columns)), np.nan, np.float32)
    for i, row in enumerate(rows):
        for bssid, level in row.items():
            rssi[i, columns[bssid]] = level
    whole = FingerprintMap(name, version, tuple(columns), np.array(places), rssi)
    kept = agreeing(whole, np.array(of_walk))
    left_out = int((~kept).sum())
    card = {"made_of": [walk.name for walk in walks], "fingerprints": len(rows) - left_out, "contradicted": left_out}
    return whole.changed(position_m=whole.position_m[kept], rssi_dbm=rssi[kept], card=card)


def merged(scans: Sequence[dict[str, float]], weights: Sequence[float]) -> dict[str, float]:
    """One scan of several: the weighted mean level of each access point over the scans that heard it."""
    total: dict[str, list[float]] = {}
    for scan, weight in zip(scans, weights, strict=True):
        for bssid, rssi_dbm in scan.items():
            held = total.setdefault(bssid, [0.0, 0.0])
            held[0] += weight * rssi_dbm
            held[1] += weight
    return {bssid: s / w for bssid, (s, w) in total.items()}


def split(walks: Sequence[T], share: float, seed: int) -> tuple[list[T], list[T]]:
    """Walks (or what stands for them) to train on and such held out (`share` of them, at least one), drawn by the seed,
    both in their order. Raises WalkError for fewer than two."""
    if len(walks) < 2:
        raise WalkError(f"{len(walks)} of the walks is left to split, too few: one is trained on and another held out")
    order = np.random.default_rng(seed).permutation(len(walks))
    held = set(order[: max(1, round(share * len(walks)))].tolist())
    if len(held) == len(walks):
        held.discard(int(order[0]))
    return [w for i, w in enumerate(walks) if i not in held], [w for i, w in enumerate(walks) if i in held]
