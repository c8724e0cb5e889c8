"""A trained MTLoc model as a file: ONNX with its card beside it, checked against each other, run without torch.

The card (docs/positioning.md) says which access points the columns are, the sensors' ranges, the floor's box, what the
predictions' standard deviation was on walks held out, and the sha256 of the ONNX file. Errors are in one sentence.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch
from ..card_file import NotCard, card_in, require
from ..onnx_session import NotOnnx, open_session
from ..radiomap.knn import Fix
from ..whole_files import write_together
from .mtloc_windows import (
    MOST_MERGED,
    SCAN_MAX_AGE_S,
    SENSORS,
    STEPS,
    Hearing,
    heard_together,
    magnitudes,
    scaled,
    wifi_vector,
)

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

FORMAT = "whowhere mtloc 1"
NEEDED = ("format", "name", "version", "sha256", "bssids", "ranges", "box", "sd_m", "map_version")


class ModelError(ValueError):
    """What is wrong with a positioning model's file or card, in one sentence."""


class MtlocModel:
    """A network ready to run, with a memory of each phone's last scans. card: as docs/positioning.md says."""

    def __init__(self, session: Any, card: Mapping[str, Any]) -> None:
        self.card = dict(card)
        self._session = session
        self._column = {bssid: j for j, bssid in enumerate(card["bssids"])}
        x0, y0, sx, sy = card["box"]
        self._origin, self._size = np.array([x0, y0]), np.array([sx, sy])
        self._ranges = {name: tuple(card["ranges"][name]) for name in SENSORS}
        self.hearing = hearing_in(card)
        self._heard: dict[str, list[tuple[int, F32]]] = {}  # by phone: heard when (UTC ns), levels (A,); oldest first

    @property
    def label(self) -> str:
        """ "name:version", as published positions name it."""
        return f"{self.card['name']}:{self.card['version']}"

    def predict(self, wifi: F32, imu: F32, mag: F32) -> F64:
        """Places (B,2) in metres of windows wifi (B,A), imu (B,10,2), mag (B,10,1)."""
        if not len(wifi):  # onnxruntime ends the process over an LSTM's empty batch
            return np.zeros((0, 2))
        (unit,) = self._session.run(["xy"], {"wifi": wifi, "imu": imu, "mag": mag})
        return self._origin + np.asarray(unit, np.float64) * self._size

    def remember(self, batch: PhoneBatch) -> None:
        """Take a batch's scan as the phone's last; a second time changes nothing."""
        if batch.scan:
            heard_ns = batch.t_ns - round(batch.scan_age_s * 1e9)
            since_ns = heard_ns - self.hearing.merged_s * 1e9
            before = [s for s in self._heard.get(batch.source, []) if since_ns <= s[0] < heard_ns]
            levels = wifi_vector(dict(batch.scan), self._column, clip=True)
            self._heard[batch.source] = [*before, (heard_ns, levels)][-MOST_MERGED:]

    def locate(self, batch: PhoneBatch) -> Fix | None:
        """The place at the end of a batch's second; None where neither it nor the phone's last scan holds an access
        point the model knows: motion and magnetic field alone say no place."""
        self.remember(batch)
        scans = self._heard.get(batch.source)
        if scans is None or batch.t_ns - scans[-1][0] > SCAN_MAX_AGE_S * 1e9 or not scans[-1][1].any():
            return None
        heard = heard_together(scans, self.hearing)
        imu, mag, missing = self._sensed(batch)
        place = self.predict(heard[None], imu[None], mag[None])[0]
        sd_m = float(self.card["sd_m"]["all"])
        for name in missing:
            sd_m = max(sd_m, float(self.card["sd_m"].get(f"without_{name}", sd_m)))
        return Fix(place, sd_m**2 * np.eye(2), int(np.count_nonzero(heard)))

    def state(self) -> dict[str, Any]:
        """The phones' last scans, as plain values and arrays."""
        return {name: [[t_ns, levels.copy()] for t_ns, levels in scans] for name, scans in self._heard.items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up where `state` was taken."""
        self._heard = {
            name: [(int(t_ns), np.array(levels, np.float32)) for t_ns, levels in scans] for name, scans in state.items()
        }

    def _sensed(self, batch: PhoneBatch) -> tuple[F32, F32, list[str]]:
        rows, missing = {}, []
        for name in SENSORS:
            samples = np.asarray(getattr(batch, name), np.float64)
            samples = samples[np.argsort(-samples[:, 0], kind="stable")]
            if len(samples):
                rows[name] = scaled(magnitudes(1.0 - samples[:, 0], samples[:, 1:]), self._ranges[name])
            else:
                rows[name] = np.zeros(STEPS)
                missing.append("mag" if name == "mag" else "imu")
        imu = np.stack([rows["acc"], rows["gyro"]], axis=1).astype(np.float32)
        return imu, rows["mag"].astype(np.float32)[:, None], missing


def load_model(path: str | Path) -> MtlocModel:
    """The model in an ONNX file whose card lies beside it (name.json). Raises ModelError, naming the file."""
    content, card = file_and_card(path)
    return MtlocModel(_session(content, len(card["bssids"]), Path(path)), card)


def file_and_card(path: str | Path) -> tuple[bytes, dict[str, Any]]:
    """A model's ONNX file and the card beside it, which fit each other. Raises ModelError, naming the file."""
    path = Path(path)
    content = content_of(path)
    told = card_path(path)
    try:
        card = card_in(told, FORMAT, "a positioning model")
        require(card, NEEDED, str(told))
        _require_fields(card)
        hearing_in(card)
    except NotCard as error:
        raise ModelError(str(error)) from error
    except ModelError as error:
        raise ModelError(f"{told}: {error}") from error
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ModelError(f"{path} is not the file its card describes (sha256 differs): take both from one training")
    return content, card


def content_of(path: Path) -> bytes:
    """What is in a file. Raises ModelError, naming it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def hearing_in(card: Mapping[str, Any]) -> Hearing:
    """How the network was given scans in training. Older cards do not say: as printed. Raises ModelError."""
    said = card.get("hearing", {})
    if not isinstance(said, Mapping) or not set(said) <= set(Hearing._fields):
        raise ModelError(f"the card's hearing is {said!r}, where a table of {', '.join(Hearing._fields)} belongs")
    for key, value in said.items():
        if not _is_number(value) or not 0 <= value < 1e6 or (key == "power" and value == 0):
            least = "more than 0" if key == "power" else "0 or more"
            raise ModelError(f"the card's hearing.{key} is {value!r}: it must be a number, {least}")
    return Hearing(**said)


def _require_fields(card: Mapping[str, Any]) -> None:
    """Raises ModelError where a field that running the model needs is of another kind."""
    bssids, ranges, box, sd_m = card["bssids"], card["ranges"], card["box"], card["sd_m"]
    if not isinstance(bssids, list) or not all(isinstance(each, str) for each in bssids):
        raise ModelError("bssids must be a list of texts")
    if not _are_numbers(box, 4) or not (box[2] > 0 and box[3] > 0):
        raise ModelError(f"box is {box!r}: it must be x, y, width and height, four numbers in m, the last two above 0")
    if not isinstance(ranges, dict) or not all(_are_numbers(ranges.get(name), 2) for name in SENSORS):
        raise ModelError(f"ranges must hold two numbers for each of {', '.join(SENSORS)}")
    if not isinstance(sd_m, dict) or "all" not in sd_m or not all(_is_number(sd) and sd > 0 for sd in sd_m.values()):
        raise ModelError('sd_m must hold "all", and numbers of metres above 0')


def _are_numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def card_path(path: str | Path) -> Path:
    """Where the card of an ONNX file lies."""
    return Path(path).with_suffix(".json")


def model_of(content: bytes, card: Mapping[str, Any]) -> MtlocModel:
    """A model just trained, from its file's content."""
    return MtlocModel(_session(content, len(card["bssids"]), Path("the trained network")), card)


def save_model(content: bytes, card: Mapping[str, Any], path: str | Path) -> None:
    """Write an ONNX file and its card, which gets its sha256, over older ones: both or neither. Raises OSError."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    full = {**card, "format": FORMAT, "sha256": hashlib.sha256(content).hexdigest()}
    write_together({path: content, card_path(path): json.dumps(full, indent=1, sort_keys=True) + "\n"})


def _session(content: bytes, width: int, path: Path) -> Any:
    try:
        session = open_session(content)
    except NotOnnx as error:
        raise ModelError(f"{path} is {error}") from error
    shapes = {each.name: each.shape for each in session.get_inputs()}
    if set(shapes) != {"wifi", "imu", "mag"}:
        raise ModelError(f"{path} takes {sorted(shapes)}, not wifi, imu and mag: it is no MTLoc model")
    if shapes["wifi"][1] != width:
        raise ModelError(f"{path} takes {shapes['wifi'][1]} access points where its card names {width}")
    return session
