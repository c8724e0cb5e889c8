"""The positioning node: what phones measure, in; where they are by that, out. It swaps radio maps while it runs.

A `map` message is a new radio map: checked, put in force between two batches, and on trial (models/radiomap/trial.py);
a map that makes things worse is taken back. It says so in events whose id is the map's. The map last kept is kept in
the run's folder too, so that a restarted node does not begin with an older one.
"""

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..messages import Event, EventType, Location, PhoneBatch, RadioMap
from ..models.positioning.live import PhoneLocator
from ..models.radiomap.maps import FingerprintMap, MapError, load_map, save_map
from ..models.radiomap.trial import MapTrial
from ..sitefile import Bus, Site
from .bus import BusError, Publisher, Subscriber
from .health import Heartbeat
from .node import NodeConfig

KEPT = "positioning.map"  # in the run's folder
MAX_MAP_BYTES = 15 * 2**20  # a message holds no more
ANSWER_S = 10.0
Say = Callable[[EventType, str, str], None]  # kind, the map's label, the sentence


def main(config: NodeConfig, stop: threading.Event) -> None:
    site = config.site
    ours = frozenset(phone.id for phone in site.phones)
    prefixes = ["phone/", "map/", *(f"location/{phone.owner}" for phone in site.phones)]
    with Publisher(site.bus, config.name) as publisher, Subscriber(site.bus, prefixes) as subscriber:
        heartbeat = Heartbeat(publisher, config.name)
        try:
            trial = MapTrial(site, first_map(site, config.run_dir))
            locator = PhoneLocator(trial.in_force, site.models.get("positioning"))
        except (ValueError, OSError) as error:  # a map or model that is none: a person must put it right
            while not stop.wait(0.1):
                heartbeat.beat("refused", str(error))
            return

        def say(kind: EventType, label: str, text: str) -> None:
            event = Event(source=config.name, t_ns=time.time_ns(), type=kind, id=label, text=text)
            publisher.publish(event)

        while not stop.is_set():
            received = subscriber.receive(0.1)
            message = received.message if received else None
            if isinstance(message, PhoneBatch) and message.source in ours:
                if position := locator.step(message):
                    publisher.publish(position)
                    heartbeat.count(position)
                if verdict := trial.hear(message):
                    conclude(trial, locator, verdict, say, config.run_dir)
            elif isinstance(message, Location):
                trial.see(message)
            elif isinstance(message, RadioMap):
                swap(trial, locator, message, say)
            counters = {**locator.counters, **trial.counters, **subscriber.counters}
            heartbeat.beat(detail=detail(trial), counters=counters)


def swap(trial: MapTrial, locator: PhoneLocator, message: RadioMap, say: Say) -> None:
    """Put an offered map in force, or say why not."""
    label = f"{message.name}:{message.version}"
    before = trial.in_force
    try:
        locator.swap(trial.offer(message.content))
    except MapError as error:
        say("warning", label, f"radio map {label} is refused: {error}")
        if trial.in_force is not before:
            locator.swap(trial.withdraw())
    else:
        say("started", label, f"radio map {label} is in force, on trial")


def conclude(trial: MapTrial, locator: PhoneLocator, verdict: str, say: Say, run_dir: str) -> None:
    """A trial is over: keep the map, or go back."""
    label = trial.in_force.label
    if verdict == "kept":
        save_map(trial.in_force, Path(run_dir) / KEPT)
        say("started", label, f"radio map {label} has proved itself and stays")
    else:
        locator.swap(trial.in_force)
        say("warning", label, verdict)


def detail(trial: MapTrial) -> str:
    return f"radio map {trial.in_force.label}" + (", on trial" if trial.is_on_trial else "")


def first_map(site: Site, run_dir: str) -> FingerprintMap:
    """The map this run kept last, else the site file's. Raises MapError."""
    kept = Path(run_dir) / KEPT
    return load_map(kept if kept.is_file() else site.models["radiomap"])


def publish_map(bus: Bus, radio_map: FingerprintMap, timeout_s: float = ANSWER_S) -> str:
    """Offer a map to the running site; returns what its positioning node says: in force, or refused and why. Raises
    BusError where nobody answers, MapError for a map larger than a message."""
    content = radio_map.to_bytes()
    if len(content) > MAX_MAP_BYTES:
        raise MapError(f"radio map {radio_map.label} has {len(content)} bytes; a message holds {MAX_MAP_BYTES}")
    source = re.sub(r"[^\w.-]", "-", radio_map.name) or "map"
    message = RadioMap(
        source=source, t_ns=time.time_ns(), name=radio_map.name, version=radio_map.version, content=content
    )
    deadline, echoed = time.monotonic() + timeout_s, False
    with Subscriber(bus, ["event/", f"map/{source}"]) as subscriber, Publisher(bus, source) as publisher:
        while (left_s := deadline - time.monotonic()) > 0:
            if not echoed:  # until it is heard here, the answer would not be either
                publisher.publish(message)
            received = subscriber.receive(min(left_s, 1.0))
            said = received.message if received else None
            echoed = echoed or isinstance(said, RadioMap)
            if isinstance(said, Event) and said.id == radio_map.label:
                return said.text
    raise BusError("no positioning node answers: has the site phones, and a radiomap under [models]?")
