"""The radio's calibration, learnt from phones whose owners are known: readings in, the sniffers' parameters out.

It gathers readings of confirmed pairs in floor cells, so that its memory is bounded however long it listens, and so
that standing still teaches one place only. `fit` says what they mean (radio_fit.py), `suspects` which sniffers do not
stand where the site file says (sniffer_positions.py), `retuned` what the engine should believe from now on.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from ..sitefile import Area, Sniffer
from .geometry import Floats
from .radio_fit import Bins, RadioFit, fit
from .sniffer_positions import Suspect, misplaced
from .wireless import expected_dbm

SECOND_NS = 1_000_000_000
CELL_M, MOST_CELLS = 1.0, 400  # of the floor; on a larger floor cells are larger
MARGIN_M = 2.0
MOST_BINS = 2048  # of (phone, sniffer, cell); then the one not heard for longest makes room
MOST_WEIGHT = 20.0  # independent readings a bin remembers
SHADOWING_S = 3.0
VAGUE_M2 = 1.0  # a body whose place is vaguer a axis teaches nothing
RETUNE_NS = 10 * SECOND_NS
MOST_EXPONENT_SD = 0.35  # the engine follows the fit once it is surer than this
STEP_DB, STEP_EXPONENT = 2.0, 0.2  # a retuning


class Retuning(msgspec.Struct, frozen=True):
    """What to believe from now on: the sniffers, and by how much (S,) dB each is now expected to hear more, in the
    mean over the places where phones were heard: offsets learnt against the old belief are too large by that."""

    sniffers: tuple[Sniffer, ...]
    louder_db: Floats


class RadioCalibration:
    """Learns from confirmed pairs. `sniffers` as the site file has them, devices by row."""

    def __init__(self, sniffers: Sequence[Sniffer], devices: int, area: Area) -> None:
        self._file, self._devices, self._area = tuple(sniffers), devices, area
        self._sniffers = tuple(sniffers)
        (x0, x1), (y0, y1) = area.x_m, area.y_m
        width, depth = x1 - x0 + 2 * MARGIN_M, y1 - y0 + 2 * MARGIN_M
        self._cell_m = max(CELL_M, float(np.sqrt(width * depth / MOST_CELLS)))
        self._columns, self._rows = int(np.ceil(width / self._cell_m)), int(np.ceil(depth / self._cell_m))
        self._keys = np.zeros(0, np.int64)  # of the bins: (device * sniffers + sniffer) * cells + cell
        self._values = np.zeros((0, 6), np.float32)  # weight, mean dBm, variance dB2, x, y, variance m2
        self._touched = np.zeros(0, np.int64)
        self._row_of: dict[int, int] = {}
        self._heard_ns = np.zeros((devices, len(self._file)), np.int64)
        self._readings = np.zeros(len(self._file), np.int64)
        self._retuned_ns = 0

    @property
    def sniffers(self) -> tuple[Sniffer, ...]:
        """The sniffers as the engine should believe them now."""
        return self._sniffers

    def observe(
        self,
        device_row: int,
        sniffer_row: int,
        rssi_dbm: float,
        position: Floats,
        covariance: Floats,
        t_ns: int,
        share: float = 1.0,
    ) -> None:
        """One reading of a phone whose owner's body is known, at `position` (2,) m with `covariance` (2,2) m2; `share`
        of a reading where that is less than sure.

        Counts by the time since the last one of the same pair: of correlated readings as many are independent as
        there are pairs of correlation times (Ornstein-Uhlenbeck; (1 - rho) / (1 + rho) each)."""
        vague_m2 = 0.5 * float(covariance[0, 0] + covariance[1, 1])
        elapsed_s = (t_ns - int(self._heard_ns[device_row, sniffer_row])) / SECOND_NS
        if vague_m2 > VAGUE_M2 or elapsed_s <= 0 or share <= 0:
            return
        self._heard_ns[device_row, sniffer_row] = t_ns
        self._readings[sniffer_row] += 1
        pair = device_row * len(self._file) + sniffer_row
        row = self._row(pair * self._columns * self._rows + self._cell(position))
        self._touched[row] = t_ns
        added = share * float(np.tanh(elapsed_s / (2 * SHADOWING_S)))
        values = self._values[row]
        values[0] = min(float(values[0]) + added, MOST_WEIGHT)
        gain = added / float(values[0])
        change = rssi_dbm - float(values[1])
        values[1] += gain * change
        values[2] += gain * (change * (rssi_dbm - float(values[1])) - float(values[2]))
        values[3:5] += gain * (position - values[3:5])
        values[5] += gain * (vague_m2 - float(values[5]))

    def fit(self) -> RadioFit:
        """What all readings so far say of every sniffer and phone."""
        return fit(self.bins(), self._file, self._devices, self._readings.copy())

    def suspects(self, found: RadioFit | None = None) -> list[Suspect]:
        """Sniffers that overwhelmingly do not stand where the site file says; `found`: a fit just made."""
        return misplaced(self.bins(), self._file, found or self.fit(), self._area)

    def retuned(self, t_ns: int) -> Retuning | None:
        """Every 10 s of event time, what to believe from now on, if that has changed: a limited step towards the fit,
        once the readings lie at distances different enough to tell the exponent."""
        if t_ns - self._retuned_ns < RETUNE_NS or not len(self._keys):
            return None
        self._retuned_ns = t_ns
        found = self.fit()
        if found.shared_exponent_sd > MOST_EXPONENT_SD:
            return None
        before = self._sniffers
        self._sniffers = tuple(
            replace(
                sniffer,
                reference_dbm=_towards(sniffer.reference_dbm, float(found.reference_dbm[row]), STEP_DB),
                path_loss_exponent=_towards(sniffer.path_loss_exponent, float(found.exponent[row]), STEP_EXPONENT),
            )
            for row, sniffer in enumerate(before)
        )
        return None if self._sniffers == before else Retuning(self._sniffers, self._louder_db(before))

    def _louder_db(self, before: Sequence[Sniffer]) -> Floats:
        bins, louder_db = self.bins(), np.zeros(len(before))
        for row, (old, new) in enumerate(zip(before, self._sniffers, strict=True)):
            here = bins.sniffer == row
            if here.any():
                change = expected_dbm(new, bins.position[here]) - expected_dbm(old, bins.position[here])
                louder_db[row] = (change * bins.weight[here]).sum() / bins.weight[here].sum()
        return louder_db

    def bins(self) -> Bins:
        cells, count = self._columns * self._rows, max(len(self._file), 1)
        pair = self._keys // cells
        weight, mean_dbm, variance_db2, x, y, vague_m2 = self._values.astype(np.float64).T
        return Bins(
            device=(pair // count).astype(np.intp),
            sniffer=(pair % count).astype(np.intp),
            weight=weight,
            mean_dbm=mean_dbm,
            variance_db2=np.maximum(variance_db2, 0.0),
            position=np.stack((x, y), axis=1),
            vague_m2=vague_m2,
        )

    def _cell(self, position: Floats) -> int:
        column = int((float(position[0]) - self._area.x_m[0] + MARGIN_M) // self._cell_m)
        row = int((float(position[1]) - self._area.y_m[0] + MARGIN_M) // self._cell_m)
        return min(max(row, 0), self._rows - 1) * self._columns + min(max(column, 0), self._columns - 1)

    def _row(self, key: int) -> int:
        """The bin of a key; a new one where there is none, in place of the oldest where there are too many."""
        row = self._row_of.get(key)
        if row is not None:
            return row
        if len(self._keys) < MOST_BINS:
            row = len(self._keys)
            self._keys = np.append(self._keys, key)
            self._values = np.concatenate((self._values, np.zeros((1, 6), np.float32)))
            self._touched = np.append(self._touched, 0)
        else:
            row = int(np.argmin(self._touched))
            del self._row_of[int(self._keys[row])]
            self._keys[row], self._values[row] = key, 0.0
        self._row_of[key] = row
        return row

    def state(self) -> dict[str, Any]:
        return {
            "keys": self._keys,
            "values": self._values,
            "touched": self._touched,
            "heard_ns": self._heard_ns,
            "readings": self._readings,
            "retuned_ns": self._retuned_ns,
            "believed": [[sniffer.reference_dbm, sniffer.path_loss_exponent] for sniffer in self._sniffers],
        }

    def load(self, state: dict[str, Any]) -> None:
        self._keys, self._values, self._touched = state["keys"], state["values"], state["touched"]
        self._heard_ns, self._readings = state["heard_ns"], state["readings"]
        self._retuned_ns = state["retuned_ns"]
        self._row_of = {int(key): row for row, key in enumerate(self._keys)}
        self._sniffers = tuple(
            replace(sniffer, reference_dbm=reference, path_loss_exponent=exponent)
            for sniffer, (reference, exponent) in zip(self._file, state["believed"], strict=True)
        )


def _towards(now: float, goal: float, step: float) -> float:
    return now + min(max(goal - now, -step), step)
