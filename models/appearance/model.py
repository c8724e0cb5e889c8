"""An appearance model as a file: a card, and beside it an ONNX network where one is part of it, run without torch.

An embedding is the colour stripes and what the network says, each of length 1 and times the root of its share, so that
a scalar product is the mixture of both similarities. The card (docs/appearance.md) names size, shares, the calibration
of similarities and the sha256 of the ONNX file. Errors are in one sentence.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from ..onnx_session import NotOnnx, open_session
from ..whole_files import write_together
from .card import FORMAT, check, crop_px_of, read_card
from .likeness import F64, ModelError, likeness_of
from .stripes import F32, Image, stripes
from .stripes import SIZE as STRIPES_SIZE

__all__ = ["AppearanceModel", "ModelError", "load_model", "model_of", "save_model", "shipped_model"]

MOST_SIZE = 256
BATCH = 64
SHIPPED = Path(__file__).parent / "shipped"


class AppearanceModel:
    """Crops in, embeddings out, and how alike they are in nats. card: as docs/appearance.md says; session: its network
    in ONNX Runtime, None where the stripes are all of it."""

    def __init__(self, card: Mapping[str, Any], session: Any = None) -> None:
        self.card = dict(card)
        self.likeness = likeness_of(card)
        self._session = session
        self._share = float(card["share"]) if session is not None else 0.0
        self._crop_px = crop_px_of(card)

    @property
    def label(self) -> str:
        """ "name:version", as descriptors and galleries name it."""
        return self.likeness.label

    @property
    def size(self) -> int:
        """D, the numbers of an embedding."""
        return self.likeness.size

    def embed(self, crops: Sequence[Image]) -> F32:
        """(N,D) f32 of length 1, of BGR crops (height, width, 3) u8 of any size. Raises ModelError for an empty crop or
        another shape; whether a crop is worth it, `quality.flaws` says."""
        for crop in crops:
            if crop.ndim != 3 or crop.shape[2] != 3 or not crop.size or crop.dtype != np.uint8:
                raise ModelError(f"a crop of shape {crop.shape} and {crop.dtype} is no BGR picture of 8 bits")
        if not len(crops):
            return np.zeros((0, self.size), np.float32)
        parts = [np.sqrt(1 - self._share) * stripes(crops)]
        if self._session is not None:
            parts.append(np.sqrt(self._share) * self._learnt(crops))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def log_ratio(self, similarity: ArrayLike, same_camera: ArrayLike = False, is_mean: bool = False) -> F64:
        """Nats for "the same person" against "somebody else": `Likeness.log_ratio`."""
        return self.likeness.log_ratio(similarity, same_camera, is_mean)

    def _learnt(self, crops: Sequence[Image]) -> F32:
        inputs = network_input(crops, self._crop_px)
        done = [self._session.run(["embedding"], {"crops": part})[0] for part in np.split(inputs, range(BATCH, len(inputs), BATCH))]  # fmt: skip  # noqa: E501
        return np.concatenate(done)


def network_input(crops: Sequence[Image], crop_px: tuple[int, int]) -> F32:
    """(N,3,height,width) f32, each channel with mean 0 and deviation 1: a camera's exposure and tint go out."""
    sized = np.array([cv2.resize(crop, crop_px, interpolation=cv2.INTER_AREA) for crop in crops], np.float32)
    planes = sized.transpose(0, 3, 1, 2)
    mean, deviation = planes.mean(axis=(2, 3), keepdims=True), planes.std(axis=(2, 3), keepdims=True)
    return np.ascontiguousarray((planes - mean) / (deviation + 8.0), np.float32)


def shipped_model(name: str = "stripes") -> AppearanceModel:
    """A model that comes with the house: "stripes". Raises ModelError for another name."""
    return load_model(SHIPPED / f"{name}.json")


def load_model(path: str | Path) -> AppearanceModel:
    """The model of a card (name.json), or of an ONNX file whose card lies beside it. Raises ModelError, naming the
    file."""
    path = Path(path)
    told = path.with_suffix(".json")
    card = read_card(told)
    if not card["sha256"]:
        return model_of(b"", card, told)
    try:
        content = path.with_suffix(".onnx").read_bytes()
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ModelError(
            f"{path.with_suffix('.onnx')} is not the file its card describes (sha256 differs): take both from one "
            "training"
        )
    return model_of(content, card, path.with_suffix(".onnx"))


def model_of(content: bytes, card: Mapping[str, Any], path: str | Path = "the model") -> AppearanceModel:
    """A model from its ONNX file's content (b"" for none) and card. Raises ModelError where they do not fit."""
    check(card, str(path))
    size = STRIPES_SIZE
    session = None
    if content:
        session = _session(content, crop_px_of(card), path)
        size += int(session.get_outputs()[0].shape[1])
    if card["size"] != size or size > MOST_SIZE:
        raise ModelError(f"{path} makes {size} numbers a crop where its card says {card['size']} (at most {MOST_SIZE})")
    return AppearanceModel(card, session)


def save_model(content: bytes, card: Mapping[str, Any], path: str | Path) -> None:
    """Write a card (name.json) and, where there is one, its ONNX file, whose sha256 the card gets, over older
    ones: both or neither. Raises OSError."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(content).hexdigest() if content else ""
    full = {**card, "format": FORMAT, "sha256": digest}
    network = {path.with_suffix(".onnx"): content} if content else {}
    write_together({**network, path.with_suffix(".json"): json.dumps(full, indent=1, sort_keys=True) + "\n"})


def _session(content: bytes, crop_px: tuple[int, int], path: str | Path) -> Any:
    try:
        session = open_session(content)
    except NotOnnx as error:
        raise ModelError(f"{path} is {error}") from error
    takes = {each.name: list(each.shape[1:]) for each in session.get_inputs()}
    if takes != {"crops": [3, crop_px[1], crop_px[0]]} or [o.name for o in session.get_outputs()] != ["embedding"]:
        raise ModelError(
            f"{path} takes {takes}, not crops of 3 x {crop_px[1]} x {crop_px[0]}: it is no appearance model"
        )
    return session
