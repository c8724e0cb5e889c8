"""Run a benchmark of the source checkout: ours beside a peer, measured in one run. Without a name: list them.

Each row is a case with our figure, the peer's, the peer's name, the unit and the ratio; a ratio above 1 means that
ours is better. The benchmarks live in tests/bench and are not part of an installed wheel.
"""

import argparse
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..arguments import new_file, new_folder
from ..errors import LaunchError

EXAMPLE = """
whowhere bench                # which there are
whowhere bench radar
whowhere bench bus --json
whowhere bench evloc --runs 400 --report evloc.md --plots evloc
"""
FOLDER = Path(__file__).parents[2] / "tests" / "bench"
OPTIONS = ("runs", "seed", "jobs", "plots", "report")  # for the benches whose run() takes them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(available()) or "none here: only a source checkout has them"
    parser.add_argument("name", metavar="NAME", nargs="?", help=f"one of: {names}")
    parser.add_argument("--json", action="store_true", help='print {"bench": NAME, "rows": [...]}')
    parser.add_argument("--runs", metavar="N", type=int, help="evloc: simulated runs a point")
    parser.add_argument("--seed", metavar="N", type=int, help="evloc: of the first run")
    parser.add_argument("--jobs", metavar="N", type=int, help="evloc: processes that share the work")
    parser.add_argument(
        "--plots", type=new_folder, metavar="FOLDER", help="evloc, fusion: write the plots there (needs matplotlib)"
    )
    parser.add_argument(
        "--report", type=new_file, metavar="FILE", help="evloc: write the tables into this Markdown file"
    )


def available() -> list[str]:
    return sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))


def run(args: argparse.Namespace) -> int:
    if args.name is None:
        print(json.dumps({"benches": available()}) if args.json else "\n".join(available()))
        return 0
    rows = _run_with(load(args.name).run, args)
    if args.json:
        print(json.dumps({"bench": args.name, "rows": rows}))
    else:
        _print_table(args.name, rows)
    return 0


def load(name: str) -> Any:
    """The module tests/bench/bench_NAME.py. Raises LaunchError where there is none."""
    path = FOLDER / f"bench_{name}.py"
    if not FOLDER.is_dir():
        raise LaunchError(
            f"benchmarks need the source checkout ({FOLDER} is not there)", "git clone the repository, then make test"
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        near = get_close_matches(name, available(), n=1, cutoff=0.3)
        hint = f"whowhere bench {near[0]}" if near else "whowhere bench --help"
        raise LaunchError(f'no benchmark "{name}": there are {", ".join(available()) or "none yet"}', hint)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # spawned children of a benchmark find their functions by this name
    sys.path.insert(0, str(FOLDER))
    spec.loader.exec_module(module)
    return module


def _run_with(bench: Callable[..., list[dict[str, Any]]], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Its rows, with the options that were given. Raises LaunchError for one that this bench does not have."""
    given = {name: getattr(args, name) for name in OPTIONS if getattr(args, name, None) is not None}
    unknown = [name for name in given if name not in inspect.signature(bench).parameters]
    if unknown:
        raise LaunchError(f"bench {args.name} has no --{unknown[0]}", f"whowhere bench {args.name}")
    for name, least in (("runs", 1), ("seed", 0), ("jobs", 1)):
        if given.get(name, least) < least:
            raise LaunchError(f"--{name} {given[name]} is too small", f"whowhere bench {args.name} --{name} 100")
    return bench(**given)


def _print_table(name: str, rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("case", "ours", "peer", "peer name", "unit", "ratio", title=f"bench {name}")
    for row in rows:
        table.add_row(
            str(row["case"]),
            _number(row.get("ours")),
            _number(row.get("peer")),
            str(row.get("peer_name") or ""),
            str(row.get("unit") or ""),
            _number(row.get("ratio")),
        )
    Console().print(table)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float | int) else str(value)
