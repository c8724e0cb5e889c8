"""`whowhere evaluate appearance`: who is recognised by looks, with and without phones, on real crops or generated days.

Without options: the real crops that are there (PETS S2L1, TUD Campus), looks alone and with phones simulated from the
ground truth. --generated: numbers in the place of looks, every way of labelling and graph; --pictures: drawn people and
the small network, minutes a seed. Real and generated figures are never in one table.
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models.appearance.model import AppearanceModel, load_model, shipped_model
from ...models.appearance.owners import excluded, levelled, owners
from ...models.appearance.scoring import Ranked, interval, ranked
from ...models.appearance.tracklets import F64
from ..arguments import natural, new_folder, positive
from ..errors import LaunchError
from ..training import ready_to_train
from . import recorded_crops

ROUNDS = 12
ERRORS_M: tuple[float | None, ...] = (None, 3.0, 1.5)
SHARES = (0.8, 0.36)
PROTOCOLS = (("pets_s2l1", 0), ("pets_s2l1", 40), ("tud_campus", 0))  # recording, frames of a span (0: at occlusions)
VIEW_M = 15.0
Table = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--generated", action="store_true", help="generated days with numbers for looks (needs torch)")
    parser.add_argument("--pictures", action="store_true", help="generated days in pictures (needs torch, minutes)")
    parser.add_argument("--seeds", type=natural, nargs="+", default=[11, 12, 13], help="of days, or of phones")
    parser.add_argument("--rounds", type=positive, default=ROUNDS, help=f"of pseudo labels (default {ROUNDS})")
    parser.add_argument("--model", metavar="CARD", action="append", default=[], help="another model, on real crops")
    parser.add_argument(
        "--plot", type=new_folder, metavar="FOLDER", help="write CMC curves and reliability there (needs matplotlib)"
    )


def run(args: argparse.Namespace) -> int:
    if args.generated or args.pictures:
        done = generated(args.seeds, args.pictures, args.rounds)
        lines = in_words_generated(done)
    else:
        done = real([shipped_model("stripes"), shipped_model("looks"), *map(load_model, args.model)], args.seeds)
        lines = in_words_real(done)
    if args.plot:
        from .appearance_plot import plots

        plots(done, args.plot, "pictures" if args.pictures else "generated" if args.generated else "real")
    print(json.dumps(done, indent=1) if args.json else "\n".join(lines))
    return 0


def generated(seeds: Sequence[int], pictures: bool, rounds: int) -> Table:
    """By seed, what `models.appearance.trial` measures."""
    ready_to_train("this")
    from ...models.appearance import trial

    ways = trial.WAYS if pictures else {**trial.WAYS, **trial.GRAPHS}
    return {f"seed {seed}": trial.tried(seed, pictures, ways, rounds, few=29) for seed in seeds}


def real(models: Sequence[AppearanceModel], seeds: Sequence[int]) -> Table:
    """By recording and protocol, by model: looks alone, with time, and with phones of these seeds."""
    there = [each for each in PROTOCOLS if (recorded_crops.VIDEO / each[0]).is_dir()]
    if not there:
        raise LaunchError(f"the recordings in {recorded_crops.VIDEO} are not here")
    done: Table = {}
    for name, span in there:
        found = recorded_crops.pieces(name, span)
        how = f"spans of {span} frames" if span else "cut at occlusions"
        table: Table = {"pieces": len(found.person)}
        done[f"{name}, {how}"] = table
        for model in models:
            table[model.label] = one_model(recorded_crops.embedded(model, found), found, seeds, model)
    return done


def one_model(x: F64, found: recorded_crops.Pieces, seeds: Sequence[int], model: AppearanceModel) -> Table:
    apart = excluded(found.tracklets, np.zeros((1, 2)), VIEW_M)
    alike = levelled(x, found.tracklets.camera)
    alike = alike @ alike.T
    table: Table = {
        "looks": in_figures([ranked(x @ x.T, found.person, found.asks)]),
        "looks, levelled": in_figures([ranked(alike, found.person, found.asks)]),
        "and not two at one time": in_figures([ranked(alike - 2 * apart, found.person, found.asks)]),
        "calibration": calibration(x, found, model),
    }
    if found.tracklets.paths:
        for error_m in ERRORS_M:
            for share in SHARES if error_m is None else SHARES[:1]:
                with_phones = [_with_phones(x, alike - 2 * apart, found, seed, share, error_m) for seed in seeds]
                title = f"and phones of {share:.0%}, {'5-8' if error_m is None else f'{error_m:g}'} m"
                table[title] = {**in_figures([each[0] for each in with_phones]),
                                "precision": float(np.mean([each[1] for each in with_phones])),
                                "recall": float(np.mean([each[2] for each in with_phones]))}  # fmt: skip
    return table


def _with_phones(
    x: F64, alike: F64, found: recorded_crops.Pieces, seed: int, share: float, error_m: float | None
) -> tuple[Ranked, float, float]:
    """Ranks with the owners' links, and precision and recall of phone to piece."""
    walks, passages, carriers = recorded_crops.phones_of(found.name, seed, share, error_m)
    said = owners(x, found.tracklets, walks, passages, np.zeros((1, 2)), VIEW_M)
    sets = [said.tracklets_of(phone) for phone in range(len(walks))]
    truth = [np.flatnonzero(found.person == who) for who in carriers]
    right = sum(len(np.intersect1d(a, b)) for a, b in zip(sets, truth, strict=True))
    result = ranked(alike + said.linked(), found.person, found.asks)
    return result, right / max(sum(map(len, sets)), 1), right / max(sum(map(len, truth)), 1)


def calibration(x: F64, found: recorded_crops.Pieces, model: AppearanceModel) -> Table:
    """How well the model's own card says how probable it is that two pieces of one camera are one person, both kinds of
    pairs weighing the same."""
    i, j = np.triu_indices(len(x), 1)
    same = found.person[i] == found.person[j]
    nats = model.log_ratio((x @ x.T)[i, j], same_camera=True, is_mean=True)
    probability = 1 / (1 + np.exp(-nats))
    weight = np.where(same, 0.5 / same.sum(), 0.5 / (~same).sum())
    place = np.minimum((probability * 10).astype(int), 9)
    off, bins = 0.0, []
    for k in range(10):
        rows = place == k
        if rows.any():
            total = float(weight[rows].sum())
            published, was = (float((weight * each)[rows].sum()) / total for each in (probability, same))
            off += total * abs(published - was)
            bins.append([published, was, int(rows.sum())])
    return {"error": off, "bins": bins}


def in_figures(results: Sequence[Ranked]) -> Table:
    """Means over results, and 95 % of the bootstrap over queries."""
    first = np.concatenate([each.first for each in results])
    precision = np.concatenate([each.precision for each in results])
    pooled = Ranked(first, precision)
    return {
        **{f"rank_{k}": pooled.cmc(k) for k in (1, 5, 10, 20)},
        "map": pooled.mean_precision,
        "rank_1_interval": interval((first == 1).astype(float)),
        "map_interval": interval(precision),
        "queries": len(results[0].first),
    }


def in_words_real(done: Table) -> list[str]:
    lines = []
    for title, table in done.items():
        lines += ["", f"{title}: {table['pieces']} pieces"]
        for label, figures in table.items():
            if label == "pieces":
                continue
            lines.append(f"  {label}: calibration error {figures['calibration']['error']:.3f}")
            for name, said in figures.items():
                if name == "calibration":
                    continue
                (a, b), (c, d) = said["rank_1_interval"], said["map_interval"]
                more = f", phone to piece {said['precision']:.2f} / {said['recall']:.2f}" if "recall" in said else ""
                lines.append(
                    f"    {name:28} rank-1 {100 * said['rank_1']:5.1f} ({100 * a:.0f} to {100 * b:.0f})"
                    f"  mAP {100 * said['map']:5.1f} ({100 * c:.0f} to {100 * d:.0f}){more}"
                )
    return lines[1:]


def in_words_generated(done: Table) -> list[str]:
    lines = []
    seeds = list(done)
    names = [name for name in done[seeds[0]] if name not in ("tracklets", "passages")]
    lines.append(f"{len(seeds)} seeds, tracklets {', '.join(str(done[s]['tracklets']) for s in seeds)}")
    lines.append(f"{'':24}  rank-1    mAP  least   most | with MMDA | with owners |    MMDA p/r |  owners p/r | ece")
    for name in names:
        each = [done[seed][name] for seed in seeds]

        def mean(*keys: str, rows: Sequence[Any] = each) -> float:
            return 100 * float(np.mean([_at(row, keys) for row in rows]))

        maps = [100 * row["alone"]["map"] for row in each]
        lines.append(
            f"{name:24}{mean('alone', 'rank_1'):8.1f}{mean('alone', 'map'):7.1f}{min(maps):7.1f}{max(maps):7.1f} |"
            f" {mean('with MMDA', 'rank_1'):4.1f} {mean('with MMDA', 'map'):4.1f} |"
            f" {mean('with owners', 'rank_1'):5.1f} {mean('with owners', 'map'):5.1f} |"
            f" {mean('MMDA', 'precision'):5.1f} {mean('MMDA', 'recall'):5.1f} |"
            f" {mean('owners', 'precision'):5.1f} {mean('owners', 'recall'):5.1f} |"
            f" {mean('calibration', 'error') / 100:.3f}"
        )
    return lines


def _at(row: Any, keys: Sequence[str]) -> float:
    for key in keys:
        row = row[key]
    return float(row)
