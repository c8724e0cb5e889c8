"""Training the shipped gait networks: who is who among a batch of people, by the closed-form likelihood ratio.

A batch holds two radar and two camera walks of each of its people. Every kind of pair (radar and camera, radar and
radar, camera and camera, two walks joined against one) is ranked by the ratios of latent.py, with cross-entropy over
the batch; a logistic loss on the same ratios keeps them calibrated in absolute terms; the walks' gait numbers
supervise as well. There is no margin, no triplet. Imports torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from . import latent
from .estimator_network import CameraGait, RadarGait
from .numbers import targets
from .walkset import WalkSet

F64 = NDArray[np.float64]

WEIGHTS = {"cross": 1.0, "joined": 0.7, "radar": 0.3, "camera": 0.3}  # of the kinds of pairs


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. people: in a batch; rate: the greatest, after a warm-up, of a cosine; told: share of camera walks
    whose height is known, and of those whose speed is; numbers, absolute: weights of the estimates' loss and of the
    logistic one; lost: at most so many of a walk's points, a share; jitter: added to inputs, in their units; alike: as
    latent.share_of."""

    people: int = 96
    steps: int = 1400
    rate: float = 2e-3
    seed: int = 0
    told: float = 0.6
    numbers: float = 0.1
    absolute: float = 0.3
    decay: float = 2e-2
    lost: float = 0.4
    jitter: float = 0.04
    alike: float = 0.2


class Pair(nn.Module):
    """Both networks, trained together."""

    def __init__(self) -> None:
        super().__init__()
        self.radar = RadarGait()
        self.camera = CameraGait()


def train(walks: WalkSet, recipe: Recipe, said: Callable[[str], Any] | None = None) -> Pair:
    """Both networks from scratch."""
    torch.manual_seed(recipe.seed)
    draw = np.random.default_rng(recipe.seed)
    pair = Pair()
    optimiser = torch.optim.AdamW(pair.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    warm_up = 0.1 if recipe.steps > 10 else 0.9  # a tenth of ten steps is the one that OneCycleLR cannot divide
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.steps, pct_start=warm_up)
    aims = [targets(each, walks.names) for each in (walks.radar_numbers, walks.camera_numbers)]
    running: dict[str, float] = {}
    for step in range(recipe.steps):
        rows = draw.choice(walks.people, min(recipe.people, walks.people), replace=False)
        loss, parts = _loss(pair, walks, aims, rows, draw, recipe)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(pair.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        running = {k: 0.98 * running.get(k, v) + 0.02 * v for k, v in parts.items()}
        if said is not None and (step + 1) % 100 == 0:
            said(f"step {step + 1}: " + ", ".join(f"{k} {v:.3f}" for k, v in running.items()))
    return pair.eval()


def evidence(eta: Tensor, precision: Tensor) -> Tensor:
    """As latent.evidence."""
    return 0.5 * (eta**2 / (1 + precision) - torch.log1p(precision)).sum(dim=-1)


def ratio_matrix(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
    """(A,B) log-likelihood ratios of signatures (A,K) and (B,K)."""
    both = evidence(a[0][:, None] + b[0][None], a[1][:, None] + b[1][None])
    return both - evidence(*a)[:, None] - evidence(*b)[None]


def _loss(
    pair: Pair, walks: WalkSet, aims: list[Any], rows: NDArray[np.int64], draw: np.random.Generator, recipe: Recipe
) -> tuple[Tensor, dict[str, float]]:
    count = len(rows)
    picked = [draw.permuted(np.tile(np.arange(n.shape[1]), (count, 1)), axis=1)[:, :2] for n in aims]
    radar = [torch.from_numpy(part[rows[:, None], picked[0]]).flatten(0, 1) for part in walks.radar]
    camera = [torch.from_numpy(part[rows[:, None], picked[1]]).flatten(0, 1) for part in walks.camera]
    heard = pair.radar(*_disturbed_radar(radar, draw, recipe))
    seen = pair.camera(*_disturbed_camera(camera, draw, recipe))
    number = torch.zeros(())
    for aim, pick, out in zip(aims, picked, (heard, seen), strict=True):
        truth = torch.from_numpy(aim[rows[:, None], pick]).flatten(0, 1)
        number = number + 0.5 * (((truth - out[2]) ** 2) * torch.exp(-out[3]) + out[3]).mean()
    one = [(out[0][k::2], out[1][k::2]) for out in (heard, seen) for k in (0, 1)]
    share = latent.share_of(2, recipe.alike)
    both = [(share * (a[0] + b[0]), share * (a[1] + b[1])) for a, b in ((one[0], one[1]), (one[2], one[3]))]
    kinds = {
        "cross": [(one[0], one[2]), (one[1], one[3])],
        "radar": [(one[0], one[1])],
        "camera": [(one[2], one[3])],
        "joined": [(both[0], both[1])],
    }
    total, parts = recipe.numbers * number, {"numbers": number.item()}
    for name, pairs in kinds.items():
        ranked, absolute = torch.zeros(()), torch.zeros(())
        for a, b in pairs:
            matrix = ratio_matrix(a, b)
            ranked = ranked + _ranked(matrix) / len(pairs)
            absolute = absolute + _absolute(matrix) / len(pairs)
        weight = WEIGHTS[name]
        total = total + weight * (ranked + recipe.absolute * absolute)
        parts[name] = ranked.item()
        if name == "cross":
            parts["absolute"] = absolute.item()
    return total, parts


def _ranked(matrix: Tensor) -> Tensor:
    """Cross-entropy of the right partner, both ways."""
    right = torch.arange(len(matrix))
    return 0.5 * (nn.functional.cross_entropy(matrix, right) + nn.functional.cross_entropy(matrix.T, right))


def _absolute(matrix: Tensor) -> Tensor:
    """Logistic loss of "one person" with as much weight on the pairs that are as on those that are not."""
    right = torch.eye(len(matrix), dtype=torch.bool)
    return 0.5 * (nn.functional.softplus(-matrix[right]).mean() + nn.functional.softplus(matrix[~right]).mean())


def _disturbed_radar(parts: list[Tensor], draw: np.random.Generator, recipe: Recipe) -> list[Tensor]:
    """Half of the walks with left and right exchanged, some points lost, all of them a little off."""
    points, mask, frames, speed = parts
    side = torch.from_numpy(np.where(draw.random(len(points)) < 0.5, -1.0, 1.0).astype(np.float32))
    points = points + recipe.jitter * torch.from_numpy(draw.standard_normal(points.shape, np.float32))
    points[..., 1] *= side[:, None, None]
    lost = draw.random(mask.shape, np.float32) < draw.uniform(0, recipe.lost, (len(mask), 1, 1))
    frames = frames.clone()
    frames[..., 1] *= side[:, None]
    mask = mask * torch.from_numpy(~lost)
    frames[..., 3] = frames[..., 3] * torch.from_numpy((~lost).mean(axis=2, dtype=np.float32))
    return [points * mask[..., None], mask, frames, speed]


def _disturbed_camera(parts: list[Tensor], draw: np.random.Generator, recipe: Recipe) -> list[Tensor]:
    """Half of the walks with left and right exchanged, some frames lost, some heights and speeds not known."""
    profiles, seen, told = parts
    profiles = profiles + recipe.jitter / 4 * torch.from_numpy(draw.standard_normal(profiles.shape, np.float32))
    turned = torch.from_numpy(draw.random(len(profiles)) < 0.5)
    exchanged = profiles[turned]
    profiles[turned] = torch.cat([-exchanged[..., 20:40], -exchanged[..., :20], exchanged[..., 40:]], dim=-1)
    told = told.clone()
    for part in (slice(0, 2), slice(2, 4)):
        told[torch.from_numpy(draw.random(len(told)) > recipe.told), part] = 0.0
    lost = draw.random(seen.shape) < draw.uniform(0, recipe.lost / 3, (len(seen), 1))
    seen = seen * torch.from_numpy(~lost)
    return [profiles * seen[..., None], seen, told]


def signatures(network: nn.Module, tensors: Any, batch: int = 512) -> tuple[F64, F64, F64, F64]:
    """eta, precision (N,K), means and log variances of the numbers (N,9) of windows (N,...)."""
    network.eval()
    done = []
    with torch.no_grad():
        for start in range(0, len(tensors[0]), batch):
            done.append(network(*(torch.from_numpy(part[start : start + batch]) for part in tensors)))
    return tuple(torch.cat([each[k] for each in done]).double().numpy() for k in range(4))  # type: ignore[return-value]
