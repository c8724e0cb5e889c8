"""A trained MTLoc model as another floor's beginning, from its file and card: no more than what already runs.

What a scan means is in the first WiFi layer, a column for each access point, useless elsewhere by name. The card says
where on its floor each access point is heard ("heard"); a smooth function from these places to the columns is fitted
here, and gives the columns of another floor's access points by where those are heard. Ours, not the paper's, which
carries the motion branch alone. How well the function fits is measured on access points left out, and said. Imports
torch: for training only.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .mtloc_model import hearing_in
from .mtloc_network import MotionOnly, Mtloc
from .mtloc_numpy import DENSE, torch_order, weights_of
from .mtloc_training import Box
from .mtloc_transfer import Heard, heard_of, with_columns
from .mtloc_windows import Hearing, Windows

F64 = NDArray[np.float64]

REACHES = (0.1, 0.2, 0.4, 0.8)  # of the function, in the unit box: how far apart columns are still alike
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # how much of a column is its own and not its place's, against what is
LEAST_HEARD = 10  # access points whose places are known, for a function to be fitted


class Columns(NamedTuple):
    """A function from places in the unit box to columns of the first WiFi layer: kernel ridge regression around their
    mean. at (k,2), weight (k,128), mean (128,), reach; skill: the share of the columns' variance it says of access
    points left out (at most 1; 0 is what the mean column says)."""

    at: F64
    weight: F64
    mean: F64
    reach: float
    skill: float

    def of(self, at: F64) -> F64:
        """(n,128) the columns of places (n,2), times the mean sum of a scan's levels."""
        return self.mean + _alike(at, self.at, self.reach) @ self.weight


class Carried(NamedTuple):
    """What another floor begins with: the source's network, the function its columns follow, and how its scans
    became its WiFi, which must be so on the other floor."""

    network: Mtloc
    columns: Columns
    hearing: Hearing

    def begun(self, windows: Windows, box: Box) -> Mtloc:
        """The printed network as a floor's training begins: the source's weights, columns by where the windows hear
        the floor's access points; box: of its places, x0, y0, sx, sy in m."""
        heard = heard_of(windows, box)
        columns = self.columns.of(heard.at.numpy().astype(np.float64)) / heard.level
        return with_columns(self.network, torch.from_numpy(columns.T.astype(np.float32)))


def heard_field(windows: Windows, box: Box) -> dict[str, Any]:
    """The card's "heard": at, the place in the unit box of each column's access point, null for one never heard in the
    windows; level, the mean sum of a scan's levels."""
    heard = heard_of(windows, box)
    at: list[Any] = [[round(v, 4) for v in place] for place in heard.at.tolist()]
    for j in np.flatnonzero(~(windows.wifi > 0).any(axis=0)).tolist():
        at[j] = None
    return {"at": at, "level": round(heard.level, 4)}


def carried_from(content: bytes, card: Mapping[str, Any]) -> Carried | None:
    """The whole of a deployed model (its file's content and card), to begin elsewhere; None where the card does not
    say where its access points are heard. Raises ValueError for what is no MTLoc network and for a "heard" or a
    "hearing" that does not fit it."""
    if card.get("heard") is None:
        return None
    network = network_of(content)
    rows, heard = _heard_in(card["heard"], network.wifi_1.in_features)
    columns = network.wifi_1.weight.detach().numpy().T.astype(np.float64)
    found = fitted(heard.at.numpy().astype(np.float64), heard.level * columns[rows])
    return Carried(network, found, hearing_in(card))


def network_of(content: bytes) -> Mtloc:
    """A deployed model's network in torch, as it was exported. Raises ValueError for another file, and for arrays of
    other shapes than the printed network's."""
    weights = weights_of(content)
    state = {f"{part}.{kind}": weights[f"{part}.{kind}"] for part in DENSE for kind in ("weight", "bias")}
    width = state["wifi_1.weight"].shape[-1]
    try:
        for part in ("imu", "mag"):
            w, r, b = torch_order(weights, part)
            names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
            state |= {f"{part}.{name}": each for name, each in zip(names, (w, r, b, np.zeros_like(b)), strict=True)}
        network = Mtloc(width)
        network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in state.items()})
    except (IndexError, ValueError, RuntimeError) as error:
        raise ValueError("this is no exported MTLoc network: its arrays have other shapes") from error
    return network


def motion_in(network: Mtloc) -> MotionOnly:
    """A network's motion branch, to be transferred as the paper does."""
    motion = MotionOnly()
    motion.imu.load_state_dict(network.imu.state_dict())
    return motion


def fitted(at: F64, columns: F64) -> Columns:
    """The function from places (k,2) to columns (k,128), its reach and ridge those that say best of each access point
    what all others say of its place (leave one out, in closed form)."""
    mean = columns.mean(axis=0)
    apart = columns - mean
    best: tuple[float, float, F64] | None = None
    for reach in REACHES:
        values, vectors = np.linalg.eigh(_alike(at, at, reach))
        turned = vectors.T @ apart
        for ridge in RIDGES:
            inverse = 1.0 / (np.maximum(values, 0.0) + ridge)
            weight = vectors @ (inverse[:, None] * turned)
            missed = float(np.square(weight / (vectors**2 @ inverse)[:, None]).sum())
            if best is None or missed < best[0]:
                best = (missed, reach, weight)
    assert best is not None
    return Columns(at, best[2], mean, best[1], 1.0 - best[0] / max(float(np.square(apart).sum()), 1e-12))


def _heard_in(said: Any, width: int) -> tuple[list[int], Heard]:
    """Which columns' places a card knows, and these. Raises ValueError."""
    wrong = f'"heard" in its card must hold a level above 0 and, for each of {width} access points, a place or null'
    if not isinstance(said, Mapping) or not isinstance(said.get("at"), Sequence) or len(said["at"]) != width:
        raise ValueError(wrong)
    rows = [j for j, place in enumerate(said["at"]) if place is not None]
    try:
        at = np.array([said["at"][j] for j in rows], np.float32).reshape(-1, 2)
        level = float(said["level"])
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(wrong) from error
    if len(at) != len(rows) or not (np.isfinite(at).all() and np.isfinite(level) and level > 0):
        raise ValueError(wrong)
    if len(rows) < LEAST_HEARD:
        raise ValueError(f"its card knows the places of {len(rows)} access points, too few to carry it whole")
    return rows, Heard(torch.from_numpy(at), level)


def _alike(a: F64, b: F64, reach: float) -> F64:
    """(n,k) how alike the columns of places (n,2) and (k,2) are taken to be: 1 at one place."""
    squared = np.square(a[:, None] - b[None]).sum(axis=2)
    return np.exp(-0.5 * squared / reach**2)
