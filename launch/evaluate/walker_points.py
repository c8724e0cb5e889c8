"""How real radars' points lie about a person, as numbers that a generator of walks can be held against.

RadHAR (Singh et al., mmNets 2019; BSD-3): one person walking, RadHAR's x is ahead and y left. MARS (An and Ogras, ACM
TECS 2021; MIT): exercises on the spot. mmGait as in walker_files. Points are counted within a body's reach of a frame's
medians; spreads are about the frame's mean. RadHAR's radar did not remove what stands still, and most of its points are
furniture: cells that hold a still point in a fifth of a file's frames are left out first.
"""

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.gait.walkers_recording import F64, frames
from ..errors import LaunchError
from .walker_files import recordings_in

GATE_M, SIDE_M, HEIGHT_M = 0.75, 1.2, 1.6  # of a body, about the medians of a frame
LEAST, POOR_SHARE, APART_M_S = 3, 0.4, 1.0
CELL_M, STILL_SHARE = 0.1, 0.2
RADHAR_NAMES = ("x", "y", "z", "velocity", "intensity")


def statistics_in(folder: Path) -> dict[str, dict[str, Any]]:
    """By data set; those that are absent are left out. Raises LaunchError where none is there."""
    readers = {
        "RadHAR walking": ("RadHAR_walk.tar.xz", _radhar),
        "MARS exercises": ("MARS.tar.xz", _mars),
        "mmGait walking, 77 GHz": ("mmGait_part.tar.xz", lambda path: _mmgait(path, "77")),
        "mmGait walking, 60 GHz": ("mmGait_part.tar.xz", lambda path: _mmgait(path, "60")),
    }
    present = {name: (folder / file, read) for name, (file, read) in readers.items() if (folder / file).exists()}
    if not present:
        raise LaunchError(f"{folder} holds none of RadHAR_walk.tar.xz, MARS.tar.xz, mmGait_part.tar.xz")
    return {name: statistics(list(read(path))) for name, (path, read) in present.items()}


def statistics(clouds: Sequence[F64]) -> dict[str, Any]:
    """Of frames (n,5): x, y, z m, Doppler m/s, intensity. Counts of points near the body, their spreads, and more."""
    bodies, all_of = [], []
    for cloud in clouds:
        cloud = cloud[np.abs(cloud[:, :3]).max(axis=1) > 0] if len(cloud) else cloud
        away = np.sqrt((cloud[:, :3] ** 2).sum(axis=1))
        if len(cloud):
            middle = np.median(cloud, axis=0)
            near = np.abs(cloud - middle)
            inside = (np.abs(away - np.median(away)) < GATE_M) & (near[:, 0] < SIDE_M) & (near[:, 2] < HEIGHT_M)
            bodies.append(cloud[inside])
            all_of.append(len(cloud))
    count = np.array([len(body) for body in bodies])
    seen = count >= LEAST
    full = [_polar(body) for body in bodies if len(body) >= LEAST]
    rest = np.concatenate([polar - polar.mean(axis=0) for polar in full])
    means = np.array([polar.mean(axis=0) for polar in full])
    doppler = np.unique(np.round(np.concatenate([polar[:, 3] for polar in full]), 3))
    slope = np.polyfit(np.log10(means[:, 0]), means[:, 4], 1)[0]
    later = np.corrcoef(count[:-1], count[1:])[0, 1]
    return {
        "frames": len(bodies),
        "points_all": float(np.mean(all_of)),
        "points": float(count.mean()),
        "points_5_95": [float(each) for each in np.quantile(count, [0.05, 0.95])],
        "variance_over_mean": float(count.var() / count.mean()),
        "next_frame_correlation": float(later),
        "poor_frames": float((count < POOR_SHARE * count.mean()).mean()),
        "off_body": float(1 - count.sum() / np.sum(all_of)),
        "range_sd_m": float(rest[:, 0].std()),
        "side_sd_m": float(rest[:, 1].std()),
        "height_sd_m": float(rest[:, 2].std()),
        "doppler_sd_m_s": float(rest[:, 3].std()),
        "doppler_far": float((np.abs(rest[:, 3]) > APART_M_S).mean()),
        "doppler_step_m_s": float(np.median(np.diff(doppler))) if len(doppler) > 1 else None,
        "intensity_sd_log10": float(rest[:, 4].std()),
        "intensity_per_decade_of_range": float(slope),
        "points_below_3_m": _mean_count(count[seen], means, 0, 3),
        "points_3_to_5_m": _mean_count(count[seen], means, 3, 5),
        "points_beyond_5_m": _mean_count(count[seen], means, 5, np.inf),
        "range_5_95_m": [float(each) for each in np.quantile(means[:, 0], [0.05, 0.95])],
    }


def _mean_count(count: NDArray[np.int64], means: F64, low_m: float, high_m: float) -> float | None:
    within = (means[:, 0] >= low_m) & (means[:, 0] < high_m)
    return float(count[within].mean()) if within.any() else None


def in_words(counted: dict[str, dict[str, Any]]) -> list[str]:
    keys = list(next(iter(counted.values())))
    lines = [f"{'':32}" + "".join(f"{name:>24}" for name in counted)]
    for key in keys:
        cells = [_cell(said[key]) for said in counted.values()]
        lines.append(f"{key:32}" + "".join(f"{cell:>24}" for cell in cells))
    return lines


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(f"{each:.1f}" for each in value)
    return "" if value is None else f"{value:.4g}"


def _polar(cloud: F64) -> F64:
    """Range, side, height m, Doppler, log10 intensity."""
    away = np.sqrt((cloud[:, :3] ** 2).sum(axis=1))
    light = np.log10(np.maximum(cloud[:, 4], 1e-3))
    return np.column_stack([away, cloud[:, 0], cloud[:, 2], cloud[:, 3], light])


def _mmgait(path: Path, radar: str) -> Iterator[F64]:
    for recording in recordings_in(path):
        if recording.radar == radar:
            yield from (points for _, points in frames(recording))


def _radhar(path: Path) -> Iterator[F64]:
    """A message a point; a frame begins where point_id is 0 again."""
    for text in _texts(path, ".txt"):
        rows = []
        for block in text.split("---"):
            said = dict(line.strip().split(": ", 1) for line in block.splitlines() if ": " in line.strip())
            if "intensity" in said:
                values = [float(said[name]) for name in RADHAR_NAMES]
                rows.append([float(said["point_id"]), -values[1], values[0], *values[2:4], 10 ** (values[4] / 10)])
        yield from _without_furniture(_split(np.array(rows), lambda table: np.diff(table[:, 0]) <= 0))


def _without_furniture(clouds: Sequence[F64]) -> Iterator[F64]:
    away = [np.floor(np.sqrt((cloud[:, :3] ** 2).sum(axis=1)) / CELL_M).astype(int) for cloud in clouds]
    still = [np.unique(cells[cloud[:, 3] == 0]) for cells, cloud in zip(away, clouds, strict=True)]
    often = np.flatnonzero(np.bincount(np.concatenate(still)) > STILL_SHARE * len(clouds))
    for cells, cloud in zip(away, clouds, strict=True):
        yield cloud[~(np.isin(cells, often) & (cloud[:, 3] == 0))]


def _mars(path: Path) -> Iterator[F64]:
    for text in _texts(path, ".csv"):
        if "Doppler" in text.partition("\n")[0]:
            table = np.array([line.split(",")[:7] for line in text.splitlines()[1:] if line], float)
            yield from _split(np.delete(table, 1, axis=1), lambda rows: np.diff(rows[:, 0]) != 0)


def _split(table: F64, changes: Any) -> list[F64]:
    return [part[:, 1:] for part in np.split(table, np.flatnonzero(changes(table)) + 1)]


def _texts(path: Path, ending: str) -> Iterator[str]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name.endswith(ending) else None
                if content:
                    yield content.read().decode("ascii")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise LaunchError(f"{path} cannot be read: {error}") from error
