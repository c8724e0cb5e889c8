"""A WiFi node: reads one sniffer and publishes a window of signal strengths at a time, under pseudonyms.

It alone is given the addresses of enrolled people. A device that is lost or refused is reported and opened again,
with growing pauses; a capture file that has been read ends the node.
"""

import threading
import time

from ..drivers.errors import DeviceError, DeviceRefused
from ..drivers.wifi import Pseudonyms, SnifferPort, Windows, load_key, open_sniffer
from ..messages import HealthState, WifiWindow
from .bus import Publisher
from .health import Heartbeat
from .node import NodeConfig

READ_S = 0.05
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0
BURST, BURST_PAUSE_S = 25, 0.01  # a file is read faster than a bus carries: at most 2,500 windows a second


def main(config: NodeConfig, stop: threading.Event) -> None:
    with Publisher(config.site.bus, config.name) as publisher:
        Listener(config, publisher, Heartbeat(publisher, config.name), stop).run()


class Listener:
    """The node's loop, with whatever it publishes to handed in."""

    def __init__(self, config: NodeConfig, publisher: Publisher, heartbeat: Heartbeat, stop: threading.Event) -> None:
        site = config.site
        self.sniffer = next(sniffer for sniffer in site.sniffers if sniffer.id == config.name)
        enrolled = [device for identity in site.identities if identity.consent for device in identity.devices]
        pseudonyms = Pseudonyms(load_key(site.privacy.key), enrolled, site.privacy.unenrolled)
        self.windows = Windows(self.sniffer.id, self.sniffer.window_s, pseudonyms)
        self.publisher, self.heartbeat, self.stop = publisher, heartbeat, stop
        self._burst = 0

    def run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self.stop.is_set():
            opened = time.monotonic()
            try:
                with open_sniffer(self.sniffer) as port:
                    self._listen(port)
                    if port.is_finished:
                        return
            except DeviceError as error:
                self._publish(self.windows.pause())
                if time.monotonic() - opened > LONGEST_PAUSE_S:
                    pause_s = FIRST_PAUSE_S
                self._wait("refused" if isinstance(error, DeviceRefused) else "lost", str(error), pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _listen(self, port: SnifferPort) -> None:
        while not self.stop.is_set() and not port.is_finished:
            for sighting in port.read(READ_S) or ():
                self._publish(self.windows.add(sighting))
            if now_ns := port.clock_ns():
                self._publish(self.windows.tick(now_ns))
            self.heartbeat.beat(counters={**self.windows.counters, **port.counters})
        if port.is_finished:
            self._publish(self.windows.finish())
            counters = {**self.windows.counters, **port.counters}
            self.heartbeat.beat("stopped", f"{self.sniffer.source}: read to its end", counters)

    def _wait(self, state: HealthState, detail: str, pause_s: float) -> None:
        deadline = time.monotonic() + pause_s
        while not self.stop.is_set() and time.monotonic() < deadline:
            self.heartbeat.beat(state, detail, self.windows.counters)
            self.stop.wait(0.1)

    def _publish(self, windows: list[WifiWindow]) -> None:
        for window in windows:
            self.publisher.publish(window)
            self.heartbeat.count(window)
            self._burst += 1
            if self._burst % BURST == 0:
                self.stop.wait(BURST_PAUSE_S)
