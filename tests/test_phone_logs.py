"""Recorded walks of both public formats: written by hand here, and the real ones where they lie beside the checkout."""

import random
import tarfile
from pathlib import Path

import numpy as np
import pytest
from whowhere.drivers.phone.batches import SECOND_NS, in_order, second_of
from whowhere.drivers.phone.logs import WalkError, find_walks, read_walk

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "positioning"
T0_MS = 1_574_240_204_000


def mall(seconds: int = 6) -> str:
    """A walk with one sample of each sensor every 20 ms, a scan every 2 s and way points at both ends."""
    lines = ["#\tstartTime:1574240204193", f"{T0_MS}\tTYPE_WAYPOINT\t147.9\t307.8"]
    for n in range(1, seconds * 50 + 1):
        ms = T0_MS + 20 * n
        lines.append(f"{ms}\tTYPE_ACCELEROMETER\t{n}\t0.5\t9.8\t2")
        lines.append(f"{ms}\tTYPE_GYROSCOPE\t0.1\t0.2\t0.3\t3")
        lines.append(f"{ms}\tTYPE_MAGNETIC_FIELD\t19.4\t-30.1\t-12.7\t3")
        if n % 100 == 0:
            lines.append(f"{ms}\tTYPE_WIFI\tname\tAA:bb:cc:00:00:01\t{-40 - n // 100}\t2422\t{ms - 300}")
            lines.append(f"{ms}\tTYPE_WIFI\t\taa:bb:cc:00:00:02\t-70\t5785\t{ms - 25_000}")
            lines.append(f"{ms}\tTYPE_WIFI\t\taa:bb:cc:00:00:03\t-60\t5785\t{T0_MS + 1500}")
    lines.append(f"{T0_MS + seconds * 1000}\tTYPE_WAYPOINT\t144.4\t305.7")
    return "\n".join([*lines, "#\tendTime:1574240236996"]) + "\n"


def office(delay_ms: int = 0, seconds: int = 6) -> str:
    """A walk whose samples came `delay_ms` late from the third second on, and a list of access points said thrice."""
    lines = ['<data phone="6169b50559d0c09" building="undefined" t="2018-06-21 13:45:55.479">']
    for n in range(seconds * 50):
        taken_ms = T0_MS + 20 * n
        told_ms = max(taken_ms, T0_MS + delay_ms) if n >= 100 else taken_ms
        for tag in "agm":
            lines.append(f'<{tag} t="{told_ms}" x="{n}" y="0" z="9.8" st="{20_000_000 * n + 777}" />')
        if n in (50, 51, 52, 200):
            rssi = -85 if n < 200 else -70
            lines += [f'<wr t="{told_ms}">', f'<r b="08:1f:f3:b2:d4:2e" s="{rssi}" c="40" />', "</wr>"]
    return "\n".join([*lines, "</data>"])


def write(folder: Path, text: str, name: str = "walk.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_mall_s_lines_become_a_batch_a_second(tmp_path: Path) -> None:
    walk = read_walk(write(tmp_path, mall()))
    assert walk.name == "walk"
    assert [batch.t_ns for batch in walk.batches] == [(T0_MS // 1000 + n) * SECOND_NS for n in range(1, 7)]
    assert [len(batch.acc) for batch in walk.batches] == [50] * 6
    np.testing.assert_allclose(walk.batches[0].acc[:2], [[0.98, 1, 0.5, 9.8], [0.96, 2, 0.5, 9.8]], rtol=1e-5)
    np.testing.assert_allclose(walk.batches[3].mag[7, 1:], [19.4, -30.1, -12.7], rtol=1e-5)
    np.testing.assert_array_equal(walk.waypoint_t_ns, [T0_MS * 1_000_000, (T0_MS + 6000) * 1_000_000])
    np.testing.assert_allclose(walk.waypoint_m, [[147.9, 307.8], [144.4, 305.7]])


def test_what_was_seen_long_before_its_list_or_told_before_is_no_reading(tmp_path: Path) -> None:
    walk = read_walk(write(tmp_path, mall()))
    scans = [batch.scan for batch in walk.batches]
    assert scans[1] == (("aa:bb:cc:00:00:01", -41.0), ("aa:bb:cc:00:00:03", -60.0))
    assert scans[3] == (("aa:bb:cc:00:00:01", -42.0),)
    assert [bool(scan) for scan in scans] == [False, True] * 3
    assert walk.batches[1].scan_age_s == pytest.approx(0.3)
    assert walk.skipped == {"stale readings": 4, "repeated readings": 1}
    everything = read_walk(tmp_path / "walk.txt", fresh_s=60.0)
    assert everything.skipped == {"repeated readings": 2}
    assert read_walk(tmp_path / "walk.txt", pseudonym=lambda _: "x").batches[1].scan[0][0] == "x"


@pytest.mark.parametrize("delay_ms", [0, 3500])
def test_the_office_s_samples_are_where_they_were_taken_not_where_they_came(tmp_path: Path, delay_ms: int) -> None:
    path = write(tmp_path, office(delay_ms), "3.xml")
    write(tmp_path, "Time,lat1,Lng1,x,y,lat,Lng\n1.00,55.9,-3.1,488311,6199970,33.19,32.63\nbad\n", "3.csv")
    walk = read_walk(path)
    assert sum(len(batch.acc) for batch in walk.batches) == 300
    for batch in walk.batches:
        taken_ms = batch.t_ns / 1e6 - 1e3 * batch.acc[:, 0]
        np.testing.assert_allclose(taken_ms, T0_MS + 20 * batch.acc[:, 1], atol=1.0)
    np.testing.assert_array_equal(walk.waypoint_t_ns, [(T0_MS + 1000) * 1_000_000])
    np.testing.assert_allclose(walk.waypoint_m, [[33.19, 32.63]])
    assert [batch.scan for batch in walk.batches if batch.scan] == [
        (("08:1f:f3:b2:d4:2e", -85.0),), (("08:1f:f3:b2:d4:2e", -70.0),)
    ]  # fmt: skip
    assert walk.skipped == {"repeated scans": 2, "damaged lines": 1}


@pytest.mark.parametrize("text", [mall(), office()], ids=["mall", "office"])
def test_half_a_file_and_a_damaged_one_are_read_as_far_as_they_go(tmp_path: Path, text: str) -> None:
    rng, whole = random.Random(3), read_walk(write(tmp_path, text))
    half = read_walk(write(tmp_path, text[: len(text) // 2], "half.txt"))
    assert 2 <= len(half.batches) <= 4
    assert half.batches[0].acc.tobytes() == whole.batches[0].acc.tobytes()
    for trial in range(20):
        damaged = bytearray(text.encode())
        for _ in range(200):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path = tmp_path / f"{trial}.txt"
        path.write_bytes(damaged)
        walk = read_walk(path)
        rows = sum(len(batch.acc) for batch in walk.batches)
        assert 200 < rows <= 300
        assert len(walk.batches) < 30
    glued = read_walk(write(tmp_path, mall().replace("\t2\n", "\t2"), "glued.txt"))
    assert sum(len(batch.gyro) for batch in glued.batches) == 300


def test_what_is_no_walk_is_one_sentence(tmp_path: Path) -> None:
    for name, text in (
        ("a.txt", ""),
        ("b.txt", "hello\n"),
        ("c.txt", "1574240204000\tTYPE_BLUE\tx\n"),
        ("d.xml", "<data "),
    ):
        with pytest.raises(WalkError) as caught:
            read_walk(write(tmp_path, text, name))
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(WalkError, match="cannot be read"):
        read_walk(tmp_path / "missing.txt")
    with pytest.raises(WalkError, match="no such"):
        find_walks([tmp_path / "missing.txt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(WalkError, match="holds no recorded walk"):
        find_walks([tmp_path / "empty"])
    walk = write(tmp_path, mall(), "z.txt")
    assert find_walks([walk, tmp_path, walk])[0] == walk
    assert write(tmp_path, "notes", "readme.txt") not in find_walks([tmp_path])


def test_seconds_end_on_whole_seconds() -> None:
    assert [second_of(t_ns) for t_ns in (1, SECOND_NS, SECOND_NS + 1)] == [SECOND_NS, SECOND_NS, 2 * SECOND_NS]
    stream = in_order([30, 10, 20, 10], [[3, 3, 3], [1, 1, 1], [2, 2, 2], [9, 9, 9]])
    assert stream.t_ns.tolist() == [10, 20, 30]
    assert stream.xyz[:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("archive", "count", "seconds", "scans"),
    [("mall_walks_B1.tar.xz", 65, (2000, 2200), (800, 1000)), ("office_walks.tar.xz", 3, (600, 720), (15, 15))],
)
def test_the_public_walks_are_read(
    tmp_path: Path, archive: str, count: int, seconds: tuple[int, int], scans: tuple[int, int]
) -> None:
    if not (DATA / archive).is_file():
        pytest.skip(f"{archive} is not beside this checkout (shared/data/positioning)")
    with tarfile.open(DATA / archive) as packed:
        packed.extractall(tmp_path, filter="data")
    walks = [read_walk(path) for path in find_walks([tmp_path])]
    assert len(walks) == count
    batches = [batch for walk in walks for batch in walk.batches]
    assert seconds[0] <= len(batches) <= seconds[1]
    assert scans[0] <= sum(bool(batch.scan) for batch in batches) <= scans[1]
    assert all(len(walk.waypoint_m) >= 2 for walk in walks)
    size = np.concatenate([np.linalg.norm(batch.acc[:, 1:], axis=1) for batch in batches])
    assert 9.3 < np.median(size) < 10.3
    for walk in walks:
        near = walk.waypoint_t_ns[:, None] - np.array([batch.t_ns for batch in walk.batches])
        assert (np.abs(near).min(axis=1) < 60 * SECOND_NS).all()
