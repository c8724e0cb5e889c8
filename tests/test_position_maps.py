"""New radio maps in a running system: refused, on trial, kept, or taken back."""

from collections.abc import Callable

import numpy as np
import pytest
from downlink import Downlink, batch, walk
from msgspec.structs import replace
from whowhere.messages import Location
from whowhere.models.radiomap.maps import FingerprintMap, MapError
from whowhere.models.radiomap.trial import ENOUGH_PAIRS, MapTrial
from whowhere.sitefile import Area, Camera, Identity, Phone, Site

START_NS = 1_800_000_000_000_000_000
AIR = Downlink(seed=5)


@pytest.fixture
def ours(site: Site) -> Site:
    eye: Camera = replace(site.cameras[0], id="camera-1")
    return replace(
        site,
        area=Area(x_m=(0.0, AIR.side_m[0]), y_m=(0.0, AIR.side_m[1])),
        cameras=(eye,),
        identities=(Identity(name="Ada", consent=True),),
        phones=(Phone(id="phone-1", owner="Ada"),),
    )


def good(version: str, seed: int = 1) -> FingerprintMap:
    return AIR.surveyed(np.random.default_rng(seed), version=version)


def shifted() -> FingerprintMap:
    """Every place 4 m beside where it was: scans fit, nothing jumps, people are elsewhere."""
    made = good("shifted", 2)
    return made.changed(position_m=made.position_m + np.array([4.0, 0.0]))


def shuffled() -> FingerprintMap:
    made = good("shuffled", 2)
    return made.changed(position_m=np.random.default_rng(3).permutation(made.position_m))


def poisoned() -> FingerprintMap:
    """The levels of each access point are another's."""
    made = good("poisoned", 2)
    return made.changed(rssi_dbm=np.roll(made.rssi_dbm, 3, axis=1))


def one_spot() -> FingerprintMap:
    made = good("one-spot", 2)
    near = np.linalg.norm(made.position_m - [3.0, 3.0], axis=1) < 2.5
    return made.changed(position_m=made.position_m[near], rssi_dbm=made.rssi_dbm[near])


def live(trial: MapTrial, seconds: int, is_seen: bool, seed: int = 7) -> list[str]:
    """Ada walks with her phone, scanning every second; the verdicts that are said."""
    rng = np.random.default_rng(seed)
    path = walk(float(seconds), AIR.side_m, rng)
    verdicts = []
    for number in range(0, len(path) - 10, 2):
        t_ns = START_NS + number * 100_000_000
        if is_seen:
            trial.see(located(t_ns, path[number]))
        if number % 10 == 0:
            scan = AIR.scan(AIR.heard(path[number : number + 1], rng)[0])
            verdicts.append(trial.hear(batch("phone-1", t_ns + 200_000_000, scan)))
    return [verdict for verdict in verdicts if verdict]


def located(t_ns: int, place: np.ndarray, sources: tuple[str, ...] = ("camera-1",)) -> Location:
    x, y = place.tolist()
    return Location(
        source="fusion", t_ns=t_ns, id="Ada", x_m=x, y_m=y, covariance_m2=(0.1, 0.0, 0.1), velocity_m_s=(0.0, 0.0),
        candidates=(("Ada", 1.0),), state="confirmed", sources=sources, since_ns=0, track=1,
    )  # fmt: skip


@pytest.mark.parametrize("is_seen", [True, False])
def test_an_equal_map_is_kept(ours: Site, is_seen: bool) -> None:
    trial = MapTrial(ours, good("1"))
    assert live(trial, 20, is_seen) == []
    assert trial.offer(good("2", 9).to_bytes()).label == "room:2"
    assert live(trial, ENOUGH_PAIRS + 60, is_seen, seed=11) == ["kept"]
    assert (trial.in_force.version, trial.is_on_trial) == ("2", False)
    assert trial.counters == {"swapped": 1, "refused": 0, "rolled_back": 0, "kept": 1}


@pytest.mark.parametrize("bad", [shifted, shuffled, poisoned, one_spot])
def test_a_bad_map_is_taken_back_when_people_are_seen(ours: Site, bad: Callable[[], FingerprintMap]) -> None:
    trial = MapTrial(ours, good("1"))
    trial.offer(bad().to_bytes())
    (verdict, *_) = live(trial, 120, is_seen=True)
    assert "was taken back, room:1 is in force again" in verdict
    assert "m from confirmed people" in verdict or bad is not shifted  # scans told earlier
    assert trial.in_force.version == "1"
    assert trial.counters["rolled_back"] == 1


@pytest.mark.parametrize("bad", [shuffled, poisoned, one_spot])
def test_a_bad_map_is_taken_back_by_scans_alone(ours: Site, bad: Callable[[], FingerprintMap]) -> None:
    """Nobody is seen; one shifted as a whole cannot be told then."""
    trial = MapTrial(ours, good("1"))
    trial.offer(bad().to_bytes())
    (verdict, *_) = live(trial, 150, is_seen=False)
    assert "was taken back" in verdict
    assert trial.in_force.version == "1"


def test_what_only_the_phone_itself_says_is_no_reference(ours: Site) -> None:
    trial = MapTrial(ours, good("1"))
    trial.offer(shifted().to_bytes())
    for number in range(100):
        trial.see(located(START_NS + number * 200_000_000, np.array([3.0, 3.0]), ("phone-1", "sniffer-1")))
    assert live(trial, 60, is_seen=False) == []


def test_of_two_swaps_in_a_row_the_map_that_was_kept_comes_back(ours: Site) -> None:
    trial = MapTrial(ours, good("1"))
    trial.offer(shifted().to_bytes())
    trial.offer(shuffled().to_bytes())
    live(trial, 120, is_seen=True)
    assert trial.in_force.version == "1"


def test_maps_that_cannot_be_ours_are_refused(ours: Site) -> None:
    trial = MapTrial(ours, good("1"))
    live(trial, 20, is_seen=False)
    elsewhere = Downlink(seed=6).surveyed(np.random.default_rng(1), version="7")
    far = good("8")
    far = far.changed(position_m=far.position_m + 500.0)
    for content, why in (
        (b"nonsense", "not a radio map"),
        (good("2").to_bytes()[:-400], "not a radio map"),
        (elsewhere.to_bytes(), "of another site: it knows 0% of the access points that phones hear here"),
        (far.to_bytes(), "of another place"),
        (good("1").to_bytes(), "in force already"),
    ):
        with pytest.raises(MapError, match=why):
            trial.offer(content)
    assert trial.counters["refused"] == 5
    assert not trial.is_on_trial


def test_before_any_scan_the_map_in_force_says_which_site_this_is(ours: Site) -> None:
    trial = MapTrial(ours, good("1"))
    with pytest.raises(MapError, match="another site"):
        trial.offer(Downlink(seed=6).surveyed(np.random.default_rng(1), version="7").to_bytes())
    assert trial.offer(good("2").to_bytes()).version == "2"
