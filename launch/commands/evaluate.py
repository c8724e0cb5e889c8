"""Score a session against its ground truth, or a method on public recordings.

`session` takes a recording of a simulated site (its truth is recorded too) and says how often the right name was on the
right body, how far off the positions were, and how well probabilities were calibrated. The first 15 s are not scored.
With --again the recorded sensor messages are fused anew by this version, so that two versions can be compared.
`radiomap` scores updates of a radio map on the library data.
"""

import argparse
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...messages import INPUT_KINDS, OUTPUT_KINDS, BadMessage, Message, decode
from ...nodes.session import Session
from ..errors import LaunchError
from ..evaluate.recognised import recognised_in
from ..evaluate.reliability import pooled
from ..evaluate.session import evaluate, in_words, recorded

if TYPE_CHECKING:
    from ...fusion.engine import Engine

EXAMPLE = """
whowhere evaluate session demo.mcap
whowhere evaluate session demo.mcap --again --json
whowhere evaluate session monday.mcap tuesday.mcap
whowhere evaluate gait --seeds 11 12 13
whowhere evaluate gait-walkers --seeds 1 2 3
whowhere evaluate radiomap --data ../shared/data/positioning/library_months_01_11.tar.xz
"""


EXPERIMENTS = {  # modules of launch/evaluate/ with add_arguments and run, - for _
    "appearance": "people recognised by looks, with and without phones, on real crops or generated days",
    "gait": "who is recognised by gait, on generated walks",
    "gait-walkers": "people recognised by radar, on recorded walkers",
    "positioning": "where phones are, on recorded walks",
    "radiomap": "updates of a radio map, on the library data",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    session = what.add_parser("session", help="a recording against the ground truth in it")
    session.add_argument(
        "files", metavar="FILE", nargs="+", help="session files (.mcap); of several, their calibration as one too"
    )
    session.add_argument(
        "--again", action="store_true", help="fuse the sensor messages anew instead of scoring what was said"
    )
    session.add_argument("--json", action="store_true", help="print one JSON object")
    for name, text in EXPERIMENTS.items():
        experiment = what.add_parser(name, help=text)
        experiment.add_argument("--json", action="store_true", help="print JSON")
        _experiment(name).add_arguments(experiment)


def run(args: argparse.Namespace) -> int:
    if args.what in EXPERIMENTS:
        return _experiment(args.what).run(args)
    results = []
    for file in args.files:
        results.append(_scored(file, args.again))
        if not args.json:
            print("\n".join([*([f"{file}:"] if len(args.files) > 1 else []), *in_words(results[-1])]))
    together = {key: pooled(result[key] for result in results) for key in ("calibration", "calibration_all")}
    if args.json:
        print(json.dumps({"sessions": results, **together} if len(results) > 1 else results[0]))
    elif len(results) > 1:
        every = [together[key]["expected_error"] for key in ("calibration", "calibration_all")]
        print("all sessions as one: calibration error {:.3f} of top names, {:.3f} of every probability".format(*every))
    return 0


def _scored(file: str, again: bool) -> dict[str, Any]:
    session = Session(Path(file))
    engine = _engine_of(session) if again else None
    result = evaluate(_fused_anew(session, engine) if engine else recorded(session))
    if engine:
        result["recognised"] = recognised_in(engine.counters)  # not what was recorded of the fusion before
    if result["named_right"] is None:
        raise LaunchError(
            f"{file} cannot be scored: it holds no ground truth, or less than 15 s of it",
            "whowhere simulate scored.mcap --seconds 60",
        )
    return {"session": file, "ended": session.ended, **result}


def _experiment(name: str) -> Any:
    return import_module(f"...evaluate.{name.replace('-', '_')}", __name__)


def _engine_of(session: Session) -> "Engine":
    from ...fusion.engine import Engine
    from ...nodes.models import models_of

    site = session.site()
    return Engine(site, models_of(site, session.models()))


def _fused_anew(session: Session, engine: "Engine") -> Iterator[tuple[Message, int | None]]:
    """What this version's engine makes of the recorded inputs; the recorded outputs are left out."""
    for record in session.records():
        kind = record.topic.partition("/")[0]
        if kind in OUTPUT_KINDS:
            continue
        try:
            message = decode(record.body)
        except BadMessage:
            session.counters["malformed"] += 1
            continue
        yield message, record.stamp.t_sent_ns
        if kind in INPUT_KINDS:
            yield from ((output, None) for output in engine.step(message))
