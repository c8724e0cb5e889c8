"""Where everybody is, for programs: eight lines of Python get positions with names.

    import whowhere
    for person in whowhere.subscribe("tcp://127.0.0.1:7310"):
        print(person.id, person.x_m, person.y_m, person.candidates)

First comes where everybody is now, from the hub's snapshot, then each `Location` as it is published. A dead hub is
waited for; nothing is replayed, and nobody's history is kept.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from ..messages import Location, Scene
from ..sitefile import Bus
from .bus import BusError, Subscriber, snapshot


def subscribe(endpoint: str, who: str | None = None, keys: str | None = None) -> Iterator[Location]:
    """Locations of everybody, or of the identity `who` alone; for ever, until the iterator is closed.

    endpoint: the site's bus, like "tcp://127.0.0.1:7310". keys: the key folder, needed beyond this machine.
    Raises BusError when no hub answers at first, or the endpoint is no address.
    """
    bus = bus_at(endpoint, keys)
    with Subscriber(bus, [f"location/{who or ''}"]) as subscriber:
        newest: dict[str, int] = {}
        for received in snapshot(bus, ["scene/"]):
            if isinstance(received.message, Scene):
                for person in _located(received.message, who):
                    newest[person.id] = person.t_ns
                    yield person
        while True:
            received = subscriber.receive(1.0)
            if received is None or not isinstance(location := received.message, Location):
                continue
            # "location/Al" is also the start of "location/Alice"; and the scene may have overtaken a location.
            if who in (None, location.id) and newest.pop(location.id, -1) < location.t_ns:
                yield location


def bus_at(endpoint: str, keys: str | None = None) -> Bus:
    """The bus at an address like "tcp://127.0.0.1:7310". Raises BusError."""
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"tcp://{endpoint}")
        if parts.scheme != "tcp" or not parts.hostname or not parts.port:
            raise ValueError("it needs a host and a port")
        return msgspec.convert({"host": parts.hostname, "port": parts.port, "keys": keys}, Bus)
    except ValueError as error:  # msgspec's ValidationError is one
        raise BusError(f'"{endpoint}" is not an address like "tcp://127.0.0.1:7310": {error}') from error


def _located(scene: Scene, who: str | None) -> Iterator[Location]:
    """The people of a scene as messages of their own, numbered 0: they were not published as such."""
    for person in scene.people:
        if who in (None, person.id):
            yield Location(source=scene.source, t_ns=scene.t_ns, **msgspec.structs.asdict(person))
