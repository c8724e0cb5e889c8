"""Is the right name on the right body? One number a question, from truth, scenes and locations alone.

It compares, at every scene, who is published where with who truly is there. It reads messages in the order of a live
subscription or of a recording, calls no clock, and never asks the engine what it thinks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ...messages import Message, Person, Scene, Truth
from .flow import Flow
from .positions import PositionScore
from .reliability import Mean, Reliability
from .truth import Timeline
from .waits import ConfirmationWaits

MATCH_M = 1.5  # a track further than this from everybody is nobody's
SCENE_GAP_S = 0.5  # without a scene for longer, nothing is published: that time counts, and counts as wrong
STEP_S = 0.2  # how finely a gap is counted
END_LAG_S = 1.0  # at the end of a session, so much truth may lie ahead of the last scene
MOST_WAITING = 1000  # scenes ahead of truth; a session without truth is only counted, never scored
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Instant:
    """One comparison with truth, as every score sees it.

    t_ns: when; tracked: the published bodies; owners: {row of truth: index of tracked}; duration_s: the time it stands
    for; is_scored: False during the warm-up.
    """

    t_ns: int
    truth: Truth
    people: tuple[Person, ...]
    tracked: list[Person]
    owners: dict[int, int]
    duration_s: float
    is_scored: bool


Observer = Callable[[Instant], None]


class SessionScore:
    """Scores of one session, live or recorded; `warm_up_s` of event time after the first truth are not scored.

    positions: the errors themselves, for curves.
    """

    def __init__(self, warm_up_s: float = 15.0, observer: Observer | None = None) -> None:
        """observer: called with every instant, those of the warm-up too, for further scores."""
        self._warm_up_ns = round(warm_up_s * 1e9)
        self._observer = observer
        self._flow = Flow()
        self._timeline = Timeline()
        self._waiting: list[Scene] = []  # scenes whose instant truth has not reached yet
        self._scored_ns: int | None = None
        self._seen, self._unseen, self._all = Mean(), Mean(), Mean()
        self._precision, self._recall = Mean(), Mean()
        self.positions = PositionScore()
        self._reliability, self._reliability_all = Reliability(), Reliability()
        self._waits = ConfirmationWaits()
        self._instants = 0

    def add(self, message: Message, t_sent_ns: int | None = None) -> None:
        """One message, of any kind, in the order received; t_sent_ns from its stamp, where it is known."""
        if not self._flow.add(message, t_sent_ns):
            return
        if isinstance(message, Truth):
            self._timeline.add(message)
            self._score_waiting()
        elif isinstance(message, Scene):
            self._waiting.append(message)
            self._score_waiting()

    def result(self) -> dict[str, Any]:
        """Shares, errors in metres and the stream's figures; None where nothing could be measured.

        named_right: of the device-time in which an enrolled person is seen by a camera or radar, the share in which
        their own name is the most probable one on their track; named_right_unseen: of the other time;
        named_right_all: of both. confirmed: precision (over time with a confirmed name) and recall (over seen
        device-time). calibration: of each body's most probable candidate; calibration_all: of every published
        probability that a body is an enrolled identity.
        """
        self._score_silence()
        return {
            "named_right": self._seen.value(),
            "named_right_unseen": self._unseen.value(),
            "named_right_all": self._all.value(),
            **self.positions.result(),
            "confirmed": {"precision": self._precision.value(), "recall": self._recall.value()},
            "time_to_confirm_s": self._waits.result(),
            "calibration": self._reliability.result(),
            "calibration_all": self._reliability_all.result(),
            "device_time_s": round(self._seen.weight, 1),
            "scenes_scored": self._instants,
            **self._flow.result(),
        }

    def _score_waiting(self) -> None:
        """Score, in order of time, each waiting scene that truth has passed."""
        last = self._timeline.last_ns if self._timeline.last_ns is not None else -1
        ready = sorted((scene for scene in self._waiting if scene.t_ns <= last), key=lambda scene: scene.t_ns)
        self._waiting = [scene for scene in self._waiting if scene.t_ns > last][-MOST_WAITING:]
        for scene in ready:
            self._advance(scene.t_ns, scene.people)

    def _score_silence(self) -> None:
        """Count the time at the end in which truth went on and scenes did not, but for what fusion may lag behind."""
        last = self._timeline.last_ns
        if last is not None and self._scored_ns is not None and last - self._scored_ns > 2 * END_LAG_S * 1e9:
            self._advance(last - round(END_LAG_S * 1e9), ())

    def _advance(self, t_ns: int, people: tuple[Person, ...]) -> None:
        """Score the time since the last scene: SCENE_GAP_S of it as this scene says, any more as nobody published."""
        previous = self._scored_ns if self._scored_ns is not None else self._timeline.first_ns
        if previous is None or t_ns < previous or t_ns == self._scored_ns:
            return  # before all truth, or an instant that was scored (a restarted fusion repeats some)
        covered_ns = round(SCENE_GAP_S * 1e9)
        step_ns = round(STEP_S * 1e9)
        for missing_ns in range(previous + step_ns, t_ns - covered_ns + 1, step_ns):
            self._score(missing_ns, (), STEP_S)
        self._score(t_ns, people, min(t_ns - previous, covered_ns) / 1e9)
        self._scored_ns = t_ns

    def _score(self, t_ns: int, people: tuple[Person, ...], duration_s: float) -> None:
        truth, people = self._timeline.at(t_ns), placed(people)
        if truth is None:
            return
        tracked = bodies(people)
        first_ns = self._timeline.first_ns
        is_scored = first_ns is not None and t_ns - first_ns >= self._warm_up_ns
        instant = Instant(t_ns, truth, people, tracked, match(truth, tracked), duration_s, is_scored)
        self._waits.add(t_ns, truth, tracked, instant.owners, duration_s)
        self.positions.hold(truth, tracked, instant.owners)
        if is_scored:
            self._instants += 1
            self._score_names(truth, tracked, instant.owners, duration_s)
            self.positions.add(truth, people, tracked, instant.owners, duration_s)
        if self._observer:
            self._observer(instant)

    def _score_names(self, truth: Truth, tracked: list[Person], owners: dict[int, int], duration_s: float) -> None:
        for row, name in enumerate(truth.enrolled):
            if not name:
                continue
            body = tracked[owners[row]] if row in owners else None
            is_right = body is not None and most_probable(body)[0] == name
            self._all.add(is_right, duration_s)
            (self._seen if truth.seen_by[row] else self._unseen).add(is_right, duration_s)
            if truth.seen_by[row]:
                self._recall.add(body is not None and body.state == "confirmed" and body.id == name, duration_s)
        people_of = {column: row for row, column in owners.items()}
        for column, body in enumerate(tracked):
            owner = truth.enrolled[people_of[column]] if column in people_of else ""
            if body.state == "confirmed":
                self._precision.add(body.id == owner, duration_s)
            if body.candidates:
                name, probability = most_probable(body)
                self._reliability.add(probability, name == (owner or UNKNOWN), duration_s)
            for name, probability in body.candidates:
                if name != UNKNOWN:
                    self._reliability_all.add(probability, name == owner, duration_s)


def placed(people: tuple[Person, ...]) -> tuple[Person, ...]:
    """The people who are anywhere: a recording of a faulty engine may hold positions that are no numbers."""
    return tuple(person for person in people if isfinite(person.x_m) and isfinite(person.y_m))


def bodies(people: tuple[Person, ...]) -> list[Person]:
    """The people with a track, one a track, in order of its number: the body itself before a tentative identity,
    which is published at the middle of where it may be."""
    tracks: dict[int, Person] = {}
    for person in people:
        if person.track is not None and (person.track not in tracks or person.state in ("confirmed", "anonymous")):
            tracks[person.track] = person
    return [tracks[track] for track in sorted(tracks)]


def match(truth: Truth, tracked: list[Person], within_m: float = MATCH_M) -> dict[int, int]:
    """{row of truth: index of tracked}, one to one: as many pairs within `within_m` as possible, then the nearest."""
    if not tracked or not len(truth.people):
        return {}
    there = np.array([(person.x_m, person.y_m) for person in tracked])
    distance_m = np.linalg.norm(truth.position[:, None] - there[None], axis=2)
    cost = np.where(distance_m <= within_m, distance_m, 1e6)
    rows, columns = linear_sum_assignment(cost)
    return {int(r): int(c) for r, c in zip(rows, columns, strict=True) if distance_m[r, c] <= within_m}


def most_probable(person: Person) -> tuple[str, float]:
    """The most probable candidate and its probability; of equals the first; ("unknown", 0) without candidates."""
    return max(person.candidates, key=lambda candidate: candidate[1], default=(UNKNOWN, 0.0))
