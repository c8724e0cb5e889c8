"""The bus: publish, subscribe, ask the hub. The one module (beside the hub itself) that knows ZeroMQ.

A message travels as three frames: topic, stamp, body (docs/wire.md). Queues are bounded, nothing blocks a sensor,
and whatever is lost is counted: by the publisher where its queue is full, by the subscriber from gaps in `seq`.
Sockets reconnect by themselves when the hub dies and comes back. It does not retry, store or reorder messages.
Publishers and subscribers belong to one thread each.
"""

import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
import zmq

from ..messages import (
    MAX_BODY_BYTES,
    BadMessage,
    Message,
    Stamp,
    decode,
    decode_stamp,
    encode,
    encode_stamp,
    numbered,
)
from ..sitefile import Bus
from .reach import HUB_KEY, NODE_KEY, PUBLISHERS, SERVICES, SUBSCRIBERS, check_reach, endpoint, load_key
from .reach import BusError as BusError
from .reach import keygen as keygen

QUEUE = 1000  # messages a socket holds before it drops, about ten seconds of a busy site
LINGER_MS = 500  # how long what was published last may take to be sent
FOLLOWED_TOPICS = 20_000  # whose sequence numbers a subscriber follows; the topic of a visitor long gone goes first


class Received(NamedTuple):
    """One message with what flew beside it; `body` is the encoded message, byte for byte."""

    topic: str
    message: Message
    stamp: Stamp
    body: bytes


class Publisher:
    """Publishes messages under this process's boot id; as a context manager it first waits shortly for the hub.

    counters: sent (handed to the socket), dropped (its queue was full: the hub or the network is too slow).
    """

    def __init__(self, bus: Bus, name: str, *, queue: int = QUEUE, wait_s: float = 3.0) -> None:
        self.bus, self.name = bus, name
        self.boot = secrets.token_hex(4)
        self.counters = {"sent": 0, "dropped": 0}
        self._wait_s = wait_s
        self._counts: dict[str, int] = {}
        self._prefixes: set[bytes] = set()
        self._socket = _socket(bus, zmq.XPUB)
        self._socket.set_hwm(queue)
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)  # a full queue is then an error that can be counted
        self._socket.setsockopt(zmq.IMMEDIATE, 1)  # what a dead hub did not get is not delivered late to the next
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.connect(endpoint(bus, PUBLISHERS))

    def publish(self, message: Message) -> None:
        """Number the message within its topic and send it. Never blocks; a drop is counted and leaves a gap in seq."""
        self.forward(numbered(message, self._counts))

    def forward(self, message: Message) -> None:
        """Send a message that is numbered already, such as the engine's."""
        stamp = encode_stamp(Stamp(self.boot, time.time_ns()))
        try:
            self._socket.send_multipart((message.topic.encode(), stamp, encode(message)), zmq.NOBLOCK)
            self.counters["sent"] += 1
        except zmq.Again:
            self.counters["dropped"] += 1

    def is_heard(self, topic: str) -> bool:
        """Whether anybody is subscribed to this topic; what nobody wants is not even sent to the hub."""
        while self._socket.poll(0, zmq.POLLIN):
            frame = self._socket.recv()
            (self._prefixes.add if frame[:1] == b"\x01" else self._prefixes.discard)(frame[1:])
        return any(topic.encode().startswith(prefix) for prefix in self._prefixes)

    def wait_until_heard(self, topics: Iterable[str], timeout_s: float) -> list[str]:
        """Wait for subscribers of all `topics`; returns those that nobody listens to yet when time is up."""
        deadline = time.monotonic() + timeout_s
        unheard = [topic for topic in topics if not self.is_heard(topic)]
        while unheard and (left := deadline - time.monotonic()) > 0:
            self._socket.poll(int(left * 1000) + 1, zmq.POLLIN)
            unheard = [topic for topic in unheard if not self.is_heard(topic)]
        return unheard

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        # The hub itself listens to every health topic: once it does here, the first message is not lost.
        if not self.wait_until_heard([f"health/{self.name}"], self._wait_s):
            time.sleep(0.02)  # the other subscriptions come in the same burst
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Subscriber:
    """Receives the messages whose topics start with one of `prefixes` ("" is everything).

    counters: received, malformed (not three frames, not a message, or under a wrong topic), missed (gaps in seq).
    """

    def __init__(self, bus: Bus, prefixes: Sequence[str], *, queue: int = QUEUE) -> None:
        self.bus = bus
        self.counters = {"received": 0, "malformed": 0, "missed": 0}
        self._last: dict[str, tuple[str, int]] = {}
        self._socket = _socket(bus, zmq.SUB)
        self._socket.set_hwm(queue)
        for prefix in prefixes:
            self._socket.setsockopt(zmq.SUBSCRIBE, prefix.encode())
        self._socket.connect(endpoint(bus, SUBSCRIBERS))

    def receive(self, timeout_s: float) -> Received | None:
        """The next message, or None when none came within `timeout_s`. Garbage is counted and skipped."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                if not self._socket.poll(max(0, round((deadline - time.monotonic()) * 1000)), zmq.POLLIN):
                    return None
                continue
            try:
                received = unpack(frames)
            except BadMessage:
                self.counters["malformed"] += 1
                if time.monotonic() > deadline:
                    return None
                continue
            self._follow(received)
            return received

    def _follow(self, received: Received) -> None:
        self.counters["received"] += 1
        topic, boot, seq = received.topic, received.stamp.boot, received.message.seq
        last = self._last.get(topic)
        if last is not None and last[0] == boot and seq > last[1] + 1:
            self.counters["missed"] += seq - last[1] - 1
        elif last is None and len(self._last) >= FOLLOWED_TOPICS:
            del self._last[next(iter(self._last))]
        self._last[topic] = (boot, seq)

    def close(self) -> None:
        self._socket.close(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def unpack(frames: Sequence[bytes]) -> Received:
    """The message in three frames. Raises BadMessage for anything else."""
    if len(frames) != 3:
        raise BadMessage(f"{len(frames)} frames, expected topic, stamp, body")
    message = decode(frames[2])
    topic = message.topic
    if topic.encode() != frames[0]:
        raise BadMessage(f"a message of {topic} under the topic {frames[0][:80]!r}")
    return Received(topic, message, decode_stamp(frames[1]), frames[2])


def _unpack_all(answer: Sequence[bytes]) -> list[Received]:
    """The messages in an answer of the hub; what is garbage there was garbage on the bus and is left out."""
    messages = []
    for at in range(1, len(answer), 3):
        with suppress(BadMessage):
            messages.append(unpack(answer[at : at + 3]))
    return messages


class Service:
    """Asks the hub: the snapshot for late joiners, and its clock."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._socket = _socket(bus, zmq.REQ)
        self._socket.setsockopt(zmq.REQ_RELAXED, 1)  # an unanswered question does not block the next
        self._socket.setsockopt(zmq.REQ_CORRELATE, 1)  # and a late answer is not taken for another's
        self._socket.connect(endpoint(bus, SERVICES))

    def snapshot(self, prefixes: Sequence[str] = (), timeout_s: float = 2.0) -> list[Received]:
        """The last message of each topic that the hub keeps (LATE_JOINER_KINDS). Raises BusError without a hub."""
        answer = self._ask([b"snapshot", *(prefix.encode() for prefix in prefixes)], timeout_s)
        if answer is None:
            raise BusError(silence(self.bus))
        return _unpack_all(answer)

    def recent(self, timeout_s: float = 2.0) -> list[Received]:
        """What sensors sent in the last seconds, in the order in which it passed the hub. Raises BusError."""
        answer = self._ask([b"recent"], timeout_s)
        if answer is None:
            raise BusError(silence(self.bus))
        return _unpack_all(answer)

    def clock(self, timeout_s: float = 2.0) -> tuple[float, float] | None:
        """One measurement by four timestamps: (this clock minus the hub's in s, round-trip delay in s), or None."""
        asked = time.time_ns()
        answer = self._ask([b"clock", msgspec.msgpack.encode(asked)], timeout_s)
        answered = time.time_ns()
        if answer is None:
            return None
        there, back = msgspec.msgpack.decode(answer[1], type=tuple[int, int])
        return ((asked - there) + (answered - back)) / 2e9, ((answered - asked) - (back - there)) / 1e9

    def _ask(self, frames: list[bytes], timeout_s: float) -> list[bytes] | None:
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return None
        if not self._socket.poll(round(timeout_s * 1000), zmq.POLLIN):
            return None
        answer = self._socket.recv_multipart()
        return answer if answer[0] == frames[0] else None

    def close(self) -> None:
        self._socket.close(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def send_the_last() -> None:
    """Close all this process has open and wait, half a second at most, until what was published last is sent: a fork
    ends at once, where a whole interpreter takes long enough to be torn down."""
    zmq.Context.instance().destroy(linger=LINGER_MS)


def snapshot(bus: Bus, prefixes: Sequence[str] = (), timeout_s: float = 2.0) -> list[Received]:
    """The last message of each topic that the hub keeps for late joiners. Raises BusError when no hub answers."""
    with Service(bus) as service:
        return service.snapshot(prefixes, timeout_s)


def require_hub(bus: Bus, timeout_s: float = 2.0) -> None:
    """Raises BusError, with the sentence to show, when no hub answers."""
    with Service(bus) as service:
        if service.clock(timeout_s) is None:
            raise BusError(silence(bus))


def silence(bus: Bus) -> str:
    keys = f", and are the keys in {bus.keys} those of the hub?" if bus.keys else "?"
    return f"no hub answers at {endpoint(bus)}: is `whowhere up SITE.toml` or `whowhere demo` running there{keys}"


def _socket(bus: Bus, kind: int) -> zmq.Socket[bytes]:
    """A client socket: reconnecting, bounded, and with the node's keys where the site has keys."""
    check_reach(bus)
    made = zmq.Context.instance().socket(kind)
    made.setsockopt(zmq.LINGER, 0)
    made.setsockopt(zmq.RECONNECT_IVL, 100)
    made.setsockopt(zmq.RECONNECT_IVL_MAX, 200)  # who comes before the hub must not miss its first second
    made.setsockopt(zmq.HEARTBEAT_IVL, 2000)  # notices a peer whose machine went away without a word
    made.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6000)
    made.setsockopt(zmq.MAXMSGSIZE, MAX_BODY_BYTES)
    made.setsockopt(zmq.IPV6, int(":" in bus.host))
    if bus.keys is not None:
        made.curve_serverkey = load_key(bus, f"{HUB_KEY}.key")[0]
        made.curve_publickey, made.curve_secretkey = load_key(bus, f"{NODE_KEY}.key_secret")
    return made
