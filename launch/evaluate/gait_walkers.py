"""`whowhere evaluate gait-walkers`: recorded radar walkers recognised again later in their session.

Each of 12 walkers teaches by the first 60 % of his time and is judged by the last 40 %. One session a person: clothes,
shoes and the day are his alone, so the figures say what a radar can tell within a day, not across days. With --networks
also the specification's RF branch, and the mean of both (torch; minutes).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

from ...models.gait.walkers_audit import Audit, by_day, by_kind, by_length, by_place, early
from ...models.gait.walkers_crossing import Adapted, crossed
from ...models.gait.walkers_recording import Recording, WalkerError
from ...models.gait.walkers_trial import Judged, Method, Walkers, figures, linear, strangers, tried_together, walkers_of
from ..arguments import natural, new_file
from ..errors import LaunchError
from ..training import ready_to_train
from .walker_files import DEFAULT, recordings_in

TAUGHT_BY, OTHER = "77", "60"
LENGTHS_S = (2.0, 5.0)
ADAPTED: tuple[Adapted, ...] = ("not", "shifted", "shifted and scaled")
LINEAR, RF, BOTH = "linear", "RF branch", "linear + RF branch"
Table = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="PATH", default=str(DEFAULT), help="the walkers: archive or folder")
    parser.add_argument(
        "--seeds", type=natural, nargs="+", default=[1, 2, 3], help="of windows' begins and first weights"
    )
    parser.add_argument("--networks", action="store_true", help="the RF branch too (needs torch; 4 minutes a seed)")
    parser.add_argument(
        "--plot", type=new_file, metavar="PNG", help="write reliability and the audit (needs matplotlib)"
    )
    parser.add_argument("--points", action="store_true", help="instead: how points lie, for the generator of walks")


def run(args: argparse.Namespace) -> int:
    source = Path(args.data)
    if args.points:
        from .walker_points import in_words as points_in_words
        from .walker_points import statistics_in

        counted = statistics_in(source.parent if source.is_file() else source)
        print(json.dumps(counted, indent=1) if args.json else "\n".join(points_in_words(counted)))
        return 0
    recordings = recordings_in(source)
    if len({each.walker for each in recordings if each.radar == TAUGHT_BY}) < 2:
        raise LaunchError(f"{source} holds fewer than two walkers before the {TAUGHT_BY} GHz radar")
    try:
        table, judged = evaluated(recordings, args.seeds, args.networks)
    except WalkerError as error:
        raise LaunchError(f"{source}: {error}") from error
    if args.plot:
        from .gait_walkers_plot import plot

        plot(judged, table["audit"], args.plot)
    print(json.dumps(table, indent=1) if args.json else "\n".join(in_words(table)))
    return 0


def evaluated(recordings: Sequence[Recording], seeds: Sequence[int], networks: bool) -> tuple[Table, Judged]:
    """All tables, and the linear method's first judgement of 5 s windows."""
    walkers = walkers_of([each for each in recordings if each.radar == TAUGHT_BY])
    other = walkers_of([each for each in recordings if each.radar == OTHER])
    rows: list[Table] = []
    first = None
    for name, methods in methods_of(networks).items():
        for seconds in LENGTHS_S:
            done = [tried_together(methods, walkers, seconds, seed) for seed in seeds]
            rows.append({"method": name, "seconds": seconds, **_over(seeds, done, walkers)})
            first = done[0] if first is None and seconds == LENGTHS_S[-1] else first
    assert first is not None
    table = {
        "walkers": len(walkers.names),
        "rooms": {room: walkers.rooms.count(room) for room in sorted(set(walkers.rooms))},
        "rows": rows,
        "audit": [each._asdict() for each in audits(walkers)],
        "strangers": {f"{seconds:g} s": strangers(walkers, seconds) for seconds in LENGTHS_S},
    }
    if len(set(walkers.names) & set(other.names)) > 1:
        table["other radar"] = {how: crossed(walkers, other, 5.0, how) for how in ADAPTED}
        table["and back"] = {how: crossed(other, walkers, 5.0, how) for how in ADAPTED}
    return table, first


def audits(walkers: Walkers) -> list[Audit]:
    kinds = (by_kind, by_place, by_day, by_length)
    return [*(each for kind in kinds for each in kind(walkers, LENGTHS_S[-1])), early(walkers, LENGTHS_S[-1])]


def methods_of(networks: bool) -> dict[str, list[Method]]:
    if not networks:
        return {LINEAR: [linear]}
    ready_to_train("the RF branch")
    from ...models.gait.walkers_rf import rf_branch

    one, two = linear, rf_branch()
    return {LINEAR: [one], RF: [two], BOTH: [one, two]}


def _over(seeds: Sequence[int], done: Sequence[Judged], walkers: Walkers) -> Table:
    """Each figure's mean over the seeds and its spread; the interval is that of the first seed."""
    each = [figures(judged, walkers.rooms, seed) for judged, seed in zip(done, seeds, strict=True)]
    said: Table = {"windows": each[0]["windows"], "interval": [each[0]["low"], each[0]["high"]]}
    for name in each[0].keys() - {"windows", "low", "high"}:
        values = [one[name] for one in each if one[name] is not None]
        said[name] = {"mean": mean(values), "spread": pstdev(values)} if values else None
    return said


def in_words(table: Table) -> list[str]:
    rooms = ", ".join(f"{count} in {room}" for room, count in table["rooms"].items())
    lines = [
        f"{table['walkers']} walkers before the {TAUGHT_BY} GHz radar ({rooms}); % right, mean over seeds +- spread"
    ]
    return [*lines, *_rows(table), "", *_audit(table), "", *_strangers(table), "", *_crossings(table)]


def _rows(table: Table) -> list[str]:
    lines = [
        f"{'':20}{'s':>4}{'windows':>9}{'top-1':>13}{'95 %':>13}{'ECE':>7}{'20 s':>7}{'ECE':>7}{'room2':>7}{'20 s':>7}"
    ]
    for row in table["rows"]:
        low, high = row["interval"]
        lines.append(
            f"{row['method']:20}{row['seconds']:4g}{row['windows']:9}"
            f"{100 * row['top1']['mean']:8.1f} +-{100 * row['top1']['spread']:3.1f}{100 * low:7.1f}-{100 * high:5.1f}"
            f"{row['calibration_error']['mean']:7.3f}{_per_cent(row, 'vote'):>7}"
            f"{_plain(row, 'vote_calibration_error'):>7}{_per_cent(row, 'room2'):>7}{_per_cent(row, 'room2_vote'):>7}"
        )
    return lines


def _audit(table: Table) -> list[str]:
    lines = [f"what it rests on (linear, 5 s){'':13}{'of all':>8}{'of room2':>10}"]
    for each in table["audit"]:
        apart = "" if each["apart"] is None else f"{100 * each['apart']:.1f}"
        lines.append(f"  {each['what']:41}{100 * each['top1']:8.1f}{apart:>10}")
    return lines


def _strangers(table: Table) -> list[str]:
    keys = ("ratio", "worst", "probability", "ratio_20s")
    return [
        "strangers (each walker left out in turn), area under the curve: ratio / worst walker / probability / 20 s",
        *(
            f"  {length:4}" + " /".join(f"{said[key]:6.3f}" for key in keys)
            for length, said in table["strangers"].items()
        ),
    ]


def _crossings(table: Table) -> list[str]:
    lines = []
    for key, title in (("other radar", "77 to 60 GHz"), ("and back", "60 to 77 GHz")):
        for how, said in table.get(key, {}).items():
            count = len(said["walkers"])
            lines.append(
                f"taught and judged by other radars, {title}, adapted: {how}: {100 * said['top1']:.1f} % "
                f"({100 * said['low']:.1f}-{100 * said['high']:.1f}), over 20 s {100 * said['vote']:.1f} %; "
                f"of {count}, chance {100 / count:.0f}"
            )
    return lines


def _per_cent(row: Table, key: str) -> str:
    return f"{100 * row[key]['mean']:.1f}" if row.get(key) else ""


def _plain(row: Table, key: str) -> str:
    return f"{row[key]['mean']:.3f}" if row.get(key) else ""
