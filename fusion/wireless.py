"""Where a phone is by its radio alone: a histogram filter on a grid over the floor, one a device.

It answers two questions: where to publish somebody no camera or radar sees, and how well "this phone's owner is
nobody we track" explains what the sniffers hear. Source of the method: Thrun, Burgard and Fox, "Probabilistic
Robotics" (2005), section 4.1; the signal model is EV-Loc equation 3.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..sitefile import Area, Sniffer
from .geometry import Floats

CELL_M = 0.5
MARGIN_M = 2.0  # the grid goes this far beyond the floor plan: phones do too
WALK_M2_PER_S = 0.5  # how fast an unseen walker's place blurs
OUTSIDE = 0.1  # how much less likely than a place on the plan one beside it is, for somebody who is published
REACH = round(7.5 * np.sqrt(2 * WALK_M2_PER_S) / CELL_M)  # cells that a second's walk may cross: beyond is 1e-12
BLOCK = 32  # cells blurred at once
PHONE_HEIGHT_M = 1.1
MIN_DISTANCE_M = 0.5
OVERLOOKED = 0.6  # of the places that cameras watch, what is left after a second in which nobody was found there
LEAST = 1e-9
DOUBT = 0.1  # of a map, beside another witness: the share of it that is spread over all places
ABOUT_M = 1.0  # finer than this no map of a radio is


def expected_dbm(sniffer: Sniffer, position: Floats) -> Floats:
    """Received power (N,) at a sniffer from phones at positions (N,2), without offsets: EV-Loc equation 3."""
    return sniffer.reference_dbm - 10 * sniffer.path_loss_exponent * np.log10(distance_m(sniffer, position))


def distance_m(sniffer: Sniffer, position: Floats) -> Floats:
    """Distances (N,) from a sniffer to phones carried at positions (N,2)."""
    x, y, z = sniffer.position_m
    return np.sqrt(
        (position[..., 0] - x) ** 2 + (position[..., 1] - y) ** 2 + max((z - PHONE_HEIGHT_M) ** 2, MIN_DISTANCE_M**2),
    )


class WirelessGrid:
    """Probability maps (devices, ny, nx), each summing to 1."""

    def __init__(self, area: Area, sniffers: Sequence[Sniffer], devices: int) -> None:
        xs = np.arange(area.x_m[0] - MARGIN_M, area.x_m[1] + MARGIN_M + CELL_M / 2, CELL_M)
        ys = np.arange(area.y_m[0] - MARGIN_M, area.y_m[1] + MARGIN_M + CELL_M / 2, CELL_M)
        self.cells = np.stack(np.meshgrid(xs, ys), axis=-1)
        self._expected = [expected_dbm(sniffer, self.cells) for sniffer in sniffers]
        self.maps = np.full((devices, len(ys), len(xs)), 1.0 / (len(xs) * len(ys)))
        self._blur_x, self._blur_y = _blur(len(xs)), _blur(len(ys))
        self._left = np.ones((len(ys), len(xs)))  # of each cell, after a second
        on_plan = [(at >= low) & (at <= high) for at, (low, high) in ((ys, area.y_m), (xs, area.x_m))]
        self._people = np.where(np.outer(*on_plan), 1.0, OUTSIDE)
        self.t_ns = 0

    def retune(self, sniffers: Sequence[Sniffer]) -> None:
        """Believe other parameters of the same sniffers from now on."""
        self._expected = [expected_dbm(sniffer, self.cells) for sniffer in sniffers]

    def within(self, sees: Callable[[Floats], NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """The cells (ny, nx) that `sees`, a question about places (N,2), says yes to."""
        return sees(self.cells.reshape(-1, 2)).reshape(self.cells.shape[:2])

    def watch(self, watched: NDArray[np.bool_]) -> None:
        """Say which cells (ny, nx) cameras look at from now on: who is unseen is hardly there."""
        self._left = np.where(watched, OVERLOOKED, 1.0)

    def advance(self, t_ns: int) -> None:
        """Let a second's walking blur the maps, a second at a time, and empty the places that are watched."""
        if not self.t_ns:
            self.t_ns = t_ns
        while t_ns - self.t_ns >= 1_000_000_000:
            self.maps = self._blurred(self.maps) * self._left
            self.maps /= self.maps.sum(axis=(1, 2), keepdims=True)
            self.t_ns += 1_000_000_000

    def _blurred(self, maps: Floats) -> Floats:
        """By the dense products `blur_y @ maps @ blur_x.T`, in blocks: far cells, whose share is nothing, are left
        out."""
        between, result = np.empty_like(maps), np.empty_like(maps)
        for to, near in _blocks(maps.shape[1]):
            np.matmul(self._blur_y[to, near], maps[:, near], out=between[:, to])
        for to, near in _blocks(maps.shape[2]):
            np.matmul(between[:, :, near], self._blur_x[to, near].T, out=result[:, :, to])
        return result

    def hear(self, device: int, sniffer: int, offset_db: float, variance_db2: float, rssi_dbm: float) -> None:
        """Weigh one device's map by a reading; `variance_db2` is what one reading is worth on its own."""
        error = rssi_dbm - self._expected[sniffer] - offset_db
        grid = self.maps[device] * np.exp(-0.5 * error * error / variance_db2) + LEAST
        self.maps[device] = grid / grid.sum()

    def leave(self, device: int, position: Floats, share: float) -> None:
        """A share of the belief in an unseen owner comes from a body that was lost or left at `position` (2,)."""
        row, column = self._cell(position)
        self.maps[device] *= 1 - share
        self.maps[device, row, column] += share

    def _cell(self, position: Floats) -> tuple[int, int]:
        first = self.cells[0, 0]
        column, row = np.round((position - first) / CELL_M).astype(int)
        return int(np.clip(row, 0, self.maps.shape[1] - 1)), int(np.clip(column, 0, self.maps.shape[2] - 1))

    def expectation(self, device: int, sniffer: int) -> tuple[float, float]:
        """Mean (dBm) and variance (dB2) over the map of the power expected at a sniffer, without offsets."""
        expected, grid = self._expected[sniffer], self.maps[device]
        mean = float((grid * expected).sum())
        return mean, float((grid * (expected - mean) ** 2).sum())

    def around(self, mean: Floats, covariance: Floats) -> Floats:
        """A Gaussian (2,), (2,2) as a map (ny, nx) that sums to 1, however far from the plan it is."""
        apart = self.cells - mean
        inverse = np.linalg.inv(covariance)
        far = (apart * (apart @ inverse)).sum(axis=2)
        there = np.exp(-0.5 * (far - far.min()))
        return there / there.sum()

    def likelier(self, device: int, place: Floats) -> float:
        """How many times likelier its carrier is unseen about a place (2,) than anywhere on the plan in the mean."""
        grid = self.maps[device] * self._people
        there = float((grid * self.around(place, ABOUT_M**2 * np.eye(2))).sum() / grid.sum() * self._people.sum())
        return (1 - DOUBT) * there + DOUBT

    def position(self, device: int, near: tuple[Floats, Floats] | None = None) -> tuple[Floats, Floats]:
        """Mean (2,) and covariance (2,2) of where the device is, if a person carries it: they are mostly on the plan.
        Without that, reflections and blocked paths push people of whom little is heard out of the room. near: a
        Gaussian that another witness says it is in."""
        grid, xs, ys = self.maps[device] * self._people, self.cells[0, :, 0], self.cells[:, 0, 1]
        if near is not None:
            grid = (grid + DOUBT * grid.mean()) * self.around(*near)
        grid /= grid.sum()
        along_x, along_y = grid.sum(axis=0), grid.sum(axis=1)
        mean = np.array([along_x @ xs, along_y @ ys])
        x, y = xs - mean[0], ys - mean[1]
        xx, xy, yy = along_x @ (x * x), y @ grid @ x, along_y @ (y * y)
        return mean, np.array([[xx, xy], [xy, yy]]) + CELL_M**2 / 12 * np.eye(2)

    def state(self) -> dict[str, Any]:
        return {"maps": self.maps, "t_ns": self.t_ns, "left": self._left}

    def load(self, state: dict[str, Any]) -> None:
        self.maps, self.t_ns, self._left = state["maps"], state["t_ns"], state["left"]


def _blur(cells: int) -> Floats:
    """The matrix that spreads a row of cells by a second's walking; nothing leaves at the edges."""
    steps = (np.arange(cells)[:, None] - np.arange(cells)[None, :]) * CELL_M
    kernel = np.exp(-0.5 * steps**2 / (2 * WALK_M2_PER_S))
    return kernel / kernel.sum(axis=0, keepdims=True)


def _blocks(cells: int) -> list[tuple[slice, slice]]:
    """Cells in blocks, and for each the cells from which somebody may get there in a second."""
    starts = range(0, cells, BLOCK)
    return [(slice(at, min(at + BLOCK, cells)), slice(max(at - REACH, 0), at + BLOCK + REACH)) for at in starts]
