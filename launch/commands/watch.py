"""Watch who is where, live in the terminal.

Shows the newest scene of a running site: each person with the most probable names, position, uncertainty and the
sensors that contributed. With --json every scene is one line on standard output, for a program to read.
"""

import argparse
import math
import time
from typing import TYPE_CHECKING

from ...messages import Message, Person, Scene, as_json
from ...nodes.bus import Subscriber, require_hub, snapshot
from ..arguments import seconds
from ..counting import counted
from ..endpoint import add_bus_arguments, bus_of
from ..running import stop_on_signals

if TYPE_CHECKING:
    from rich.table import Table

EXAMPLE = """
whowhere watch
whowhere watch --json | jq '.people[] | {id, x_m, y_m}'
"""
STALE_S = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bus_arguments(parser)
    parser.add_argument("--seconds", type=seconds, metavar="N", help="end by itself after N seconds")
    parser.add_argument("--json", action="store_true", help="one JSON line per scene")


def run(args: argparse.Namespace) -> int:
    bus = bus_of(args)
    require_hub(bus)
    stop = stop_on_signals(args.seconds)
    show = _json_lines if args.json else _Table()
    with Subscriber(bus, ["scene/"]) as subscriber:
        received = next(iter(snapshot(bus, ["scene/"])), None)
        while not stop.is_set():
            show(received.message if received else None)
            received = subscriber.receive(timeout_s=0.5)
    if isinstance(show, _Table):
        show.close()
    return 0


def _json_lines(scene: Message | None) -> None:
    if scene:
        print(as_json(scene), flush=True)


class _Table:
    """A table that stays in place; in a pipe rich prints it once, at the end."""

    def __init__(self) -> None:
        from rich.live import Live  # here: --json needs no terminal drawing

        self._live = Live("nobody has published a scene yet: is fusion running?", refresh_per_second=5)
        self._live.start()
        self._last: Scene | None = None

    def __call__(self, scene: Message | None) -> None:
        if isinstance(scene, Scene):
            self._last = scene
        if self._last:
            self._live.update(_drawn(self._last))  # also without news, so that an old scene says its age

    def close(self) -> None:
        self._live.stop()


def _drawn(scene: Scene) -> "Table":
    from rich.table import Table

    age_s = (time.time_ns() - scene.t_ns) / 1e9
    stale = f", {age_s:.0f} s ago: is fusion running?" if age_s > STALE_S else ""
    title = f"{scene.source}: {counted(len(scene.people), 'person', 'people')}{stale}"
    table = Table("who", "state", "probably", "x m", "y m", "± m", "speed m/s", "seen by", title=title)
    for person in sorted(scene.people, key=lambda person: (person.state == "anonymous", person.id)):
        table.add_row(*_row(person))
    return table


def _row(person: Person) -> list[str]:
    xx, _, yy = person.covariance_m2
    return [
        person.id,
        person.state,
        ", ".join(f"{name} {probability:.0%}" for name, probability in person.candidates[:2]),
        f"{person.x_m:.1f}",
        f"{person.y_m:.1f}",
        f"{math.sqrt(max(0.0, xx + yy)):.1f}",
        f"{math.hypot(*person.velocity_m_s):.1f}",
        ", ".join(person.sources),
    ]
