"""Does a sniffer stand where the site file says? Only an overwhelming answer is one.

Every place on a grid is asked how well it explains the strengths over the floor, with the sniffer's reference and
exponent left free. What walls and furniture do to strengths is not known and smooth in space; it is a Gaussian process
with Gudmundson's correlation (Electronics Letters, 1991), so that a wall does not look like another place. It moves no
sniffer: it says a sentence.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec.structs import replace

from ..sitefile import Area, Sniffer
from .geometry import Floats
from .radio_fit import BLOCKED_SD_DB, CELL_SD_DB, READING_SD_DB, Bins, RadioFit
from .wireless import distance_m

SMOOTH_SD_DB, SMOOTH_M = 2.5, 4.0  # of walls and furniture: how much, and over what distance alike
REFERENCE_SD_DB, EXPONENT_SD = 8.0, 0.5
STEP_M, MARGIN_M, MOST_PLACES = 0.5, 3.0, 4000
FEWEST_CELLS = 12
OVERWHELMING_NATS = 6.0
NEAR_M = 1.5  # an error that tape measures make, and signals do not tell
SURE_SDS, VAGUE_M = 2.5, 2.0


class Suspect(msgspec.Struct, frozen=True):
    """A sniffer whose signals fit another place: where the file has it, where they fit with what standard deviation
    an axis, and by how much better, in nats."""

    sniffer: str
    file_m: tuple[float, float]
    found_m: tuple[float, float]
    sd_m: float
    nats: float

    @property
    def text(self) -> str:
        (x, y), (fx, fy) = self.file_m, self.found_m
        return (
            f"sniffer {self.sniffer} does not seem to stand at ({x:.1f}, {y:.1f}): its signals fit "
            f"({fx:.1f}, {fy:.1f}) +- {self.sd_m:.1f} m"
        )


def misplaced(bins: Bins, sniffers: Sequence[Sniffer], found: RadioFit, area: Area) -> list[Suspect]:
    """The sniffers that do not stand where the site file says."""
    places = _places(area)
    suspects = []
    for row, sniffer in enumerate(sniffers):
        suspect = _examined(bins, row, sniffer, found, places)
        if suspect:
            suspects.append(suspect)
    return suspects


def _examined(bins: Bins, row: int, sniffer: Sniffer, found: RadioFit, places: Floats) -> Suspect | None:
    position, mean_dbm, variance_db2 = _cells(bins, row, found)
    if len(position) < FEWEST_CELLS:
        return None
    x, y, _ = sniffer.position_m
    asked = np.concatenate(([[x, y]], places))
    nats = _log_likelihood(position, mean_dbm, variance_db2, sniffer, float(np.mean(found.exponent)), asked)
    share = np.exp(nats - nats.max())
    share /= share.sum()
    mean = share @ asked
    apart = asked - mean
    sd_m = float(np.sqrt(0.5 * (share @ (apart**2).sum(axis=1)) + STEP_M**2 / 12))
    gain = float(nats.max() - nats[0])
    moved_m = float(np.hypot(mean[0] - x, mean[1] - y))
    if gain < OVERWHELMING_NATS or moved_m < max(NEAR_M, SURE_SDS * sd_m) or sd_m > VAGUE_M:
        return None
    return Suspect(sniffer.id, (x, y), (float(mean[0]), float(mean[1])), sd_m, gain)


def _cells(bins: Bins, row: int, found: RadioFit) -> tuple[Floats, Floats, Floats]:
    """What a sniffer hears in each cell of the floor, over all phones: place (C,2), mean dBm without the phones'
    loudness (C,), variance of that (C,)."""
    here = np.flatnonzero(bins.sniffer == row)
    cell = np.floor(bins.position[here]).astype(np.int64)
    _, index = np.unique(cell, axis=0, return_inverse=True)
    index = index.reshape(-1)
    precision = 1 / ((READING_SD_DB**2 + BLOCKED_SD_DB**2) / bins.weight[here] + CELL_SD_DB**2)
    total = np.bincount(index, precision)
    level = bins.mean_dbm[here] - found.offset_db[bins.device[here]]
    place = [np.bincount(index, precision * bins.position[here, axis]) / total for axis in (0, 1)]
    return np.stack(place, axis=1), np.bincount(index, precision * level) / total, 1 / total


def _log_likelihood(
    position: Floats, mean_dbm: Floats, variance_db2: Floats, sniffer: Sniffer, exponent: float, places: Floats
) -> Floats:
    """(P,) nats of each place, up to a constant: reference, exponent and smooth deviations integrated out; divided by
    how much worse than believed the best place fits."""
    gaps = np.linalg.norm(position[:, None] - position[None], axis=2)
    noise = np.diag(variance_db2) + SMOOTH_SD_DB**2 * np.exp(-gaps / SMOOTH_M)
    _, _, z = sniffer.position_m
    at_origin = replace(sniffer, position_m=(0.0, 0.0, z))
    fall = -10 * np.log10(distance_m(at_origin, position[None] - places[:, None]))
    error = mean_dbm - sniffer.reference_dbm - exponent * fall
    one = np.ones(len(mean_dbm))
    solved = np.linalg.solve(noise, np.concatenate((error, fall, one[None])).T).T
    count = len(places)
    noise_error, noise_fall, noise_one = solved[:count], solved[count : 2 * count], solved[-1]
    information = np.empty((count, 2, 2))
    information[:, 0, 0] = one @ noise_one + REFERENCE_SD_DB**-2
    information[:, 0, 1] = information[:, 1, 0] = fall @ noise_one
    information[:, 1, 1] = (fall * noise_fall).sum(axis=1) + EXPONENT_SD**-2
    target = np.stack((noise_error.sum(axis=1), (fall * noise_error).sum(axis=1)), axis=1)
    explained = (target * np.linalg.solve(information, target[:, :, None])[:, :, 0]).sum(axis=1)
    misfit = (error * noise_error).sum(axis=1) - explained
    worse = max(float(misfit.min()) / len(mean_dbm), 1.0)
    return -0.5 * (misfit / worse + np.linalg.slogdet(information)[1])


def _places(area: Area) -> Floats:
    """Places (P,2) where a sniffer may stand."""
    (x0, x1), (y0, y1) = area.x_m, area.y_m
    width, depth = x1 - x0 + 2 * MARGIN_M, y1 - y0 + 2 * MARGIN_M
    step = max(STEP_M, float(np.sqrt(width * depth / MOST_PLACES)))
    xs = np.arange(x0 - MARGIN_M, x1 + MARGIN_M + step / 2, step)
    ys = np.arange(y0 - MARGIN_M, y1 + MARGIN_M + step / 2, step)
    return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
