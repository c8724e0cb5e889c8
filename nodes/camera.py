"""The camera node: images from the capture process through the people detector to the bus.

Pixels stay here: boxes, scores and descriptors leave. A lost camera is opened again with growing pauses; a
file that has been read ends the node. It has no arithmetic: what boxes mean on the floor is fusion's.
"""

import threading
import time

from ..drivers.camera.capture import Capture, Image, open_camera
from ..drivers.camera.people import PeopleDetector
from ..drivers.errors import DeviceError, DeviceRefused
from ..messages import CameraFrame, HealthState
from ..sitefile import SiteError
from .bus import Publisher
from .describing import Describer
from .health import Heartbeat
from .node import NodeConfig

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 2.0  # so that what is plugged in again is back within 5 s
WAIT_S = 0.1


def main(config: NodeConfig, stop: threading.Event) -> None:
    camera = next(camera for camera in config.site.cameras if camera.id == config.name)
    detector = PeopleDetector(camera.detector)
    with Publisher(config.site.bus, config.name) as publisher:
        heartbeat = Heartbeat(publisher, config.name)
        try:
            describer = Describer(config.site, config.name)
        except SiteError as error:  # a model that is none: a person must put it right
            while not stop.wait(WAIT_S):
                heartbeat.beat("refused", str(error))
            return
        Watcher(open_camera(camera), detector, describer, publisher, heartbeat, stop).run()
        describer.close()


class Watcher:
    """The node's loop, with whatever it reads from and publishes to handed in."""

    def __init__(
        self,
        capture: Capture,
        detector: PeopleDetector,
        describer: Describer,
        publisher: Publisher,
        heartbeat: Heartbeat,
        stop: threading.Event,
    ) -> None:
        self.capture, self.detector, self.describer = capture, detector, describer
        self.publisher, self.heartbeat, self.stop = publisher, heartbeat, stop
        self.state: HealthState = "starting"
        self.detail = ""

    def run(self) -> None:
        self._beat(self.state)
        retry_s = FIRST_RETRY_S
        while not self.stop.is_set() and not self.capture.is_finished:
            before = self.capture.counters["frames"]
            try:
                with self.capture:
                    self._watch()
            except DeviceError as error:
                if self.capture.counters["frames"] > before:
                    retry_s = FIRST_RETRY_S
                self._wait(error, retry_s)
                retry_s = min(2 * retry_s, LAST_RETRY_S)
        self._beat("stopped", "read to its end" if self.capture.is_finished else "")

    def _watch(self) -> None:
        """Publish what is seen, nobody too, until told to stop or the file ends. Raises DeviceError."""
        while not self.stop.is_set() and not self.capture.is_finished:
            if image := self.capture.read(WAIT_S):
                frame = self._seen(image)
                self.publisher.publish(frame)
                self.heartbeat.count(frame)
                self._beat("ok")
            elif self.state == "ok" and self.capture.trouble:
                self._beat("lost", self.capture.trouble)
            else:
                self._beat(self.state, self.detail)  # while it is opened again, still what was wrong

    def _seen(self, image: Image) -> CameraFrame:
        boxes, scores = self.detector.detect(image.pixels)
        height, width = image.pixels.shape[:2]
        return CameraFrame(
            source=self.publisher.name,
            t_ns=image.t_ns,
            boxes=boxes,
            scores=scores,
            image_size=(width, height),
            descriptors=self.describer.of(image.pixels, boxes, image.t_ns),
        )

    def _wait(self, error: DeviceError, retry_s: float) -> None:
        """Say what is wrong until it is time to try again."""
        until = time.monotonic() + retry_s
        while not self.stop.is_set() and time.monotonic() < until:
            self._beat("refused" if isinstance(error, DeviceRefused) else "lost", str(error))
            self.stop.wait(WAIT_S)

    def _beat(self, state: HealthState, detail: str = "") -> None:
        self.state, self.detail = state, detail
        self.heartbeat.beat(state, detail, self._counters())

    def _counters(self) -> dict[str, int]:
        detector = {name: count for name, count in self.detector.counters.items() if name != "frames"}
        return {**self.capture.counters, **detector, **self.describer.counters}
