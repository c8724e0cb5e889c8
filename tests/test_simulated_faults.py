"""Faults on demand: what the specification says, what it refuses, and what the damage is."""

import os
from pathlib import Path

import numpy as np
import pytest
from whowhere.drivers.simulated.faults import Condition, FaultError, Faults, parse_faults

SENSORS = ("radar-1", "camera-1", "sniffer-2")


def test_specification() -> None:
    faults = Faults(
        "radar-1:unplug@10-15, camera-1:silent@20-, sniffer-2:offset=-0.3, late=0.8\n"
        "# a comment\nradar-1:byte_loss=0.001,bit_flips=0.01,*:cut_frames=0.5@30-31",
        SENSORS,
    )
    assert not faults.of("radar-1", 9.9).unplug
    assert faults.of("radar-1", 10.0).unplug
    assert not faults.of("radar-1", 15.0).unplug
    assert faults.of("camera-1", 1000.0).silent
    assert faults.of("sniffer-2", 5.0) == Condition(offset=-0.3, late=0.8)
    assert faults.of("radar-1", 30.5) == Condition(byte_loss=0.001, bit_flips=0.01, cut_frames=0.5)
    assert faults.of("camera-1", 5.0) == Condition()


def test_followers_share_sensor_and_times() -> None:
    first, second = parse_faults("radar-1:byte_loss=0.1@3-4,bit_flips=0.1", SENSORS)
    assert (second.sensor, second.start_s, second.end_s) == (first.sensor, first.start_s, first.end_s)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("radar1:unplug", 'there is no simulated sensor "radar1": did you mean "radar-1"?'),
        ("radar-1:unplugged", 'there is no fault "unplugged": did you mean "unplug"?'),
        ("unplug", "begins with no sensor; write SENSOR:unplug"),
        ("radar-1:unplug=3", "unplug takes no value"),
        ("radar-1:byte_loss", "byte_loss needs a number"),
        ("radar-1:byte_loss=2", "must lie between 0 and 1"),
        ("camera-1:late=-1", "must be finite and not negative"),
        ("camera-1:offset=nan", "must be finite"),
        ("radar-1:unplug@9-5", "must begin before it ends"),
        ("radar-1:unplug@1.2.3-5", "could not convert"),
        ("radar-1 unplug", "expected SENSOR:FAULT"),
        ("radar-1:offset=1", "a radar sends no times"),
    ],
)
def test_refusals_are_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse_faults(text, SENSORS, clockless=("radar-1",))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_faults_may_change_while_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "faults"
    faults = Faults("camera-1:silent", SENSORS, file)
    assert not faults.of("radar-1", 0.0).unplug
    file.write_text("radar-1:unplug")
    assert not faults.of("radar-1", 0.5).unplug  # looked at once a second
    assert faults.of("radar-1", 1.1).unplug
    file.write_text("radar-1:explode")
    assert faults.of("radar-1", 2.2).unplug
    assert "explode" in faults.complaint
    file.write_bytes(os.urandom(2) + b"\xff\xfe")
    faults.of("radar-1", 3.3)
    assert faults.complaint
    file.unlink()
    assert not faults.of("radar-1", 4.4).unplug
    assert faults.of("radar-1", 4.4) == Condition()
    assert faults.of("camera-1", 4.4).silent


def test_damage_has_its_measure() -> None:
    rng = np.random.default_rng(1)
    data = bytes(100_000)
    assert Condition().damage(data, rng) is data
    assert len(Condition(byte_loss=0.1).damage(data, rng)) == pytest.approx(90_000, rel=0.01)
    flipped = np.frombuffer(Condition(bit_flips=0.01).damage(data, rng), np.uint8)
    assert int(np.unpackbits(flipped).sum()) == pytest.approx(8_000, rel=0.1)
    cut = [len(Condition(cut_frames=0.5).damage(data, rng)) for _ in range(200)]
    assert np.mean(np.array(cut) < len(data)) == pytest.approx(0.5, abs=0.15)
    assert Condition(cut_frames=1.0, bit_flips=0.5, byte_loss=1.0).damage(b"x", rng) == b""
