"""The radar's two ports on pseudo-terminals: the configuration dialogue, every way it fails, unplug and replug."""

import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from radar_twin import Twin
from whowhere.drivers.errors import DeviceLost, DeviceNotFound, DeviceRefused
from whowhere.drivers.radar import configure, port
from whowhere.drivers.radar.configure import commands_of
from whowhere.drivers.radar.encode import encode_oob_frame
from whowhere.drivers.radar.frames import RadarParser
from whowhere.drivers.radar.port import RadarPort, open_radar
from whowhere.drivers.radar.profile import read_profile
from whowhere.drivers.radar.watch import Watch
from whowhere.messages import RadarFrame

POINTS = np.tile(np.array([1, 2, 0, 0.5, 15], "<f4"), (8, 1))


def packets() -> Iterator[bytes]:
    return (encode_oob_frame(POINTS, number) for number in itertools.count(1))


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Twin]:
    monkeypatch.setattr(configure, "WAKE_S", 0.3)
    monkeypatch.setattr(configure, "ANSWER_S", 0.3)
    monkeypatch.setattr(configure, "START_S", 0.5)
    monkeypatch.setattr(port, "LISTEN_S", 0.1)
    monkeypatch.setattr(port, "FIRST_DATA_S", 0.5)
    twin = Twin(tmp_path, packets)
    yield twin
    if twin.masters:
        twin.unplug()


def frames_from(radar: RadarPort, count: int, parser: RadarParser | None = None) -> list[RadarFrame]:
    parser = parser or RadarParser("r1")
    frames: list[RadarFrame] = []
    deadline = time.monotonic() + 3
    while len(frames) < count and time.monotonic() < deadline:
        if chunk := radar.read(0.1):
            frames += parser.feed(chunk.data, chunk.t_ns)
    return frames


def refusal(twin: Twin) -> str:
    with pytest.raises(DeviceRefused) as caught, open_radar(twin.config):
        pass
    return str(caught.value)


@pytest.mark.parametrize("noise", [b"\x1b[2J\x07", b"\xff\xfe\x00", b"\x7fELF\x02"])
def test_a_binary_file_reaches_neither_the_sensor_nor_the_terminal(twin: Twin, tmp_path: Path, noise: bytes) -> None:
    file = tmp_path / "twin.cfg"
    file.write_bytes(b"% 60 \xb0 wide\nsensorStop\nprofileCfg\t0 " + noise + b"\n")  # a comment may be of any alphabet
    said = refusal(twin)
    assert said == f"{file}:3: holds bytes that are no text, so it is no radar configuration"
    assert read_profile(file.read_text(errors="replace")).problems[0][:2] == (3, said.partition(":3: ")[2])


def test_configures_and_streams(twin: Twin) -> None:
    before_ns = time.time_ns()
    with open_radar(twin.config) as radar:
        frames = frames_from(radar, 5)
        assert radar.warnings == []
    assert [frame.frame_number for frame in frames[:3]] == [1, 2, 3]
    assert before_ns < frames[0].t_ns < time.time_ns()
    assert [line for line in twin.heard if line.startswith("%")] == []
    assert [line.split()[0] for line in twin.heard] == [
        "sensorStop", "sensorStop", "flushCfg", "channelCfg", "profileCfg", "chirpCfg", "frameCfg", "sensorStart",
    ]  # fmt: skip


def test_a_streaming_radar_is_left_alone(twin: Twin) -> None:
    twin.deaf = True
    twin.start()
    with open_radar(twin.config) as radar:
        assert frames_from(radar, 3)
    assert twin.heard == []


def test_ignored_is_a_warning(twin: Twin) -> None:
    twin.answers["sensorStart"] = ["Ignored: Sensor is already started", "Done"]
    with open_radar(twin.config) as radar:
        [warning] = radar.warnings
    assert "twin.cfg:9" in warning
    assert "Ignored: Sensor is already started" in warning


def test_stopping_what_is_stopped_is_no_warning(twin: Twin) -> None:
    twin.answers["sensorStop"] = ["Ignored: Sensor is already stopped", "Done"]
    with open_radar(twin.config) as radar:
        assert radar.warnings == []


def test_no_prompt(twin: Twin) -> None:
    twin.deaf = True
    assert "NRST button or power-cycle" in refusal(twin)


def test_error_names_the_line(twin: Twin) -> None:
    twin.answers["profileCfg"] = ["Error: Invalid usage of the CLI command", "Error -1"]
    assert "twin.cfg:6: `profileCfg 0 60 " in refusal(twin)
    assert "the sensor refused it: Error: Invalid usage of the CLI command; Error -1" in refusal(twin)


def test_unknown_command_names_the_firmware(twin: Twin) -> None:
    twin.answers["channelCfg"] = ["'channelCfg' is not recognized as a CLI command"]
    assert "twin.cfg:5: `channelCfg 15 7 0`: this sensor's firmware does not know channelCfg" in refusal(twin)
    assert [line for line in twin.heard if line.startswith("channelCfg")] == ["channelCfg 15 7 0"] * 2


def test_stray_bytes_cost_one_retry(twin: Twin) -> None:
    twin.stray = "~x~"
    with open_radar(twin.config) as radar:
        assert frames_from(radar, 1)


def test_stray_bytes_before_a_command_cost_one_retry(twin: Twin) -> None:
    replies = iter((["'~flushCfg' is not recognized as a CLI command"], ["Done"]))
    say = twin._say

    def hiccup(line: str) -> None:
        if line == "flushCfg":
            twin.answers["flushCfg"] = next(replies)
        say(line)

    twin._say = hiccup  # type: ignore[method-assign]
    with open_radar(twin.config) as radar:
        assert frames_from(radar, 1)


def test_silence_in_mid_configuration(twin: Twin) -> None:
    twin.answers["channelCfg"] = None
    sentence = refusal(twin)
    assert "twin.cfg:5" in sentence
    assert "fell silent (channelCfg cannot be changed once the sensor has been started)" in sentence
    assert "NRST" in sentence


def test_firmware_exception(twin: Twin) -> None:
    twin.answers["sensorStart"] = ["MSS Exception: main.c, line 12"]
    assert "stopped with an exception" in refusal(twin)


def test_everything_done_but_silence(twin: Twin) -> None:
    twin.is_silent = True
    assert "the firmware image is for another board" in refusal(twin)


def test_bytes_but_no_frames(twin: Twin) -> None:
    twin.packets = lambda: itertools.repeat(b"\x55\xaa" * 50)
    twin.unplug()
    twin.plug()
    assert "no frame among them: wrong baud (921600)" in refusal(twin)


def test_swapped_ports(twin: Twin) -> None:
    cli, data = twin.folder / "cli", twin.folder / "data"
    first, second = os.readlink(cli), os.readlink(data)
    for link, target in ((cli, second), (data, first)):
        link.unlink()
        link.symlink_to(target)
    twin.start()
    assert "swap cli_port and data_port" in refusal(twin)


def test_too_long_a_line(twin: Twin) -> None:
    Path(twin.config.config).write_text("sensorStop\nlongCfg " + "1 " * 200)
    assert "longer than the 255 characters" in refusal(twin)


def test_empty_and_missing_configuration(twin: Twin) -> None:
    Path(twin.config.config).write_text("% nothing\n")
    assert "holds no commands" in refusal(twin)
    Path(twin.config.config).unlink()
    assert "the configuration cannot be read" in refusal(twin)


def test_missing_port(twin: Twin) -> None:
    twin.unplug()
    with pytest.raises(DeviceNotFound, match=r"data_port = .*no such port"):
        open_radar(twin.config)
    twin.plug()


def test_port_in_use(twin: Twin) -> None:
    twin.start()
    with open_radar(twin.config), pytest.raises(DeviceRefused, match="in use by another program"):
        open_radar(twin.config)


def test_forbidden_port(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_args: object, **_options: object) -> None:
        raise port.serial.SerialException(13, "Permission denied")

    monkeypatch.setattr(port.serial, "Serial", forbid)
    with pytest.raises(DeviceRefused, match=r"sudo usermod -aG dialout \$USER"):
        open_radar(twin.config)


def test_not_a_serial_port(twin: Twin) -> None:
    (twin.folder / "data").unlink()
    (twin.folder / "data").write_text("a file")
    with pytest.raises(DeviceRefused, match="cannot be opened as a serial port"):
        open_radar(twin.config)


def test_unplug_and_replug(twin: Twin) -> None:
    parser = RadarParser("r1")
    with open_radar(twin.config) as radar:
        assert frames_from(radar, 3, parser)
        pulled = threading.Timer(0.05, twin.unplug)
        pulled.start()
        with pytest.raises(DeviceLost, match="unplugged or hung up"):
            frames_from(radar, 10_000)
    pulled.join()  # the loss is seen while the links are still being removed
    with pytest.raises(DeviceNotFound):
        open_radar(twin.config)
    twin.plug()
    parser.reconnect()
    with open_radar(twin.config) as radar:
        assert [frame.frame_number for frame in frames_from(radar, 3, parser)][:2] == [1, 2]
    assert parser.counters["restarts"] == 0


def test_unplugged_during_configuration(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    twin.answers["flushCfg"] = None
    threading.Timer(0.25, twin.unplug).start()
    monkeypatch.setattr(configure, "ANSWER_S", 2.0)
    with pytest.raises(DeviceLost, match="unplugged"), open_radar(twin.config):
        pass
    twin.plug()


def test_silence_is_none(twin: Twin) -> None:
    twin.start()
    with open_radar(twin.config) as radar:
        twin._is_running.clear()
        while radar.read(0.05):
            pass
        assert radar.read(0.05) is None


def test_watch_reports_then_reopens() -> None:
    parser = RadarParser("r1")
    watch = Watch(parser, 100.0)
    assert watch.look(101.9) == ""
    assert watch.look(102.5) == "stalled: not a byte for 2 s"
    parser.feed(b"garbage", 0)
    assert watch.look(103.0) == "stalled: 7 bytes but no valid frame for 3 s"
    parser.feed(encode_oob_frame(POINTS, 1), 10**9)
    assert watch.look(104.0) == ""
    with pytest.raises(DeviceLost, match="opening the port again"):
        watch.look(109.1)


def test_watch_sees_a_reboot() -> None:
    parser = RadarParser("r1")
    watch = Watch(parser, 0.0)
    for number in (50, 51, 1, 2):
        parser.feed(encode_oob_frame(POINTS, number), 10**9)
    assert watch.has_rebooted
    assert not Watch(parser, 0.0).has_rebooted


def test_a_missing_start_is_added() -> None:
    assert [command.text for command in commands_of("% x\nsensorStop\n\n")] == ["sensorStop", "sensorStart"]
