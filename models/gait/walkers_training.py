"""Training the RF branch over radar walks, and what it says of windows.

AdamW, one cycle of the rate, cross-entropy with labels smoothed, walkers weighing the same; no early stopping, so that
nothing is chosen by what is judged. Cross-entropy over known walkers takes the place of the specification's triplet
loss, which collapses from scratch. Imports torch; seeded, and the same on one thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .walkers_network import RfWalkers
from .walkers_recording import F64, I64
from .walkers_track import Body
from .walkers_windows import Windows

F32 = NDArray[np.float32]

RATE_HZ = 10.0
POINTS = 32  # a frame; the specification's 64 are never reached here
NORM_MOST = 5.0
JUDGED_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train."""

    epochs: int = 12
    rate: float = 2e-3
    decay: float = 1e-3
    batch: int = 64
    smoothing: float = 0.05
    seed: int = 0


def ticks(windows: Windows, t_s: Sequence[F64]) -> NDArray[np.int64]:
    """(n,T): the frame in force at each tenth of a second of each window."""
    steps = (np.arange(round(RATE_HZ * windows.seconds)) + 0.5) / RATE_HZ
    rows = [
        low + np.clip(np.searchsorted(t_s[k][low:high], start + steps), 0, high - low - 1)
        for k, low, high, start in zip(windows.walker, windows.low, windows.high, windows.from_s, strict=True)
    ]
    return np.array(rows, np.int64).reshape(-1, len(steps))


def point_inputs(bodies: Sequence[Body], windows: Windows) -> tuple[F32, NDArray[np.bool_]]:
    """(n,T,32,5) points about the track, padded, and (n,T,32) which are real. Further points of a frame are dropped."""
    at = ticks(windows, [body.t_s for body in bodies])
    points = np.zeros((*at.shape, POINTS, 5), np.float32)
    real = np.zeros(points.shape[:3], np.bool_)
    for n, (k, rows) in enumerate(zip(windows.walker, at, strict=True)):
        for t, row in enumerate(rows):
            body = bodies[k]
            mine = body.points[body.first[row] : body.first[row + 1]][:POINTS]
            points[n, t, : len(mine)] = mine[:, [1, 0, 2, 4, 3]]
            real[n, t, : len(mine)] = True
    return points, real


def trained(points: F32, real: NDArray[np.bool_], walker: I64, recipe: Recipe) -> nn.Module:
    """The network fitted to windows of walkers 0..C-1."""
    torch.manual_seed(recipe.seed)
    network = RfWalkers(int(walker.max()) + 1)
    clouds, present, labels = torch.from_numpy(points), torch.from_numpy(real), torch.from_numpy(walker)
    batches = -(-len(walker) // recipe.batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.epochs * batches)
    share = 1 / np.bincount(walker)
    loss = nn.CrossEntropyLoss(
        torch.tensor(share / share.mean(), dtype=torch.float32), label_smoothing=recipe.smoothing
    )
    for _ in range(recipe.epochs):
        for rows in torch.randperm(len(labels)).split(recipe.batch):
            if len(rows) > 1:  # batch normalisation needs two
                optimiser.zero_grad()
                loss(network(clouds[rows], present[rows]), labels[rows]).backward()
                nn.utils.clip_grad_norm_(network.parameters(), NORM_MOST)
                optimiser.step()
            cycle.step()
    return network.eval()


def scores_of(network: nn.Module, points: F32, real: NDArray[np.bool_]) -> F64:
    """(n,C): the network's numbers for each known walker."""
    done = []
    with torch.no_grad():
        for begin in range(0, len(points), JUDGED_AT_ONCE):
            part = slice(begin, begin + JUDGED_AT_ONCE)
            done.append(network(torch.from_numpy(points[part]), torch.from_numpy(real[part])).numpy())
    return np.concatenate(done).astype(np.float64)
