"""From walks to a gait model with its card: train both networks, measure what their ratios are worth, write ONNX.

Calibration is on people that training never saw: one factor and two bounds, chosen by the log loss of "who is it, or
nobody of them" over galleries, one and several walks a side, with and without height. Imports torch.
"""

import io
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .estimator_network import LATENT
from .estimator_training import Pair, Recipe, signatures, train
from .identification import beliefs
from .latent import added, pair_ratios, share_of
from .model import INPUTS
from .numbers import TARGETS
from .walkset import TOLD, WalkSet, told_only

F64 = NDArray[np.float64]

SCALES, LEAST, MOST = np.arange(0.6, 1.25, 0.05), (-3.0, -5.0, -8.0), 8.0
ALIKE, PER_WALK, TRIALS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4), np.arange(0.0, 0.45, 0.05), 1500
WINDOWS_ALIKE = 0.7  # two windows of one walk of 4 s, by log loss on 150 generated people
GALLERIES = (10, 58)
SHIPPED_PEOPLE = 7000
OUTPUTS = ("eta", "precision", "mean", "spread")
Signed = dict[str, tuple[F64, F64]]  # by kind, "radar" or one of TOLD: eta, precision (P,W,K)


def learn(
    training: WalkSet, held: WalkSet, recipe: Recipe, name: str, version: str, said: Callable[[str], Any] | None = None
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The ONNX files' contents ("radar", "camera") and their card, without the sha256."""
    pair = train(training, recipe, said)
    card = {
        "name": name,
        "version": version,
        "latent": LATENT,
        "numbers": [{"name": each, "mean": mean, "sd": sd} for each, _, mean, sd in TARGETS],
        "calibration": calibration(signed(pair, held)),
        "recipe": {field: getattr(recipe, field) for field in recipe.__dataclass_fields__},
        "trained_on": {"people": training.people, "held_out_people": held.people},
    }
    return {kind: exported(getattr(pair, kind), kind) for kind in INPUTS}, card


def signed(pair: Pair, walks: WalkSet) -> Signed:
    """The signatures of all its walks."""
    done: Signed = {"radar": _signed(pair.radar, walks.radar)}
    for kind in TOLD:
        done[kind] = _signed(pair.camera, told_only(walks.camera, kind))
    return done


def joined(signatures: tuple[F64, F64], walks: Sequence[int], alike: float) -> tuple[F64, F64]:
    """(P,K) each: these walks of every person together."""
    share = share_of(len(walks), alike)
    return share * signatures[0][:, list(walks)].sum(axis=1), share * signatures[1][:, list(walks)].sum(axis=1)


def matrix(query: tuple[F64, F64], gallery: tuple[F64, F64]) -> F64:
    """(P,P) plain log-likelihood ratios, query i against candidate j."""
    return pair_ratios(*query, *gallery)


def calibration(held: Signed, seed: int = 0) -> dict[str, float]:
    """scale, least, most, walks_alike, per_walk, windows_alike: as GaitModel uses them.

    Scale and lower bound by log loss on single walks, what joining is worth by the squares of calibration errors on
    joined ones."""
    single = [matrix(joined(held["radar"], [0], 0.0), joined(held[k], [0], 0.0)) for k in TOLD]

    def loss(scale: float, least: float) -> float:
        return sum(log_loss(np.clip(scale * m, least, MOST), g, seed) for m in single for g in GALLERIES)

    scale, least = min(product(SCALES, LEAST), key=lambda s: loss(*s))
    walks = held["radar"][0].shape[1]
    sides = [(a, b) for a, b in ((2, 2), (1, 3), (3, 3)) if max(a, b) <= walks]

    def off(alike: float) -> list[tuple[float, float, float]]:
        totals = np.zeros(len(PER_WALK))
        for kind, (a, b) in product(("crop", "height"), sides):
            plain = matrix(joined(held["radar"], range(a), alike), joined(held[kind], range(b), alike))
            for place, per_walk in enumerate(PER_WALK):
                worth = np.clip(scale * plain + added(a, np.array(b), per_walk), least, MOST)
                errors = [beliefs(worth, g, TRIALS, seed).calibration_error() for g in GALLERIES if g < len(worth)]
                totals[place] += sum(error**2 for error in errors)
        return [(float(total), alike, float(per_walk)) for total, per_walk in zip(totals, PER_WALK, strict=True)]

    _, alike, per_walk = min(row for alike in ALIKE for row in off(alike)) if sides else (0.0, 0.0, 0.0)
    said = {"scale": scale, "least": least, "most": MOST, "walks_alike": alike, "per_walk": per_walk}
    return {name: round(float(value), 3) for name, value in {**said, "windows_alike": WINDOWS_ALIKE}.items()}


def log_loss(log_ratios: F64, gallery: int, seed: int, trials: int = 8, known: float = 0.5) -> float:
    """Mean -log of the probability given to the truth, half of whose queries are of nobody in the gallery."""
    rng = np.random.default_rng(seed)
    count, total, number = len(log_ratios), 0.0, 0
    gallery = min(gallery, count // 2)
    for _ in range(trials):
        order = rng.permutation(count)
        inside, outside = order[:gallery], order[gallery : 2 * gallery]
        for queries, is_known in ((inside, True), (outside, False)):
            part = log_ratios[np.ix_(queries, inside)] + np.log(known / gallery)
            logs = np.column_stack((part, np.full(gallery, np.log1p(-known))))
            top = logs.max(axis=1)
            norm = top + np.log(np.exp(logs - top[:, None]).sum(axis=1))
            truth = np.diag(part) if is_known else logs[:, -1]
            total += float((norm - truth).sum())
            number += gallery
    return total / number


def exported(network: nn.Module, kind: str) -> bytes:
    """ONNX, opset 17, batch size free; inputs as windows.RadarTensors or CameraTensors."""
    names = list(INPUTS[kind])
    shapes = {"points": (2, 20, 32, 4), "mask": (2, 20, 32), "frames": (2, 20, 4), "speed": (2, 1)}
    shapes |= {"profiles": (2, 20, 64), "seen": (2, 20), "told": (2, 4)}
    out = io.BytesIO()
    torch.onnx.export(
        network.eval(),
        tuple(torch.ones(shapes[name]) for name in names),
        out,  # type: ignore[arg-type]
        input_names=names,
        output_names=list(OUTPUTS),
        dynamic_axes={name: {0: "batch"} for name in [*names, *OUTPUTS]},
        opset_version=17,
        dynamo=False,
    )
    return out.getvalue()


def _signed(network: nn.Module, tensors: Any) -> tuple[F64, F64]:
    people, walks = tensors[0].shape[:2]
    eta, precision, _, _ = signatures(network, [part.reshape(-1, *part.shape[2:]) for part in tensors])
    return eta.reshape(people, walks, -1), precision.reshape(people, walks, -1)
