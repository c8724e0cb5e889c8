"""From probabilities to names: when a body is called by an identity, when it stops being called so, and what is said
about it. Confirmation needs a probability held for seconds; release needs it gone; a name that moves is a revision.
"""

from typing import Any

import msgspec

from ..messages import Event, Message
from ..sitefile import Fusion
from .identities import Answer


class Name(msgspec.Struct):
    """Who a body is called, since when, and whose name that replaced."""

    identity: str
    since_ns: int
    revises: str | None = None


class Naming:
    """Names per body number. `update` is its one verb; it returns the events that say what changed."""

    def __init__(self, settings: Fusion) -> None:
        self._confirm = settings.confirm_probability
        self._release = settings.release_probability
        self._hold_ns = round(settings.confirm_hold_s * 1e9)
        self.names: dict[int, Name] = {}
        self._candidate: dict[int, tuple[str, int]] = {}  # who a body may become, and since when

    def update(self, source: str, t_ns: int, identities: tuple[str, ...], answer: Answer) -> list[Message]:
        """Confirm, revise and release names: sure is who is in the best assignment and probable enough."""
        events: list[Message] = []
        bodies, probability = answer.bodies, answer.probability
        for body in [number for number in self.names if number not in bodies]:
            self.names.pop(body)
        self._candidate = {body: held for body, held in self._candidate.items() if body in bodies}
        for column, body in enumerate(bodies):
            best = answer.assigned.get(body)
            likely = best is not None and float(answer.believed[identities.index(best), column]) >= self._confirm
            current = self.names.get(body)
            doubtful = current and float(probability[identities.index(current.identity), column]) < self._release
            if current and doubtful and not likely:
                self.names.pop(body)
                text = f"{current.identity} is no longer sure to be body {body}"
                events.append(_event(source, t_ns, "revise", f"anon-{body}", body, current.identity, text))
            if best and likely:
                events.extend(self._hold(source, t_ns, best, body))
            else:
                self._candidate.pop(body, None)
        return events

    def _hold(self, source: str, t_ns: int, identity: str, body: int) -> list[Message]:
        current = self.names.get(body)
        if current and current.identity == identity:
            self._candidate.pop(body, None)
            return []
        candidate, since_ns = self._candidate.get(body, ("", 0))
        if candidate != identity:
            candidate, since_ns = identity, t_ns
            self._candidate[body] = (candidate, since_ns)
        if t_ns - since_ns < self._hold_ns:
            return []
        elsewhere = [number for number, name in self.names.items() if name.identity == identity]
        for number in elsewhere:
            self.names.pop(number)
        was = current.identity if current else f"anon-{elsewhere[0]}" if elsewhere else None
        self.names[body] = Name(identity, t_ns, was)
        del self._candidate[body]
        kind = "revise" if was else "confirm"
        return [_event(source, t_ns, kind, identity, body, was or f"anon-{body}", f"body {body} is {identity}")]

    def state(self) -> dict[str, Any]:
        return {
            "names": [[body, name.identity, name.since_ns, name.revises] for body, name in self.names.items()],
            "candidate": [[body, *held] for body, held in self._candidate.items()],
        }

    def load(self, state: dict[str, Any]) -> None:
        self.names = {body: Name(identity, since, revises) for body, identity, since, revises in state["names"]}
        self._candidate = {body: (identity, since_ns) for body, identity, since_ns in state["candidate"]}


def _event(source: str, t_ns: int, kind: Any, who: str, body: int, was: str, text: str) -> Event:
    return Event(source=source, t_ns=t_ns, type=kind, id=who, track=body, was=was, since_ns=t_ns, text=text)
