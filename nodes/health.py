"""The heartbeat: how a node is, published once a second, with what it lost and how its host's clock stands.

A node counts what it published and calls `beat` in every turn of its loop; everything else is done here: rate, lag,
memory, and the clock offset measured over the bus. It does not watch the node: a node that hangs falls silent.
"""

import platform
import sys
import time
from collections import deque
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..messages import Health, HealthState, Message
from .bus import Publisher, Service

PERIOD_S = 1.0
MEMORY_PERIOD_S = 5.0
CLOCK_PERIOD_S = 5.0
CLOCK_WAIT_S = 0.005  # how long a beat may wait for the hub's clock: a slower answer would measure badly anyway,
FIRST_CLOCK_WAIT_S = 0.03  # but a bad first measurement is better than none
SAID_AFTER_S: dict[HealthState, float] = {
    "refused": 0.0,
    "lost": 10.0,
}  # nodes start, and cables are moved, within less
CLOCK_SAMPLES = 16  # of which the one with the shortest round trip counts


class Heartbeat:
    """Publishes `Health` for the node `name`. clock_offset_s: known beforehand (the hub's own is 0)."""

    def __init__(self, publisher: Publisher, name: str, clock_offset_s: float | None = None) -> None:
        self._publisher, self._name = publisher, name
        self._clock = HostClock(Service(publisher.bus)) if clock_offset_s is None else None
        self._offset_s = clock_offset_s
        self._state: HealthState | None = None
        self._since = 0.0  # when this state began
        self._said: set[HealthState] = set()  # since the node was last well
        self._published = 0
        self._lag_s = 0.0
        self._last = time.monotonic()
        self._memory_mb: float | None = None
        self._memory_due = self._clock_due = self._last
        self._versions = {"whowhere": _version(), "python": platform.python_version()}

    def count(self, message: Message | None) -> None:
        """Call after each published message; the longest lag of a second is the one that is reported. None for a
        message whose time is not now's, such as a replayed one."""
        self._published += 1
        if message is not None:
            self._lag_s = max(self._lag_s, (time.time_ns() - message.t_ns) / 1e9)

    def beat(
        self,
        state: HealthState = "ok",
        detail: str = "",
        counters: Mapping[str, int] | None = None,
        is_said: bool = False,
    ) -> None:
        """Publish, if a second has passed since the last time, or at once when the node has a new state. Trouble that
        lasts is said in the terminal too, once; is_said: somebody else says it there."""
        now, t_ns = time.monotonic(), time.time_ns()  # together: what is measured below takes time
        if not is_said:
            self._say(state, detail, now)
        if now - self._last < PERIOD_S and state == self._state:
            return
        self._measure(now)
        rate_hz = self._published / max(now - self._last, 1e-3)
        self._publisher.publish(
            Health(
                source=self._name,
                t_ns=t_ns,
                state=state,
                detail=detail,
                rate_hz=rate_hz,
                lag_s=self._lag_s,
                counters={**self._publisher.counters, **(counters or {})},
                clock_offset_s=self._offset_s,
                memory_mb=self._memory_mb,
                versions=self._versions,
            )
        )
        self._state, self._last, self._published, self._lag_s = state, now, 0, 0.0

    def _say(self, state: HealthState, detail: str, now: float) -> None:
        if state == "ok":
            self._said.clear()
        if state != self._state:
            self._since = now
        if state in SAID_AFTER_S and state not in self._said and now - self._since >= SAID_AFTER_S[state]:
            self._said.add(state)
            sys.stderr.write(f"{self._name}: {detail}\n")  # in one piece: others write there too
            sys.stderr.flush()

    def _measure(self, now: float) -> None:
        if now >= self._memory_due:
            self._memory_mb, self._memory_due = memory_mb(), now + MEMORY_PERIOD_S
        if self._clock and now >= self._clock_due:
            self._offset_s = self._clock.offset_s()
            self._clock_due = now + (CLOCK_PERIOD_S if self._clock.is_settled else 0.0)


class HostClock:
    """This host's clock against the hub's: of the last measurements the one with the shortest round trip counts,
    since whatever delays a packet can only lengthen it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._samples: deque[tuple[float, float]] = deque(maxlen=CLOCK_SAMPLES)

    @property
    def is_settled(self) -> bool:
        return len(self._samples) >= 4

    def offset_s(self) -> float | None:
        """Measure once more; None while the hub has never answered in time."""
        if measured := self._service.clock(CLOCK_WAIT_S if self.is_settled else FIRST_CLOCK_WAIT_S):
            self._samples.append(measured)
        return min(self._samples, key=lambda sample: sample[1])[0] if self._samples else None


def memory_mb() -> float | None:
    """This process's proportional share of memory (PSS) in MB, None where the kernel does not tell."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Pss:")), None)


def _version() -> str:
    try:
        return version("whowhere")
    except PackageNotFoundError:
        return "unknown"
