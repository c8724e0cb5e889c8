"""A run's folder goes with the run, or with the next one where it was killed; never another's that still runs."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from whowhere.launch.run_folders import run_folder

KILLED = """
import os, signal
from whowhere.launch.run_folders import run_folder
with run_folder() as folder:
    for name in ("site.key", *{more!r}):
        (folder / name).write_text("secret")
    (folder / "streams").mkdir()
    (folder / "streams" / "a.pcap").write_text("secret")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def killed(folder: Path, *more: str) -> Path:
    """What a run in `folder` leaves that is killed with a secret in its own."""
    before = set(folder.iterdir())
    done = subprocess.run([sys.executable, "-c", KILLED.format(more=more)])
    assert done.returncode == -signal.SIGKILL
    [left] = {*folder.iterdir()} - before
    assert (left / "site.key").exists()
    return left


def test_a_killed_runs_folder_goes_when_the_next_one_starts(temporary: Path) -> None:
    left = killed(temporary)
    with run_folder() as folder:
        assert not left.exists()
        assert [*temporary.iterdir()] == [folder]
    assert not [*temporary.iterdir()]


def test_of_a_killed_run_that_crashed_before_the_traces_stay(temporary: Path) -> None:
    left = killed(temporary, "fusion.crash")
    for _ in range(2):
        with run_folder():
            assert [path.name for path in left.iterdir()] == ["fusion.crash"]


def test_what_is_in_use_or_not_ours_is_left_alone(temporary: Path) -> None:
    with run_folder() as running:
        (running / "site.key").write_text("secret")
        foreign = temporary / "whowhere-notes"
        foreign.mkdir()
        (foreign / "diary").write_text("mine")
        (temporary / "whowhere-link").symlink_to(running)
        with run_folder():
            assert (running / "site.key").exists()
            assert (foreign / "diary").exists()
    assert not running.exists()
    assert (foreign / "diary").exists()


def test_a_run_that_crashed_keeps_its_traces_and_no_key(temporary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with run_folder() as folder:
        (folder / "site.key").write_text("secret")
        (folder / "radar.crash").write_text("Traceback")
    assert os.listdir(folder) == ["radar.crash"]
    assert f"traces for a bug report: {folder / 'radar.crash'}" in capsys.readouterr().err
