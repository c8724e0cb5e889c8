"""Pacing: gives the items of a recording at the pace at which they were recorded. It only waits; what they are and
where they go is somebody else's business."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def paced(
    items: Iterable[Item],
    time_ns: Callable[[Item], int],
    rate: float,
    stop: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Each item when its time has come: `rate` seconds of `time_ns` pass per second of `clock`; 0 is at once.

    Ends when `stop` is set. Late items come without waiting, until the schedule is met again.
    """
    started: float | None = None
    first_ns = 0
    for item in items:
        if started is None:
            started, first_ns = clock(), time_ns(item)
        wait_s = started + (time_ns(item) - first_ns) / 1e9 / rate - clock() if rate else 0.0
        if (wait_s > 0 and stop.wait(wait_s)) or stop.is_set():
            return
        yield item
