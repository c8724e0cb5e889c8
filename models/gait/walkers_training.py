"""Training the two networks over radar walks, and what they say of windows.

AdamW, one cycle of the rate, cross-entropy with labels smoothed, walkers weighing the same; no early stopping, so that
nothing is chosen by what is judged. Cross-entropy over known walkers takes the place of the specification's triplet
loss, which collapses from scratch. Imports torch; seeded, and the same on one thread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .walkers_features import Correction, Frames
from .walkers_network import FrameWalkers, RfWalkers
from .walkers_recording import F64, I64
from .walkers_track import Body
from .walkers_windows import Windows

F32 = NDArray[np.float32]

RATE_HZ = 10.0
POINTS = 32  # a frame; the specification's 64 are never reached here
SPEED_MEAN, SPEED_SCALE = 0.9, 3.0
NORM_MOST = 5.0
JUDGED_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. shift: standard deviation of one offset a window and column added to the frames' numbers, so that
    no column is trusted too far."""

    epochs: int = 10
    rate: float = 2e-3
    decay: float = 1e-3
    batch: int = 64
    smoothing: float = 0.05
    shift: float = 0.0
    seed: int = 0


RF = Recipe(epochs=12)
FRAMES = Recipe(epochs=10, decay=1e-2, shift=0.3)
Kind = Literal["rf", "frames"]


def ticks(windows: Windows, t_s: Sequence[F64]) -> NDArray[np.int64]:
    """(n,T): the frame in force at each tenth of a second of each window."""
    steps = (np.arange(round(RATE_HZ * windows.seconds)) + 0.5) / RATE_HZ
    rows = [
        low + np.clip(np.searchsorted(t_s[k][low:high], start + steps), 0, high - low - 1)
        for k, low, high, start in zip(windows.walker, windows.low, windows.high, windows.from_s, strict=True)
    ]
    return np.array(rows, np.int64).reshape(-1, len(steps))


def frame_inputs(walkers: Sequence[Frames], correction: Correction, windows: Windows) -> tuple[F32]:
    """(n,T,D+1): corrected numbers and walking speed."""
    clean = [
        np.column_stack([correction(each.features, each.place), (each.place[:, 2] - SPEED_MEAN) * SPEED_SCALE])
        for each in walkers
    ]
    at = ticks(windows, [each.t_s for each in walkers])
    return (np.array([clean[k][rows] for k, rows in zip(windows.walker, at, strict=True)], np.float32),)


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


def trained(kind: Kind, inputs: Sequence[NDArray], walker: I64, recipe: Recipe) -> nn.Module:
    """The network fitted to windows of walkers 0..C-1."""
    torch.manual_seed(recipe.seed)
    count = int(walker.max()) + 1
    network = RfWalkers(count) if kind == "rf" else FrameWalkers(inputs[0].shape[2], count)
    parts, labels = [torch.from_numpy(each) for each in inputs], torch.from_numpy(walker)
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
                _step(network, optimiser, lambda rows=rows: loss(network(*_shifted(parts, rows, recipe)), labels[rows]))
            cycle.step()
    return network.eval()


def scores_of(network: nn.Module, inputs: Sequence[NDArray]) -> F64:
    """(n,C): the network's numbers for each known walker."""
    done = []
    with torch.no_grad():
        for begin in range(0, len(inputs[0]), JUDGED_AT_ONCE):
            part = [torch.from_numpy(each[begin : begin + JUDGED_AT_ONCE]) for each in inputs]
            done.append(network(*part).numpy())
    return np.concatenate(done).astype(np.float64)


def _step(network: nn.Module, optimiser: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> None:
    optimiser.zero_grad()
    loss().backward()
    nn.utils.clip_grad_norm_(network.parameters(), NORM_MOST)
    optimiser.step()


def _shifted(parts: Sequence[Tensor], rows: Tensor, recipe: Recipe) -> list[Tensor]:
    taken = [part[rows] for part in parts]
    if recipe.shift:
        taken[0] = taken[0] + recipe.shift * torch.randn(len(rows), 1, taken[0].shape[2])
    return taken
