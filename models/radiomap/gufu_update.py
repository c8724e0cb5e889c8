"""A radio map updated by the GUFU-style reconstruction: what is measured beside the shipped updater, never deployed.

Networks are trained on a thinned survey (`references` rows) and the batch, so that one update costs tens of seconds;
features, virtual edges and new levels are then made for every row of the survey. As in the paper the map keeps its
rows and places, and the batch's scans are dropped after the update.
"""

from dataclasses import dataclass

import numpy as np

from .gufu_nets import Autoencoder, EdgeSage, Graph, UpdateNets, graph, tensor
from .gufu_parts import (
    OFFSET_DB,
    VirtualEdges,
    ap_features,
    fairness_goodness,
    predicted_local,
    predicted_paper,
    relinked,
    virtual_edges,
    weights,
)
from .maps import F32, F64, FingerprintMap
from .scans import Scans
from .update import surveyed

AE_EPOCHS, GNN_STEPS, MLP_STEPS, DRAWS = 400, 60, 600, 3  # the thinned survey makes few steps an epoch
REFERENCES = 600
FULL_BLEND = 5.0  # virtual neighbours from which on a row is all new (rho = 1)
HEARD_FROM = 15.0  # edge weight below which an updated entry is silence: -105 dBm


@dataclass(frozen=True, slots=True, eq=False)
class GufuUpdate:
    """map: the updated one; position_m: (k,2) where f1 puts the batch's scans."""

    map: FingerprintMap
    position_m: F64


def gufu_updated(
    old: FingerprintMap,
    scans: Scans,
    *,
    seed: int = 0,
    lp: str = "local",
    references: int = REFERENCES,
    blend: bool = True,
) -> GufuUpdate:
    """Sections 2 to 4 of the specification. lp: "local" (the resolution) or "paper" (as printed, theta = 0). blend:
    False puts D(f2(place)) in place of every old level (parity)."""
    import torch

    torch.use_deterministic_algorithms(True)
    old = surveyed(old)
    bssids = tuple(sorted({*old.bssids, *scans.heard()}))  # sorted: the order of columns must not matter
    mine, theirs = weights(_columns(old, bssids)), weights(scans.columns(bssids))
    is_new = ~np.isin(bssids, old.bssids)
    shared = np.flatnonzero((mine > 0).any(axis=0) & (theirs > 0).any(axis=0))
    thin = np.arange(0, len(mine), max(1, len(mine) // references))

    coder = _coder(np.vstack([mine[thin], theirs])[:, shared], seed)
    x_old, x_new = (coder.features(part[:, shared] / OFFSET_DB) for part in (mine, theirs))
    between = virtual_edges(x_old, mine[:, shared], x_new, theirs[:, shared])
    linked = _linked(mine, theirs, between, is_new, lp)
    alive = (linked > 0).any(axis=0) & (theirs > 0).any(axis=0)  # forgetting: an access point nobody hears leaves
    linked, theirs = linked[:, alive], theirs[:, alive]

    coder = _coder(np.vstack([linked[thin], theirs]), seed + 1)  # its inputs have grown
    told, position_m = _told(coder, old.position_m, linked, theirs, thin, seed)
    rho = np.minimum(1.0, np.bincount(between.first, minlength=len(mine)) / FULL_BLEND)[:, None] if blend else 1.0
    level = rho * told * OFFSET_DB + (1 - rho) * linked
    rssi = np.where(level >= HEARD_FROM, level - OFFSET_DB, np.nan).astype(np.float32)
    heard = (~np.isnan(rssi)).any(axis=0)
    kept = tuple(bssids[j] for j in np.flatnonzero(alive)[heard])
    return GufuUpdate(old.changed(bssids=kept, rssi_dbm=rssi[:, heard], version=f"{old.version}-gufu"), position_m)


def _columns(old: FingerprintMap, bssids: tuple[str, ...]) -> F32:
    out = np.full((len(old.position_m), len(bssids)), np.nan, np.float32)
    at = {bssid: j for j, bssid in enumerate(bssids)}
    out[:, [at[b] for b in old.bssids]] = old.rssi_dbm
    return out


def _coder(weight: F64, seed: int) -> Autoencoder:
    coder = Autoencoder(weight.shape[1], seed)
    coder.fit(weight / OFFSET_DB, AE_EPOCHS, seed)
    return coder


def _linked(mine: F64, theirs: F64, between: VirtualEdges, is_new: np.ndarray, lp: str) -> F64:
    """Section 4: the survey's edges with new access points linked and dead edges removed."""
    most = float(theirs.max())
    if lp == "local":
        fair = fairness_goodness(theirs / most, sweeps=30)[0]
        told, neighbours = predicted_local(between, len(mine), theirs / most, fair)
        return relinked(mine, told, neighbours, most, is_new)
    # as printed: candidates are a new access point and an old sample that neighbour a common new sample
    asked = np.zeros((len(mine), len(theirs)), np.float32)
    asked[between.first, between.second] = 1.0
    candidate = (asked @ (theirs > 0).astype(np.float32) > 0) & (mine == 0)
    both = np.vstack([mine, theirs])
    said = predicted_paper(both / both.max(), sweeps=30)[: len(mine)] * float(both.max())
    return np.where(candidate, said, mine)


def _told(
    coder: Autoencoder, position_m: F64, linked: F64, theirs: F64, thin: np.ndarray, seed: int
) -> tuple[F64, F64]:
    """Section 3: D(f2(place)) for every row (n,m) in [0,1], and f1's places of the batch (k,2) in m."""
    import torch

    low = position_m.min(axis=0)
    extent = np.maximum(position_m.max(axis=0) - low, 1e-6)
    place = (position_m - low) / extent
    x_old, x_new = coder.features(linked[thin] / OFFSET_DB), coder.features(theirs / OFFSET_DB)
    weight, x = np.vstack([linked[thin], theirs]), np.vstack([x_old, x_new])
    every = virtual_edges(x, weight, x, weight)
    net = graph(weight, every)
    rng, sage = np.random.default_rng(seed), EdgeSage(seed)
    sage.fit(_nodes(x, place[thin], weight, rng), net, GNN_STEPS, seed)
    h, blind, h_new = _embedded(sage, x, place[thin], weight, net, rng)
    pairs = virtual_edges(x_new, theirs, x_old, linked[thin])
    nets = UpdateNets(seed)
    nets.fit((h, blind), h_new, place[thin], x_old, x_new, pairs, MLP_STEPS)
    with torch.no_grad():
        told = coder.decode(nets.feature(tensor(place))).numpy().astype(np.float64)
        where = nets.place(tensor(h_new)).numpy().astype(np.float64)
    return told, low + np.clip(where, 0, 1) * extent


def _embedded(
    sage: EdgeSage, x: F64, place: F64, weight: F64, net: Graph, rng: np.random.Generator
) -> tuple[F64, F64, F64]:
    """Embeddings of the old samples with and without their places, and of the new ones; mean of three draws."""
    count, size = len(place), len(x)
    drawn = [sage.embeddings(_nodes(x, place, weight, rng), net) for _ in range(DRAWS)]
    blind = [sage.embeddings(_nodes(x, np.zeros_like(place), weight, rng), net) for _ in range(DRAWS)]
    mean, without = np.mean(drawn, axis=0), np.mean(blind, axis=0)
    return mean[:count], without[:count], mean[count:size]


def _nodes(x: F64, place: F64, weight: F64, rng: np.random.Generator) -> F64:
    """Node features [x; place]: old samples at theirs, new ones at random ones, access points the weighted mean."""
    random = rng.random((len(x) - len(place), 2))
    samples = np.hstack([x, np.vstack([place, random])])
    return np.vstack([samples, ap_features(weight, samples)])
