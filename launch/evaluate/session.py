"""A whole session's scores: names, positions and probabilities from `scoring`, bodies from `tracking`, and in words.

It reads recordings, or any stream of messages; whether those were recorded or fused anew is the caller's affair.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...messages import BadMessage, Message, Person, Truth, decode
from ...nodes.session import Session
from .reliability import Mean
from .scoring import SessionScore, bodies, match
from .tracking import TrackingScore, gospa, similarity_of_positions

ZERO_AT_M = 2.0  # similarity falls to 0 here, and to the 0.5 of a match at 1 m; also GOSPA's cutoff


class BodyScore:
    """How well the bodies that sensors see are followed, whoever they are."""

    def __init__(self) -> None:
        self._tracking = TrackingScore()
        self._gospa_m = Mean()

    def add(self, truth: Truth, people: tuple[Person, ...]) -> None:
        """One instant. A track that follows somebody whom no sensor sees now is neither right nor wrong."""
        tracked = bodies(people)
        seen = [row for row, sensors in enumerate(truth.seen_by) if sensors]
        excused = {column for row, column in match(truth, tracked).items() if not truth.seen_by[row]}
        judged = [person for column, person in enumerate(tracked) if column not in excused]
        true = truth.position[seen]
        there = np.array([(person.x_m, person.y_m) for person in judged]).reshape(-1, 2)
        names = [truth.people[row] for row in seen]
        self._tracking.add(names, [p.track for p in judged], similarity_of_positions(true, there, ZERO_AT_M))
        self._gospa_m.add(gospa(true, there, cutoff_m=ZERO_AT_M)["distance"], 1.0)

    def result(self) -> dict[str, Any]:
        return {**self._tracking.result(), "gospa_m": self._gospa_m.value()}


def evaluate(messages: Iterable[tuple[Message, int | None]], warm_up_s: float = 15.0) -> dict[str, Any]:
    """The scores of a stream of (message, t_sent_ns): those of SessionScore, and `tracking` of the bodies."""
    tracks = BodyScore()
    score = SessionScore(warm_up_s, observer=tracks.add)
    for message, t_sent_ns in messages:
        score.add(message, t_sent_ns)
    return {**score.result(), "tracking": tracks.result()}


def evaluate_session(path: str | Path, warm_up_s: float = 15.0) -> dict[str, Any]:
    """The scores of a recording as it was published, with `session`, how it `ended` (None: orderly) and `malformed`.

    Raises SessionError where the file is no recording.
    """
    session = Session(path)
    result = evaluate(recorded(session), warm_up_s)
    malformed = session.counters["malformed"]
    return {"session": str(path), "ended": session.ended, "malformed": malformed, **result}


def recorded(session: Session) -> Iterator[tuple[Message, int | None]]:
    """A session's messages with when each was sent; what cannot be decoded is counted by the session."""
    for record in session.records():
        try:
            message = decode(record.body)
        except BadMessage:
            session.counters["malformed"] += 1
            continue
        yield message, record.stamp.t_sent_ns


def in_words(result: dict[str, Any]) -> list[str]:
    """The result as lines of text for people."""
    confirmed, wait = result["confirmed"], result["time_to_confirm_s"]
    tracking, latency = result["tracking"], result["latency_ms"]
    rows = [
        ("right name, owner seen", _percent(result["named_right"]), "of device-time; the most probable name"),
        ("right name, always", _percent(result["named_right_all"]), "of device-time, seen or not"),
        ("confirmed names right", _percent(confirmed["precision"]), "of the time a name was confirmed"),
        ("confirmed and right", _percent(confirmed["recall"]), "of device-time with the owner seen"),
        ("time to confirm", _number(wait["median"], "s"), f"median of {wait['confirmed']}; {wait['never']} never"),
        ("position error", _number(result["position_error_m"], "m"), _by_state(result["position_error_by_state_m"])),
        ("body position error", _number(result["track_error_m"], "m"), ""),
        ("calibration error", _percent(result["calibration"]["expected_error"]), "expected, of the top probability"),
        ("bodies: MOTA", _percent(tracking["mota"]), f"{tracking['switches']} switches of {tracking['objects']}"),
        ("bodies: IDF1, HOTA", _percent(tracking["idf1"]), f"HOTA {_percent(tracking['hota'])}"),
        ("bodies: GOSPA", _number(tracking["gospa_m"], "m"), f"mean, cutoff {ZERO_AT_M:g} m"),
        ("latency p50, p99", _number(latency["p50"], "ms"), _number(latency["p99"], "ms")),
        ("messages", str(result["messages"]), f"{result['dropped']} dropped, {result['late']} late"),
    ]
    lines = [f"{name:<24}{value:>10}   {remark}".rstrip() for name, value, remark in rows]
    lines += ["", "published   right   seconds"]
    for place in result["calibration"]["bins"]:
        lines.append(f"{_percent(place['published']):>9}{_percent(place['right']):>8}{place['seconds']:>10.1f}")
    return [*lines, *([result["ended"]] if result.get("ended") else [])]


def _by_state(errors: dict[str, float | None]) -> str:
    return ", ".join(f"{state} {_number(error, 'm')}" for state, error in errors.items())


def _percent(share: float | None) -> str:
    return "not known" if share is None else f"{share:.1%}"


def _number(value: float | None, unit: str) -> str:
    return "not known" if value is None else f"{value:.2f} {unit}"
