"""The hub: where publishers and subscribers meet, where late joiners ask, and whose clock is the site's.

Forwarding is ZeroMQ's own C loop in a thread; no message passes through Python on its way. Beside it one socket
answers three questions: `snapshot` (the last message of each topic of LATE_JOINER_KINDS; single locations are not kept,
the scene holds them all), `recent` (what sensors sent in the last seconds, so that a restarted fusion node misses
nothing) and `clock`. The hub publishes the site in force, so that it is there after any restart.
It stores nothing on disk and understands no message.
"""

import threading
import time
from collections import deque
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import msgspec
import zmq
from zmq.auth.thread import ThreadAuthenticator

from ..messages import LATE_JOINER_KINDS, MAX_BODY_BYTES, SENSOR_KINDS, SiteInForce
from ..sitefile import Bus, site_as_json
from . import reach
from .bus import QUEUE, BusError, Publisher
from .health import Heartbeat
from .node import NodeConfig

RECENT_S, RECENT_MESSAGES = 8.0, 4000  # what `recent` remembers
AT_ONCE = 200  # messages looked at between two questions
KEPT_TOPICS = 4096  # a bound for a bus on which names go wild
CAUGHT_UP_KINDS = (*SENSOR_KINDS, "position")  # measurements that a fusion node which was away must not miss
RECENT_KINDS = (*CAUGHT_UP_KINDS, "health")
_TAP = "inproc://tap"


class Hub:
    """The hub's sockets, serving while open. counters: kept (topics in the snapshot), asked, malformed (questions).

    Raises BusError where an endpoint is in use or may not be opened.
    """

    def __init__(self, bus: Bus) -> None:
        reach.check_reach(bus)
        self.counters = {"kept": 0, "asked": 0, "malformed": 0}
        self._bus = bus
        self._last: dict[bytes, list[bytes]] = {}
        self._is_listening = False
        self._recent: deque[tuple[float, list[bytes]]] = deque(maxlen=RECENT_MESSAGES)
        self._context = zmq.Context()
        with ExitStack() as undo:
            undo.callback(self._context.destroy, 0)
            self._guard = self._open_guard()
            if self._guard:
                undo.callback(self._guard.stop)
            self._publishers = self._bound(zmq.XSUB, reach.PUBLISHERS)
            self._subscribers = self._bound(zmq.XPUB, reach.SUBSCRIBERS)
            self._services = self._bound(zmq.ROUTER, reach.SERVICES)
            self._subscribers.bind(_TAP)
            undo.pop_all()
        self._tap = self._context.socket(zmq.SUB)
        self._tap.connect(_TAP)
        for kind in LATE_JOINER_KINDS:
            self._tap.setsockopt(zmq.SUBSCRIBE, f"{kind}/".encode())
        self._poller = zmq.Poller()
        self._poller.register(self._services, zmq.POLLIN)
        self._poller.register(self._tap, zmq.POLLIN)
        self._forwarding = threading.Thread(target=self._forward, name="hub-forward", daemon=True)
        self._forwarding.start()

    def serve(self, timeout_s: float) -> None:
        """Answer and remember for up to `timeout_s`."""
        if not self._forwarding.is_alive():
            raise BusError(f"the hub at {reach.endpoint(self._bus)} stopped forwarding")
        ready = dict(self._poller.poll(round(timeout_s * 1000)))
        if self._services in ready:  # first, since a clock is being read
            self._answer(self._services.recv_multipart(), time.time_ns())
        if self._tap in ready:
            self._remember(time.monotonic())

    def _remember(self, now_s: float) -> None:
        for _ in range(AT_ONCE):
            try:
                frames = self._tap.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            kind = frames[0].partition(b"/")[0].decode(errors="replace")
            if kind == "checkpoint" and not self._is_listening:
                self._listen()
            if kind in RECENT_KINDS:
                self._recent.append((now_s, frames))
            if kind in LATE_JOINER_KINDS and (frames[0] in self._last or len(self._last) < KEPT_TOPICS):
                self._last[frames[0]] = frames
        while self._recent and self._recent[0][0] < now_s - RECENT_S:
            self._recent.popleft()
        self.counters["kept"] = len(self._last)

    def _listen(self) -> None:
        """There is a fusion node: remember what it may have to catch up with, and keep it coming while it is away. Not
        before, since a publisher that waits for listeners must not take the hub for one."""
        for kind in CAUGHT_UP_KINDS:
            self._tap.setsockopt(zmq.SUBSCRIBE, f"{kind}/".encode())
        self._is_listening = True

    def _answer(self, frames: list[bytes], now_ns: int) -> None:
        cut = frames.index(b"") + 1 if b"" in frames else 0  # the envelope of a REQ socket ends with an empty frame
        envelope, question = frames[:cut], frames[cut:]
        self.counters["asked"] += 1
        if cut and question[:1] == [b"snapshot"]:
            prefixes = tuple(question[1:]) or (b"",)
            kept = [frame for topic, last in self._last.items() if topic.startswith(prefixes) for frame in last]
            answer = [b"snapshot", *kept]
        elif cut and question[:1] == [b"recent"]:
            answer = [b"recent", *(frame for _, frames in self._recent if len(frames) == 3 for frame in frames)]
        elif cut and question[:1] == [b"clock"]:
            answer = [b"clock", msgspec.msgpack.encode((now_ns, time.time_ns()))]
        else:
            self.counters["malformed"] += 1
            answer = [b"error", b"the questions are: snapshot, recent, clock"]
        if cut:
            self._services.send_multipart([*envelope, *answer], zmq.NOBLOCK)

    def _forward(self) -> None:
        try:
            zmq.proxy(self._publishers, self._subscribers)
        except zmq.ContextTerminated:
            pass  # the way to end a proxy
        finally:
            self._publishers.close(0)
            self._subscribers.close(0)

    def _open_guard(self) -> ThreadAuthenticator | None:
        """Lets in those whose public key lies in the site's key folder."""
        if self._bus.keys is None:
            return None
        reach.load_key(self._bus, f"{reach.HUB_KEY}.key_secret")
        guard = ThreadAuthenticator(self._context)
        guard.start()
        guard.configure_curve(domain="*", location=self._bus.keys)
        return guard

    def _bound(self, kind: int, offset: int) -> zmq.Socket[bytes]:
        bound = self._context.socket(kind)
        bound.setsockopt(zmq.LINGER, 0)
        bound.setsockopt(zmq.MAXMSGSIZE, MAX_BODY_BYTES)
        bound.setsockopt(zmq.HEARTBEAT_IVL, 2000)
        bound.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6000)
        bound.set_hwm(QUEUE)
        if self._bus.keys is not None:
            bound.curve_publickey, bound.curve_secretkey = reach.load_key(self._bus, f"{reach.HUB_KEY}.key_secret")
            bound.curve_server = True
        where = reach.endpoint(msgspec.structs.replace(self._bus, host=reach.address(self._bus)), offset)
        bound.setsockopt(zmq.IPV6, int("[" in where))
        try:
            bound.bind(where)
        except zmq.ZMQError as error:
            if error.errno == zmq.EADDRINUSE:
                raise BusError(
                    f"{where} is in use: another whowhere may be running; stop it, or set bus.port in the site file "
                    f"to another number N (N, N+1 and N+2 are used)"
                ) from error
            raise BusError(
                f"{where} cannot be opened ({error.strerror}): is bus.host an address of this machine?"
            ) from error
        return bound

    def close(self) -> None:
        if self._guard:
            self._guard.stop()
        self._services.close(0)
        self._tap.close(0)
        self._context.term()  # which ends the proxy, which closes its sockets
        self._forwarding.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def main(config: NodeConfig, stop: threading.Event) -> None:
    site = config.site
    with Hub(site.bus) as hub, Publisher(site.bus, config.name) as publisher:
        heartbeat = Heartbeat(publisher, config.name, clock_offset_s=0.0)
        publisher.publish(SiteInForce(source=site.name, t_ns=time.time_ns(), document=site_as_json(site)))
        while not stop.is_set():
            hub.serve(timeout_s=0.1)
            heartbeat.beat(counters=hub.counters)
        heartbeat.beat("stopped", counters=hub.counters)
