"""whowhere check: what it says of a site, and what it finds that cannot work."""

from pathlib import Path

import pytest
from sentences import failure
from whowhere.launch import cli

ALONE = """
name = "hall"
area = { x_m = [0, 4], y_m = [0, 3] }
identities = [{ name = "Ada", devices = ["a4:83:e7:00:00:01"], consent = true }]
"""
DEMO_SITE = Path(cli.__file__).parent / "sites" / "demo.toml"


def test_check_describes_the_demo_site(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["check", str(DEMO_SITE)]) == 0
    text = capsys.readouterr().out
    assert 'site "demo": 12 m x 10 m' in text
    assert "radar radar-1: simulated" in text
    assert "4 people enrolled with 4 devices" in text


def test_one_is_no_plural(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "site.toml"
    for text, said in (
        (DEMO_SITE.read_text(), "4 people enrolled with 4 devices"),
        (ALONE, "1 person enrolled with 1 device"),
    ):
        path.write_text(text)
        assert cli.main(["check", str(path)]) == 0
        assert f"  {said}\n" in capsys.readouterr().out


def test_check_says_what_an_open_page_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "site.toml"
    for host, lines in (("127.0.0.1", 0), ("0.0.0.0", 1)):
        path.write_text(f'{DEMO_SITE.read_text()}\n[page]\nhost = "{host}"\n')
        assert cli.main(["check", str(path)]) == 0
        assert capsys.readouterr().out.count("may watch, without a password (docs/page.md)") == lines


def test_check_says_what_phones_lack(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "site.toml"
    text = 'name = "x"\n[area]\nx_m = [0, 5]\ny_m = [0, 5]\n[[identities]]\nname = "Ada"\nconsent = true\n'
    path.write_text(text + '[[phones]]\nid = "p1"\nowner = "Ada"\n')
    assert cli.main(["check", str(path)]) == 0
    said = capsys.readouterr().out
    assert "p1 (Ada); they upload to http://127.0.0.1:8020/upload" in said
    assert "p1: without a token nothing that they send is taken" in said
    assert "without a radio map" in said


def test_check_names_line_key_and_nearest_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    wrong = tmp_path / "site.toml"
    wrong.write_text(DEMO_SITE.read_text().replace("fps = 5", "fsp = 5", 1))
    line = next(n for n, text in enumerate(wrong.read_text().splitlines(), 1) if "fsp" in text)
    assert f'site.toml:{line}: cameras.camera-1.fsp: unknown key, did you mean "fps"?' in failure(
        capsys, "check", str(wrong)
    )


def test_check_says_which_device_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    site = tmp_path / "site.toml"
    text = DEMO_SITE.read_text().replace('data_port = "simulated"', 'data_port = "/dev/serial/by-id/none"', 1)
    site.write_text(text)
    assert cli.main(["check", str(site)]) == 1
    assert "MISSING radars.radar-1.data_port = /dev/serial/by-id/none" in capsys.readouterr().out


def test_check_finds_a_port_with_a_speed_and_believes_ubus(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    site, port = tmp_path / "site.toml", tmp_path / "ttyUSB0"
    port.touch()
    text = DEMO_SITE.read_text().replace('"simulated"\nposition_m', f'"esp32:{port}@115200"\nposition_m', 1)
    site.write_text(text.replace('"simulated"\nposition_m', '"stations:ubus:hostapd.wlan0"\nposition_m', 1))
    assert cli.main(["check", str(site)]) == 0
    assert "MISSING" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"),
    [
        (
            'source = "simulated"\nposition_m',
            'source = "simualted"\nposition_m',
            'source = "simualted": must be "simulated" or',
        ),
        ('"iwr6843_oob_10hz.cfg"', '"site.toml"', "radars.radar-1.config: site.toml: channelCfg is missing"),
        ("[simulated]", '[bus]\nhost = "0.0.0.0"\n[simulated]', "so the bus needs keys"),
        ("[simulated]", "[page]\nport = 7312\n[simulated]", "page.port = 7312: the bus takes 7310 to 7312"),
    ],
)
def test_check_says_what_a_node_would_refuse(
    right: str, wrong: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    site = tmp_path / "site.toml"
    site.write_text(DEMO_SITE.read_text().replace(right, wrong, 1))
    assert cli.main(["check", str(site)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith("CANNOT WORK ") and sentence in line for line in said)
    assert not any(line.startswith("ready") for line in said)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("none.toml", "no such file"), ("notes.txt", "only .toml, .cfg, .mcap files can be checked")],
)
def test_check_of_a_wrong_file(name: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert sentence in failure(capsys, "check", str(tmp_path / name))


def test_a_radar_configuration_that_cannot_work_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = tmp_path / "radar.cfg"
    config.write_text("garbage in\n")
    assert cli.main(["check", str(config)]) == 1
    assert "CANNOT WORK: profileCfg is missing" in capsys.readouterr().out
