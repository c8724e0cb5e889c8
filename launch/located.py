"""What the positioning node would say, in a stream without processes: each phone's batch followed by its position.

For simulated sessions and evaluations; a running site has nodes/positioning.py.
"""

from collections.abc import Iterator

from ..messages import Message, PhoneBatch, numbered
from ..models.positioning.live import PhoneLocator
from ..models.radiomap.maps import load_map
from ..sitefile import Site


def locator_of(site: Site) -> PhoneLocator | None:
    """The locator of a site's models; None where it has no phones or no radio map. Raises MapError, ModelError."""
    if not site.phones or "radiomap" not in site.models:
        return None
    return PhoneLocator(load_map(site.models["radiomap"]), site.models.get("positioning"))


def located(heard: Iterator[tuple[int, Message]], locator: PhoneLocator | None) -> Iterator[tuple[int, Message]]:
    """(arrival_ns, message) in order of arrival, positions arriving with the batches that they are made from."""
    counts: dict[str, int] = {}
    for arrival_ns, message in heard:
        yield arrival_ns, message
        if locator and isinstance(message, PhoneBatch) and (position := locator.step(message)):
            yield arrival_ns, numbered(position, counts)
