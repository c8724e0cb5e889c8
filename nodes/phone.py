"""The phones' node: what consenting people's phones upload, published as one PhoneBatch a second and phone.

It alone is given their tokens, and access points' addresses leave it as pseudonyms under the site's key.
"""

import threading
from functools import lru_cache

from ..drivers.phone.endpoint import Endpoint
from ..drivers.phone.gateway import Uploads
from ..drivers.wifi.pseudonyms import access_point_pseudonym, load_key
from .bus import Publisher
from .health import Heartbeat
from .node import NodeConfig

LOOK_S = 0.05
REMEMBERED = 50_000  # access points whose pseudonym need not be computed again


def main(config: NodeConfig, stop: threading.Event) -> None:
    site = config.site
    key = load_key(site.privacy.key)

    @lru_cache(REMEMBERED)
    def pseudonym(address: str) -> str:
        return access_point_pseudonym(key, address)

    uploads = Uploads([phone.id for phone in site.phones], pseudonym)
    with Publisher(site.bus, config.name) as publisher, Endpoint(site.gateway, site.phones, uploads) as endpoint:
        heartbeat = Heartbeat(publisher, config.name)
        while not stop.is_set():
            for message in endpoint.due():
                publisher.publish(message)
                heartbeat.count(message)
            heartbeat.beat(detail=endpoint.detail, counters=endpoint.counters)
            stop.wait(LOOK_S)
        heartbeat.beat("stopped", counters=endpoint.counters)
