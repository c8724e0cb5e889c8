"""`whowhere evaluate gait`: how often a walk is given the right person, on generated walks of people never seen.

The honest pair protocol: radar queries against camera galleries (and the other combinations), different walks of the
same people on the two sides, every candidate scored with the query alone. Every figure is the mean over the seeds, each
its own people, with a 95 % interval. Generated, not real: identity here is a dozen numbers.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from ...models.gait.identification import Beliefs, beliefs, ranked
from ...models.gait.latent import pair_ratios, share_of
from ...models.gait.model import SHIPPED, GaitError, GaitModel, load_model
from ...models.gait.walkset import TOLD, WalkSet, told_only
from ..arguments import natural, new_folder
from ..errors import LaunchError
from ..generated_gaits import Conditions, generated
from ..training import ready_to_train

F64 = NDArray[np.float64]

PEOPLE, WALKS, TRIALS = 174, 3, 150
GALLERIES = (10, 18, 58)
SIZES = (2, 5, 10, 18, 30, 58, 116)
ANGLES_DEG = (0, 15, 30, 45, 60)
TARGETS = {
    "crop": "39/29/13, aim 50/40/20",
    "height": "58/47/25, aim 68/58/35",
    "crop, three": "63/50/28, aim 75/65/40",
}


class Figure(NamedTuple):
    """A share over seeds: mean and half of its 95 % interval, both in %."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {self.half:.1f}"


class Signed(NamedTuple):
    """eta and precision (P,W,K) of people's walks, and how alike they err (latent.share_of)."""

    eta: F64
    precision: F64
    alike: float

    def of(self, *walks: int) -> tuple[F64, F64]:
        share = share_of(len(walks), self.alike)
        return share * self.eta[:, walks].sum(axis=1), share * self.precision[:, walks].sum(axis=1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", metavar="FOLDER", default=str(SHIPPED), help="a gait model (default: the shipped one)"
    )
    parser.add_argument(
        "--seeds", type=natural, nargs="+", default=[11, 12, 13, 14, 15], help="of the people and walks"
    )
    parser.add_argument(
        "--mission", action="store_true", help="train and score Mission and its ablations (needs torch)"
    )
    parser.add_argument("--steps", type=int, default=400, help="of each training with --mission (default 400)")
    parser.add_argument(
        "--plots", type=new_folder, metavar="FOLDER", help="write gait_cmc.png and gait_reliability.png (matplotlib)"
    )


def run(args: argparse.Namespace) -> int:
    if args.mission:
        ready_to_train("Mission")
        from . import gait_mission

        done = gait_mission.tables(args.seeds, args.steps, None if args.json else print)
        print(json.dumps(done, indent=1) if args.json else "\n".join(gait_mission.in_words(done)))
        return 0
    try:
        model = load_model(args.model)
    except GaitError as error:
        raise LaunchError(str(error), "whowhere learn gait --generated --out gait/") from error
    tables = everything(model, args.seeds)
    if args.plots:
        from .gait_plots import draw

        draw(tables, args.plots)
    print(json.dumps(tables, indent=1) if args.json else "\n".join(in_words(tables)))
    return 0


def everything(model: GaitModel, seeds: Sequence[int]) -> dict[str, Any]:
    """All tables, by title: rows of named figures as "mean ± half", and what the plots need."""
    from ...models.gait.plain import fit, plain_model

    sets = [generated(PEOPLE, WALKS, seed) for seed in seeds]
    plain = plain_model(fit(generated(400, 2, 9)), model.card["calibration"])
    tables: dict[str, Any] = {"model": model.label, "seeds": list(seeds), "people": PEOPLE}
    signed = [signatures(model, walks) for walks in sets]
    simple = [signatures(plain, walks) for walks in sets]
    tables["galleries"] = {**galleries(signed, ""), **galleries(simple, "plain numbers: ")}
    tables["same sensor"] = {
        name: [str(over_seeds(signed, lambda s, k=kind, g=g: top(s[k].of(0), s[k].of(1), g))) for g in GALLERIES]
        for name, kind in (("radar, radar", "radar"), ("camera, camera, crop", "crop"))
    }
    tables["gallery size"] = {
        str(g): str(over_seeds(signed, lambda s, g=g: top(s["radar"].of(0), s["crop"].of(0), g))) for g in SIZES
    }
    tables["calibration"] = calibration(model, signed)
    tables["conditions"] = conditions(model, seeds)
    tables["numbers"] = numbers(model, sets[0])
    tables["curves"] = curves(model, signed)
    return tables


def signatures(model: GaitModel, walks: WalkSet) -> dict[str, Signed]:
    """Of all walks: "radar", and the camera's by what is known beside its outlines (TOLD)."""
    cases: dict[str, tuple[str, Any]] = {"radar": ("radar", walks.radar)}
    cases |= {kind: ("camera", told_only(walks.camera, kind)) for kind in TOLD}
    done = {}
    for name, (kind, tensors) in cases.items():
        shape = tensors[0].shape[:2]
        flat = {f: part.reshape(-1, *part.shape[2:]) for f, part in tensors._asdict().items()}
        eta, precision = model.batch(kind, flat)
        parts = (part.reshape(*shape, -1).astype(float) for part in (eta, precision))
        done[name] = Signed(next(parts), next(parts), float(model.card["calibration"]["walks_alike"]))
    return done


def top(query: tuple[F64, F64], gallery: tuple[F64, F64], size: int, count: int = 1) -> float:
    return ranked(pair_ratios(*query, *gallery), size, TRIALS, 0).top(count)


def over_seeds(parts: Sequence[Any], value: Callable[[Any], float]) -> Figure:
    """The value of each part: mean and 95 % interval (Student's t), in %."""
    each = 100 * np.array([value(part) for part in parts])
    half = student.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
    return Figure(float(each.mean()), float(half))


def galleries(signed: Sequence[dict[str, Signed]], prefix: str) -> dict[str, list[str]]:
    """Rows of top-1 at 10, 18, 58."""
    done = {}
    three = tuple(range(WALKS))
    cases = [(kind + said, kind, walks) for said, walks in (("", (0,)), (", three", three)) for kind in TOLD]
    for name, kind, walks in cases:
        done[prefix + name] = [
            str(over_seeds(signed, lambda s, k=kind, w=walks, g=g: top(s["radar"].of(*w), s[k].of(*w), g)))
            for g in GALLERIES
        ]
    return done


def calibration(model: GaitModel, signed: Sequence[dict[str, Signed]]) -> dict[str, str]:
    """Expected calibration error of the published answer, half of the queries being of nobody in the gallery."""
    done = {}
    for kind, walks, size in _calibrated_cases():
        figure = over_seeds(signed, lambda s, k=kind, w=walks, g=size: believed(model, s, k, w, g).calibration_error())
        done[f"{kind}, {len(walks)} walk{'s' * (len(walks) > 1)}, gallery {size}"] = str(figure)
    pooled = [believed(model, s, *case) for s in signed for case in _calibrated_cases()]
    everything = Beliefs(np.concatenate([b.believed for b in pooled]), np.concatenate([b.right for b in pooled]))
    done["all of these together"] = f"{100 * everything.calibration_error():.1f}"
    return done


def believed(model: GaitModel, signed: dict[str, Signed], kind: str, walks: tuple[int, ...], size: int) -> Beliefs:
    matrix = pair_ratios(*signed["radar"].of(*walks), *signed[kind].of(*walks))
    return beliefs(model.calibrated(matrix, len(walks), np.array(len(walks))), size, 3000, 0)


def conditions(model: GaitModel, seeds: Sequence[int]) -> dict[str, str]:
    """Top-1 of 18, crop, height, height and speed, one walk: angles, lengths, other generators' choices."""
    cases = {f"{angle} degrees": Conditions(angle_rad=float(np.radians(angle))) for angle in ANGLES_DEG}
    cases |= {f"{frames / 10:g} s": Conditions(frames=frames) for frames in (11, 15, 20)}
    cases |= {
        "other generators' styles": Conditions(styled=1.0),
        "speeds drawn, not the person's own": Conditions(drawn_speed=1.0),
        "a live tracker's errors": Conditions(loose=1.0),
        "walking away": Conditions(away=1.0),
        "8 points a frame": Conditions(points=8.0),
        "camera at 8 a second": Conditions(slow_camera=1.0),
        "two people at once, 1 m apart": Conditions(company=1.0),
    }
    done = {}
    for name, case in cases.items():
        signed = [signatures(model, generated(PEOPLE // 2, 1, seed, case)) for seed in seeds]
        row = [over_seeds(signed, lambda s, k=k: top(s["radar"].of(0), s[k].of(0), 18)) for k in TOLD]
        done[name] = " | ".join(map(str, row))
    return done


def numbers(model: GaitModel, walks: WalkSet) -> dict[str, str]:
    """How far off the estimated gait numbers are: root mean square error by radar and by camera, and the spread."""
    from ...models.gait.numbers import TARGETS, targets

    done = {}
    sides = (("radar", walks.radar, walks.radar_numbers), ("camera", walks.camera, walks.camera_numbers))
    errors, spreads = [], []
    for kind, tensors, true in sides:
        flat = {f: part.reshape(-1, *part.shape[2:]) for f, part in tensors._asdict().items()}
        aim = targets(true.reshape(-1, true.shape[-1]), walks.names)
        errors.append(np.sqrt(((model.batch_numbers(kind, flat) - aim) ** 2).mean(axis=0)))
        spreads.append(aim.std(axis=0))
    for k, (name, _, _, sd) in enumerate(TARGETS):
        done[name] = f"{sd * errors[0][k]:.3g} | {sd * errors[1][k]:.3g} | {sd * spreads[0][k]:.3g}"
    return done


def curves(model: GaitModel, signed: Sequence[dict[str, Signed]]) -> dict[str, Any]:
    """For the plots: CMC at a gallery of 58, and reliability."""
    done: dict[str, Any] = {"cmc": {}, "reliability": {}}
    for kind in ("crop", "height"):
        for walks in ((0,), tuple(range(WALKS))):
            name = f"{kind}, {len(walks)} walk{'s' * (len(walks) > 1)}"
            each = [
                ranked(pair_ratios(*s["radar"].of(*walks), *s[kind].of(*walks)), 58, TRIALS, 0).curve() for s in signed
            ]
            done["cmc"][name] = np.mean(each, axis=0).round(4).tolist()
            pooled = [believed(model, s, kind, walks, 10) for s in signed]
            done["reliability"][name] = binned(pooled)
    return done


def binned(parts: Sequence[Beliefs]) -> list[tuple[float, float, int]]:
    """Belief, share right and number of answers in ten bins."""
    chance, right = np.concatenate([p.believed for p in parts]), np.concatenate([p.right for p in parts])
    place = np.minimum((10 * chance).astype(int), 9)
    rows = [(chance[place == k], right[place == k]) for k in range(10)]
    return [(round(float(c.mean()), 4), round(float(r.mean()), 4), len(c)) for c, r in rows if len(c) >= 20]


def in_words(tables: dict[str, Any]) -> list[str]:
    lines = [
        f"{tables['model']}; generated people, {tables['people']} for each of the seeds {tables['seeds']}; top-1 in %"
    ]
    for title in ("galleries", "same sensor"):
        lines += ["", f"{title:32}" + "".join(f"{g:>16}" for g in GALLERIES)]
        lines += [f"{name:32}" + "".join(f"{v:>16}" for v in row) for name, row in tables[title].items()]
    for title in ("gallery size", "calibration", "conditions", "numbers"):
        lines += ["", title] + [f"{name:44}{value}" for name, value in tables[title].items()]
    return lines


def _calibrated_cases() -> list[tuple[str, tuple[int, ...], int]]:
    return [(kind, walks, size) for kind in ("crop", "height") for walks in ((0,), (0, 1, 2)) for size in (10, 58)]
