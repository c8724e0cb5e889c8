"""Bad input, as docs/fusion.md ("Bad input") defines what becomes of it: the engine never raises, never publishes what
is not finite, keeps its state bounded and restorable, and names nobody wrongly for it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from bad_streams import ADA, HOUR_NS, SECONDS, S, bodies, changed, confirmed, run
from msgspec.structs import replace
from whowhere.drivers.simulated.streams import streams
from whowhere.fusion.engine import Engine
from whowhere.fusion.reorder import Reorder
from whowhere.messages import (
    BadMessage,
    CameraFrame,
    Health,
    Message,
    RadarFrame,
    Truth,
    WifiWindow,
    decode,
    encode,
)
from whowhere.sitefile import Site


@pytest.fixture(scope="module")
def recorded(site: Site) -> list[Message]:
    return [message for message in streams(site, SECONDS) if not isinstance(message, Truth)]


# What is not finite is no message


def test_what_is_not_finite_cannot_be_made_and_not_decoded(recorded: list[Message]) -> None:
    """The constructor and `decode` refuse it and name the field; the bus counts it as `malformed` (test_bus.py)."""
    camera = next(m for m in recorded if isinstance(m, CameraFrame) and len(m.boxes))
    window = next(m for m in recorded if isinstance(m, WifiWindow) and m.devices)
    radar = next(m for m in recorded if isinstance(m, RadarFrame) and len(m.points))
    for bad in (np.nan, np.inf, -np.inf):
        for message, field in ((camera, "boxes"), (camera, "scores"), (window, "rssi_dbm"), (radar, "points")):
            good = getattr(message, field)
            spoilt = good.copy()
            spoilt.flat[-1] = bad
            with pytest.raises(ValueError, match=field):
                replace(message, **{field: spoilt})
            body = encode(message).replace(good.tobytes(), spoilt.tobytes())
            with pytest.raises(BadMessage, match=field):
                decode(body)


# Radars


@pytest.mark.parametrize("value", [-1.0, 1e30, 3e38])
def test_points_and_targets_of_any_values_do_no_harm(site: Site, recorded: list[Message], value: float) -> None:
    def junk(frame: RadarFrame) -> dict[str, Any]:
        targets = np.full((4, 9), value) if frame.frame_number % 2 else None
        return {"points": np.full((40, 5), value), "targets": targets}

    run(site, changed(recorded, RadarFrame, junk))


# Sniffers


@pytest.mark.parametrize("dbm", [0.0, 100.0, -200.0])
def test_impossible_powers_name_nobody(site: Site, recorded: list[Message], dbm: float) -> None:
    _, scenes = run(site, changed(recorded, WifiWindow, lambda m: {"rssi_dbm": np.full(len(m.devices), dbm)}))
    assert not confirmed(scenes)


@pytest.mark.parametrize("dbm", [100.5, 127.0, -255.0, 1e30, -1e30])
def test_powers_beyond_all_radio_are_refused(recorded: list[Message], dbm: float) -> None:
    window = next(m for m in recorded if isinstance(m, WifiWindow) and m.devices)
    with pytest.raises(ValueError, match="rssi_dbm"):
        replace(window, rssi_dbm=np.full(len(window.devices), dbm))


@pytest.mark.parametrize("window_s", [-5.0, 0.0])
def test_a_window_of_no_length_is_refused(recorded: list[Message], window_s: float) -> None:
    window = next(m for m in recorded if isinstance(m, WifiWindow))
    with pytest.raises(ValueError, match="window_s"):
        replace(window, window_s=window_s)


@pytest.mark.parametrize("window_s", [1e-300, 1e9, 1e300])
def test_a_window_of_impossible_length_does_no_harm(site: Site, recorded: list[Message], window_s: float) -> None:
    _, scenes = run(site, changed(recorded, WifiWindow, lambda m: {"window_s": window_s}))
    assert len(scenes) > 0.9 * SECONDS * site.fusion.scene_hz - 2


def test_a_device_that_shouts_in_a_window_is_one_reading(site: Site, recorded: list[Message]) -> None:
    """A thousand packets a second: the window holds their mean and their number; the number is not believed."""
    loud = changed(recorded, WifiWindow, lambda m: {"count": np.full(len(m.devices), 500)})
    assert [encode(s) for s in run(site, loud)[1]] == [encode(s) for s in run(site, recorded)[1]]


def shouted(messages: Sequence[Message], device: str, times: int) -> list[Message]:
    """Before each window that lists the device, as many short ones that list it alone."""
    out: list[Message] = []
    for message in messages:
        if isinstance(message, WifiWindow) and device in message.devices:
            row = [message.devices.index(device)]
            alone = {name: getattr(message, name)[row] for name in ("rssi_dbm", "rssi_std_db", "count", "channel")}
            for n in range(times, 0, -1):
                t_ns = message.t_ns - n * S // 2 // (times + 1)
                out.append(replace(message, t_ns=t_ns, window_s=0.001, devices=(device,), **alone))
        out.append(message)
    return sorted(out, key=lambda m: (m.t_ns, m.topic))


def weighed(site: Site, messages: Sequence[Message], monkeypatch: pytest.MonkeyPatch) -> int:
    """How many readings the engine weighs."""
    engine = Engine(site)
    calls = []
    hear = engine._hearing.rssi.hear
    monkeypatch.setattr(engine._hearing.rssi, "hear", lambda *args: calls.append(1) or hear(*args))
    for message in messages:
        engine.step(message)
    return len(calls)


def test_a_device_that_shouts_in_many_windows_is_thinned(
    site: Site, recorded: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most twenty readings a second and sniffer."""
    messages = shouted(recorded[:150], ADA, 40)
    windows = sum(isinstance(m, WifiWindow) for m in messages)
    assert windows > 200
    seconds = (messages[-1].t_ns - messages[0].t_ns) / S
    plain = weighed(site, recorded[:150], monkeypatch)
    assert weighed(site, messages, monkeypatch) <= plain + 20 * seconds * len(site.sniffers)


def test_a_device_listed_twice_counts_once(site: Site, recorded: list[Message]) -> None:
    def twice(window: WifiWindow) -> dict[str, Any]:
        names = ("rssi_dbm", "rssi_std_db", "count", "channel")
        return {"devices": window.devices * 2, **{name: np.tile(getattr(window, name), 2) for name in names}}

    doubled = run(site, changed(recorded, WifiWindow, twice))[1]
    assert [encode(s) for s in doubled] == [encode(s) for s in run(site, recorded)[1]]


def test_two_hundred_unknown_devices_with_long_names_change_nothing(site: Site, recorded: list[Message]) -> None:
    strangers = tuple(f"{n}-" + "x" * 10_000 for n in range(200))

    def crowded(window: WifiWindow) -> dict[str, Any]:
        fields = {"rssi_dbm": -70.0, "rssi_std_db": 0.0, "count": 1, "channel": 1}
        more = {name: np.append(getattr(window, name), np.full(200, value)) for name, value in fields.items()}
        return {"devices": (*window.devices, *strangers), **more}

    engine, scenes = run(site, changed(recorded, WifiWindow, crowded))
    plain, expected = run(site, recorded)
    assert [encode(s) for s in scenes] == [encode(s) for s in expected]
    assert engine.snapshot() == plain.snapshot() or len(engine.snapshot()) < len(plain.snapshot()) + 5_000_000


def test_all_phones_with_the_same_bias_get_the_same_names(site: Site) -> None:
    """8 dB, twice what a phone's offset is expected to scatter by: who is confirmed as whom agrees."""
    recorded = [m for m in streams(site, 40.0) if not isinstance(m, Truth)]
    names = set(confirmed(run(site, recorded)[1]))
    biased = set(confirmed(run(site, changed(recorded, WifiWindow, lambda m: {"rssi_dbm": m.rssi_dbm + 8.0}))[1]))
    who = {(t_ns, body): name for t_ns, name, body in names}
    both = [(name, who[t_ns, body]) for t_ns, name, body in biased if (t_ns, body) in who]
    assert len(both) > 0.8 * len(names) > 40
    assert sum(one == other for one, other in both) >= 0.95 * len(both)


def test_a_sniffer_with_a_wrong_position_does_no_harm(site: Site, recorded: list[Message]) -> None:
    """That it is said is another module's business (radio_calibration.py)."""
    sniffers = (replace(site.sniffers[0], position_m=(40.0, -30.0, 2.0)), *site.sniffers[1:])
    run(replace(site, sniffers=sniffers), recorded)


# Whole kinds missing


@pytest.mark.parametrize(
    ("kept", "state"),
    [((RadarFrame,), {"anonymous"}), ((CameraFrame,), {"anonymous"}), ((WifiWindow,), {"wireless"})],
)
def test_one_kind_of_sensor_alone(site: Site, recorded: list[Message], kept: tuple[type, ...], state: set[str]) -> None:
    """Bodies without names, or names without bodies."""
    _, scenes = run(site, [m for m in recorded if isinstance(m, kept)])
    assert {person.state for scene in scenes for person in scene.people} == state


def test_a_site_of_nothing_says_so(site: Site, recorded: list[Message]) -> None:
    engine, scenes = run(replace(site, radars=(), cameras=(), sniffers=(), identities=()), recorded)
    assert scenes
    assert not any(scene.people for scene in scenes)
    assert sum(n for name, n in engine.counters.items() if name.startswith("unknown:")) > 0.9 * len(recorded)


def test_without_identities_all_are_anonymous(site: Site, recorded: list[Message]) -> None:
    _, scenes = run(replace(site, identities=()), recorded)
    assert {person.state for scene in scenes for person in scene.people} == {"anonymous"}


def test_empty_frames_are_silence_about_people(site: Site, recorded: list[Message]) -> None:
    none = changed(recorded, CameraFrame, lambda m: {"boxes": [], "scores": [], "descriptors": {}})
    none = changed(none, RadarFrame, lambda m: {"points": np.zeros((0, 5))})
    _, scenes = run(site, none)
    assert len(scenes) > 0.9 * SECONDS * site.fusion.scene_hz - 2
    assert not any(bodies(scene) for scene in scenes)


def test_a_source_the_site_does_not_have_changes_nothing(site: Site, recorded: list[Message]) -> None:
    """It is counted by name, however many there are."""
    strangers = [replace(m, source=f"{m.source}-x") for m in recorded if m.source in ("camera-1", "sniffer-1")]
    both = sorted([*recorded, *strangers], key=lambda m: (m.t_ns, m.topic))
    engine, scenes = run(site, both)
    assert engine.counters["unknown:camera-1-x"] > 10
    expected = run(site, recorded)[1]
    assert [encode(s) for s in scenes][: len(expected)] == [encode(s) for s in expected][: len(scenes)]


# Time and order


def test_repeated_messages_are_used_once(site: Site, recorded: list[Message]) -> None:
    """Found by this test: equal keys in the buffer's heap compared the messages themselves, which raised."""
    engine, scenes = run(site, [m for m in recorded for _ in range(3)])
    assert [encode(s) for s in scenes] == [encode(s) for s in run(site, recorded)[1]]
    assert sum(n for name, n in engine.counters.items() if name.startswith("repeated:")) > len(recorded)


@pytest.mark.parametrize("source", ["sniffer-2", "camera-1"])
@pytest.mark.parametrize("offset_s", [2.0, -2.0])
def test_a_clock_two_seconds_wrong_leaves_the_others_alone(
    site: Site, recorded: list[Message], source: str, offset_s: float
) -> None:
    """Its messages are too late or of the future, and counted so; Clocks names it (test_clocks.py)."""
    wrong = [replace(m, t_ns=m.t_ns + round(offset_s * S)) if m.source == source else m for m in recorded]
    engine, scenes = run(site, wrong)
    refused = engine.counters.get(f"too_late:{source}", 0) + engine.counters.get(f"future:{source}", 0)
    assert refused > 0.8 * sum(m.source == source for m in recorded)
    assert len(scenes) > 0.9 * SECONDS * site.fusion.scene_hz - 2


def test_one_source_an_hour_ahead_moves_nobody(site: Site, recorded: list[Message]) -> None:
    wrong = [replace(m, t_ns=m.t_ns + HOUR_NS) if m.source == "camera-1" else m for m in recorded[50:]]
    engine, scenes = run(site, recorded[:50] + wrong)
    assert engine.counters["future:camera-1"] > 10
    assert scenes[-1].t_ns <= recorded[-1].t_ns


def test_time_jumps_forward_by_an_hour(site: Site, recorded: list[Message]) -> None:
    """No scenes for the gap; bodies of before are lost, and found anew."""
    half = len(recorded) // 2
    later = [replace(m, t_ns=m.t_ns + HOUR_NS) for m in recorded[half:]]
    _, scenes = run(site, recorded[:half] + later)
    assert 0.8 * SECONDS * site.fusion.scene_hz < len(scenes) <= SECONDS * site.fusion.scene_hz + 2
    assert bodies(scenes[-1])
    assert not bodies(scenes[-1]) & bodies(scenes[10])


def test_the_buffer_tells_that_time_has_gone_back(site: Site, recorded: list[Message]) -> None:
    """Two sources that speak of an hour ago, nobody of now, for two seconds: not before."""
    half = len(recorded) // 2
    buffer = Reorder(site.fusion)
    for message in recorded[:half]:
        buffer.push(message)
        list(buffer.released())
    assert not buffer.has_gone_back
    back = [replace(m, t_ns=m.t_ns - HOUR_NS) for m in recorded[half:]]
    told = []
    for message in back:
        buffer.push(message)
        told.append(buffer.has_gone_back)
    first = told.index(True)
    assert 1.9 * S < back[first].t_ns - back[0].t_ns < 2.5 * S
    assert all(told[first:])
    again = Reorder.from_state(site.fusion, buffer.state())
    assert again.has_gone_back
    for source in ("camera-1", "camera-2"):  # the first alone is of the future
        again.push(replace(recorded[0], source=source, t_ns=recorded[half].t_ns + 2 * S))
    assert not again.has_gone_back


def test_one_source_that_speaks_of_an_hour_ago_turns_nothing_back(site: Site, recorded: list[Message]) -> None:
    wrong = [replace(m, t_ns=m.t_ns - HOUR_NS) if m.source == "camera-1" else m for m in recorded]
    buffer = Reorder(site.fusion)
    for message in wrong:
        buffer.push(message)
        list(buffer.released())
        assert not buffer.has_gone_back


def test_time_jumps_back_by_an_hour(site: Site, recorded: list[Message]) -> None:
    """After two seconds of it the engine begins anew at the new time."""
    half = len(recorded) // 2
    back = [replace(m, t_ns=m.t_ns - HOUR_NS) for m in recorded[half:]]
    _, scenes = run(site, recorded[:half] + back)
    assert scenes[-1].t_ns > back[-1].t_ns - S
    assert scenes[-1].t_ns < recorded[0].t_ns


def test_a_clock_offset_in_health_that_is_no_number_does_no_harm(site: Site, recorded: list[Message]) -> None:
    beats = [
        Health(source=sensor.id, t_ns=m.t_ns, state="ok", clock_offset_s=bad)
        for m in recorded[:20]
        for sensor in site.sensors
        for bad in (float("nan"), float("inf"), -1e300)
    ]
    run(site, [*recorded[:20], *beats, *recorded[20:]])
