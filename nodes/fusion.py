"""The fusion node: the engine on the bus. It resumes from the last checkpoint that the hub remembers."""

import threading
import time

from msgspec.structs import replace

from ..fusion.engine import SOURCE, Engine
from ..fusion.models import Models
from ..messages import INPUT_KINDS, Checkpoint, Message
from ..sitefile import Bus, Site, SiteError
from .bus import BusError, Publisher, Received, Service, Subscriber
from .health import Heartbeat
from .ledger import Ledger
from .models import models_of
from .node import NodeConfig


def main(config: NodeConfig, stop: threading.Event) -> None:
    site = config.site
    ledger = Ledger()
    prefixes = [f"{kind}/" for kind in INPUT_KINDS]
    with Publisher(site.bus, SOURCE) as publisher, Subscriber(site.bus, prefixes) as subscriber:
        heartbeat = Heartbeat(publisher, SOURCE)
        try:
            models = models_of(site)
        except SiteError as error:  # a model that is none: a person must put it right
            while not stop.wait(0.1):
                heartbeat.beat("refused", str(error))
            return
        received = subscriber.receive(1.0)  # from here on nothing passes unheard
        engine, origin, fed = resume(site, site.bus, models)
        for message in engine.begin(time.time_ns(), origin):
            publisher.forward(message)
        while not stop.is_set():
            if received and is_new(received, fed) and admit(received, ledger):
                for message in engine.step(received.message):
                    publisher.forward(with_ranges(message, ledger))
                    heartbeat.count(message)
            heartbeat.beat(
                detail=ledger.complaint(), counters={**engine.counters, **ledger.counters, **subscriber.counters}
            )
            received = subscriber.receive(0.1)


NO_MODELS = Models()
Fed = dict[str, tuple[str, int]]  # per topic, the boot and seq of the last message fed


def resume(site: Site, bus: Bus, models: Models = NO_MODELS) -> tuple[Engine, str, Fed]:
    """The engine as the last checkpoint left it, fed with what the hub has passed on since; which checkpoint that
    was, and what was fed. A new engine where there is no checkpoint that fits."""
    try:
        with Service(bus) as service:
            known = [received.message for received in service.snapshot([f"checkpoint/{SOURCE}"])]
            recent = service.recent()
    except BusError:
        return Engine(site, models), "", {}
    for checkpoint in known:
        if isinstance(checkpoint, Checkpoint):
            try:
                engine = Engine.restore(site, checkpoint.state, models)
            except ValueError:
                continue  # another site's, or another version's: begin anew
            return engine, f"checkpoint {checkpoint.seq}", catch_up(engine, checkpoint, recent)
    return Engine(site, models), "", {}


def catch_up(engine: Engine, checkpoint: Checkpoint, recent: list[Received]) -> Fed:
    """Feed the engine what passed the hub after the checkpoint. What it says to that is not published: most of it the
    process before has said, and the rest is over."""
    fed = {topic: (ranges[-1][0], ranges[-1][2]) for topic, ranges in checkpoint.received.items()}
    if not fed:
        return {}  # a process that died as it started: what its state holds cannot be told
    for received in recent:
        if received.message.source != SOURCE and is_new(received, fed):
            engine.step(received.message)
            fed[received.topic] = (received.stamp.boot, received.message.seq)
    return fed


def is_new(received: Received, fed: Fed) -> bool:
    boot, seq = fed.get(received.topic, ("", -1))
    return received.stamp.boot != boot or received.message.seq > seq


def admit(received: Received, ledger: Ledger) -> bool:
    message = received.message
    return message.source != SOURCE and ledger.admit(received.topic, received.stamp.boot, message.seq, message.t_ns)


def with_ranges(message: Message, ledger: Ledger) -> Message:
    """A checkpoint also says which messages this process has received, so that a recording can be verified."""
    return replace(message, received=ledger.ranges()) if isinstance(message, Checkpoint) else message
