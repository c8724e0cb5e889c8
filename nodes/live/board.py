"""What the page knows: the last scene, everybody's last health, recent events, and one mailbox for each browser.

A mailbox holds the newest message of each topic only, so a slow browser skips scenes instead of falling behind.
Everything here belongs to the server's event loop; it knows no HTTP.
"""

import asyncio
import time
from collections import deque
from typing import Any

import msgspec

from ...messages import Event, Health, Message, Scene, SiteInForce, as_json
from ...sitefile import Site, SiteError, site_from_json
from .cables import Cables
from .plan import plan_of

EVENTS = 60  # recent ones, that a browser gets when it joins
FORGOTTEN_S = 60.0  # a process silent for longer is no longer listed


class Mailbox:
    """What one browser has yet to be sent, oldest topic first."""

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {}
        self._filled = asyncio.Event()

    def put(self, topic: str, text: str) -> bool:
        """False where it took the place of a message that was never sent."""
        is_new = topic not in self._waiting
        self._waiting[topic] = text
        self._filled.set()
        return is_new

    async def take(self, timeout_s: float) -> list[str]:
        """Everything waiting, or nothing when nothing came in time."""
        try:
            await asyncio.wait_for(self._filled.wait(), timeout_s)
        except TimeoutError:
            return []
        texts, self._waiting = list(self._waiting.values()), {}
        self._filled.clear()
        return texts


class Board:
    """counters: browsers (now), skipped (messages that a slow browser was spared)."""

    def __init__(self, site: Site, run_dir: str = "") -> None:
        self.plan = plan_of(site)
        self.cables = Cables(site, run_dir)
        self.scene: Scene | None = None
        self.healths: dict[str, Health] = {}
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self.counters = {"browsers": 0, "skipped": 0}
        self._mailboxes: list[Mailbox] = []

    def take(self, message: Message) -> None:
        """Keep a message and pass it to every browser."""
        text = as_json(message)
        topic = message.topic
        if isinstance(message, Scene):
            self.scene = message
        elif isinstance(message, Health):
            self.healths[message.source] = message
            self._forget_silent(message.t_ns)
        elif isinstance(message, Event):
            self.events.append(message)
            topic = f"{topic}/{message.t_ns}/{message.seq}"  # each event counts, also to a slow browser
        elif isinstance(message, SiteInForce):
            try:
                self.plan = plan_of(site_from_json(message.document))
            except SiteError:
                return
            text = _as_text(self.plan)
        self._pass_on(topic, text)

    def pull_cable(self, sensor: str, is_unplugged: bool) -> dict[str, Any]:
        """Pull a simulated sensor's cable or plug it in, and show it everywhere. Raises KeyError and OSError."""
        self.cables.pull(sensor, is_unplugged)
        now = self.cables.as_message()
        self._pass_on("cables", _as_text(now))
        return now

    def join(self) -> Mailbox:
        """A new browser's mailbox, with everything that is known already in it."""
        mailbox = Mailbox()
        mailbox.put("plan", _as_text(self.plan))
        mailbox.put("cables", _as_text(self.cables.as_message()))
        for source, health in self.healths.items():
            mailbox.put(f"health/{source}", as_json(health))
        for event in self.events:
            mailbox.put(f"event/{event.source}/{event.t_ns}/{event.seq}", as_json(event))
        if self.scene:
            mailbox.put(self.scene.topic, as_json(self.scene))
        self._mailboxes.append(mailbox)
        self.counters["browsers"] = len(self._mailboxes)
        return mailbox

    def leave(self, mailbox: Mailbox) -> None:
        self._mailboxes.remove(mailbox)
        self.counters["browsers"] = len(self._mailboxes)

    def scene_age_s(self) -> float | None:
        """How long ago the world was as the last scene shows it; None before the first."""
        return (time.time_ns() - self.scene.t_ns) / 1e9 if self.scene else None

    def _pass_on(self, topic: str, text: str) -> None:
        for mailbox in self._mailboxes:
            self.counters["skipped"] += not mailbox.put(topic, text)

    def _forget_silent(self, now_ns: int) -> None:
        for source, health in list(self.healths.items()):
            if now_ns - health.t_ns > FORGOTTEN_S * 1e9:
                del self.healths[source]


def _as_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
