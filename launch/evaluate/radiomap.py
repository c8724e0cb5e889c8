"""`whowhere evaluate radiomap`: a month-1 map against the months after it, with and without forced churn.

Each month's training scans are one batch without places; its true places only score. Both floors are one map in x and
y, as in the figures this is held against, so that an error is one in the plane. Every map is judged with the same good
locator, the stale one with the naive locator too.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from ...models.radiomap.baselines import appended, beside, resurveyed, statistical
from ...models.radiomap.knn import Locator
from ...models.radiomap.maps import FingerprintMap
from ...models.radiomap.rehearsal import Rehearsal, tried
from ...models.radiomap.scans import Scans
from ..arguments import natural, new_file
from ..errors import LaunchError
from ..training import ready_to_train
from ..whole_files import write_whole
from .library import DEFAULT, NAMES, Library, Month

GONE_OF_THE_REST = 0.3
ABSENT, PRESENT = 0.002, 0.01  # share of a month's scans that hear an access point
MISSING_DBM = -110.0  # what "not heard" is in the error of levels
HEARD_FROM = 0.5  # share of a reference point's scans
QUANTILES = np.linspace(0, 1, 41)
Score = dict[str, float]
Row = dict[str, object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="PATH", default=str(DEFAULT), help="the library data")
    parser.add_argument("--seeds", type=natural, nargs="+", default=[1, 2, 3], help="of churn and draws")
    parser.add_argument("--months", type=int, nargs="+", default=list(range(2, 12)), help="months to score")
    parser.add_argument("--churn", type=float, nargs="+", default=[0.0, 0.5, 0.9], help="forced churn")
    parser.add_argument("--every", type=int, default=1, help="take every N-th test scan")
    parser.add_argument(
        "--plot", type=new_file, metavar="FILE", help="write the error curves, averaged over updates, as SVG"
    )
    parser.add_argument("--gufu", action="store_true", help="the GUFU reconstruction too (needs torch; slow)")


def run(args: argparse.Namespace) -> int:
    if not all(0 <= churn < 1 for churn in args.churn) or args.every < 1:
        raise LaunchError("--churn must be from 0 to below 1 and --every at least 1")
    if args.gufu:
        ready_to_train("GUFU")
    library = Library(Path(args.data))
    first = library.month(1, "trn")
    rows: list[Row] = []
    for churn in args.churn:
        for seed in args.seeds:
            for number in args.months:
                train, test = library.month(number, "trn"), library.month(number, "tst")
                row = scored(first, train, test, churn, seed, args.every, args.gufu)
                rows.append({"churn": churn, "seed": seed, "month": number, **row})
                print(json.dumps(rows[-1]) if args.json else _line(rows[-1]), flush=True)
    if args.plot:
        from .radiomap_plot import error_curves

        write_whole(args.plot, error_curves(rows, METHODS, QUANTILES))
    if not args.json:
        print("\n".join(summary(rows)))
    return 0


def scored(first: Month, train: Month, test: Month, churn: float, seed: int, every: int, with_gufu: bool) -> Row:
    """One month under one churn: mean error in m of every method, and what was said about access points."""
    rng = np.random.default_rng([seed, round(churn * 100)])
    known = np.flatnonzero((~np.isnan(first.rssi_dbm)).any(axis=0))
    kept = known[rng.random(len(known)) >= churn]
    dead = rng.permutation(kept)[: round(GONE_OF_THE_REST * len(kept))] if churn else kept[:0]
    old = FingerprintMap("library", "1", tuple(NAMES[j] for j in kept), first.place[:, :2], first.rssi_dbm[:, kept])
    batch, asked = _without(train.rssi_dbm, dead), _without(test.rssi_dbm[seed % every :: every], dead)
    scans, where = Scans(NAMES, batch, train.t_s), test.place[seed % every :: every, :2]
    started = perf_counter()
    shipped = tried(old, scans, version="2", seed=seed)
    seconds = perf_counter() - started
    maps: dict[str, Callable[[], FingerprintMap]] = {
        "stale": lambda: old,
        "append": lambda: appended(old, scans),
        "statistical": lambda: statistical(old, scans),
        "shipped": lambda: shipped.map,
        "resurvey": lambda: resurveyed(old, scans, train.place[:, :2]),
        "true_labels": lambda: beside(old, scans, train.place[:, :2]),
    }
    if with_gufu:
        maps["gufu"] = lambda: _gufu(old, scans, first.place[:, 2], train.place[:, 2], seed)
    found = {"naive": errors_m(old, asked, where, "euclidean")}
    found |= {name: errors_m(make(), asked, where) for name, make in maps.items()}
    errors: Row = {name: round(float(error.mean()), 3) for name, error in found.items()}
    errors["quantiles"] = {name: np.quantile(error, QUANTILES).round(3).tolist() for name, error in found.items()}
    said = named(shipped, old, batch, first.rssi_dbm[:, kept])
    levels = _levels(old, shipped.map, first, train, dead)
    return {
        "deployed": shipped.deployed,
        "reason": shipped.reason,
        "seconds": round(seconds, 1),
        **errors,
        **said,
        **levels,
    }


def errors_m(radio_map: FingerprintMap, asked: np.ndarray, where: np.ndarray, kind: str = "sorensen") -> np.ndarray:
    """Errors (k,) of test scans (k,620); one that hears nothing known counts as put in the middle of the map."""
    column = {name: j for j, name in enumerate(NAMES)}
    fixes = Locator(radio_map, kind).locate_many(asked[:, [column[b] for b in radio_map.bssids]])
    middle = radio_map.position_m.mean(axis=0)
    said = np.where(fixes.shared[:, None] > 0, fixes.position_m, middle)
    return np.hypot(*(said - where).T)


def _gufu(old: FingerprintMap, scans: Scans, floor: np.ndarray, batch_floor: np.ndarray, seed: int) -> FingerprintMap:
    """GUFU trains one model per floor; it is told the floor of each scan, which the shipped updater is not."""
    from ...models.radiomap.gufu_update import gufu_updated

    column = {name: j for j, name in enumerate(NAMES)}
    table = np.full((len(floor), len(NAMES)), np.nan, np.float32)
    for number in np.unique(batch_floor):
        rows = np.flatnonzero(floor == number)
        part = old.changed(position_m=old.position_m[rows], rssi_dbm=old.rssi_dbm[rows])
        new = gufu_updated(part, scans.rows(np.flatnonzero(batch_floor == number)), seed=seed, references=300).map
        table[rows[:, None], np.array([column[b] for b in new.bssids])] = new.rssi_dbm
    heard = np.flatnonzero((~np.isnan(table)).any(axis=0))
    return old.changed(bssids=tuple(NAMES[j] for j in heard), rssi_dbm=table[:, heard], version="1-gufu")


def named(shipped: Rehearsal, old: FingerprintMap, batch: np.ndarray, survey: np.ndarray) -> Score:
    """How right the update was about access points, against the month's own survey: gone is heard in less than 0.2 %
    of its scans; only those in 1 % of the old survey's (gone) or of its scans (new) must be found."""
    if shipped.update is None:
        return {}
    share = dict(zip(NAMES, (~np.isnan(batch)).mean(axis=0), strict=True))
    before = dict(zip(old.bssids, (~np.isnan(survey)).mean(axis=0), strict=True))
    gone = {b for b in old.bssids if share[b] < ABSENT}
    must, new = {b for b in gone if before[b] >= PRESENT}, {b for b in NAMES if b not in before and share[b] >= PRESENT}
    removed, added = set(shipped.update.changes.removed), set(shipped.update.changes.added)
    return {
        "removed": len(removed), "removed_right": len(removed & gone),
        "gone": len(must), "gone_found": len(must & removed),
        "added": len(added), "added_right": len({b for b in added if share[b] >= ABSENT}),
        "new": len(new), "new_found": len(new & added),
    }  # fmt: skip


def _levels(old: FingerprintMap, new: FingerprintMap, first: Month, train: Month, dead: np.ndarray) -> Score:
    """Mean error of levels over (reference point, access point): of the stale map, of what the updated one expects
    (shipped), of its fingerprints, and of a survey of every second scan held against the other half (the floor)."""
    truth, count = _without(train.rssi_dbm, dead), len(first.place)
    if new is old or new.levels is None:
        return {}
    points = np.unique(train.place, axis=0)
    measured = _at_points(truth, train.place, points)
    out: Score = {}
    compared = {"stale": (_said(old, first, points), measured), "shipped": (_said(new.levels, first, points), measured)}
    if new.card.get("surveyed_rows") == count:
        compared["fingerprints"] = (_said(new, first, points), measured)
    compared["floor"] = (
        _at_points(truth[::2], train.place[::2], points),
        _at_points(truth[1::2], train.place[1::2], points),
    )
    for name, (said, measured) in compared.items():
        either, both = ~np.isnan(said) | ~np.isnan(measured), ~np.isnan(said) & ~np.isnan(measured)
        gap = np.abs(np.nan_to_num(said, nan=MISSING_DBM) - np.nan_to_num(measured, nan=MISSING_DBM))
        for over, entries in (("either", either), ("both", both)):
            if entries.any():  # a stale map of which nothing is left has none that both hear
                out[f"{name}_{over}_db"] = round(float(gap[entries].mean()), 3)
    return out


def _said(radio_map: FingerprintMap, first: Month, points: np.ndarray) -> np.ndarray:
    """What a map of the first month's fingerprints says of the reference points (q,3)."""
    column = {name: j for j, name in enumerate(NAMES)}
    table = np.full((len(first.place), len(NAMES)), np.nan, np.float32)
    table[:, [column[b] for b in radio_map.bssids]] = radio_map.rssi_dbm[: len(first.place)]
    return _at_points(table, first.place, points)


def _at_points(rssi_dbm: np.ndarray, place: np.ndarray, points: np.ndarray) -> np.ndarray:
    """What each reference point (q,3) hears: mean dBm where at least half of its scans hear it, else NaN."""
    out = np.full((len(points), rssi_dbm.shape[1]), np.nan)
    for row, point in enumerate(points):
        here = rssi_dbm[(np.abs(place - point) < 0.01).all(axis=1)]
        heard = (~np.isnan(here)).sum(axis=0)
        mean = np.nan_to_num(here).sum(axis=0) / np.maximum(heard, 1)
        out[row] = np.where(heard >= max(1, HEARD_FROM * len(here)), mean, np.nan)
    return out


def _without(rssi_dbm: np.ndarray, dead: np.ndarray) -> np.ndarray:
    out = rssi_dbm.copy()
    out[:, dead] = np.nan
    return out


METHODS = ("naive", "stale", "append", "statistical", "gufu", "shipped", "resurvey", "true_labels")
RATIOS = (  # (right, of, what)
    ("removed_right", "removed", "gone, precision"),
    ("gone_found", "gone", "gone, recall"),
    ("added_right", "added", "new, precision"),
    ("new_found", "new", "new, recall"),
)
LEVELS = ("stale", "shipped", "fingerprints", "floor")
MEANS = (*(f"{name}_{over}_db" for over in ("either", "both") for name in LEVELS), "seconds")


def summary(rows: list[Row]) -> list[str]:
    """Tables in words: per churn and method the mean over months and seeds, its spread and the worst month."""
    lines = []
    for churn in dict.fromkeys(row["churn"] for row in rows):
        some = [row for row in rows if row["churn"] == churn]
        lines.append(f"churn {churn}: {len(some)} updates, {sum(bool(row['deployed']) for row in some)} deployed")
        stale = _by(some, "stale", "seed").mean()
        for method in (m for m in METHODS if m in some[0]):
            seeds, months = _by(some, method, "seed"), _by(some, method, "month")
            spread = f"{seeds.mean():6.3f} m  +- {seeds.std():.3f}  worst month {months.max():.3f}"
            lines.append(f"  {method:12} {spread}  {100 * (1 - seeds.mean() / stale):+5.1f} %")
        for key in (key for key in MEANS if any(key in row for row in some)):
            lines.append(f"  {key:22} {np.mean([float(str(row[key])) for row in some if key in row]):.2f}")
        for right, of, text in RATIOS:
            all_, found = (sum(int(str(row.get(key, 0))) for row in some) for key in (of, right))
            lines.append(f"  {text:18} {found / max(all_, 1):.3f}  of {all_}")
    return lines


def _by(rows: list[Row], method: str, key: str) -> np.ndarray:
    groups = dict.fromkeys(row[key] for row in rows)
    return np.array([np.mean([float(str(row[method])) for row in rows if row[key] == group]) for group in groups])


def _line(row: Row) -> str:
    errors = "  ".join(f"{method} {row[method]}" for method in METHODS if method in row)
    return f"churn {row['churn']} seed {row['seed']} month {row['month']:>2}: {errors}  {row['reason']}"
