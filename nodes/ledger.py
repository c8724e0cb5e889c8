"""The ledger: which messages of each topic a process has received, across gaps, restarts and impostors.

It admits a message or refuses it, counts what is missing, and gives the ranges that a checkpoint carries, so that a
recording can later be compared with exactly what was received. Pure: event time comes with the messages, and the same
messages in the same order give the same answers. It holds no messages.
"""

from dataclasses import dataclass, field

TAKEOVER_NS = 5_000_000_000  # a source silent for this long (event time) gives its name to whoever claims it
KEPT_RANGES = 64  # per topic; older ones were in earlier checkpoints


@dataclass(slots=True)
class _Topic:
    boot: str
    t_ns: int  # when the live boot was last heard, event time
    before: str = ""  # the boot that was live before, in case it was not dead
    before_t_ns: int = 0
    refused: str = ""  # an impostor's boot
    refused_t_ns: int = 0  # when it was last heard
    ranges: list[tuple[str, int, int]] = field(default_factory=list)


class Ledger:
    """counters: missed (gaps in seq), repeated, refused (a second live source under one name), restarted.

    A new boot id takes its topic over at once, since a restarted source must not lose data. If the old boot then
    speaks again, both are alive under one name: the old one gets its topic back and the other is refused until the
    old one has been silent for TAKEOVER_NS.
    """

    def __init__(self) -> None:
        self.counters = {"missed": 0, "repeated": 0, "refused": 0, "restarted": 0}
        self._topics: dict[str, _Topic] = {}

    def admit(self, topic: str, boot: str, seq: int, t_ns: int) -> bool:
        """Whether the message counts; False for a repeat and for an impostor's. t_ns: its event time."""
        entry = self._topics.get(topic)
        if entry is None:
            entry = self._topics[topic] = _Topic(boot, t_ns)
        elif boot != entry.boot and not self._take_over(entry, boot, t_ns):
            self.counters["refused"] += 1
            return False
        return self._extend(entry, boot, seq, t_ns)

    def ranges(self) -> dict[str, tuple[tuple[str, int, int], ...]]:
        """Per topic the received (boot, first seq, last seq), in the order of receipt, at most the last 64."""
        return {topic: tuple(entry.ranges) for topic, entry in sorted(self._topics.items())}

    def conflicts(self) -> dict[str, str]:
        """Per contested topic the boot id that is being refused, until it has been silent for TAKEOVER_NS."""
        return {
            topic: entry.refused
            for topic, entry in self._topics.items()
            if entry.refused and entry.t_ns - entry.refused_t_ns < TAKEOVER_NS
        }

    def complaint(self) -> str:
        """A sentence where two sources have one name, "" where none do."""
        names = ", ".join(sorted({topic.partition("/")[2] for topic in self.conflicts()}))
        return f"two sources are called {names}: the second one is not listened to; rename or stop it" if names else ""

    def _take_over(self, entry: _Topic, boot: str, t_ns: int) -> bool:
        if boot == entry.before:  # it was not dead: the newcomer is the impostor
            entry.refused, entry.refused_t_ns, entry.before = entry.boot, t_ns, ""
            entry.boot, entry.t_ns = boot, max(entry.before_t_ns, t_ns)
            return True
        if boot == entry.refused and t_ns - entry.t_ns < TAKEOVER_NS:
            entry.refused_t_ns = entry.t_ns  # by the live source's clock: the other may be wrong
            return False
        self.counters["restarted"] += 1
        entry.before, entry.before_t_ns, entry.refused = entry.boot, entry.t_ns, ""
        entry.boot = boot
        return True

    def _extend(self, entry: _Topic, boot: str, seq: int, t_ns: int) -> bool:
        last = next((r for r in reversed(entry.ranges) if r[0] == boot), None)
        if last is not None and seq <= last[2]:
            self.counters["repeated"] += 1
            return False
        entry.t_ns = max(entry.t_ns, t_ns)
        if last is not None:
            self.counters["missed"] += seq - last[2] - 1
        if last is not None and last is entry.ranges[-1] and seq == last[2] + 1:
            entry.ranges[-1] = (boot, last[1], seq)
        else:
            entry.ranges.append((boot, seq, seq))
            del entry.ranges[:-KEPT_RANGES]
        return True
