"""Where a command shall write is looked at before it works: a place that cannot be is one sentence, at once."""

import argparse
import errno
import os
from pathlib import Path

import pytest
from whowhere.launch import cli
from whowhere.launch.arguments import new_file, new_folder, new_recording
from whowhere.launch.errors import LaunchError
from whowhere.launch.running import Recorded
from whowhere.launch.whole_files import write_whole

TO_FOLDERS = [
    ("learn", "positioning", "walks/", "--out"),
    ("learn", "appearance", "--generated", "--out"),
    ("learn", "gait", "--generated", "--out"),
    ("evaluate", "appearance", "--plot"),
    ("evaluate", "gait", "--plots"),
    ("bench", "fusion", "--plots"),
]
TO_FILES = [
    ("learn", "radiomap", "scans.csv", "--map", "old.map", "--out"),
    ("learn", "radiomap", "scans.csv", "--map", "old.map", "--out", "new.map", "--report"),
    ("report", "session.mcap", "--out"),
    ("calibrate", "wifi", "session.mcap", "--out"),
    ("evaluate", "radiomap", "--plot"),
    ("evaluate", "positioning", "--plot"),
    ("evaluate", "gait-walkers", "--plot"),
    ("bench", "evloc", "--report"),
    ("init", "--output"),
    ("simulate",),
]
TO_RECORDINGS = [("record",), ("demo", "--record"), ("up", "site.toml", "--record")]


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one sentence of wrong usage, which ends the command before it has read anything."""
    with pytest.raises(SystemExit) as exit_:
        cli.main(list(argv))
    assert exit_.value.code == 2
    sentence, advice = capsys.readouterr().err.splitlines()
    assert advice.startswith("  try: whowhere ")
    return sentence


@pytest.fixture
def in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a file `taken` and a folder `folder`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "taken").write_text("mine")
    return tmp_path


@pytest.mark.parametrize("argv", TO_FOLDERS, ids=" ".join)
def test_a_file_is_no_folder(argv: tuple[str, ...], in_the_way: Path, capsys: pytest.CaptureFixture[str]):
    assert "'taken' needs a folder where taken is a file: name another place" in refused(capsys, *argv, "taken")
    assert "'taken/models' needs a folder where taken is a file" in refused(capsys, *argv, "taken/models")
    assert (in_the_way / "taken").read_text() == "mine"


@pytest.mark.parametrize("argv", TO_FILES, ids=" ".join)
def test_a_file_needs_its_folder(argv: tuple[str, ...], in_the_way: Path, capsys: pytest.CaptureFixture[str]):
    said = refused(capsys, *argv, "nowhere/new")
    assert "'nowhere/new' lies in a folder that is not there: make nowhere first" in said
    assert "'folder' is a folder where a file is needed: name a file in it" in refused(capsys, *argv, "folder")
    assert "'taken/new' needs a folder where taken is a file" in refused(capsys, *argv, "taken/new")
    assert sorted(path.name for path in in_the_way.iterdir()) == ["folder", "taken"]


@pytest.mark.parametrize("argv", TO_RECORDINGS, ids=" ".join)
def test_a_recording_needs_a_place(argv: tuple[str, ...], in_the_way: Path, capsys: pytest.CaptureFixture[str]):
    assert "'folder' is a folder where a file is needed" in refused(capsys, *argv, "folder")
    assert "'taken/day/new.mcap' needs a folder where taken is" in refused(capsys, *argv, "taken/day/new.mcap")


def test_places_that_can_be_are_left_as_they_are(in_the_way: Path):
    for kind, text in (
        (new_file, "new"),
        (new_file, "taken"),
        (new_file, "folder/new"),
        (new_file, "/dev/null"),
        (new_folder, "folder"),
        (new_folder, "folder/not/yet"),
        (new_recording, "new.mcap"),
        (new_recording, "not/yet/new.mcap"),
    ):
        assert kind(text) == text
    assert not any((in_the_way / "folder").iterdir())


@pytest.mark.parametrize(("kind", "text"), [(new_file, "folder/new"), (new_folder, "folder"), (new_file, "taken")])
def test_what_may_not_be_written_is_said(kind, text: str, in_the_way: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # nothing is forbidden to root, who may run the tests
    with pytest.raises(argparse.ArgumentTypeError, match=r"you may not write to (folder|taken); name another place"):
        kind(text)


def test_a_recording_that_never_began_is_said(in_the_way: Path, capsys: pytest.CaptureFixture[str]):
    assert str(Recorded(None)) == ""
    assert not Recorded(None).is_missing()
    recorded = Recorded("taken")
    assert str(recorded) == str(in_the_way / "taken-2")
    assert recorded.is_missing()
    assert capsys.readouterr().err.startswith(f"whowhere: nothing was recorded to {recorded}: it ended before")
    Path(str(recorded)).touch()
    assert not recorded.is_missing()


def test_a_site_file_to_put_values_into_must_be_there(in_the_way: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["calibrate", "wifi", "walk.mcap", "--write", "nowhere.toml"]) == 1
    assert capsys.readouterr().err.startswith("whowhere calibrate: --write nowhere.toml: there is no such site file\n")


@pytest.mark.parametrize("content", ["new", b"new"])
def test_a_full_disk_leaves_what_was_there(content: str | bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "network.onnx"
    file.write_text("old")

    def half(path: Path, data: bytes) -> int:
        with path.open("wb") as disk:
            disk.write(data[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", half)
        with pytest.raises(LaunchError, match=r"network\.onnx cannot be written: No space left"):
            write_whole(file, content)
    assert file.read_text() == "old"
    write_whole(file, content)
    assert file.read_text() == "new"
    assert [*tmp_path.iterdir()] == [file]
