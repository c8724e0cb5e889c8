"""A new radio map on trial: checked before it is used, compared with the one before it while it is, and taken back
where it made things worse.

Two witnesses compare. People whose phones' owners are confirmed bodies: how far from them does each map locate the
same scan (held-out: no map has seen these scans)? And, for who is nowhere seen, the scans themselves: how much do the
fixes of each map jump from scan to scan, how far apart are the places it finds most alike, and how badly do its
levels fit what is heard? Each is a paired comparison;
a map goes when it is surely and materially worse. Who fused those bodies used the new map's positions too, among
other evidence; so cameras and sniffers, not the map itself, must have the last word for this to be held-out.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ...messages import Location, PhoneBatch
from ...sitefile import Site
from .knn import Fixes, Locator
from .maps import F32, F64, FingerprintMap, MapError

FRESH_S = 1.5  # an older scan was taken somewhere else
REMEMBERED_SCANS = 300  # by which a map is known for another site's
STRONG_DBM = -80.0  # access points this strong belong to the place
LEAST_KNOWN, LEAST_OF_BEFORE = 0.3, 0.6  # of the readings heard: what a map must know, and against the one in force
BESIDE_M = 20.0  # a map whose middle is this far beyond the plan is of somewhere else
LEAST_PAIRS, ENOUGH_PAIRS = 12, 150  # to take a map back; to stop looking
SURELY = 3.0  # standard errors; it is asked at every scan
ALONE = ("jump", "misfit", "scatter")  # what scans alone tell
MATERIAL = {"error": (0.3, 0.1), "jump": (0.5, 0.25), "misfit": (1.0, 0.15), "scatter": (1.0, 0.3)}  # least, relative
UNITS = {
    "error": "m from confirmed people",
    "jump": "m from fix to fix",
    "misfit": "dB between scan and map",
    "scatter": "m between the places most like a scan",
}
PENDING_NS, TRAIL_NS = 3_000_000_000, 10_000_000_000
NEXT_FIX_S = 8.0


class _Look(NamedTuple):
    """What one map makes of a scan: the fix (2,), how far it jumped (NaN: there was none before), by how many dB the
    scan differs from what the map has there, and how far apart in m the places are that are most like it."""

    place: F64
    jump: float
    misfit: float
    scatter: float


@dataclass(slots=True)
class _Side:
    """One of the two maps, with each phone's last fix: when, where."""

    radio_map: FingerprintMap
    locator: Locator
    last: dict[str, tuple[int, F64]] = field(default_factory=dict)

    def look(self, phone: str, t_ns: int, scan: Mapping[str, float]) -> _Look | None:
        row = _row(self.radio_map, scan)
        fixes = self.locator.locate_many(row)
        if not fixes.shared[0]:
            return None
        place = fixes.position_m[0]
        before_ns, before = self.last.get(phone, (0, place))
        self.last[phone] = (t_ns, place)
        jump = float(np.hypot(*(place - before))) if (t_ns - before_ns) / 1e9 < NEXT_FIX_S else np.nan
        away = self.radio_map.position_m[fixes.neighbours[0]] - place
        scatter = float(np.sqrt(fixes.weights[0] @ (away * away).sum(axis=1)))
        return _Look(place, jump, _misfit(self.radio_map, row[0], fixes), scatter)


class MapTrial:
    """Which map of a site is in force. counters: swapped, refused, rolled_back, kept."""

    def __init__(self, site: Site, radio_map: FingerprintMap) -> None:
        self._area = site.area
        self._owners = {phone.id: phone.owner for phone in site.phones}
        self._eyes = frozenset(sensor.id for sensor in (*site.cameras, *site.radars))
        self._new = _Side(radio_map, Locator(radio_map))
        self._old: _Side | None = None
        self._heard: deque[tuple[str, ...]] = deque(maxlen=REMEMBERED_SCANS)
        self._trail: dict[str, deque[tuple[int, float, float]]] = {}
        self._pending: deque[tuple[int, str, F64, F64]] = deque()
        self._pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in MATERIAL}
        self.counters = {"swapped": 0, "refused": 0, "rolled_back": 0, "kept": 0}

    @property
    def in_force(self) -> FingerprintMap:
        return self._new.radio_map

    @property
    def is_on_trial(self) -> bool:
        return self._old is not None

    def offer(self, content: bytes) -> FingerprintMap:
        """Take a new map's file into force, on trial. Raises MapError, with the sentence to say, where it is damaged,
        of another site, or the one in force already."""
        try:
            offered = FingerprintMap.from_bytes(content)
            self._check(offered)
        except MapError:
            self.counters["refused"] += 1
            raise
        before = self._old or self._new  # two swaps in a row: only what has been kept is worth going back to
        self._old, self._new = _Side(before.radio_map, before.locator), _Side(offered, Locator(offered))
        self._forget()
        self.counters["swapped"] += 1
        return offered

    def withdraw(self) -> FingerprintMap:
        """Whoever works with the new map cannot: the map before is in force again."""
        assert self._old is not None
        self._new, self._old = self._old, None
        self.counters["refused"] += 1
        self._forget()
        return self.in_force

    def see(self, location: Location) -> None:
        """Where the owner of a phone surely is: a confirmed body that somebody other than phones has just seen."""
        if location.state == "confirmed" and not self._eyes.isdisjoint(location.sources):
            trail = self._trail.setdefault(location.id, deque())
            trail.append((location.t_ns, location.x_m, location.y_m))
            while trail[0][0] < location.t_ns - TRAIL_NS:
                trail.popleft()

    def hear(self, batch: PhoneBatch) -> str:
        """Learn from a phone's scan. Returns "", "kept" or, where the map was taken back, the sentence that says why;
        `in_force` is then the map before."""
        if not batch.scan or batch.scan_age_s > FRESH_S:
            return ""
        self._heard.append(tuple(bssid for bssid, rssi_dbm in batch.scan if rssi_dbm > STRONG_DBM))
        if self._old is None:
            return ""
        t_ns = batch.t_ns - round(batch.scan_age_s * 1e9)
        scan = dict(batch.scan)
        old, new = self._old.look(batch.source, t_ns, scan), self._new.look(batch.source, t_ns, scan)
        if old and new:
            for name in ALONE:
                pair = (getattr(old, name), getattr(new, name))
                if np.isfinite(pair).all():
                    self._pairs[name].append(pair)
            self._pending.append((t_ns, batch.source, old.place, new.place))
        self._meet(batch.t_ns)
        return self._judge()

    def _meet(self, now_ns: int) -> None:
        """Compare fixes with where their owners were, once that is known."""
        while self._pending and self._pending[0][0] < now_ns - PENDING_NS:
            t_ns, phone, old, new = self._pending.popleft()
            place = _along(self._trail.get(self._owners.get(phone, ""), deque()), t_ns)
            if place is not None:
                self._pairs["error"].append((float(np.hypot(*(old - place))), float(np.hypot(*(new - place)))))

    def _judge(self) -> str:
        """Held-out errors count before all; the scans alone only where nobody was seen."""
        seen = len(self._pairs["error"]) >= LEAST_PAIRS
        for name in ("error",) if seen else ALONE:
            pairs = np.array(self._pairs[name]).reshape(-1, 2)
            if len(pairs) >= LEAST_PAIRS and _is_worse(pairs, *MATERIAL[name]):
                return self._roll_back(name, pairs)
        if len(self._pairs["error" if seen else "misfit"]) >= ENOUGH_PAIRS:
            self._old = None
            self.counters["kept"] += 1
            self._forget()
            return "kept"
        return ""

    def _roll_back(self, name: str, pairs: F64) -> str:
        assert self._old is not None
        bad, self._new, self._old = self._new.radio_map, self._old, None
        self.counters["rolled_back"] += 1
        self._forget()
        before, after = pairs.mean(axis=0)
        return (
            f"radio map {bad.label} was taken back, {self.in_force.label} is in force again: over {len(pairs)} scans "
            f"{after:.1f} {UNITS[name]}, {before:.1f} with the map before"
        )

    def _forget(self) -> None:
        self._pending.clear()
        self._pairs = {name: [] for name in MATERIAL}

    def _check(self, offered: FingerprintMap) -> None:
        if offered.label == self.in_force.label:
            raise MapError(f"radio map {offered.label} is in force already: give the new one another version")
        x, y = np.median(offered.position_m, axis=0)
        (x0, x1), (y0, y1) = self._area.x_m, self._area.y_m
        if not (x0 - BESIDE_M < x < x1 + BESIDE_M and y0 - BESIDE_M < y < y1 + BESIDE_M):
            raise MapError(
                f"radio map {offered.label} is of another place: its middle, ({x:.0f}, {y:.0f}) m, is off plan"
            )
        known, before = (_known(m, self._heard, self.in_force) for m in (offered, self.in_force))
        if known < max(LEAST_KNOWN if self._heard else 0.1, LEAST_OF_BEFORE * before if self._heard else 0.0):
            raise MapError(
                f"radio map {offered.label} is of another site: it knows {known:.0%} of the access points that phones "
                f"hear here, the map in force {before:.0%}"
            )


def _known(radio_map: FingerprintMap, heard: deque[tuple[str, ...]], in_force: FingerprintMap) -> float:
    """The share of strong readings that a map knows; of the other map's access points where nothing was heard yet."""
    readings = Counter(bssid for scan in heard for bssid in scan) or Counter(in_force.bssids)
    names = dict.fromkeys(radio_map.bssids)
    return sum(count for bssid, count in readings.items() if bssid in names) / max(sum(readings.values()), 1)


def _row(radio_map: FingerprintMap, scan: Mapping[str, float]) -> F32:
    return np.array([[scan.get(bssid, np.nan) for bssid in radio_map.bssids]], np.float32)


def _misfit(radio_map: FingerprintMap, row: F32, fixes: Fixes) -> float:
    """Mean absolute difference in dB between a scan's levels and the map's at the fix, over what both know."""
    neighbours, weights = fixes.neighbours[0], fixes.weights[0]
    levels = radio_map.rssi_dbm[neighbours]
    known = ~np.isnan(levels) * weights[:, None]
    share = known.sum(axis=0)
    expected = (np.nan_to_num(levels) * known).sum(axis=0) / np.maximum(share, 1e-9)
    apart = np.where(share > 0.3, np.abs(row - expected), np.abs(row + 95.0))[~np.isnan(row)]
    return float(apart.mean()) if apart.size else np.nan


def _along(trail: deque[tuple[int, float, float]], t_ns: int) -> F64 | None:
    """Where somebody was, between two places that are known within a second."""
    after = next((at for at in trail if at[0] >= t_ns), None)
    before = next((at for at in reversed(trail) if at[0] <= t_ns), None)
    if after is None or before is None or after[0] - before[0] > 1_000_000_000:
        return None
    share = (t_ns - before[0]) / max(after[0] - before[0], 1)
    return (1 - share) * np.array(before[1:]) + share * np.array(after[1:])


def _is_worse(pairs: F64, absolute: float, relative: float) -> bool:
    apart = pairs[:, 1] - pairs[:, 0]
    error = max(float(apart.std(ddof=1)) / np.sqrt(len(apart)), 1e-9)
    mean, before = float(apart.mean()), float(pairs[:, 0].mean())
    return mean > SURELY * error and mean > max(absolute, relative * before)
