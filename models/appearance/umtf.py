"""UMTF's training: cameras each for themselves first, then pseudo labels and network in turns.

Source: UMTF sections III to V, with the choices of its specification. Labels of a round are nearest-neighbour classes
(NNA) of the network's features ("visual": the paper's baseline), of the graph's features ("graph": UMTF), or of
features and the owners found by expectation-maximisation together ("owners": ours). Numbers smaller than the paper's
are the reduced run's; `PAPER` has the printed ones. Imports torch: for training only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from .backbone import standardised
from .mmda import RESTARTS, affinity, average, clusters_of, histograms
from .mmgn_network import Graph, Mask, Mmgn, relations
from .neighbours import NONE, Conflict, classes
from .owners import Owned, excluded, levelled, owners
from .tracklets import F64, I64, Fragment, Tracklets, Trajectory, candidates, fragments

Labels = Literal["visual", "graph", "owners"]
LOOK_FRAMES = 4  # of a tracklet, where features are only looked at


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. first_*: stage 1. rounds of epochs each: stage 2. A batch is people x each tracklets of `frames`
    frames. rate: SGD with momentum 0.9. strength: lambda of MMDA. graph_steps: in the first round and later.
    level: take the cameras' mean looks out of the features before they are compared (ours)."""

    labels: Labels = "graph"
    first_epochs: int = 20
    first_rate: float = 2e-3
    first_batch: int = 64
    rounds: int = 12
    epochs: int = 5
    rate: float = 6e-3
    people: int = 16
    each: int = 4
    frames: int = 3
    margin: float = 0.4
    decay: float = 5e-4
    strength: float = 2.0
    restarts: int = 3
    graph: Graph = "mmgn"
    mask: Mask = "minus infinity"
    graph_width: int = 128
    graph_rate: float = 0.01
    graph_steps: tuple[int, int] = (80, 20)
    conflict: Conflict = "split"
    level: bool = False
    seed: int = 0


PAPER = Recipe(
    first_epochs=80, first_rate=3e-4, first_batch=128, rounds=16, rate=6e-5, people=32, each=4, frames=8, strength=3.0,
    restarts=RESTARTS, graph_width=512,
)  # fmt: skip


@dataclass(slots=True)
class World:
    """What is learnt from: inputs (N,T,...) u8 crops (N,T,3,H,W) or f32 numbers (N,T,D), and who was where; the
    rest is derived."""

    inputs: Tensor
    tracklets: Tracklets
    trajectories: Sequence[Trajectory]
    camera_m: F64
    view_m: float
    radius_m: float
    passages: list[Fragment] = field(init=False)
    members: list[I64] = field(init=False)

    def __post_init__(self) -> None:
        self.passages = fragments(self.trajectories, self.camera_m, self.radius_m)
        self.members = candidates(self.passages, self.tracklets)

    def owners(self, features: F64) -> Owned:
        return owners(features, self.tracklets, self.trajectories, self.passages, self.camera_m, self.view_m)


Watch = Callable[[int, nn.Module, F64, I64], None]


def first_stage(network: nn.Module, world: World, recipe: Recipe) -> None:
    """Stage 1: one linear classifier a camera over the shared network, a class a tracklet (equation of L1)."""
    torch.manual_seed(recipe.seed)
    draw = torch.Generator().manual_seed(recipe.seed)
    camera = world.tracklets.camera
    number, heads = np.zeros(len(camera), np.int64), nn.ModuleList()
    size = features_of(network, world.inputs[:2]).shape[1]
    for each in np.unique(camera):
        rows = np.flatnonzero(camera == each)
        number[rows] = np.arange(len(rows))
        heads.append(nn.Linear(size, len(rows)))
    which = torch.from_numpy(np.unique(camera, return_inverse=True)[1])
    target = torch.from_numpy(number)
    trained = [*network.parameters(), *heads.parameters()]
    optimiser = torch.optim.Adam(trained, lr=recipe.first_rate, weight_decay=recipe.decay)
    network.train()
    for _ in range(recipe.first_epochs):
        for rows in torch.randperm(len(camera), generator=draw).split(recipe.first_batch):
            if len(rows) < 2:
                continue
            x = _forward(network, world.inputs, rows, recipe, draw)
            loss = torch.zeros(())
            for k, head in enumerate(heads):
                there = which[rows] == k
                if there.any():
                    loss = loss + nn.functional.cross_entropy(10 * head(x[there]), target[rows[there]])
            _descend(optimiser, loss)


def alternate(network: nn.Module, world: World, recipe: Recipe, watch: Watch | None = None) -> None:
    """Stage 2. watch(round, network, features, labels) is called before each round's training, and after the last."""
    torch.manual_seed(recipe.seed + 1)
    draw = torch.Generator().manual_seed(recipe.seed + 1)
    optimiser = torch.optim.SGD(network.parameters(), lr=recipe.rate, momentum=0.9, weight_decay=recipe.decay)
    graph: list[Mmgn] = []
    for number in range(recipe.rounds):
        x = features_of(network, world.inputs)
        labels = pseudo_labels(x, world, recipe, graph, number)
        if watch:
            watch(number, network, x, labels)
        if len(np.unique(labels[labels != NONE])) < 2:
            return
        network.train()
        for _ in range(recipe.epochs * max(1, len(labels) // (recipe.people * recipe.each))):
            rows = _batch(labels, recipe, draw)
            loss = batch_hard(_forward(network, world.inputs, rows, recipe, draw), torch.from_numpy(labels)[rows],
                              recipe.margin)  # fmt: skip
            _descend(optimiser, loss)
    if watch:
        watch(recipe.rounds, network, features_of(network, world.inputs), np.zeros(0, np.int64))


def pseudo_labels(x: F64, world: World, recipe: Recipe, graph: list[Mmgn], number: int) -> I64:
    """The labels (N,) of a round from features (N,D); `graph` holds the graph network from one round to the next."""
    camera = world.tracklets.camera
    x = levelled(x, camera) if recipe.level else x / np.linalg.norm(x, axis=1, keepdims=True)
    apart = world.tracklets.overlapping()
    if recipe.labels == "owners":
        apart = excluded(world.tracklets, world.camera_m, world.view_m)
        similarity = x @ x.T + world.owners(x).together()
        return classes(similarity, camera, apart, recipe.conflict)
    labels = classes(x @ x.T, camera, apart, recipe.conflict)
    if recipe.labels == "visual" or len(np.unique(labels)) < 3:
        return labels
    z = graph_features(x, labels, world, recipe, graph, number)
    return classes(z @ z.T, camera, apart, recipe.conflict)


def graph_features(x: F64, labels: I64, world: World, recipe: Recipe, graph: list[Mmgn], number: int) -> F64:
    """Z (N,6 width) of length 1: the graph network trained on these visual labels."""
    phones = len(world.trajectories)
    clusters = clusters_of(
        x, world.passages, world.members, phones, recipe.strength, recipe.seed + number, recipe.restarts
    )
    said = affinity(clusters)
    given = relations(histograms(said, len(x), phones), average(said, len(x), phones))
    number_of_classes = int(labels.max()) + 1
    if graph:
        graph[0].fresh(number_of_classes)
    else:
        graph.append(Mmgn(x.shape[1], number_of_classes, recipe.graph, recipe.mask, recipe.graph_width))
    network, looks = graph[0], torch.from_numpy(x.astype(np.float32))
    known, target = torch.from_numpy(labels != NONE), torch.from_numpy(labels)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.graph_rate, weight_decay=recipe.decay)
    for _ in range(recipe.graph_steps[0 if number == 0 else 1]):
        _descend(optimiser, nn.functional.cross_entropy(network(looks, given)[known], target[known]))
    with torch.no_grad():
        z = network.features(looks, given).numpy().astype(np.float64)
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)


def batch_hard(x: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The mean over anchors of max(0, margin + farthest positive - nearest negative), Euclidean (Hermans 2017)."""
    apart = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    same = labels[:, None] == labels[None]
    farthest = apart.masked_fill(~same, 0.0).amax(dim=1)
    nearest = apart.masked_fill(same, torch.inf).amin(dim=1)
    return torch.relu(margin + farthest - nearest).mean()


def features_of(network: nn.Module, inputs: Tensor, most: int = 256) -> F64:
    """(N,D): each tracklet's mean over (some of) its frames."""
    network.eval()
    step = max(1, inputs.shape[1] // LOOK_FRAMES)
    done = []
    with torch.no_grad():
        for part in inputs[:, ::step].split(max(1, most // LOOK_FRAMES)):
            done.append(network(_ready(part.flatten(0, 1))).unflatten(0, part.shape[:2]).mean(dim=1))
    return torch.cat(done).numpy().astype(np.float64)


def _forward(network: nn.Module, inputs: Tensor, rows: Tensor, recipe: Recipe, draw: torch.Generator) -> Tensor:
    """(B,D) of tracklets `rows` (B,), of frames drawn anew, half of the tracklets mirrored."""
    frames = min(recipe.frames, inputs.shape[1])
    which = torch.rand((len(rows), inputs.shape[1]), generator=draw).argsort(dim=1)[:, :frames]
    chosen = inputs[rows[:, None], which]
    if chosen.ndim == 5:
        mirror = torch.rand(len(rows), generator=draw) < 0.5
        chosen = torch.where(mirror[:, None, None, None, None], chosen.flip(-1), chosen)
    return network(_ready(chosen.flatten(0, 1))).unflatten(0, (len(rows), frames)).mean(dim=1)


def _batch(labels: I64, recipe: Recipe, draw: torch.Generator) -> Tensor:
    """Rows of `people` labels, `each` of each; a label with fewer gives its rows more than once."""
    names = np.unique(labels[labels != NONE])
    rows = []
    for pick in torch.randperm(len(names), generator=draw)[: recipe.people].tolist():
        own = torch.from_numpy(np.flatnonzero(labels == names[pick]))
        order = torch.randperm(len(own), generator=draw)
        rows.append(own[order.repeat(recipe.each)[: recipe.each]])
    return torch.cat(rows)


def _ready(chosen: Tensor) -> Tensor:
    return standardised(chosen) if chosen.dtype == torch.uint8 else chosen


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
