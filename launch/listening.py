"""Scores a system while it runs, as one more subscriber, so what it measures includes the bus; it steers nothing."""

import threading

from ..messages import SENSOR_KINDS
from ..nodes.bus import Subscriber
from ..sitefile import Bus

LISTEN_TO = (*(f"{kind}/" for kind in SENSOR_KINDS), "location/", "scene/", "event/", "health/", "truth/")


class Listener:
    """A thread that scores what the bus says while the context is open; `result()` afterwards."""

    def __init__(self, bus: Bus) -> None:
        self._result: dict[str, object] = {}
        self._bus = bus
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._stop.set()
        self._thread.join(5.0)

    def result(self) -> dict[str, object]:
        """As SessionScore.result; empty where the bus could not be listened to."""
        return self._result

    def _listen(self) -> None:
        from .evaluate.scoring import SessionScore  # here: scipy takes a second that the start can do without

        score = SessionScore()
        with Subscriber(self._bus, LISTEN_TO) as subscriber:
            while not self._stop.is_set():
                if received := subscriber.receive(timeout_s=0.2):
                    score.add(received.message, received.stamp.t_sent_ns)
        self._result = score.result()
