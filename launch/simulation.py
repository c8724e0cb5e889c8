"""A simulated session without processes, faster than real time: the world's messages through one engine into a file.

It stands in for the bus and for one fusion process that runs from the first message to the last, so that
`whowhere replay FILE --verify` holds for what it writes. The same site and seed give the same messages, byte for byte.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from ..drivers.simulated.streams import EPOCH_NS, streams
from ..drivers.wifi.pseudonyms import enrolled_pseudonym
from ..fusion.engine import Engine
from ..messages import INPUT_KINDS, Checkpoint, Message, SiteInForce, Stamp, encode, kind_of
from ..nodes.bus import Received
from ..nodes.ledger import Ledger
from ..nodes.model_files import hashes
from ..nodes.models import models_of
from ..nodes.session import SessionWriter
from ..sitefile import Site, published, site_as_json
from .located import located, locator_of
from .rehearsal import UPLOAD_NS, rehearse

# From sensing to hearing about it, typical of the real nodes: UART line, exposure to detection, end of window,
# upload of a second.
DELAY_NS = {"radar": 30_000_000, "camera": 150_000_000, "wifi": 100_000_000, "phone": UPLOAD_NS}


@dataclass(slots=True)
class Simulation:
    """Writes one session of `site` (published) to `out`. heard_ns: the latest arrival; counts: messages by kind."""

    site: Site
    out: Path
    heard_ns: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    _ledger: Ledger = field(default_factory=Ledger)

    def run(self, heard: Iterator[tuple[int, Message]], watch: Callable[["Simulation"], None] = lambda _: None) -> None:
        """heard: (arrival_ns, numbered message) in the order of arrival. Raises SessionError, OSError (disk full)."""
        engine = Engine(self.site, models_of(self.site))
        with SessionWriter(self.out, site_as_json(self.site), hashes(self.site)) as writer:
            for arrival_ns, message in heard:
                if not self.counts:
                    self._write(writer, self._opening(arrival_ns), arrival_ns)
                    self._write_all(writer, engine.begin(arrival_ns), arrival_ns)
                self.heard_ns = arrival_ns
                self._write(writer, message, arrival_ns)
                if kind_of(message) in INPUT_KINDS and self._is_admitted(message):
                    self._write_all(writer, engine.step(message), arrival_ns)
                watch(self)

    def _opening(self, t_ns: int) -> Message:
        return SiteInForce(source=self.site.name, t_ns=t_ns, document=site_as_json(self.site))

    def _is_admitted(self, message: Message) -> bool:
        return self._ledger.admit(message.topic, boot_of(message.source), message.seq, message.t_ns)

    def _write_all(self, writer: SessionWriter, outputs: list[Message], t_ns: int) -> None:
        for output in outputs:
            if isinstance(output, Checkpoint):
                output = replace(output, received=self._ledger.ranges())
            self._write(writer, output, t_ns)

    def _write(self, writer: SessionWriter, message: Message, t_ns: int) -> None:
        stamp = Stamp(boot_of(message.source), t_ns)
        writer.write(Received(message.topic, message, stamp, encode(message)), t_ns)
        kind = kind_of(message)
        self.counts[kind] = self.counts.get(kind, 0) + 1


def arrivals(messages: Iterator[Message]) -> Iterator[tuple[int, Message]]:
    """(arrival_ns, message) in the order of arrival, of messages that come in the order of t_ns."""
    waiting: list[tuple[int, int, Message]] = []
    for number, message in enumerate(messages):
        arrival_ns = message.t_ns + DELAY_NS.get(kind_of(message), 0)
        heapq.heappush(waiting, (arrival_ns, number, message))
        while waiting and waiting[0][0] <= message.t_ns:
            arrival_ns, _, due = heapq.heappop(waiting)
            yield arrival_ns, due
    while waiting:
        arrival_ns, _, due = heapq.heappop(waiting)
        yield arrival_ns, due


def sensed(site: Site, seconds: float, is_through_boxes: bool) -> Iterator[tuple[int, Message]]:
    """(arrival_ns, message) of the sensors of `site` (with its addresses), and where its phones are by their own where
    it has a radio map. is_through_boxes: straight from the world, without bytes and pixels, which is many times
    faster."""
    if is_through_boxes:
        heard = arrivals(streams(published_for_simulation(site), seconds, EPOCH_NS))
    else:
        heard = rehearse(site, seconds, EPOCH_NS, key_of(site))
    return located(heard, locator_of(site))


def published_for_simulation(site: Site) -> Site:
    key = key_of(site)
    return published(site, lambda address: enrolled_pseudonym(key, address))


def key_of(site: Site) -> bytes:
    """A key for pseudonyms that depends on the seed alone: nobody real is behind simulated addresses."""
    seed = site.simulated.seed if site.simulated else 0
    return sha256(f"whowhere simulated {seed}".encode()).digest()


def boot_of(source: str) -> str:
    """A boot id that is the same in every simulation of the same source."""
    return sha256(source.encode()).hexdigest()[:8]
