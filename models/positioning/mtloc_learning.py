"""From walks to an MTLoc model with its card: which access points, which ranges, how long, and how far off it is.

The walks come split already (walks.split): some to train on, some to stop the training by and to measure the standard
deviation on. A network may begin with another floor's (mtloc_carry.py), and one may be made for that. Imports torch
through the training module.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .assessment import Scored, figures, spread_of
from .mtloc_carry import heard_field, motion_in, network_of
from .mtloc_model import FORMAT, MtlocModel
from .mtloc_network import MotionOnly, Mtloc
from .mtloc_training import Box, Recipe, box_of, exported, places, pretrain, train, wiped
from .mtloc_transfer import begun, pretrain_whole
from .mtloc_windows import Hearing, Ranges, Windows, ranges_of, windows_of
from .walks import MERGED_S, Walk, WalkError

ACCESS_POINTS = 750
STRIDE_S = 0.5  # of the training windows: neighbours at 0.1 s share nine tenths and cost five times the time
SHIPPED = Recipe(  # what was best on the mall's walks (results)
    epochs=30,
    wifi_noise=0.05,
    wifi_dropout=0.3,
    rate=0.003,
    falling=True,
    distance=True,
    rescaled=True,
    wifi_gain=0.2,
    sensor_noise=0.2,
    hearing=Hearing(hold_s=30.0, merged_s=MERGED_S, power=2.0),
)
TUNED = replace(SHIPPED, rate=SHIPPED.rate / 2)  # for a network that begins with another site's
LEAST_WINDOWS = 50


class _Material(NamedTuple):
    """What a network learns from: its columns, the sensors' ranges, windows to train on and to stop by, their box."""

    bssids: tuple[str, ...]
    ranges: Ranges
    windows: Windows
    tuned: Windows
    box: Box
    trained_on: list[str]

    def all_windows(self, tuning: Sequence[Walk], stride_s: float, hearing: Hearing) -> Windows:
        """Those to train on and, as many, those of the walks to stop by: for a recipe that needs none to stop."""
        return self.windows.joined(windows_of(tuning, self.bssids, self.ranges, stride_s, hearing=hearing))


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
    begin: Callable[[Windows, Box], Mtloc] | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """An ONNX file's content and its card (without the sha256). begin: makes what the training begins with (as
    Carried.begun), else drawn. A recipe with a falling rate does not stop by the tuning walks: once they have told the
    standard deviation, a second training takes them in. Raises WalkError where the walks give too little."""
    found = _material(training, tuning, bssids, stride_s, recipe.hearing)

    def trained(windows: Windows) -> tuple[Mtloc, list[float]]:
        return train(windows, found.tuned, found.box, recipe, motion, begin and begin(windows, found.box))

    network, losses = trained(found.windows)
    card = _card(network, found, recipe, name, version, map_version)
    card["stopped_at_epoch"] = int(np.argmin(losses)) + 1 if losses else recipe.epochs
    if recipe.falling:
        network, _ = trained(found.all_windows(tuning, stride_s, recipe.hearing))
        card["trained_on"] = [*found.trained_on, *(walk.name for walk in tuning)]
    return exported(network, _metadata(card)), card


def learn_to_keep(
    training: Sequence[Walk],
    tuning: Sequence[Walk],
    name: str,
    version: str,
    map_version: str,
    recipe: Recipe = SHIPPED,
    stride_s: float = STRIDE_S,
) -> tuple[bytes, dict[str, Any]]:
    """As `learn`, a network whose first columns follow from where an access point is heard (mtloc_transfer.py), which
    its card says: another site can begin with the whole of it. It runs as any other. Raises WalkError."""
    found = _material(training, tuning, None, stride_s, recipe.hearing)
    windows = found.windows

    def trained() -> Mtloc:
        return begun(pretrain_whole(windows, found.tuned, found.box, recipe), windows, found.box)

    network = trained()
    card = _card(network, found, recipe, name, version, map_version)
    if recipe.falling:
        windows = found.all_windows(tuning, stride_s, recipe.hearing)
        network = trained()
        card["trained_on"] = [*found.trained_on, *(walk.name for walk in tuning)]
    card["heard"] = heard_field(windows, found.box)
    return exported(network, _metadata(card)), card


def motion_from(content: bytes) -> MotionOnly:
    """The motion branch of a deployed model, to be transferred as the paper does. Raises ValueError."""
    return motion_in(network_of(content))


def motion_of(walks: Sequence[Walk], recipe: Recipe) -> MotionOnly:
    """The motion branch trained on other walks alone (stage A). Raises WalkError where they give nothing."""
    windows = windows_of(walks, (), ranges_of(walks), STRIDE_S)
    return pretrain(windows, box_of(windows.place_m), recipe)


def assessed(model: MtlocModel, walks: Sequence[Walk], fresh_only: bool = False) -> Scored:
    """The model alone on every second of whole walks (or those with a fresh scan), each with the card's sd."""
    ranges = {name: tuple(model.card["ranges"][name]) for name in ("acc", "gyro", "mag")}
    windows = windows_of(walks, model.card["bssids"], ranges, 1.0, hearing=model.hearing)
    if fresh_only:
        windows = windows.take(~windows.missing[:, 0])
    found = model.predict(windows.wifi, windows.imu, windows.mag)
    return _as_scored(found, windows, float(model.card["sd_m"]["all"]))


def _material(
    training: Sequence[Walk], tuning: Sequence[Walk], bssids: Sequence[str] | None, stride_s: float, hearing: Hearing
) -> _Material:
    """The walks as windows. Raises WalkError where they give too little."""
    bssids = tuple(bssids or most_heard(training))
    if not bssids:
        raise WalkError("none of the walks to train on heard an access point: MTLoc needs WiFi scans")
    ranges = ranges_of(training)
    windows = windows_of(training, bssids, ranges, stride_s, hearing=hearing)
    tuned = windows_of(tuning, bssids, ranges, 1.0, hearing=hearing)
    if len(windows.walk) < LEAST_WINDOWS or not len(tuned.walk):
        raise WalkError(
            f"{len(windows.walk)} windows to train on and {len(tuned.walk)} to stop by are too few: "
            "walks need way points and sensor samples between them"
        )
    return _Material(bssids, ranges, windows, tuned, box_of(windows.place_m), [walk.name for walk in training])


def _card(
    network: Mtloc, found: _Material, recipe: Recipe, name: str, version: str, map_version: str
) -> dict[str, Any]:
    """The card of a trained network, its standard deviations measured on the windows it stopped by."""
    tuned, box = found.tuned, found.box
    sd_m = _measured(places(network, tuned, box), tuned)
    for modality in ("imu", "mag"):
        gone = wiped(tuned, modality, 1.1, recipe.seed)
        sd_m[f"without_{modality}"] = _measured(places(network, gone, box), gone)["all"]
    return {
        "format": FORMAT,
        "name": name,
        "version": version,
        "bssids": list(found.bssids),
        "ranges": {key: list(value) for key, value in found.ranges.items()},
        "box": list(box),
        "map_version": map_version,
        "sd_m": sd_m,
        "metrics": {"tuning_walks": figures(_as_scored(places(network, tuned, box), tuned, sd_m["all"]))},
        "hearing": recipe.hearing._asdict(),
        "recipe": {field: getattr(recipe, field) for field in recipe.__dataclass_fields__ if field != "hearing"},
        "trained_on": found.trained_on,
    }


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
