"""Wrong clocks: told by health, told by the data, told by always coming too late or too early."""

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.drivers.simulated.streams import streams
from whowhere.fusion import state as packing
from whowhere.fusion.clocks import Clocks
from whowhere.fusion.engine import SOURCE, Engine
from whowhere.fusion.lag import LAGS_S, Lags
from whowhere.fusion.reorder import Reorder
from whowhere.messages import CameraFrame, Event, Health, Message, Scene, Truth, WifiWindow, encode
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


# By the data


def walk(
    seed: int, seconds: int, offset_s: float = 0.0, devices: int = 4, rate_hz: float = 2.0
) -> list[Message | dict]:
    """Ticks (dicts of places) and windows of four sniffers, of which sniffer-2's clock is wrong, in order of arrival:
    people walk between random spots, followed a quarter of a second late; unknown offsets, blocking by one's own body,
    shadowing of 3 s, noise."""
    rng = np.random.default_rng(seed)
    corners = np.array([[0.3, 0.3], [11.7, 0.3], [11.7, 9.7], [0.3, 9.7]])
    step_s = 0.25
    steps = int(seconds / step_s)
    offsets = rng.normal(0, 4, (devices, 1)) + rng.normal(0, 1.5, (devices, 4))
    carried = rng.choice([-1.4, 1.4, 2.6, 0.3], devices)
    at, goal, heading = rng.uniform(1, 9, (devices, 2)), rng.uniform(1, 9, (devices, 2)), np.zeros(devices)
    pause, shadow = np.zeros(devices), rng.normal(0, 4, (devices, 4))
    out: list[tuple[float, Message | dict]] = []
    for step in range(steps):
        now_s = step * step_s
        for who in range(devices):
            away = goal[who] - at[who]
            gap = np.hypot(*away)
            if gap < 0.3 and pause[who] <= 0:
                pause[who], goal[who] = rng.uniform(1, 6), rng.uniform(1, 9, 2)
            elif pause[who] > 0:
                pause[who] -= step_s
            else:
                at[who] += away / gap * 1.1 * step_s
                heading[who] = np.arctan2(away[1], away[0])
        keep = np.exp(-step_s / 3.0)
        shadow = keep * shadow + rng.normal(0, 4 * np.sqrt(1 - keep**2), shadow.shape)
        places = {f"phone-{who}": (float(x), float(y)) for who, (x, y) in enumerate(at + rng.normal(0, 0.04, at.shape))}
        out.append((now_s + step_s, {"t_ns": T0 + round((now_s + step_s) * S), "places": places}))
        for row, corner in enumerate(corners):
            heard = np.flatnonzero(rng.random(devices) < rate_hz * step_s)
            line = corner - at[heard]
            distance = np.sqrt((line**2).sum(axis=1) + 1.1**2)
            ahead = np.cos(np.arctan2(line[:, 1], line[:, 0]) - heading[heard] - carried[heard])
            rssi = -40 - 25 * np.log10(distance) + offsets[heard, row] + shadow[heard, row]
            rssi += rng.normal(0, 2.5, len(heard)) - 9 * np.maximum(-ahead, 0)
            t_ns = T0 + round((now_s + 0.125 + (offset_s if row == 1 else 0.0)) * S)
            out.append((now_s, window(f"sniffer-{row + 1}", t_ns, [f"phone-{who}" for who in heard], rssi)))
    return [message for _, message in sorted(out, key=lambda timed: timed[0])]


def window(source: str, t_ns: int, devices: list[str], rssi: np.ndarray) -> WifiWindow:
    count = len(devices)
    return WifiWindow(
        source=source,
        t_ns=t_ns,
        window_s=0.25,
        devices=tuple(devices),
        rssi_dbm=rssi.astype("f4"),
        rssi_std_db=np.zeros(count, "f4"),
        count=np.ones(count, "u4"),
        channel=np.ones(count, "u1"),
    )


def live(clocks: Clocks, events: list[Message | dict]) -> list[str]:
    """What is said about sniffer-2 while events come in; nothing may be said about others."""
    texts = []
    for event in events:
        if isinstance(event, dict):
            clocks.see(event["t_ns"], event["places"])
        else:
            clocks.corrected(event)
        for who, text in said(clocks):
            assert who == "sniffer-2"
            texts.append(text)
    return texts


@pytest.mark.parametrize("offset_s", [2.0, -2.0])
def test_the_data_tell_an_offset_of_two_seconds(site: Site, offset_s: float) -> None:
    clocks = Clocks(site)
    [text] = live(clocks, walk(3, 420, offset_s))
    assert "not used" in text
    assert ("ahead" if offset_s > 0 else "behind") in text
    assert abs(clocks.offset_s("sniffer-2") - offset_s) <= 1.0
    assert clocks.corrected(window("sniffer-2", T0, [], np.zeros(0))) is None


def test_the_data_tell_when_the_clock_is_right_again(site: Site) -> None:
    clocks = Clocks(site)
    assert live(clocks, walk(3, 420, 2.0))
    later = [shifted(event, 420) for event in walk(4, 2400)]
    texts = live(clocks, later)
    assert "right" in " ".join(texts)
    assert clocks.offset_s("sniffer-2") == 0.0


def shifted(event: Message | dict, seconds: int) -> Message | dict:
    if isinstance(event, dict):
        return {**event, "t_ns": event["t_ns"] + seconds * S}
    return replace(event, t_ns=event.t_ns + seconds * S)


@pytest.mark.parametrize("seed", range(5))
def test_right_clocks_raise_no_alarm(site: Site, seed: int) -> None:
    assert live(Clocks(site), walk(100 + seed, 300)) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_right_clocks_raise_no_alarm_for_long(site: Site, seed: int) -> None:
    assert live(Clocks(site), walk(1000 + seed, 1800)) == []


def test_people_who_stand_say_nothing_of_clocks(site: Site) -> None:
    """Nor does a device whose carrier is nowhere for sure."""
    lags = Lags(site.sniffers)
    rng = np.random.default_rng(1)
    for tick in range(400):
        t_ns = T0 + tick * S // 4
        lags.hear(window("sniffer-1", t_ns, ["here", "nowhere"], rng.normal(-60, 3, 2)))
        lags.see(t_ns, {"here": (4.0, 5.0)})
    assert np.ptp(lags.nats("sniffer-1")) < 1e-6
    assert lags.nats("sniffer-3").shape == LAGS_S.shape


def test_the_order_in_which_windows_arrive_does_not_matter(site: Site) -> None:
    events = walk(5, 60, 0.5)
    straight, turned = Lags(site.sniffers), Lags(site.sniffers)
    held: list[WifiWindow] = []
    for event in events:
        if isinstance(event, dict):
            straight.see(event["t_ns"], event["places"])
            if event["t_ns"] // (S // 4) % 2:
                for old in reversed(held):
                    turned.hear(old)
                held = []
            turned.see(event["t_ns"], event["places"])
        elif isinstance(event, WifiWindow):
            straight.hear(event)
            held.append(event)
    assert np.ptp(straight.nats("sniffer-2")) > 0
    assert np.array_equal(straight.nats("sniffer-2"), turned.nats("sniffer-2"))


def test_what_is_remembered_is_bounded(site: Site) -> None:
    clocks = Clocks(site)
    sizes = []
    for part in range(4):
        live(clocks, [shifted(event, 60 * part) for event in walk(6, 60)])
        shout = [f"phone-{n % 4}" for n in range(2000)] + [f"stranger-{n}" for n in range(200)]
        for n in range(50):
            t_ns = T0 + (60 * part + 59) * S + n * 1_000_000
            clocks.corrected(window("sniffer-1", t_ns, shout, np.full(2200, -60.0)))
        sizes.append(len(packing.pack(clocks.state())))
    assert max(sizes) < 60_000


def test_a_restored_state_goes_on_byte_for_byte(site: Site) -> None:
    events = walk(3, 420, 2.0)
    whole, first, second = Clocks(site), Clocks(site), Clocks(site)
    cut = int(len(events) * 0.4)
    texts = live(whole, events)
    before = live(first, events[:cut])
    second.load(packing.unpack(packing.pack(first.state())))
    assert before + live(second, events[cut:]) == texts
    assert packing.pack(second.state()) == packing.pack(whole.state())


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
