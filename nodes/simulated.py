"""The simulator: virtual twins of a site's sensors, speaking their real formats in real time, and the truth of them.

options: epoch_ns (when the world began, so that a restarted simulator goes on with the same people), http_port (of the
cameras), faults (docs/simulated.md).
"""

import threading
import time
from pathlib import Path

from ..drivers.simulated.stage import Stage
from .bus import Publisher
from .health import Heartbeat
from .node import NodeConfig

LONGEST_REST_S = 0.05


def main(config: NodeConfig, stop: threading.Event) -> None:
    now_ns = time.time_ns()
    epoch_ns = int(config.options.get("epoch_ns", now_ns))
    http_port = int(config.options.get("http_port", 0))
    faults = config.options.get("faults", "")
    with (
        Publisher(config.site.bus, config.name) as bus,
        Stage(config.site, Path(config.run_dir), epoch_ns, now_ns, http_port, faults) as stage,
    ):
        heartbeat = Heartbeat(bus, config.name)
        while not stop.is_set():
            for truth in stage.step(time.time_ns()):
                bus.publish(truth)
                heartbeat.count(truth)
            heartbeat.beat(detail=stage.faults.complaint, counters=stage.counters)
            stop.wait(min(stage.rest_s(time.time_ns()), LONGEST_REST_S))
