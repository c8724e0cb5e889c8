"""From a recorded session to the first radio map of its site: what `whowhere learn radiomap --from-session` reads.

Where a phone scanned is taken from the people whose names were confirmed then. Which labels to believe and what map
they make is models/radiomap/selfsurvey.py's; this only brings scans and people together.
"""

from collections.abc import Iterable

import numpy as np

from ..messages import Location, Message, PhoneBatch
from ..models.radiomap.maps import FingerprintMap
from ..models.radiomap.selfsurvey import LabelledScan, survey
from ..nodes.session import Session
from ..sitefile import Site
from .errors import LaunchError

LONGEST_GAP_NS = 1_000_000_000  # between two confirmed places, to know where somebody was
OLDEST_S = 3.0  # a scan that ended longer before its batch did was taken somewhere else


def from_session(session: Session, name: str = "", version: str = "1") -> FingerprintMap:
    """The map that a session's phones and confirmed people make; `name` is the site's where none is given. Raises
    LaunchError where the session has no phones, MapError where too little can be learnt, SessionError."""
    site = session.site()
    if not site.phones:
        raise LaunchError(f"{session.path}: this session's site has no phones, so nobody surveyed anything")
    messages = list(session.messages())
    scans = labelled(site, messages)
    heard = sum(1 for message in messages if isinstance(message, PhoneBatch) and message.scan)
    about = {"session": session.path.name, "minutes": minutes(scans), "scans_heard": heard}
    return survey(scans, name or site.name, version, about)


def labelled(site: Site, messages: Iterable[Message]) -> list[LabelledScan]:
    """The scans of phones whose owners were confirmed bodies then, with where those were."""
    owner_of = {phone.id: phone.owner for phone in site.phones}
    eyes = frozenset(sensor.id for sensor in (*site.cameras, *site.radars))
    batches: list[PhoneBatch] = []
    places: dict[str, list[tuple[int, float, float, float, int]]] = {}
    for message in messages:
        if isinstance(message, PhoneBatch) and message.scan and message.scan_age_s <= OLDEST_S:
            batches.append(message)
        elif isinstance(message, Location) and message.state == "confirmed" and not eyes.isdisjoint(message.sources):
            probability = dict(message.candidates).get(message.id, 0.0)
            row = (message.t_ns, message.x_m, message.y_m, probability, message.track or 0)
            places.setdefault(message.id, []).append(row)
    trails = {name: Trail(rows) for name, rows in places.items()}
    scans = []
    for batch in batches:
        t_ns = batch.t_ns - round(batch.scan_age_s * 1e9)
        trail = trails.get(owner_of.get(batch.source, ""))
        if trail and (found := trail.place(t_ns)):
            scans.append(LabelledScan(t_ns, batch.source, dict(batch.scan), *found))
    return scans


def minutes(scans: list[LabelledScan]) -> float:
    """How long the labelled phones were walked, added up; gaps of more than 10 s are none."""
    seconds = 0.0
    for phone in dict.fromkeys(scan.phone for scan in scans):
        times = np.sort([scan.t_ns for scan in scans if scan.phone == phone])
        gaps = np.diff(times) / 1e9
        seconds += float(gaps[gaps <= 10.0].sum())
    return round(seconds / 60, 2)


class Trail:
    """Where one confirmed person was; rows of (t_ns, x, y in m, probability, body)."""

    def __init__(self, rows: list[tuple[int, float, float, float, int]]) -> None:
        self._rows = sorted(rows)
        self._times = np.array([row[0] for row in self._rows], np.int64)

    def place(self, t_ns: int) -> tuple[np.ndarray, float] | None:
        """Where they were (2,) at an instant, and how surely it was them: between two places of one body; else
        None."""
        after = int(np.searchsorted(self._times, t_ns))
        if not 0 < after < len(self._rows):
            return None
        first, last = self._rows[after - 1], self._rows[after]
        if last[0] - first[0] > LONGEST_GAP_NS or first[4] != last[4]:
            return None
        share = (t_ns - first[0]) / max(last[0] - first[0], 1)
        here, there = np.array(first[1:3]), np.array(last[1:3])
        return (1 - share) * here + share * there, min(first[3], last[3])
