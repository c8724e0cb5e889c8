"""From a site's own tracklets and phones to its own model, judged without labels, and only kept where it is better.

The time of a recording is split: the first part teaches, the second chooses the network's share beside the stripes and
calibrates, the last judges. What judges is how well looks agree with radios alone: of pairs of tracklets that phones'
places say are one person's, and pairs that they say are two, how often does the first pair look more alike (the area
under the curve)? Looks and radios that do not agree at all were not recorded together, or were tampered with: refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .backbone import exported
from .card import CROP_PX
from .generated import make_day
from .likeness import CHANGED, fitted_line
from .model import AppearanceModel, model_of
from .owners import VIEW_M, Owned, by_places, excluded, levelled, owners
from .quality import flaw_of, pooled
from .sprites import pictures_of
from .stripes import SIZE as STRIPES_SIZE
from .stripes import Image
from .tracklets import F64, I64, RADIUS_M, Tracklets, Trajectory, fragments
from .umtf import Recipe, World, alternate, first_stage
from .umtf import features_of as looked_at

SHARES = (0.0, 0.15, 0.3, 0.5, 0.7)
TEACHES, CHOOSES = 0.6, 0.8  # of the time, up to where
BETTER_BY = 0.01  # of the area under the curve, to be written
AGREE_LEAST = 0.6  # area under the curve of the model in force: below it, looks and radios are strangers
TAUGHT_LESS = 0.08  # by which the part that teaches may agree less with radios than the others
SURE = 0.5  # belief in a pair by radios alone
PAIRED = 0.7  # belief in a pair by looks and radios, to calibrate by
LEAST_PAIRS, LEAST_TRACKLETS = 20, 24
FRAMES = 8
SHIFT_S = 10.0  # pairs of one camera nearer in time than this are one passage, and say nothing
SITE_RECIPE = Recipe(
    labels="owners", first_epochs=4, first_rate=5e-4, rounds=4, epochs=4, rate=3e-3, people=12, level=True
)


class LearningError(ValueError):
    """Why nothing was learnt, in one sentence."""


class Material(NamedTuple):
    """What a site recorded: tracklets with paths, the crops of each, phones' trajectories, and the middle of what each
    camera sees, camera_m (C,2)."""

    tracklets: Tracklets
    crops: Sequence[Sequence[Image]]
    trajectories: Sequence[Trajectory]
    camera_m: F64
    view_m: float
    radius_m: float

    def part(self, from_share: float, to_share: float) -> tuple["Material", I64]:
        """The tracklets that start in this part of the time, and their rows."""
        start = self.tracklets.start_s
        low, high = np.quantile(start, [from_share, to_share]) if len(start) else (0.0, 0.0)
        rows = np.flatnonzero((start >= low) & ((start < high) | (to_share >= 1)))
        chosen = Tracklets(
            self.tracklets.camera[rows], start[rows], self.tracklets.end_s[rows],
            tuple(self.tracklets.paths[k] for k in rows.tolist()) if self.tracklets.paths else (),
        )  # fmt: skip
        return self._replace(tracklets=chosen, crops=[self.crops[k] for k in rows.tolist()]), rows


@dataclass(frozen=True, slots=True)
class Learnt:
    """What came of it: the model's file and card where it is better (written), why, and the figures."""

    written: bool
    reason: str
    content: bytes
    card: Mapping[str, Any]
    figures: Mapping[str, float]
    network: nn.Module


def learn(material: Material, in_force: AppearanceModel, network: nn.Module, name: str, version: str,
          recipe: Recipe = SITE_RECIPE, crop_px: tuple[int, int] = CROP_PX) -> Learnt:  # fmt: skip
    """A model of this site, started from `network`, which sees crops of crop_px (width, height). Raises
    LearningError where there is too little, or where looks and radios do not agree."""
    if len(material.crops) < LEAST_TRACKLETS:
        raise LearningError(
            f"only {len(material.crops)} tracklets were kept: {LEAST_TRACKLETS} are needed to learn from"
        )
    teaching, _ = material.part(0.0, TEACHES)
    choosing, _ = material.part(TEACHES, CHOOSES)
    judging, _ = material.part(CHOOSES, 1.0)
    judged = _trusted(teaching, choosing, judging, in_force)
    _train(network, teaching, recipe, crop_px)
    content = exported(network, crop_px, {"name": name, "version": version})
    size = looked_at(network, torch.zeros(1, 1, 3, crop_px[1], crop_px[0])).shape[1]
    draft = {**in_force.card, "name": name, "version": version, "size": STRIPES_SIZE + size, "sha256": "new",
             "crop_px": list(crop_px)}  # fmt: skip
    scored = {share: agreement(choosing, model_of(content, {**draft, "share": share})) for share in SHARES}
    best = max(scored, key=lambda share: scored[share])
    card = calibrated(material.part(TEACHES, 1.0)[0], content, {**draft, "share": best})
    after = agreement(judging, model_of(content, card))
    gain = after - judged
    figures = {"in_force": judged, "learnt": after, "share": best, "tracklets": float(len(material.crops))}
    if best and gain >= BETTER_BY:
        reason = f"agrees better with radios: {after:.3f} after, {judged:.3f} before (area under the curve)"
    else:
        reason = (
            f"{in_force.label} stays in force: what was learnt agrees {abs(gain):.3f} "
            f"{'worse' if gain < 0 else 'better only'} with radios ({after:.3f} against {judged:.3f}, "
            f"{BETTER_BY} better is asked)"
        )
    return Learnt(bool(best) and gain >= BETTER_BY, reason, content, {**card, "judged": figures}, figures, network)


def _trusted(teaching: Material, choosing: Material, judging: Material, in_force: AppearanceModel) -> float:
    """How the model in force agrees with radios in the part that judges. Raises LearningError where it hardly does in
    some part, or clearly less in the part that teaches: wrong labels would be learnt."""
    taught, chosen, judged = (agreement(part, in_force) for part in (teaching, choosing, judging))
    if min(taught, chosen, judged) < AGREE_LEAST:
        raise LearningError(
            f"looks and radios do not agree (area under the curve {min(taught, chosen, judged):.2f}, {AGREE_LEAST} is "
            "the least): these crops and phones were not recorded together, or somebody else carried the phones"
        )
    if taught < min(chosen, judged) - TAUGHT_LESS:
        raise LearningError(
            f"looks and radios agree less in the part that would teach ({taught:.2f}) than afterwards "
            f"({min(chosen, judged):.2f}): phones or crops were exchanged there, and nothing is learnt from it"
        )
    return judged


def made_up(seed: int, people: int = 24, phones: int = 18, minutes: float = 45.0) -> Material:
    """A generated day (`generated.py`, `sprites.py`) as if cameras had kept it."""
    day = make_day(seed, people, phones, minutes)
    crops = [list(frames) for frames in pictures_of(day, seed)]
    return Material(day.tracklets, crops, day.trajectories, day.camera_m, VIEW_M, RADIUS_M)


def agreement(material: Material, model: AppearanceModel) -> float:
    """The area under the curve of looks against what radios alone say of pairs: 0.5 is chance, 1 is never wrong. Raises
    LearningError where radios say too little."""
    told = radio_pairs(material)
    x = levelled(embedded(model, material.crops), material.tracklets.camera)
    alike = x @ x.T
    return area(alike[told == 1], alike[told == -1])


def radio_pairs(material: Material) -> NDArray[np.int64]:
    """(N,N) above the diagonal: 1 where phones' places alone say one person, -1 where they say two, else 0. Pairs of
    one passage are left out."""
    tracklets = material.tracklets
    passages = fragments(material.trajectories, material.camera_m, material.radius_m, least_s=3.0)
    believed = by_places(tracklets, material.trajectories, passages, material.camera_m, material.view_m).together()
    near = np.abs(tracklets.start_s[:, None] - tracklets.start_s) < SHIFT_S
    together = near & (tracklets.camera[:, None] == tracklets.camera)
    told = np.where(together, 0, np.where(believed > SURE, 1, np.where(believed < -SURE, -1, 0)))
    told = np.triu(told, 1)
    if min((told == 1).sum(), (told == -1).sum()) < LEAST_PAIRS:
        raise LearningError(
            f"radios say of {int((told == 1).sum())} pairs of tracklets that they are one person's: "
            f"{LEAST_PAIRS} are needed to judge looks by"
        )
    return told


def area(right: F64, wrong: F64) -> float:
    """How often a value of `right` exceeds one of `wrong`; ties count half."""
    order = np.sort(wrong)
    below = np.searchsorted(order, right, "left") + np.searchsorted(order, right, "right")
    return float(below.mean() / (2 * len(order)))


def embedded(model: AppearanceModel, crops: Sequence[Sequence[Image]]) -> F64:
    """(N,D): one pooled embedding a tracklet."""
    return np.array([pooled(model.embed(each)) for each in crops], np.float64)


def chosen_crops(crops: Sequence[Image]) -> list[Image]:
    """Of one tracklet's crops the good ones, at most so many, spread over its time; none where none is good."""
    good = [crop for crop in crops if not flaw_of(crop)]
    step = max(1.0, len(good) / FRAMES)
    return [good[int(k * step)] for k in range(min(len(good), FRAMES))]


def world_of(material: Material, crop_px: tuple[int, int] = CROP_PX) -> World:
    """For training: 8 crops a tracklet, of crop_px."""
    inputs = np.zeros((len(material.crops), FRAMES, crop_px[1], crop_px[0], 3), np.uint8)
    for row, crops in enumerate(material.crops):
        for k in range(FRAMES):
            inputs[row, k] = cv2.resize(crops[k % len(crops)], crop_px, interpolation=cv2.INTER_AREA)
    tensor = torch.from_numpy(inputs).permute(0, 1, 4, 2, 3).contiguous()
    return World(tensor, material.tracklets, material.trajectories, material.camera_m, material.view_m,
                 material.radius_m)  # fmt: skip


def calibrated(material: Material, content: bytes, card: Mapping[str, Any]) -> dict[str, Any]:
    """The card with lines for this model, from pairs that are known without labels: halves of one tracklet, tracklets
    of one view at one time, and what the owners say of others. A kind with too few pairs keeps the line it has."""
    model = model_of(content, card)
    x = embedded(model, material.crops)
    passages = fragments(material.trajectories, material.camera_m, material.radius_m, least_s=3.0)
    found = owners(x, material.tracklets, material.trajectories, passages, material.camera_m, material.view_m)
    lines = dict(card["lines"])
    for kind, (same, other) in known_pairs(model, material, found).items():
        if min(len(same), len(other)) >= LEAST_PAIRS:
            lines[kind] = list(fitted_line(same, other))
    return {**card, "lines": lines, "changed": dict(CHANGED)}


def known_pairs(model: AppearanceModel, material: Material, found: Owned) -> dict[str, tuple[F64, F64]]:
    """By kind of `likeness.KINDS`: similarities of pairs of one person, and of two."""
    rows = [model.embed(crops).astype(np.float64) for crops in material.crops]
    apart, together = excluded(material.tracklets, material.camera_m, material.view_m), found.together()
    camera = material.tracklets.camera
    one_view = camera[:, None] == camera
    same = (together > PAIRED) & ~apart & ~np.eye(len(camera), dtype=bool)
    other = apart | (together < -PAIRED)
    means = np.array([pooled(each) for each in rows], np.float64)
    long = [each for each in rows if len(each) >= 4]
    own = {
        "mean": [pooled(each[: len(each) // 2]) @ pooled(each[len(each) // 2 :]) for each in long],
        "crop": [each[0] @ pooled(each[1:]) for each in long],
    }
    pairs: dict[str, tuple[F64, F64]] = {}
    for name, first in (("mean", means), ("crop", np.array([each[0] for each in rows]))):
        alike = first @ means.T
        here = np.concatenate([alike[same & one_view], np.array(own[name], np.float64)])
        pairs[f"same camera, {name}"] = here, alike[other & one_view]
        pairs[f"other camera, {name}"] = alike[same & ~one_view], alike[other & ~one_view]
    return pairs


def _train(network: nn.Module, material: Material, recipe: Recipe, crop_px: tuple[int, int]) -> None:
    world = world_of(material, crop_px)
    if not world.passages:
        raise LearningError("no phone passed a camera in the part that teaches: nothing links its tracklets")
    first_stage(network, world, recipe)
    alternate(network, world, recipe)
