"""Arithmetic with the ranges of messages that a checkpoint says were received: (boot id, first seq, last seq)."""

from typing import TypeAlias

from ..nodes.session import Record

Ranges: TypeAlias = dict[str, tuple[tuple[str, int, int], ...]]


def contains(ranges: Ranges, record: Record) -> bool:
    boot, seq = record.stamp.boot, record.seq
    return any(b == boot and first <= seq <= last for b, first, last in ranges.get(record.topic, ()))


def last_seq(ranges: Ranges, topic: str, boot: str) -> int | None:
    """The last seq received of a topic from one process; None where nothing was."""
    return max((last for b, _, last in ranges.get(topic, ()) if b == boot), default=None)


def count_new(later: Ranges, earlier: Ranges) -> int:
    """How many messages the later ranges hold that the earlier ones do not."""
    return sum(_count_outside(span, earlier.get(topic, ())) for topic, spans in later.items() for span in spans)


def _count_outside(span: tuple[str, int, int], known: tuple[tuple[str, int, int], ...]) -> int:
    boot, first, last = span
    overlaps = (min(last, to) - max(first, start) + 1 for b, start, to in known if b == boot)
    return last - first + 1 - sum(max(0, overlap) for overlap in overlaps)
