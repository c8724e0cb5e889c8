"""Models and maps are written whole or not at all: whichever write fails, what stood there still stands."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from whowhere.models.appearance.model import save_model as save_appearance
from whowhere.models.gait.model import save_model as save_gait
from whowhere.models.positioning.mtloc_model import save_model as save_positioning
from whowhere.models.radiomap.maps import FingerprintMap, MapError, save_map
from whowhere.models.whole_files import write_together


def a_map(path: Path, version: str) -> None:
    position, rssi = np.zeros((1, 2)), np.full((1, 1), -50.0, np.float32)
    save_map(FingerprintMap("hall", version, ("a",), position, rssi), path / "hall.map")


SAVES: dict[str, Callable[[Path, str], None]] = {
    "appearance": lambda folder, version: save_appearance(version.encode(), {"version": version}, folder / "looks"),
    "gait": lambda folder, version: save_gait(
        {"radar": version.encode(), "camera": b"c" + version.encode()}, {"version": version}, folder
    ),
    "positioning": lambda folder, version: save_positioning(
        version.encode(), {"version": version}, folder / "mtloc.onnx"
    ),
    "radio map": a_map,
}


@contextmanager
def full_disk(writes: int) -> Iterator[None]:
    """A disk that takes that many files, and of the next one the first byte."""
    right, written = Path.write_bytes, []

    def write_bytes(path: Path, data: bytes) -> int:
        written.append(path)
        if len(written) <= writes:
            return right(path, data)
        right(path, data[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        yield


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("what", SAVES)
def test_a_failing_write_leaves_the_old_model(what: str, tmp_path: Path) -> None:
    SAVES[what](tmp_path, "old")
    before = contents(tmp_path)
    for writes in range(len(before)):
        with full_disk(writes), pytest.raises((OSError, MapError), match="No space left"):
            SAVES[what](tmp_path, "new")
        assert contents(tmp_path) == before


@pytest.mark.parametrize("what", SAVES)
def test_what_is_saved_replaces_all_of_the_old(what: str, tmp_path: Path) -> None:
    SAVES[what](tmp_path, "old")
    before = contents(tmp_path)
    SAVES[what](tmp_path, "new")
    after = contents(tmp_path)
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in before)


def test_the_error_names_the_file_and_no_draft(tmp_path: Path) -> None:
    with full_disk(1), pytest.raises(OSError, match="second") as error:
        write_together({tmp_path / "first": b"1", tmp_path / "second": b"2"})
    assert error.value.filename == str(tmp_path / "second")
    assert contents(tmp_path) == {}


def test_a_link_stays_one_and_rights_stay(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "link").symlink_to("file")
    write_together({tmp_path / "link": "new"})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
