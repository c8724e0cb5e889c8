"""From crops that cameras kept, bodies that fusion followed, and phones, to what a model is learnt from.

A crop is the body's whose place on the floor is nearest to its box's foot at that moment, where no second one is as
near; crops of one body by one camera without a longer pause are a tracklet. Nobody's name goes into it. Pure: how
boxes come to the floor is handed in, files are read elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .crops import Crops
from .learning import LearningError, Material, chosen_crops
from .stripes import Image
from .tracklets import F64, I64, Tracklets, Trajectory

FloorOf = Callable[[NDArray[np.floating]], F64]  # boxes (N,4) px -> (N,2) m

NEAR_M, APART_M = 1.2, 0.6  # of a body from the crop's foot; of the second nearest from the nearest
NEAR_S, PAUSE_S = 0.35, 5.0
LEAST_CROPS = 2


class Bodies(NamedTuple):
    """Where bodies were, in order of time: t_s (n,) on the clock of `start_ns`, track (n,), place_m (n,2)."""

    start_ns: int
    t_s: F64
    track: I64
    place_m: F64


class _Seen(NamedTuple):
    camera: int
    track: int
    t_s: float
    place_m: F64
    file: int
    row: int


def gather(
    kept: Sequence[Crops], bodies: Bodies, trajectories: Sequence[Trajectory], floors: Mapping[str, FloorOf]
) -> Material:
    """The material in crops `kept` by the cameras that `floors` knows. Raises LearningError where nothing fits."""
    cameras = sorted({crops.camera for crops in kept if crops.camera in floors})
    seen = [
        each
        for number, crops in enumerate(kept)
        if crops.camera in cameras
        for each in _seen(crops, number, cameras.index(crops.camera), bodies, floors[crops.camera])
    ]
    groups = _grouped(seen)
    pictures = [chosen_crops(_pictures(kept, group)) for group in groups]
    used = [k for k, crops in enumerate(pictures) if len(crops) >= LEAST_CROPS]
    groups, chosen = [groups[k] for k in used], [pictures[k] for k in used]
    if not groups:
        raise LearningError(
            f"of {sum(len(crops.t_ns) for crops in kept)} crops none fits a body that was followed at that time: "
            "crops and session are not of one site and time, or its cameras' calibration is off"
        )
    place = [np.array([each.place_m for each in group]) for group in groups]
    camera = np.array([group[0].camera for group in groups])
    middle = np.full((len(cameras), 2), np.inf)
    for k in set(camera.tolist()):
        middle[k] = np.concatenate([p for p, c in zip(place, camera, strict=True) if c == k]).mean(axis=0)
    off = np.concatenate([np.linalg.norm(p - middle[c], axis=1) for p, c in zip(place, camera, strict=True)])
    view_m = float(np.quantile(off, 0.95)) + 1.0
    sd_m = float(np.median([walk.sd_m for walk in trajectories])) if trajectories else 0.0
    tracklets = Tracklets(
        camera,
        np.array([group[0].t_s for group in groups]),
        np.array([group[-1].t_s for group in groups]) + 0.1,
        tuple(np.column_stack([[e.t_s for e in g], p]) for g, p in zip(groups, place, strict=True)),
    )
    return Material(tracklets, chosen, trajectories, middle, view_m, view_m + 2 * sd_m)


def _seen(crops: Crops, file: int, camera: int, bodies: Bodies, floor_of: FloorOf) -> list[_Seen]:
    """The crops of one file that are clearly one body's."""
    done = []
    feet = floor_of(crops.boxes) if len(crops.boxes) else np.zeros((0, 2))
    for row, (t_ns, foot) in enumerate(zip(crops.t_ns.tolist(), feet, strict=True)):
        t_s = (t_ns - bodies.start_ns) / 1e9
        low, high = np.searchsorted(bodies.t_s, [t_s - NEAR_S, t_s + NEAR_S])
        off = np.linalg.norm(bodies.place_m[low:high] - foot, axis=1)
        nearest = {
            int(t): float(d) for t, d in sorted(zip(bodies.track[low:high], off, strict=True), key=lambda e: -e[1])
        }
        order = sorted(nearest, key=lambda track: nearest[track])
        if not order or nearest[order[0]] > NEAR_M:
            continue
        if len(order) > 1 and nearest[order[1]] - nearest[order[0]] < APART_M:
            continue
        done.append(_Seen(camera, order[0], t_s, foot, file, row))
    return done


def _grouped(seen: Sequence[_Seen]) -> list[list[_Seen]]:
    """By camera and body, cut where there is a pause; in order of time."""
    groups: list[list[_Seen]] = []
    for each in sorted(seen, key=lambda e: (e.camera, e.track, e.t_s, e.file, e.row)):
        last = groups[-1][-1] if groups else None
        if last and (last.camera, last.track) == (each.camera, each.track) and each.t_s - last.t_s <= PAUSE_S:
            groups[-1].append(each)
        else:
            groups.append([each])
    return sorted(groups, key=lambda group: (group[0].t_s, group[0].camera, group[0].track))


def _pictures(kept: Sequence[Crops], group: Sequence[_Seen]) -> list[Image]:
    """Some of a tracklet's crops, spread over its time: more than are used, as some may be flawed."""
    step = max(1, len(group) // 24)
    return [kept[each.file].picture(each.row) for each in group[::step]]
