"""Clocks that are wrong: found, put right where that is safe, and named where it is not.

Three witnesses. A node's health tells its host's clock against the hub's; the data tell when what a sniffer hears
fits where the bodies were at another time (`lag.py`); and the reorder buffer tells when a source is always too late
or from the future. An offset of up to a second is taken out of the times of a source's messages; with a larger one
its measurements are not used. Each finding is said once, as a `warning` event, and once more when it is over. All
depends on messages only; nothing here orders them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace

from ..messages import Event, Health, Message, WifiWindow
from ..sitefile import Site
from .lag import LAGS_S, SECOND_NS, Lags, Place

COMPENSATED_S = 1.0  # a larger offset is not trusted to be a constant
RECOVERED_S = 0.9  # what was flagged is used again below this
QUANTUM_S = 0.02  # a told offset is followed in steps of this: less than between two frames, so that order stays
SET_S = 0.25  # a told offset that changes by more: the clock was set, and what the data said of it is over
TOLERATED_S = 0.5  # lags that the data cannot tell from none
FOLLOWED_LATE_NS = SECOND_NS // 4  # by which the filters of bodies lag behind them (measured: docs/fusion.md)
DECISIVE_NATS = 8.0  # what a lag must be better by than all tolerated ones
FINER_NATS = 3.0  # and, where one was found, than that one
JUDGED_NS = 5 * SECOND_NS
JUDGED_LEAST = 5  # messages
UNTIMELY_SHARE, TIMELY_SHARE = 0.8, 0.2


class Clocks:
    """What is known of the clocks of a site's sensors, in s: an offset is a clock minus the right time."""

    def __init__(self, site: Site) -> None:
        self._sensors = frozenset(sensor.id for sensor in site.sensors)
        self._lags = Lags(site.sniffers)
        self._told_s: dict[str, float] = {}  # by health
        self._found_s: dict[str, float] = {}  # by the data, on top of that
        self._flagged: dict[str, float] = {}
        self._judged: dict[str, list[int]] = {}  # since when, until when, messages, refused, by how much in all (ns)
        self._untimely: dict[str, float] = {}
        self._warnings: list[tuple[str, str]] = []
        self.counters: dict[str, int] = {}

    def offset_s(self, source: str) -> float:
        """By how much the source's times are taken to be wrong; beyond COMPENSATED_S nothing of it is used."""
        return self._told_s.get(source, 0.0) + self._found_s.get(source, 0.0)

    def corrected(self, message: Message) -> Message | None:
        """The message with its time put right; None, and counted as `clock:<source>`, where it may not be used."""
        source = message.source
        if source not in self._sensors:
            return message
        if isinstance(message, Health):
            self._listen(message)
        elif isinstance(message, WifiWindow):
            self._lags.hear(_earlier(message, self._told_s.get(source, 0.0)))
        if source not in self._flagged:
            return _earlier(message, self.offset_s(source))
        if isinstance(message, Health):
            return replace(message, state="lost")  # nobody waits for messages that will not be used
        self.counters[f"clock:{source}"] = self.counters.get(f"clock:{source}", 0) + 1
        return None

    def judged(self, message: Message, refused_ns: int) -> None:
        """What became of a message: 0 when the reorder buffer took it, else how far it was too late (negative) or
        ahead of all others (positive)."""
        if message.source not in self._sensors or isinstance(message, Health):
            return
        t_ns = message.t_ns
        since_ns, until_ns, count, refused, total_ns = self._judged.get(message.source, (t_ns, t_ns, 0, 0, 0))
        if abs(t_ns - until_ns) > JUDGED_NS:
            since_ns, count, refused, total_ns = t_ns, 0, 0, 0
        count, refused, total_ns = count + 1, refused + (refused_ns != 0), total_ns + refused_ns
        self._judged[message.source] = [since_ns, max(t_ns, since_ns), count, refused, total_ns]
        if t_ns - since_ns >= JUDGED_NS and count >= JUDGED_LEAST:
            self._judge(message.source, refused / count, total_ns / max(refused, 1) / SECOND_NS)
            del self._judged[message.source]

    def see(self, t_ns: int, carried: Mapping[str, Place]) -> None:
        """At a tick: per device whose carrier is known for sure, where that body is (x, y in m)."""
        if not self._lags.see(t_ns - FOLLOWED_LATE_NS, carried):
            return
        for source in sorted(self._sensors):
            nats = self._lags.nats(source)
            found_s = self._found_s.get(source, 0.0)
            tolerated = np.abs(LAGS_S) <= TOLERATED_S
            rivals, needed = (found_s == LAGS_S, FINER_NATS) if found_s else (tolerated, DECISIVE_NATS)
            best = int(nats.argmax())
            if nats[best] - nats[rivals].max() > needed:
                self._find(source, float(LAGS_S[best]))

    def take_warnings(self, source: str, t_ns: int) -> list[Message]:
        """What has been found since the last time, as events of `source` whose id is the sensor's."""
        found, self._warnings = self._warnings, []
        return [Event(source=source, t_ns=t_ns, type="warning", id=sensor, text=text) for sensor, text in found]

    def _listen(self, health: Health) -> None:
        measured_s = health.clock_offset_s
        if measured_s is None or not np.isfinite(measured_s):
            return
        told_s = self._told_s.get(health.source, 0.0)
        if abs(measured_s - told_s) <= QUANTUM_S:
            return
        if abs(measured_s - told_s) > SET_S:
            self._lags.clear(health.source)
            self._found_s.pop(health.source, None)
        self._told_s[health.source] = round(measured_s, 3)
        self._flag(health.source, "by its node's measurement")

    def _find(self, source: str, lag_s: float) -> None:
        was_s = self._found_s.pop(source, 0.0)
        if abs(lag_s) > TOLERATED_S:
            self._found_s[source] = lag_s
        if self._flag(source, "by what it hears of people who walk"):
            return
        if not was_s:
            self._warn(source, f"{source}'s clock seems {_ahead(lag_s)}: its times are shifted by that")
        elif source not in self._found_s:
            self._warn(source, f"{source}'s clock seems right again: its times are shifted no longer")

    def _flag(self, source: str, witness: str) -> bool:
        """Begin or end not to use a source; True when something was said."""
        offset_s = self.offset_s(source)
        if source in self._flagged and abs(offset_s) <= RECOVERED_S:
            del self._flagged[source]
            self._warn(source, f"{source}'s clock is right to {abs(offset_s):.2f} s again: its measurements are used")
        elif source not in self._flagged and abs(offset_s) > COMPENSATED_S:
            self._flagged[source] = offset_s
            text = f"{source}'s clock is {_ahead(offset_s)} {witness}: its measurements are not used"
            self._warn(source, text)
        else:
            return False
        return True

    def _judge(self, source: str, share: float, mean_s: float) -> None:
        if share > UNTIMELY_SHARE and source not in self._untimely:
            self._untimely[source] = mean_s
            text = f"{source} is {_ahead(mean_s)} the other sensors: its clock is wrong"
            or_late = "" if mean_s > 0 else " or its messages are held up"
            self._warn(source, f"{text}{or_late}; they are not used")
        elif share < TIMELY_SHARE and source in self._untimely:
            del self._untimely[source]
            self._warn(source, f"{source} is in time again")

    def _warn(self, source: str, text: str) -> None:
        self._warnings.append((source, text))

    def state(self) -> dict[str, Any]:
        return {"lags": self._lags.state(), **{name: getattr(self, name) for name in _PLAIN}}

    def load(self, state: dict[str, Any]) -> None:
        self._lags.load(state["lags"])
        for name in _PLAIN:
            setattr(self, name, state[name])
        self._warnings = [(sensor, text) for sensor, text in self._warnings]


def _earlier(message: Any, offset_s: float) -> Any:
    if not offset_s:
        return message
    return replace(message, t_ns=max(message.t_ns - round(offset_s * 1000) * 1_000_000, 0))


def _ahead(offset_s: float) -> str:
    return f"{abs(offset_s):.1f} s {'ahead' if offset_s > 0 else 'behind'}"


_PLAIN = ("_told_s", "_found_s", "_flagged", "_judged", "_untimely", "_warnings", "counters")
