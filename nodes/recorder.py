"""The recorder: everything the bus says, into a session file. options: out (the file), seconds (how long).

It never writes over a recording: after a restart it goes on in name-2.mcap. The site file is at the file's start; the
hub's snapshot is not written, since a recording holds only what flew while it ran: it becomes verifiable with the
first checkpoint, at most `checkpoint_s` later. A full disk ends the recording, loudly, and harms nothing else.
"""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ..drivers.errors import DeviceRefused
from ..sitefile import SiteError, site_as_json
from .bus import Publisher, Received, Subscriber
from .health import Heartbeat
from .model_files import hashes
from .node import NodeConfig
from .session import SessionError, SessionWriter, free_path

QUEUE = 10_000  # a disk may hesitate for longer than a sensor's queue would bear


def main(config: NodeConfig, stop: threading.Event) -> None:
    end = time.monotonic() + float(config.options.get("seconds") or "inf")
    bus = config.site.bus
    with Subscriber(bus, [""], queue=QUEUE) as subscriber, Publisher(bus, config.name) as publisher:
        heartbeat = Heartbeat(publisher, config.name)
        counters: dict[str, int] = {}
        try:
            with Recording(config) as recording:
                while not stop.is_set() and time.monotonic() < end:
                    recording.take(subscriber.receive(0.1))
                    counters = {**subscriber.counters, **recording.counters}
                    heartbeat.beat("ok", f"recording to {recording.path}", counters)
        except (OSError, SessionError, SiteError) as error:
            why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            sentence = f"recording stopped: {why}; free some space, or choose another file, and start it again"
            heartbeat.beat("refused", sentence, counters, is_said=True)  # by whoever catches it
            raise DeviceRefused(sentence) from error
        heartbeat.beat("stopped", f"recorded to {recording.path}", counters)


class Recording:
    """A session in as many files as it needs. counters: messages, bytes, files. Raises OSError, SessionError."""

    def __init__(self, config: NodeConfig) -> None:
        self.counters = {"messages": 0, "bytes": 0, "files": 0}
        self._config = config
        self._writer = self._next_file()

    @property
    def path(self) -> Path:
        return self._writer.path

    def take(self, received: Received | None) -> None:
        """Write one message, or with None only what is due to reach the disk."""
        if received is None:
            self._writer.flush_when_due()
            return
        if self._writer.is_full:
            self._writer.close()
            self._writer = self._next_file()
        self._writer.write(received, time.time_ns())
        self.counters["messages"] += 1
        self.counters["bytes"] = self._writer.bytes

    def _next_file(self) -> SessionWriter:
        path = free_path(self._config.options.get("out") or self._config.options["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        self.counters["files"] += 1
        return SessionWriter(path, site_as_json(self._config.site), hashes(self._config.site))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()
