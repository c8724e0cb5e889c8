"""Who may carry what: the rows of enrolled devices and phones, and where the bodies that may carry them are now, or
were a moment ago, when a phone that tells late was there.
"""

from collections import deque
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..sitefile import Site
from .evidence.columns import Bodies
from .geometry import Floats
from .identities import Identities
from .tracks import Tracker
from .wireless import WirelessGrid

UNSEEN_VARIANCE_M2 = 1e6  # a lost body's place says nothing about a signal
TRAIL_NS = 7_000_000_000  # how far back the trail goes
WALK_M2_PER_S = 1.0  # how far a body may have walked where the trail does not say

Place = tuple[Floats, Floats]  # mean (2,), covariance (2,2)


class Enrolled:
    """names: of those who consent. device_row, phone_row: of their devices and phones; owner_of, phone_owner: per
    such row, the row of its owner. map_rows: per owner the rows of their maps of "where, unseen": one a device, or,
    for who has none, one a phone, behind all devices' (own_maps: phone -> row); maps: how many there are."""

    def __init__(self, site: Site) -> None:
        enrolled = [identity for identity in site.identities if identity.consent]
        self.names = tuple(identity.name for identity in enrolled)
        devices = [(device, row) for row, identity in enumerate(enrolled) for device in identity.devices]
        self.device_row = {device: index for index, (device, _) in enumerate(devices)}
        self.owner_of: NDArray[np.intp] = np.array([row for _, row in devices], np.intp)
        phones = [(phone.id, self.names.index(phone.owner)) for phone in site.phones if phone.owner in self.names]
        self.phone_row = {name: index for index, (name, _) in enumerate(phones)}
        self.phone_owner: NDArray[np.intp] = np.array([row for _, row in phones], np.intp)
        alone = [phone for phone, (_, owner) in enumerate(phones) if not enrolled[owner].devices]
        self.own_maps = {phone: len(devices) + index for index, phone in enumerate(alone)}
        self.maps = len(devices) + len(alone)
        self.map_rows = [
            [row for row, owner in enumerate(self.owner_of) if owner == who]
            or [self.own_maps[phone] for phone in self.phones_of(who)]
            for who in range(len(enrolled))
        ]

    def likelier(self, grid: WirelessGrid, place: Floats) -> Floats:
        """(identities,) how many times likelier each is unseen about a place (2,) than anywhere, by its first map."""
        return np.array([grid.likelier(rows[0], place) if rows else 1.0 for rows in self.map_rows])

    def phones_of(self, who: int) -> list[int]:
        return np.flatnonzero(self.phone_owner == who).tolist()


def bodies_of(identities: Identities, tracker: Tracker) -> Bodies:
    """The bodies of the identity columns 1..K, now."""
    row_of = {int(number): row for row, number in enumerate(tracker.number)}
    numbers = identities.numbers[1:]
    position, heading = np.zeros((len(numbers), 2)), np.zeros(len(numbers))
    covariance = np.tile(UNSEEN_VARIANCE_M2 * np.eye(2), (len(numbers), 1, 1))
    for column, number in enumerate(numbers):
        if number in row_of and identities.live[1 + column]:
            row = row_of[number]
            position[column] = tracker.mean[row, :2]
            covariance[column] = tracker.covariance[row, :2, :2]
            heading[column] = tracker.heading[row]
    return Bodies(position, covariance, heading)


class Trail:
    """Where bodies were in the last seconds: per instant, their numbers and places (n,2)."""

    def __init__(self) -> None:
        self._past: deque[tuple[int, list[int], Floats]] = deque()

    def note(self, tracker: Tracker) -> None:
        """Remember now."""
        self._past.append((tracker.t_ns, tracker.number.tolist(), tracker.mean[:, :2].copy()))
        while self._past[0][0] < tracker.t_ns - TRAIL_NS:
            self._past.popleft()

    def then(self, t_ns: int, identities: Identities, tracker: Tracker) -> Bodies:
        """The bodies of the identity columns where they were at `t_ns`, with the covariances that they have now; where
        that is not known, where they were next, and less surely so."""
        bodies = bodies_of(identities, tracker)
        if t_ns >= tracker.t_ns:
            return bodies
        position, covariance = bodies.position.copy(), bodies.covariance.copy()
        for column, number in enumerate(identities.numbers[1:]):
            times = [when for when, numbers, _ in self._past if number in numbers]
            if not times or not identities.live[1 + column]:
                continue
            known = np.array([places[numbers.index(number)] for _, numbers, places in self._past if number in numbers])
            ages_s = np.array([(when - tracker.t_ns) / 1e9 for when in times])
            age_s = (t_ns - tracker.t_ns) / 1e9
            position[column] = [np.interp(age_s, ages_s, known[:, axis]) for axis in (0, 1)]
            covariance[column] += WALK_M2_PER_S * max(ages_s[0] - age_s, 0.0) * np.eye(2)
        return msgspec.structs.replace(bodies, position=position, covariance=covariance)

    def state(self) -> dict[str, Any]:
        return {"past": [list(entry) for entry in self._past]}

    def load(self, state: dict[str, Any]) -> None:
        self._past = deque((t_ns, numbers, places) for t_ns, numbers, places in state["past"])
