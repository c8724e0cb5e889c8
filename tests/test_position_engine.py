"""Phones' own positions in the engine: in any order, late, wrong, alone, and restored at any message."""

from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace
from phone_truth import Errors, arriving, scores, with_phones
from whowhere.drivers.simulated.streams import EPOCH_NS, streams
from whowhere.fusion.engine import Engine
from whowhere.fusion.reorder import Reorder
from whowhere.messages import Checkpoint, Message, PhonePosition, Scene, Truth, WifiWindow, encode
from whowhere.sitefile import Fusion, Phone, Site

SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def phoned(site: Site) -> Site:
    return with_phones(site)


@pytest.fixture(scope="module")
def recorded(phoned: Site) -> list[Message]:
    stream = arriving(phoned, streams(phoned, 25.0), 1, Errors())
    return [message for message in stream if not isinstance(message, Truth)]


def outputs(engine: Engine, messages: Sequence[Message]) -> list[bytes]:
    return [encode(out) for message in messages for out in engine.step(message)]


def scenes(engine: Engine, messages: Sequence[Message]) -> list[Scene]:
    return [out for message in messages for out in engine.step(message) if isinstance(out, Scene)]


def without_identities(site: Site, who: str) -> Site:
    """The site with one phone's owner enrolled without any device that sniffers hear."""
    known = tuple(replace(i, devices=()) if i.name == who else i for i in site.identities)
    return replace(site, identities=known)


def position(at_s: float, x: float = 6.0, y: float = 5.0, sd_m: float = 1.0, source: str = "phone-ada", seq: int = 0):
    return PhonePosition(
        source=source,
        t_ns=EPOCH_NS + round(at_s * SECOND_NS),
        seq=seq,
        x_m=x,
        y_m=y,
        covariance_m2=(sd_m**2, 0.0, sd_m**2),
    )


def test_the_same_messages_give_the_same_bytes(phoned: Site, recorded: list[Message]) -> None:
    assert outputs(Engine(phoned), recorded) == outputs(Engine(phoned), recorded)


@pytest.mark.parametrize(("share", "who"), [(0.02, ""), (0.3, "Ada"), (0.83, "")])
def test_a_restored_engine_goes_on_byte_for_byte(phoned: Site, recorded: list[Message], share: float, who: str) -> None:
    phoned = without_identities(phoned, who)
    cut = int(len(recorded) * share)
    engine = Engine(phoned)
    outputs(engine, recorded[:cut])
    restored = Engine.restore(phoned, engine.snapshot())
    assert outputs(restored, recorded[cut:]) == outputs(engine, recorded[cut:])
    assert restored.snapshot() == engine.snapshot()


def test_phones_that_say_nothing_change_nothing(site: Site, phoned: Site) -> None:
    """Registered phones alone: the same scenes as without them, but for the site's hash in checkpoints."""
    stream = [message for message in streams(site, 12.0) if not isinstance(message, Truth)]
    said = [
        [encode(out) for message in stream for out in engine.step(message) if not isinstance(out, Checkpoint)]
        for engine in (Engine(site), Engine(phoned))
    ]
    assert said[0] == said[1]


def test_positions_hold_no_line(phoned: Site, recorded: list[Message]) -> None:
    """Nobody waits for a phone: scenes come at the same message with positions or without."""
    plain = [message for message in recorded if not isinstance(message, PhonePosition)]
    times = []
    for messages in (recorded, plain):
        engine = Engine(phoned)
        times.append([(m.t_ns, s.t_ns) for m in messages for s in engine.step(m) if isinstance(s, Scene)])
    assert times[0] == times[1]


def test_a_phone_whose_clock_is_an_hour_ahead_moves_no_time() -> None:
    buffer = Reorder(Fusion())
    for number in range(20):
        buffer.push(WifiWindow(source="s", t_ns=EPOCH_NS + number * SECOND_NS // 2, seq=number, **EMPTY))
        before = buffer.watermark_ns
        assert buffer.push(position(3600.0 + number, seq=number)) > 0
        assert buffer.watermark_ns == before
    assert len(list(buffer.released())) == 20
    assert buffer.counters == {"used:s": 20, "future:phone-ada": 20}


EMPTY = {
    "window_s": 0.5,
    "devices": (),
    **{n: np.zeros(0) for n in ("rssi_dbm", "rssi_std_db", "count", "channel")},
}


def test_late_positions_are_used_and_those_too_late_or_absurd_counted(phoned: Site, recorded: list[Message]) -> None:
    engine = Engine(phoned)
    sensed = [message for message in recorded if not isinstance(message, PhonePosition)]
    outputs(engine, [message for message in sensed if message.t_ns < EPOCH_NS + 20 * SECOND_NS])
    told = [
        position(15.0),  # 5 s late
        position(15.0),  # again
        position(10.0),  # 10 s late
        position(16.0, x=5e5),
        position(16.5, source="nobody"),
        position(90.0),
        position(16.1),
        position(16.2),
    ]
    for number, message in enumerate(told):
        assert not [out for out in engine.step(replace(message, seq=number)) if isinstance(out, Scene)]
    counted = {name: n for name, n in engine.counters.items() if name.endswith((":phone-ada", ":nobody"))}
    assert counted == {
        "late:phone-ada": 2,
        "too_late:phone-ada": 2,
        "absurd:phone-ada": 1,
        "unknown:nobody": 1,
        "future:phone-ada": 1,
        "too_soon:phone-ada": 1,
    }
    assert scenes(engine, [message for message in sensed if message.t_ns >= EPOCH_NS + 20 * SECOND_NS])


def test_lateness_costs_little(site: Site) -> None:
    """Bodies are taken where they were: positions 4 s late name nearly as well as fresh ones."""
    right: dict[float, list[float]] = {0.2: [], 4.0: []}
    for seed in (41, 43):
        phoned = with_phones(site, seed)
        sensed = list(streams(phoned, 60.0))
        for late_s, found in right.items():
            messages = arriving(phoned, sensed, seed, Errors(sd_m=1.5, late_s=late_s))
            found.append(scores(phoned, messages, without=(WifiWindow,))["named_right"])
    assert np.mean(right[4.0]) > np.mean(right[0.2]) - 0.12


def test_positions_name_bodies_where_no_sniffer_hears(site: Site) -> None:
    """By phones alone, of a site without sniffers and of people without devices."""
    phoned = with_phones(site, 44)
    alone = replace(phoned, sniffers=(), identities=tuple(replace(i, devices=()) for i in phoned.identities))
    messages = arriving(phoned, streams(phoned, 60.0), 44, Errors(sd_m=1.5))
    result = scores(alone, messages, without=(WifiWindow,))
    assert result["named_right"] > 0.7
    assert result["confirmed"]["precision"] > 0.85


def test_a_site_of_phones_alone_publishes_where_they_are(site: Site) -> None:
    """No camera, no radar, no sniffer: a phone's own position with its uncertainty, and its sensors' names."""
    phones = (Phone(id="phone-ada", owner="Ada"), Phone(id="phone-bruno", owner="Bruno"))
    bare = replace(site, cameras=(), radars=(), sniffers=(), phones=phones)
    bare = replace(bare, identities=tuple(replace(i, devices=()) for i in site.identities))
    messages = [
        position(float(second), x, 4.0, 1.5, source, second)
        for second in range(30)
        for x, source in ((3.0, "phone-ada"), (9.0, "phone-bruno"))
    ]
    published = scenes(Engine(bare), messages)
    assert len(published) > 100
    people = {person.id: person for person in published[-1].people}
    assert set(people) == {"Ada", "Bruno"}
    for name, x in (("Ada", 3.0), ("Bruno", 9.0)):
        assert people[name].state == "wireless"
        assert people[name].sources == (f"phone-{name.lower()}",)
        assert abs(people[name].x_m - x) < 0.5
        assert 1.0 < people[name].covariance_m2[0] < 4.0


def test_who_falls_silent_is_less_and_less_sure_and_then_gone(site: Site) -> None:
    phones = (Phone(id="phone-ada", owner="Ada"), Phone(id="phone-bruno", owner="Bruno"))
    bare = replace(site, cameras=(), radars=(), sniffers=(), phones=phones)
    messages = [position(float(s), 9.0, 4.0, 1.5, "phone-bruno", s) for s in range(40)]
    messages += [position(float(s), 3.0, 4.0, 1.5, "phone-ada", s) for s in range(20)]
    published = scenes(Engine(bare), sorted(messages, key=lambda m: m.t_ns))
    ada = {(s.t_ns - EPOCH_NS) / 1e9: p for s in published for p in s.people if p.id == "Ada"}
    spread = [next(p for t, p in ada.items() if t > when).covariance_m2[0] for when in (18.0, 22.0, 27.0)]
    assert spread == sorted(spread)
    assert spread[2] > 1.5 * spread[0]
    assert max(ada) < 30.0
    assert any(p.id == "Bruno" for p in published[-1].people)
