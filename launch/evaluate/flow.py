"""How the stream itself was: messages, rates, what was lost on the way and how old a location was when it left.

It counts; it compares with no truth.
"""

from array import array
from typing import Any

import numpy as np

from ...messages import SENSOR_KINDS, Health, Location, Message, kind_of
from .recognised import Recognised, recognised_in

FUSION = "health/fusion"
RATED_KINDS = (*SENSOR_KINDS, "scene", "truth")


class Flow:
    """Counts over messages in the order in which they were received."""

    def __init__(self) -> None:
        self._kinds: dict[str, int] = {}
        self._topics: dict[str, tuple[int, int]] = {}  # topic -> last seq and t_ns
        self._spans: dict[str, tuple[int, int, int]] = {}  # source -> first t_ns, last t_ns, messages
        self._counters: dict[tuple[str, str], tuple[int, int]] = {}  # (source, name) -> before restarts, latest
        self._latency_ms = array("d")
        self._recognised: Recognised = {}  # as fusion said last
        self.gaps = 0

    def add(self, message: Message, t_sent_ns: int | None) -> bool:
        """Count a message; False for one heard twice (a snapshot and then live), which is not counted."""
        topic, kind = message.topic, kind_of(message)
        last = self._topics.get(topic)
        if last == (message.seq, message.t_ns):
            return False
        if last and message.seq > last[0] + 1:  # a smaller one is a restart: numbering began again
            self.gaps += message.seq - last[0] - 1
        self._topics[topic] = (message.seq, message.t_ns)
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        if kind in RATED_KINDS:
            first, latest, count = self._spans.get(message.source, (message.t_ns, message.t_ns, 0))
            self._spans[message.source] = (min(first, message.t_ns), max(latest, message.t_ns), count + 1)
        if isinstance(message, Health):
            self._take_counters(message)
            if topic == FUSION:
                self._recognised = recognised_in(message.counters)
        elif isinstance(message, Location) and t_sent_ns is not None:
            self._latency_ms.append((t_sent_ns - message.t_ns) / 1e6)
        return True

    def _take_counters(self, health: Health) -> None:
        for name, value in health.counters.items():
            earlier, latest = self._counters.get((health.source, name), (0, 0))
            if 2 * value < latest:  # restarted and counting from zero; slightly less is a restored checkpoint
                earlier += latest
            self._counters[health.source, name] = (earlier, value)

    def total(self, word: str) -> int:
        """The sum over all sources of the counters with `word` in their name."""
        return sum(earlier + latest for (_, name), (earlier, latest) in self._counters.items() if word in name)

    def result(self) -> dict[str, Any]:
        """messages, messages_by_kind, rates_hz {source: rate}, latency_ms {p50, p99}, dropped, gaps, late,
        recognised {witness: {recognised, portraits}}."""
        p50, p99 = np.percentile(self._latency_ms, (50, 99)) if self._latency_ms else (None, None)
        return {
            "messages": sum(self._kinds.values()),
            "messages_by_kind": dict(sorted(self._kinds.items())),
            "rates_hz": {
                source: round((count - 1) / ((last - first) / 1e9), 2)
                for source, (first, last, count) in sorted(self._spans.items())
                if last > first
            },
            "latency_ms": {
                "p50": None if p50 is None else round(float(p50), 1),
                "p99": None if p99 is None else round(float(p99), 1),
            },
            "dropped": self.total("drop") + self.gaps,
            "gaps": self.gaps,
            "late": self.total("late"),
            "recognised": self._recognised,
        }
