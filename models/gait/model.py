"""Gait at run time: windows in, signatures out, log-likelihood ratios between them; numpy and onnxruntime, no torch.

The engine gets a loaded GaitModel and opens no file. A signature is 2 K numbers about a person (latent.py), from which
no walk can be made again; those of radars and cameras are comparable with each other. Signatures of another model are
not: they say nothing here and are counted. On real people ratios are worth no more than the card says they are.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..onnx_session import NotOnnx, open_session
from ..whole_files import write_together
from . import latent
from .card import FORMAT, GaitError, read_card
from .windows import Camera, CameraTensors, Radar, RadarTensors, aligned, camera_tensors, radar_tensors

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SHIPPED = Path(__file__).parent
CARD, RADAR, CAMERA = "gait.json", "radar.onnx", "camera.onnx"
GALLERY_MOST = 10_000
INPUTS = {"radar": RadarTensors._fields, "camera": CameraTensors._fields}


class Signature(NamedTuple):
    """What walks say about a person. eta, precision (K,) f32 (latent.py), sums over the walks; kind "radar", "camera"
    or "joined"; model: label of the model that made it; walks: how many it is of."""

    eta: F32
    precision: F32
    kind: str
    model: str
    walks: int = 1


class Gallery(NamedTuple):
    """Signatures made ready to be asked often: (G,K) each, which of them are this model's (G,), of how many walks."""

    eta: F64
    precision: F64
    is_ours: NDArray[np.bool_]
    walks: NDArray[np.int64]


class GaitModel:
    """Networks ready to run. counters: "too little" windows, "other model" signatures met."""

    def __init__(self, sessions: Mapping[str, Any], card: Mapping[str, Any]) -> None:
        self.card = dict(card)
        self.counters = {"too little": 0, "other model": 0}
        self._sessions = dict(sessions)
        said = card["calibration"]
        self._scale, self._least, self._most = float(said["scale"]), float(said["least"]), float(said["most"])
        self._per_walk = float(said["per_walk"])
        self._walks_alike, self._windows_alike = float(said["walks_alike"]), float(said["windows_alike"])

    @property
    def label(self) -> str:
        return f"{self.card['name']}:{self.card['version']}"

    def look(self, window: Camera) -> Signature | None:
        """Of a camera's window; None: standing, shorter than 1 s, too few outlines."""
        return self._signature("camera", camera_tensors(window))

    def sense(self, window: Radar) -> Signature | None:
        """Of a radar's window; None: standing, shorter than 1 s, under 3 points in more than half of the frames."""
        return self._signature("radar", radar_tensors(window))

    def follow(
        self, times_s: F64, points: Sequence[NDArray[np.floating]], place_m: F64, velocity_m_s: F64, radar_m: F64
    ) -> Signature | None:
        """`sense` of points (n,5) in floor coordinates along a track: as windows.aligned takes them."""
        return self.sense(aligned(times_s, points, place_m, velocity_m_s, radar_m))

    def numbers(self, tensors: RadarTensors | CameraTensors) -> dict[str, tuple[float, float]]:
        """A walk's gait numbers and their standard deviations, by name, in the units of the names. tensors: as
        windows.radar_tensors and windows.camera_tensors make them."""
        _, _, mean, spread = self._run("radar" if isinstance(tensors, RadarTensors) else "camera", tensors)
        scales = self.card["numbers"]
        return {
            each["name"]: (each["mean"] + each["sd"] * float(mean[0, k]), each["sd"] * float(np.exp(spread[0, k] / 2)))
            for k, each in enumerate(scales)
        }

    def batch(self, kind: str, inputs: dict[str, F32]) -> tuple[F32, F32]:
        """eta and precision (B,K) of tensors "radar" or "camera" (windows.py) by name, for measuring."""
        parts = [self._sessions[kind].run(["eta", "precision"], part) for part in _chunks(inputs)]
        return np.concatenate([eta for eta, _ in parts]), np.concatenate([precision for _, precision in parts])

    def batch_numbers(self, kind: str, inputs: dict[str, F32]) -> F32:
        """(B,9) the gait numbers of `numbers`, in units of the people's spread."""
        return np.concatenate([self._sessions[kind].run(["mean"], part)[0] for part in _chunks(inputs)])

    def joined(self, signatures: Sequence[Signature]) -> Signature | None:
        """Of several different walks of one person; those of other models left out and counted; None of none."""
        ours = self._ours(signatures)
        if not ours:
            return None
        kinds = {each.kind for each in ours}
        return Signature(
            np.stack([each.eta for each in ours]).sum(axis=0),
            np.stack([each.precision for each in ours]).sum(axis=0),
            ours[0].kind if len(kinds) == 1 else "joined",
            self.label,
            sum(each.walks for each in ours),
        )

    def one_walk(self, signatures: Sequence[Signature]) -> Signature | None:
        """Of several windows of one walk, which say much the same: they count for less than as many walks."""
        done = self.joined(signatures)
        if done is None:
            return None
        count = len(self._ours(signatures, count=False))
        share = np.float32(latent.share_of(count, self._windows_alike) / self._share(done))
        return done._replace(eta=done.eta * share, precision=done.precision * share, walks=1)

    def gallery(self, signatures: Sequence[Signature]) -> Gallery:
        """Ready for `ratios`. Raises GaitError for more than 10,000."""
        if len(signatures) > GALLERY_MOST:
            raise GaitError(
                f"a gait gallery of {len(signatures)} is larger than {GALLERY_MOST}: ask about fewer people"
            )
        width = int(self.card["latent"])
        is_ours = np.array([each.model == self.label for each in signatures], bool)
        self.counters["other model"] += int((~is_ours).sum())
        nothing = np.zeros(width, np.float32)
        eta = [each.eta if each.model == self.label else nothing for each in signatures]
        precision = [each.precision if each.model == self.label else nothing for each in signatures]
        share = np.array([self._share(each) for each in signatures], np.float64).reshape(-1, 1)
        shape = (len(signatures), width)
        return Gallery(
            share * np.array(eta, np.float64).reshape(shape),
            share * np.array(precision, np.float64).reshape(shape),
            is_ours,
            np.array([each.walks for each in signatures], np.int64),
        )

    def ratios(self, query: Signature, gallery: Sequence[Signature] | Gallery) -> F64:
        """(G,) calibrated log-likelihood ratios in nats: "the query's person" against "somebody of the population".
        0, which says nothing, for signatures of another model."""
        ready = gallery if isinstance(gallery, Gallery) else self.gallery(gallery)
        if query.model != self.label:
            self.counters["other model"] += 1
            return np.zeros(len(ready.eta))
        if not len(ready.eta):
            return np.zeros(0)
        share = self._share(query)
        eta, precision = share * query.eta.astype(np.float64), share * query.precision.astype(np.float64)
        plain = latent.ratios(eta, precision, ready.eta, ready.precision)
        return np.where(ready.is_ours, self.calibrated(plain, query.walks, ready.walks), 0.0)

    def calibrated(self, log_ratios: F64, query_walks: int, walks: NDArray) -> F64:
        """What ratios are worth: scaled, put right for the number of walks, and held between bounds."""
        added = latent.added(query_walks, walks, self._per_walk)
        return np.clip(self._scale * log_ratios + added, self._least, self._most)

    def probabilities(self, query: Signature, gallery: Sequence[Signature] | Gallery, known: float = 0.5) -> F64:
        """(G+1,) who the query is: each of the gallery, and last nobody of it. known: how likely beforehand that it is
        one of them. Twins share; an empty gallery says nobody."""
        return latent.probabilities(self.ratios(query, gallery), known)

    def _signature(self, kind: str, tensors: RadarTensors | CameraTensors | None) -> Signature | None:
        if tensors is None:
            self.counters["too little"] += 1
            return None
        eta, precision, _, _ = self._run(kind, tensors)
        return Signature(eta[0], precision[0], kind, self.label)

    def _run(self, kind: str, tensors: RadarTensors | CameraTensors) -> list[F32]:
        return self._sessions[kind].run(["eta", "precision", "mean", "spread"], tensors._asdict())

    def _share(self, signature: Signature) -> float:
        return latent.share_of(signature.walks, self._walks_alike)

    def _ours(self, signatures: Sequence[Signature], count: bool = True) -> list[Signature]:
        ours = [each for each in signatures if each.model == self.label]
        if count:
            self.counters["other model"] += len(signatures) - len(ours)
        return ours


def load_model(path: str | Path = SHIPPED) -> GaitModel:
    """The model of a card (radar.onnx and camera.onnx lie beside it), or of a folder whose card is gait.json. Raises
    GaitError, naming the file."""
    path = Path(path)
    card_file = path / CARD if path.is_dir() else path
    card = read_card(card_file)
    contents = {}
    for kind, name in (("radar", RADAR), ("camera", CAMERA)):
        file = card_file.with_name(name)
        try:
            contents[kind] = file.read_bytes()
        except OSError as error:
            raise GaitError(f"{file} cannot be read: {error.strerror}") from error
        if hashlib.sha256(contents[kind]).hexdigest() != card["sha256"].get(kind):
            raise GaitError(f"{file} is not the file its card describes (sha256 differs): take both from one training")
    return model_of(contents, card)


def model_of(contents: Mapping[str, bytes], card: Mapping[str, Any]) -> GaitModel:
    """A model from its ONNX files' contents, "radar" and "camera". Raises GaitError for a damaged or foreign one."""
    return GaitModel({kind: _session(content, kind) for kind, content in contents.items()}, card)


def save_model(contents: Mapping[str, bytes], card: Mapping[str, Any], folder: str | Path) -> None:
    """Write both ONNX files and their card, which gets their sha256, over older ones: all or none. Raises OSError."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    sums = {kind: hashlib.sha256(content).hexdigest() for kind, content in contents.items()}
    said = json.dumps({**card, "format": FORMAT, "sha256": sums}, indent=1, sort_keys=True)
    networks = {folder / f"{kind}.onnx": content for kind, content in contents.items()}
    write_together({**networks, folder / CARD: said + "\n"})


def _chunks(inputs: dict[str, F32], size: int = 256) -> Iterator[dict[str, F32]]:
    for start in range(0, len(next(iter(inputs.values()))), size):
        yield {name: part[start : start + size] for name, part in inputs.items()}


def _session(content: bytes, kind: str) -> Any:
    try:
        session = open_session(content)
    except NotOnnx as error:
        raise GaitError(f"the {kind} network is {error}") from error
    takes = {each.name for each in session.get_inputs()}
    if takes != set(INPUTS[kind]):
        raise GaitError(f"the {kind} network takes {sorted(takes)}, not {sorted(INPUTS[kind])}")
    return session
