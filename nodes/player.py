"""The player: puts what the sensors said in a session on a bus again, in the recorded order and at the recorded pace.

options: session (the file), rate (1 as recorded, 0 as fast as it goes), start (s to skip), loop ("yes": round after
round, in times that keep running forward), wait_for (nodes by comma, such as "fusion", that must be up first).
It plays sensors, their health and a simulated site's truth, never what fusion made of them; messages are numbered
anew, everything else in them stays as it was.
"""

import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from ..messages import SENSOR_KINDS, BadMessage, Health, Message, decode, kind_of
from ..sitefile import Camera, Radar, Site, Sniffer
from .bus import BusError, Publisher, snapshot
from .health import Heartbeat
from .node import NodeConfig
from .pacing import paced
from .session import Session

PLAYED_KINDS = (*SENSOR_KINDS, "truth", "map", "model")
WAIT_S = 20.0  # for listeners; then it plays to whoever is there
_KIND_OF = {Radar: "radar", Camera: "camera", Sniffer: "wifi"}
LOOP_GAP_NS = 500_000_000  # between two rounds: longer than latencies differ, so that no source goes back in time


class Played(NamedTuple):
    message: Message
    at_ns: int  # when it was heard, by the recorder's clock


def main(config: NodeConfig, stop: threading.Event) -> None:
    options = config.options
    session = Session(options["session"])
    rate, start_s = float(options.get("rate") or 1), float(options.get("start") or 0)
    with Publisher(config.site.bus, config.name) as publisher:
        heartbeat = Heartbeat(publisher, config.name)
        heartbeat.beat("starting")
        unheard = wait_for_listeners(publisher, session.site(), options.get("wait_for", ""), stop)
        detail = f"playing {session.path}" + (f", though nobody listens to {', '.join(unheard)}" if unheard else "")
        counters = {"messages": 0}
        played = looped(session, start_s) if options.get("loop") == "yes" else sensed(session, start_s)
        for message, _ in paced(played, lambda item: item.at_ns, rate, stop):
            publisher.publish(message)
            heartbeat.count(None)
            counters["messages"] += 1
            heartbeat.beat("ok", detail, counters)
        heartbeat.beat("stopped", session.ended or f"played {session.path}", {**session.counters, **counters})


def looped(session: Session, start_s: float = 0.0) -> Iterator[Played]:
    """The session round after round, each later by the length of those before. Ends at once where nothing is played."""
    ahead_ns = 0
    while True:
        last_ns = first_ns = -1
        for message, at_ns in sensed(session, start_s):
            first_ns = at_ns if first_ns < 0 else first_ns
            last_ns = at_ns
            yield Played(replace(message, t_ns=message.t_ns + ahead_ns), at_ns + ahead_ns)
        if first_ns < 0:
            return
        ahead_ns += last_ns - first_ns + LOOP_GAP_NS


def sensed(session: Session, start_s: float = 0.0) -> Iterator[Played]:
    """What the sensors of a session said, from `start_s` after its first message on. Raises SessionError."""
    sensors = {sensor.id for sensor in session.site().sensors}
    first_ns: int | None = None
    for record in session.records():
        first_ns = record.log_time_ns if first_ns is None else first_ns
        if record.log_time_ns < first_ns + start_s * 1e9 or not record.topic.startswith((*PLAYED_KINDS, "health")):
            continue
        try:
            message = decode(record.body)
        except BadMessage:
            session.counters["malformed"] += 1
            continue
        if kind_of(message) in PLAYED_KINDS or (isinstance(message, Health) and message.source in sensors):
            yield Played(message, record.log_time_ns)


def wait_for_listeners(publisher: Publisher, site: Site, names: str, stop: threading.Event) -> list[str]:
    """Wait until somebody listens to each sensor and the nodes in `names` have said that they are up.
    Returns the topics and nodes still missing after WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    topics = [f"{_KIND_OF[type(sensor)]}/{sensor.id}" for sensor in site.sensors]
    missing = [*topics, *_not_up(publisher, names)]
    while missing and time.monotonic() < deadline and not stop.wait(0.05):
        missing = [*publisher.wait_until_heard(topics, 0.2), *_not_up(publisher, names)]
    return missing


def _not_up(publisher: Publisher, names: str) -> list[str]:
    wanted = [name for name in names.split(",") if name]
    if not wanted:
        return []
    try:
        kept = snapshot(publisher.bus, [f"health/{name}" for name in wanted], timeout_s=0.5)
    except BusError:
        return wanted
    up = {r.message.source for r in kept if isinstance(r.message, Health) and r.message.state == "ok"}
    return [name for name in wanted if name not in up]
