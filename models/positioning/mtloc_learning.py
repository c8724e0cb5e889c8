"""From walks to an MTLoc model with its card: which access points, which ranges, how long, and how far off it is.

The walks come split already (walks.split): some to train on, some to stop the training by and to measure the standard
deviation on. Imports torch through the training module.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from .assessment import Scored, figures, spread_of
from .mtloc_model import FORMAT, MtlocModel
from .mtloc_network import MotionOnly, recurrent
from .mtloc_numpy import torch_order, weights_of
from .mtloc_training import Recipe, box_of, exported, places, pretrain, train, wiped
from .mtloc_windows import Windows, ranges_of, windows_of
from .walks import Walk, WalkError

ACCESS_POINTS = 750
STRIDE_S = 0.5  # of the training windows: neighbours at 0.1 s share nine tenths and cost five times the time
SHIPPED = Recipe(epochs=30, wifi_noise=0.05, wifi_dropout=0.3)  # what was best on the mall's walks (results)
LEAST_WINDOWS = 50


def most_heard(walks: Sequence[Walk], count: int = ACCESS_POINTS) -> tuple[str, ...]:
    """The access points heard in most scans, most first, ties by name."""
    heard = Counter(bssid for walk in walks for batch in walk.batches for bssid, _ in batch.scan)
    return tuple(bssid for bssid, _ in sorted(heard.items(), key=lambda item: (-item[1], item[0]))[:count])


def learn(
    training: Sequence[Walk],
    tuning: Sequence[Walk],
    name: str,
    version: str,
    map_version: str,
    recipe: Recipe = SHIPPED,
    motion: MotionOnly | None = None,
    bssids: Sequence[str] | None = None,
    stride_s: float = STRIDE_S,
) -> tuple[bytes, dict[str, Any]]:
    """An ONNX file's content and its card (without the sha256). Raises WalkError where the walks give too little."""
    bssids = tuple(bssids or most_heard(training))
    if not bssids:
        raise WalkError("none of the walks to train on heard an access point: MTLoc needs WiFi scans")
    ranges = ranges_of(training)
    windows = windows_of(training, bssids, ranges, stride_s)
    tuned = windows_of(tuning, bssids, ranges, 1.0)
    if len(windows.walk) < LEAST_WINDOWS or not len(tuned.walk):
        raise WalkError(
            f"{len(windows.walk)} windows to train on and {len(tuned.walk)} to stop by are too few: "
            "walks need way points and sensor samples between them"
        )
    box = box_of(windows.place_m)
    network, losses = train(windows, tuned, box, recipe, motion)
    sd_m, metrics = _measured(places(network, tuned, box), tuned), {}
    for modality in ("imu", "mag"):
        gone = wiped(tuned, modality, 1.1, recipe.seed)
        sd_m[f"without_{modality}"] = _measured(places(network, gone, box), gone)["all"]
    metrics["tuning_walks"] = figures(_as_scored(places(network, tuned, box), tuned, sd_m["all"]))
    card = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "bssids": list(bssids),
        "ranges": {key: list(value) for key, value in ranges.items()},
        "box": list(box),
        "map_version": map_version,
        "sd_m": sd_m,
        "metrics": metrics,
        "recipe": {field: getattr(recipe, field) for field in recipe.__dataclass_fields__},
        "stopped_at_epoch": int(np.argmin(losses)) + 1 if losses else recipe.epochs,
        "trained_on": [walk.name for walk in training],
    }
    return exported(network, _metadata(card)), card


def motion_from(content: bytes) -> MotionOnly:
    """The motion branch of a deployed model, to be transferred: what --from takes over. Raises ValueError."""
    w, r, b = torch_order(weights_of(content), "imu")
    motion = MotionOnly()
    motion.imu = recurrent(2)
    with torch.no_grad():
        for name, value in (("weight_ih_l0", w), ("weight_hh_l0", r), ("bias_ih_l0", b)):
            getattr(motion.imu, name).copy_(torch.from_numpy(value.copy()))
    return motion


def motion_of(walks: Sequence[Walk], recipe: Recipe) -> MotionOnly:
    """The motion branch trained on other walks alone (stage A)."""
    windows = windows_of(walks, (), ranges_of(walks), STRIDE_S)
    return pretrain(windows, box_of(windows.place_m), recipe)


def assessed(model: MtlocModel, walks: Sequence[Walk], fresh_only: bool = False) -> Scored:
    """The model alone on every second of whole walks (or those with a fresh scan), each with the card's sd."""
    ranges = {name: tuple(model.card["ranges"][name]) for name in ("acc", "gyro", "mag")}
    windows = windows_of(walks, model.card["bssids"], ranges, 1.0)
    if fresh_only:
        windows = windows.take(~windows.missing[:, 0])
    found = model.predict(windows.wifi, windows.imu, windows.mag)
    return _as_scored(found, windows, float(model.card["sd_m"]["all"]))


def _measured(found: Any, windows: Windows) -> dict[str, float]:
    """The standard deviation per axis (m) of places whose scan is fresh: those the running model gives."""
    fresh = windows.take(~windows.missing[:, 0])
    if not len(fresh.walk):
        return {"all": 20.0}
    unit = _as_scored(found[~windows.missing[:, 0]], fresh, 1.0)
    sd = float(np.sqrt(spread_of(unit))) if len(fresh.walk) >= 10 else float(np.sqrt((unit.error_m**2).mean()))
    return {"all": max(sd, 0.5)}


def _as_scored(found: Any, windows: Windows, sd_m: float) -> Scored:
    covariance = np.broadcast_to(sd_m**2 * np.eye(2), (len(windows.walk), 2, 2))
    return Scored(found - windows.place_m, covariance, tuple(str(each) for each in windows.walk))


def _metadata(card: Mapping[str, Any]) -> dict[str, str]:
    import json

    return {key: json.dumps(card[key]) for key in ("name", "version", "bssids", "ranges", "box", "map_version")}
