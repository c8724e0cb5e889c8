"""By how much a sniffer's clock differs from the bodies', told from the data alone: what it hears of a device fits
where the device's carrier was at another time.

Stretches of some seconds are weighed as a whole: for each lag of a grid, the marginal likelihood of a device's
readings at one sniffer is a Gaussian's, with the unknown offset, the carrier's directional weakening and the
shadowing correlated in time all integrated out (a Gaussian process; Rasmussen and Williams, "Gaussian Processes for
Machine Learning" (2006), equation 2.30). Whoever stands still says nothing. It decides nothing: `clocks.py` does.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..messages import WifiWindow
from ..sitefile import Sniffer
from .geometry import Floats
from .wireless import expected_dbm

SECOND_NS = 1_000_000_000
LAG_STEP_S, MOST_LAG_S = 0.25, 3.0
LAGS_S = np.arange(-MOST_LAG_S, MOST_LAG_S + LAG_STEP_S / 2, LAG_STEP_S)  # a clock's time minus the bodies'
STRETCH_NS = 10 * SECOND_NS  # weighed at once: long enough for a walk past a sniffer
SLOT_NS = 400_000_000  # one reading of a device in this long is enough, and one place of its carrier
REACH_NS = round(MOST_LAG_S * SECOND_NS) + 2 * SLOT_NS
LEAST_READINGS = 6
GAP_NS = SECOND_NS  # places farther apart in time are not joined
FASTEST_M_S, JITTER_M = 2.5, 0.4  # nor places that nobody walks between: a name has moved to another body
OFFSET_SD_DB, SHADOWING_SD_DB, NOISE_SD_DB = 6.0, 4.0, 2.5
DIRECTION_SD_DB, FACING_SD_DB = 4.0, 2.0  # of the bearing's first and second harmonic: a body weakens one side only
SHADOWING_S = 3.0
FORGET_S = 600.0
DEVICE_NATS = 8.0  # what one device may say at most, so that one wrong name convicts nobody
TEMPER = 0.8  # the model is not the world: walks seen late or wrongly named, bodies in the way

WALKED_M = 0.2  # from one place to the next: less tells no heading

Place: TypeAlias = tuple[float, float]  # x, y in m


class Lags:
    """Takes places and readings, gives `nats` per sniffer: the evidence (L,) for each of LAGS_S."""

    def __init__(self, sniffers: Sequence[Sniffer]) -> None:
        self._sniffers = {sniffer.id: sniffer for sniffer in sniffers}
        self._places: dict[str, list[list[float]]] = {}  # per device: [t_ns, x, y]
        self._readings: dict[str, dict[str, dict[int, list[float]]]] = {}  # sniffer, device, slot: [t_ns, dBm]
        self._evidence: dict[str, dict[str, Floats]] = {}  # sniffer, device: (L,)
        self._seen_ns = 0
        self._stretch_ns = 0  # where the stretch to be weighed next begins

    def hear(self, window: WifiWindow) -> None:
        """Remember a window's readings of devices whose carriers are known; its time is that of its middle."""
        if window.source not in self._sniffers:
            return
        t_ns = window.t_ns - round(window.window_s / 2 * SECOND_NS)
        if not self._stretch_ns <= t_ns <= self._seen_ns + STRETCH_NS:
            return
        heard = self._readings.setdefault(window.source, {})
        for device, rssi_dbm in zip(window.devices, window.rssi_dbm.tolist(), strict=True):
            if device in self._places:
                slots = heard.setdefault(device, {})
                entry = [t_ns, rssi_dbm]
                slots[t_ns // SLOT_NS] = min(entry, slots.get(t_ns // SLOT_NS, entry))

    def see(self, t_ns: int, carried: Mapping[str, Place]) -> bool:
        """Where the carriers of devices are, for those known; True when a stretch has been weighed."""
        if not 0 <= t_ns - self._seen_ns <= STRETCH_NS:  # the first time, or time has jumped
            self._places, self._readings, self._stretch_ns = {}, {}, t_ns
        elif t_ns - self._seen_ns < SLOT_NS:
            return False
        self._seen_ns = t_ns
        for device, place in carried.items():
            self._places.setdefault(device, []).append([t_ns, *place])
        if t_ns < self._stretch_ns + STRETCH_NS + REACH_NS:
            return False
        self._weigh()
        self._stretch_ns += STRETCH_NS
        self._forget(self._stretch_ns - REACH_NS)
        return True

    def nats(self, sniffer: str) -> Floats:
        """What is known of a sniffer's lag: (L,), each device's part limited against its own best and tempered."""
        total = np.zeros(len(LAGS_S))
        for evidence in self._evidence.get(sniffer, {}).values():
            total += np.maximum(TEMPER * (evidence - evidence.max()), -DEVICE_NATS)
        return total

    def clear(self, sniffer: str) -> None:
        """The sniffer's clock has been set: what was known of it holds no longer."""
        self._readings.pop(sniffer, None)
        self._evidence.pop(sniffer, None)

    def _weigh(self) -> None:
        keep = np.exp(-STRETCH_NS / SECOND_NS / FORGET_S)
        for evidence in self._evidence.values():
            for device in evidence:
                evidence[device] *= keep
        for name in sorted(self._readings):
            for device, slots in sorted(self._readings[name].items()):
                if fresh := self._stretch(name, device, slots):
                    known = self._evidence.setdefault(name, {})
                    known[device] = known.get(device, 0.0) + fresh[0]

    def _stretch(self, name: str, device: str, slots: dict[int, list[float]]) -> list[Floats]:
        until_ns = self._stretch_ns + STRETCH_NS
        readings = np.array(sorted(entry for entry in slots.values() if entry[0] < until_ns))
        if len(readings) < LEAST_READINGS or len(self._places.get(device, ())) < 2:
            return []
        since_s = (readings[:, 0] - self._stretch_ns) / SECOND_NS
        places = np.array(self._places[device])
        places[:, 0] = (places[:, 0] - self._stretch_ns) / SECOND_NS
        where, known = places_at(places, since_s[:, None] - LAGS_S)
        if known.sum() < LEAST_READINGS:
            return []
        return [likelihood(self._sniffers[name], since_s[known], readings[known, 1], where[known])]

    def _forget(self, t_ns: int) -> None:
        """Drop what no later stretch needs."""
        for device, places in list(self._places.items()):
            self._places[device] = [place for place in places if place[0] >= t_ns]
            if not self._places[device]:
                del self._places[device]
        for heard in self._readings.values():
            for device, slots in list(heard.items()):
                heard[device] = {slot: entry for slot, entry in slots.items() if entry[0] >= self._stretch_ns}

    def state(self) -> dict[str, Any]:
        return {
            "places": self._places,
            "readings": {
                name: {device: list(slots.values()) for device, slots in heard.items()}
                for name, heard in self._readings.items()
            },
            "evidence": self._evidence,
            "seen_ns": self._seen_ns,
            "stretch_ns": self._stretch_ns,
        }

    def load(self, state: dict[str, Any]) -> None:
        self._places, self._evidence = state["places"], state["evidence"]
        self._readings = {
            name: {device: {entry[0] // SLOT_NS: entry for entry in entries} for device, entries in heard.items()}
            for name, heard in state["readings"].items()
        }
        self._seen_ns, self._stretch_ns = state["seen_ns"], state["stretch_ns"]


def places_at(places: Floats, times_s: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Places (N,L,3) of x, y and heading at times (N,L) s between the known ones (M,3) of time, x, y; and which of
    the N have all their L within a walk without gaps."""
    after = np.clip(np.searchsorted(places[:, 0], times_s), 1, len(places) - 1)
    first, second = places[after - 1], places[after]
    elapsed_s = second[..., 0] - first[..., 0]
    walked_m = np.hypot(second[..., 1] - first[..., 1], second[..., 2] - first[..., 2])
    inside = (times_s >= places[0, 0]) & (times_s <= places[-1, 0])
    joined = (elapsed_s <= GAP_NS / SECOND_NS) & (walked_m <= FASTEST_M_S * elapsed_s + JITTER_M)
    share = np.clip((times_s - first[..., 0]) / elapsed_s, 0.0, 1.0)
    where = np.empty((*times_s.shape, 3))
    where[..., :2] = first[..., 1:] + share[..., None] * (second[..., 1:] - first[..., 1:])
    where[..., 2] = headings(places[:, 1:])[after - (share < 0.5)]
    return where, (inside & joined).all(axis=1)


def headings(positions: Floats) -> Floats:
    """Which way somebody faces (M,) rad at positions (M,2) one after the other: as they walk there, looking ahead as
    well as back; who stands, until the next step, as they came. A heading that comes late or early looks like a lag."""
    steps = np.diff(positions, axis=0)
    walks = np.pad(np.hypot(steps[:, 0], steps[:, 1]) > WALKED_M, 1)  # into each position, and out of the last
    comes = np.concatenate((steps[:1] * 0, steps)) * walks[:-1, None]
    goes = np.concatenate((steps, steps[:1] * 0)) * walks[1:, None]
    way = comes + np.where(walks[:-1, None], goes, 0.0)
    last = np.maximum.accumulate(np.where(walks[:-1], np.arange(len(way)), -1))
    last = np.where(last < 0, int(np.argmax(walks[:-1])), last)
    return np.arctan2(way[:, 1], way[:, 0])[last]


def likelihood(sniffer: Sniffer, times_s: Floats, rssi_dbm: Floats, where: Floats) -> Floats:
    """Log marginal likelihood (L,) of readings (N,) dBm at times (N,) s, had the carrier been at `where` (N,L,3)."""
    x, y, _ = sniffer.position_m
    error = (rssi_dbm[:, None] - expected_dbm(sniffer, where)).T  # (L,N)
    bearing = (np.arctan2(y - where[..., 1], x - where[..., 0]) - where[..., 2]).T
    apart_s = np.abs(times_s[:, None] - times_s[None, :])
    always = OFFSET_SD_DB**2 + SHADOWING_SD_DB**2 * np.exp(-apart_s / SHADOWING_S)
    always += NOISE_SD_DB**2 * np.eye(len(times_s))
    turned = bearing[:, :, None] - bearing[:, None, :]  # a harmonic of the bearing has the kernel cc' + ss' = cos
    covariance = always + DIRECTION_SD_DB**2 * np.cos(turned) + FACING_SD_DB**2 * np.cos(2 * turned)
    misfit = (error * np.linalg.solve(covariance, error[..., None])[..., 0]).sum(axis=1)
    return -0.5 * (misfit + np.linalg.slogdet(covariance)[1])
