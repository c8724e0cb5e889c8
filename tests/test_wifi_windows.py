"""Windows and pseudonyms: what is counted where, when windows close, and that no address ever leaves."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whowhere.drivers.wifi import Pseudonyms, Sighting, Windows, enrolled_pseudonym, load_key
from whowhere.drivers.wifi.dot11 import EITHER, NETWORK
from whowhere.messages import WifiWindow, decode, encode
from whowhere.sitefile import SiteError

KEY = bytes(range(32))
S = 1_000_000_000
T0 = 1_700_000_000 * S
ANNA = bytes.fromhex("a483e7123456")
OTHER = bytes.fromhex("5c1130aabbcc")
RETRY = 0x0840


def windows(unenrolled: str = "count", window_s: float = 0.5) -> Windows:
    return Windows("w1", window_s, Pseudonyms(KEY, ["A4:83:E7:12:34:56"], unenrolled))  # type: ignore[arg-type]


def heard(at_s: float, dbm: int = -50, who: bytes = ANNA, seq: int = -1, **more: int) -> Sighting:
    sequence = seq << 4 if seq >= 0 else -1
    return Sighting(T0 + round(at_s * S), who, dbm, 6, sequence=sequence, **more)


def run(these: Windows, sightings: list[Sighting]) -> list[WifiWindow]:
    return [window for sighting in sightings for window in these.add(sighting)] + these.finish()


def test_mean_spread_and_count_of_a_window() -> None:
    these = windows()
    (window,) = run(these, [heard(0.1, -50), heard(0.2, -53), heard(0.3, -59)])
    assert window.t_ns == T0 + S // 2
    assert window.devices == (enrolled_pseudonym(KEY, "a4:83:e7:12:34:56"),)
    assert window.rssi_dbm[0] == pytest.approx(-54)
    assert window.rssi_std_db[0] == pytest.approx(np.std([-50, -53, -59]))
    assert (window.count[0], window.channel[0], window.others) == (3, 6, 0)


def test_a_frame_on_the_boundary_begins_the_next_window() -> None:
    first, second = run(windows(), [heard(0.0), heard(0.5)])
    assert (first.t_ns, second.t_ns) == (T0 + S // 2, T0 + S)


def test_windows_wait_a_little_for_packets_on_their_way() -> None:
    these = windows()
    assert these.add(heard(0.1)) == []
    assert these.add(heard(0.55)) == []
    assert these.add(heard(0.49)) == []  # the first window is still open
    (window,) = these.add(heard(0.6))
    assert window.count[0] == 2
    assert these.add(heard(0.48)) == []
    assert these.counters["late"] == 1


def test_ticks_close_windows_and_empty_ones_are_told() -> None:
    these = windows()
    these.tick(T0)
    closed = these.add(heard(0.7)) + these.tick(T0 + round(2.1 * S))
    assert [len(window.devices) for window in closed] == [0, 1, 0, 0]
    assert [window.t_ns - T0 for window in closed] == [S // 2, S, 3 * S // 2, 2 * S]


def test_a_pause_is_not_told_as_empty() -> None:
    these = windows()
    run(these, [heard(0.1)])
    (window,) = run(these, [heard(30.1)])
    assert window.t_ns == T0 + round(30.5 * S)


def test_a_lost_source_drops_the_unfinished_window_only() -> None:
    """A window that was not listened to in full, ending in the future, is none."""
    these = windows()
    for at in (0.1, 0.45, 0.55):
        these.add(heard(at))
    (window,) = these.pause()
    assert (window.t_ns, window.count[0]) == (T0 + S // 2, 2)
    assert these.counters["unfinished"] == 1
    assert run(these, [heard(9.1)])[0].t_ns == T0 + round(9.5 * S)


def test_retries_count_once_and_new_frames_always() -> None:
    these = windows()
    run(these, [heard(0.1, seq=7), heard(0.11, seq=7, frame_control=RETRY), heard(0.12, seq=8, frame_control=RETRY)])
    assert (these.counters["used"], these.counters["retries"]) == (2, 1)
    run(these, [heard(0.1, seq=9), heard(0.2, seq=9)])  # not marked as a retry: a new frame
    assert these.counters["used"] == 4


def test_a_retry_in_the_next_window_is_known() -> None:
    these = windows()
    these.add(heard(0.49, seq=7))
    these.tick(T0 + round(0.61 * S))
    these.add(heard(0.62, seq=7, frame_control=RETRY))
    assert these.counters["retries"] == 1


def test_access_points_and_unknown_control_frames_do_not_count() -> None:
    these = windows()
    (window,) = run(these, [heard(0.1), heard(0.1, who=OTHER, role=NETWORK), heard(0.1, who=OTHER, role=EITHER),
                            heard(0.2, -60, role=EITHER)])  # fmt: skip
    assert (window.count[0], window.others, these.counters["not_client"]) == (2, 0, 2)


def test_strangers_are_counted_or_listed_as_the_site_says() -> None:
    frames = [heard(0.1), heard(0.2, who=OTHER), heard(0.3, who=OTHER), heard(0.3, who=b"\x06abcde")]
    (counted,) = run(windows(), frames)
    assert (len(counted.devices), counted.others) == (1, 2)
    (listed,) = run(windows("pseudonym"), frames)
    assert (len(listed.devices), listed.others, sorted(listed.count)) == (3, 0, [1, 1, 2])


def test_a_device_that_shouts_a_thousand_times_a_second() -> None:
    frames = [heard(n / 1000, -40 - n % 3, seq=n % 4096) for n in range(5000)]
    closed = run(windows(), frames)
    assert [window.count[0] for window in closed] == [500] * 10


def test_one_damaged_time_costs_one_packet() -> None:
    for wrong in (1e6, 60.0, -1e6):
        these = windows()
        closed = run(these, [heard(0.1), heard(0.2), heard(wrong), heard(0.3), heard(0.6), heard(1.2)])
        assert [int(window.count.sum()) for window in closed] == [3, 1, 1]
        assert these.counters["bad_times"] == 1


def test_a_silence_is_filled_and_a_clock_that_was_set_is_followed() -> None:
    these = windows()
    assert len(run(these, [heard(0.1), heard(60.1), heard(60.2)])) == 121
    for jump in (1e6, -1e6):
        these = windows()
        closed = run(these, [heard(0.1), heard(jump), heard(jump + 0.1), heard(jump + 0.7)])
        assert sum(int(window.count.sum()) for window in closed) >= 3
        assert len(closed) == 3
        assert these.counters["time_jumps"] == 1


@settings(deadline=None)  # the machine may be busy
@given(
    st.lists(st.tuples(st.integers(0, 2**62), st.binary(min_size=6, max_size=6), st.integers(-120, -1)), max_size=30)
)
def test_any_times_never_raise(rows: list[tuple[int, bytes, int]]) -> None:
    these = windows("pseudonym")
    for t_ns, who, dbm in rows:
        for window in these.add(Sighting(t_ns, who, dbm, 1)):
            decode(encode(window))
    these.finish()


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.floats(0, 20), st.integers(-100, -20)), min_size=1, max_size=60))
def test_nothing_is_lost_or_counted_twice(rows: list[tuple[float, int]]) -> None:
    these = windows()
    closed = run(these, [heard(at, dbm) for at, dbm in sorted(rows)])
    assert sum(int(window.count.sum()) for window in closed) == len(rows)
    assert len({window.t_ns for window in closed}) == len(closed)
    assert all(window.t_ns % (S // 2) == 0 for window in closed)


def test_no_address_leaves_in_any_form() -> None:
    """Neither raw nor as text, for enrolled, listed and counted devices alike."""
    rng = random.Random(3)
    addresses = [ANNA, *(bytes((rng.randrange(256) & 0xFE, *rng.randbytes(5))) for _ in range(200))]
    bodies = []
    for unenrolled in ("count", "pseudonym"):
        frames = [heard(n / 50, -40 - n % 50, who, seq=n) for n, who in enumerate(addresses * 3)]
        bodies += [encode(window) for window in run(windows(unenrolled), frames)]
    assert sum(map(len, bodies)) > 10_000
    everything = b"".join(bodies).lower()
    for address in addresses:
        text = address.hex()
        forms = [address, address[::-1], text.encode(), *(sep.join(text[i : i + 2] for i in range(0, 12, 2)).encode()
                 for sep in (":", "-", " ", "."))]  # fmt: skip
        for form in forms:
            assert form.lower() not in everything


def test_pseudonyms_last_for_the_enrolled_and_a_day_for_others() -> None:
    names = Pseudonyms(KEY, ["a4:83:e7:12:34:56"], "pseudonym")
    day = 86_400 * S
    assert names.of(ANNA, 0) == names.of(ANNA, 400 * day) == enrolled_pseudonym(KEY, "A4:83:E7:12:34:56")
    today = names.of(OTHER, T0)
    assert today == names.of(OTHER, T0 // day * day) == names.of(OTHER, T0 // day * day + day - 1)
    assert today != names.of(OTHER, T0 + day)
    assert today == names.of(OTHER, T0)  # and back, by packet time
    assert today != Pseudonyms(KEY[::-1], [], "pseudonym").of(OTHER, T0)
    assert Pseudonyms(KEY, []).of(OTHER, T0) is None
    with pytest.raises(ValueError, match="not a hardware address"):
        enrolled_pseudonym(KEY, "a4:83")


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "site.key"
    key = load_key(path)
    assert len(key) == 32
    assert load_key(str(path)) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["site.key"]
    path.write_bytes(b"short")
    with pytest.raises(SiteError, match=r"holds 5 bytes, a key has 32"):
        load_key(path)
    with pytest.raises(SiteError, match="cannot be read or made"):
        load_key(tmp_path / "keys" / "site.key" / "below")
