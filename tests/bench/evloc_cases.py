"""The frame evaluation's cases, and what one case measures: our matcher, the paper's and the references on the same
simulated frames, run by run. No targets and no output here."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import thread_time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from whowhere.drivers.simulated.frames import Frames, Scene, simulate
from whowhere.fusion.evloc import EvLocSettings, Matcher, frame_matcher
from whowhere.fusion.evloc_frames import Estimate, LikelihoodSettings
from whowhere.fusion.evloc_paper import PaperSettings
from whowhere.fusion.evloc_radio import Radio

Floats = NDArray[np.float64]
CHUNK = 100  # runs at once
QUIET, NOISY = "1.58 dB, n=2", "5 dB, n=3"
NOISES = {
    QUIET: Scene(exponent=2.0, reading_sigma_db=5.0, readings=10),
    NOISY: Scene(exponent=3.0, reading_sigma_db=5.0, readings=1),
}
CURVES = ("ours", "oracle", "paper, gated", "paper, trusted", "wireless alone")


class Point(NamedTuple):
    """One scene of a series: its value on the axis (None in the series over frames)."""

    series: str
    noise: str
    value: float | None
    scene: Scene
    frames: int


@dataclass
class Measured:
    """Of R runs and F frames: error_m[curve] (R,F) the mean error over phones whose owner is there; the shares (R,F) of
    phones whose best body is theirs, of those confirmed and right, of those confirmed at all, and wrongly so."""

    error_m: dict[str, Floats] = field(default_factory=dict)
    right: Floats = field(default_factory=lambda: np.empty((0, 0)))
    confirmed_right: Floats = field(default_factory=lambda: np.empty((0, 0)))
    confirmed: Floats = field(default_factory=lambda: np.empty((0, 0)))
    wrong: Floats = field(default_factory=lambda: np.empty((0, 0)))
    paper_right: Floats = field(default_factory=lambda: np.empty((0, 0)))
    cpu_s: float = 0.0


def points() -> list[Point]:
    """The paper's figure 5 and 6a to 6f, each for both noises."""
    series: list[tuple[str, str, list[float], int]] = [
        ("6a people", "people", [5, 10, 15, 20], 20),
        ("6b sniffers", "sniffers", [3, 4, 6, 8, 12], 20),
        ("6c speed (m/s)", "speed_mps", [0.0, 0.5, 1.0, 2.0, 4.0], 20),
        ("6d visual misses", "visual_miss", [0.0, 0.1, 0.2, 0.3], 40),
        ("6e electronic misses", "electronic_miss", [0.0, 0.1, 0.3, 0.5], 20),
    ]
    made = [Point("5 frames", noise, None, scene, 60) for noise, scene in NOISES.items()]
    for name, key, values, frames in series:
        for noise, scene in NOISES.items():
            for value in values:
                whole = int(value) if key in ("people", "sniffers") else value
                made.append(Point(name, noise, value, replace(scene, **{key: whole}), frames))
    return made + [
        Point("6f indistinct", noise, None, replace(scene, link_error=0.1), 60) for noise, scene in NOISES.items()
    ]


def special() -> dict[str, Callable[[Scene], tuple[Scene, int]]]:
    """Scenes of the table of targets that are in no figure."""
    return {
        "bias 4 dB": lambda scene: (replace(scene, bias_db=4.0), 20),
        "30 % without phones": lambda scene: (replace(scene, phones=7), 40),
        "standing": lambda scene: (replace(scene, speed_mps=0.0), 60),
        "rarely exchanged": lambda scene: (replace(scene, link_error=0.02), 40),
        "strangers": lambda scene: (replace(scene, phones=7, strangers=3), 40),
    }


def measure(scene: Scene, frames: int, runs: int, seed: int) -> Measured:
    """Runs number `seed` to `seed + runs - 1` of a scene."""
    started = thread_time()
    parts = [
        _measure(simulate(scene, min(CHUNK, runs - first), frames, seed + first)) for first in range(0, runs, CHUNK)
    ]
    whole = Measured({name: np.concatenate([part.error_m[name] for part in parts]) for name in CURVES})
    for name in ("right", "confirmed_right", "confirmed", "wrong", "paper_right"):
        setattr(whole, name, np.concatenate([getattr(part, name) for part in parts]))
    whole.cpu_s = thread_time() - started
    return whole


def _matchers(simulated: Frames) -> tuple[Matcher, Matcher]:
    """Ours as it comes, told only what a site file and a tracker say; and the paper's."""
    scene = simulated.scene
    runs, _, devices, _ = simulated.rssi_dbm.shape
    radio = Radio(scene.reference_dbm, scene.exponent, scene.sigma_db)
    ours = LikelihoodSettings(
        interval_s=scene.interval_s,
        visual_sd_m=scene.visual_sd_m,
        link_error=scene.link_error,
        side_m=scene.side_m,
    )
    paper = PaperSettings(visual_sd_m=scene.visual_sd_m, side_m=scene.side_m)
    sizes = (runs, devices, scene.people)
    return (
        frame_matcher(simulated.sniffers, radio, *sizes, EvLocSettings(likelihood=ours)),
        frame_matcher(simulated.sniffers, radio, *sizes, EvLocSettings("squared", "hoeffding", paper=paper)),
    )


def _measure(simulated: Frames) -> Measured:
    ours, paper = _matchers(simulated)
    runs, frames, _, _ = simulated.rssi_dbm.shape
    measured = Measured({name: np.empty((runs, frames)) for name in CURVES})
    for name in ("right", "confirmed_right", "confirmed", "wrong", "paper_right"):
        setattr(measured, name, np.empty((runs, frames)))
    for frame in range(frames):
        readings, seen = simulated.rssi_dbm[:, frame], simulated.seen_m[:, frame]
        truth, owner = simulated.place_m[:, frame], simulated.owner[:, frame]
        mine, theirs = ours.step(readings, seen), paper.step(readings, seen)
        places = {
            "ours": mine.position,
            "oracle": _of_owner(mine, owner),
            "paper, gated": theirs.position,
            "paper, trusted": theirs.trusted,
            "wireless alone": theirs.wireless,
        }
        there = owner >= 0
        for name, place in places.items():
            error = np.linalg.norm(place - truth, axis=2)
            measured.error_m[name][:, frame] = np.where(there, error, 0.0).sum(axis=1) / there.sum(axis=1)
        good = mine.best == owner
        measured.right[:, frame] = (good & there).sum(axis=1) / there.sum(axis=1)
        measured.confirmed_right[:, frame] = (good & mine.confirmed & there).sum(axis=1) / there.sum(axis=1)
        measured.confirmed[:, frame] = mine.confirmed.mean(axis=1)
        measured.wrong[:, frame] = (mine.confirmed & ~good).mean(axis=1)
        measured.paper_right[:, frame] = ((theirs.best == owner) & there).sum(axis=1) / there.sum(axis=1)
    return measured


def _of_owner(estimate: Estimate, owner: NDArray[np.intp]) -> Floats:
    """Where the same tracks and the same fusion put each phone when told who carries it."""
    return np.take_along_axis(estimate.bodies, np.maximum(owner, 0)[..., None, None], axis=2)[:, :, 0]
