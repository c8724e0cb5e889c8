"""From a recorded session to a sensor's pose: what `whowhere calibrate` reads, says and writes.

Lenses come from the site file or from calibration files as ROS's camera_calibration writes them; the answer is a table
for the site file. It has no arithmetic of its own: that is fusion/alignment.py's.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from msgspec.structs import replace

from ..fusion.alignment import PARAMETERS, PRIOR_SD, Alignment, align, walks
from ..messages import CameraFrame, RadarFrame
from ..nodes.session import Session
from ..sitefile import Camera, Detector, Pinhole, Radar
from .errors import LaunchError

UNDECIDED_COST = 0.1  # lenses whose mean cost a box differs by less are not told apart
LOOSE = 0.5  # a value whose scatter is more than this share of its prior's is hardly better than the guess
DOUBTFUL_M = 1.0  # a pose whose median residual is larger on what it was not fitted to is none
Sensor = TypeVar("Sensor", Radar, Camera)


def radar_camera(
    session: Session, radar_id: str | None, camera_id: str | None, lenses: list[Path]
) -> tuple[Radar, Camera, list[tuple[str, Alignment]]]:
    """The alignment for each lens, the best first. Raises LaunchError where the session or a lens is of no use."""
    site = session.site()
    radar = _chosen("radar", radar_id, site.radars)
    camera = _chosen("camera", camera_id, site.cameras)
    guesses = _guesses(camera, lenses)
    messages = list(session.messages())
    echoes = [m for m in messages if isinstance(m, RadarFrame) and m.source == radar.id]
    images = [m for m in messages if isinstance(m, CameraFrame) and m.source == camera.id]
    echoes.sort(key=lambda frame: frame.t_ns)
    bodies = walks(echoes, radar, site.area)
    if not bodies or not images:
        raise LaunchError(
            f"{session.path}: {len(bodies)} people followed by radar {radar.id}, {len(images)} frames of camera "
            f"{camera.id}: nothing to align",
            f"whowhere check {session.path}",
        )
    try:
        found = [(name, align(bodies, images, guess, camera.detector)) for name, guess in guesses]
    except ValueError as error:
        raise LaunchError(f"{session.path}: {error}") from error
    return radar, camera, sorted(found, key=lambda pair: pair[1].cost)


def read_lens(path: Path, guess: Pinhole) -> Pinhole:
    """`guess` with the lens of a ROS camera_info file (plumb_bob). Raises LaunchError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LaunchError(f"{path}: cannot be read as a lens calibration") from error
    matrix, distortion = _numbers(text, "camera_matrix"), _numbers(text, "distortion_coefficients")
    size = [re.search(rf"^image_{side}:\s*(\d+)", text, re.MULTILINE) for side in ("width", "height")]
    if len(matrix) != 9 or len(distortion) != 5 or not all(size):
        raise LaunchError(
            f"{path}: not a camera_info file of ROS: it needs image_width, image_height, camera_matrix (9 values) and "
            "distortion_coefficients (5)"
        )
    width, height = (int(found[1]) for found in size if found)
    k1, k2, p1, p2, k3 = distortion
    return replace(
        guess,
        image_size=(width, height),
        focal_px=(matrix[0], matrix[4]),
        centre_px=(matrix[2], matrix[5]),
        distortion=(k1, k2, p1, p2, k3),
    )


def fragment(camera: Camera, found: Alignment, why: str) -> str:
    """The camera's table for the site file, with what was found in it."""
    lens, pose = found.camera, found.camera.pose
    latency_s = camera.latency_s - found.offset_s
    lines = [f"# {line}" for line in why.splitlines()]
    lines += ["[[cameras]]", f'id = "{camera.id}"', f"source = {_quoted(camera.source)}", f"fps = {camera.fps:g}"]
    if camera.timestamps:
        lines.append(f"timestamps = {_quoted(camera.timestamps)}")
    if latency_s > 0:
        unless = "; not taken off a file's" if camera.timestamps else ""
        lines.append(f"latency_s = {latency_s:.3f}  # its time stamps lag behind the radar's by this{unless}")
    lines += _detector_table(camera.detector)
    lines += [
        "[cameras.calibration]",
        'model = "pinhole"',
        f"image_size = {_row(lens.image_size, 0)}",
        f"focal_px = {_row(lens.focal_px, 2)}",
        f"centre_px = {_row(lens.centre_px, 2)}",
        f"distortion = {_row(lens.distortion, 6)}",
        f"pose = {{ position_m = {_row(pose.position_m, 3)}, yaw_deg = {pose.yaw_deg:.2f}, "
        f"tilt_deg = {pose.tilt_deg:.2f}, roll_deg = {pose.roll_deg:.2f} }}",
    ]
    return "\n".join(lines) + "\n"


def figures(found: Alignment) -> dict[str, object]:
    """The alignment as plain numbers, for --json."""
    pose = found.camera.pose
    values = (*pose.position_m, pose.yaw_deg, pose.tilt_deg, pose.roll_deg, found.offset_s)
    return {
        "pose": {name: round(value, 3) for name, value in zip(PARAMETERS, values, strict=True)},
        "sd": {name: round(value, 3) for name, value in found.sd.items()},
        "pairs": found.pairs,
        "boxes": found.boxes,
        "residual_m": _spread(found.residual_m),
        "sideways_m": _spread(found.sideways_m),
        "held_out_m": _spread(found.held_out_m),
        "cost": round(found.cost, 3),
    }


def in_words(radar: Radar, camera: Camera, ranked: list[tuple[str, Alignment]]) -> Iterator[str]:
    """What was found and how well, a sentence or a figure a line."""
    name, best = ranked[0]
    yield f"camera {camera.id} beside radar {radar.id}: {best.pairs} of {best.boxes} boxes show somebody it follows"
    numbers = figures(best)["pose"]
    assert isinstance(numbers, dict)
    for key, value in numbers.items():
        loose = ", hardly better than the guess" if best.sd[key] > LOOSE * PRIOR_SD[PARAMETERS.index(key)] else ""
        yield f"  {key:10} {value:8.2f} +- {best.sd[key]:.2f}{loose}"
    yield f"residual on the floor: {_in_metres(best.residual_m)}"
    yield f"of it across the camera's view: {_in_metres(best.sideways_m)}"
    yield f"on the half not fitted to: {_in_metres(best.held_out_m)}"
    if np.nanmedian(best.held_out_m) > DOUBTFUL_M:
        yield "NOT TO BE USED: the halves of the recording disagree; record for longer, near and far, left and right"
    for other, alignment in ranked[1:]:
        gap = alignment.cost - best.cost
        verdict = "not told apart from" if gap < UNDECIDED_COST else "fits worse than"
        yield f"lens {other}: {verdict} {name} (cost {alignment.cost:.2f}, {best.cost:.2f})"


def _detector_table(detector: Detector) -> list[str]:
    """What differs from the defaults, as TOML."""
    chosen, usual = msgspec.to_builtins(detector), msgspec.to_builtins(Detector())
    lines = [f"{key} = {json.dumps(value)}" for key, value in chosen.items() if value != usual[key]]
    return ["[cameras.detector]", *lines] if lines else []


def _chosen(kind: str, wanted: str | None, there: tuple[Sensor, ...]) -> Sensor:
    chosen = [sensor for sensor in there if wanted in (None, sensor.id)]
    if len(chosen) != 1:
        names = ", ".join(sensor.id for sensor in there) or "none"
        asked = f'no {kind} "{wanted}":' if wanted else f"which {kind}?"
        raise LaunchError(f"{asked} this session's site has: {names}", f"add --{kind} ID")
    return chosen[0]


def _guesses(camera: Camera, lenses: list[Path]) -> list[tuple[str, Pinhole]]:
    guess = camera.calibration
    if not isinstance(guess, Pinhole):
        raise LaunchError(
            f"cameras.{camera.id}.calibration is a homography, and a pose needs a lens: record with a pinhole "
            "there, its pose guessed"
        )
    return [(lens.name, read_lens(lens, guess)) for lens in lenses] or [("of the site file", guess)]


def _numbers(text: str, key: str) -> list[float]:
    found = re.search(rf"^{key}:.*?data:\s*\[([^\]]*)\]", text, re.MULTILINE | re.DOTALL)
    try:
        return [float(value) for value in found[1].split(",")] if found else []
    except ValueError:
        return []


def _spread(metres: np.ndarray) -> dict[str, float]:
    return {
        "median": round(float(np.nanmedian(metres)), 3),
        "p90": round(float(np.nanpercentile(metres, 90)), 3),
    }


def _in_metres(metres: np.ndarray) -> str:
    spread = _spread(metres)
    return f"median {spread['median']:.2f} m, 90 % below {spread['p90']:.2f} m"


def _row(values: tuple[float, ...], digits: int) -> str:
    return f"[{', '.join(f'{value:.{digits}f}' for value in values)}]"


def _quoted(text: str) -> str:
    return "'" + text + "'" if "\\" in text else f'"{text}"'
