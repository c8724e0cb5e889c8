"""Wrong clocks of sniffers, told by the data: what is heard fits where its carriers were at another time."""

import numpy as np
import pytest
from msgspec.structs import replace
from test_clocks import T0, S, said
from whowhere.fusion import state as packing
from whowhere.fusion.clocks import Clocks
from whowhere.fusion.lag import LAGS_S, Lags
from whowhere.messages import Message, WifiWindow
from whowhere.sitefile import Site


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
