"""`whowhere evaluate positioning`: recorded walks located by what the other walks taught.

Leave one walk out: map, heading offset and calibration are all of the other walks. With --mtloc also MTLoc alone, the
simple locator and their mixture on walks held out, split by the seeds. With --transfer networks carried from elsewhere
(transfer.py, halves.py), with --generated the same on generated rounds (generated_rounds.py). A second counts between
way points with a scan at most 3 s old; "whole" counts every second between way points. Covariances are scored per axis.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...models.positioning.assessment import Scored, figures, joined, replayed, scored, spread_of, without
from ...models.positioning.learning import SHARES, learnt_map, offset_of_angles, stretch_angles
from ...models.positioning.live import PhoneLocator
from ...models.positioning.smoothing import Trace, traced
from ...models.positioning.walks import Walk, WalkError, radio_map_of, split
from ...models.radiomap.knn import Locator
from ..arguments import natural, new_file
from ..errors import LaunchError
from ..recorded_walks import walks_in
from ..training import ready_to_train

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "positioning" / "mall_walks_B1.tar.xz"
GONE = ("imu", "mag")
HELD_OUT = 0.2
Table = dict[str, dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", metavar="PATH", nargs="+", default=[str(DEFAULT)], help="walks: files, folder, archive"
    )
    parser.add_argument("--mtloc", action="store_true", help="train and score MTLoc too (needs torch)")
    parser.add_argument("--seeds", type=natural, nargs="+", default=[1, 2, 3], help="of MTLoc's splits and weights")
    parser.add_argument("--generated", action="store_true", help="transfer on generated rounds instead (needs torch)")
    parser.add_argument(
        "--rounds",
        type=int,
        choices=range(1, 9),
        nargs="+",
        help="with --generated: how many of the target's eight rounds a transferred model is tuned on (default: each)",
    )
    parser.add_argument(
        "--transfer",
        metavar="PATH",
        nargs="*",
        help="MTLoc carried to and from these walks instead; without a path, between the halves of --data (torch)",
    )
    parser.add_argument("--plot", type=new_file, metavar="PNG", help="write the errors' distributions")


def run(args: argparse.Namespace) -> int:
    if args.generated or args.transfer is not None or args.mtloc:
        ready_to_train("MTLoc")
    if args.generated:
        from . import generated_rounds

        done = generated_rounds.tables(args.seeds, tuned=args.rounds or generated_rounds.TUNED)
        print(json.dumps(done, indent=1) if args.json else "\n".join(generated_rounds.in_words(done)))
        return 0
    walks = walks_in(args.data)
    if args.transfer is not None:
        lines, carried = _carried(walks, args.transfer, args.seeds)
        print(json.dumps(carried, indent=1) if args.json else "\n".join(lines))
        return 0
    results = leave_one_out(walks)
    tables: dict[str, Any] = {"walks": len(walks), "leave one walk out": {k: figures(v) for k, v in results.items()}}
    if args.mtloc:
        tables["held out"] = {f"seed {seed}": against_mtloc(walks, seed) for seed in args.seeds}
    if args.plot:
        plot({name: result.distance_m for name, result in results.items()}, args.plot)
    print(json.dumps(tables, indent=1) if args.json else "\n".join(in_words(tables)))
    return 0


def _carried(walks: Sequence[Walk], others: Sequence[str], seeds: Sequence[int]) -> tuple[list[str], dict[str, Any]]:
    """MTLoc carried between the walks and others, or, without any, between the halves of their floor."""
    from . import halves, transfer

    try:
        if others:
            done = transfer.tables({"data": walks, "other": walks_in(others)}, seeds)
        else:
            done = halves.tables(walks, seeds)
    except WalkError as error:
        raise LaunchError(str(error)) from error
    return transfer.in_words(done), done


def leave_one_out(walks: Sequence[Walk]) -> dict[str, Scored]:
    """By name of the method: the seconds of every walk, located by the others, covariances calibrated by the others."""
    names = ["knn alone", "on line", "smoothed", *(f"on line without {gone}" for gone in GONE)]
    parts: dict[str, list[Scored]] = {name: [] for name in names}
    angles = [stretch_angles(walk) for walk in walks]
    for i, walk in enumerate(walks):
        radio_map = radio_map_of([*walks[:i], *walks[i + 1 :]], "others", "1")
        offset, sd = offset_of_angles([a for k, each in enumerate(angles) if k != i for a in each])
        card = {"walking": {"offset_rad": offset, "offset_sd_rad": sd}}
        field = PhoneLocator(radio_map, card=card)
        parts["knn alone"].append(scored(walk, by_neighbours(Locator(radio_map), walk)))
        parts["on line"].append(scored(walk, traced(field, walk.batches)))
        for name in GONE:
            field.forget()
            parts[f"on line without {name}"].append(scored(walk, traced(field, without(walk, name).batches)))
        field.forget()
        parts["smoothed"].append(scored(walk, traced(field, walk.batches, smooth=True)))
    return {name: joined(calibrated_by_others(each)) for name, each in parts.items()}


def calibrated_by_others(parts: Sequence[Scored]) -> list[Scored]:
    """Each walk's covariances times what the other walks' errors ask for."""
    done = []
    for i, part in enumerate(parts):
        factor = spread_of(joined([*parts[:i], *parts[i + 1 :]]))
        done.append(part._replace(covariance_m2=factor * part.covariance_m2))
    return done


def by_neighbours(locator: Locator, walk: Walk) -> Trace:
    """Each second at the last scan's fix by weighted k nearest neighbours, nothing else."""
    times, places, covariances = [], [], []
    fix = None
    for batch in walk.batches:
        fix = (locator.locate(dict(batch.scan)) or fix) if batch.scan else fix
        if fix is not None:
            times.append(batch.t_ns)
            places.append(fix.position_m)
            covariances.append(fix.covariance_m2)
    shape = np.array(covariances).reshape(-1, 2, 2)
    return Trace(np.array(times, np.int64), np.array(places).reshape(-1, 2), shape, (("wifi",),) * len(times))


def against_mtloc(walks: Sequence[Walk], seed: int) -> Table:
    """MTLoc, neighbours, the simple locator and mixtures on walks that none of them has seen."""
    from dataclasses import replace

    from ...models.positioning.mtloc_learning import SHIPPED, assessed, learn
    from ...models.positioning.mtloc_model import model_of

    training, held = split(walks, HELD_OUT, seed)
    fitted, tuning = split(training, 0.12, seed)
    radio_map = learnt_map(training, "mall", str(seed), seed)
    content, card = learn(fitted, tuning, "mtloc", str(seed), radio_map.version, replace(SHIPPED, seed=seed))
    model = model_of(content, card)
    neighbours = Locator(radio_map)
    table: Table = {
        "mtloc alone, whole": figures(assessed(model, held)),
        "mtloc alone": figures(assessed(model, held, fresh_only=True)),
        "knn alone": figures(joined(scored(walk, by_neighbours(neighbours, walk)) for walk in held)),
    }
    for share in SHARES:
        locator = PhoneLocator(radio_map, model, {"walking": {"mtloc_share": share}})
        table[f"mixture {share:g}" if share else "simple"] = figures(replayed(locator, held))
    return table


def in_words(tables: dict[str, Any]) -> list[str]:
    lines = [f"{tables['walks']} walks, each located by the others"]
    groups = {"": tables["leave one walk out"], **tables.get("held out", {})}
    for title, table in groups.items():
        lines += ["", f"{title}".strip()] if title else [""]
        lines.append(f"{'':26}{'s':>6}{'mean':>8}{'median':>8}{'90 %':>8}{'<= 3 m':>8}{'1 sd':>7}{'2 sd':>7}")
        for name, said in table.items():
            lines.append(f"{name:26}{said['seconds']:6}{_figured(said)}")
    return lines


def _figured(said: dict[str, Any]) -> str:
    if not said["seconds"]:
        return "  nothing to judge by"
    return (
        f"{said['mean_m']:8.2f}{said['median_m']:8.2f}{said['p90_m']:8.1f}"
        f"{said['within_3_m']:8.2f}{said['within_1_sigma']:7.2f}{said['within_2_sigma']:7.2f}"
    )


def plot(errors_m: dict[str, Any], path: str) -> None:
    """The share of seconds within a distance, a line a method. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 4.0))
    for name, off in errors_m.items():
        axes.plot(np.sort(off), np.linspace(0, 1, len(off)), label=f"{name}: mean {off.mean():.1f} m")
    axes.set(xlim=(0, 25), ylim=(0, 1), xlabel="error (m)", ylabel="share of seconds", title="mall floor B1")
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
