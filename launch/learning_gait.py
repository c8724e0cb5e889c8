"""`whowhere learn gait`: the gait model that ships, from generated walks, by one command and from a fixed seed.

Walks are generated (G1, with other generators' choices mixed in), the radar's and the camera's network are trained
together, their ratios are calibrated on people held out, and three files are written: radar.onnx, camera.onnx and the
card gait.json. With --mission the network of the Mission paper is trained instead, for measuring.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..models.gait.model import CARD, save_model
from .arguments import natural, new_folder, positive
from .errors import LaunchError
from .training import ready_to_train
from .whole_files import write_whole

HELD_OUT = 900  # people to calibrate by: 300 leave what joined walks are worth to chance
NAME = "gait-generated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--generated", action="store_true", help="from generated walks (the only source so far)")
    parser.add_argument(
        "--out",
        type=new_folder,
        metavar="FOLDER",
        required=True,
        help=f"where to write radar.onnx, camera.onnx, {CARD}",
    )
    parser.add_argument("--people", type=positive, help="generated people to train on")
    parser.add_argument("--steps", type=positive, help="of training")
    parser.add_argument("--seed", type=natural, default=0, help="of people, walks and first weights (default 0)")
    parser.add_argument("--version", default="1", help="of the model (default 1)")
    parser.add_argument("--mission", action="store_true", help="train Mission's network: rf.onnx, vis.onnx, pair.onnx")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    if not args.generated:
        raise LaunchError("gait is learnt from generated walks: say so", "whowhere learn gait --generated --out gait/")
    if args.people is not None and args.people < 20:
        raise LaunchError("--people must be 20 or more", "whowhere learn gait --help")
    ready_to_train()
    said = None if args.json else print
    result = mission(args, said) if args.mission else estimators(args, said)
    print(json.dumps(result) if args.json else f"written to {args.out}: {', '.join(result['files'])}")
    return 0


def estimators(args: argparse.Namespace, said: Any) -> dict[str, Any]:
    """Train and write the model that ships."""
    from ..models.gait.estimator_learning import SHIPPED_PEOPLE, learn
    from ..models.gait.estimator_training import Recipe
    from .generated_gaits import G1, TRAINING, generated

    recipe = Recipe(seed=args.seed)
    recipe = replace(recipe, steps=args.steps or recipe.steps)
    people = args.people or SHIPPED_PEOPLE
    if said:
        said(f"generating the walks of {people} people")
    training = generated(people, 2, 1000 + args.seed, TRAINING)
    held = generated(min(HELD_OUT, people), 3, 3000 + args.seed, G1)
    contents, card = learn(training, held, recipe, NAME, args.version, said)
    save_model(contents, card, args.out)
    return {"folder": args.out, "files": [*(f"{kind}.onnx" for kind in contents), CARD], "card": card}


def mission(args: argparse.Namespace, said: Any) -> dict[str, Any]:
    """Train and write Mission's network."""
    from ..models.gait.mission_export import exported
    from ..models.gait.mission_network import Shape
    from ..models.gait.mission_training import Recipe, train
    from .generated_clips import clips

    recipe = Recipe(seed=args.seed)
    recipe = replace(recipe, steps=args.steps or recipe.steps)
    network = train(clips(args.people or 200, 4, 1000 + args.seed), Shape(), recipe, said)
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    contents = exported(network)
    for part, content in contents.items():
        write_whole(folder / f"{part}.onnx", content)
    return {"folder": args.out, "files": [f"{part}.onnx" for part in contents]}
