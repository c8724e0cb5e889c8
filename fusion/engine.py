"""The engine: messages in, messages out, one object with one verb.

`Engine(site).step(message)` reorders, tracks bodies, weighs identities and publishes. It does no I/O, reads no clock
and draws no random numbers: the same messages in the same order give the same bytes, on run one and run thousand,
before and after `snapshot` and `restore`.
"""

from collections.abc import Callable
from functools import cache, partial
from hashlib import sha256
from typing import Any

import numpy as np
from msgspec.structs import replace

from ..messages import (
    CameraFrame,
    Checkpoint,
    Event,
    Health,
    Location,
    Message,
    PhonePosition,
    RadarFrame,
    Scene,
    WifiWindow,
    numbered,
)
from ..sitefile import Site, require_pseudonyms, site_as_json
from . import state as packing
from .carriers import Enrolled, Place, Trail, bodies_of
from .clocks import Clocks
from .continuity import Continuity
from .detections import CameraView, Detections, RadarView
from .evidence.position import PositionEvidence
from .evidence.rssi import RssiEvidence
from .following import follow
from .identities import Identities
from .models import Models
from .naming import Naming
from .people import Radio, describe
from .presence import Presence
from .radio_tuning import RadioTuning
from .recognition import Recognition
from .reorder import LONGEST_WINDOW_NS, SECOND_NS, Reorder
from .tracks import Tracker
from .windows import HeardWindows
from .wireless import WirelessGrid

_NO_MODELS = Models()
SOURCE = "fusion"
STATE_VERSION = 9  # of what `snapshot` saves; another one is not restored


class Engine:
    """Fuses one site's messages; `site` names devices as the messages do (by pseudonym, see sitefile.published)."""

    def __init__(self, site: Site, models: Models = _NO_MODELS) -> None:
        self.site = site
        self._models = models
        self.site_hash = sha256(site_as_json(site).encode()).hexdigest()[:16]
        self._enrolled = enrolled = Enrolled(site)
        self._names, self._device_row, self._owner_of = enrolled.names, enrolled.device_row, enrolled.owner_of
        cameras = {camera.id: CameraView(camera, site.area) for camera in site.cameras}
        self._views: dict[str, Callable[[Any], Detections]] = {
            **{f"camera/{name}": view.detections for name, view in cameras.items()},
            **{f"radar/{radar.id}": RadarView(radar, site.area).detections for radar in site.radars},
        }
        self._watching: tuple[str, ...] = ()  # the cameras that looked lately
        self._clocks = Clocks(site)
        self._reorder = Reorder(site.fusion)
        self._tracker = Tracker()
        self._continuity = Continuity()
        self._grid = WirelessGrid(site.area, site.sniffers, enrolled.maps)
        self._watches = {name: self._grid.within(view.sees) for name, view in cameras.items()}
        self._rssi = RssiEvidence(site.fusion, site.sniffers, len(self._owner_of), self._grid)
        rows = [enrolled.map_rows[owner] for owner in enrolled.phone_owner]
        self._positions = PositionEvidence(site.area, rows, enrolled.own_maps, self._grid)
        self._trail = Trail()
        self._windows = HeardWindows(site.sniffers)
        phones = [(enrolled.phone_owner, self._positions)] if rows else []
        self._identities = Identities(self._names, self._owner_of, self._rssi, *phones)
        self._recognition = Recognition(site, len(self._names), cameras, models)
        self._radio_tuning = RadioTuning(site, len(self._owner_of), self._grid, self._rssi)
        self._naming = Naming(site.fusion)
        self._presence = Presence()
        self._heard: dict[str, dict[str, int]] = {
            name: {} for name in self._names
        }  # per identity: sniffer or phone -> when
        self._seq: dict[str, int] = {}
        self._tick_ns = 0
        self._checkpoint_ns = 0
        self._counters: dict[str, int] = {}
        self._handlers: dict[type, Callable[[Any], None]] = {
            CameraFrame: self._see,
            RadarFrame: self._see,
            **({WifiWindow: self._hear} if "rssi" in site.fusion.evidence else {}),
            **({PhonePosition: self._locate} if "position" in site.fusion.evidence else {}),
        }

    @property
    def counters(self) -> dict[str, int]:
        """What became of every measurement: used, reordered, too_late, future, clock, too_soon and unknown per
        source, gated_out; and what the witnesses that remember know."""
        gated = {"gated_out": self._tracker.gated_out} if self._tracker.gated_out else {}
        heard = {**self._reorder.counters, **self._clocks.counters, **self._counters}
        return {**heard, **gated, **self._recognition.counters}

    def begin(self, t_ns: int, restored_from: str = "") -> list[Message]:
        """What a process says when it starts: a `started` event and a checkpoint to verify its recording from."""
        text = f"restored from {restored_from}" if restored_from else "started with nothing remembered"
        started = Event(source=SOURCE, t_ns=t_ns, type="started", id=SOURCE, text=text)
        return [self._numbered(started), self._checkpoint(t_ns)]

    def step(self, message: Message) -> list[Message]:
        """Take one message in; what is to be published comes out, in order. Messages of other kinds do nothing."""
        out: list[Message] = []
        if not isinstance(message, Health) and type(message) not in self._handlers:
            return out
        corrected = self._clocks.corrected(_bounded(message))
        if corrected is None:
            return out
        self._clocks.judged(corrected, self._reorder.push(corrected))
        if self._reorder.has_gone_back:
            return self._begin_again(corrected.t_ns)
        for released in self._reorder.released():
            out.extend(self._tick_until(released.t_ns))
            self._handlers[type(released)](released)
        out.extend(self._tick_until(self._reorder.watermark_ns))
        if out and self._tick_ns - self._checkpoint_ns >= self.site.fusion.checkpoint_s * SECOND_NS:
            self._checkpoint_ns = self._tick_ns
            out.append(self._checkpoint(self._tick_ns))
        return out

    def _see(self, frame: CameraFrame | RadarFrame) -> None:
        detections = self._views.get(frame.topic)
        if detections is None:
            self._count(f"unknown:{frame.source}")
            return
        seen = detections(frame)
        self._tracker.update(seen)
        self._follow_bodies()
        self._recognition.see(frame, seen, self._tracker)

    def _hear(self, window: WifiWindow) -> None:
        sniffer = self._rssi.sniffer_row(window.source)
        if sniffer is None:
            self._count(f"unknown:{window.source}")
            return
        self._tracker.advance(window.t_ns)
        self._follow_bodies()
        self._grid.advance(window.t_ns)
        bodies, rows = bodies_of(self._identities, self._tracker), self._confirmed_rows()
        paths = cache(lambda sniffer: self._rssi.paths(sniffer, bodies))  # the same for all of a window's devices
        for device, rssi_dbm in zip(window.devices, window.rssi_dbm, strict=True):
            if (row := self._device_row.get(device)) is None:
                require_pseudonyms(self.site, device)
                continue
            if self._rssi.is_too_soon(row, sniffer, window.t_ns):
                self._count(f"too_soon:{window.source}")
                continue
            owner = int(self._owner_of[row])
            self._heard[self._names[owner]][window.source] = window.t_ns
            nats = self._rssi.hear(
                row, sniffer, float(rssi_dbm), window.t_ns, paths(sniffer), self._identities.belief[owner]
            )
            self._identities.weigh(owner, nats)
            if (at := rows.get(self._names[owner])) is not None:
                place, spread = self._tracker.mean[at, :2], self._tracker.covariance[at, :2, :2]
                self._radio_tuning.calibration.observe(row, sniffer, float(rssi_dbm), place, spread, window.t_ns)
        for miss in self._windows.add(sniffer, window, self._device_row):
            nats = self._rssi.miss(miss.device, miss.sniffer, miss.packets, miss.t_ns, paths(miss.sniffer))
            self._identities.weigh(int(self._owner_of[miss.device]), nats)

    def _locate(self, position: PhonePosition) -> None:
        phone = self._enrolled.phone_row.get(position.source)
        if phone is None:
            self._count(f"unknown:{position.source}")
            return
        self._tracker.advance(position.t_ns)
        self._follow_bodies()
        if refusal := self._positions.refusal(phone, position, self._tracker.t_ns):
            self._count(f"{refusal}:{position.source}")
            return
        self._count(f"{'late' if position.t_ns < self._tracker.t_ns else 'used'}:{position.source}")
        self._grid.advance(position.t_ns)
        owner = int(self._enrolled.phone_owner[phone])
        self._heard[self._names[owner]][position.source] = position.t_ns
        bodies = self._trail.then(position.t_ns, self._identities, self._tracker)
        self._identities.weigh(owner, self._positions.hear(phone, position, bodies))

    def _confirmed_rows(self) -> dict[str, int]:
        """Per confirmed name, the row of its body in the tracker."""
        row_of = {int(number): row for row, number in enumerate(self._tracker.number)}
        names = self._naming.names
        return {name.identity: row_of[body] for body, name in names.items() if body in row_of}

    def _carried(self) -> dict[str, tuple[float, float]]:
        """Per device whose owner is confirmed, where that body is: x, y in m."""
        rows = self._confirmed_rows()
        owners = {device: self._names[int(self._owner_of[row])] for device, row in self._device_row.items()}
        places = {name: self._tracker.mean[row, :2].tolist() for name, row in rows.items()}
        return {device: (*places[owner],) for device, owner in owners.items() if owner in places}

    def _follow_bodies(self) -> None:
        likelier = partial(self._enrolled.likelier, self._grid)
        follow(self._tracker, self._continuity, self._identities, self._recognition, likelier)

    def _tick_until(self, t_ns: int) -> list[Message]:
        """Scenes at fixed instants of event time, whatever came in between."""
        period_ns = round(SECOND_NS / self.site.fusion.scene_hz)
        if t_ns - self._tick_ns > 10 * SECOND_NS:  # the first message, or time has jumped: no scenes for the gap
            self._tick_ns = t_ns // period_ns * period_ns
            self._checkpoint_ns = self._tick_ns
        out: list[Message] = []
        while self._tick_ns + period_ns <= t_ns:
            self._tick_ns += period_ns
            out.extend(self._tick(self._tick_ns, period_ns / SECOND_NS))
        return out

    def _tick(self, t_ns: int, elapsed_s: float) -> list[Message]:
        self._tracker.advance(t_ns)
        self._follow_bodies()
        self._watch(t_ns)
        self._grid.advance(t_ns)
        if self._enrolled.phone_row:
            self._trail.note(self._tracker)
        known = {int(n): self._tracker.mean[row, :2] for row, n in enumerate(self._tracker.number)}
        lost = self._continuity.places(t_ns)
        positions = {number: known[number] for number in self._live_numbers() if number in known}
        gone = {number: place for number, (place, _) in lost.items()}
        self._identities.pass_time(elapsed_s, {**positions, **gone}, self._tracker.distinct())
        self._recognition.weigh(t_ns, self._identities)
        answer = self._identities.answer(elapsed_s)
        self._recognition.settle(t_ns, answer, self._tracker)
        events = self._naming.update(SOURCE, t_ns, self._names, answer)
        self._clocks.see(t_ns, self._carried())
        events.extend(self._clocks.take_warnings(SOURCE, t_ns))
        events.extend(self._radio_tuning.update(SOURCE, t_ns))
        since_ns = self._presence.since_ns
        people = describe(t_ns, self._tracker, self._naming, answer, self._radio(t_ns), since_ns, lost)
        events.extend(self._presence.update(SOURCE, t_ns, people))
        locations = [Location(source=SOURCE, t_ns=t_ns, **person.fields()) for person in people]
        scene = Scene(source=SOURCE, t_ns=t_ns, people=tuple(people))
        return [self._numbered(message) for message in (*events, *locations, scene)]

    def _watch(self, t_ns: int) -> None:
        """Tell the radio's maps which places cameras look at now."""
        watching = self._tracker.looking(t_ns)
        if watching != self._watching:
            self._watching = watching
            nothing = np.zeros(self._grid.cells.shape[:2], bool)
            self._grid.watch(np.logical_or.reduce([nothing, *(self._watches[name] for name in watching)]))

    def _live_numbers(self) -> list[int]:
        return [n for n, live in zip(self._identities.numbers, self._identities.live, strict=True) if live]

    def _radio(self, t_ns: int) -> list[Radio]:
        """Per identity: its name, which sniffers and phones told of it when, and where that has it, one a map."""
        return [
            Radio(name, self._heard[name], partial(self._unseen, who, t_ns)) for who, name in enumerate(self._names)
        ]

    def _unseen(self, who: int, t_ns: int) -> list[Place]:
        near = self._positions.newest(self._enrolled.phones_of(who), t_ns)
        return [self._grid.position(row, near) for row in self._enrolled.map_rows[who]]

    def _begin_again(self, t_ns: int) -> list[Message]:
        """Time has gone back: what was known of bodies is of another time. What sensors are stays, and all counts."""
        fresh = Engine(self.site, self._models)
        fresh._reorder.counters = self._reorder.counters
        fresh._tracker.gated_out = self._tracker.gated_out
        for name in _PARTS + _PLAIN:
            if name not in _OUTLAST:
                setattr(self, f"_{name}", getattr(fresh, f"_{name}"))
        text = "time has gone back: everything begins anew"
        return [self._numbered(Event(source=SOURCE, t_ns=t_ns, type="warning", id=SOURCE, text=text))]

    def _checkpoint(self, t_ns: int) -> Message:
        bodies = {f"location/anon-{number}" for number in self._tracker.number}  # other anonymous ids never come back
        self._seq = {t: n for t, n in self._seq.items() if not t.startswith("location/anon-") or t in bodies}
        checkpoint = Checkpoint(source=SOURCE, t_ns=t_ns, state=b"", site_hash=self.site_hash)
        ticket = self._numbered(checkpoint)  # number first: the state must know that this number is taken
        return Checkpoint(source=SOURCE, t_ns=t_ns, seq=ticket.seq, state=self.snapshot(), site_hash=self.site_hash)

    def _numbered(self, message: Message) -> Message:
        return numbered(message, self._seq)

    def _count(self, name: str) -> None:
        self._counters[name] = self._counters.get(name, 0) + 1

    def snapshot(self) -> bytes:
        """The whole state as bytes."""
        parts = {name: getattr(self, f"_{name}").state() for name in _PARTS}
        plain = {name: getattr(self, f"_{name}") for name in _PLAIN}
        return packing.pack({"version": STATE_VERSION, "site_hash": self.site_hash, **parts, **plain})

    @classmethod
    def restore(cls, site: Site, state: bytes, models: Models = _NO_MODELS) -> "Engine":
        """The engine that `snapshot` saved. Raises ValueError for a state of another site or another program."""
        engine = cls(site, models)
        saved = packing.unpack(state)
        if saved.get("version") != STATE_VERSION:
            raise ValueError(f"this state was saved by another version of whowhere ({saved.get('version')})")
        if saved.get("site_hash") != engine.site_hash:
            raise ValueError(f"this state belongs to site {saved.get('site_hash')}, not to {engine.site_hash}")
        try:
            engine._load(saved)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"this state was saved by another version of whowhere: {error!r}") from error
        return engine

    def _load(self, saved: dict[str, Any]) -> None:
        self._reorder = Reorder.from_state(self.site.fusion, saved["reorder"])
        self._tracker = Tracker.from_state(saved["tracker"])
        self._continuity = Continuity.from_state(saved["continuity"])
        for name in _PARTS[_REMADE:]:
            getattr(self, f"_{name}").load(saved[name])
        for name in _PLAIN:
            setattr(self, f"_{name}", saved[name])
        self._watching = tuple(saved["watching"])  # a packed tuple comes back as a list, which equals no tuple


def _bounded(message: Message) -> Message:
    """A WiFi window of absurd length counts as one of the longest that is believed."""
    longest_s = LONGEST_WINDOW_NS / SECOND_NS
    if isinstance(message, WifiWindow) and message.window_s > longest_s:
        return replace(message, window_s=longest_s)
    return message


_REMADE = 3  # of the parts, those that come back by `from_state`
_PARTS = (
    *("reorder", "tracker", "continuity"),
    *(
        "clocks",
        "grid",
        "rssi",
        "positions",
        "trail",
        "windows",
        "identities",
        "recognition",
        "radio_tuning",
        "naming",
        "presence",
    ),
)
_PLAIN = ("watching", "heard", "seq", "tick_ns", "checkpoint_ns", "counters")
_OUTLAST = ("clocks", "seq", "counters")  # a time that goes back
