"""The radar node: bytes from the port through the parser to the bus, for ever; a lost radar is opened again.

It has no arithmetic: what bytes mean is drivers/radar's, what points mean is fusion's.
"""

import threading
import time

from ..drivers.errors import DeviceError, DeviceRefused
from ..drivers.radar.frames import RadarParser
from ..drivers.radar.port import RadarPort, open_radar
from ..drivers.radar.watch import Watch
from .bus import Publisher
from .health import Heartbeat
from .node import NodeConfig

FIRST_RETRY_S = 0.25
LAST_RETRY_S = 1.0  # so that what is plugged in again, and configured anew, is back within 5 s
WAIT_S = 0.1


def main(config: NodeConfig, stop: threading.Event) -> None:
    radar = next(radar for radar in config.site.radars if radar.id == config.name)
    parser = RadarParser(radar.id, radar.baud)
    with Publisher(config.site.bus, config.name) as publisher:
        heartbeat = Heartbeat(publisher, config.name)
        heartbeat.beat("starting")
        retry_s = FIRST_RETRY_S
        while not stop.is_set():
            published = parser.counters["frames"]
            try:
                with open_radar(radar) as port:
                    _stream(port, parser, publisher, heartbeat, stop)
            except DeviceError as error:
                if parser.counters["frames"] > published:
                    retry_s = FIRST_RETRY_S
                _wait(error, retry_s, parser, heartbeat, stop)
                retry_s = min(2 * retry_s, LAST_RETRY_S)
        heartbeat.beat("stopped", counters=parser.counters)


def _stream(
    port: RadarPort, parser: RadarParser, publisher: Publisher, heartbeat: Heartbeat, stop: threading.Event
) -> None:
    """Publish frames until told to stop. Raises DeviceLost, DeviceRefused."""
    parser.reconnect()
    watch = Watch(parser, time.monotonic())
    while not stop.is_set():
        chunk = port.read(WAIT_S)
        for frame in parser.feed(chunk.data, chunk.t_ns) if chunk else parser.idle():
            publisher.publish(frame)
            heartbeat.count(frame)
        if watch.has_rebooted:
            port.configure()
            parser.reconnect()
            watch = Watch(parser, time.monotonic())
        trouble = watch.look(time.monotonic())
        detail = trouble or "; ".join(port.warnings)
        heartbeat.beat("lost" if trouble else "ok", detail, {**parser.counters, **parser.gauges})


def _wait(error: DeviceError, retry_s: float, parser: RadarParser, heartbeat: Heartbeat, stop: threading.Event) -> None:
    """Say what is wrong, once a second, until it is time to try again."""
    state = "refused" if isinstance(error, DeviceRefused) else "lost"
    until = time.monotonic() + retry_s
    while not stop.is_set() and time.monotonic() < until:
        heartbeat.beat(state, str(error), parser.counters)
        stop.wait(WAIT_S)
