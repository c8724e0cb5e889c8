"""What a session says about each person, sensor and event, gathered in one pass; nothing is drawn or judged here.

Right and wrong come from the evaluation's comparisons with truth (`judge` is its observer). Times are seconds since the
session's first scene, or since its first message where nobody ever published one.
"""

from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

from ...messages import SENSOR_KINDS, Event, Health, Message, Person, Scene, Truth, kind_of
from ..evaluate.scoring import Instant, bodies, most_probable

TOLD = ("started", "confirm", "revise", "warning")  # events worth a line; who comes and goes is on the plan
LOST = ("lost", "refused")
MOST_TOLD = 100_000  # so that a broken recording cannot eat the memory


class Carried(NamedTuple):
    """Which body carried a name at a scene.

    state: as published, "" while the name was not. track: the body's number, None for none. verdict: whether that is
    the owner's body; None without truth or without a body. is_seen: whether a sensor has the owner in view.
    """

    t_ns: int
    state: str
    track: int | None
    verdict: bool | None = None
    is_seen: bool | None = None


class Place(NamedTuple):
    t_ns: int
    x_m: float
    y_m: float
    state: str


@dataclass(slots=True)
class Story:
    """places, truths, carried: by name. times: by source, of its measurements and scenes. counters: by (source, name),
    (t_ns, total). states: by source, (t_ns, state) at each change. document: the last site in force, as JSON."""

    places: dict[str, list[Place]] = field(default_factory=dict)
    truths: dict[str, list[tuple[int, float, float]]] = field(default_factory=dict)
    carried: dict[str, list[Carried]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    times: dict[str, array] = field(default_factory=dict)
    counters: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=dict)
    states: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    document: str = ""
    scene_ns: array = field(default_factory=lambda: array("q"))
    scored_from_ns: int | None = None
    has_health: bool = False
    _judged: dict[tuple[str, int], tuple[bool | None, bool]] = field(default_factory=dict)

    def add(self, message: Message) -> None:
        if isinstance(message, Scene):
            self._add_scene(message)
        elif isinstance(message, Truth):
            for row, name in enumerate(message.enrolled):
                if name:
                    x_m, y_m = map(float, message.position[row])
                    self.truths.setdefault(name, []).append((message.t_ns, x_m, y_m))
        elif isinstance(message, Event):
            if message.type in TOLD and len(self.events) < MOST_TOLD:
                self.events.append(message)
        elif isinstance(message, Health):
            self._add_health(message)
        elif kind_of(message) == "site":
            self.document = getattr(message, "document", "")
        if kind_of(message) in (*SENSOR_KINDS, "scene"):
            self.times.setdefault(message.source, array("q")).append(message.t_ns)

    def judge(self, instant: Instant) -> None:
        """An observer of the evaluation: was each name on its owner's body?"""
        if instant.is_scored and self.scored_from_ns is None:
            self.scored_from_ns = instant.t_ns
        tracks = {name: instant.tracked[instant.owners[row]].track if row in instant.owners else None
                  for row, name in enumerate(instant.truth.enrolled) if name}  # fmt: skip
        seen = {name for row, name in enumerate(instant.truth.enrolled) if name and instant.truth.seen_by[row]}
        for name in {**tracks, **dict.fromkeys(p.id for p in instant.people if p.state != "anonymous")}:
            _, track = carrier(name, instant.people)
            verdict = None if track is None else tracks.get(name) == track
            self._judged[name, instant.t_ns] = (verdict, name in seen)

    def finish(self) -> None:
        """Bring together what scenes said and what was judged; once, after the last message."""
        for name, carried in self.carried.items():
            for place, one in enumerate(carried):
                if judged := self._judged.get((name, one.t_ns)):
                    carried[place] = one._replace(verdict=judged[0], is_seen=judged[1])
            carried.sort(key=lambda one: one.t_ns)
        for values in (*self.places.values(), *self.truths.values()):
            values.sort(key=lambda value: value[0])
        self._judged.clear()

    @property
    def span_ns(self) -> tuple[int, int]:
        """First and last instant: of scenes, else of measurements; (0, 0) where there is neither."""
        times = self.scene_ns or array("q", [t for each in self.times.values() for t in each])
        return (min(times), max(times)) if times else (0, 0)

    def verdict_near(self, name: str, t_ns: int, within_ns: int = 500_000_000) -> bool | None:
        """Whether the name was on its owner's body at the first scene from then on, None where nobody knows."""
        for one in self.carried.get(name, ()):
            if t_ns <= one.t_ns <= t_ns + within_ns:
                return one.verdict
        return None

    def _add_scene(self, scene: Scene) -> None:
        self.scene_ns.append(scene.t_ns)
        named = {person.id: person for person in scene.people if person.state != "anonymous"}
        for name, person in named.items():
            place = Place(scene.t_ns, person.x_m, person.y_m, person.state)
            self.places.setdefault(name, []).append(place)
        for name in {**dict.fromkeys(self.carried), **named}:
            state, track = carrier(name, scene.people)
            self.carried.setdefault(name, []).append(Carried(scene.t_ns, state, track))

    def _add_health(self, health: Health) -> None:
        self.has_health = True
        states = self.states.setdefault(health.source, [])
        if not states or states[-1][1] != health.state:
            states.append((health.t_ns, health.state))
        for name, value in health.counters.items():
            known = self.counters.setdefault((health.source, name), [])
            if not known or known[-1][1] != value:
                known.append((health.t_ns, value))


def carrier(name: str, people: tuple[Person, ...]) -> tuple[str, int | None]:
    """(state, body) of a name in a scene: the body it is confirmed on, else the one it is most probable on.

    A name that is only on the air has no body; ("", None) where it is not published at all.
    """
    state = next((person.state for person in people if person.id == name and person.state != "anonymous"), "")
    best: tuple[float, int | None] = (0.0, None)
    for body in bodies(people):
        if body.state == "confirmed" and body.id == name:
            return state, body.track
        likely, probability = most_probable(body)
        if body.state != "confirmed" and likely == name and probability > best[0]:
            best = (probability, body.track)
    return state, best[1]
