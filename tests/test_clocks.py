"""Wrong clocks: told by health, told by always coming too late or too early, and what the engine makes of them."""

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.drivers.simulated.streams import streams
from whowhere.fusion import state as packing
from whowhere.fusion.clocks import Clocks
from whowhere.fusion.engine import SOURCE, Engine
from whowhere.fusion.reorder import Reorder
from whowhere.messages import CameraFrame, Event, Health, Message, Scene, Truth, encode
from whowhere.sitefile import Site

S = 1_000_000_000
T0 = 1_760_000_000 * S
NO_BOXES, NO_SCORES = np.zeros((0, 4), "f4"), np.zeros(0, "f4")


def health(source: str, offset_s: float | None, t_ns: int = T0) -> Health:
    return Health(source=source, t_ns=t_ns, state="ok", clock_offset_s=offset_s)


def frame(source: str = "camera-1", t_ns: int = T0) -> CameraFrame:
    return CameraFrame(source=source, t_ns=t_ns, boxes=NO_BOXES, scores=NO_SCORES, image_size=(640, 480))


def said(clocks: Clocks) -> list[tuple[str, str]]:
    return [(e.id, e.text) for e in clocks.take_warnings(SOURCE, T0) if isinstance(e, Event) and e.type == "warning"]


# By health


@pytest.mark.parametrize("offset_s", [0.3, -0.3, 1.0, -0.97])
def test_an_offset_up_to_a_second_is_taken_out_of_measurements_and_heartbeats(site: Site, offset_s: float) -> None:
    clocks = Clocks(site)
    told = clocks.corrected(health("camera-1", offset_s))
    seen = clocks.corrected(frame())
    assert told
    assert seen
    assert told.t_ns == seen.t_ns == T0 - round(offset_s * S)
    other = frame("camera-2")
    assert clocks.corrected(other) is other
    assert not said(clocks)


def test_an_offset_that_trembles_does_not_move_times(site: Site) -> None:
    clocks = Clocks(site)
    times = []
    for beat in range(60):
        clocks.corrected(health("camera-1", 0.3 + 0.009 * (-1) ** beat))
        corrected = clocks.corrected(frame())
        assert corrected
        times.append(corrected.t_ns)
    assert len(set(times)) == 1
    fresh = frame("camera-2")
    clocks.corrected(health("camera-2", 0.015))
    assert clocks.corrected(fresh) is fresh


def test_a_drifting_clock_is_followed_without_disorder(site: Site) -> None:
    """Half a per cent is a hundred times worse than any quartz; frames stay in order and within the quantum."""
    clocks, last_ns = Clocks(site), 0
    for tick in range(4000):
        true_ns = T0 + tick * S // 30
        drift_s = 0.005 * tick / 30
        if tick % 30 == 0:
            clocks.corrected(health("camera-1", drift_s))
        corrected = clocks.corrected(frame(t_ns=true_ns + round(drift_s * S)))
        assert corrected
        assert last_ns < corrected.t_ns
        assert abs(corrected.t_ns - true_ns) < 0.03 * S
        last_ns = corrected.t_ns


def test_a_larger_offset_is_flagged_once_and_once_more_when_over(site: Site) -> None:
    clocks = Clocks(site)
    for _ in range(5):
        beat = clocks.corrected(health("camera-1", 2.0))
        assert isinstance(beat, Health)
        assert beat.state == "lost"  # nobody waits for it
        assert clocks.corrected(frame()) is None
    assert clocks.counters == {"clock:camera-1": 5}
    [(who, text)] = said(clocks)
    assert who == "camera-1"
    assert "2.0 s ahead" in text
    clocks.corrected(health("camera-1", 0.95))  # hysteresis
    assert clocks.corrected(frame()) is None
    clocks.corrected(health("camera-1", 0.5))
    assert clocks.corrected(frame())
    assert [who for who, _ in said(clocks)] == ["camera-1"]


@pytest.mark.parametrize("told", [None, float("nan"), float("inf"), -float("inf")])
def test_an_unmeasured_or_impossible_offset_says_nothing(site: Site, told: float | None) -> None:
    clocks, seen = Clocks(site), frame()
    clocks.corrected(health("camera-1", told))
    assert clocks.corrected(seen) is seen
    assert not said(clocks)


def test_sources_the_site_does_not_have_are_left_alone(site: Site) -> None:
    clocks = Clocks(site)
    clocks.corrected(health("page", 7.0))
    stranger = frame("camera-9")
    assert clocks.corrected(stranger) is stranger
    assert not said(clocks)
    assert packing.pack(clocks.state()) == packing.pack(Clocks(site).state())


def test_a_time_before_the_epoch_is_the_epoch(site: Site) -> None:
    clocks = Clocks(site)
    clocks.corrected(health("camera-1", 0.5))
    corrected = clocks.corrected(frame(t_ns=5))
    assert corrected
    assert corrected.t_ns == 0


# By order of arrival


def feed(site: Site, shift_s: float, seconds: float, clocks: Clocks, reorder: Reorder, from_s: float = 0.0) -> None:
    for tick in range(int(from_s * 10), int((from_s + seconds) * 10)):
        t_ns = T0 + tick * S // 10
        for source, when in (("camera-1", t_ns), ("camera-2", t_ns + 1), ("radar-1", t_ns + round(shift_s * S))):
            message = replace(frame(source, when), seq=tick)
            clocks.judged(message, reorder.push(message))
        list(reorder.released())


@pytest.mark.parametrize(("shift_s", "words"), [(-2.0, "2.0 s behind"), (2.0, "2.0 s ahead"), (-30.0, "30.0 s behind")])
def test_a_source_always_too_late_or_too_early_is_named_once(site: Site, shift_s: float, words: str) -> None:
    clocks, reorder = Clocks(site), Reorder(site.fusion)
    feed(site, 0.0, 3.0, clocks, reorder)
    feed(site, shift_s, 30.0, clocks, reorder, 3.0)
    [(who, text)] = said(clocks)
    assert who == "radar-1"
    assert words in text
    feed(site, 0.0, 20.0, clocks, reorder, 33.0)
    [(who, text)] = said(clocks)
    assert who == "radar-1"
    assert "in time again" in text


def test_a_source_a_little_late_or_late_for_a_moment_is_not_named(site: Site) -> None:
    clocks, reorder = Clocks(site), Reorder(site.fusion)
    feed(site, -0.3, 20.0, clocks, reorder)
    feed(site, -2.0, 2.0, clocks, reorder, 20.0)
    feed(site, 0.0, 20.0, clocks, reorder, 22.0)
    assert not said(clocks)


# In the engine


@pytest.fixture(scope="module")
def recorded(site: Site) -> list[Message]:
    """Seven seconds with a heartbeat of each sensor every second, all clocks right."""
    out: list[Message] = []
    beats = 0
    for message in streams(site, 7.0):
        if isinstance(message, Truth):
            continue
        while message.t_ns >= T0 + beats * S:
            out += [health(sensor.id, 0.0, T0 + beats * S) for sensor in site.sensors]
            beats += 1
        out.append(message)
    return out


def with_offset(messages: list[Message], source: str, offset_s: float) -> list[Message]:
    def wrong(message: Message) -> Message:
        if message.source != source:
            return message
        late = replace(message, t_ns=message.t_ns + round(offset_s * S))
        return replace(late, clock_offset_s=offset_s) if isinstance(late, Health) else late

    return [wrong(message) for message in messages]


def scenes(engine: Engine, messages: list[Message]) -> list[bytes]:
    return [encode(out) for message in messages for out in engine.step(message) if isinstance(out, Scene)]


@pytest.mark.parametrize(("source", "offset_s"), [("camera-1", 0.5), ("sniffer-2", -0.8), ("radar-1", 1.0)])
def test_a_told_offset_changes_no_scene(site: Site, recorded: list[Message], source: str, offset_s: float) -> None:
    right = scenes(Engine(site), recorded)
    assert len(right) > 25
    assert scenes(Engine(site), with_offset(recorded, source, offset_s)) == right


def test_an_offset_of_two_seconds_is_flagged_and_the_rest_goes_on(site: Site, recorded: list[Message]) -> None:
    engine = Engine(site)
    out = [out for message in with_offset(recorded, "camera-1", 2.0) for out in engine.step(message)]
    [warning] = [event for event in out if isinstance(event, Event) and event.type == "warning"]
    assert warning.id == "camera-1"
    assert engine.counters["clock:camera-1"] == sum(
        isinstance(message, CameraFrame) and message.source == "camera-1" for message in recorded
    )
    assert sum(isinstance(message, Scene) for message in out) > 25


@pytest.mark.parametrize(("offset_s", "words"), [(2.0, "ahead"), (-2.0, "behind")])
def test_an_untold_offset_of_two_seconds_is_named_within_seconds(
    site: Site, recorded: list[Message], offset_s: float, words: str
) -> None:
    """By order alone: no health, and no time to learn from the data."""
    engine = Engine(site)
    untold: list[Message] = [message for message in recorded if not isinstance(message, Health)]
    out = [out for message in with_offset(untold, "sniffer-2", offset_s) for out in engine.step(message)]
    [warning] = [event for event in out if isinstance(event, Event) and event.type == "warning"]
    assert warning.id == "sniffer-2"
    assert words in warning.text
    said_s = float(warning.text.split(" is ")[1].split(" s ")[0])
    assert abs(said_s - 2.0) <= 0.5
