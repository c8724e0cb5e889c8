"""MTLoc carried between the halves of one floor: the nearest to another site that the walks of one floor can show.

The floor is cut across x or y at the walks' median. The network of one half (learn positioning --keep) begins the
training on a few walks of the other, beside a training from scratch, one from columns that are smooth in place but saw
no source, and the paper's motion branch. Walks are split whole before they are cut, so that no walk is on both sides;
of the source half only the walks that are not held out are used. The halves share phone, building and year, so another
building would gain less. Names of access points play no part. Needs torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...models.positioning.assessment import Scored, figures, replayed
from ...models.positioning.learning import offset_of
from ...models.positioning.live import PhoneLocator
from ...models.positioning.walks import Walk, WalkError, radio_map_of, split
from .transfer import Table, whole_of

WAYS = ("west to east", "east to west", "south to north", "north to south")
HELD_OUT, STOPPED_BY = 0.25, 0.2
TARGET_WALKS, STOPPING_WALKS = 8, 2  # of the target half: a site that was walked in an hour
EPOCHS = 30  # of the source
LONGER = 2.5  # times as many for the few walks of the target, as it is data that are compared
LEAST_S = 8  # of a piece of a walk inside a half
SHARE = 0.2  # of MTLoc in the mixture with the simple locator


def tables(walks: Sequence[Walk], seeds: Sequence[int], ways: Sequence[str] = WAYS, epochs: int = EPOCHS) -> Table:
    """By way, then by training: mean error (m) of each seed, over every second between way points and over those with
    a scan at most 3 s old. Raises WalkError where a half has too few walks."""
    done: Table = {}
    for way in ways:
        rows = done.setdefault(way, {})
        for seed in seeds:
            for name, value in _one(walks, way, seed, epochs):
                rows.setdefault(name, []).append(value)
    return done


def inside(walk: Walk, axis: int, at_m: float, above: bool) -> Iterator[Walk]:
    """The pieces of a walk on one side of a line across x (axis 0) or y (1), those of LEAST_S seconds or more."""
    t_ns = np.array([batch.t_ns for batch in walk.batches], np.int64)
    place = walk.where_m(t_ns)[:, axis]
    there = np.concatenate([[False], np.isfinite(place) & ((place > at_m) == above), [False]])
    turns = np.flatnonzero(np.diff(there.astype(int)))
    for first, end in zip(turns[::2], turns[1::2], strict=True):
        if end - first >= LEAST_S:
            within = (walk.waypoint_t_ns > t_ns[first]) & (walk.waypoint_t_ns < t_ns[end - 1])
            times = np.concatenate([t_ns[[first]], walk.waypoint_t_ns[within], t_ns[[end - 1]]])
            yield Walk(f"{walk.name}/{first}", walk.batches[first:end], times, walk.where_m(times))


def halved(walks: Sequence[Walk], way: str) -> tuple[list[list[Walk]], list[list[Walk]]]:
    """The pieces of each walk (an empty list for none) in the source half and in the target half of a way."""
    axis = 0 if "east" in way else 1
    above = way.endswith(("east", "north"))
    places = np.concatenate([w.where_m(np.array([b.t_ns for b in w.batches], np.int64))[:, axis] for w in walks])
    at_m = float(np.nanmedian(places))
    return tuple([list(inside(w, axis, at_m, side)) for w in walks] for side in (not above, above))  # type: ignore[return-value]


def _one(walks: Sequence[Walk], way: str, seed: int, epochs: int) -> list[tuple[str, float]]:
    from ...models.positioning.mtloc_learning import SHIPPED, TUNED, learn, motion_of
    from ...models.positioning.mtloc_model import model_of
    from ...models.positioning.mtloc_transfer import begun, unlearnt

    source, target, stopping, held = _split(walks, way, seed)
    few = replace(SHIPPED, seed=seed, epochs=round(LONGER * epochs))
    ours = replace(TUNED, seed=seed, epochs=few.epochs)
    whole = whole_of(source, seed, epochs)
    trainings: dict[str, dict[str, Any]] = {
        "from scratch": {"recipe": few},
        "from scratch, smooth columns": {"recipe": ours, "begin": lambda w, box: begun(unlearnt(seed), w, box)},
        "motion branch, tuned": {"recipe": few, "motion": motion_of(source, replace(few, epochs=epochs))},
        "whole, tuned": {"recipe": ours, "begin": whole.begun},
    }
    radio_map, offset = radio_map_of([*target, *stopping], "half", "1"), offset_of([*target, *stopping])
    walking = {"offset_rad": offset[0], "offset_sd_rad": offset[1]}
    rows = [("simple locator, seconds with a scan", _mean_m(radio_map, None, walking, held))]
    for name, how in trainings.items():
        model = model_of(*learn(target, stopping, "half", "1", "", **how))
        rows.append((name, _alone_m(model, held, False)))
        rows.append((f"{name}, seconds with a scan", _alone_m(model, held, True)))
        mixed = {**walking, "mtloc_share": SHARE}
        rows.append((f"simple with {SHARE:g} of {name}", _mean_m(radio_map, model, mixed, held)))
    return rows


def _split(walks: Sequence[Walk], way: str, seed: int) -> tuple[list[Walk], list[Walk], list[Walk], list[Walk]]:
    """Pieces: of the source half; of the target half to train on, to stop by, held out."""
    training, held = split(range(len(walks)), HELD_OUT, seed)
    fitted, stopping = split(training, STOPPED_BY, seed)
    source, target = halved(walks, way)

    def reached(some: Sequence[int]) -> list[list[Walk]]:
        return [target[k] for k in some if target[k]]

    def joined(pieces: Sequence[list[Walk]]) -> list[Walk]:
        return [piece for each in pieces for piece in each]

    there = reached(fitted)
    if not (there and reached(stopping) and reached(held) and any(source)):
        raise WalkError(
            f"{len(walks)} walks are too few to cut their floor in halves ({way}): each needs three or more"
        )
    drawn = np.random.default_rng([seed, 1000]).permutation(len(there))[:TARGET_WALKS]
    few = [there[k] for k in sorted(drawn.tolist())]
    return (
        joined([source[k] for k in training]),
        joined(few),
        joined(reached(stopping)[:STOPPING_WALKS]),
        joined(reached(held)),
    )


def _alone_m(model: Any, held: Sequence[Walk], fresh_only: bool) -> float:
    from ...models.positioning.mtloc_learning import assessed

    return _mean_of(assessed(model, held, fresh_only))


def _mean_m(radio_map: Any, model: Any, walking: dict[str, Any], held: Sequence[Walk]) -> float:
    return _mean_of(replayed(PhoneLocator(radio_map, model, {"walking": walking}), held))


def _mean_of(result: Scored) -> float:
    said = figures(result)
    if not said["seconds"]:
        raise WalkError("the walks held out have no second with a scan in a half of the floor: nothing can be judged")
    return said["mean_m"]
