"""Transfer and missing modalities on generated rounds (G3): tables in the kind of MTLoc's V and VI, not real data.

Source floor: 102 access points; target: 750; 14 rounds each of three minutes, 8 to train, 5 to stop by, 1 to test. A
model tuned on k of 8 rounds takes as many steps as one trained on all 8 (more epochs over less), as it is the data that
are compared and not the training. Fewer epochs than the paper's, so that a seed takes minutes: compare directions, not
metres.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from ...models.positioning.rounds import make_floor, make_round
from ...models.positioning.walks import Walk

SECONDS = 180.0
SCAN_EVERY_S = 4.8
TRAINED = 8
TUNED = (8, 7, 6, 5, 4, 3, 2, 1)  # rounds of eight that a transferred model is tuned on
STRIDE_S = 1.0
WIPED = (0.2, 0.4, 0.6, 0.8, 1.0)
DRAWS = 3  # of which windows are wiped


def tables(seeds: Sequence[int], epochs: int = 40) -> dict[str, dict[str, list[float]]]:
    """ "test": mean error (m) of each seed by training; "wiped": of each seed with shares of a modality gone, for the
    model trained from scratch, tuned, and tuned with modality dropout. Needs torch."""
    done: dict[str, dict[str, list[float]]] = {"test": {}, "wiped": {}}
    for seed in seeds:
        for table, name, value in _one(seed, epochs):
            done[table].setdefault(name, []).append(value)
    return done


def in_words(done: dict[str, dict[str, list[float]]]) -> list[str]:
    lines = ["generated rounds, mean error in m over the seeds (least to most)"]
    for name, values in [*done["test"].items(), *done["wiped"].items()]:
        lines.append(f"{name:40}{np.mean(values):7.2f}  ({min(values):.2f} to {max(values):.2f})")
    return lines


def _one(seed: int, epochs: int) -> list[tuple[str, str, float]]:
    from ...models.positioning import mtloc_training as training
    from ...models.positioning.mtloc_learning import most_heard, motion_of
    from ...models.positioning.mtloc_windows import ranges_of, windows_of

    source = _rounds(make_floor(2 * seed, (60.0, 79.0), 102), TRAINED)
    floor = make_floor(2 * seed + 1, (110.0, 60.0), 750)
    target, tuning = _rounds(floor, TRAINED), _rounds(floor, 5, 20)
    test = _rounds(floor, 1, 40)
    bssids, ranges = most_heard(target), ranges_of(target)
    windows, stop, judged = (windows_of(w, bssids, ranges, STRIDE_S) for w in (target, tuning, test))
    box = training.box_of(windows.place_m)
    recipe = training.Recipe(epochs=epochs, seed=seed)
    motion = motion_of(source, recipe)

    def error(network: Any, on: Any) -> float:
        return float(np.hypot(*(training.places(network, on, box) - on.place_m).T).mean())

    networks = {"scratch, 8 of 8": training.train(windows, stop, box, recipe)[0]}
    frozen = replace(recipe, frozen=True)
    networks["transferred, frozen"] = training.train(windows, stop, box, frozen, motion)[0]
    for count in TUNED:
        part = windows.take(windows.walk < count)
        as_long = replace(recipe, epochs=round(epochs * TRAINED / count))
        networks[f"tuned, {count} of 8"] = training.train(part, stop, box, as_long, motion)[0]
    dropout = replace(recipe, dropout=training.DROPPED)
    networks["tuned, 8 of 8, dropout"] = training.train(windows, stop, box, dropout, motion)[0]
    rows = [("test", name, error(network, judged)) for name, network in networks.items()]
    for name in ("scratch, 8 of 8", "tuned, 8 of 8", "tuned, 8 of 8, dropout"):
        for modality, share in product(("wifi", "imu", "mag"), WIPED):
            wiped = [training.wiped(judged, modality, share, draw) for draw in range(DRAWS)]
            off = float(np.mean([error(networks[name], windows) for windows in wiped]))
            rows.append(("wiped", f"{name}, {modality}, {share:.0%}", off))
    return rows


def _rounds(floor: Any, count: int, first: int = 0) -> list[Walk]:
    return [make_round(floor, first + k, SECONDS, SCAN_EVERY_S) for k in range(count)]
