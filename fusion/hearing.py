"""What sniffers and phones hear, taken to the witnesses: the evidence of signals and of phones' own positions, the
radio's map of where whoever is unseen may be, and the calibration that learns from confirmed people.

It knows neither messages' order nor what is published: the engine has moved the bodies on to a message's time before.
"""

from collections.abc import Callable
from functools import cache, partial

import numpy as np

from ..messages import PhonePosition, WifiWindow
from ..sitefile import Site, require_pseudonyms
from .carriers import Enrolled, Place, Trail, bodies_of
from .detections import CameraView
from .evidence.position import PositionEvidence
from .evidence.rssi import RssiEvidence
from .identities import Identities
from .people import Radio
from .radio_tuning import RadioTuning
from .tracks import Tracker
from .windows import HeardWindows
from .wireless import WirelessGrid

Count = Callable[[str], None]  # what became of a measurement, as "unknown:sniffer-1"


class Hearing:
    """The radio's part of the engine. Its parts have states of their own, which the engine saves; `watching` and
    `heard` are saved as they are."""

    def __init__(self, site: Site, enrolled: Enrolled, cameras: dict[str, CameraView]) -> None:
        self._site, self._enrolled = site, enrolled
        self.grid = WirelessGrid(site.area, site.sniffers, enrolled.maps)
        self._watches = {name: self.grid.within(view.sees) for name, view in cameras.items()}
        self.rssi = RssiEvidence(site.fusion, site.sniffers, len(enrolled.owner_of), self.grid)
        rows = [enrolled.map_rows[owner] for owner in enrolled.phone_owner]
        self.positions = PositionEvidence(site.area, rows, enrolled.own_maps, self.grid)
        self.trail = Trail()
        self.windows = HeardWindows(site.sniffers)
        self.tuning = RadioTuning(site, len(enrolled.owner_of), self.grid, self.rssi)
        self.watching: tuple[str, ...] = ()  # the cameras that looked lately
        self.heard: dict[str, dict[str, int]] = {name: {} for name in enrolled.names}  # by sniffer or phone, when

    def hear(
        self,
        sniffer: int,
        window: WifiWindow,
        tracker: Tracker,
        identities: Identities,
        confirmed: dict[str, int],
        count: Count,
    ) -> None:
        """Weigh what a sniffer (row) heard and missed. confirmed: per confirmed name, its body's row in the tracker."""
        self.grid.advance(window.t_ns)
        enrolled, bodies = self._enrolled, bodies_of(identities, tracker)
        paths = cache(lambda sniffer: self.rssi.paths(sniffer, bodies))  # the same for all of a window's devices
        for device, rssi_dbm in zip(window.devices, window.rssi_dbm, strict=True):
            if (row := enrolled.device_row.get(device)) is None:
                require_pseudonyms(self._site, device)
                continue
            if self.rssi.is_too_soon(row, sniffer, window.t_ns):
                count(f"too_soon:{window.source}")
                continue
            owner = int(enrolled.owner_of[row])
            name, dbm = enrolled.names[owner], float(rssi_dbm)
            self.heard[name][window.source] = window.t_ns
            nats = self.rssi.hear(row, sniffer, dbm, window.t_ns, paths(sniffer), identities.belief[owner])
            identities.weigh(owner, nats)
            if (at := confirmed.get(name)) is not None:
                place, spread = tracker.mean[at, :2], tracker.covariance[at, :2, :2]
                self.tuning.calibration.observe(row, sniffer, dbm, place, spread, window.t_ns)
        for miss in self.windows.add(sniffer, window, enrolled.device_row):
            nats = self.rssi.miss(miss.device, miss.sniffer, miss.packets, miss.t_ns, paths(miss.sniffer))
            identities.weigh(int(enrolled.owner_of[miss.device]), nats)

    def locate(
        self, phone: int, position: PhonePosition, tracker: Tracker, identities: Identities, count: Count
    ) -> None:
        """Weigh where a phone (row) says that it is, or was a moment ago."""
        if refusal := self.positions.refusal(phone, position, tracker.t_ns):
            count(f"{refusal}:{position.source}")
            return
        count(f"{'late' if position.t_ns < tracker.t_ns else 'used'}:{position.source}")
        self.grid.advance(position.t_ns)
        owner = int(self._enrolled.phone_owner[phone])
        self.heard[self._enrolled.names[owner]][position.source] = position.t_ns
        bodies = self.trail.then(position.t_ns, identities, tracker)
        identities.weigh(owner, self.positions.hear(phone, position, bodies))

    def pass_time(self, t_ns: int, tracker: Tracker) -> None:
        """Move the maps on to `t_ns`: unseen people are not where cameras look. For phones that tell late, remember
        where bodies are."""
        watching = tracker.looking(t_ns)
        if watching != self.watching:
            self.watching = watching
            nothing = np.zeros(self.grid.cells.shape[:2], bool)
            self.grid.watch(np.logical_or.reduce([nothing, *(self._watches[name] for name in watching)]))
        self.grid.advance(t_ns)
        if self._enrolled.phone_row:
            self.trail.note(tracker)

    def told(self, t_ns: int) -> list[Radio]:
        """Per identity: its name, which sniffers and phones told of it when, and where that has it, one a map."""
        return [
            Radio(name, self.heard[name], partial(self._unseen, who, t_ns))
            for who, name in enumerate(self._enrolled.names)
        ]

    def _unseen(self, who: int, t_ns: int) -> list[Place]:
        near = self.positions.newest(self._enrolled.phones_of(who), t_ns)
        return [self.grid.position(row, near) for row in self._enrolled.map_rows[who]]
