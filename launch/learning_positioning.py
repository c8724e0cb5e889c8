"""`whowhere learn positioning`: from walks with way points, what locates phones: a radio map, and MTLoc where it helps.

Walks are split whole: some train, some are held out. On those MTLoc, the simple locator (fingerprints, steps, a filter)
and mixtures of both are compared, and the best is written; MTLoc is not written where it does not help, and the
sentence says by how much it lost. What MTLoc begins with may be another site's network (--from), and a network that
other sites can begin with is written on demand (--keep), deployed here or not.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..models.positioning.assessment import Scored
from ..models.positioning.learning import LEAST_JUDGED_S, Choice, choose, learnt_map, measured_map
from ..models.positioning.mtloc_model import MtlocModel, card_path, content_of, file_and_card, model_of, save_model
from ..models.positioning.walks import Walk, WalkError, split
from ..models.radiomap.maps import FingerprintMap, load_map, save_map
from .arguments import natural, new_file, new_folder
from .errors import LaunchError
from .recorded_walks import walks_in
from .training import ready_to_train

if TYPE_CHECKING:
    from ..models.positioning.mtloc_carry import Carried
    from ..models.positioning.mtloc_network import MotionOnly

MAP_FILE, MODEL_FILE = "positioning.map", "positioning.onnx"
STOPPED_BY = 0.12  # share of the walks to train on that the training is stopped by
LEAST_WALKS = 3
LEAST_SKILL = 0.5  # of the function from places to columns; a network kept for others has 0.99, another 0.05


class Begun(NamedTuple):
    """What MTLoc begins with: another site's whole network, or its motion branch, or neither; and which, in words."""

    carried: "Carried | None" = None
    motion: "MotionOnly | None" = None
    words: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("walks", metavar="WALKS", nargs="+", help="recorded walks: files, folders, archives")
    parser.add_argument("--map", metavar="MAP", help="locate on this radio map (default: one made of the walks)")
    parser.add_argument(
        "--out", type=new_folder, metavar="FOLDER", required=True, help=f"where to write {MAP_FILE} and {MODEL_FILE}"
    )
    parser.add_argument(
        "--from",
        metavar="MODEL",
        dest="source",
        help="begin with the network of this model (.onnx): the whole of one written by --keep, else its motion branch",
    )
    parser.add_argument("--motion-only", action="store_true", help="take over the motion branch alone, as in the paper")
    parser.add_argument("--freeze", action="store_true", help="leave the motion branch that was taken over as it is")
    parser.add_argument(
        "--keep",
        type=new_file,
        metavar="MODEL",
        help="write a network here too (.onnx) that another site can begin with",
    )
    parser.add_argument("--epochs", type=int, default=30, help="passes over the training windows (default 30)")
    parser.add_argument("--held-out", type=float, default=0.25, help="share of the walks to judge by (default 0.25)")
    parser.add_argument("--seed", type=natural, default=0, help="of the split and the first weights (default 0)")
    parser.add_argument("--name", default="site", help='of map and model (default "site")')
    parser.add_argument("--version", default="1", help="of map and model (default 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    if not 0 < args.held_out < 1 or args.epochs < 1:
        raise LaunchError(
            "--held-out must lie between 0 and 1, --epochs be 1 or more", "whowhere learn positioning --help"
        )
    _require_apart(args)
    begun = _begun(args)
    walks = walks_in(args.walks)
    _require_enough(args, walks)
    try:
        training, held = split(walks, args.held_out, args.seed)
        radio_map = _map(args, training)
        content, model, alone = _mtloc(args, training, held, radio_map, begun)
        choice = choose(radio_map, model, alone, held)
        if args.keep:
            _keep(args, walks, radio_map)
    except WalkError as error:
        raise LaunchError(str(error)) from error
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    final = radio_map if args.map else learnt_map(walks, args.name, args.version, args.seed)
    final = final.changed(card={**final.card, "judged": choice.figures, "held_out": [walk.name for walk in held]})
    save_map(final, folder / MAP_FILE)
    if choice.share:
        save_model(content, {**model.card, **_deployed(choice)}, folder / MODEL_FILE)
    else:
        for older in (folder / MODEL_FILE, card_path(folder / MODEL_FILE)):  # it would not be what was judged
            older.unlink(missing_ok=True)
    said = {
        "deployed": choice.kind,
        "mtloc_share": choice.share,
        "held_out_walks": len(held),
        "figures": choice.figures,
    }
    if args.source:
        said["carried"] = "motion" if begun.carried is None else "whole"
    lines = [*([begun.words] if begun.words else []), *_in_words(choice, len(held), folder)]
    if args.keep:
        said["kept"] = args.keep
        lines.append(f"kept for other sites: {args.keep}")
    print(json.dumps({**said, "folder": str(folder)}) if args.json else "\n".join(lines))
    return 0


def _map(args: argparse.Namespace, training: Sequence[Walk]) -> FingerprintMap:
    if args.map:
        return measured_map(load_map(args.map), training)
    return learnt_map(training, args.name, args.version, args.seed)


def _require_apart(args: argparse.Namespace) -> None:
    """Raises LaunchError for options that have no effect, and for files that would be written over."""
    if args.source == "":
        raise LaunchError("--from is empty: name the model (.onnx) to begin with, or leave it away")
    if args.source is None and (args.freeze or args.motion_only):
        raise LaunchError("--freeze and --motion-only say what is taken over from another model: name one with --from")
    if args.keep and not args.keep.endswith(".onnx"):
        raise LaunchError(f"--keep {args.keep} must end in .onnx: its card is written beside it, in .json")
    deployed = (Path(args.out) / MODEL_FILE).resolve()
    for option, path in (("--keep", args.keep), ("--from", args.source)):
        if path and Path(path).resolve() == deployed:
            raise LaunchError(f"{option} {path} is where the model to deploy goes: name another file, or --out")


def _require_enough(args: argparse.Namespace, walks: Sequence[Walk]) -> None:
    from ..models.positioning.mtloc_carry import LEAST_HEARD
    from ..models.positioning.mtloc_learning import most_heard

    if len(walks) < LEAST_WALKS:
        raise LaunchError(
            f"{len(walks)} of the walks given have two way points, {LEAST_WALKS} must: one to train on, one to tell "
            "how sure MTLoc may be, one held out to judge by"
        )
    if args.keep and (heard := len(most_heard(walks))) < LEAST_HEARD:
        raise LaunchError(
            f"--keep: these walks hear {heard} access points, and no other site can begin with a network of fewer than "
            f"{LEAST_HEARD}"
        )


def _begun(args: argparse.Namespace) -> Begun:
    """What --from takes over. Raises LaunchError for a file that is no model, and for one whose card is another's."""
    ready_to_train()
    if args.source is None:
        return Begun()
    from ..models.positioning import mtloc_carry, mtloc_learning

    try:
        if not card_path(args.source).exists():
            content, carried, why = content_of(Path(args.source)), None, "no card lies beside it"
        else:
            content, card = file_and_card(args.source)
            carried = None if args.motion_only else mtloc_carry.carried_from(content, card)
            why = "its card does not say where its access points are heard (--keep writes one that does)"
        motion = mtloc_learning.motion_from(content)
    except ValueError as error:  # a ModelError is one
        raise LaunchError(f"{args.source} cannot be learnt from: {error}") from error
    if carried is not None and carried.columns.skill < LEAST_SKILL:
        carried, why = None, "its columns do not follow from where its access points are heard"
    if carried is None:
        why = "as asked" if args.motion_only else f"since {why}"
        return Begun(None, motion, f"carried from {args.source}: its motion branch alone, {why}")
    return Begun(carried, motion if args.freeze else None, f"carried from {args.source}: the whole network")


def _mtloc(
    args: argparse.Namespace, training: Sequence[Walk], held: Sequence[Walk], radio_map: FingerprintMap, begun: Begun
) -> tuple[bytes, MtlocModel, Scored]:
    """The trained network's file, the model in it, and its own errors on the walks held out."""
    from ..models.positioning import mtloc_learning

    fitted, tuning = split(training, STOPPED_BY, args.seed)
    recipe = mtloc_learning.SHIPPED
    if begun.carried is not None:
        recipe = replace(mtloc_learning.TUNED, hearing=begun.carried.hearing)
    frozen = args.freeze and begun.motion is not None
    content, card = mtloc_learning.learn(
        fitted,
        tuning,
        f"mtloc-{args.name}",
        args.version,
        radio_map.label,
        replace(recipe, seed=args.seed, epochs=args.epochs, frozen=frozen),
        begun.motion,
        begin=None if begun.carried is None else begun.carried.begun,
    )
    model = model_of(content, card)
    return content, model, mtloc_learning.assessed(model, held, fresh_only=True)


def _keep(args: argparse.Namespace, walks: Sequence[Walk], radio_map: FingerprintMap) -> None:
    """Write the network for other sites: of all walks, as nothing here is judged by it."""
    from ..models.positioning import mtloc_learning

    fitted, tuning = split(walks, STOPPED_BY, args.seed)
    recipe = replace(mtloc_learning.SHIPPED, seed=args.seed, epochs=args.epochs)
    content, card = mtloc_learning.learn_to_keep(
        fitted, tuning, f"mtloc-{args.name}", args.version, radio_map.label, recipe
    )
    save_model(content, card, args.keep)


def _deployed(choice: Choice) -> dict[str, Any]:
    return {"walking": {"mtloc_share": choice.share}, "judged": choice.figures}


def _in_words(choice: Choice, walks: int, folder: Path) -> list[str]:
    seconds = choice.figures["simple"]["seconds"]
    lines = [f"on {walks} walks held out, {seconds} s with a fresh scan (error in m: mean / median):"]
    lines += [f"  {name:14}{said['mean_m']:7.2f} /{said['median_m']:6.2f}" for name, said in choice.figures.items()]
    simple, alone = choice.figures["simple"]["mean_m"], choice.figures["mtloc alone"]["mean_m"]
    if choice.share:
        best = choice.figures[f"mixture {choice.share:g}"]["mean_m"]
        lines.append(
            f"deployed: {choice.kind} (MTLoc's share {choice.share:g}), {simple - best:.2f} m better than without"
        )
    elif seconds < LEAST_JUDGED_S:
        lines.append(f"deployed: simple; fewer than {LEAST_JUDGED_S} s say nothing of what would be better")
    else:
        lines.append(f"deployed: simple; MTLoc alone is {alone - simple:.2f} m worse, and no mixture is 2 % better")
    return [*lines, f"written to {folder}"]
