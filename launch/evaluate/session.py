"""A whole session's scores: names, positions and probabilities from `scoring`, bodies from `tracking`, and in words.

It reads recordings, or any stream of messages; whether those were recorded or fused anew is the caller's affair.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...messages import BadMessage, Message, decode
from ...nodes.session import Session
from ..counting import counted
from .recognised import rows as recognised_rows
from .reliability import Mean
from .scoring import Instant, Observer, SessionScore
from .tracking import TrackingScore, gospa, similarity_of_positions

ZERO_AT_M = 2.0  # similarity falls to 0 here, and to the 0.5 of a match at 1 m; also GOSPA's cutoff


class BodyScore:
    """How well the bodies that sensors see are followed, whoever they are."""

    def __init__(self) -> None:
        self._tracking = TrackingScore()
        self._gospa_m = Mean()

    def add(self, instant: Instant) -> None:
        """One instant. A track that follows somebody whom no sensor sees now is neither right nor wrong."""
        if not instant.is_scored:
            return
        truth, tracked = instant.truth, instant.tracked
        seen = [row for row, sensors in enumerate(truth.seen_by) if sensors]
        excused = {column for row, column in instant.owners.items() if not truth.seen_by[row]}
        judged = [person for column, person in enumerate(tracked) if column not in excused]
        true = truth.position[seen]
        there = np.array([(person.x_m, person.y_m) for person in judged]).reshape(-1, 2)
        names = [truth.people[row] for row in seen]
        self._tracking.add(names, [p.track for p in judged], similarity_of_positions(true, there, ZERO_AT_M))
        self._gospa_m.add(gospa(true, there, cutoff_m=ZERO_AT_M)["distance"], 1.0)

    def result(self) -> dict[str, Any]:
        return {**self._tracking.result(), "gospa_m": self._gospa_m.value()}


class Evaluation:
    """One pass over a session: the scores of SessionScore, and `tracking` of the bodies. Reading more is for
    observers, so that nothing is compared with truth twice."""

    def __init__(self, warm_up_s: float = 15.0, observer: Observer | None = None) -> None:
        self._tracks = BodyScore()
        self._observer = observer
        self.score = SessionScore(warm_up_s, observer=self._observe)

    def add(self, message: Message, t_sent_ns: int | None = None) -> None:
        self.score.add(message, t_sent_ns)

    def result(self) -> dict[str, Any]:
        return {**self.score.result(), "tracking": self._tracks.result()}

    def _observe(self, instant: Instant) -> None:
        self._tracks.add(instant)
        if self._observer:
            self._observer(instant)


def evaluate(messages: Iterable[tuple[Message, int | None]], warm_up_s: float = 15.0) -> dict[str, Any]:
    """The scores of a stream of (message, t_sent_ns)."""
    evaluation = Evaluation(warm_up_s)
    for message, t_sent_ns in messages:
        evaluation.add(message, t_sent_ns)
    return evaluation.result()


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
    spread = result["position_error_percentiles_m"]
    rows = [
        ("right name, owner seen", _percent(result["named_right"]), "of device-time; the most probable name"),
        ("right name, unseen", _percent(result["named_right_unseen"]), "of device-time with the owner out of view"),
        ("right name, always", _percent(result["named_right_all"]), "of device-time, seen or not"),
        ("confirmed names right", _percent(confirmed["precision"]), "of the time a name was confirmed"),
        ("confirmed and right", _percent(confirmed["recall"]), "of device-time with the owner seen"),
        ("time to confirm", _number(wait["median"], "s"), _waits(wait)),
        ("named position error", _number(result["position_error_m"], "m"), _each(result["position_error_by_state_m"])),
        ("  its percentiles", "", _each({f"{share} %": error for share, error in spread.items()})),
        ("with every name known", _number(result["oracle_error_m"], "m"), _beside(result["error_vs_oracle"])),
        ("body position error", _number(result["track_error_m"], "m"), ""),
        ("calibration error", _percent(result["calibration"]["expected_error"]), "expected, of the top probability"),
        ("  of all names", _percent(result["calibration_all"]["expected_error"]), "each candidate of each body"),
        ("bodies: MOTA", _percent(tracking["mota"]), f"{tracking['switches']} switches of {tracking['objects']}"),
        ("bodies: IDF1, HOTA", _percent(tracking["idf1"]), f"HOTA {_percent(tracking['hota'])}"),
        ("bodies: GOSPA", _number(tracking["gospa_m"], "m"), f"mean, cutoff {ZERO_AT_M:g} m"),
        ("latency p50, p99", _number(latency["p50"], "ms"), _number(latency["p99"], "ms")),
        ("messages", str(result["messages"]), f"{result['dropped']} dropped, {result['late']} late"),
    ]
    for witness, spoke, known in recognised_rows(result["recognised"]):
        remark = f"times that it spoke of who a body is; it remembers {known} bodies gone"
        rows.append((f"recognised by {witness}", str(spoke), remark))
    lines = [f"{name:<24}{value:>10}   {remark}".rstrip() for name, value, remark in rows]
    for title, key in (("top", "calibration"), ("all", "calibration_all")):
        lines += ["", f"published   right   seconds   ({title})"]
        for place in result[key]["bins"]:
            lines.append(f"{_percent(place['published']):>9}{_percent(place['right']):>8}{place['seconds']:>10.1f}")
    return [*lines, *([result["ended"]] if result.get("ended") else [])]


def _each(errors: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {_number(error, 'm')}" for name, error in errors.items())


def _waits(wait: dict[str, Any]) -> str:
    parts = f"{_number(wait['median_visible'], 's')} with the owner in view, {_number(wait['median_unseen'], 's')} not"
    whose = f"median of {counted(wait['confirmed'], 'person', 'people')}, {wait['never']} more never confirmed"
    return f"from first seen to the name confirmed, {whose}; of that wait (medians) {parts}"


def _beside(ratio: float | None) -> str:
    return "the oracle" if ratio is None else f"the oracle; published names are {ratio:.2f} times as far off"


def _percent(share: float | None) -> str:
    return "not known" if share is None else f"{share:.1%}"


def _number(value: float | None, unit: str) -> str:
    return "not known" if value is None else f"{value:.2f} {unit}"
