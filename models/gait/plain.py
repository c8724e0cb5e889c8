"""The simple way, for comparison and for those who will not train: a handful of measured numbers and their correlation.

Radar: height by the highest points, speed, cadence by the beat of the Doppler spread, how far limbs' speeds spread.
Camera: cadence by the beat of the outline, how far legs and arms reach, shoulders, area, the height if known.
Canonical correlation on training walks turns them into signatures (latent.py): canonical variates are hidden numbers
of which each side explains a share. Behind GaitModel's interface.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .harmonics import cadence_hz
from .model import GaitModel
from .walkset import WalkSet
from .windows import CameraTensors, RadarTensors

F64 = NDArray[np.float64]

RIDGE = 1e-3
STRONGEST, LEAST = 0.95, 0.01  # no correlation is believed beyond, none below is used
LEGS, ARMS, SHOULDERS = slice(13, 20), slice(6, 11), slice(3, 6)  # bands of a profile's 20


def radar_features(tensors: RadarTensors) -> F64:
    """(B,7): height of the 90th percentile and mean of all points (m - 0.9), speed (m/s), cadence (Hz), step (m), root
    mean square and 95th percentile of the Doppler without the track's (m/s)."""
    mask, doppler = tensors.mask.astype(float), tensors.points[..., 3].astype(float)
    count = np.maximum(mask.sum(axis=2), 1)
    middle = (doppler * mask).sum(axis=2) / count
    spread = np.sqrt((((doppler - middle[..., None]) ** 2) * mask).sum(axis=2) / count)
    beat, _ = cadence_hz(np.stack([np.log(spread + 0.05), (abs(doppler) * mask).max(axis=2)], axis=1))
    pace = tensors.speed[:, 0].astype(float) + 1.2
    whole = np.array([_of_all(points[has]) for points, has in zip(tensors.points, tensors.mask > 0, strict=True)])
    return np.column_stack((whole[:, :2], pace, beat, pace / beat, whole[:, 2:]))


def camera_features(tensors: CameraTensors) -> F64:
    """(B,8): cadence (Hz), how far legs and arms swing and the legs' mean width, shoulders, area (in shares of the
    height); the height where known, else 0 (scaled)."""
    profiles = tensors.profiles.astype(float)
    beat, share = cadence_hz(profiles[..., :40].swapaxes(1, 2))
    width = profiles[..., 20:40] - profiles[..., :20]
    legs, arms = width[..., LEGS].mean(axis=2), width[..., ARMS].mean(axis=2)
    shoulders = np.median(width[..., SHOULDERS].mean(axis=2), axis=1)
    area = np.median(profiles[..., 61], axis=1)
    parts = [beat, share, legs.std(axis=1), legs.mean(axis=1), arms.std(axis=1), shoulders, area, tensors.told[:, 0]]
    return np.stack(parts, axis=1)


def _of_all(points: NDArray[np.float32]) -> list[float]:
    if len(points) < 10:
        return [0.0] * 4
    height, doppler = points[:, 2], points[:, 3]
    top, most = np.percentile(height, 90), np.percentile(abs(doppler), 95)
    return [float(top), float(height.mean()), float(doppler.std()), float(most)]


def fit(walks: WalkSet) -> dict[str, Any]:
    """What PlainBranch needs, as plain lists, from training walks, two and more a side: for the radar, and for the
    camera without its height ("crop") and with it ("height"). The hidden numbers are the canonical variates of the
    radar with the camera's crop; how well the radar sees each is its correlation between walks of a person."""
    radar, camera = _flat(radar_features, walks.radar), _flat(camera_features, walks.camera)
    crop = camera[:, :-1]
    whitened = [_whitening(part - part.mean(axis=0)) for part in (radar, crop)]
    x, y = ((part - part.mean(axis=0)) @ w for part, w in zip((radar, crop), whitened, strict=True))
    left, _, _ = np.linalg.svd(x.T @ y / len(x))
    variate = x @ left
    again = variate.reshape(walks.people, -1, left.shape[1])
    seen = np.clip((again[:, 0] * again[:, 1]).mean(axis=0) / (variate**2).mean(axis=0), LEAST, STRONGEST)
    done = {"radar": _side(radar, whitened[0] @ left * np.sqrt(seen))}
    for name, features in (("crop", crop), ("height", camera)):
        level = features - features.mean(axis=0)
        gram = level.T @ level + RIDGE * np.diag((level**2).sum(axis=0) + 1e-9)
        # what the radar's variate is expected to be, over sqrt(seen): what the hidden number is expected to be
        done[name] = _side(features, np.linalg.solve(gram, level.T @ variate) / np.sqrt(seen))
    return done


def _side(features: F64, mapping: F64) -> dict[str, Any]:
    """mean and map to the expected hidden numbers, and which share of each they explain."""
    explained = ((features - features.mean(axis=0)) @ mapping).var(axis=0)
    return {
        "mean": features.mean(axis=0).tolist(),
        "map": mapping.tolist(),
        "explained": np.where(explained < LEAST, 0.0, np.minimum(explained, STRONGEST)).tolist(),
    }


class PlainBranch:
    """Stands where a network's session stands: run(names, inputs) of windows gives eta, precision, and no numbers."""

    def __init__(self, kind: str, fitted: Mapping[str, Any]) -> None:
        self._kind = kind
        self._fitted = fitted

    def run(self, names: Sequence[str], inputs: dict[str, Any]) -> list[NDArray[np.float32]]:
        if self._kind == "radar":
            found = [self._said(radar_features(RadarTensors(**inputs)), "radar")]
            chosen = [0] * len(found[0][0])
        else:
            features, told = camera_features(CameraTensors(**inputs)), inputs["told"][:, 1] > 0
            found = [self._said(features[:, :-1], "crop"), self._said(features, "height")]
            chosen = told.astype(int).tolist()
        parts = [np.stack([found[c][k][row] for row, c in enumerate(chosen)]).astype(np.float32) for k in (0, 1)]
        nothing = np.zeros((len(chosen), 0), np.float32)
        table: dict[str, NDArray[np.float32]] = {
            "eta": parts[0],
            "precision": parts[1],
            "mean": nothing,
            "spread": nothing,
        }
        return [table[name] for name in names]

    def _said(self, features: F64, side: str) -> tuple[F64, F64]:
        """eta and precision (B,K) of features (B,F)."""
        mean, mapping, explained = (np.array(self._fitted[side][key]) for key in ("mean", "map", "explained"))
        expected = np.clip((features - mean) @ mapping, -3, 3)
        return expected * (explained > 0) / (1 - explained), np.broadcast_to(
            explained / (1 - explained), expected.shape
        )


def plain_model(fitted: Mapping[str, Any], calibration: Mapping[str, float], version: str = "1") -> GaitModel:
    """A GaitModel without networks."""
    card = {
        "name": "gait-plain", "version": version, "latent": len(fitted["radar"]["explained"]), "numbers": [],
        "calibration": dict(calibration), "plain": fitted,
    }  # fmt: skip
    return GaitModel({kind: PlainBranch(kind, fitted) for kind in ("radar", "camera")}, card)


def _flat(features: Any, tensors: Any) -> F64:
    """(P,W,F) features of tensors (P,W,...), as (P*W,F)."""
    return features(type(tensors)(*(part.reshape(-1, *part.shape[2:]) for part in tensors)))


def _whitening(level: F64) -> F64:
    spread = np.maximum(level.std(axis=0), 1e-9)
    values, vectors = np.linalg.eigh(np.cov((level / spread).T) + RIDGE * np.eye(level.shape[1]))
    return (vectors / np.sqrt(np.maximum(values, 1e-9)) @ vectors.T) / spread[:, None]
