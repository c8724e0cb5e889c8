"""Transfer and missing modalities on generated rounds (G3): tables in the kind of MTLoc's V and VI, not real data.

Source floor: 102 access points; target: 750; 14 rounds each of three minutes, 8 to train, 5 to stop by, 1 to test. No
two floors and no two seeds share a route. Transferred is the motion branch, as in the paper ("tuned"), or the network
("whole", mtloc_transfer.py). "Ours", and "whole", train and stop by the mean distance; from scratch that is with first
columns that are smooth in place too, only that they saw no source. "Whole" alone has noise on its sensors, which cost
scratch on seeds 21 and 22, and half the rate, which was not tried from scratch. A model tuned on k of 8 rounds takes as
many steps as one trained on all 8 (more epochs over less), as it is the data that are compared and not the training.
Fewer epochs than the paper's, so that a seed takes minutes: compare directions, not metres.
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
ROUTES = 100  # more than a floor has rounds: the first of a floor's numbers is this times the floor's
STRIDE_S = 1.0
WIPED = (0.2, 0.4, 0.6, 0.8, 1.0)
SCRATCH, OURS, DROPOUT = "scratch, 8 of 8", "scratch (ours), 8 of 8", "tuned, 8 of 8, dropout"
SENSOR_NOISE = 0.2  # for "whole" alone: from scratch it cost 0.8 to 1.8 m on the seeds tuned on
DRAWS = 3  # of which windows are wiped


def tables(seeds: Sequence[int], epochs: int = 40, tuned: Sequence[int] = TUNED) -> dict[str, dict[str, list[float]]]:
    """ "test": mean error (m) of each seed by training; "wiped": of each seed with shares of a modality gone, for the
    models from scratch and those tuned on most rounds. tuned: on how many rounds of eight. Needs torch."""
    done: dict[str, dict[str, list[float]]] = {"test": {}, "wiped": {}}
    for seed in seeds:
        for table, name, value in _one(seed, epochs, tuned):
            done[table].setdefault(name, []).append(value)
    return done


def in_words(done: dict[str, dict[str, list[float]]]) -> list[str]:
    lines = ["generated rounds, mean error in m over the seeds (least to most)"]
    for name, values in [*done["test"].items(), *done["wiped"].items()]:
        lines.append(f"{name:40}{np.mean(values):7.2f}  ({min(values):.2f} to {max(values):.2f})")
    return lines


def _one(seed: int, epochs: int, tuned: Sequence[int]) -> list[tuple[str, str, float]]:
    from ...models.positioning import mtloc_training as training
    from ...models.positioning.mtloc_learning import most_heard
    from ...models.positioning.mtloc_windows import ranges_of, windows_of

    target, tuning, test = _split(2 * seed + 1, (110.0, 60.0), 750)
    bssids, ranges = most_heard(target), ranges_of(target)
    windows, stop, judged = (windows_of(w, bssids, ranges, STRIDE_S) for w in (target, tuning, test))
    box = training.box_of(windows.place_m)
    recipe = training.Recipe(epochs=epochs, seed=seed)
    networks = _networks(_split(2 * seed, (60.0, 79.0), 102), windows, stop, box, recipe, tuned)

    def error(network: Any, on: Any) -> float:
        return float(np.hypot(*(training.places(network, on, box) - on.place_m).T).mean())

    rows = []
    for name, network in networks.items():
        rows.append(("test", name, error(network, judged)))
        rows.append(("test", f"{name}, windows with a scan", error(network, judged.take(~judged.missing[:, 0]))))
    most = max(tuned)
    for name in (SCRATCH, OURS, f"tuned, {most} of 8", f"whole, {most} of 8", DROPOUT):
        for modality, share in product(("wifi", "imu", "mag"), WIPED if name in networks else ()):
            wiped = [training.wiped(judged, modality, share, draw) for draw in range(DRAWS)]
            off = float(np.mean([error(networks[name], windows) for windows in wiped]))
            rows.append(("wiped", f"{name}, {modality}, {share:.0%}", off))
    return rows


def _networks(
    source: Sequence[list[Walk]], windows: Any, stop: Any, box: Any, recipe: Any, tuned: Sequence[int]
) -> dict[str, Any]:
    """The networks by how they were trained. source: its rounds to train on and to stop by."""
    from ...models.positioning import mtloc_training as training
    from ...models.positioning.mtloc_learning import most_heard, motion_of
    from ...models.positioning.mtloc_transfer import begun, pretrain_whole, unlearnt
    from ...models.positioning.mtloc_windows import ranges_of, windows_of

    rounds, tuning, _ = source
    heard, ranges = most_heard(rounds), ranges_of(rounds)
    elsewhere, held = (windows_of(w, heard, ranges, STRIDE_S) for w in (rounds, tuning))
    ours = replace(recipe, distance=True)
    carried = replace(ours, sensor_noise=SENSOR_NOISE)
    whole = pretrain_whole(elsewhere, held, training.box_of(elsewhere.place_m), carried)
    motion = motion_of(rounds, recipe)
    done = {SCRATCH: training.train(windows, stop, box, recipe)[0]}
    done[OURS] = training.train(windows, stop, box, ours, start=begun(unlearnt(recipe.seed), windows, box))[0]
    for count in tuned:
        part = windows.take(windows.walk < count)
        epochs = round(recipe.epochs * TRAINED / count)
        done[f"tuned, {count} of 8"] = training.train(part, stop, box, replace(recipe, epochs=epochs), motion)[0]
        slower = replace(carried, epochs=epochs, rate=recipe.rate / 2)
        done[f"whole, {count} of 8"] = training.train(part, stop, box, slower, start=begun(whole, part, box))[0]
    if TRAINED in tuned:
        done["transferred, frozen"] = training.train(windows, stop, box, replace(recipe, frozen=True), motion)[0]
        done[DROPOUT] = training.train(windows, stop, box, replace(recipe, dropout=training.DROPPED), motion)[0]
    return done


def _split(floor: int, size_m: tuple[float, float], access_points: int) -> list[list[Walk]]:
    """The rounds of a floor, by its number: to train on, to stop by, to test."""
    made = make_floor(floor, size_m, access_points)
    counts = ((TRAINED, 0), (5, 20), (1, 40))
    return [
        [make_round(made, ROUTES * floor + first + k, SECONDS, SCAN_EVERY_S) for k in range(count)]
        for count, first in counts
    ]
