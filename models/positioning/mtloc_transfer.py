"""MTLoc carried whole from one floor to another, though neither hears an access point of the other.

The paper carries the motion branch alone, which says hardly anything of a place. What a scan means is in the first WiFi
layer, a column for each access point: useless elsewhere by name. Here, in training on the source, a column is a smooth
function of where on its floor the access point is heard. On the target the same function gives the columns of its own
access points; from there on the network is the printed one, every weight of it tuned. Ours, not the paper's. Imports
torch: for training only.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .mtloc_network import WIDTH, Mtloc, dense
from .mtloc_training import Box, Recipe, descend, disturbed, loss, tensor, unit
from .mtloc_windows import Windows

F64 = NDArray[np.float64]

WAVES = 64  # hidden width of the function from a place to a column


class Heard(NamedTuple):
    """Where a floor's access points are heard: at (A,2) in the unit box, level: the sum of a scan's levels, mean."""

    at: Tensor
    level: float


class Placed(nn.Module):
    """The printed network but for its first layer, whose columns are a function of places. forward(wifi (B,A),
    imu (B,10,2), mag (B,10,1), heard) -> (B,2)."""

    def __init__(self) -> None:
        super().__init__()
        self.near = dense(2, WAVES)
        self.far = dense(WAVES, WIDTH)
        self.rest = Mtloc(1)  # its first layer lends its bias only

    def columns(self, heard: Heard) -> Tensor:
        """(128,A): the first layer's weights, smaller where more is heard."""
        return self.far(torch.tanh(self.near(6.0 * heard.at - 3.0))).T / heard.level

    def forward(self, wifi: Tensor, imu: Tensor, mag: Tensor, heard: Heard) -> Tensor:
        return self.rest.beyond(wifi @ self.columns(heard).T + self.rest.wifi_1.bias, imu, mag)


def heard_of(windows: Windows, box: Box) -> Heard:
    """Each access point's middle of the places it is heard at, by the squares of its levels; the floor's middle for
    one never heard."""
    weight = windows.wifi.astype(np.float64) ** 2
    total = weight.sum(axis=0)[:, None]
    places = (windows.place_m - np.array(box[:2])) / np.array(box[2:])
    at = np.where(total > 0, (weight.T @ places) / np.maximum(total, 1e-9), 0.5)
    sums = windows.wifi.sum(axis=1, dtype=np.float64)
    return Heard(tensor(at), float(sums[sums > 0].mean()) if (sums > 0).any() else 1.0)


def pretrain_whole(windows: Windows, held: Windows | None, box: Box, recipe: Recipe) -> Placed:
    """The network trained on a source floor's windows; held: those to stop by; box: of its places."""
    torch.manual_seed(recipe.seed)
    network = Placed()
    heard, parts = heard_of(windows, box), [tensor(part) for part in (windows.wifi, windows.imu, windows.mag)]

    def predict(rows: Tensor) -> Tensor:
        return network(*disturbed([part[rows] for part in parts], recipe, draw), heard)

    def judged() -> float:
        assert held is not None
        with torch.no_grad():
            said = network(tensor(held.wifi), tensor(held.imu), tensor(held.mag), heard)
        return float(loss(said, unit(held, box), recipe))

    draw = torch.Generator().manual_seed(recipe.seed + 1)
    descend(network, predict, unit(windows, box), judged if held is not None else None, recipe)
    return network


def begun(placed: Placed, windows: Windows, box: Box) -> Mtloc:
    """The printed network as a floor's training begins: the source's weights, columns by where the windows hear it."""
    with torch.no_grad():
        return with_columns(placed.rest, placed.columns(heard_of(windows, box)))


def with_columns(source: Mtloc, columns: Tensor) -> Mtloc:
    """A copy of a network but for its first WiFi layer's weights, which are `columns` (128,A)."""
    network = Mtloc(columns.shape[1])
    kept = {name: value for name, value in source.state_dict().items() if name != "wifi_1.weight"}
    network.load_state_dict(kept, strict=False)
    with torch.no_grad():
        network.wifi_1.weight.copy_(columns)
    return network


def unlearnt(seed: int) -> Placed:
    """A network that saw no source: the smooth first columns alone, to tell their worth from the source's."""
    torch.manual_seed(seed)
    return Placed()
