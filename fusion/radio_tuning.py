"""Keeps the radio's two models, the grid's and the evidence's, at what the radio's calibration has learnt so far, and
says which sniffers do not seem to stand where the site file has them. It moves none of them."""

from typing import Any

from ..messages import Event, Message
from ..sitefile import Site
from .evidence.rssi import RssiEvidence
from .radio_calibration import SECOND_NS, RadioCalibration
from .wireless import WirelessGrid

EXAMINED_NS = 60 * SECOND_NS  # how often it is asked where sniffers stand


class RadioTuning:
    """Readings of confirmed people go to `calibration.observe`; `update`, at every tick, acts on what they taught."""

    def __init__(self, site: Site, devices: int, grid: WirelessGrid, rssi: RssiEvidence) -> None:
        self.calibration = RadioCalibration(site.sniffers, devices, site.area)
        self._grid, self._rssi = grid, rssi
        self._suspected: list[str] = []  # each sniffer is named once
        self._examined_ns = 0

    def update(self, source: str, t_ns: int) -> list[Message]:
        """Retune where there is reason to; the `warning` events of `source`, whose id is the sniffer's."""
        if retuning := self.calibration.retuned(t_ns):
            self._grid.retune(retuning.sniffers)
            self._rssi.retune(retuning.sniffers, retuning.louder_db)
        if t_ns - self._examined_ns < EXAMINED_NS:
            return []
        self._examined_ns = t_ns
        found = [suspect for suspect in self.calibration.suspects() if suspect.sniffer not in self._suspected]
        self._suspected += [suspect.sniffer for suspect in found]
        return [Event(source=source, t_ns=t_ns, type="warning", id=s.sniffer, text=s.text) for s in found]

    def state(self) -> dict[str, Any]:
        return {
            "calibration": self.calibration.state(),
            "suspected": self._suspected,
            "examined_ns": self._examined_ns,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.calibration.load(state["calibration"])
        self._suspected, self._examined_ns = state["suspected"], state["examined_ns"]
        self._grid.retune(self.calibration.sniffers)
        self._rssi.retune(self.calibration.sniffers)  # the offsets saved are those of these sniffers already
