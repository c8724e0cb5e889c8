"""The engine: messages in, messages out, one object with one verb.

`Engine(site).step(message)` reorders, tracks bodies, weighs identities and publishes. It does no I/O, reads no clock
and draws no random numbers: the same messages in the same order give the same bytes, on run one and run thousand,
before and after `snapshot` and `restore`.
"""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

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
from ..sitefile import Site, site_as_json
from . import state as packing
from .carriers import Enrolled
from .clocks import Clocks
from .continuity import Continuity
from .detections import CameraView, Detections, Expected
from .following import follow, returning
from .hearing import Hearing
from .identities import Identities
from .models import Models
from .naming import Naming
from .people import describe
from .presence import Presence
from .radar_view import RadarView
from .recognition import Recognition
from .reorder import LONGEST_WINDOW_NS, SECOND_NS, Reorder
from .tracks import Tracker

_NO_MODELS = Models()
SOURCE = "fusion"
STATE_VERSION = 10  # of what `snapshot` saves; another one is not restored


class Engine:
    """Fuses one site's messages; `site` names devices as the messages do (by pseudonym, see sitefile.published)."""

    def __init__(self, site: Site, models: Models = _NO_MODELS) -> None:
        self.site = site
        self._models = models
        self.site_hash = sha256(site_as_json(site).encode()).hexdigest()[:16]
        self._enrolled = enrolled = Enrolled(site)
        cameras = {camera.id: CameraView(camera, site.area) for camera in site.cameras}
        self._views: dict[str, Callable[[Any, Expected], Detections]] = {
            **{f"camera/{name}": view.detections for name, view in cameras.items()},
            **{f"radar/{radar.id}": RadarView(radar, site.area).detections for radar in site.radars},
        }
        self._clocks = Clocks(site)
        self._reorder = Reorder(site.fusion)
        self._tracker = Tracker()
        self._continuity = Continuity()
        self._hearing = Hearing(site, enrolled, cameras)
        phones = [(enrolled.phone_owner, self._hearing.positions)] if len(enrolled.phone_owner) else []
        self._identities = Identities(enrolled.names, enrolled.owner_of, self._hearing.rssi, *phones)
        self._recognition = Recognition(site, len(enrolled.names), cameras, models)
        self._naming = Naming(site.fusion)
        self._presence = Presence()
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
        seen = detections(frame, self._tracker.expected(frame.source, frame.t_ns))
        self._tracker.update(seen, partial(returning, self._tracker, self._continuity))
        self._follow_bodies()
        self._recognition.see(frame, seen, self._tracker)

    def _hear(self, window: WifiWindow) -> None:
        sniffer = self._hearing.rssi.sniffer_row(window.source)
        if sniffer is None:
            self._count(f"unknown:{window.source}")
            return
        self._tracker.advance(window.t_ns)
        self._follow_bodies()
        confirmed = self._confirmed_rows()
        self._hearing.hear(sniffer, window, self._tracker, self._identities, confirmed, self._count)

    def _locate(self, position: PhonePosition) -> None:
        phone = self._enrolled.phone_row.get(position.source)
        if phone is None:
            self._count(f"unknown:{position.source}")
            return
        self._tracker.advance(position.t_ns)
        self._follow_bodies()
        self._hearing.locate(phone, position, self._tracker, self._identities, self._count)

    def _confirmed_rows(self) -> dict[str, int]:
        """Per confirmed name, the row of its body in the tracker."""
        row_of = {int(number): row for row, number in enumerate(self._tracker.number)}
        names = self._naming.names
        return {name.identity: row_of[body] for body, name in names.items() if body in row_of}

    def _carried(self) -> dict[str, tuple[float, float]]:
        """Per device whose owner is confirmed, where that body is: x, y in m."""
        rows, enrolled = self._confirmed_rows(), self._enrolled
        owners = {device: enrolled.names[int(enrolled.owner_of[row])] for device, row in enrolled.device_row.items()}
        places = {name: self._tracker.mean[row, :2].tolist() for name, row in rows.items()}
        return {device: (*places[owner],) for device, owner in owners.items() if owner in places}

    def _follow_bodies(self) -> None:
        likelier = partial(self._enrolled.likelier, self._hearing.grid)
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
        self._hearing.pass_time(t_ns, self._tracker)
        known = {int(n): self._tracker.mean[row, :2] for row, n in enumerate(self._tracker.number)}
        lost = self._continuity.places(t_ns)
        positions = {number: known[number] for number in self._live_numbers() if number in known}
        gone = {number: place for number, (place, _) in lost.items()}
        self._identities.pass_time(elapsed_s, {**positions, **gone}, self._tracker.distinct())
        self._recognition.weigh(t_ns, self._identities)
        answer = self._identities.answer(elapsed_s)
        self._recognition.settle(t_ns, answer, self._tracker)
        events = self._naming.update(SOURCE, t_ns, self._enrolled.names, answer)
        self._clocks.see(t_ns, self._carried())
        events.extend(self._clocks.take_warnings(SOURCE, t_ns))
        events.extend(self._hearing.tuning.update(SOURCE, t_ns))
        heard, since_ns = self._hearing.told(t_ns), self._presence.since_ns
        people = describe(t_ns, self._tracker, self._naming, answer, heard, since_ns, lost)
        events.extend(self._presence.update(SOURCE, t_ns, people))
        locations = [Location(source=SOURCE, t_ns=t_ns, **person.fields()) for person in people]
        scene = Scene(source=SOURCE, t_ns=t_ns, people=tuple(people))
        return [self._numbered(message) for message in (*events, *locations, scene)]

    def _live_numbers(self) -> list[int]:
        return [n for n, live in zip(self._identities.numbers, self._identities.live, strict=True) if live]

    def _begin_again(self, t_ns: int) -> list[Message]:
        """Time has gone back: what was known of bodies is of another time. What sensors are stays, and all counts."""
        fresh = Engine(self.site, self._models)
        fresh._reorder.counters = self._reorder.counters
        fresh._tracker.gated_out = self._tracker.gated_out
        for name in _OF_THE_TIME:
            setattr(self, name, getattr(fresh, name))
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
        states = {name: part.state() for name, part in self._parts().items()}
        plain = {
            "watching": self._hearing.watching,
            "heard": self._hearing.heard,
            "seq": self._seq,
            "tick_ns": self._tick_ns,
            "checkpoint_ns": self._checkpoint_ns,
            "counters": self._counters,
        }
        return packing.pack({"version": STATE_VERSION, "site_hash": self.site_hash, **states, **plain})

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
        for name, part in self._parts().items():
            if name not in _REMADE:
                part.load(saved[name])
        self._hearing.watching = tuple(saved["watching"])  # packed, it comes back as a list, which equals no tuple
        self._hearing.heard, self._seq, self._counters = saved["heard"], saved["seq"], saved["counters"]
        self._tick_ns, self._checkpoint_ns = saved["tick_ns"], saved["checkpoint_ns"]

    def _parts(self) -> dict[str, Any]:
        """Whatever keeps a state of its own, by the name and in the order in which it is saved."""
        return {
            "reorder": self._reorder,
            "tracker": self._tracker,
            "continuity": self._continuity,
            "clocks": self._clocks,
            "grid": self._hearing.grid,
            "rssi": self._hearing.rssi,
            "positions": self._hearing.positions,
            "trail": self._hearing.trail,
            "windows": self._hearing.windows,
            "identities": self._identities,
            "recognition": self._recognition,
            "radio_tuning": self._hearing.tuning,
            "naming": self._naming,
            "presence": self._presence,
        }


def _bounded(message: Message) -> Message:
    """A WiFi window of absurd length counts as one of the longest that is believed."""
    longest_s = LONGEST_WINDOW_NS / SECOND_NS
    if isinstance(message, WifiWindow) and message.window_s > longest_s:
        return replace(message, window_s=longest_s)
    return message


_REMADE = ("reorder", "tracker", "continuity")  # parts that come back by `from_state`
_OF_THE_TIME = (  # what a time that goes back takes away
    *("_reorder", "_tracker", "_continuity", "_hearing", "_identities", "_recognition", "_naming", "_presence"),
    *("_tick_ns", "_checkpoint_ns"),
)
