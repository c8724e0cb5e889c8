"""GUFU's networks in torch: autoencoder, edge-feature GraphSAGE, and the two update networks. Training only.

torch is imported when a network is built, not with this module: nothing that runs needs it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .gufu_parts import OFFSET_DB, VirtualEdges
from .knn import INT
from .maps import F64

WIDTH, HIDDEN = 32, 128  # of the autoencoder's bottleneck and hidden layer
NODE = WIDTH + 2  # features and place
LAYERS, NEGATIVES, DROPOUT = 2, 5, 0.5
DETECTED = 5.0  # weight of heard entries: 95 % of a map is silence, and a plain loss learns that
NEIGHBOURS = 20  # sampled per node and step, on average
RATE = 1e-3
LAMBDA = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Directed edges src -> dst among `count` nodes with weights, as numpy arrays."""

    src: INT
    dst: INT
    weight: F64
    count: int


def graph(weight: F64, edges: VirtualEdges) -> Graph:
    """Samples (n) first, then access points (m), both directions of every edge; virtual edges weigh 120 cos."""
    count, width = weight.shape
    sample, point = np.nonzero(weight > 0)
    heard = weight[sample, point]
    point = point + count
    virtual = OFFSET_DB * edges.cosine
    src = np.concatenate([sample, point, edges.first, edges.second])
    dst = np.concatenate([point, sample, edges.second, edges.first])
    return Graph(src, dst, np.concatenate([heard, heard, virtual, virtual]), count + width)


class Autoencoder:
    """E: m -> 128 -> 32, D: 32 -> 128 -> m; ReLU, dropout 0.5, sigmoid out (eq 1-3)."""

    def __init__(self, width: int, seed: int) -> None:
        import torch

        torch.manual_seed(seed)
        sizes = ((width, HIDDEN), (HIDDEN, WIDTH), (WIDTH, HIDDEN), (HIDDEN, width))
        self._linear = [torch.nn.Linear(a, b) for a, b in sizes]

    def parameters(self) -> list[Any]:
        return [p for layer in self._linear for p in layer.parameters()]

    def encode(self, rows: Any, training: bool = False) -> Any:
        return self._linear[1](_dropped(self._linear[0](rows).relu(), training))

    def decode(self, features: Any, training: bool = False) -> Any:
        return self._linear[3](_dropped(self._linear[2](features).relu(), training)).sigmoid()

    def fit(self, rows: F64, epochs: int, seed: int) -> float:
        """Train on rows (n,m) in [0,1]; returns the last epoch's loss (eq 3 with heard entries weighted)."""
        import torch

        rng = np.random.default_rng(seed)
        optimiser, data, last = torch.optim.Adam(self.parameters(), lr=RATE), tensor(rows), 0.0
        for _ in range(epochs):
            order, total = rng.permutation(len(rows)), 0.0
            for start in range(0, len(order), 256):
                batch = data[order[start : start + 256]]
                again = self.decode(self.encode(batch, True), True)
                mask = 1.0 + (DETECTED - 1.0) * (batch > 0)
                loss = (mask * (again - batch) ** 2).sum() / len(batch)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                total += float(loss.detach()) * len(batch)
            last = total / len(rows)
        return last

    def features(self, rows: F64) -> F64:
        """(n,32) of rows (n,m)."""
        import torch

        with torch.no_grad():
            return self.encode(tensor(rows)).numpy().astype(np.float64)


class EdgeSage:
    """Algorithm 1: h_v from its neighbours and from features of the edges, which are learned beside it."""

    def __init__(self, seed: int) -> None:
        import torch

        torch.manual_seed(seed)
        self._message = [torch.nn.Linear(2 * NODE, NODE) for _ in range(LAYERS)]
        self._node = [torch.nn.Linear(2 * NODE, NODE) for _ in range(LAYERS)]
        self._edge = [torch.nn.Linear(3 * NODE, NODE) for _ in range(LAYERS)]

    def parameters(self) -> list[Any]:
        return [p for layers in (self._message, self._node, self._edge) for one in layers for p in one.parameters()]

    def forward(self, x: Any, src: Any, dst: Any, weight: Any, training: bool = False) -> Any:
        """Embeddings (count,34) of unit length from node features x (count,34) (lines 1-10)."""
        import torch

        h, e = x, (x[src] + x[dst]) / 2
        total = torch.zeros(len(x)).index_add_(0, dst, weight).clamp(min=1e-9)
        for k in range(LAYERS):
            told = self._message[k](torch.cat([h[src], e], 1)).relu() * weight[:, None]
            around = torch.zeros_like(h).index_add_(0, dst, told) / total[:, None]
            h = self._node[k](torch.cat([h, _dropped(around, training)], 1))
            if k < LAYERS - 1:  # as printed the last layer has a ReLU too: most embeddings then die at 0
                h = h.relu()
            h = h / h.norm(dim=1, keepdim=True).clamp(min=1e-9)
            e = self._edge[k](torch.cat([h[src], h[dst], e], 1)).relu()
        return h

    def fit(self, x: F64, net: Graph, steps: int, seed: int, loss: str = "contrastive") -> None:
        """Train by eq 4: "contrastive" (GraphSAGE's own, the resolution) or "literal", which collapses."""
        import torch

        rng = np.random.default_rng(seed)
        optimiser, nodes = torch.optim.Adam(self.parameters(), lr=RATE if loss == "contrastive" else 1e-2), tensor(x)
        keep = np.minimum(1.0, NEIGHBOURS / np.maximum(np.bincount(net.dst, minlength=net.count), 1))[net.dst]
        for _ in range(steps):
            some = np.flatnonzero(rng.random(len(keep)) < keep)
            src, dst, weight = torch.as_tensor(net.src[some]), torch.as_tensor(net.dst[some]), tensor(net.weight[some])
            h = self.forward(nodes, src, dst, weight, training=loss == "contrastive")
            if loss == "literal":
                value = ((h[src].relu() - h[dst].relu()) ** 2).sum(1).mean()
            else:
                far = torch.as_tensor(rng.integers(0, net.count, len(some)))
                near = (weight * torch.nn.functional.logsigmoid((h[src] * h[dst]).sum(1))).sum() / weight.sum()
                value = -near - NEGATIVES * torch.nn.functional.logsigmoid(-(h[src] * h[far]).sum(1)).mean()
            optimiser.zero_grad()
            value.backward()
            optimiser.step()

    def embeddings(self, x: F64, net: Graph) -> F64:
        import torch

        with torch.no_grad():
            ends = torch.as_tensor(net.src), torch.as_tensor(net.dst)
            return self.forward(tensor(x), *ends, tensor(net.weight)).numpy().astype(np.float64)


class UpdateNets:
    """f1: 34 -> 64 -> 2 (place) and f2: 2 -> 64 -> 32 (features), trained by eq 5-9."""

    def __init__(self, seed: int) -> None:
        import torch

        torch.manual_seed(seed)
        sizes = ((NODE, 64), (64, 2), (2, 64), (64, WIDTH))
        self._linear = [torch.nn.Linear(a, b) for a, b in sizes]

    def place(self, h: Any) -> Any:
        return self._linear[1](self._linear[0](h).relu())

    def feature(self, place: Any) -> Any:
        return self._linear[3](self._linear[2](place).relu())

    def fit(self, h: tuple[F64, F64], h_new: F64, place: F64, x: F64, x_new: F64, edges: VirtualEdges, steps: int):
        """h: embeddings of the old samples with and without their own place as input, taken in turns, so that f1 does
        not learn to read it back. edges: new (first) to old (second)."""
        import torch

        optimiser = torch.optim.Adam([p for one in self._linear for p in one.parameters()], lr=1e-2)
        olds, new, places = [tensor(one) for one in h], tensor(h_new), tensor(place)
        x_old, x_batch = tensor(x), tensor(x_new)
        i, j = torch.as_tensor(edges.first), torch.as_tensor(edges.second)
        for step in range(steps):
            value = ((self.place(olds[step % 2]) - places) ** 2).mean()  # eq 5
            value = value + ((self.feature(places) - x_old) ** 2).mean()  # eq 6
            if len(edges.first):  # eq 7 and 8
                third = ((self.place(new)[i] - places[j]) ** 2).mean()
                value = value + LAMBDA * (third + ((self.feature(places[j]) - x_batch[i]) ** 2).mean())
            optimiser.zero_grad()
            value.backward()
            optimiser.step()


def tensor(array: F64) -> Any:
    import torch

    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32)


def _dropped(values: Any, training: bool) -> Any:
    import torch

    return torch.nn.functional.dropout(values, DROPOUT, training)
