"""What happens when its processes are killed and its cables pulled: measured on a running demo, as a table.

    python tests/survival.py --markdown docs/results/survival.md

Each process in turn is ended by `kill -9`, then each simulated sensor is unplugged for a few seconds. Times are from
the kill (or from plugging in again) to the first thing that the successor says; names are kept where the same body
has the same name three seconds later; the recording is read afterwards. test_survival.py runs a part of it.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from whowhere.launch.memory import descendants
from whowhere.launch.wiring import free_port
from whowhere.messages import Health, Message, Scene
from whowhere.nodes.bus import Subscriber
from whowhere.nodes.session import Session
from whowhere.nodes.subscription import bus_at

LIMIT_S = 5.0
PATIENCE_S = 12.0  # how long a missing one is waited for, so that the table says how late it was
AFTER_S = 3.0
UNPLUGGED_S = 4.0
SENSORS = ("radar-1", "camera-1", "camera-2", "sniffer-1", "sniffer-2", "sniffer-3", "sniffer-4")
OUTPUT = {"fusion": "scene/", "simulated": "truth/", "hub": "", "page": "health/page", "recorder": "health/recorder"}
OUTPUT |= {name: ("radar/", "camera/", "wifi/")["rcs".index(name[0])] + name for name in SENSORS}


class Heard(NamedTuple):
    at_s: float
    topic: str
    boot: str
    message: Message


@dataclass
class Row:
    """One kill. health_s, output_s: until the successor said it is well, and until its next output (None: never).

    others_s: until every other sensor and fusion spoke again. scene_gap_s: the longest silence of scenes.
    named: who had a body before; kept: who has the same body three seconds after; renamed: whose body, still there,
    has another name or none by then. Who left, or is not seen any more, is in neither.
    lost_s: what is missing in the recording that was open, where the recorder was killed.
    """

    what: str
    health_s: float | None = None
    output_s: float | None = None
    others_s: float | None = None
    scene_gap_s: float = 0.0
    named: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    lost_s: float | None = None

    @property
    def is_back(self) -> bool:
        return self.is_back_within(LIMIT_S)

    def is_back_within(self, limit_s: float) -> bool:
        times = [self.health_s, self.output_s] + ([] if self.others_s is None else [self.others_s])
        return all(t is not None and t <= limit_s for t in times)


class Watch(threading.Thread):
    """Hears everything on the bus and remembers when."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.heard: list[Heard] = []
        self._address, self._over = address, threading.Event()

    def run(self) -> None:
        with Subscriber(bus_at(self._address), [""]) as subscriber:
            while not self._over.is_set():
                if received := subscriber.receive(0.1):
                    self.heard.append(Heard(time.monotonic(), received.topic, received.stamp.boot, received.message))

    def close(self) -> None:
        self._over.set()
        self.join(5)

    def first(self, since_s: float, wanted: Callable[[Heard], bool], patience_s: float = PATIENCE_S) -> float | None:
        """Seconds from `since_s` to the first message that is wanted; None where none comes."""
        looked = 0
        while True:
            size = len(self.heard)
            for heard in self.heard[looked:size]:
                if heard.at_s > since_s and wanted(heard):
                    return heard.at_s - since_s
            looked = size
            if time.monotonic() > since_s + patience_s:
                return None
            time.sleep(0.02)

    def last(self, prefix: str, before_s: float = float("inf")) -> Heard | None:
        return next((h for h in reversed(self.heard) if h.topic.startswith(prefix) and h.at_s < before_s), None)

    def bodies(self, before_s: float = float("inf")) -> dict[int, str]:
        """The name of each body in the last scene, "" without one."""
        heard = self.last("scene/", before_s)
        people = heard.message.people if heard and isinstance(heard.message, Scene) else ()
        return {p.track: "" if p.state == "anonymous" else p.id for p in people if p.track is not None}

    def gap_s(self, since_s: float) -> float:
        times = [h.at_s for h in list(self.heard) if h.topic.startswith("scene/") and h.at_s > since_s - 1.0]
        return max((b - a for a, b in zip(times, [*times[1:], time.monotonic()], strict=True)), default=float("inf"))


class Demo:
    """A recorded demo in `folder`, on free ports, with a Watch on its bus."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.page_port = folder, free_port()
        command = [sys.executable, "-m", "whowhere.launch.cli", "demo", "--no-browser", "--json", *options]
        command += ["--port", str(self.page_port), "--record", "demo.mcap"]
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder)
        while " also: " not in self.errors:
            assert self.process.poll() is None, self.errors
            time.sleep(0.1)
        self.bus = next((w.strip(",;") for w in self.errors.split() if w.startswith("tcp:")), "tcp://127.0.0.1:7310")
        self.watch = Watch(self.bus)
        self.watch.start()

    @property
    def errors(self) -> str:
        return (self.folder / "err").read_text()

    @property
    def processes(self) -> dict[str, int]:
        """Its processes by name; a camera's capture is "camera-1's capture"."""
        found = {}
        for pid in descendants(self.process.pid)[1:]:
            name, parent = _name(pid), _name(_parent(pid))
            found[f"{parent}'s capture" if parent.startswith("camera") else name] = pid
        return found

    def kill(self, name: str) -> Row:
        """kill -9, and how everything came back."""
        newest = self.watch.last(f"health/{name}")
        recording = max(self.folder.glob("*.mcap"), key=lambda path: path.stat().st_mtime)
        row, source, before = Row(name), name.removesuffix("'s capture"), self.watch.bodies()
        os.kill(self.processes[name], signal.SIGKILL)
        killed_s, killed_ns = time.monotonic(), time.time_ns()

        def is_new(heard: Heard) -> bool:
            if source != name or name == "hub":  # the process that speaks is the old one
                return heard.message.t_ns > killed_ns
            return newest is None or heard.boot != newest.boot

        row.output_s = self.watch.first(killed_s, lambda h: h.topic.startswith(OUTPUT[source]) and is_new(h))
        # A camera node is well until it notices that its capture is gone: what counts is what it says afterwards.
        spoke_s = killed_s + (row.output_s or 0.0 if source != name else 0.0)
        row.health_s = self.watch.first(
            killed_s, lambda h: h.topic == f"health/{source}" and h.at_s >= spoke_s and is_new(h) and _is_well(h)
        )
        if name == "page":
            row.output_s = self._page_answers(killed_s)
        if name in ("hub", "simulated"):
            row.others_s = self._all_speak(killed_s, killed_ns)
        self._afterwards(row, killed_s, before)
        if name == "recorder":
            row.lost_s = killed_ns / 1e9 - last_log_ns(recording) / 1e9
        return row

    def unplug(self, sensor: str) -> Row:
        """Pull a cable, plug it in again a little later; times from then on."""
        row, before = Row(f"unplug {sensor}"), self.watch.bodies()
        pulled_s = time.monotonic()
        self._pull(sensor, True)
        reported_s = self.watch.first(pulled_s, lambda h: h.topic == f"health/{sensor}" and not _is_well(h))
        row.what += " (never reported)" if reported_s is None else f" (reported after {reported_s:.1f} s)"
        time.sleep(max(0.0, pulled_s + UNPLUGGED_S - time.monotonic()))
        plugged_s, plugged_ns = time.monotonic(), time.time_ns()
        self._pull(sensor, False)
        row.output_s = self.watch.first(plugged_s, lambda h: h.topic == OUTPUT[sensor] and h.message.t_ns > plugged_ns)
        row.health_s = self.watch.first(
            plugged_s,
            lambda h: h.topic == f"health/{sensor}" and h.at_s >= plugged_s + (row.output_s or 0) and _is_well(h),
        )
        self._afterwards(row, pulled_s, before)
        return row

    def _afterwards(self, row: Row, since_s: float, before: dict[int, str]) -> None:
        time.sleep(max(0.0, since_s + AFTER_S - time.monotonic()))
        after = self.watch.bodies(since_s + AFTER_S)
        named = {track: name for track, name in before.items() if name}
        row.named = tuple(named.values())
        row.kept = tuple(name for track, name in named.items() if after.get(track) == name)
        row.renamed = tuple(name for track, name in named.items() if after.get(track, name) != name)
        row.scene_gap_s = self.watch.gap_s(since_s)

    def nothing(self) -> Row:
        """The same look at the names while nothing is killed: how much they change by themselves."""
        row, since_s, before = Row("nothing"), time.monotonic(), self.watch.bodies()
        row.health_s = row.output_s = 0.0
        self._afterwards(row, since_s, before)
        return row

    def _all_speak(self, killed_s: float, killed_ns: int) -> float | None:
        later_ns, prefixes = killed_ns + 500_000_000, tuple(OUTPUT[name] for name in (*SENSORS, "fusion"))
        times = [
            self.watch.first(killed_s, lambda h, p=p: h.topic.startswith(p) and h.message.t_ns > later_ns)
            for p in prefixes
        ]
        return None if None in times else max(t for t in times if t is not None)

    def _page_answers(self, killed_s: float) -> float | None:
        while time.monotonic() < killed_s + PATIENCE_S:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.page_port}/", timeout=0.5).close()
                return time.monotonic() - killed_s
            except OSError:
                time.sleep(0.05)
        return None

    def _pull(self, sensor: str, is_unplugged: bool) -> None:
        url = f"http://127.0.0.1:{self.page_port}/api/fault"
        body = json.dumps({"sensor": sensor, "unplugged": is_unplugged}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=2).close()

    def stop(self) -> dict[str, Any]:
        """Ctrl-C; its last line of JSON."""
        self.watch.close()
        family = descendants(self.process.pid)
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(25) == 0, self.errors
        figures = json.loads((self.folder / "out").read_text().splitlines()[-1])
        time.sleep(1.0)  # the kernel tidies up
        return {**figures, "left_over": [pid for pid in family if _is_alive(pid)]}


def last_log_ns(path: Path) -> int:
    """When the last message was written that the file still gives."""
    return max((record.log_time_ns for record in Session(path).records()), default=0)


def _is_well(heard: Heard) -> bool:
    return isinstance(heard.message, Health) and heard.message.state == "ok"


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"  # a zombie waits for init
    except OSError:
        return False


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def table(rows: list[Row]) -> str:
    lines = [
        "| killed or unplugged | well again | speaks again | all others | longest pause of scenes | names kept | note |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for row in rows:
        notes = [f"renamed: {', '.join(row.renamed)}"] if row.renamed else []
        notes += [f"the recording lost {row.lost_s:.2f} s"] if row.lost_s is not None else []
        seconds = [row.health_s, row.output_s, row.others_s, row.scene_gap_s]
        cells = [row.what, *("" if s is None else f"{s:.2f} s" for s in seconds)]
        lines.append(f"| {' | '.join([*cells, f'{len(row.kept)} of {len(row.named)}', '; '.join(notes)])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder for the recordings")
    parser.add_argument("--warm-up", type=float, default=40.0, help="s before the first kill, for names to be found")
    parser.add_argument("--only", default="", help="these only, by comma")
    parser.add_argument("--options", default="", help="further options of whowhere demo")
    args = parser.parse_args()
    demo = Demo(args.folder, *args.options.split())
    time.sleep(args.warm_up)
    rows = []
    kills = [name for name in demo.processes if name in OUTPUT or "capture" in name]
    every = ["nothing", *kills, *(f"unplug {name}" for name in SENSORS), "nothing"]
    wanted = args.only.split(",") if args.only else every
    for what in wanted:
        if what == "nothing":
            rows.append(demo.nothing())
        else:
            rows.append(demo.unplug(what.split()[1]) if what.startswith("unplug ") else demo.kill(what))
        print(json.dumps(asdict(rows[-1])), flush=True)
        time.sleep(4)
    figures = demo.stop()
    print(table(rows))
    print({k: figures[k] for k in ("restarts", "named_right", "left_over")})
    for path in sorted(args.folder.glob("*.mcap")):
        session = Session(path)
        print(path.name, sum(1 for _ in session.records()), "messages,", session.ended or "whole")


if __name__ == "__main__":
    main()
