"""UMTF tried on a generated day: the network by itself, by the graph, and by owners, with and without phones at test.

Each way of labelling starts from the same network after stage 1. What is measured: ranks of tracklets among those of
other cameras, phones' tracklets found, agreement of pseudo labels with people, and how well similarities that were
calibrated without labels say how probable it is that two tracklets are one person. Imports torch.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from .backbone import OfNumbers, backbone
from .generated import Day, Looks, features_of, make_day, owned_truly
from .likeness import fitted_line
from .mmda import Cluster, affinity, clusters_of, owned
from .neighbours import NONE
from .owners import Owned, levelled
from .scoring import Ranked, calibration_error, mutual_information, ranked
from .sprites import pictures_of
from .tracklets import F64, I64
from .umtf import Recipe, World, alternate, first_stage
from .umtf import features_of as looked_at

RADIUS_M, VIEW_M = 40.0, 14.0
MINUTES, FIRST_EPOCHS = 16.0, 8  # some 330 tracklets; with 12 rounds of 4 epochs 5 minutes of one core
WAYS: Mapping[str, Recipe] = {
    "visual labels": Recipe(labels="visual", epochs=4),
    "UMTF": Recipe(labels="graph", epochs=4),
    "owners": Recipe(labels="owners", epochs=4, level=True),
}
GRAPHS: Mapping[str, Recipe] = {
    "GCN": replace(WAYS["UMTF"], graph="gcn"),
    "GAT": replace(WAYS["UMTF"], graph="gat"),
    "mask as printed": replace(WAYS["UMTF"], mask="paper"),
}


def world_of(day: Day, seed: int, pictures: bool, looks: Looks | None = None) -> World:
    """What can be learnt from a day: its pictures, or numbers in their place."""
    if pictures:
        inputs = torch.from_numpy(pictures_of(day, seed)).permute(0, 1, 4, 2, 3).contiguous()
    else:
        inputs = torch.from_numpy(features_of(day, seed, looks or Looks()).astype(np.float32))[:, None]
    return World(inputs, day.tracklets, day.trajectories, day.camera_m, VIEW_M, RADIUS_M)


def tried(seed: int, pictures: bool, ways: Mapping[str, Recipe], rounds: int, phones: int = 64,
          few: int = 0, minutes: float = MINUTES) -> dict[str, Any]:  # fmt: skip
    """Figures by way of labelling, "initial" among them, for one seed's day; few: owners with so many phones, too."""
    day = make_day(seed, phones=phones, minutes=minutes)
    world = world_of(day, seed, pictures)
    torch.manual_seed(seed)
    network: nn.Module = backbone("edge") if pictures else OfNumbers(world.inputs.shape[-1])
    first = Recipe(seed=seed, first_epochs=FIRST_EPOCHS if pictures else 20)
    first_stage(network, world, first)
    done: dict[str, Any] = {
        "tracklets": len(day.person),
        "passages": len(world.passages),
        "initial": figures(day, world, looked_at(network, world.inputs)),
    }
    for name, recipe in ways.items():
        done[name] = _one_way(copy.deepcopy(network), day, world, replace(recipe, seed=seed, rounds=rounds))
    if few:
        fewer = make_day(seed, phones=few, minutes=minutes)  # the same walks and pictures, phones for fewer
        world = replace_phones(world, fewer)
        name = f"owners, {few} phones"
        done[name] = _one_way(network, fewer, world, replace(WAYS["owners"], seed=seed, rounds=rounds))
    return done


def replace_phones(world: World, day: Day) -> World:
    """The same tracklets with another day's phones."""
    return World(world.inputs, day.tracklets, day.trajectories, day.camera_m, world.view_m, world.radius_m)


def _one_way(network: nn.Module, day: Day, world: World, recipe: Recipe) -> dict[str, Any]:
    course: list[dict[str, float]] = []
    last: list[F64] = []

    def watch(number: int, _: nn.Module, x: F64, labels: I64) -> None:
        known = labels != NONE if len(labels) else np.zeros(0, bool)
        agreed = mutual_information(labels[known], day.person[known]) if known.any() else float("nan")
        result = ranked(cosines(x), day.person, day.tracklets.camera)
        course.append({"rank_1": result.cmc(1), "map": result.mean_precision, "labels_ami": agreed,
                       "labelled": float(known.mean()) if len(known) else float("nan")})  # fmt: skip
        last[:] = [x]

    alternate(network, world, recipe, watch)
    return {**figures(day, world, last[0]), "course": course}


def figures(day: Day, world: World, x: F64) -> dict[str, Any]:
    """What features x (N,D) are worth, alone and with the phones."""
    camera, phones = day.tracklets.camera, len(day.trajectories)
    alike = cosines(levelled(x, camera))
    plain = cosines(x)
    clusters = clusters_of(x / np.linalg.norm(x, axis=1, keepdims=True), world.passages, world.members, phones,
                           Recipe().strength, 0, Recipe().restarts)  # fmt: skip
    found = world.owners(x)
    places_only = World(world.inputs, world.tracklets._replace(paths=()), world.trajectories, world.camera_m,
                        world.view_m, world.radius_m).owners(x)  # fmt: skip
    truth = owned_truly(day)
    wireless = ranked(alike + found.together(), day.person, camera)
    return {
        "alone": in_figures(ranked(plain, day.person, camera)),
        "levelled": in_figures(ranked(alike, day.person, camera)),
        "with MMDA": in_figures(ranked(plain + mmda_links(clusters, len(x)), day.person, camera)),
        "with owners": in_figures(wireless),
        "MMDA": precision_recall(owned(clusters, phones), truth),
        "owners": precision_recall([found.tracklets_of(m) for m in range(phones)], truth),
        "owners, cameras' places only": precision_recall([places_only.tracklets_of(m) for m in range(phones)], truth),
        "calibration": calibrated_without_labels(alike, found, day),
    }


def in_figures(result: Ranked) -> dict[str, float]:
    return {**{f"rank_{k}": result.cmc(k) for k in (1, 5, 10, 20)}, "map": result.mean_precision}


def cosines(x: F64) -> F64:
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    return x @ x.T


def mmda_links(clusters: Sequence[Cluster], size: int) -> F64:
    """(N,N): the largest affinity that any trajectory gives a pair."""
    said, most = affinity(clusters), np.zeros((size, size))
    np.maximum.at(most, (said.first, said.second), said.probability)
    return np.maximum(most, most.T)


def precision_recall(sets: Sequence[I64], truth: Sequence[I64]) -> dict[str, float]:
    """Of phone-to-tracklet pairs."""
    right = sum(len(np.intersect1d(said, true)) for said, true in zip(sets, truth, strict=True))
    said, there = sum(map(len, sets)), sum(map(len, truth))
    return {"precision": right / max(said, 1), "recall": right / max(there, 1)}


def calibrated_without_labels(alike: F64, found: Owned, day: Day) -> dict[str, Any]:
    """Similarities of different cameras turned into probabilities by what the owners say is one person or two, tried
    on as many pairs of one person as of two."""
    i, j = np.triu_indices(len(alike), 1)
    other = day.tracklets.camera[i] != day.tracklets.camera[j]
    i, j = i[other], j[other]
    together = found.together()[i, j]
    offset, slope = fitted_line(alike[i, j][together > 0.8], alike[i, j][together < -0.8])
    same = day.person[i] == day.person[j]
    rng = np.random.default_rng(0)
    chosen = np.concatenate([np.flatnonzero(same), rng.choice(np.flatnonzero(~same), int(same.sum()), replace=False)])
    probability = 1 / (1 + np.exp(-(offset + slope * alike[i, j][chosen])))
    bins = []
    for low in np.arange(0, 1, 0.1):
        rows = (probability >= low) & (probability < low + 0.1)
        if rows.any():
            bins.append([float(probability[rows].mean()), float(same[chosen][rows].mean()), int(rows.sum())])
    return {"error": calibration_error(probability, same[chosen]), "bins": bins}
