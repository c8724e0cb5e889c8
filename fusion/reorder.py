"""Puts messages back into the order in which the world happened, without looking at a clock.

The watermark is the slowest live source: everything up to it is released in the total order (t_ns, topic, source,
seq). A source silent for longer than `idle_s` stops holding the line, and nobody holds it longer than `max_wait_s`,
both in event time. What a message becomes (used, reordered, too late, from the future) is counted by name.
Positions of phones hold no line, and tell no time while a sensor does: phones are late, and their clocks are anybody's.
A late one is let through at once.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

from ..messages import SENSOR_KINDS, Health, Message, PhonePosition, WifiWindow, decode, encode, kind_of
from ..sitefile import Fusion

SECOND_NS = 1_000_000_000
LONGEST_WINDOW_NS = 10 * SECOND_NS  # what a WiFi window may promise
GONE_BACK_NS = 10 * SECOND_NS  # a source this far behind all time is no straggler
GONE_BACK_AFTER_NS = 2 * SECOND_NS
HEARTBEAT_LATENCY_NS = 400_000_000  # a heartbeat at t promises nothing older than this will follow (design section 4)
QUIET_ROUNDS = 4  # a phone that misses so many rounds of all phones' positions is silent

Key = tuple[int, str, str, int]


class Reorder:
    """A bounded buffer: `push` takes what arrived, `released` gives what is now certain to be in order."""

    def __init__(self, settings: Fusion) -> None:
        self._max_wait_ns = round(settings.max_wait_s * SECOND_NS)
        self._idle_ns = round(settings.idle_s * SECOND_NS)
        self._future_ns = round(settings.future_s * SECOND_NS)
        self._newest: dict[str, int] = {}  # per source, the newest time it has spoken of
        self._promised: dict[str, int] = {}  # per source, nothing older than this will follow
        self._claimed: dict[str, int] = {}  # the same with refused messages counted in: two that agree are right
        self._phones: dict[str, int] = {}  # the same of phones, while there is no sensor
        self._quiet: dict[str, int] = {}  # per phone, how many positions others have sent since its last
        self._heap: list[tuple[Key, Message]] = []
        self._waiting: set[Key] = set()  # the keys in the heap
        self._back: dict[str, int] = {}  # per source, since when it speaks of times long past; while nobody does else
        self._last: Key = (0, "", "", 0)
        self.watermark_ns = 0
        self.counters: dict[str, int] = {}

    def push(self, message: Message) -> int:
        """Take a message in. Health only moves time on; the rest waits until `released` lets it go. Returns 0, or of
        a refused message how many ns it was too late (negative) or ahead of all other sources (positive)."""
        source = message.source
        if isinstance(message, Health):
            if message.state in ("lost", "refused", "stopped"):
                self._newest.pop(source, None)  # holds the line no longer, comes back with its next message
            elif source in self._newest:
                past_ns = message.t_ns - HEARTBEAT_LATENCY_NS
                self._observe(source, past_ns, past_ns)
                self._claimed[source] = message.t_ns
            self._advance()
            return 0
        if isinstance(message, PhonePosition):
            return self._push_position(message)
        refused_ns = 0
        key: Key = (message.t_ns, message.topic, source, message.seq)
        if ahead_ns := self._ahead_ns(source, message.t_ns):
            self._count("future", source)
            refused_ns = ahead_ns
        elif key in self._waiting:
            self._count("repeated", source)
        elif key <= self._last:
            self._count("too_late", source)
            if message.t_ns < self.watermark_ns - GONE_BACK_NS:
                self._back.setdefault(source, message.t_ns)
            refused_ns = min(message.t_ns - self._horizon_ns(), -1)
            if message.t_ns >= self.watermark_ns - self._max_wait_ns and kind_of(message) in SENSOR_KINDS:
                self._observe(source, message.t_ns, message.t_ns)  # so that its next is waited for
        else:
            newest = self._newest.get(source, 0)
            self._count("reordered" if message.t_ns < newest else "used", source)
            heappush(self._heap, (key, message))
            self._waiting.add(key)
            self._back = {}
            if kind_of(message) in SENSOR_KINDS:
                self._observe(source, message.t_ns, _promised_ns(message))
        self._advance()
        return refused_ns

    def _push_position(self, message: PhonePosition) -> int:
        key: Key = (message.t_ns, message.topic, message.source, message.seq)
        if not self._newest:
            self._note_phone(message)
        ahead_ns = message.t_ns - self._horizon_ns()
        if ahead_ns > self._future_ns:
            self._count("future", message.source)
            return ahead_ns
        if key in self._waiting:
            self._count("repeated", message.source)
            return 0
        heappush(self._heap, (key, message))
        self._waiting.add(key)
        self._advance()
        return 0

    def _note_phone(self, message: PhonePosition) -> None:
        """Where no sensor tells the time, phones do; those that fall silent, and have no heartbeat, no more."""
        self._phones[message.source] = message.t_ns
        self._quiet = {name: self._quiet.get(name, 0) + 1 for name in self._phones}
        self._quiet[message.source] = 0
        silent = [name for name, others in self._quiet.items() if others >= QUIET_ROUNDS * len(self._phones)]
        for name in silent:
            del self._phones[name], self._quiet[name]

    def released(self) -> Iterator[Message]:
        """The messages up to the watermark, in total order but for positions that came late."""
        while self._heap and self._heap[0][0][0] <= self.watermark_ns:
            key, message = heappop(self._heap)
            self._last = max(self._last, key)
            self._waiting.discard(key)
            yield message

    @property
    def has_gone_back(self) -> bool:
        """The world's clock was set back: for seconds two sources, or the only one, have spoken of times long past,
        and nobody of now. Whoever holds this buffer does best to begin anew."""
        lately = [self._claimed[source] - since_ns for source, since_ns in self._back.items()]
        needed = min(2, len(self._claimed))
        return len(lately) >= needed and max(lately, default=0) >= GONE_BACK_AFTER_NS

    def __len__(self) -> int:
        return len(self._heap)

    def _observe(self, source: str, t_ns: int, promised_ns: int) -> None:
        self._newest[source] = max(self._newest.get(source, 0), t_ns)
        self._promised[source] = max(self._promised.get(source, 0), promised_ns)

    def _ahead_ns(self, source: str, t_ns: int) -> int:
        """How far it is ahead of everybody else, if that is too far; 0 when a second source agrees: then time has
        really moved on."""
        self._claimed[source] = t_ns
        others = [t for name, t in self._claimed.items() if name != source]
        if not others or not self.watermark_ns or len(self._newest) <= 1:
            return 0
        ahead_ns = t_ns - max(others)
        return ahead_ns if ahead_ns > self._future_ns else 0

    def _horizon_ns(self) -> int:
        """What time it is: the second newest source's, so that no single one can push time forward alone."""
        times = sorted((self._newest or self._phones).values())
        return times[-2] if len(times) > 1 else times[-1] if times else self.watermark_ns

    def _advance(self) -> None:
        if not self._newest and not self._phones:
            return
        horizon = self._horizon_ns()
        promised = self._promised if self._newest else self._phones
        live = [promised[name] for name, t in (self._newest or self._phones).items() if t >= horizon - self._idle_ns]
        self.watermark_ns = max(self.watermark_ns, min(live), horizon - self._max_wait_ns)

    def _count(self, what: str, source: str) -> None:
        name = f"{what}:{source}"
        self.counters[name] = self.counters.get(name, 0) + 1

    def state(self) -> dict[str, Any]:
        return {
            "newest": self._newest,
            "promised": self._promised,
            "claimed": self._claimed,
            "phones": self._phones,
            "quiet": self._quiet,
            "waiting": [encode(message) for _, message in sorted(self._heap, key=lambda entry: entry[0])],
            "back": self._back,
            "last": list(self._last),
            "watermark_ns": self.watermark_ns,
            "counters": self.counters,
        }

    @classmethod
    def from_state(cls, settings: Fusion, state: dict[str, Any]) -> "Reorder":
        buffer = cls(settings)
        buffer._newest = dict(state["newest"])
        buffer._promised = dict(state["promised"])
        buffer._claimed = dict(state["claimed"])
        buffer._phones, buffer._quiet = dict(state["phones"]), dict(state["quiet"])
        for body in state["waiting"]:
            message = decode(body)
            key = (message.t_ns, message.topic, message.source, message.seq)
            heappush(buffer._heap, (key, message))
            buffer._waiting.add(key)
        buffer._back = dict(state["back"])
        t_ns, topic, source, seq = state["last"]
        buffer._last = (t_ns, topic, source, seq)
        buffer.watermark_ns = state["watermark_ns"]
        buffer.counters = dict(state["counters"])
        return buffer


def _promised_ns(message: Message) -> int:
    """Nothing older than this will follow from the source: a WiFi window's successor ends a whole window later."""
    if isinstance(message, WifiWindow):
        window_s = min(max(message.window_s, 0.0), LONGEST_WINDOW_NS / SECOND_NS)
        return message.t_ns + max(round(window_s * SECOND_NS) - 1, 0)
    return message.t_ns
