"""A sniffer that misses a device which another one hears says where the device is not."""

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.drivers.simulated.streams import streams
from whowhere.fusion.engine import Engine
from whowhere.fusion.evidence.rssi import CAP_NATS, Bodies, RssiEvidence
from whowhere.fusion.evidence.silence import LOST_SHARE, MOST_PACKETS, log_missed
from whowhere.fusion.identities import Identities
from whowhere.fusion.windows import DEAF_NS, HeardWindows, Miss
from whowhere.fusion.wireless import WirelessGrid
from whowhere.launch.site_files import load_site
from whowhere.messages import Message, Truth, WifiWindow, encode
from whowhere.sitefile import Area, Fusion, Site, Sniffer

DEMO = Path(__file__).parents[1] / "launch" / "sites" / "demo.toml"
AREA = Area(x_m=(0.0, 20.0), y_m=(0.0, 10.0))
HALF_S = 500_000_000
ROWS = {"phone": 0}


def sniffers(floor_dbm: float) -> list[Sniffer]:
    """One half way between the two bodies, one beside the first of them."""
    middle = Sniffer(id="middle", source="simulated", position_m=(10.0, 0.0, 2.0))
    return [middle, Sniffer(id="end", source="simulated", position_m=(1.0, 5.0, 2.0), noise_floor_dbm=floor_dbm)]


def evidence(floor_dbm: float) -> RssiEvidence:
    grid = WirelessGrid(AREA, sniffers(floor_dbm), 1)
    rssi = RssiEvidence(Fusion(), sniffers(floor_dbm), 1, grid)
    for _ in range(2):
        rssi.add(np.ones((1, rssi.mean.shape[1])))
    return rssi


def two_bodies() -> Bodies:
    """The near one 1 m from the end, the far one 18 m; both 10 m from the middle."""
    return Bodies(np.array([[2.0, 5.0], [18.0, 5.0]]), np.tile(0.01 * np.eye(2), (2, 1, 1)), np.zeros(2))


def window(number: int, packets: int = 0, channel: int = 6, others: int = 1, shift_ns: int = 0) -> WifiWindow:
    listed = 1 if packets else 0
    return WifiWindow(
        source="sniffer",
        t_ns=1_000 * HALF_S + number * HALF_S + shift_ns,
        window_s=0.5,
        devices=("phone",)[:listed],
        rssi_dbm=np.full(listed, -70, "<f4"),
        rssi_std_db=np.zeros(listed, "<f4"),
        count=np.full(listed, packets, "<u4"),
        channel=np.full(listed, channel, "|u1"),
        others=others,
    )


def misses(first: list[WifiWindow], second: list[WifiWindow], source: str = "simulated") -> list[Miss]:
    both = [replace(sniffer, source=source) for sniffer in sniffers(-70.0)]
    heard = HeardWindows(both)
    told = [(w.t_ns, row, w) for row, windows in enumerate((first, second)) for w in windows]
    return [miss for _, row, w in sorted(told, key=lambda item: item[:2]) for miss in heard.add(row, w, ROWS)]


def test_silence_alone_tells_a_far_body_from_a_near_one() -> None:
    rssi = evidence(-60.0)
    identities = Identities(("Ada",), np.zeros(1, np.intp), rssi)
    identities.numbers, identities.live = [0, 7, 8], [False, True, True]
    identities.belief = np.full((1, 3), 1 / 3)
    for second in range(1, 5):
        t_ns = second * 3 * 10**9
        identities.weigh(0, rssi.hear(0, 0, -66.0, t_ns, rssi.paths(0, two_bodies())))
        assert identities.belief[0, 1] == pytest.approx(identities.belief[0, 2], rel=0.05) or second > 1
        identities.weigh(0, rssi.miss(0, 1, 2, t_ns, rssi.paths(1, two_bodies())))
    assert identities.belief[0, 2] > 0.8 > 0.1 > identities.belief[0, 1]


def test_what_is_far_above_the_floor_is_missed_for_no_reason_of_place() -> None:
    rssi = evidence(-150.0)
    nats = rssi.miss(0, 1, 1, 10**10, rssi.paths(1, two_bodies()))
    assert nats == pytest.approx(0.0, abs=1e-6)
    assert log_missed(np.array([100.0]), np.array([25.0]), 1) == pytest.approx(np.log(LOST_SHARE))
    most = log_missed(np.array([100.0]), np.array([25.0]), 1_000)
    assert most == pytest.approx(MOST_PACKETS * np.log(LOST_SHARE))  # who shouts is not believed more


def test_a_miss_is_the_less_surprising_the_weaker_the_signal() -> None:
    log = log_missed(np.linspace(40, -40, 81), np.full(81, 36.0), 2)
    assert (np.diff(log) >= 0).all()
    assert log[40] == pytest.approx(np.log(LOST_SHARE**2 + (1 - LOST_SHARE**2) / 2))  # just at the floor: even
    assert log[-1] == pytest.approx(0.0, abs=1e-6)


def test_a_miss_teaches_the_filters_nothing_and_soon_repeated_says_less() -> None:
    rssi = evidence(-60.0)
    before = rssi.mean.copy(), rssi.covariance.copy()
    first = rssi.miss(0, 1, 2, 10**10, rssi.paths(1, two_bodies()))
    again = rssi.miss(0, 1, 2, 10**10 + HALF_S, rssi.paths(1, two_bodies()))
    assert (rssi.mean == before[0]).all()
    assert (rssi.covariance == before[1]).all()
    assert (np.abs(first) <= CAP_NATS).all()
    assert (np.abs(again) < 0.5 * np.abs(first)).all()
    assert (again * first > 0).all()


def test_who_is_missed() -> None:
    expected = [Miss(0, 1, 2, window(2).t_ns)]
    assert misses([window(1), window(2, 2), window(3)], [window(1), window(2), window(3)]) == expected
    shifted = [window(number, shift_ns=200_000_000) for number in (1, 2, 3)]
    assert [miss.sniffer for miss in misses([window(1), window(2, 2), window(3)], shifted)] == [1]


@pytest.mark.parametrize("beside", [1, 2, 3])
def test_who_is_heard_in_a_window_beside_it_is_not_missed(beside: int) -> None:
    silent = [window(number, 1 if number == beside else 0) for number in (1, 2, 3)]
    assert [miss for miss in misses([window(1), window(2, 2), window(3)], silent) if miss.sniffer == 1] == []


def test_a_sniffer_that_could_not_have_heard_misses_nothing() -> None:
    sent = [window(number, 2) for number in range(1, 40)]
    assert misses(sent, [window(1), window(2)]) == []  # it is gone
    assert misses(sent, [window(1), window(2), window(5)]) == []  # it was away
    assert misses(sent, [window(n) for n in range(1, 40)], "stations:wlan0") == []  # it lists its own clients only
    deaf = misses(sent, [window(n, others=0) for n in range(1, 40)])
    assert deaf == []  # it never heard anybody: it may be broken
    fallen = misses(sent, [window(n, others=1 if n == 1 else 0) for n in range(1, 40)])
    assert 0 < len(fallen) * HALF_S <= DEAF_NS
    elsewhere = [window(1, 1, channel=11), *[window(n) for n in range(2, 10)]]
    assert [miss for miss in misses(sent, elsewhere) if miss.sniffer == 1] == []  # it listens on another channel


def test_one_sniffer_or_none_misses_nobody() -> None:
    alone = HeardWindows(sniffers(-60.0)[:1])
    assert [alone.add(0, window(number, number % 2), ROWS) for number in range(1, 9)] == [[]] * 8
    assert HeardWindows([]).state() == {"windows": [], "alive_ns": [], "channel": []}


@pytest.fixture(scope="module")
def high_floors() -> tuple[Site, list[Message]]:
    site = load_site(DEMO)
    site = replace(site, sniffers=tuple(replace(sniffer, noise_floor_dbm=-70.0) for sniffer in site.sniffers))
    return site, [message for message in streams(site, 12.0) if not isinstance(message, Truth)]


def test_a_restored_engine_misses_the_same_byte_for_byte(high_floors: tuple[Site, list[Message]]) -> None:
    site, messages = high_floors
    cut = next(n for n, m in enumerate(messages) if isinstance(m, WifiWindow) and n > len(messages) // 2) + 1
    engine = Engine(site)
    first = [encode(out) for message in messages[:cut] for out in engine.step(message)]
    restored = Engine.restore(site, engine.snapshot())
    rest, again = ([encode(out) for m in messages[cut:] for out in e.step(m)] for e in (engine, restored))
    assert rest == again
    assert restored.snapshot() == engine.snapshot()
    anew = Engine(site)
    assert [encode(out) for message in messages for out in anew.step(message)] == first + rest
    assert anew.snapshot() == engine.snapshot()
    assert engine._hearing.rssi._missed_ns.any()  # there was something to miss


@pytest.mark.parametrize("count", [0, 1])
def test_an_engine_with_one_sniffer_or_none_misses_nobody(high_floors: tuple[Site, list[Message]], count: int) -> None:
    site, messages = high_floors
    engine = Engine(replace(site, sniffers=site.sniffers[:count]))
    for message in messages[:600]:
        engine.step(message)
    assert not engine._hearing.rssi._missed_ns.any()
