"""The command line: every command explains itself, every failure is a sentence with the next command."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from sentences import failure, refusal
from whowhere.launch import cli
from whowhere.launch.commands import doctor, init
from whowhere.launch.commands.demo import demo_site
from whowhere.launch.errors import LaunchError
from whowhere.launch.running import as_typed
from whowhere.launch.site_files import load_site, parse_site
from whowhere.launch.wiring import free_port, with_free_ports
from whowhere.sitefile import Learning

DEMO_SITE = Path(cli.__file__).parent / "sites" / "demo.toml"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_of_each_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as exit_:
        cli.main([command, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert f"example:\n  whowhere {command}" in text


def test_overview_names_every_command(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {command}" in text for command in cli.COMMANDS)


def test_an_unknown_command_suggests_the_nearest(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["recrod"]) == 2
    assert 'did you mean "record"?' in capsys.readouterr().err


def test_wrong_usage_is_one_sentence(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["demo", "--secnods", "3"])
    assert exit_.value.code == 2
    assert capsys.readouterr().err == (
        "whowhere demo: unrecognized arguments: --secnods 3\n  try: whowhere demo --help\n"
    )


def test_starting_up_loads_nothing_heavy():
    probe = (
        "import sys; from whowhere.launch import cli; cli.main(['--help']);"
        "print([m for m in ('numpy', 'zmq', 'cv2', 'scipy', 'rich', 'msgspec', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_child_process_loads_nothing_heavy():
    """Every process imports this; each MB here is paid a dozen times."""
    probe = (
        "import sys; import whowhere.launch.child;"
        "print([m for m in ('numpy', 'zmq', 'cv2', 'scipy', 'rich', 'argparse', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_fault_that_is_none_is_said_before_anything_starts(capsys: pytest.CaptureFixture[str]):
    assert 'there is no simulated sensor "radar-9": did you mean "radar-1"?' in failure(
        capsys, "demo", "--faults", "radar-9:unplug"
    )


def test_a_radar_has_no_clock_that_could_be_wrong(capsys: pytest.CaptureFixture[str]):
    assert "a radar sends no times" in failure(capsys, "demo", "--faults", "radar-1:offset=0.3")


def test_the_demo_says_when_the_port_asked_for_is_taken(capsys: pytest.CaptureFixture[str]):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert f"--port {port}: in use" in failure(capsys, "demo", "--no-browser", "--port", str(port))


def test_a_page_port_among_the_bus_ports_moves_the_bus(tmp_path: Path):
    demo = load_site(DEMO_SITE)
    demo = replace(demo, bus=replace(demo.bus, port=free_port(count=3)))
    wanted = demo.bus.port + 1
    with demo_site(demo, tmp_path, None, wanted) as site:
        assert site.page.port == wanted
        assert wanted not in range(site.bus.port, site.bus.port + 3)


def test_up_says_when_page_and_bus_want_one_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    site = tmp_path / "site.toml"
    site.write_text(DEMO_SITE.read_text() + "\n[page]\nport = 7312\n")
    assert "page.port = 7312: the bus takes 7310 to 7312" in failure(capsys, "up", str(site))


def test_a_replay_does_not_announce_another_programs_page():
    site = load_site(DEMO_SITE)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        with pytest.raises(LaunchError, match="in use by another program"):
            with_free_ports(site, busy.getsockname()[1])


@pytest.mark.parametrize("wrong", [["--rate", "nan"], ["--rate", "inf"], ["--start", "-1"], ["--start", "nan"]])
def test_a_pace_that_is_none_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]):
    said = refusal(capsys, "replay", "any.mcap", *wrong)
    assert said == f"whowhere replay: argument {wrong[0]}: '{wrong[1]}' must be a number, 0 or more"


def test_another_machines_bus_needs_a_key_folder(capsys: pytest.CaptureFixture[str]):
    said = failure(capsys, "watch", "--bus", "tcp://192.0.2.7:7310")
    assert "--bus tcp://192.0.2.7:7310 is on another machine, whose bus needs keys: add --keys DIR" in said


def test_what_to_type_is_a_path_where_whowhere_is_not_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / ".venv/bin/whowhere"), "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert as_typed() == ".venv/bin/whowhere"
    (tmp_path / "whowhere").write_text("")
    (tmp_path / "whowhere").chmod(0o755)
    assert as_typed() == "whowhere"


def test_help_of_a_command_is_that_commands(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["help", "check"])
    assert capsys.readouterr().out.startswith("usage: whowhere check")


@pytest.mark.parametrize("words", [["demo"], ["up", "a.toml"], ["watch"], ["record", "a.mcap"], ["simulate", "a.mcap"]])
@pytest.mark.parametrize("seconds", ["0", "-4", "nan", "soon"])
def test_a_run_of_no_length_is_refused_alike_everywhere(
    words: list[str], seconds: str, capsys: pytest.CaptureFixture[str]
):
    said = refusal(capsys, *words, "--seconds", seconds)
    wrong = f"argument --seconds: '{seconds}' must be a number of seconds, more than 0 and 1e+09 at most"
    assert said == f"whowhere {words[0]}: {wrong}"


@pytest.mark.parametrize("words", [["demo"], ["replay", "a.mcap"]])
@pytest.mark.parametrize("port", ["70000", "0", "-1", "abc", "65536"])
def test_what_is_no_port_is_refused_alike_everywhere(words: list[str], port: str, capsys: pytest.CaptureFixture[str]):
    wrong = f"argument --port: '{port}' must be a port: a whole number from 1 to 65535"
    assert refusal(capsys, *words, "--port", port) == f"whowhere {words[0]}: {wrong}"


def test_demos_that_start_at_once_do_not_take_each_others_ports(tmp_path: Path):
    with (
        demo_site(load_site(DEMO_SITE), tmp_path, None, None) as first,
        demo_site(load_site(DEMO_SITE), tmp_path, None, None) as second,
    ):
        ports = [{site.bus.port, site.bus.port + 1, site.bus.port + 2, site.page.port} for site in (first, second)]
        assert not ports[0] & ports[1]


def test_up_says_when_its_port_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        site = tmp_path / "site.toml"
        site.write_text(DEMO_SITE.read_text() + f"\n[bus]\nport = {free_port(count=3)}\n[page]\nport = {port}\n")
        assert f"page.port = {port}" in failure(capsys, "up", str(site))


@pytest.mark.parametrize("command", [["watch"], ["record", "out.mcap"]], ids=lambda words: words[0])
def test_a_site_that_does_not_run_is_one_sentence(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert "no hub answers at tcp://127.0.0.1:9" in failure(capsys, *command, "--bus", "tcp://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_none_is_one_sentence(capsys: pytest.CaptureFixture[str]):
    assert '"nonsense" is not an address like "tcp://' in failure(capsys, "watch", "--bus", "nonsense")


@pytest.mark.parametrize("command", [["replay"], ["replay", "--verify"], ["evaluate", "session"], ["check"]])
def test_a_file_that_is_no_session_is_one_sentence(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "not.mcap"
    path.write_bytes(os.urandom(500))
    assert str(path) in failure(capsys, *command, str(path))


def test_bench_without_a_name_lists_them(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["bench", "--json"]) == 0
    names = json.loads(capsys.readouterr().out)["benches"]
    assert {"assignment", "bus", "camera", "codec", "fusion", "memory", "radar", "radiotap"} <= set(names)


def test_an_unknown_bench_names_those_there_are(capsys: pytest.CaptureFixture[str]):
    assert 'no benchmark "nothing"' in failure(capsys, "bench", "nothing")


def test_keygen_writes_keys_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = str(tmp_path / "keys")
    assert cli.main(["keygen", folder]) == 0
    capsys.readouterr()
    assert "holds keys already" in failure(capsys, "keygen", folder)


def test_init_writes_a_site_that_loads_and_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "site.toml"
    assert cli.main(["init", "--output", str(path), "--name", "hall"]) == 0
    assert load_site(path).name == "hall"
    capsys.readouterr()
    assert "is there already" in failure(capsys, "init", "--output", str(path))


def test_what_init_leaves_commented_out_works_without_the_marks():
    text = init.site_text("hall")
    site = parse_site(re.sub(r"(?m)^# (?=\[|\w+ = )", "", text))
    assert site.models == {"appearance": "shipped", "gait": "shipped"}
    assert site.learning == replace(Learning(), crops=True)
    assert [person.name for person in site.identities] == ["Ada"]
    assert not parse_site(text).models


def test_init_refuses_a_name_that_check_would_refuse(capsys: pytest.CaptureFixture[str]):
    assert 'none of them "/"' in failure(capsys, "init", "--name", "a/b")


def test_init_quotes_the_name():
    assert parse_site(init.site_text('the "old" hall \\ 2')).name == 'the "old" hall \\ 2'


def test_init_fills_in_what_it_finds(monkeypatch: pytest.MonkeyPatch):
    radar = {"description": "CP2105", "serial": "00AB", "is_radar": True}
    ports = [
        init.devices.SerialPort(path="/dev/serial/by-id/x-if00", device="/dev/ttyUSB0", role="cli", **radar),
        init.devices.SerialPort(path="/dev/serial/by-id/x-if01", device="/dev/ttyUSB1", role="data", **radar),
    ]
    monkeypatch.setattr(init.devices, "serial_ports", lambda: ports)
    monkeypatch.setattr(init.devices, "cameras", lambda: [(2, "HD Webcam")])
    monitor = init.devices.WirelessInterface(name="mon0", is_monitor=True, is_up=True)
    monkeypatch.setattr(init.devices, "wireless_interfaces", lambda: [monitor])
    site = parse_site(init.site_text("hall"))
    assert (site.radars[0].cli_port, site.radars[0].data_port) == tuple(port.path for port in ports)
    assert site.cameras[0].source == "2"
    assert site.sniffers[0].source == "interface:mon0"


def test_doctor_gives_a_command_for_everything_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    port = doctor.devices.SerialPort(
        path="/dev/serial/by-id/x", device="/nonexistent", description="", serial="", is_radar=True, role="data"
    )
    monkeypatch.setattr(doctor.devices, "serial_ports", lambda: [port])
    assert cli.main(["doctor", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert {finding["level"] for finding in findings} <= {"OK", "WARN", "FIX"}
    assert all(finding["command"] for finding in findings if finding["level"] != "OK")
    assert any("usermod -aG dialout" in finding["command"] for finding in findings)
    assert next(finding for finding in findings if finding["what"] == "OpenCV")["level"] == "OK"
