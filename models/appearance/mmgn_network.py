"""UMTF's multimodal graph network (MMGN): six attention heads whose attention is what phones say of two tracklets.

Source: UMTF section IV, with the choices of its specification: masked entries are minus infinity before the softmax
(mask="paper": zero, as printed, so that strangers keep a weight of e to the 0), 6 x 512 outputs side by side. The
batch normalisation over all N x N pairs is computed on the unique histograms, each with its number of occurrences:
exactly the same statistics. Graph variants: "mmgn", "gcn" (normalised mean affinity), "gat" (attention of features
where there is any affinity; Velickovic et al., ICLR 2018). Imports torch: for training only.
"""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .mmda import BINS, Histograms
from .tracklets import F64

Graph = Literal["mmgn", "gcn", "gat"]
Mask = Literal["minus infinity", "paper"]
HEADS, WIDTH, SLOPE = 6, 512, 0.2


class Relations(NamedTuple):
    """What a graph knows of N tracklets: unique histograms (U,32) and counts (U,), pairs (L,2) with the row of each
    (L,), and the mean affinity (N,N)."""

    rows: Tensor
    counts: Tensor
    pairs: Tensor
    pair_row: Tensor
    mean: Tensor


def relations(said: Histograms, mean: F64) -> Relations:
    """As tensors. mean: `mmda.average`."""
    return Relations(
        torch.from_numpy(said.rows.astype(np.float32)),
        torch.from_numpy(said.counts.astype(np.float32)),
        torch.from_numpy(said.pairs),
        torch.from_numpy(said.pair_row),
        torch.from_numpy(mean.astype(np.float32)),
    )


class CountedNorm(nn.Module):
    """Batch normalisation of rows (U,D) that stand for counts (U,) rows each; statistics of the batch, always."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))

    def forward(self, rows: Tensor, counts: Tensor) -> Tensor:
        share = (counts / counts.sum())[:, None]
        mean = (share * rows).sum(dim=0)
        variance = (share * (rows - mean) ** 2).sum(dim=0)
        return (rows - mean) / torch.sqrt(variance + 1e-5) * self.weight + self.bias


class Mgm(nn.Module):
    """One head. forward(x (N,D), relations) -> (N,width); bare: without batch normalisation and ELU."""

    def __init__(self, size_in: int, width: int = WIDTH, graph: Graph = "mmgn", mask: Mask = "minus infinity") -> None:
        super().__init__()
        self.graph: Graph = graph
        self.mask: Mask = mask
        if graph == "mmgn":
            self.inner, self.inner_norm = nn.Linear(BINS, 16), CountedNorm(16)
            self.outer, self.outer_norm = nn.Linear(16, 1), CountedNorm(1)
        elif graph == "gat":
            self.here, self.there = nn.Linear(width, 1, bias=False), nn.Linear(width, 1, bias=False)
        self.project = nn.Linear(size_in, width)
        self.norm = nn.BatchNorm1d(width, track_running_stats=False)

    def attention(self, projected: Tensor, given: Relations) -> Tensor:
        """(N,N), rows of sum 1."""
        if self.graph == "gcn":
            degree = given.mean.sum(dim=1).rsqrt()
            return degree[:, None] * given.mean * degree[None]
        near = given.mean > 0
        if self.graph == "gat":
            raw = self.here(projected) + self.there(projected).T
            return _softmax(nn.functional.leaky_relu(raw, SLOPE), near, self.mask)
        hidden = nn.functional.leaky_relu(self.inner_norm(self.inner(given.rows), given.counts), SLOPE)
        each = nn.functional.leaky_relu(self.outer_norm(self.outer(hidden), given.counts), SLOPE)[:, 0]
        raw = torch.zeros_like(given.mean).index_put((given.pairs[:, 0], given.pairs[:, 1]), each[given.pair_row])
        return _softmax(raw, near, self.mask)

    def forward(self, x: Tensor, given: Relations, bare: bool = False) -> Tensor:
        projected = self.project(x)
        mixed = self.attention(projected, given) @ projected
        return mixed if bare else nn.functional.elu(self.norm(mixed))


class Mmgn(nn.Module):
    """Six heads and a classifier, itself a head. features(x) -> (N,3072); forward(x) -> (N,classes)."""

    def __init__(self, size_in: int, classes: int, graph: Graph = "mmgn", mask: Mask = "minus infinity",
                 width: int = WIDTH) -> None:  # fmt: skip
        super().__init__()
        self.heads = nn.ModuleList([Mgm(size_in, width, graph, mask) for _ in range(HEADS)])
        self.classify = Mgm(HEADS * width, classes, graph, mask)

    def fresh(self, classes: int) -> None:
        """Another number of classes: a new classifier, the heads stay."""
        old = self.classify
        self.classify = Mgm(old.project.in_features, classes, old.graph, old.mask)

    def features(self, x: Tensor, given: Relations) -> Tensor:
        return torch.cat([head(x, given) for head in self.heads], dim=1)

    def forward(self, x: Tensor, given: Relations) -> Tensor:
        return self.classify(self.features(x, given), given, bare=True)


def _softmax(raw: Tensor, near: Tensor, mask: Mask) -> Tensor:
    if mask == "paper":
        return torch.softmax(raw * near, dim=1)
    return torch.softmax(raw.masked_fill(~near, -torch.inf), dim=1)
