"""The radar corridor on real recordings: raw UART bytes, and parsed people counting sent through TLVs again.

The recordings live beside the repository (shared/data); a clone without them skips these tests.
"""

import ast
import csv
import lzma
import os
import threading
import time
import tty
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from whowhere.drivers.radar.encode import encode_people_frame
from whowhere.drivers.radar.frames import RadarParser
from whowhere.drivers.radar.port import open_radar
from whowhere.messages import RadarFrame, encode
from whowhere.sitefile import Pose, Radar

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
UART = DATA / "radar_uart"
WHOLE_FRAMES = {  # frames whose TLV payloads are all present, by data/README.md, in file-name order
    "30fps_moving_log_2024-12-16": 400,
    "30fps_straight_3targets_log_2024-12-16": 169,
    "azim30_elev30_static_threeTargets60deg_log_2024-11-28": 96,
    "azim60_elev30_slow_threeTargets60deg_log_2024-11-28": 164,
    "azimu60_elev30_lanes_pedestrian_log_2024-11-28": 176,
}
EPOCH_NS = 1_700_000_000_000_000_000
QUICK = ["30fps_straight_3targets_log_2024-12-16", "azim30_elev30_static_threeTargets60deg_log_2024-11-28"]

needs_uart = pytest.mark.skipif(not UART.is_dir(), reason=f"no recordings at {UART}")


class Row(NamedTuple):
    """What the logger read at once: at_s since its first row."""

    at_s: float
    data: bytes


def rows_of(name: str) -> list[Row]:
    data = (UART / f"{name}.asrecorded.bin").read_bytes()
    rows: list[Row] = []
    with (UART / f"{name}.index.csv").open() as lines:
        start_s = turn_s = 0.0
        for row in csv.DictReader(lines):
            stamp, fraction = row["host_timestamp"].split(".")
            # The 30 fps indices hold a date and the fraction of a second only: count the seconds' turns.
            seconds = datetime.fromisoformat(stamp).timestamp() if ":" in stamp else turn_s
            at_s = seconds + float(f"0.{fraction}")
            if rows and at_s - start_s < rows[-1].at_s and ":" not in stamp:
                turn_s += 1
                at_s += 1
            start_s = start_s if rows else at_s
            offset, length = int(row["offset"]), int(row["bytes_in_row"])
            rows.append(Row(at_s - start_s, data[offset : offset + length]))
    assert b"".join(row.data for row in rows) == data
    return rows


def parse(data: bytes, chunk: int) -> tuple[list[RadarFrame], dict[str, int]]:
    parser = RadarParser("r1", baud=1_000_000)
    frames: list[RadarFrame] = []
    for at in range(0, len(data), chunk):
        part = data[at : at + chunk]
        frames += parser.feed(part, EPOCH_NS + (at + len(part)) * 10_000)
    return frames + parser.idle(), parser.counters


@needs_uart
@pytest.mark.parametrize("name", WHOLE_FRAMES)
def test_every_whole_frame_in_any_chunks(name: str) -> None:
    data = (UART / f"{name}.asrecorded.bin").read_bytes()
    frames, counters = parse(data, 4096)
    assert len(frames) == WHOLE_FRAMES[name]
    assert all(np.abs(frame.points[:, :3]).max(initial=0) < 30 for frame in frames)
    bodies = [encode(frame) for frame in frames]
    for chunk in (1, 7, 512):
        other, other_counters = parse(data, chunk)
        assert [encode(frame) for frame in other] == bodies
        assert other_counters == counters


def play(rows: list[Row], master: int, factor: float, sent: list[tuple[int, int]]) -> None:
    """Write each row at its time (factor times as fast); sent: (offset of its first byte, when it was written)."""
    start_s, offset = time.monotonic(), 0
    for row in rows:
        time.sleep(max(0.0, start_s + row.at_s / factor - time.monotonic()))
        sent.append((offset, time.time_ns()))
        offset += os.write(master, row.data)


def through_a_pty(folder: Path, name: str, factor: float) -> tuple[list[RadarFrame], list[tuple[int, int]]]:
    master, slave = os.openpty()
    tty.setraw(slave)
    (folder / "data").symlink_to(os.ttyname(slave))
    config = Radar(
        id="r1", cli_port="none", data_port=str(folder / "data"), config="none", pose=Pose(position_m=(0, 0, 2))
    )
    sent: list[tuple[int, int]] = []
    parser, frames = RadarParser("r1"), []
    player = threading.Thread(target=play, args=(rows_of(name), master, factor, sent))
    threading.Timer(0.2, player.start).start()
    with open_radar(config) as radar:  # streams already, so nothing is configured
        silent_since = time.monotonic()
        while player.is_alive() or time.monotonic() - silent_since < 0.5:
            if chunk := radar.read(0.1):
                frames += parser.feed(chunk.data, chunk.t_ns)
                silent_since = time.monotonic()
            else:
                frames += parser.idle()
    player.join()
    os.close(master)
    os.close(slave)
    return frames, sent


def check_pace(folder: Path, name: str, factor: float) -> None:
    frames, sent = through_a_pty(folder, name, factor)
    reference, _ = parse((UART / f"{name}.asrecorded.bin").read_bytes(), 4096)
    assert [frame.frame_number for frame in frames] == [frame.frame_number for frame in reference]
    for frame, expected in zip(frames, reference, strict=True):
        assert np.array_equal(frame.points, expected.points)
    # A row is written at once, though the wire would have needed some ms for it: so a frame is put up to one row's wire
    # time before its row was written, and never much later.
    starts = np.array([offset for offset, _ in sent])
    offsets = [(frame.t_ns - EPOCH_NS) // 10_000 for frame in reference]
    written = [sent[int(np.searchsorted(starts, offset, "right")) - 1][1] for offset in offsets]
    late_ms = np.array([frame.t_ns - at for frame, at in zip(frames, written, strict=True)]) / 1e6
    assert np.median(late_ms) < 5
    assert late_ms.min() > -60


@needs_uart
@pytest.mark.parametrize("name", QUICK)
def test_real_bytes_through_a_port(tmp_path: Path, name: str) -> None:
    check_pace(tmp_path, name, factor=10)


@needs_uart
@pytest.mark.long
@pytest.mark.parametrize("name", WHOLE_FRAMES)
def test_real_bytes_through_a_port_at_their_pace(tmp_path: Path, name: str) -> None:
    check_pace(tmp_path, name, factor=1)


class Parsed(NamedTuple):
    points: list[list[float]]
    targets: list[list[float]]
    labels: list[int] | None


def people_frames() -> Iterator[tuple[int, Parsed]]:
    frames: dict[int, Parsed] = defaultdict(lambda: Parsed([], [], None))
    with lzma.open(DATA / "radar_people_tracking" / "pc3_2023-06-21-12-27-01.csv.xz", "rt") as lines:
        for _, number, kind, *values in csv.reader(lines):
            if kind == "v6":
                frames[int(number)].points.append([float(value) for value in values])
            elif kind == "v7":
                numbers = [float(value) for value in values]
                frames[int(number)].targets.append([numbers[-1], *numbers[:6], numbers[-2], -1])
            elif kind == "v8":
                frames[int(number)] = frames[int(number)]._replace(labels=ast.literal_eval(values[0]))
    yield from sorted(frames.items())


@pytest.mark.skipif(not (DATA / "radar_people_tracking").is_dir(), reason=f"no recordings at {DATA}")
@pytest.mark.parametrize("old", [False, True])
def test_real_people_counting_round_trip(old: bool) -> None:
    parser = RadarParser("r1")
    previous: tuple[int, int] = (-1, 0)
    labelled = 0
    for number, parsed in people_frames():
        elevation, azimuth, distance, doppler, snr, x, y, z = np.array(parsed.points).T
        snr[snr < 0] += 65536 * 0.04  # whoever wrote the file read this u16 as signed
        sent = np.column_stack((x, y, z, doppler, 10 * np.log10(snr)))
        data = encode_people_frame(sent, number, parsed.targets, parsed.labels, old=old)
        [frame] = parser.feed(data, EPOCH_NS) or parser.idle()
        np.testing.assert_allclose(frame.points, sent, atol=2e-5)
        np.testing.assert_allclose(distance, np.linalg.norm(frame.points[:, :3], axis=1), rtol=1e-5)
        np.testing.assert_allclose(np.arctan2(frame.points[:, 0], frame.points[:, 1]), azimuth, atol=1e-5)
        np.testing.assert_allclose(np.arcsin(frame.points[:, 2] / distance), elevation, atol=1e-5)
        assert frame.targets is not None
        np.testing.assert_allclose(frame.targets, np.array(parsed.targets, "<f4").reshape(-1, 9), atol=1e-6)
        if parsed.labels is not None and parsed.targets and previous == (number - 1, len(parsed.labels)):
            labelled += 1
            assert frame.target_index is not None
            assert frame.target_index.tolist() == parsed.labels
        else:
            assert frame.target_index is None
        previous = (number, len(sent))
    assert labelled > 80
    assert parser.counters["refused_packets"] == 0
