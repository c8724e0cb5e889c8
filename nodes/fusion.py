"""The fusion node: the engine on the bus. It resumes from the last checkpoint that the hub remembers."""

import threading
import time

from msgspec.structs import replace

from ..fusion.engine import SOURCE, Engine
from ..messages import INPUT_KINDS, Checkpoint, Message
from ..sitefile import Bus, Site
from .bus import BusError, Publisher, Service, Subscriber
from .health import Heartbeat
from .ledger import Ledger
from .node import NodeConfig


def main(config: NodeConfig, stop: threading.Event) -> None:
    site = config.site
    ledger = Ledger()
    prefixes = [f"{kind}/" for kind in INPUT_KINDS]
    with Publisher(site.bus, SOURCE) as publisher, Subscriber(site.bus, prefixes) as subscriber:
        heartbeat = Heartbeat(publisher, SOURCE)
        engine, origin = resume(site, site.bus)
        for message in engine.begin(time.time_ns(), origin):
            publisher.forward(message)
        while not stop.is_set():
            received = subscriber.receive(0.1)
            if (
                received
                and received.message.source != SOURCE
                and ledger.admit(received.topic, received.stamp.boot, received.message.seq, received.message.t_ns)
            ):
                for message in engine.step(received.message):
                    publisher.forward(with_ranges(message, ledger))
                    heartbeat.count(message)
            heartbeat.beat(
                detail=ledger.complaint(), counters={**engine.counters, **ledger.counters, **subscriber.counters}
            )


def resume(site: Site, bus: Bus) -> tuple[Engine, str]:
    """The engine as the last checkpoint left it, and which that was; a new one where there is none that fits."""
    try:
        known = Service(bus).snapshot([f"checkpoint/{SOURCE}"])
    except BusError:
        known = []
    for received in known:
        if isinstance(received.message, Checkpoint):
            try:
                return Engine.restore(site, received.message.state), f"checkpoint {received.message.seq}"
            except ValueError:
                continue  # another site's, or another version's: begin anew
    return Engine(site), ""


def with_ranges(message: Message, ledger: Ledger) -> Message:
    """A checkpoint also says which messages this process has received, so that a recording can be verified."""
    return replace(message, received=ledger.ranges()) if isinstance(message, Checkpoint) else message
