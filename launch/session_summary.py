"""A session file in words: when, how long, which topics at what rates, and how it ended."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..nodes.session import Session

SHOWN_TOPICS = 40


@dataclass(slots=True)
class _Topic:
    count: int = 0
    boots: set[str] = field(default_factory=set)


def summarise(path: Path) -> Iterator[str]:
    """Lines for people. Raises SessionError where the file is no session."""
    session = Session(path)
    site = session.site()
    topics: dict[str, _Topic] = {}
    first_ns = last_ns = 0
    for record in session.records():
        topic = topics.setdefault(record.topic, _Topic())
        topic.count += 1
        topic.boots.add(record.stamp.boot)
        first_ns = first_ns or record.log_time_ns
        last_ns = record.log_time_ns
    total, seconds = sum(topic.count for topic in topics.values()), (last_ns - first_ns) / 1e9
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(first_ns / 1e9)) if total else "never"
    yield f'session of site "{site.name}", from {when}: {seconds:.1f} s, {total} messages, {path.stat().st_size} bytes'
    for name, topic in sorted(topics.items())[:SHOWN_TOPICS]:
        rate = f"{topic.count / seconds:7.2f}/s" if seconds > 0 else ""
        yield f"  {name:32} {topic.count:8} {rate}{_restarts(len(topic.boots) - 1)}"
    if len(topics) > SHOWN_TOPICS:
        yield f"  and {len(topics) - SHOWN_TOPICS} further topics"
    yield session.ended or "it ends as it should"


def _restarts(count: int) -> str:
    return f"  its sender restarted {count} times" if count else ""
