"""Which sniffers missed a device that was surely sending: the windows of all sniffers, laid side by side.

A sniffer is asked about a window only once its next one is here, and a device that it heard in one of the two beside
it was not missed: clocks that are a little off move packets from one window into the next. It does not say what a
miss means: `evidence/rssi.py` does.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from ..messages import WifiWindow
from ..sitefile import Sniffer
from .reorder import SECOND_NS

LONGEST_NS = SECOND_NS  # in a longer window bodies walk: nobody knows where they were when the packet was sent
DEAF_NS = 10 * SECOND_NS  # a sniffer that has heard nobody at all for so long may be broken
REMEMBERED = 3  # the window asked about, and one to each side


class Miss(msgspec.Struct, frozen=True):
    """A device (row) that others heard `packets` of in a window that ended at t_ns, and this sniffer (row) did not."""

    device: int
    sniffer: int
    packets: int
    t_ns: int


class _Heard(msgspec.Struct, array_like=True):
    """One window: its end and length in ns, and per device (row) its packets and their channel."""

    end_ns: int
    length_ns: int
    devices: dict[int, tuple[int, int]]

    def is_beside(self, other: "_Heard", lengths: int) -> bool:
        """Whether the other is as long as this one and ends `lengths` of them later, give or take half a one."""
        gap_ns = other.end_ns - self.end_ns - lengths * self.length_ns
        return self.length_ns == other.length_ns and 2 * abs(gap_ns) <= self.length_ns


class HeardWindows:
    """The last windows of every sniffer. `add` takes the next one, in order of time, and gives what is now certain."""

    def __init__(self, sniffers: Sequence[Sniffer]) -> None:
        self._lists_all = [not sniffer.source.startswith("stations:") for sniffer in sniffers]  # not only its own
        self._windows: list[list[_Heard]] = [[] for _ in sniffers]
        self._alive_ns = [0 for _ in sniffers]  # when it heard anybody
        self._channel = [0 for _ in sniffers]  # on which it heard somebody last; 0: unknown

    def add(self, sniffer: int, window: WifiWindow, rows: dict[str, int]) -> list[Miss]:
        """What the sniffer (row) missed in the window before this one; `rows` of the devices that matter."""
        listed = zip(window.devices, window.count.tolist(), window.channel.tolist(), strict=True)
        devices = {rows[device]: (count, channel) for device, count, channel in listed if device in rows}
        now = _Heard(window.t_ns, round(window.window_s * SECOND_NS), devices)
        mine = self._windows[sniffer] = [*self._windows[sniffer], now][-REMEMBERED:]
        if devices or window.others:
            self._alive_ns[sniffer] = window.t_ns
        self._channel[sniffer] = next((c for _, c in devices.values() if c), self._channel[sniffer])
        is_deaf = window.t_ns - self._alive_ns[sniffer] > DEAF_NS
        if is_deaf or not self._lists_all[sniffer] or len(mine) < REMEMBERED or now.length_ns > LONGEST_NS:
            return []
        before, asked, _ = mine
        if not (before.is_beside(asked, 1) and asked.is_beside(now, 1)):
            return []
        near = before.devices.keys() | asked.devices.keys() | now.devices.keys()
        sent = self._sent(sniffer, asked)
        return [Miss(row, sniffer, packets, asked.end_ns) for row, packets in sorted(sent.items()) if row not in near]

    def _sent(self, sniffer: int, asked: _Heard) -> dict[int, int]:
        """The most packets that another sniffer heard of each device in the same time and on the same channel."""
        sent: dict[int, int] = {}
        mine = self._channel[sniffer]
        for other, windows in enumerate(self._windows):
            for window in windows:
                if other == sniffer or not asked.is_beside(window, 0):
                    continue
                for row, (packets, channel) in window.devices.items():
                    if packets and (not mine or not channel or mine == channel):
                        sent[row] = max(packets, sent.get(row, 0))
        return sent

    def state(self) -> dict[str, Any]:
        windows = [[[w.end_ns, w.length_ns, w.devices] for w in windows] for windows in self._windows]
        return {"windows": windows, "alive_ns": self._alive_ns, "channel": self._channel}

    def load(self, state: dict[str, Any]) -> None:
        self._windows = msgspec.convert(state["windows"], list[list[_Heard]])
        self._alive_ns, self._channel = list(state["alive_ns"]), list(state["channel"])
