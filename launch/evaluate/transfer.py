"""MTLoc carried from one building to another: real walks of both, not generated ones.

Both ways: the motion branch is trained on all walks of one place (stage A), then the network on walks of the other,
from scratch, with the branch frozen, and tuned, on all of its training walks and on a part of them; and the network is
carried whole, as `learn positioning --keep` writes it and --from takes it. Judged on walks held out, every second
between way points. Needs torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...models.positioning.walks import Walk, WalkError, split

PART = 0.625  # of the training walks: the paper's five rounds of eight
HELD_OUT = 0.2
JUDGED_BY = 0.12  # of the source: what tells the standard deviation on its card
Table = dict[str, dict[str, list[float]]]


def tables(places: Mapping[str, Sequence[Walk]], seeds: Sequence[int], epochs: int = 30) -> Table:
    """By "from to to", then by training: mean error (m) of each seed."""
    done: Table = {}
    for target, source in ((a, b) for a in places for b in places if a != b):
        rows = done.setdefault(f"{source} to {target}", {})
        for seed in seeds:
            for name, value in _one(places[source], places[target], seed, epochs):
                rows.setdefault(name, []).append(value)
    return done


def in_words(done: Table) -> list[str]:
    lines = []
    for title, rows in done.items():
        lines += ["", f"{title}: mean error in m over the seeds (least to most)"]
        lines += [f"{name:44}{np.mean(v):7.2f}  ({min(v):.2f} to {max(v):.2f})" for name, v in rows.items()]
    return lines


def _one(source: Sequence[Walk], target: Sequence[Walk], seed: int, epochs: int) -> list[tuple[str, float]]:
    from ...models.positioning import mtloc_training as training
    from ...models.positioning.mtloc_learning import SHIPPED, STRIDE_S, TUNED, most_heard, motion_of
    from ...models.positioning.mtloc_windows import ranges_of, windows_of

    fitted, held = split(target, HELD_OUT, seed)
    bssids, ranges = most_heard(fitted), ranges_of(fitted)
    recipe = replace(SHIPPED, epochs=epochs, seed=seed)
    windows = windows_of(fitted, bssids, ranges, STRIDE_S, hearing=recipe.hearing)
    judged = windows_of(held, bssids, ranges, 1.0, hearing=recipe.hearing)
    box = training.box_of(windows.place_m)
    training.box_of(judged.place_m)  # refuses walks that leave nothing to judge by
    motion = motion_of(source, recipe)
    part = windows.take(windows.walk < max(1, round(PART * len(fitted))))
    as_long = replace(recipe, epochs=round(epochs * len(windows.walk) / max(len(part.walk), 1)))

    whole = whole_of(source, seed, epochs)

    def error(on: Any, how: Any, branch: Any = None, start: Any = None) -> float:
        network = training.train(on, None, box, how, branch, start)[0]
        return float(np.hypot(*(training.places(network, judged, box) - judged.place_m).T).mean())

    middle = float(np.hypot(*(judged.place_m - windows.place_m.mean(axis=0)).T).mean())
    return [
        ("always the middle of the way", middle),
        ("from scratch", error(windows, recipe)),
        ("transferred, frozen", error(windows, replace(recipe, frozen=True), motion)),
        ("tuned", error(windows, recipe, motion)),
        ("whole, tuned", error(windows, replace(TUNED, epochs=epochs, seed=seed), start=whole.begun(windows, box))),
        (f"tuned on {PART:.1%}", error(part, as_long, motion)),
        (f"from scratch on {PART:.1%}", error(part, as_long)),
        (
            f"whole, tuned on {PART:.1%}",
            error(part, replace(TUNED, epochs=as_long.epochs, seed=seed), start=whole.begun(part, box)),
        ),
    ]


def whole_of(source: Sequence[Walk], seed: int, epochs: int) -> Any:
    """The network of all walks of a place, kept for others and taken from its file and card (mtloc_carry.Carried).
    Raises WalkError where they give too little."""
    from ...models.positioning.mtloc_carry import carried_from
    from ...models.positioning.mtloc_learning import SHIPPED, learn_to_keep

    fitted, judging = split(source, JUDGED_BY, seed)
    kept = learn_to_keep(fitted, judging, "source", "1", "", replace(SHIPPED, epochs=epochs, seed=seed))
    try:
        return carried_from(*kept)
    except ValueError as error:
        raise WalkError(f"the walks of a place cannot be carried: {error}") from error
