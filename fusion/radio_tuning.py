"""Keeps the radio's two models, the grid's and the evidence's, at what the radio's calibration has learnt so far, once
that shows the site file to be wrong: where the file is right, what is learnt makes names a little worse, because
bodies in the way and the choice of confirmed phones steepen it (measured: docs/fusion.md). It also says which sniffers
do not seem to stand where the file has them, and moves none of them."""

from typing import Any

from ..messages import Event, Message
from ..sitefile import Site
from .evidence.rssi import RssiEvidence
from .radio_calibration import MOST_EXPONENT_SD, RETUNE_NS, SECOND_NS, RadioCalibration
from .wireless import WirelessGrid

EXAMINED_NS = 60 * SECOND_NS  # how often it is asked where sniffers stand
STEEPENED, TOLERATED = 0.25, 0.55  # learnt exponents less the file's, and how far from that, where the file is right


class RadioTuning:
    """Readings of confirmed people go to `calibration.observe`; `update`, at every tick, acts on what they taught."""

    def __init__(self, site: Site, devices: int, grid: WirelessGrid, rssi: RssiEvidence) -> None:
        self.calibration = RadioCalibration(site.sniffers, devices, site.area)
        self._grid, self._rssi = grid, rssi
        self._suspected: list[str] = []  # each sniffer is named once
        self._examined_ns = 0
        self._compared_ns = 0
        self._follows = False  # what is learnt

    def update(self, source: str, t_ns: int) -> list[Message]:
        """Retune where there is reason to; the `warning` events of `source`, whose id is the sniffer's."""
        if not self._follows and t_ns - self._compared_ns >= RETUNE_NS:
            self._compared_ns = t_ns
            self._follows = self._is_file_wrong()
        if self._follows and (retuning := self.calibration.retuned(t_ns)):
            self._grid.retune(retuning.sniffers)
            self._rssi.retune(retuning.sniffers, retuning.louder_db)
        if t_ns - self._examined_ns < EXAMINED_NS:
            return []
        self._examined_ns = t_ns
        found = [suspect for suspect in self.calibration.suspects() if suspect.sniffer not in self._suspected]
        self._suspected += [suspect.sniffer for suspect in found]
        return [Event(source=source, t_ns=t_ns, type="warning", id=s.sniffer, text=s.text) for s in found]

    def _is_file_wrong(self) -> bool:
        """Whether the sniffers' exponents are surely others, in the mean, than the file's."""
        file, found = self.calibration.sniffers, self.calibration.fit()
        if not file or found.shared_exponent_sd > MOST_EXPONENT_SD:
            return False
        steeper = sum(float(n) - s.path_loss_exponent for n, s in zip(found.exponent, file, strict=True)) / len(file)
        return abs(steeper - STEEPENED) > TOLERATED

    def state(self) -> dict[str, Any]:
        return {
            "calibration": self.calibration.state(),
            "suspected": self._suspected,
            "examined_ns": self._examined_ns,
            "compared_ns": self._compared_ns,
            "follows": self._follows,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.calibration.load(state["calibration"])
        self._suspected, self._examined_ns = state["suspected"], state["examined_ns"]
        self._compared_ns, self._follows = state["compared_ns"], state["follows"]
        self._grid.retune(self.calibration.sniffers)
        self._rssi.retune(self.calibration.sniffers)  # the offsets saved are those of these sniffers already
