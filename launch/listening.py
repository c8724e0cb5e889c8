"""Scores a system while it runs, as one more subscriber, so what it measures includes the bus; it steers nothing."""

import threading

from ..messages import SENSOR_KINDS
from ..nodes.bus import Subscriber
from ..sitefile import Bus
from .evaluate.scoring import SessionScore

LISTEN_TO = (*(f"{kind}/" for kind in SENSOR_KINDS), "location/", "scene/", "event/", "health/", "truth/")


class Listener:
    """A thread that feeds `score` from the bus while the context is open; read the score afterwards."""

    def __init__(self, bus: Bus) -> None:
        self.score = SessionScore()
        self._bus = bus
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._stop.set()
        self._thread.join(5.0)

    def _listen(self) -> None:
        with Subscriber(self._bus, LISTEN_TO) as subscriber:
            while not self._stop.is_set():
                if received := subscriber.receive(timeout_s=0.2):
                    self.score.add(received.message, received.stamp.t_sent_ns)
