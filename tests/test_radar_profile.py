"""What `whowhere check FILE.cfg` says: numbers against TI's own examples, broken files in one sentence each."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whowhere.drivers.radar import describe, read_profile
from whowhere.drivers.radar.configure import MAX_LINE, commands_of

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = (ROOT / "launch" / "sites" / "iwr6843_oob_10hz.cfg").read_text()
PEOPLE = """sensorStop
channelCfg 15 7 0
profileCfg 0 60.75 30 25 59.1 0 0 54.71 1 96 2950 0 0 36
chirpCfg 0 0 0 0 0 0 0 1
frameCfg 0 2 96 0 55.00 1 0
dynamicRACfarCfg -1 4 4 2 2 8 12 4 12 5.00 8.00 0.40 1 1
sensorPosition 2 0 15
trackingCfg 1 2 800 30 46 96 55
sensorStart
"""


def test_people_counting_figures() -> None:
    """Protocols A7: 0.084 m, +-4.45 m/s, 0.093 m/s, 18.2 Hz; a range of 7.3 m at 0.9 of the band."""
    profile = read_profile(PEOPLE)
    assert profile.demo == "3D People Counting"
    assert profile.range_resolution_m == pytest.approx(0.084, abs=5e-4)
    assert profile.max_range_m is not None
    assert profile.max_range_m * 0.9 / 0.8 == pytest.approx(7.3, abs=0.05)
    assert profile.max_speed_m_s == pytest.approx(4.45, abs=0.01)
    assert profile.speed_resolution_m_s == pytest.approx(0.093, abs=1e-3)
    assert profile.frame_rate_hz == pytest.approx(18.2, abs=0.05)
    assert profile.problems == []


def test_shipped_configuration() -> None:
    profile = read_profile(SHIPPED)
    assert profile.is_usable
    assert profile.problems == []
    assert profile.frame_rate_hz == 10
    assert profile.max_range_m == pytest.approx(14.4, abs=0.05)
    assert profile.points_that_fit is not None
    assert profile.points_that_fit > 400
    assert any("10.0 a second" in line for line in describe(SHIPPED))
    assert all(len(command.text) <= MAX_LINE for command in commands_of(SHIPPED))
    assert SHIPPED.isascii()


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("frameCfg 0 2 96 0 55.00 1 0\n", "", "CANNOT WORK: frameCfg is missing: the sensor will not start"),
        ("chirpCfg 0 0 0 0 0 0 0 1\n", "", "CANNOT WORK: chirpCfg is missing"),
        ("frameCfg 0 2 96", "frameCfg 0 2 x", "line 5: `frameCfg 0 2 x 0 55.00 1 0`: holds something that is no"),
        ("54.71 1 96 2950 0 0 36", "54.71", "line 3: `profileCfg 0 60.75 30 25 59.1 0 0 54.71`: profileCfg needs 14"),
        ("frameCfg 0 2 96", "frameCfg 0 2 960", "line 5: the chirps take 256.6 ms, longer than the 55 ms frame"),
        ("0 60.75", "0 62.75", "line 3: the sweep from 62.75 to 65.98 GHz leaves the 60-64"),
        ("1 96 2950", "1 256 2950", "line 3: sampling ends 111.8 us into a ramp of 59.1 us"),
        ("96 55\n", "96 100\n", "note: line 8: the tracker believes in frames of 100 ms"),
        ("frameCfg 0 2 96 0 55", "frameCfg 2 0 96 0 55", "line 5: chirps 2 to 0"),
        ("sensorStart\n", "", "note: sensorStart is missing"),
        ("channelCfg", "chirpComnCfg", "CANNOT WORK: line 1: it is for xWRL6432/1432 (SDK 5), which is not supported"),
    ],
)
def test_broken_files(before: str, after: str, sentence: str) -> None:
    assert before in PEOPLE
    lines = describe(PEOPLE.replace(before, after))
    assert any(sentence in line for line in lines), lines


def test_points_turned_off_and_heat_maps() -> None:
    assert not read_profile(SHIPPED.replace("guiMonitor -1 1", "guiMonitor -1 0")).is_usable
    crowded = describe(SHIPPED.replace("guiMonitor -1 1 0 0 0 0 1", "guiMonitor -1 1 1 0 1 0 1"))
    assert any("turn heat maps off" in line for line in crowded)


def test_empty_file() -> None:
    assert "no commands in it" in " ".join(describe("% only a comment\n"))


NUMBER = st.one_of(st.floats(), st.integers(), st.sampled_from((0, -1, 1e-300, 1e300, 7)))


@given(st.lists(st.tuples(st.sampled_from((
    "profileCfg", "frameCfg", "guiMonitor", "trackingCfg", "channelCfg", "cfarFovCfg", "dynamicRACfarCfg", "%", "ü",
)), st.lists(NUMBER, max_size=15))), st.text(max_size=30))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_never_raises(commands: list[tuple[str, list[float]]], tail: str) -> None:
    text = "\n".join(" ".join([word, *map(str, values)]) for word, values in commands)
    assert describe(text + "\n" + tail)
