"""`whowhere learn appearance`: how people look at this site, from kept crops, bodies and phones, without labels.

What is learnt is compared with the model in force on the last part of the time, by how well each agrees with radios
alone; it is written only where it is better, and the sentence says by how much. --generated learns from a made-up day;
--generic trains the network that a site's learning starts from, on drawn people.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..fusion.geometry import floor_map
from ..messages import Location, Message, PhonePosition, Scene
from ..models.appearance.crops import CropsError, crops_in
from ..models.appearance.model import SHIPPED, AppearanceModel, ModelError, load_model, save_model
from ..models.appearance.tracklets import Trajectory
from ..nodes.session import Session
from ..sitefile import Camera, Site
from .arguments import natural, new_folder
from .errors import LaunchError
from .training import ready_to_train

if TYPE_CHECKING:
    from ..models.appearance.gathering import Bodies, FloorOf
    from ..models.appearance.learning import Learnt, Material

MODEL = "appearance"  # .json and .onnx
WEIGHTS = SHIPPED / "looks.npz"
LEAST_SD_M, LEAST_SAMPLES = 1.0, 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sessions", metavar="SESSION", nargs="*", help="session files (.mcap) of the same site")
    parser.add_argument("--crops", metavar="FOLDER", help="where the cameras kept crops (*.crops.npz)")
    parser.add_argument(
        "--out", type=new_folder, metavar="FOLDER", required=True, help=f"where to write {MODEL}.json and {MODEL}.onnx"
    )
    parser.add_argument(
        "--in-force", metavar="MODEL", help="the card of the model to be better than (default: shipped)"
    )
    parser.add_argument("--generated", action="store_true", help="learn from a made-up day instead")
    parser.add_argument("--generic", action="store_true", help="train the network to start from, on drawn people")
    parser.add_argument("--seed", type=natural, default=0, help="of the training, and of the made-up day (default 0)")
    parser.add_argument("--backbone", choices=("edge", "resnet50"), default="edge", help="the network (default edge)")
    parser.add_argument("--weights", metavar="FILE", help="a torch state dict of one's own for it to start from")
    parser.add_argument("--name", default="site", help='of the model (default "site")')
    parser.add_argument("--version", default="1", help="of the model (default 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    if not (args.generated or args.generic) and not (args.sessions and args.crops):
        raise LaunchError(
            "learning needs sessions and the crops that their cameras kept: SESSION... --crops FOLDER",
            "whowhere learn appearance --generated --out models/",
        )
    ready_to_train()
    from ..models.appearance.learning import LearningError

    try:
        if args.generic:
            return _generic(args)
        in_force = _in_force(args.in_force)
        learnt = _learnt(args, in_force)
    except (LearningError, CropsError, ModelError) as error:
        raise LaunchError(str(error)) from error
    folder = Path(args.out)
    if learnt.written:
        save_model(learnt.content, learnt.card, folder / MODEL)
    said = {"written": learnt.written, "reason": learnt.reason, **learnt.figures}
    where = f"written to {folder / MODEL}.json" if learnt.written else "nothing is written"
    print(json.dumps(said) if args.json else f"{learnt.reason}\n{where}")
    return 0


def _in_force(card: str | None) -> AppearanceModel:
    """The model to be better than. Raises LaunchError where nothing is there, ModelError where it is no model."""
    if card and (Path(card).is_dir() or not Path(card).with_suffix(".json").is_file()):
        raise LaunchError(
            f"--in-force {card} is no card of an appearance model: name its .json file, such as models/{MODEL}.json",
            "leave it out to compare with the one that comes with whowhere",
        )
    return load_model(card or SHIPPED / "looks.json")


def _learnt(args: argparse.Namespace, in_force: AppearanceModel) -> "Learnt":
    from dataclasses import replace

    from ..models.appearance.backbone import EDGE_CROP_PX, EDGE_SIZE, RESNET_CROP_PX, backbone
    from ..models.appearance.learning import SITE_RECIPE, learn
    from ..models.appearance.pretraining import network_of

    material = _made_up(args.seed) if args.generated else material_of(args.sessions, args.crops)
    recipe = replace(SITE_RECIPE, seed=args.seed)
    crop_px = EDGE_CROP_PX if args.backbone == "edge" else RESNET_CROP_PX
    if args.backbone == "edge" and not args.weights:
        network = network_of(WEIGHTS)
    else:
        network = backbone(args.backbone, EDGE_SIZE, args.weights)
    return learn(material, in_force, network, args.name, args.version, recipe, crop_px)


def _made_up(seed: int) -> "Material":
    from ..models.appearance.learning import made_up

    return made_up(seed)


def _generic(args: argparse.Namespace) -> int:
    """The shipped model anew: network, weights to go on from, and card."""
    from ..models.appearance.pretraining import generic, save_weights, stripes_card

    folder = Path(args.out)
    content, card, network = generic(args.seed)
    save_model(content, card, folder / "looks")
    save_model(b"", stripes_card(args.seed), folder / "stripes")
    save_weights(network, folder / "looks.npz")
    print(f"written to {folder}: looks.onnx ({len(content) / 1e6:.1f} MB), its card and weights")
    return 0


def material_of(sessions: Sequence[str], crops_folder: str) -> "Material":
    """What sessions and crops give. Raises LaunchError, CropsError, LearningError."""
    from ..models.appearance.gathering import gather

    recorded = [Session(Path(path)) for path in sessions]
    if not recorded:
        raise LaunchError("no session was given", "whowhere learn appearance --help")
    site = recorded[0].site()
    floors = {camera.id: floor_of(camera) for camera in site.cameras}
    crops = crops_in(crops_folder, list(floors))  # first: sessions take longer to read
    messages = [message for session in recorded for message in session.messages()]
    start_ns, bodies = bodies_of(messages)
    return gather(crops, bodies, trajectories_of(site, messages, start_ns), floors)


def floor_of(camera: Camera) -> "FloorOf":
    """Boxes of this camera to where their people stand."""
    to_floor = floor_map(camera.calibration)
    margin = camera.detector.foot_margin

    def floor(boxes: np.ndarray) -> np.ndarray:
        box = np.asarray(boxes, np.float64)
        return to_floor(np.column_stack((box[:, 0] + box[:, 2] / 2, box[:, 1] + box[:, 3] * (1 - margin))))

    return floor


def bodies_of(messages: Iterable[Message]) -> tuple[int, "Bodies"]:
    """Every followed body of the scenes, and the time that seconds count from."""
    from ..models.appearance.gathering import Bodies

    rows = sorted(
        (scene.t_ns, person.track, person.x_m, person.y_m)
        for scene in messages
        if isinstance(scene, Scene)
        for person in scene.people
        if person.track is not None
    )
    if not rows:
        raise LaunchError("these sessions hold no scene with a followed body: nothing tells whose crops are whose")
    start_ns = rows[0][0]
    t_s = np.array([(row[0] - start_ns) / 1e9 for row in rows])
    return start_ns, Bodies(start_ns, t_s, np.array([row[1] for row in rows]), np.array([row[2:] for row in rows]))


def trajectories_of(site: Site, messages: Iterable[Message], start_ns: int) -> list[Trajectory]:
    """Where phones were: as they said themselves where there are enough of their positions, else as fusion said of
    their owners."""
    owner_of = {phone.id: phone.owner for phone in site.phones}
    own: dict[str, dict[float, tuple[float, float, float]]] = {}
    fused: dict[str, dict[float, tuple[float, float, float]]] = {}
    for message in messages:
        if isinstance(message, PhonePosition) and message.source in owner_of:
            _keep(own.setdefault(owner_of[message.source], {}), message, start_ns)
        elif isinstance(message, Location) and message.state != "anonymous":
            _keep(fused.setdefault(message.id, {}), message, start_ns)
    chosen: Mapping[str, Any] = {
        name: own[name] if len(own.get(name, ())) >= LEAST_SAMPLES else fused.get(name, {})
        for name in sorted({*own, *fused})
    }
    return [_trajectory(name, rows) for name, rows in chosen.items() if len(rows) >= LEAST_SAMPLES]


def _keep(rows: dict[float, tuple[float, float, float]], message: PhonePosition | Location, start_ns: int) -> None:
    """The last one of each second."""
    xx, _, yy = message.covariance_m2
    rows[(message.t_ns - start_ns) // 1_000_000_000] = message.x_m, message.y_m, ((xx + yy) / 2) ** 0.5


def _trajectory(name: str, rows: Mapping[float, tuple[float, float, float]]) -> Trajectory:
    second = np.array(sorted(rows))
    place = np.array([rows[each] for each in sorted(rows)])
    return Trajectory(name, second.astype(np.float64), place[:, :2], max(LEAST_SD_M, float(np.median(place[:, 2]))))
