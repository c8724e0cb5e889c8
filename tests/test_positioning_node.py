"""The positioning node on a bus: positions come out, maps are swapped without a gap, bad ones refused or taken back."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from buses import free_bus, node, running_hub, wait_for
from downlink import Downlink, batch
from msgspec.structs import replace
from whowhere.launch.processes import process_table
from whowhere.launch.wiring import Wiring
from whowhere.messages import Event, Health, Message, PhonePosition
from whowhere.models.radiomap.maps import FingerprintMap, save_map
from whowhere.nodes import positioning
from whowhere.nodes.bus import Publisher, Subscriber
from whowhere.nodes.node import NodeConfig
from whowhere.sitefile import Area, Bus, Identity, Phone, Site

AIR = Downlink(seed=5)
PHONE = "phone-1"


def made(version: str, seed: int = 1) -> FingerprintMap:
    return AIR.surveyed(np.random.default_rng(seed), version=version)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    save_map(made("1"), tmp_path / "first.map")
    return Site(
        name="room",
        area=Area(x_m=(0.0, AIR.side_m[0]), y_m=(0.0, AIR.side_m[1])),
        bus=free_bus(),
        identities=(Identity(name="Ada", consent=True),),
        phones=(Phone(id=PHONE, owner="Ada"),),
        models={"radiomap": str(tmp_path / "first.map")},
    )


class Walking:
    """A phone that somebody carries about: sends a batch each 20 ms of ours, a second of theirs, until closed."""

    def __init__(self, bus: Bus) -> None:
        self._bus, self._stop = bus, threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self) -> None:
        rng, start_ns = np.random.default_rng(4), time.time_ns()
        with Publisher(self._bus, "phones") as publisher:
            publisher.wait_until_heard([f"phone/{PHONE}"], 5.0)
            while not self._stop.is_set():
                angle = self.sent / 12
                place = np.array([[12 + 7 * np.cos(angle), 8 + 5 * np.sin(angle)]])
                scan = AIR.scan(AIR.heard(place, rng)[0])
                publisher.publish(batch(PHONE, start_ns + self.sent * 1_000_000_000, scan))
                self.sent += 1
                self._stop.wait(0.02)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)


@contextmanager
def running(site: Site, run_dir: Path) -> Iterator[tuple[Walking, list[Message]]]:
    """A hub, the node and a phone; what the node says gathers in the list."""
    said: list[Message] = []
    over = threading.Event()

    def gather() -> None:
        with Subscriber(site.bus, ["position/", "event/", "health/positioning"]) as subscriber:
            while not over.is_set():
                if received := subscriber.receive(0.1):
                    said.append(received.message)

    config = NodeConfig(name="positioning", site=site, run_dir=str(run_dir))
    with running_hub(site.bus), node(positioning.main, config):
        listener = threading.Thread(target=gather, daemon=True)
        listener.start()
        walking = Walking(site.bus)
        try:
            wait_for(lambda: any(isinstance(m, PhonePosition) for m in said), 15.0)
            yield walking, said
        finally:
            walking.close()
            over.set()
            listener.join(5)


def maps_of(said: list[Message]) -> list[str]:
    return list(dict.fromkeys(m.map for m in said if isinstance(m, PhonePosition)))


def test_two_swaps_without_a_gap_and_a_map_of_another_site_refused(site: Site, tmp_path: Path) -> None:
    with running(site, tmp_path) as (_, said):
        assert positioning.publish_map(site.bus, made("2", 2)) == "radio map room:2 is in force, on trial"
        wait_for(lambda: maps_of(said)[-1] == "room:2", 10.0)
        assert "in force" in positioning.publish_map(site.bus, made("3", 3))
        wait_for(lambda: maps_of(said)[-1] == "room:3", 10.0)
        elsewhere = Downlink(seed=6).surveyed(np.random.default_rng(1), version="9")
        assert "is refused: radio map room:9 is of another site" in positioning.publish_map(site.bus, elsewhere)
        wait_for(lambda: sum(isinstance(m, PhonePosition) and m.map == "room:3" for m in said) > 20, 10.0)
    positions = [m for m in said if isinstance(m, PhonePosition)]
    assert maps_of(said) == ["room:1", "room:2", "room:3"]
    gaps_s = np.diff([m.t_ns for m in positions]) / 1e9
    assert gaps_s.max() == pytest.approx(1.0)  # every batch has its position, over both swaps
    assert [m.seq for m in positions] == list(range(positions[0].seq, positions[0].seq + len(positions)))


def test_a_bad_map_is_taken_back_and_said_so(site: Site, tmp_path: Path) -> None:
    bad = made("bad", 2)
    with running(site, tmp_path) as (_, said):
        positioning.publish_map(site.bus, bad.changed(rssi_dbm=np.roll(bad.rssi_dbm, 3, axis=1)))
        events = wait_for(lambda: [m for m in said if isinstance(m, Event) and "taken back" in m.text], 15.0)
        wait_for(lambda: maps_of(said[-5:]) == ["room:1"], 10.0)
        health = wait_for(lambda: [m for m in said if isinstance(m, Health) and m.counters.get("rolled_back")], 10.0)
    assert isinstance(events, list)
    assert events[0].type == "warning"
    assert isinstance(health, list)
    assert health[-1].detail == "radio map room:1"


def test_a_restarted_node_goes_on_with_the_map_that_was_kept(site: Site, tmp_path: Path) -> None:
    assert positioning.first_map(site, str(tmp_path)).version == "1"
    save_map(made("7"), tmp_path / positioning.KEPT)
    assert positioning.first_map(site, str(tmp_path)).version == "7"


def test_nobody_there_is_one_sentence(site: Site) -> None:
    with running_hub(site.bus), pytest.raises(positioning.BusError, match="no positioning node answers"):
        positioning.publish_map(site.bus, made("2"), timeout_s=1.0)


def test_phones_that_are_not_the_sites_are_not_located(site: Site, tmp_path: Path) -> None:
    other = replace(site, phones=(Phone(id="phone-2", owner="Ada"),))
    config = NodeConfig(name="positioning", site=other, run_dir=str(tmp_path))
    with running_hub(site.bus), node(positioning.main, config), Subscriber(site.bus, ["position/"]) as subscriber:
        walking = Walking(site.bus)
        assert subscriber.receive(1.5) is None
        walking.close()


def test_a_damaged_map_is_said_in_health(site: Site, tmp_path: Path) -> None:
    Path(site.models["radiomap"]).write_bytes(b"no map")
    config = NodeConfig(name="positioning", site=site, run_dir=str(tmp_path))
    told = Subscriber(site.bus, ["health/positioning"])
    with running_hub(site.bus), told as subscriber, node(positioning.main, config):
        health = wait_for(lambda: (r := subscriber.receive(0.1)) and r.message, 5.0)
    assert isinstance(health, Health)
    assert health.state == "refused"
    assert "not a radio map" in health.detail


def test_the_process_table_has_it_where_phones_have_a_map(site: Site, tmp_path: Path) -> None:
    for models, is_there in (({}, False), (site.models, True)):
        wired = replace(site, models=models)
        wiring = Wiring(private=wired, public=wired, run_dir=str(tmp_path), options={})
        names = [row.name for row in process_table(wiring, sensors=False)]
        assert ("positioning" in names) == is_there
