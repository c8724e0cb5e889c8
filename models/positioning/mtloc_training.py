"""Training MTLoc: the motion branch beforehand, then the whole network from scratch, with that branch frozen, or tuned.

Source: MTLoc (Wei and Radu, IPIN 2022) section IV, with the choices of /specs/mtloc.md section 3: RMSprop at 0.001
(0.005, the printed rate, by name), batches of 100, mean squared error in the floor's unit box, gradient norm at most 5,
the weights that were best on the validation walks. Modality dropout is ours, not the paper's. Imports torch.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .mtloc_network import MotionOnly, Mtloc, transfer
from .mtloc_windows import AS_PRINTED, Hearing, Windows
from .walks import WalkError

F64 = NDArray[np.float64]

PAPER_RATE, RATE, BATCH, NORM_MOST = 0.005, 0.001, 100, 5.0
DROPPED = 0.15  # share of training windows in which a branch is zeroed, with modality dropout
LEAST_RATE = 0.02  # of the rate, at the end of a falling one


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. epochs; rate; seed; frozen: leave a transferred motion branch as it is; dropout: share of windows
    whose branch is zeroed, each branch on its own; decay: weight decay (the paper has none); wifi_noise: standard
    deviation added to levels that were heard, wifi_dropout: share of them left out (the paper has neither); distance:
    train and stop by the mean distance, not by its square, which the windows without a scan rule; sensor_noise:
    standard deviation added to each window's magnitudes in [0,1] as a whole, and again to each (both ours).
    rescaled: levels that are not left out are scaled up, so that the first layer's sums are in training what they are
    in use, where nothing is left out; wifi_gain: standard deviation of a factor on a whole scan, as one phone or body
    hears all fainter; falling: Adam with a rate that falls along half a cosine, and the last weights, not the best on
    the validation walks: those are few, and which epoch they call best is luck; hearing: how scans become the windows'
    WiFi (all four ours)."""

    epochs: int = 100
    rate: float = RATE
    seed: int = 0
    frozen: bool = False
    dropout: float = 0.0
    decay: float = 0.0
    wifi_noise: float = 0.0
    wifi_dropout: float = 0.0
    distance: bool = False
    sensor_noise: float = 0.0
    rescaled: bool = False
    wifi_gain: float = 0.0
    falling: bool = False
    hearing: Hearing = AS_PRINTED


Box = tuple[float, float, float, float]


def box_of(place_m: F64) -> Box:
    """x0, y0, sx, sy (m) of the places (n,2): what the labels are scaled by. Raises WalkError without a place."""
    if not len(place_m):
        raise WalkError("the walks have no sample of a sensor between their way points: do both keep the same time?")
    low, high = place_m.min(axis=0), place_m.max(axis=0)
    size = np.maximum(high - low, 1.0)
    return float(low[0]), float(low[1]), float(size[0]), float(size[1])


def pretrain(windows: Windows, box: Box, recipe: Recipe) -> MotionOnly:
    """Stage A: the motion LSTM with a dense layer, on the source's motion alone."""
    torch.manual_seed(recipe.seed)
    network = MotionOnly()
    descend(network, lambda rows: network(tensor(windows.imu)[rows]), unit(windows, box), None, recipe)
    return network


def train(
    windows: Windows,
    held: Windows | None,
    box: Box,
    recipe: Recipe,
    motion: MotionOnly | None = None,
    start: Mtloc | None = None,
) -> tuple[Mtloc, list[float]]:
    """Stage B: the whole network; returns it with the validation loss of each epoch (none without `held`, or with a
    falling rate).

    start: the first weights (changed in place), else drawn. motion: its LSTM is copied in, and stays frozen if the
    recipe says so.
    """
    torch.manual_seed(recipe.seed)
    network = start if start is not None else Mtloc(windows.wifi.shape[1])
    if motion is not None:
        transfer(motion, network, recipe.frozen)
    inputs = [tensor(part) for part in (windows.wifi, windows.imu, windows.mag)]
    draw = torch.Generator().manual_seed(recipe.seed + 1)

    def predict(rows: Tensor) -> Tensor:
        return network(*disturbed([part[rows] for part in inputs], recipe, draw))

    def judged() -> float:
        assert held is not None
        with torch.no_grad():
            return float(loss(tensor(predictions(network, held)), unit(held, box), recipe))

    return network, descend(network, predict, unit(windows, box), judged if held is not None else None, recipe)


def predictions(network: Mtloc, windows: Windows) -> NDArray[np.float32]:
    """(n,2) in the unit box."""
    network.eval()
    with torch.no_grad():
        done = network(tensor(windows.wifi), tensor(windows.imu), tensor(windows.mag)).numpy()
    network.train()
    return done


def places(network: Mtloc, windows: Windows, box: Box) -> F64:
    """(n,2) metres."""
    return np.array(box[:2]) + predictions(network, windows).astype(np.float64) * np.array(box[2:])


def exported(network: Mtloc, metadata: Mapping[str, str]) -> bytes:
    """The network as ONNX, opset 17, batch size free, with the metadata in the file."""
    import onnx

    network.eval()
    width = network.wifi_1.in_features
    example = (torch.zeros(1, width), torch.zeros(1, 10, 2), torch.zeros(1, 10, 1))
    names = ["wifi", "imu", "mag"]
    out = io.BytesIO()
    torch.onnx.export(
        network,
        example,
        out,  # type: ignore[arg-type]
        input_names=names,
        output_names=["xy"],
        dynamic_axes={name: {0: "batch"} for name in [*names, "xy"]},
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load_from_string(out.getvalue())
    for key, value in sorted(metadata.items()):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return model.SerializeToString(deterministic=True)


def wiped(windows: Windows, modality: str, share: float, seed: int) -> Windows:
    """The windows with one modality ("wifi", "imu", "mag") zeroed in a random share of them (specification 6)."""
    rows = np.random.default_rng(seed).random(len(windows.place_m)) < share
    part = getattr(windows, modality).copy()
    part[rows] = 0.0
    return windows._replace(**{modality: part})


def descend(network: nn.Module, predict: Any, labels: Tensor, judged: Any, recipe: Recipe) -> list[float]:
    """Train in place by `predict` of rows; the loss that `judged` says after each epoch, none with a falling rate."""
    if recipe.falling:
        judged = None
    trained = [p for p in network.parameters() if p.requires_grad]
    optimiser = optimiser_of(trained, recipe)
    shuffle = torch.Generator().manual_seed(recipe.seed)
    losses: list[float] = []
    best: dict[str, Tensor] = {}
    for epoch in range(recipe.epochs):
        if recipe.falling:
            optimiser.param_groups[0]["lr"] = recipe.rate * fallen(epoch / recipe.epochs)
        for rows in torch.randperm(len(labels), generator=shuffle).split(BATCH):
            optimiser.zero_grad()
            loss(predict(rows), labels[rows], recipe).backward()
            nn.utils.clip_grad_norm_(trained, NORM_MOST)
            optimiser.step()
        if judged is not None:
            losses.append(judged())
            if losses[-1] == min(losses):
                best = {name: value.clone() for name, value in network.state_dict().items()}
    if best:
        network.load_state_dict(best)
    return losses


def optimiser_of(trained: Sequence[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.falling:
        return torch.optim.AdamW(trained, lr=recipe.rate, weight_decay=recipe.decay)
    return torch.optim.RMSprop(trained, lr=recipe.rate, alpha=0.9, eps=1e-7, weight_decay=recipe.decay)


def fallen(done: float) -> float:
    """The share of the rate left after a share of the training: half a cosine, down to LEAST_RATE."""
    return LEAST_RATE + (1.0 - LEAST_RATE) * 0.5 * (1.0 + math.cos(math.pi * done))


def loss(said: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
    """The mean squared error, or the mean distance, of places (n,2) in the unit box."""
    if recipe.distance:
        return ((said - labels).square().sum(dim=1) + 1e-6).sqrt().mean()
    return nn.functional.mse_loss(said, labels)


def disturbed(parts: Sequence[Tensor], recipe: Recipe, draw: torch.Generator) -> list[Tensor]:
    """The branches with some zeroed, levels noisy and access points unheard, as far as the recipe says."""
    wifi, *others = parts
    if recipe.wifi_noise:
        wifi = wifi + recipe.wifi_noise * torch.randn(wifi.shape, generator=draw) * (wifi > 0)
    if recipe.wifi_dropout:
        wifi = wifi * (torch.rand(wifi.shape, generator=draw) >= recipe.wifi_dropout)
        if recipe.rescaled:
            wifi = wifi / (1.0 - recipe.wifi_dropout)
    if recipe.wifi_gain:
        wifi = wifi * (1.0 + recipe.wifi_gain * torch.randn((len(wifi), 1), generator=draw))
    if recipe.sensor_noise:
        for k, part in enumerate(others):
            shape = (len(part), 1, part.shape[2])
            others[k] = part + recipe.sensor_noise * (
                torch.randn(shape, generator=draw) + torch.randn(part.shape, generator=draw)
            )
    done = [wifi, *others]
    if recipe.dropout:
        for k, part in enumerate(done):
            kept = torch.rand(len(part), generator=draw) >= recipe.dropout
            done[k] = part * kept.reshape(-1, *[1] * (part.ndim - 1))
    return done


def unit(windows: Windows, box: Box) -> Tensor:
    return tensor((windows.place_m - np.array(box[:2])) / np.array(box[2:]))


def tensor(array: NDArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
