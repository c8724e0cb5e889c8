"""Verification: what a recording can prove, what it cannot, and the first difference where there is one.

The engine here is a small one of three rules, so that a test can say exactly what fusion must have said.
"""

import msgspec
import pytest
from buses import camera, free_bus, site_on
from hypothesis import given, settings
from hypothesis import strategies as st
from whowhere.fusion.state import pack
from whowhere.launch.ranges import contains, count_new
from whowhere.launch.verify import _states, verify
from whowhere.messages import CameraFrame, Checkpoint, Event, Scene, Stamp, encode, numbered
from whowhere.nodes.bus import Received
from whowhere.nodes.ledger import Ledger
from whowhere.nodes.session import Record, SessionError, SessionWriter
from whowhere.sitefile import site_as_json

SITE = site_on(free_bus(), sensors=2)


class SumEngine:
    """Adds up what it hears: a scene at every third input (t_ns is the sum), a checkpoint at every tenth."""

    def __init__(self, site):
        self.total = self.heard = 0
        self.seq = {}

    def step(self, message):
        self.total = (self.total * 31 + message.t_ns + message.seq) % 10**9
        self.heard += 1
        out = []
        if self.heard % 3 == 0:
            out.append(self._numbered(Scene(source="fusion", t_ns=self.total, people=())))
        if self.heard % 10 == 0:
            out.append(self.checkpoint())
        return out

    def begin(self, origin):
        started = Event(source="fusion", t_ns=1, type="started", text=origin)
        return [self._numbered(started), self.checkpoint()]

    def checkpoint(self):
        ticket = self._numbered(Checkpoint(source="fusion", t_ns=self.total, state=b"", site_hash="h"))
        state = msgspec.msgpack.encode([self.total, self.heard, self.seq])
        return msgspec.structs.replace(ticket, state=state)

    def _numbered(self, message):
        return numbered(message, self.seq)

    @classmethod
    def restore(cls, site, state):
        engine = cls(site)
        engine.total, engine.heard, engine.seq = msgspec.msgpack.decode(state)
        return engine


class Tape:
    """Plays bus, fusion and recorder: a list of received messages in the hub's order."""

    def __init__(self):
        self.heard = []
        self.queue = []
        self.counts = {}
        self.engine = None
        self.last_state = None
        self.boot = ""

    def start(self, boot, subscribed_at=None):
        """A fusion process, restored from the last checkpoint; its queue may begin before it speaks."""
        self.engine = SumEngine.restore(SITE, self.last_state) if self.last_state else SumEngine(SITE)
        self.boot, self.ledger, self.queue = boot, Ledger(), list(subscribed_at or [])
        for message in self.engine.begin("x"):
            self._said(message)
        return self

    def sense(self, source, boot="s", lag=0, seq=None):
        """An input on the bus; fusion takes it once more than `lag` inputs wait in its queue."""
        key = (source, boot)
        seq = self.counts.get(key, 0) if seq is None else seq
        self.counts[key] = seq + 1
        frame = camera(source, t_ns=1000 * len(self.heard) + 1000, seq=seq)
        received = Received(frame.topic, frame, Stamp(boot, 1), encode(frame))
        self.heard.append(received)
        if self.engine:
            self.queue.append(received)
            while len(self.queue) > lag:
                self._take(self.queue.pop(0))
        return received

    def _take(self, received):
        assert self.engine is not None
        if self.ledger.admit(received.topic, received.stamp.boot, received.message.seq, received.message.t_ns):
            for message in self.engine.step(received.message):
                self._said(message)

    def _said(self, message):
        if isinstance(message, Checkpoint):
            self.last_state = message.state
            message = msgspec.structs.replace(message, received=self.ledger.ranges())
        self.heard.append(Received(message.topic, message, Stamp(self.boot, 2), encode(message)))

    def verify(self, tmp_path, heard=None):
        path = tmp_path / "tape.mcap"
        path.unlink(missing_ok=True)
        with SessionWriter(path, site_as_json(SITE)) as writer:
            for number, received in enumerate(self.heard if heard is None else heard):
                writer.write(received, 1_000_000_000 + number * 20_000_000)
        return verify(path, SumEngine.restore)

    def count(self, kind):
        return sum(r.topic.startswith(kind) for r in self.heard)


def a_minute(tape, inputs=100, lag=0):
    for number in range(inputs):
        tape.sense(f"camera-{number % 2 + 1}", lag=lag)
    return tape


def test_what_was_recorded_comes_out_again(tmp_path):
    tape = a_minute(Tape().start("f1"))
    outcome = tape.verify(tmp_path)
    assert outcome.is_identical
    assert outcome.compared == {"scene": 33, "checkpoint": 10}
    assert outcome.inputs == 100
    assert (outcome.differing, outcome.unverifiable, outcome.ended) == (0, [], None)
    assert "identical: 10 checkpoints, 33 scenes from 100 inputs" in outcome.in_words()


@given(lag=st.integers(0, 25), begin=st.integers(0, 60))
@settings(max_examples=15, deadline=None)
def test_recordings_that_begin_in_the_middle_of_a_queue_are_identical(tmp_path_factory, lag, begin):
    tape = a_minute(Tape().start("f1"), lag=lag)
    outcome = tape.verify(tmp_path_factory.mktemp("tape"), tape.heard[begin:])
    assert outcome.differing == 0, outcome.in_words()
    assert outcome.is_identical
    # An input from before the recording that waited in fusion's queue is missing, for the first checkpoints only.
    assert len(outcome.unverifiable) <= 1 + lag // 10


def test_an_altered_message_is_found_and_named(tmp_path):
    tape = a_minute(Tape().start("f1"))
    at = [n for n, r in enumerate(tape.heard) if r.topic == "scene/fusion"][20]
    forged = msgspec.structs.replace(tape.heard[at].message, t_ns=42)
    tape.heard[at] = tape.heard[at]._replace(message=forged, body=encode(forged))
    outcome = tape.verify(tmp_path)
    assert not outcome.is_identical
    assert outcome.differing == 1
    assert outcome.compared == {"scene": 32, "checkpoint": 10}
    assert outcome.first is not None
    assert (outcome.first.topic, outcome.first.seq) == ("scene/fusion", 20)
    assert list(outcome.first.fields) == ["t_ns"]
    assert outcome.first.fields["t_ns"][0] == "42"
    assert "scene/fusion number 20" in outcome.in_words()


def test_an_altered_input_is_found(tmp_path):
    tape = a_minute(Tape().start("f1"))
    at = next(n for n, r in enumerate(tape.heard) if n > 60 and isinstance(r.message, CameraFrame))
    forged = msgspec.structs.replace(tape.heard[at].message, t_ns=7)
    tape.heard[at] = tape.heard[at]._replace(message=forged, body=encode(forged))
    outcome = tape.verify(tmp_path)
    assert not outcome.is_identical
    assert outcome.differing > 10


def test_a_message_that_was_never_said_is_found(tmp_path):
    tape = a_minute(Tape().start("f1"))
    extra = Scene(source="fusion", t_ns=5, seq=1000, people=())
    tape.heard.insert(50, Received(extra.topic, extra, Stamp("f1", 2), encode(extra)))
    outcome = tape.verify(tmp_path)
    assert outcome.differing == 1
    assert outcome.first is not None
    assert outcome.first.is_missing
    assert "does not come out" in outcome.in_words()


@pytest.mark.parametrize("lag", [0, 3, 12])
def test_a_killed_and_restarted_fusion_is_verified_on_both_sides(tmp_path, lag):
    tape = a_minute(Tape().start("f1"), 47, lag)
    tape.engine = None  # what waited in its queue is lost
    a_minute(tape, 9)  # nobody listens
    waiting = [tape.sense("camera-1"), tape.sense("camera-2")]  # received before the new process first speaks
    tape.start("f2", subscribed_at=waiting)
    a_minute(tape, 50)
    outcome = tape.verify(tmp_path)
    assert outcome.is_identical, outcome.in_words()
    assert outcome.processes == 2
    assert outcome.unverifiable == []
    assert sum(outcome.compared.values()) == tape.count("scene") + tape.count("checkpoint") - 2


def test_a_restarted_source_and_an_impostor_are_followed(tmp_path):
    tape = Tape().start("f1")
    for number in range(120):
        tape.sense("camera-1", boot="s" if number < 60 else "s-again")
        if number > 30:
            tape.sense("camera-2")
        if number > 80:
            tape.sense("camera-2", boot="impostor")
    outcome = tape.verify(tmp_path)
    assert outcome.is_identical, outcome.in_words()
    assert outcome.unverifiable == []
    assert tape.ledger.counters["refused"] > 20


def test_an_input_that_the_recorder_missed_costs_one_stretch(tmp_path):
    tape = a_minute(Tape().start("f1"))
    inputs = [n for n, r in enumerate(tape.heard) if isinstance(r.message, CameraFrame)]
    heard = [r for n, r in enumerate(tape.heard) if n != inputs[34]]
    outcome = tape.verify(tmp_path, heard)
    assert outcome.is_identical
    assert outcome.unverified == 3  # scenes between the checkpoints at 30 and 40 inputs
    assert outcome.compared == {"scene": 30, "checkpoint": 9}
    [sentence] = outcome.unverifiable
    assert "received 1 messages that are not in the recording; 3 of its messages left out" in sentence
    assert sentence in outcome.in_words()


def test_an_output_that_the_recorder_missed_does_no_harm(tmp_path):
    tape = a_minute(Tape().start("f1"))
    gone = [n for n, r in enumerate(tape.heard) if r.topic == "scene/fusion"][5:8]
    outcome = tape.verify(tmp_path, [r for n, r in enumerate(tape.heard) if n not in gone])
    assert outcome.is_identical
    assert outcome.compared == {"scene": 30, "checkpoint": 10}


def test_outputs_after_the_last_checkpoint_are_verified_too(tmp_path):
    tape = a_minute(Tape().start("f1"), 28)
    outcome = tape.verify(tmp_path)
    assert outcome.compared == {"scene": 9, "checkpoint": 2}
    assert outcome.differing == 0


def test_a_recording_without_fusion_proves_nothing_and_says_so(tmp_path):
    outcome = a_minute(Tape()).verify(tmp_path)
    assert not outcome.is_identical
    assert "nothing to verify" in outcome.in_words()


def test_a_cut_recording_is_verified_up_to_the_cut(tmp_path):
    tape = a_minute(Tape().start("f1"))
    path = tmp_path / "cut.mcap"
    size = 0
    with SessionWriter(path, site_as_json(SITE)) as writer:
        for number, received in enumerate(tape.heard):
            writer.write(received, number)
            if number == 70:
                writer._writer.flush()
                size = writer.bytes
    path.write_bytes(path.read_bytes()[: size + 1000])
    outcome = verify(path, SumEngine.restore)
    assert outcome.is_identical
    assert outcome.ended is not None
    assert outcome.ended in outcome.in_words()
    assert 0 < sum(outcome.compared.values()) < 43


def test_a_forged_checkpoint_is_a_sentence(tmp_path):
    tape = a_minute(Tape().start("f1"), 15)
    at = [n for n, r in enumerate(tape.heard) if r.topic == "checkpoint/fusion"][1]
    tape.heard[at] = tape.heard[at]._replace(body=encode(camera()))
    with pytest.raises(SessionError, match="holds no checkpoint"):
        tape.verify(tmp_path)


def test_a_checkpoint_of_another_version_is_a_sentence(tmp_path):
    class Younger(SumEngine):
        @classmethod
        def restore(cls, site, state):
            raise ValueError("this state is of version 0")

    tape = a_minute(Tape().start("f1"), 15)
    tape.verify(tmp_path)
    with pytest.raises(SessionError, match=r"checkpoint 0 of fusion process f1 .* does not fit .*version 0"):
        verify(tmp_path / "tape.mcap", Younger.restore)


def test_an_input_that_is_refused_by_now_is_a_sentence(tmp_path):
    """What an older program took and recorded, such as a reading of +127 dBm."""
    tape = a_minute(Tape().start("f1"), 15)
    at = [n for n, r in enumerate(tape.heard) if r.topic.startswith("camera/")][3]
    tape.heard[at] = tape.heard[at]._replace(body=tape.heard[at].body.replace(b"image_size", b"image_sixe"))
    with pytest.raises(
        SessionError, match=r"camera/\S+ number \d+ of the recording is refused by this whowhere .*image_size"
    ):
        tape.verify(tmp_path)


def test_states_that_differ_are_told_apart_by_their_parts():
    words = _states(pack({"grid": 1, "clocks": 2}), pack({"grid": 1, "clocks": 3, "new": 4}))
    assert words[1].endswith("(in: clocks, new)")
    assert _states(b"no", b"state") == ("2 bytes", "5 bytes")


spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), max_size=5)


def _ranges(steps):
    """Disjoint ranges of one boot: gaps and lengths."""
    ranges, at = [], 0
    for gap, length in steps:
        ranges.append(("b", at + gap, at + gap + length))
        at += gap + length + 1
    return {"k/s": tuple(ranges)}


@given(spans, spans)
def test_counting_ranges_equals_counting_messages(later, earlier):
    def members(ranges):
        records = [Record("k/s", Stamp("b", 0), seq, b"", 0) for seq in range(250)]
        return {r.seq for r in records if contains(ranges, r)}

    later, earlier = _ranges(later), _ranges(earlier)
    assert count_new(later, earlier) == len(members(later) - members(earlier))
