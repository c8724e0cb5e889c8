"""`whowhere learn positioning`: from walks with way points, what locates phones: a radio map, and MTLoc where it helps.

Walks are split whole: some train, some are held out. On those MTLoc, the simple locator (fingerprints, steps, a filter)
and mixtures of both are compared, and the best is written; MTLoc is not written where it does not help, and the
sentence says by how much it lost.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..models.positioning.assessment import Scored
from ..models.positioning.learning import Choice, choose, learnt_map, measured_map
from ..models.positioning.mtloc_model import ModelError, MtlocModel, model_of, save_model
from ..models.positioning.walks import Walk, WalkError, split
from ..models.radiomap.maps import FingerprintMap, load_map, save_map
from .arguments import natural, new_folder
from .errors import LaunchError
from .recorded_walks import walks_in
from .training import ready_to_train

MAP_FILE, MODEL_FILE = "positioning.map", "positioning.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("walks", metavar="WALKS", nargs="+", help="recorded walks: files, folders, archives")
    parser.add_argument("--map", metavar="MAP", help="locate on this radio map (default: one made of the walks)")
    parser.add_argument(
        "--out", type=new_folder, metavar="FOLDER", required=True, help=f"where to write {MAP_FILE} and {MODEL_FILE}"
    )
    parser.add_argument(
        "--from", metavar="MODEL", dest="source", help="take over the motion branch of this model (.onnx)"
    )
    parser.add_argument("--freeze", action="store_true", help="leave that branch as it is")
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
    walks = walks_in(args.walks)
    try:
        training, held = split(walks, args.held_out, args.seed)
        radio_map = _map(args, training)
        content, model, alone = _mtloc(args, training, held, radio_map)
        choice = choose(radio_map, model, alone, held)
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
        (folder / MODEL_FILE).unlink(missing_ok=True)  # an older one would not be what was judged
    said = {
        "deployed": choice.kind,
        "mtloc_share": choice.share,
        "held_out_walks": len(held),
        "figures": choice.figures,
    }
    print(json.dumps({**said, "folder": str(folder)}) if args.json else "\n".join(_in_words(choice, len(held), folder)))
    return 0


def _map(args: argparse.Namespace, training: Sequence[Walk]) -> FingerprintMap:
    if args.map:
        return measured_map(load_map(args.map), training)
    return learnt_map(training, args.name, args.version, args.seed)


def _mtloc(
    args: argparse.Namespace, training: Sequence[Walk], held: Sequence[Walk], radio_map: FingerprintMap
) -> tuple[bytes, MtlocModel, Scored]:
    """The trained network's file, the model in it, and its own errors on the walks held out."""
    ready_to_train()
    from ..models.positioning import mtloc_learning

    fitted, tuning = split(training, 0.12, args.seed)
    motion = None
    if args.source:
        try:
            motion = mtloc_learning.motion_from(Path(args.source).read_bytes())
        except (ValueError, OSError, ModelError) as error:
            raise LaunchError(f"{args.source} cannot be learnt from: {error}") from error
    recipe = replace(mtloc_learning.SHIPPED, seed=args.seed, epochs=args.epochs, frozen=args.freeze and bool(motion))
    content, card = mtloc_learning.learn(
        fitted, tuning, f"mtloc-{args.name}", args.version, radio_map.label, recipe, motion
    )
    model = model_of(content, card)
    return content, model, mtloc_learning.assessed(model, held, fresh_only=True)


def _deployed(choice: Choice) -> dict[str, Any]:
    return {"walking": {"mtloc_share": choice.share}, "judged": choice.figures}


def _in_words(choice: Choice, walks: int, folder: Path) -> list[str]:
    lines = [f"on {walks} walks held out (error in m: mean / median):"]
    lines += [f"  {name:14}{said['mean_m']:7.2f} /{said['median_m']:6.2f}" for name, said in choice.figures.items()]
    simple, alone = choice.figures["simple"]["mean_m"], choice.figures["mtloc alone"]["mean_m"]
    if choice.share:
        best = choice.figures[f"mixture {choice.share:g}"]["mean_m"]
        lines.append(
            f"deployed: {choice.kind} (MTLoc's share {choice.share:g}), {simple - best:.2f} m better than without"
        )
    else:
        lines.append(f"deployed: simple; MTLoc alone is {alone - simple:.2f} m worse, and no mixture is 2 % better")
    return [*lines, f"written to {folder}"]
