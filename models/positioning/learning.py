"""What the simple locator learns from walks: the radio map, which way phones are held, what its covariances are worth.

Nothing is fitted on what it is then judged by: covariances are measured in folds of whole walks, each located on the
map of the other folds. Also here: the choice between MTLoc, the simple locator and their mixture on walks held out.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..radiomap.maps import FingerprintMap
from .assessment import Scored, figures, joined, replayed, spread_of, without
from .live import MEASURED, PhoneLocator
from .mtloc_model import MtlocModel
from .steps import Pedestrian
from .walks import Walk, WalkError, radio_map_of

F64 = NDArray[np.float64]

FOLDS = 20  # fewer leave holes in the map that the deployed one does not have, and make errors look larger
LEAST_WALKS = 5  # to measure covariances by
LEAST_WAY_M = 3.0  # of a stretch between way points that tells a heading
LEAST_STRETCHES = 5
SHARES = (0.0, 0.2, 0.4, 0.6, 1.0)  # of MTLoc in a mixture
WORTH = 0.02  # a mixture must beat the simple locator by this share of its mean error
LEAST_JUDGED_S = 30  # held out, with a fresh scan: fewer prefer nothing to the simple locator


def offset_of(walks: Sequence[Walk]) -> tuple[float, float | None]:
    """Mean and standard deviation (rad) of the angle from the phone's compass heading to the way really walked.

    (0, None) where too few straight stretches with a compass tell it.
    """
    return offset_of_angles([angle for walk in walks for angle in stretch_angles(walk)])


def offset_of_angles(angles: Sequence[float]) -> tuple[float, float | None]:
    """As `offset_of`, from the angles of all walks' stretches."""
    if len(angles) < LEAST_STRETCHES:
        return 0.0, None
    mean = complex(np.exp(1j * np.array(angles)).mean())
    around = np.angle(np.exp(1j * (np.array(angles) - np.angle(mean))))
    sd = float(np.median(np.abs(around)) / 0.6745)
    return (float(np.angle(mean)), max(sd, 0.1)) if sd < 0.8 else (0.0, None)


def learnt_map(walks: Sequence[Walk], name: str, version: str, seed: int = 0) -> FingerprintMap:
    """The radio map of the walks' scans, its card's `walking` measured in folds of whole walks. Raises WalkError."""
    radio_map = radio_map_of(walks, name, version)
    offset, sd = offset_of(walks)
    walking: dict[str, Any] = {"offset_rad": offset, "offset_sd_rad": sd}
    if len(walks) >= LEAST_WALKS:
        walking.update(_spreads(walks, walking, seed))
    return radio_map.changed(card={**radio_map.card, "walking": walking})


def measured_map(radio_map: FingerprintMap, walks: Sequence[Walk]) -> FingerprintMap:
    """A map made elsewhere, with what the walks say of offsets and covariances in its card."""
    offset, sd = offset_of(walks)
    walking: dict[str, Any] = {**MEASURED, "offset_rad": offset, "offset_sd_rad": sd}
    for name, smooth in (("spread", False), ("smooth_spread", True)):
        walking[name] = spread_of(replayed(PhoneLocator(radio_map, card={"walking": walking}), walks, smooth))
    return radio_map.changed(card={**radio_map.card, "walking": walking})


def in_folds(walks: Sequence[Walk], walking: dict[str, Any], seed: int, gone: str = "", smooth: bool = False) -> Scored:
    """The walks located on maps of the other folds' walks; gone: a modality taken out of the located walks only."""
    order = np.random.default_rng(seed).permutation(len(walks))
    parts = []
    folds = min(FOLDS, len(walks))
    for fold in range(folds):
        mine = dict.fromkeys(order[fold::folds].tolist())
        rest = [walk for i, walk in enumerate(walks) if i not in mine]
        try:
            radio_map = radio_map_of(rest, "fold", str(fold))
        except WalkError:
            continue
        located = [without(walks[i], gone) if gone else walks[i] for i in sorted(mine)]
        parts.append(replayed(PhoneLocator(radio_map, card={"walking": walking}), located, smooth))
    return joined(parts)


class Choice(NamedTuple):
    """What is deployed: kind "mtloc", "simple" or "mixture", with MTLoc's share; and the figures of all, by name."""

    kind: str
    share: float
    figures: dict[str, dict[str, Any]]


def choose(radio_map: FingerprintMap, model: MtlocModel, alone: Scored, held: Sequence[Walk]) -> Choice:
    """The best on walks held out, by mean error: the simple locator unless a share of MTLoc's fixes in the place of the
    field's is surely worth it (1: MTLoc's alone, with steps and filter behind). alone: the model without those."""
    done: dict[str, dict[str, Any]] = {"mtloc alone": figures(alone)}
    for share in SHARES:
        locator = PhoneLocator(radio_map, model, {"walking": {"mtloc_share": share}})
        done[f"mixture {share:g}" if share else "simple"] = figures(replayed(locator, held))
    if any(not said.get("seconds") for said in done.values()):
        raise WalkError("the walks held out have no second with a fresh scan between way points: nothing can be judged")
    simple = done["simple"]["mean_m"]
    best = min(SHARES[1:], key=lambda share: done[f"mixture {share:g}"]["mean_m"])
    mixed = done[f"mixture {best:g}"]["mean_m"]
    if done["simple"]["seconds"] >= LEAST_JUDGED_S and mixed < simple * (1 - WORTH):
        return Choice("mtloc" if best == 1.0 else "mixture", best, done)
    return Choice("simple", 0.0, done)


def _spreads(walks: Sequence[Walk], walking: dict[str, Any], seed: int) -> dict[str, Any]:
    """`spread`, `smooth_spread` and `spread_without` of a card, measured one after another in folds."""
    done = {**MEASURED, **walking, "spread": 1.0, "smooth_spread": 1.0}
    done["spread_without"] = dict.fromkeys(("imu", "mag", "wifi"), 1.0)
    done["spread"] = spread_of(in_folds(walks, done, seed))
    done["smooth_spread"] = spread_of(in_folds(walks, done, seed, smooth=True))
    for name in ("imu", "mag"):  # a second without WiFi has no fresh scan: its covariance grows with the steps instead
        done["spread_without"][name] = max(1.0, spread_of(in_folds(walks, done, seed, gone=name)))
    return {name: done[name] for name in ("spread", "smooth_spread", "spread_without")}


def stretch_angles(walk: Walk) -> list[float]:
    """The angle (rad) from heading to way of each straight stretch of a walk that had a compass throughout."""
    steps = Pedestrian()
    moved, times, compass = [], [], True
    for batch in walk.batches:
        motion = steps.feed(batch)
        moved.append(motion.moved_m)
        times.append(batch.t_ns)
        compass = compass and motion.heading == "compass"
    if not compass or len(times) < 2:
        return []
    since_s = (np.array(times) - times[0]) / 1e9
    path = np.cumsum(moved, axis=0)
    at_s = (walk.waypoint_t_ns - times[0]) / 1e9
    found = []
    for k in range(len(at_s) - 1):
        way = walk.waypoint_m[k + 1] - walk.waypoint_m[k]
        said = [np.interp(at_s[k + 1], since_s, path[:, a]) - np.interp(at_s[k], since_s, path[:, a]) for a in (0, 1)]
        if np.hypot(*way) >= LEAST_WAY_M and np.hypot(*said) >= LEAST_WAY_M / 2:
            found.append(float(np.angle(complex(*way) / complex(*said))))
    return found
