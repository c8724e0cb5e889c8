"""A session without processes: it verifies, it is the same every time, and the real formats carry what boxes carry."""

import json
from collections import Counter, deque
from pathlib import Path

import pytest
import whowhere
from whowhere.launch import cli
from whowhere.launch.commands.demo import SITE
from whowhere.messages import Location, RadarFrame, WifiWindow
from whowhere.nodes.session import Session, read_session

SENSED = {"radar", "camera", "wifi", "truth"}


def simulate(path: Path, *options: str) -> Path:
    assert cli.main(["simulate", str(path), *options]) == 0
    return path


def kinds(path: Path) -> Counter[str]:
    return Counter(record.topic.split("/")[0] for record in Session(path).records())


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("simulated") / "boxes.mcap", "--seconds", "8", "--boxes")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Through UART bytes, captured frames and drawn pictures."""
    return simulate(tmp_path_factory.mktemp("simulated") / "real.mcap", "--seconds", "3")


@pytest.mark.parametrize("which", ["boxes", "real"])
def test_what_simulate_writes_verifies(which: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]):
    path = request.getfixturevalue(which)
    assert cli.main(["replay", str(path), "--verify", "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert outcome["identical"] is True
    assert outcome["unverified"] == 0
    assert outcome["compared"]["scene"] > 10


def test_a_site_that_init_wrote_has_a_world(tmp_path: Path):
    site = tmp_path / "site.toml"
    assert cli.main(["init", "--output", str(site)]) == 0
    path = simulate(tmp_path / "hall.mcap", "--site", str(site), "--seconds", "1", "--boxes")
    assert kinds(path)["truth"] == 10
    assert Session(path).site().simulated is not None  # what the page and the report go by


def test_the_example_of_the_docs_says_what_was_said(boxes: Path, capsys: pytest.CaptureFixture[str]):
    """With a site whose devices are named otherwise than the messages' it would run as well, and name nobody."""
    text = (Path(__file__).parents[1] / "docs" / "fusion.md").read_text()
    program = text.split("```python\n")[1].split("```")[0]
    exec(program.replace("demo.mcap", str(boxes)), {})
    lines = capsys.readouterr().out.splitlines()
    said = [message for message in read_session(boxes) if isinstance(message, Location)]
    shown = [f"{one.id} {one.x_m} {one.y_m} {one.candidates[0]}" for one in said]
    assert lines[: len(shown)] == shown
    assert {"Ada", "Bruno", "Chidi", "Dana"} & {one.id for one in said}


def test_a_site_file_with_addresses_is_refused_for_recorded_messages(boxes: Path):
    """It would run, and name nobody: messages have pseudonyms."""
    session = whowhere.Session(boxes)
    engine = whowhere.Engine(whowhere.load_site(SITE))
    with pytest.raises(ValueError, match=r'site "demo" lists devices by hardware address, .*Session\(path\).site\(\)$'):
        deque(map(engine.step, session.messages()))


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(boxes: Path, tmp_path: Path):
    def said(path: Path) -> list[tuple[str, bytes]]:
        return [(record.topic, record.body) for record in Session(path).records()]

    again = simulate(tmp_path / "again.mcap", "--seconds", "8", "--boxes")
    other = simulate(tmp_path / "other.mcap", "--seconds", "8", "--boxes", "--seed", "99")
    assert said(again) == said(boxes)
    assert said(other) != said(boxes)


def test_real_formats_lose_nothing(real: Path):
    counted = kinds(real)
    assert counted["radar"] == 30
    assert counted["camera"] == 2 * 15
    assert counted["truth"] == 30
    heard = [message for message in read_session(real) if isinstance(message, WifiWindow)]
    assert {window.source for window in heard} == {f"sniffer-{n}" for n in (1, 2, 3, 4)}
    assert any(window.devices for window in heard), "no enrolled phone was recognised by its pseudonym"
    assert all(device.count(":") < 5 for window in heard for device in window.devices), "an address left the node"
    assert any(len(message.points) for message in read_session(real) if isinstance(message, RadarFrame))


def test_an_existing_file_is_never_written_over(boxes: Path, capsys: pytest.CaptureFixture[str]):
    before = boxes.read_bytes()
    assert cli.main(["simulate", str(boxes), "--seconds", "1", "--boxes"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert boxes.read_bytes() == before


@pytest.mark.parametrize("seconds", ["0", "-5", "nan", "inf", "soon"])
def test_a_time_that_is_none_is_refused(seconds: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["simulate", str(tmp_path / "none.mcap"), "--boxes", "--seconds", seconds])
    assert f"argument --seconds: '{seconds}' must be a number of seconds, more than 0" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_check_and_evaluate_read_it(boxes: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["check", str(boxes)]) == 0
    text = capsys.readouterr().out
    assert 'session of site "demo"' in text
    assert "radar/radar-1" in text
    assert "it ends as it should" in text
    assert cli.main(["evaluate", "session", str(boxes)]) == 1
    assert "less than 15 s" in capsys.readouterr().err


@pytest.mark.system
def test_replay_plays_it_through_real_processes(boxes: Path, capfd: pytest.CaptureFixture[str]):
    assert cli.main(["replay", str(boxes), "--rate", "8"]) == 0
    out, err = capfd.readouterr()
    assert "whowhere replay: http://" in out
    sensed = sum(number for kind, number in kinds(boxes).items() if kind in SENSED)
    assert f"{sensed} messages" in err
