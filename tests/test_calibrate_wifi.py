"""`whowhere calibrate wifi`: from a session whose site file is wrong about the radio to a better site file."""

import errno
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from whowhere.drivers.simulated.streams import EPOCH_NS, streams
from whowhere.launch.cli import main
from whowhere.launch.commands.demo import SITE
from whowhere.launch.simulation import Simulation, arrivals, published_for_simulation
from whowhere.launch.site_files import load_site, parse_site
from whowhere.messages import Message
from whowhere.sitefile import Simulated, Site

TRUE_DBM, TRUE_EXPONENT = -46.0, 2.8
FILE_DBM, FILE_EXPONENT = -40.0, 2.0


def with_radio(site: Site, reference_dbm: float, exponent: float) -> Site:
    sniffers = tuple(
        replace(sniffer, reference_dbm=reference_dbm, path_loss_exponent=exponent) for sniffer in site.sniffers
    )
    return replace(site, sniffers=sniffers)


def recorded(path: Path, believed: Site, heard: Iterator[Message]) -> Path:
    Simulation(believed, path).run(arrivals(heard))
    return path


@pytest.fixture(scope="module")
def demo() -> Site:
    site = load_site(SITE)
    return published_for_simulation(replace(site, simulated=replace(site.simulated or Simulated(), seed=31)))


@pytest.fixture(scope="module")
def session(demo: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety seconds of the demo, whose radio is not what its site file says."""
    heard = streams(with_radio(demo, TRUE_DBM, TRUE_EXPONENT), 90.0, EPOCH_NS, ("camera", "radar", "wifi"))
    believed = with_radio(demo, FILE_DBM, FILE_EXPONENT)
    return recorded(tmp_path_factory.mktemp("radio") / "walk.mcap", believed, heard)


def test_the_figures_come_nearer_to_the_truth(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "wifi", str(session), "--again", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["sniffers"]) == ["sniffer-1", "sniffer-2", "sniffer-3", "sniffer-4"]
    for sniffer in found["sniffers"].values():
        before, after = sniffer["path_loss_exponent"]
        assert before == FILE_EXPONENT
        assert abs(after - TRUE_EXPONENT) < 0.6  # bodies in the way, more of them the farther away, add to it
        assert 0 < sniffer["exponent_sd"] < 0.5
        assert sniffer["reference_dbm"][0] == FILE_DBM
        assert sniffer["reference_dbm"][1] < FILE_DBM
        assert sniffer["residual_db"][1] < 8.0 < sniffer["residual_db"][0]
        assert sniffer["readings"] > 50
    assert found["suspects"] == []
    (again,) = found["again"]
    assert again["residual_db"][1] < 8.0


def test_tables_are_printed_with_the_figures(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "wifi", str(session)]) == 0
    said = capsys.readouterr().out
    assert "# sniffer sniffer-1: reference_dbm -40.0 -> " in said
    assert "# residual over all sniffers: " in said
    tables = tomllib.loads(said)["sniffers"]
    assert [table["id"] for table in tables] == ["sniffer-1", "sniffer-2", "sniffer-3", "sniffer-4"]
    assert tables[0]["position_m"] == [0.3, 0.3, 2.2]
    assert tables[0]["path_loss_exponent"] > FILE_EXPONENT


def test_a_site_file_is_edited_and_keeps_the_rest(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.toml"
    text = Path(SITE).read_text(encoding="utf-8")
    file.write_text(
        text.replace('id = "sniffer-2"', 'id = "sniffer-2"\nreference_dbm = -41 # measured?'), encoding="utf-8"
    )
    assert main(["calibrate", "wifi", str(session), "--write", str(file)]) == 0
    assert "residual over all sniffers" in capsys.readouterr().out
    changed = file.read_text(encoding="utf-8")
    before, after = parse_site(text), parse_site(changed)
    assert all(sniffer.path_loss_exponent > FILE_EXPONENT for sniffer in after.sniffers)
    assert with_radio(after, -40.0, 2.5) == with_radio(before, -40.0, 2.5)
    assert "# measured?" in changed
    assert changed.splitlines()[0] == text.splitlines()[0]
    assert main(["calibrate", "wifi", str(session), "--write", str(file)]) == 0
    assert file.read_text(encoding="utf-8") == changed


def test_a_full_disk_leaves_the_site_file_as_it_was(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "site.toml"
    file.write_text(text := Path(SITE).read_text(encoding="utf-8"), encoding="utf-8")

    def half(path: Path, content: bytes) -> int:
        with path.open("wb") as disk:
            disk.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    assert main(["calibrate", "wifi", str(session), "--write", str(file)]) == 1
    assert f"{file} cannot be written: No space left on device" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [file]


def test_only_its_own_tables_are_written_over(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tables.toml"
    for _ in range(2):
        assert main(["calibrate", "wifi", str(session), "--out", str(out)]) == 0
    out.write_text("name = 'hall'\n")
    assert main(["calibrate", "wifi", str(session), "--out", str(out)]) == 1
    assert "tables.toml is there already, and not by whowhere calibrate" in capsys.readouterr().err
    assert out.read_text() == "name = 'hall'\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["wifi", "--camera", "camera-1"], "--camera is not for wifi"),
        (["radar-camera", "--write", "site.toml"], "--write is not for radar-camera"),
        (["radar-camera", "--camera", "attic"], 'no camera "attic": this session\'s site has: camera-1, camera-2'),
        (["radar-camera"], "which camera? this session's site has: camera-1, camera-2"),
    ],
)
def test_an_option_that_does_not_fit_is_said(
    session: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert main(["calibrate", arguments[0], str(session), *arguments[1:]]) == 1
    assert reason in capsys.readouterr().err


def test_another_sites_file_is_left_alone(session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "other.toml"
    text = Path(SITE).read_text(encoding="utf-8").replace('id = "sniffer-3"', 'id = "attic"')
    file.write_text(text, encoding="utf-8")
    assert main(["calibrate", "wifi", str(session), "--write", str(file)]) == 1
    assert "has no sniffer sniffer-3" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == text


def test_without_confirmed_people_or_sniffers_it_says_so(
    demo: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deaf = recorded(tmp_path / "deaf.mcap", demo, streams(demo, 5.0, EPOCH_NS, ("wifi",)))
    assert main(["calibrate", "wifi", str(deaf)]) == 1
    said = capsys.readouterr().err
    assert "nobody was confirmed while a sniffer heard their phone" in said
    assert len(said.splitlines()) == 2
    radioless = replace(demo, sniffers=())
    none = recorded(tmp_path / "none.mcap", radioless, streams(radioless, 3.0, EPOCH_NS, ("camera",)))
    assert main(["calibrate", "wifi", str(none)]) == 1
    assert "has no sniffers" in capsys.readouterr().err
