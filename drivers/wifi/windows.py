"""Sightings become windows: per device the mean, spread and number of the signal strengths heard in a short time.

Windows end on multiples of their length in UTC, so those of several sniffers fall together, and are given even when
nothing was heard, so that silence and emptiness differ. Time comes from the sightings and from whoever calls `tick`;
there is no clock here. A repeated frame (same sender, same sequence number, marked as a retry) counts once.
"""

from collections import Counter
from math import sqrt

import numpy as np

from ...messages import WifiWindow
from .dot11 import CLIENT, EITHER
from .pseudonyms import Pseudonyms
from .sighting import Sighting

GRACE_NS = 100_000_000  # how long after its end a window waits for packets still on their way
_COUNTED = ("windows", "used", "retries", "not_client", "late", "unfinished", "time_jumps", "bad_times")
MAX_GAP_NS = 3600 * 1_000_000_000  # a longer silence is a jump of the clock, and is not filled with empty windows
AHEAD_NS = 5 * 1_000_000_000  # a frame further ahead of all others waits for the next one to bear out its time


class _Device:
    """What one device's packets of one window add up to."""

    __slots__ = ("channel", "count", "square_sum", "sum")

    def __init__(self) -> None:
        self.count = self.sum = self.square_sum = self.channel = 0

    def add(self, rssi_dbm: int, channel: int) -> None:
        self.count += 1
        self.sum += rssi_dbm
        self.square_sum += rssi_dbm * rssi_dbm
        self.channel = channel or self.channel

    @property
    def std_db(self) -> float:
        """Of the packets themselves (divided by n): 0 for one packet."""
        return sqrt(max(0, self.count * self.square_sum - self.sum * self.sum)) / self.count


class Windows:
    """The open windows of one sniffer. counters: _COUNTED, of frames but for windows and jumps."""

    def __init__(self, source: str, window_s: float, pseudonyms: Pseudonyms) -> None:
        self.counters: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
        self._source = source
        self._window_s = window_s
        self._length_ns = round(window_s * 1e9)
        self._pseudonyms = pseudonyms
        self._next_end_ns: int | None = None
        self._latest_ns = 0
        self._open: dict[int, dict[bytes, _Device]] = {}
        self._heard: dict[tuple[bytes, int], int] = {}
        self._heard_before: dict[tuple[bytes, int], int] = {}
        self._held: Sighting | None = None  # ahead of its time
        self._behind: Sighting | None = None

    def add(self, sighting: Sighting) -> list[WifiWindow]:
        """Count one frame; returns the windows that its time shows to be over."""
        due = self._release(sighting.t_ns)
        if self._next_end_ns is not None and sighting.t_ns > self._latest_ns + AHEAD_NS:
            self._held = sighting
            return due
        if sighting.t_ns < self._latest_ns - MAX_GAP_NS:
            return due + self._fall_back(sighting)
        self._behind = None
        return due + self._advance(sighting)

    def tick(self, t_ns: int) -> list[WifiWindow]:
        """The windows that are over at t_ns (the source's clock, UTC ns), oldest first, empty ones too."""
        due: list[WifiWindow] = []
        if self._next_end_ns is None:
            self._start(t_ns)
        elif abs(t_ns - self._latest_ns) > MAX_GAP_NS:
            due = self._close_open()
            self.counters["time_jumps"] += 1
            self._start(t_ns)
        self._latest_ns = max(self._latest_ns, t_ns)
        while self._next_end_ns is not None and self._next_end_ns + GRACE_NS <= self._latest_ns:
            due.append(self._close(self._next_end_ns))
            self._next_end_ns += self._length_ns
        return due

    def pause(self) -> list[WifiWindow]:
        """The source was lost: the windows that were over by then. The unfinished one is dropped, and what comes later
        begins anew, so that the time between, in which nobody listened, is not told as empty."""
        due = []
        while self._next_end_ns is not None and self._next_end_ns <= self._latest_ns:
            due.append(self._close(self._next_end_ns))
            self._next_end_ns += self._length_ns
        self.counters["unfinished"] += sum(device.count for open_ in self._open.values() for device in open_.values())
        self._open.clear()
        self._held = self._behind = None
        self._next_end_ns, self._latest_ns = None, 0
        return due

    def finish(self) -> list[WifiWindow]:
        """The source has ended: all windows begun."""
        due = self._flush()
        self._next_end_ns, self._latest_ns = None, 0
        return due

    def _flush(self) -> list[WifiWindow]:
        held, self._held = self._held, None
        due = self._advance(held) if held else []
        return due + self._close_open()

    def _close_open(self) -> list[WifiWindow]:
        last = max(self._open, default=0)
        due = []
        while self._next_end_ns is not None and self._next_end_ns <= last:
            due.append(self._close(self._next_end_ns))
            self._next_end_ns += self._length_ns
        return due

    def _start(self, t_ns: int) -> None:
        self._next_end_ns = self._end_of(t_ns)
        self._latest_ns = t_ns

    def _end_of(self, t_ns: int) -> int:
        """A frame at a boundary belongs to the window that begins there."""
        return (t_ns // self._length_ns + 1) * self._length_ns

    def _is_wanted(self, sighting: Sighting) -> bool:
        return sighting.role == CLIENT or (
            sighting.role == EITHER and self._pseudonyms.is_enrolled(sighting.transmitter)
        )

    def _advance(self, sighting: Sighting) -> list[WifiWindow]:
        due = self.tick(sighting.t_ns) if sighting.t_ns > self._latest_ns else []
        self._count(sighting)
        return due

    def _release(self, t_ns: int) -> list[WifiWindow]:
        """A held frame was right when the next one is about as late or later, damaged when time went on before it."""
        held, self._held = self._held, None
        if held is None:
            return []
        if t_ns < held.t_ns - AHEAD_NS:
            self.counters["bad_times"] += 1
            return []
        return self._advance(held)

    def _fall_back(self, sighting: Sighting) -> list[WifiWindow]:
        """One frame from long ago has a damaged stamp; two in a row are a clock that was set back."""
        witness, self._behind = self._behind, sighting
        if witness is None or abs(sighting.t_ns - witness.t_ns) > AHEAD_NS:
            self.counters["bad_times"] += 1
            return []
        due = self._flush()
        self.counters["time_jumps"] += 1
        self._behind = None
        self._start(sighting.t_ns)
        return due + self._advance(sighting)

    def _count(self, sighting: Sighting) -> None:
        if not self._is_wanted(sighting):
            self.counters["not_client"] += 1
            return
        end = self._end_of(sighting.t_ns)
        if self._next_end_ns is None or end < self._next_end_ns:  # its window is published
            self.counters["late"] += 1
            return
        if self._is_repeated(sighting):
            self.counters["retries"] += 1
            return
        devices = self._open.setdefault(end, {})
        device = devices.get(sighting.transmitter)
        if device is None:
            device = devices[sighting.transmitter] = _Device()
        device.add(sighting.rssi_dbm, sighting.channel)
        self.counters["used"] += 1

    def _is_repeated(self, sighting: Sighting) -> bool:
        """Numbers recur every 4,096 frames, so only the last one or two windows are remembered."""
        if sighting.sequence < 0:
            return False
        key = (sighting.transmitter, sighting.sequence)
        if sighting.is_retry and (key in self._heard or key in self._heard_before):
            return True
        self._heard[key] = sighting.t_ns
        return False

    def _close(self, end_ns: int) -> WifiWindow:
        self._heard, self._heard_before = {}, self._heard
        devices = self._open.pop(end_ns, {})
        named: dict[str, _Device] = {}
        for address, device in devices.items():
            if name := self._pseudonyms.of(address, end_ns - self._length_ns):
                named[name] = device
        self.counters["windows"] += 1
        rows = sorted(named.items())
        return WifiWindow(
            source=self._source,
            t_ns=end_ns,
            window_s=self._window_s,
            devices=tuple(name for name, _ in rows),
            rssi_dbm=np.array([device.sum / device.count for _, device in rows], "<f4"),
            rssi_std_db=np.array([device.std_db for _, device in rows], "<f4"),
            count=np.array([device.count for _, device in rows], "<u4"),
            channel=np.array([device.channel for _, device in rows], "|u1"),
            others=len(devices) - len(named),
        )
