"""Verification: does the engine, given what a recording says that it received, say again what the recording says?

Each fusion process of a recording is replayed on its own, from its first checkpoint in the file. Its later checkpoints
tell which inputs it received; those are fed in the order of the file, which is the hub's, and every location, scene,
event and checkpoint must come out byte for byte. Where the recorder missed an input that fusion had, the engine is
set to the next checkpoint and the stretch between is reported as not verifiable. Starts nothing, writes nothing.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from ..fusion import state as packing
from ..fusion.engine import Engine
from ..messages import INPUT_KINDS, OUTPUT_KINDS, BadMessage, Checkpoint, Event, Message, decode, encode
from ..nodes.models import models_of
from ..nodes.session import Record, Session, SessionError
from ..sitefile import Site
from .ranges import Ranges, contains, count_new, last_seq

LOOKBACK_NS = 30_000_000_000  # an input may have waited this long in fusion's queue
Restore = Callable[[Site, bytes], Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first body that differs: what was recorded, what came out (None: nothing), and the fields that differ."""

    topic: str
    seq: int
    t_ns: int
    fields: dict[str, tuple[str, str]]
    is_missing: bool = False

    def in_words(self) -> str:
        where = f"{self.topic} number {self.seq} (t = {self.t_ns / 1e9:.3f} s)"
        if self.is_missing:
            return f"{where} was recorded, but does not come out"
        diffs = "; ".join(f"{name}: recorded {was}, now {now}" for name, (was, now) in self.fields.items())
        return f"{where} differs: {diffs}"


@dataclass(slots=True)
class Outcome:
    """What verification found. compared: bodies found identical, by kind. differing: how many were not.

    unverifiable: sentences, one for each stretch that the recording does not hold enough for.
    """

    path: str
    compared: dict[str, int] = field(default_factory=dict)
    differing: int = 0
    first: Difference | None = None
    inputs: int = 0
    processes: int = 0
    unverifiable: list[str] = field(default_factory=list)
    unverified: int = 0
    ended: str | None = None

    @property
    def is_identical(self) -> bool:
        """Whether something was compared, and nothing differs. What is not verifiable does not count against it."""
        return self.differing == 0 and sum(self.compared.values()) > 0

    def figures(self) -> dict[str, Any]:
        return {
            "identical": self.is_identical,
            "compared": self.compared,
            "differing": self.differing,
            "first_difference": self.first.in_words() if self.first else None,
            "inputs": self.inputs,
            "processes": self.processes,
            "unverified": self.unverified,
            "unverifiable": self.unverifiable,
            "ended": self.ended,
        }

    def in_words(self) -> str:
        counts = ", ".join(f"{number} {kind}s" for kind, number in sorted(self.compared.items())) or "nothing"
        if self.first:
            verdict = (
                f"{self.path}: {self.differing} messages differ. The first: {self.first.in_words()}. Equal: {counts}."
            )
        elif self.is_identical:
            runs = "1 fusion process" if self.processes == 1 else f"{self.processes} fusion processes"
            verdict = f"{self.path}: identical: {counts} from {self.inputs} inputs and {runs}."
        else:
            verdict = f"{self.path}: nothing to verify: it holds no checkpoint of fusion with outputs after it."
        return "\n".join([verdict, *self.unverifiable, *([self.ended] if self.ended else [])])


def verify(path: str | Path, restore: Restore | None = None) -> Outcome:
    """Replay every fusion process of a recording and compare. Raises SiteError, and SessionError where the file is no
    session or its checkpoints are of another site or version."""
    session = Session(path)
    site = session.site()
    restore = restore or partial(Engine.restore, models=models_of(site, session.models()))
    outcome = Outcome(str(path))
    processes: dict[str, _Process] = {}
    recent: deque[Record] = deque()
    for record in session.records():
        kind = record.topic.partition("/")[0]
        if kind in INPUT_KINDS:
            recent.append(record)
            while recent[0].log_time_ns < record.log_time_ns - LOOKBACK_NS:
                recent.popleft()
            for process in processes.values():
                process.hears(record)
        elif kind in OUTPUT_KINDS or kind == "checkpoint":
            process = processes.get(record.stamp.boot)
            if process is None and kind == "checkpoint":
                for earlier in processes.values():
                    earlier.finish()
                processes[record.stamp.boot] = _Process(site, restore, outcome, record, recent)
            elif process is not None:
                process.says(record)
    for process in processes.values():
        process.finish()
    outcome.processes = len(processes)
    outcome.ended = session.ended
    return outcome


class _Process:
    """One fusion process of a recording: the engine in its place, what it may have received, and what it said."""

    def __init__(self, site: Site, restore: Restore, outcome: Outcome, start: Record, recent: "deque[Record]") -> None:
        self._site, self._restore, self._outcome, self._boot = site, restore, outcome, start.stamp.boot
        self._start = _checkpoint(start)
        self._engine = self._restored(self._start)
        self._known: Ranges = self._start.received
        self._waiting = deque(r for r in recent if not contains(self._known, r))
        self._before = {(r.topic, r.stamp.boot) for r in self._waiting}  # might not have been received at all
        self._said: list[Record] = []
        self._made: dict[tuple[str, int], bytes] = {}
        self._is_over = False

    def hears(self, record: Record) -> None:
        if not self._is_over:
            self._waiting.append(record)

    def says(self, record: Record) -> None:
        if self._is_over:
            self._outcome.unverified += 1
        elif record.topic.startswith("checkpoint/"):
            self._reach(record)
        else:
            self._said.append(record)

    def _reach(self, record: Record) -> None:
        """At a checkpoint it is known what had been received: feed that, and compare what was said until here."""
        checkpoint = _checkpoint(record)
        received = checkpoint.received
        feed: dict[tuple[str, str, int], Record] = {}
        for waiting in self._waiting:
            if contains(received, waiting) and not contains(self._known, waiting):
                feed.setdefault((waiting.topic, waiting.stamp.boot, waiting.seq), waiting)
        lacking = count_new(received, self._known) - len(feed)
        if lacking:
            self._skip_to(checkpoint, lacking)
        else:
            self._said.append(record)
            for fed in feed.values():
                self._feed(fed)
            self._compare()
        self._known, self._start = received, checkpoint
        oldest_ns = record.log_time_ns - LOOKBACK_NS
        self._waiting = deque(r for r in self._waiting if not contains(received, r) and r.log_time_ns >= oldest_ns)
        self._before = {(r.topic, r.stamp.boot) for r in self._waiting}

    def finish(self) -> None:
        """What follows the last checkpoint: the inputs it went on receiving, until everything it said has come out."""
        if self._is_over:
            return
        self._is_over = True
        if self._said and not self._known and self._before:
            self._note("has one checkpoint only, and nothing says which of the inputs before it it received")
            return
        wanted = {(record.topic, record.seq) for record in self._said if not _is_start(record)}
        for waiting in self._waiting:
            if wanted <= self._made.keys():
                break
            if self._may_follow(waiting):
                self._feed(waiting)
        self._compare()

    def _may_follow(self, record: Record) -> bool:
        """After the last checkpoint: the next of each known topic, and topics that began after it."""
        last = last_seq(self._known, record.topic, record.stamp.boot)
        if last is not None:
            return record.seq > last
        return (record.topic, record.stamp.boot) not in self._before and not record.topic.endswith(
            f"/{self._start.source}"
        )

    def _feed(self, record: Record) -> None:
        self._outcome.inputs += 1
        for message in self._engine.step(_decoded(record)):
            self._made[(message.topic, message.seq)] = _comparable(message)

    def _compare(self) -> None:
        for record in self._said:
            message = _decoded(record)
            if isinstance(message, Event) and message.type == "started":
                continue
            kind = record.topic.partition("/")[0]
            made = self._made.pop((record.topic, message.seq), None)
            if made == _comparable(message):
                self._outcome.compared[kind] = self._outcome.compared.get(kind, 0) + 1
                continue
            self._outcome.differing += 1
            if self._outcome.first is None:
                self._outcome.first = _difference(message, made)
        self._said.clear()

    def _skip_to(self, checkpoint: Checkpoint, lacking: int) -> None:
        self._note(f"received {lacking} messages that are not in the recording", checkpoint)
        self._engine = self._restored(checkpoint)
        self._made.clear()

    def _restored(self, checkpoint: Checkpoint) -> Any:
        try:
            return self._restore(self._site, checkpoint.state)
        except (ValueError, KeyError) as error:
            raise SessionError(
                f"checkpoint {checkpoint.seq} of fusion process {self._boot} in {self._outcome.path} does not fit this "
                f"whowhere ({error}): verify it with the version and site that recorded it"
            ) from error

    def _note(self, why: str, until: Checkpoint | None = None) -> None:
        """Give up what was said since the last checkpoint, with a sentence."""
        start_s = self._start.t_ns / 1e9
        stretch = f"from t = {start_s:.3f} s to " + (f"{until.t_ns / 1e9:.3f} s" if until else "its end")
        self._outcome.unverifiable.append(
            f"not verifiable {stretch}: fusion process {self._boot} {why}; {len(self._said)} of its messages left out"
        )
        self._outcome.unverified += len(self._said)
        self._said.clear()


def _decoded(record: Record) -> Message:
    try:
        return decode(record.body)
    except BadMessage as error:
        raise SessionError(
            f"{record.topic} number {record.seq} of the recording is refused by this whowhere ({error}): verify it "
            "with the version that recorded it"
        ) from error


def _checkpoint(record: Record) -> Checkpoint:
    message = _decoded(record)
    if not isinstance(message, Checkpoint):
        raise SessionError(f"{record.topic} number {record.seq} of the recording holds no checkpoint")
    return message


def _is_start(record: Record) -> bool:
    message = _decoded(record)
    return isinstance(message, Event) and message.type == "started"


def _comparable(message: Message) -> bytes:
    """The body, without what the node added: the ranges it received are its own, not the engine's."""
    return encode(replace(message, received={}) if isinstance(message, Checkpoint) else message)


def _difference(recorded: Message, made: bytes | None) -> Difference:
    if made is None:
        return Difference(recorded.topic, recorded.seq, recorded.t_ns, {}, is_missing=True)
    was, now = msgspec.structs.asdict(recorded), msgspec.structs.asdict(decode(made))
    was.pop("received", None)
    fields = {name: (_short(was[name]), _short(now.get(name))) for name in was if was[name] != now.get(name)}
    if "state" in fields:
        fields["state"] = _states(was["state"], now["state"])
    return Difference(recorded.topic, recorded.seq, recorded.t_ns, fields)


def _states(was: bytes, now: bytes) -> tuple[str, str]:
    """Two states that differ, in words: their sizes, and which parts of the engine differ."""
    try:
        before, after = packing.unpack(was), packing.unpack(now)
    except ValueError:
        return _short(was), _short(now)
    parts = sorted(
        name for name in before | after if packing.pack({"": before.get(name)}) != packing.pack({"": after.get(name)})
    )
    return _short(was), f"{_short(now)} (in: {', '.join(parts)})"


def _short(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
