"""From how alike two embeddings are to nats for "the same person": the calibration in a model's card.

A straight line through the similarity (logistic regression on pairs, both kinds weighing the same), one for one
camera and one for different cameras, each for a single crop against a mean of several and for two such means. People
change clothes: with that probability the similarity says nothing, so that looks can never rule anybody out, and the
radio wins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .stripes import F32

F64 = NDArray[np.float64]

KINDS = ("same camera, crop", "same camera, mean", "other camera, crop", "other camera, mean")
CHANGED = {"same camera": 0.02, "other camera": 0.1}  # probability that the clothes are not the same any more
MOST_NATS = 6.0


class ModelError(ValueError):
    """What is wrong with an appearance model, its card, or what is asked of it, in one sentence."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How to compare embeddings of one model. label: "name:version"; size: D; lines: by the names in KINDS (offset,
    slope) in nats; changed: probability of other clothes, by "same camera" and "other camera"."""

    label: str
    size: int
    lines: Mapping[str, tuple[float, float]]
    changed: Mapping[str, float]

    def log_ratio(self, similarity: ArrayLike, same_camera: ArrayLike = False, is_mean: bool = False) -> F64:
        """Nats for "the same person" against "somebody else", of similarities of any shape; bounded.

        same_camera: whether both were seen by one camera (broadcast). is_mean: both are means of several crops
        (`quality.pooled`); False: at least one is a single crop.
        """
        alike = np.asarray(similarity, np.float64)
        here = np.asarray(same_camera, bool)
        if not here.ndim:
            return self._told(alike, "same camera" if here else "other camera", is_mean)
        return np.where(here, self._told(alike, "same camera", is_mean), self._told(alike, "other camera", is_mean))

    def of(self, query: F32, gallery: F32, label: str, same_camera: ArrayLike = False, is_mean: bool = False) -> F64:
        """Nats (n,m) of queries (n,D) against a gallery (m,D), which `label` embedded. Raises ModelError where that is
        another model, or another size: such embeddings cannot be compared."""
        if label != self.label:
            raise ModelError(f'a gallery of "{label}" cannot be compared by "{self.label}": embed its crops again')
        query, gallery = (np.asarray(each, np.float32).reshape(-1, self.size) if np.size(each) == 0 else each
                          for each in (query, gallery))  # fmt: skip
        if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != self.size or gallery.shape[1] != self.size:
            raise ModelError(
                f'"{self.label}" compares rows of {self.size} numbers, not {query.shape} with {gallery.shape}'
            )
        return self.log_ratio(query @ gallery.T, same_camera, is_mean)

    def _told(self, alike: F64, camera: str, is_mean: bool) -> F64:
        offset, slope = self.lines[f"{camera}, {'mean' if is_mean else 'crop'}"]
        nats = np.clip(offset + slope * alike, -MOST_NATS, MOST_NATS)
        changed = self.changed[camera]
        return np.log((1 - changed) * np.exp(nats) + changed)


def likeness_of(card: Mapping[str, Any]) -> Likeness:
    """The calibration in a card that is one (card.check)."""
    lines = {kind: (float(card["lines"][kind][0]), float(card["lines"][kind][1])) for kind in KINDS}
    changed = {camera: float(card["changed"][camera]) for camera in CHANGED}
    return Likeness(f"{card['name']}:{card['version']}", card["size"], lines, changed)


def fitted_line(same: F64, other: F64, rounds: int = 50) -> tuple[float, float]:
    """Offset and slope of logistic regression on similarities of pairs of one person (n,) and of two (m,), each kind
    with half of the weight, a little shrunk (as if four more pairs had been undecided). By Newton's method."""
    alike = np.concatenate([same, other]).astype(np.float64)
    is_same = np.concatenate([np.ones(len(same)), np.zeros(len(other))])
    weight = np.concatenate(
        [np.full(len(same), 0.5 / max(len(same), 1)), np.full(len(other), 0.5 / max(len(other), 1))]
    )
    centre, scale = float(weight @ alike), max(float(alike.std()), 1e-6)
    design = np.column_stack([np.ones(len(alike)), (alike - centre) / scale])
    line, shrink = np.zeros(2), 4.0 / max(len(alike), 1) * np.diag([0.0, 0.1])
    for _ in range(rounds):
        said = 1 / (1 + np.exp(-np.clip(design @ line, -30, 30)))
        slope = design.T @ (weight * (said - is_same)) + shrink @ line
        curve = (design * (weight * said * (1 - said) + 1e-12)[:, None]).T @ design + shrink + 1e-9 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        line = line - np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    return float(line[0] - line[1] * centre / scale), float(line[1] / scale)
