"""Comings and goings: who is in one scene and was not in the last, and the reverse."""

from collections.abc import Sequence
from typing import Any

from ..messages import Event, EventType, Message, Person

NO_BODY = -1


class Presence:
    """Who was in the last scene. `update` is its one verb; it returns the events that say what changed."""

    def __init__(self) -> None:
        self.since_ns: dict[str, int] = {}  # ids in the last scene, and since when
        self._body: dict[str, int] = {}  # ids in the last scene, and their body

    def update(self, source: str, t_ns: int, people: Sequence[Person]) -> list[Message]:
        """Enter and leave; a body that only changes its name, or a named one that is lost from sight, does neither."""
        now = {person.id: NO_BODY if person.track is None else person.track for person in people}
        stayed = set(now.values()) & set(self._body.values()) - {NO_BODY}
        came = [who for who, body in now.items() if who not in self._body and body not in stayed]
        went = [who for who, body in self._body.items() if who not in now and body not in stayed]
        events: list[Message] = [_event(source, t_ns, "enter", who, now[who], f"{who} is here") for who in came]
        events += [_event(source, t_ns, "leave", who, self._body[who], f"{who} is gone") for who in went]
        self._body = now
        self.since_ns = {person.id: person.since_ns for person in people}
        return events

    def state(self) -> dict[str, Any]:
        return {"since_ns": self.since_ns, "body": self._body}

    def load(self, state: dict[str, Any]) -> None:
        self.since_ns, self._body = state["since_ns"], state["body"]


def _event(source: str, t_ns: int, kind: EventType, who: str, body: int, text: str) -> Event:
    return Event(source=source, t_ns=t_ns, type=kind, id=who, track=None if body == NO_BODY else body, text=text)
