"""Mission's network and its ablations on generated walks: the honest pair protocol, and the published loop beside it.

Reduced so that a core trains one in minutes: 1 s windows (10 frames), 32 points, 16 pixel tokens, silhouettes, a few
hundred steps. Directions can be compared with the paper's ablation, numbers cannot.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...models.gait.identification import ranked
from ..generated_clips import clips

PEOPLE, WALKS, TESTED, FRAMES, POINTS = 500, 2, 58, 10, 32
GALLERIES = (10, 18, 58)
PAPER = {
    "full": "85.4 / 90.3 / 91.8",
    "noFU": "64.8 / 68.5 / 71.7",
    "noAT": "54.8 / 58.5 / 65.7",
    "noTL": "56.5 / 73.9 / 84.8",
}
PAPER_SAYS = "top-1/3/5 of 58, paired fusion; the last two rows may be exchanged in print (specs/mission.md)"


def tables(seeds: Sequence[int], steps: int, said: Callable[[str], Any] | None = None) -> dict[str, Any]:
    """Rows by variant: honest and leaky top-1 at 10, 18, 58 (mean over the test seeds), errors of joints in cm."""
    from ...models.gait.mission_network import Shape
    from ...models.gait.mission_training import Recipe

    plain = Shape(pixels=4)
    recipe = Recipe(steps=steps, rate=1e-3)
    variants = {
        "full": (plain, recipe),
        "noFU": (replace(plain, has_fusion=False), recipe),
        "noAT": (replace(plain, has_attention=False), recipe),
        "noTL": (plain, replace(recipe, loss="contrastive")),
        "as printed, without our cross-entropy": (plain, replace(recipe, identity=0.0)),
    }
    training = clips(PEOPLE, WALKS, 7, FRAMES, POINTS)
    tests = [clips(TESTED, 1, seed, FRAMES, POINTS) for seed in seeds]
    rows = {}
    for name, (shape, how) in variants.items():
        rows[name] = _one(training, tests, shape, how, said)
        if said:
            said(f"{name}: {rows[name]}")
    return {"seeds": list(seeds), "steps": steps, "variants": rows, "paper": PAPER, "paper_says": PAPER_SAYS}


def in_words(done: dict[str, Any]) -> list[str]:
    lines = [
        f"Mission, reduced, {done['steps']} steps; generated people, {TESTED} for each of {done['seeds']}; top-1 in %"
    ]
    lines.append(f"{'':40}{'honest 10/18/58':>22}{'leaky 10/18/58':>22}{'joints cm':>14}")
    for name, row in done["variants"].items():
        parts = [" / ".join(f"{v:.1f}" for v in row[key]) for key in ("honest", "leaky", "joints_cm")]
        lines.append(f"{name:40}{parts[0]:>22}{parts[1]:>22}{parts[2]:>14}")
    return lines


def _one(training: Any, tests: Sequence[Any], shape: Any, recipe: Any, said: Any) -> dict[str, list[float]]:
    from ...models.gait.mission_pairs import encoded, honest, joint_error_cm, leaky
    from ...models.gait.mission_training import train

    network = train(training, shape, recipe, said)
    scores: dict[str, list[list[float]]] = {"honest": [], "leaky": [], "joints_cm": []}
    for test in tests:
        tokens = encoded(network, test)
        for name, matrix in (("honest", honest(network, tokens)), ("leaky", leaky(network, tokens))):
            scores[name].append([100 * ranked(matrix, g, 100, 0).top() for g in GALLERIES])
        scores["joints_cm"].append(list(joint_error_cm(network, tokens, test)))
    return {name: np.mean(each, axis=0).round(1).tolist() for name, each in scores.items()}
