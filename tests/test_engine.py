"""The engine as one object: deterministic, restorable at any message, tolerant of every order and gap."""

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.drivers.simulated.streams import streams
from whowhere.fusion.engine import Engine
from whowhere.messages import (
    CameraFrame,
    Checkpoint,
    Event,
    Health,
    Location,
    Message,
    Scene,
    Truth,
    WifiWindow,
    decode,
    encode,
)
from whowhere.sitefile import Site


@pytest.fixture(scope="module")
def recorded(site: Site) -> list[Message]:
    return [message for message in streams(site, 25.0) if not isinstance(message, Truth)]


def outputs(engine: Engine, messages: list[Message]) -> list[bytes]:
    return [encode(out) for message in messages for out in engine.step(message)]


def test_the_same_messages_give_the_same_bytes(site: Site, recorded: list[Message]) -> None:
    assert outputs(Engine(site), recorded) == outputs(Engine(site), recorded)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.83])
def test_a_restored_engine_goes_on_byte_for_byte(site: Site, recorded: list[Message], share: float) -> None:
    cut = int(len(recorded) * share)
    engine = Engine(site)
    outputs(engine, recorded[:cut])
    restored = Engine.restore(site, engine.snapshot())
    assert outputs(restored, recorded[cut:]) == outputs(engine, recorded[cut:])
    assert restored.snapshot() == engine.snapshot()


@pytest.mark.parametrize("kinds", [("wifi", "radar"), ("wifi",), ("camera",), ("health", "radar")])
def test_a_restored_engine_has_the_same_state_before_every_sensor_has_spoken(
    site: Site, recorded: list[Message], kinds: tuple[str, ...]
) -> None:
    """A checkpoint's state is compared byte for byte, too: a site starts up in any order."""
    early = [message for message in recorded if message.topic.startswith(kinds)][:200]
    engine = Engine(site)
    restored = Engine.restore(site, engine.snapshot())
    for message in early:
        assert outputs(restored, [message]) == outputs(engine, [message])
    assert restored.snapshot() == engine.snapshot()


def test_a_state_of_another_site_is_refused(site: Site) -> None:
    state = Engine(site).snapshot()
    with pytest.raises(ValueError, match="belongs to site"):
        Engine.restore(replace(site, name="elsewhere"), state)
    with pytest.raises(ValueError, match="not a state"):
        Engine.restore(site, b"\xc1 nonsense")


def test_arrival_order_does_not_matter_while_nothing_is_too_late(site: Site, recorded: list[Message]) -> None:
    """Sources that lag behind the world by up to 0.3 s give the same scenes as sources that do not."""
    lag_ns = {"camera-1": 300_000_000, "camera-2": 210_000_000, "sniffer-2": 120_000_000, "radar-1": 30_000_000}
    ordered = Engine(site)
    outputs(ordered, recorded[:100])
    delayed = sorted(recorded[100:], key=lambda message: message.t_ns + lag_ns.get(message.source, 0))
    lagging = Engine.restore(site, ordered.snapshot())
    known = [body for body in outputs(ordered, recorded[100:]) if isinstance(decode(body), Scene)]
    late = [body for body in outputs(lagging, delayed) if isinstance(decode(body), Scene)]
    assert not any(name.startswith("too_late") for name in lagging.counters)
    assert len(late) > 100
    assert known[: len(late)] == late[: len(known)]


def test_names_are_found(site: Site, recorded: list[Message]) -> None:
    engine = Engine(site)
    named = {
        out.id
        for message in recorded
        for out in engine.step(message)
        if isinstance(out, Location) and out.state != "anonymous"
    }
    assert named <= {"Ada", "Bruno", "Chidi", "Dana"}
    assert len(named) >= 3


def test_probabilities_of_a_scene_are_exclusive(site: Site, recorded: list[Message]) -> None:
    engine = Engine(site)
    scenes = [out for message in recorded for out in engine.step(message) if isinstance(out, Scene)]
    assert scenes
    for scene in scenes:
        bodies = [dict(person.candidates) for person in scene.people if person.track is not None]
        for candidates in bodies:
            assert sum(candidates.values()) == pytest.approx(1.0, abs=0.01)
        for name in ("Ada", "Bruno", "Chidi", "Dana"):
            assert sum(candidates.get(name, 0.0) for candidates in bodies) <= 1.001


def test_late_future_and_unknown_messages_are_counted_by_source(site: Site, recorded: list[Message]) -> None:
    engine = Engine(site)
    outputs(engine, recorded)
    frame = next(message for message in recorded if isinstance(message, CameraFrame))
    engine.step(frame)
    engine.step(replace(frame, t_ns=recorded[-1].t_ns + 60_000_000_000))
    engine.step(replace(frame, source="camera-9", t_ns=recorded[-1].t_ns))
    outputs(engine, [replace(m, t_ns=m.t_ns + 25_000_000_000) for m in recorded[:400]])
    assert engine.counters["too_late:camera-1"] >= 1
    assert engine.counters["future:camera-1"] == 1
    assert engine.counters["unknown:camera-9"] == 1


def test_a_lost_camera_does_not_hold_the_line(site: Site, recorded: list[Message]) -> None:
    engine = Engine(site)
    half = len(recorded) // 2
    outputs(engine, recorded[:half])
    engine.step(Health(source="camera-1", t_ns=recorded[half].t_ns, state="lost"))
    rest = [message for message in recorded[half:] if message.source != "camera-1"]
    scenes = [out for message in rest for out in engine.step(message) if isinstance(out, Scene)]
    assert len(scenes) > 0.9 * (recorded[-1].t_ns - recorded[half].t_ns) / 1e9 * site.fusion.scene_hz - 2


def test_begin_starts_a_verifiable_stretch(site: Site) -> None:
    started, checkpoint = Engine(site).begin(123, "checkpoint 7")
    assert isinstance(started, Event)
    assert started.type == "started"
    assert "checkpoint 7" in started.text
    assert isinstance(checkpoint, Checkpoint)
    assert Engine.restore(site, checkpoint.state).counters == {}


@pytest.mark.parametrize("left_out", ["cameras", "radars", "sniffers", "identities"])
def test_any_kind_of_sensor_may_be_missing(site: Site, recorded: list[Message], left_out: str) -> None:
    engine = Engine(replace(site, **{left_out: ()}))
    out = [out for message in recorded[:600] for out in engine.step(message)]
    assert any(isinstance(message, Scene) for message in out)


def test_devices_that_nobody_enrolled_change_nothing(site: Site, recorded: list[Message]) -> None:
    def crowded(message: Message) -> Message:
        if not isinstance(message, WifiWindow):
            return message
        strangers = tuple(f"stranger-{n}" for n in range(200))
        return replace(
            message,
            devices=(*message.devices, *strangers),
            rssi_dbm=np.append(message.rssi_dbm, np.full(200, -70, "f4")),
            rssi_std_db=np.append(message.rssi_std_db, np.zeros(200, "f4")),
            count=np.append(message.count, np.ones(200, "u4")).astype("u4"),
            channel=np.append(message.channel, np.ones(200, "u1")).astype("u1"),
        )

    plain = [b for b in outputs(Engine(site), recorded[:700]) if b"checkpoint" not in b]
    noisy = [b for b in outputs(Engine(site), [crowded(m) for m in recorded[:700]]) if b"checkpoint" not in b]
    assert plain == noisy
