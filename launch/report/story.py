"""What a session says about each person, sensor and event, gathered in one pass; nothing is drawn or judged here.

Right and wrong come from the evaluation's comparisons with truth (`judge` is its observer). Times are seconds since the
session's first scene, or since its first message where nobody ever published one.
"""

from array import array
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from ...messages import SENSOR_KINDS, Event, Health, Message, Person, Scene, Truth, kind_of
from ..evaluate.scoring import Instant, bodies, most_probable, placed

TOLD = ("started", "confirm", "revise", "warning")  # events worth a line; who comes and goes is on the plan
LOST = ("lost", "refused")
GAP_NS = 600_000_000  # without a scene for longer, nothing is said to go on
JUDGED_WITHIN_NS = 5_000_000_000  # truth that is later than this judges nothing
SHOWN_NS = 180_000_000_000  # of trajectories; a longer time on one plan is a ball of wool
MOST_TOLD = 100_000  # so that a broken recording cannot eat the memory


class Block(NamedTuple):
    """A stretch of time in which a name was carried by the same body, as sure and as right.

    state: as published, "" while the name was not. track: the body's number, None for none. verdict: whether that is
    the owner's body; None without truth or without a body.
    """

    from_ns: int
    to_ns: int
    state: str
    track: int | None
    verdict: bool | None = None


class Ribbon:
    """One name over time. blocks: see Block. seen: (from, to) in ns, in which a sensor really had the owner in view."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.seen: list[tuple[int, int]] = []

    def add(self, t_ns: int, state: str, track: int | None, verdict: bool | None = None, is_seen: bool = False) -> None:
        """The next scene; until then it was as before, unless nothing was said for longer than GAP_NS."""
        last = self.blocks[-1] if self.blocks else None
        goes_on = last is not None and t_ns - last.to_ns <= GAP_NS
        if is_seen:
            if self.seen and goes_on and last is not None and self.seen[-1][1] == last.to_ns:
                self.seen[-1] = (self.seen[-1][0], t_ns)
            else:
                self.seen.append((t_ns, t_ns))
        if last is not None and goes_on:
            self.blocks[-1] = last._replace(to_ns=t_ns)
        if last is None or not goes_on or last[2:] != (state, track, verdict):
            self.blocks.append(Block(t_ns, t_ns, state, track, verdict))


class Place(NamedTuple):
    t_ns: int
    x_m: float
    y_m: float
    state: str


@dataclass(slots=True)
class Story:
    """places, truths: by name, of the last SHOWN_NS; anonymous: (t_ns, id, x, y) of bodies without a name. ribbons: by
    name. times: by source, of its measurements and scenes. counters: by (source, name), (t_ns, total) at each change.
    states: by source, (t_ns, state) at each change. document: the last site in force, as JSON.
    """

    places: dict[str, deque[Place]] = field(default_factory=dict)
    truths: dict[str, deque[tuple[int, float, float]]] = field(default_factory=dict)
    anonymous: deque[tuple[int, str, float, float]] = field(default_factory=deque)
    ribbons: dict[str, Ribbon] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    times: dict[str, array] = field(default_factory=dict)
    counters: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=dict)
    states: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    document: str = ""
    scene_ns: array = field(default_factory=lambda: array("Q"))
    scored_from_ns: int | None = None
    has_health: bool = False
    _waiting: deque[Scene] = field(default_factory=deque)  # scenes that may still be judged
    _told_ns: int = -1

    def add(self, message: Message) -> None:
        if isinstance(message, Scene):
            self._add_scene(replace(message, people=placed(message.people)))
        elif isinstance(message, Truth):
            for row, name in enumerate(message.enrolled):
                if name:
                    x_m, y_m = map(float, message.position[row])
                    _keep(self.truths.setdefault(name, deque()), (message.t_ns, x_m, y_m))
        elif isinstance(message, Event):
            if message.type in TOLD and len(self.events) < MOST_TOLD:
                self.events.append(message)
        elif isinstance(message, Health):
            self._add_health(message)
        elif kind_of(message) == "site":
            self.document = getattr(message, "document", "")
        if kind_of(message) in (*SENSOR_KINDS, "scene"):
            self.times.setdefault(message.source, array("Q")).append(message.t_ns)

    def judge(self, instant: Instant) -> None:
        """An observer of the evaluation: was each name on its owner's body?"""
        if instant.is_scored and self.scored_from_ns is None:
            self.scored_from_ns = instant.t_ns
        self._tell_until(instant.t_ns - 1)
        if not self._waiting or self._waiting[0].t_ns != instant.t_ns:
            return  # time without scenes, in which nobody said anything to judge
        owned = {name: instant.tracked[instant.owners[row]].track if row in instant.owners else None
                 for row, name in enumerate(instant.truth.enrolled) if name}  # fmt: skip
        seen = [name for row, name in enumerate(instant.truth.enrolled) if name and instant.truth.seen_by[row]]
        self._tell(self._waiting.popleft(), owned, seen)

    def finish(self) -> None:
        """Take up what was waiting for truth; once, after the last message."""
        if self._waiting:
            self._tell_until(self._waiting[-1].t_ns)

    @property
    def span_ns(self) -> tuple[int, int]:
        """First and last instant: of scenes, else of measurements; (0, 0) where there is neither."""
        times = self.scene_ns or array("Q", [t for each in self.times.values() for t in each])
        return (min(times), max(times)) if times else (0, 0)

    def verdict_near(self, name: str, t_ns: int, within_ns: int = 500_000_000) -> bool | None:
        """Whether the name was on its owner's body at the first scene from then on, None where nobody knows."""
        ribbon = self.ribbons.get(name)
        later = [block for block in ribbon.blocks if block.to_ns > t_ns] if ribbon else []
        return later[0].verdict if later and later[0].from_ns <= t_ns + within_ns else None

    def _add_scene(self, scene: Scene) -> None:
        self.scene_ns.append(scene.t_ns)
        named = {person.id: person for person in scene.people if person.state != "anonymous"}
        for person in scene.people:
            if person.id not in named:
                _keep(self.anonymous, (scene.t_ns, person.id, person.x_m, person.y_m))
        for name, person in named.items():
            place = Place(scene.t_ns, person.x_m, person.y_m, person.state)
            _keep(self.places.setdefault(name, deque()), place)
            self.ribbons.setdefault(name, Ribbon())
        if scene.t_ns > (self._waiting[-1].t_ns if self._waiting else self._told_ns):  # else a restart repeats itself
            self._waiting.append(scene)
        self._tell_until(scene.t_ns - JUDGED_WITHIN_NS)

    def _tell_until(self, t_ns: int) -> None:
        while self._waiting and self._waiting[0].t_ns <= t_ns:
            self._tell(self._waiting.popleft(), None, [])

    def _tell(self, scene: Scene, owned: Mapping[str, int | None] | None, seen: list[str]) -> None:
        """Add a scene to the ribbons; owned: the body of each enrolled person who is there, None without truth."""
        self._told_ns = scene.t_ns
        for name, ribbon in self.ribbons.items():
            state, track = carrier(name, scene.people)
            verdict = None if owned is None or track is None else owned.get(name) == track
            if state or ribbon.blocks:
                ribbon.add(scene.t_ns, state, track, verdict, name in seen)

    def _add_health(self, health: Health) -> None:
        self.has_health = True
        states = self.states.setdefault(health.source, [])
        if not states or states[-1][1] != health.state:
            states.append((health.t_ns, health.state))
        for name, value in health.counters.items():
            known = self.counters.setdefault((health.source, name), [])
            if not known or known[-1][1] != value:
                known.append((health.t_ns, value))


def _keep(values: deque, value: tuple) -> None:
    """Append a value that begins with its t_ns, and let go of what is too old to be shown."""
    values.append(value)
    while value[0] - values[0][0] > SHOWN_NS:
        values.popleft()


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
