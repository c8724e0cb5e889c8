"""The live page: what is on the bus, shown to people in a browser and to programs as JSON. It changes nothing there;
of a simulated site it can pull the sensors' cables.

Loss is chosen: a browser that cannot follow is given the newest scene and never a queue of old ones.
"""

import contextlib
import threading

from .bus import BusError, Publisher, Subscriber, snapshot
from .health import Heartbeat
from .live.board import Board
from .live.server import PageServer
from .node import NodeConfig

SHOWN = ("scene/", "health/", "event/", "site/", "truth/")


def main(config: NodeConfig, stop: threading.Event) -> None:
    bus = config.site.bus
    board = Board(config.site, config.run_dir)
    with (
        PageServer(config.site.page, board) as server,
        Subscriber(bus, SHOWN) as subscriber,
        Publisher(bus, config.name) as publisher,
    ):
        heartbeat = Heartbeat(publisher, config.name)
        with contextlib.suppress(BusError):  # the hub is yet to start: then nothing was missed either
            for received in snapshot(bus, SHOWN):
                server.show(received.message)
        while not stop.is_set():
            if received := subscriber.receive(timeout_s=0.1):
                server.show(received.message)
                heartbeat.count(received.message)
            heartbeat.beat(detail=server.url, counters={**subscriber.counters, **board.counters})
        heartbeat.beat("stopped")
