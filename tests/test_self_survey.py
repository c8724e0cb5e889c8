"""A radio map out of a session that nobody surveyed: labels from confirmed people, wrong ones found out."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from downlink import Downlink, walk
from msgspec.structs import replace
from phone_truth import with_phones
from whowhere.drivers.simulated.phones_air import survey as surveyor
from whowhere.drivers.simulated.streams import EPOCH_NS
from whowhere.launch import self_survey
from whowhere.launch.errors import LaunchError
from whowhere.launch.simulation import Simulation, published_for_simulation, sensed
from whowhere.messages import Location, PhoneBatch, Truth
from whowhere.models.radiomap.knn import Locator
from whowhere.models.radiomap.maps import FingerprintMap, MapError
from whowhere.models.radiomap.selfsurvey import LabelledScan, believed, survey
from whowhere.nodes.session import Session
from whowhere.sitefile import Site

PEOPLE = 4
SCAN_S = 3.0


def labels(air: Downlink, minutes: float, wrong: float, seed: int) -> tuple[list[LabelledScan], np.ndarray]:
    """Scans of four people who walk for `minutes` in all, and which labels are wrong (n,): for 10 to 30 s the place of
    somebody else."""
    rng = np.random.default_rng([seed, 3])
    seconds = minutes * 60 / PEOPLE
    paths = [walk(seconds + 1, air.side_m, rng) for _ in range(PEOPLE)]
    offsets_db = rng.normal(0.0, 4.0, PEOPLE)
    scans, is_wrong = [], []
    for person in range(PEOPLE):
        until_s, mistaken = 0.0, False
        for second in np.arange(rng.uniform(0, SCAN_S), seconds, SCAN_S):
            if second >= until_s:
                mistaken, until_s = bool(rng.random() < wrong), second + rng.uniform(10.0, 30.0)
            row = int(second * 10)
            place = paths[(person + mistaken) % PEOPLE][row] + rng.normal(0.0, 0.25, 2)
            heard = air.heard(paths[person][row : row + 1], rng, offsets_db[person])[0]
            scan = dict(air.scan(heard))
            scans.append(LabelledScan(10**18 + round(second * 1e9), f"phone-{person}", scan, place, 0.95))
            is_wrong.append(mistaken)
    return scans, np.array(is_wrong)


def error_m(radio_map: FingerprintMap, air: Downlink, seed: int) -> tuple[float, float]:
    """Mean error of single scans along a walk nobody has seen, by phones of any offset; the share of them inside the
    90 % ellipse."""
    rng = np.random.default_rng(seed + 1000)
    places = walk(1200.0, air.side_m, rng)[::30]
    heard = air.heard(places, rng, rng.normal(0.0, 4.0, (len(places), 1)))
    locator, errors, inside = Locator(radio_map), [], []
    for place, dbm in zip(places, heard, strict=True):
        fix = locator.locate(dict(air.scan(dbm)))
        assert fix
        apart = fix.position_m - place
        errors.append(float(np.hypot(*apart)))
        inside.append(apart @ np.linalg.solve(fix.covariance_m2, apart) < 4.605)
    return float(np.mean(errors)), float(np.mean(inside))


def plain(scans: list[LabelledScan]) -> FingerprintMap:
    """What believing every label makes."""
    bssids = tuple(sorted({bssid for scan in scans for bssid in scan.scan}))
    levels = np.array([[scan.scan.get(bssid, np.nan) for bssid in bssids] for scan in scans])
    return FingerprintMap("plain", "1", bssids, np.array([scan.place for scan in scans]), levels)


def test_more_minutes_make_a_better_map_and_half_an_hour_nearly_a_surveyors() -> None:
    air = Downlink(seed=1)
    errors = [error_m(survey(labels(air, minutes, 0.0, 1)[0], "room"), air, 1)[0] for minutes in (3, 10, 30)]
    surveyed = error_m(air.surveyed(np.random.default_rng(1)), air, 1)[0]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1.3 * surveyed


def test_wrong_matches_are_found_out() -> None:
    gains = []
    for seed in (1, 2):
        air = Downlink(seed=seed)
        scans, is_wrong = labels(air, 30, 0.3, seed)
        made = survey(scans, "room")
        gains.append(error_m(made, air, seed)[0] / error_m(plain(scans), air, seed)[0])
        ordered = sorted(range(len(scans)), key=lambda row: (scans[row].t_ns, scans[row].phone))
        chosen = [scans[row] for row in ordered]
        flat = plain(chosen)
        right = believed(chosen, flat.position_m, flat.rssi_dbm) > 0.5
        assert np.mean(right[~is_wrong[ordered]]) > 0.9
        # who is taken for somebody standing beside them is not found out, nor does it matter
        assert np.mean(right[is_wrong[ordered]]) < 0.3
        assert made.card["contradicted"] == int((~right).sum())
    assert np.mean(gains) < 0.75


def test_the_covariance_of_a_self_made_map_is_honest() -> None:
    inside = [
        error_m(survey(labels(Downlink(seed=s), 20, 0.15, s)[0], "room"), Downlink(seed=s), s)[1] for s in (1, 2, 3)
    ]
    assert 0.75 < np.mean(inside) < 0.97


def test_the_same_scans_in_any_order_make_the_same_bytes() -> None:
    scans, _ = labels(Downlink(seed=2), 4, 0.1, 2)
    assert survey(scans, "room").to_bytes() == survey(scans[::-1], "room").to_bytes()


def test_too_little_is_one_sentence() -> None:
    scans, _ = labels(Downlink(seed=2), 4, 0.0, 2)
    with pytest.raises(MapError, match="only 5 scans were taken by people whose place was known: 20 are needed"):
        survey(scans[:5], "room")


@pytest.fixture(scope="module")
def session(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Three minutes of the demo's world with a phone each, recorded as `whowhere simulate` does."""
    out = tmp_path_factory.mktemp("session") / "demo.mcap"
    phoned = with_phones(site, 3)
    Simulation(published_for_simulation(phoned), out).run(sensed(phoned, 180.0, True))
    return Session(out)


def test_a_simulated_session_surveys_its_site(session: Session) -> None:
    made = self_survey.from_session(session)
    site = session.site()
    assert made.name == site.name
    assert made.card["source"] == "self-survey"
    assert made.card["minutes"] > 3.0
    held_out = Locator(made)
    bssids, places, levels = surveyor(site, 2.0, 1, seed=9)
    found = [
        (held_out.locate({b: float(v) for b, v in zip(bssids, row, strict=True) if v == v}), place)
        for row, place in zip(levels, places, strict=True)
    ]
    errors = [np.hypot(*(fix.position_m - place)) for fix, place in found if fix]
    middle = np.linalg.norm(places - places.mean(axis=0), axis=1).mean()
    assert len(errors) > 0.9 * len(places)
    assert np.mean(errors) < 0.75 * middle


def test_labels_are_near_the_truth(session: Session) -> None:
    messages = list(session.messages())
    site = session.site()
    truth = {m.t_ns: dict(zip(m.enrolled, m.position, strict=True)) for m in messages if isinstance(m, Truth)}
    owner = {phone.id: phone.owner for phone in site.phones}
    scans = self_survey.labelled(site, messages)
    times = np.array(sorted(truth))
    apart = []
    for scan in scans:
        there = truth[int(times[np.abs(times - scan.t_ns).argmin()])].get(owner[scan.phone])
        if there is not None:
            apart.append(float(np.hypot(*(scan.place - there))))
    heard = sum(1 for m in messages if isinstance(m, PhoneBatch) and m.scan)
    assert 0.25 * heard < len(scans) <= heard
    assert np.median(apart) < 0.4


def test_a_session_without_phones_or_without_anybody_confirmed_is_one_sentence(
    session: Session, site: Site, tmp_path: Path
) -> None:
    out = tmp_path / "bare.mcap"
    Simulation(published_for_simulation(site), out).run(sensed(site, 3.0, True))
    with pytest.raises(LaunchError, match="has no phones"):
        self_survey.from_session(Session(out))
    unseen = [m for m in session.messages() if not isinstance(m, Location)]
    assert self_survey.labelled(session.site(), unseen) == []


def test_places_are_taken_between_confirmed_places_of_one_body_only(site: Site) -> None:
    phoned = with_phones(site)

    def at(second: float, x: float, track: int, sources: tuple[str, ...] = ("camera-1",)) -> Location:
        return Location(
            source="fusion", t_ns=EPOCH_NS + round(second * 1e9), id="Ada", x_m=x, y_m=1.0,
            covariance_m2=(0.1, 0.0, 0.1), velocity_m_s=(0.0, 0.0), candidates=(("Ada", 0.98), ("unknown", 0.02)),
            state="confirmed", sources=sources, since_ns=0, track=track,
        )  # fmt: skip

    def heard(seconds: Iterable[float]) -> list[PhoneBatch]:
        nothing = np.zeros((0, 4), "f4")
        return [
            PhoneBatch(
                source="phone-ada", t_ns=EPOCH_NS + round((s + 0.5) * 1e9), acc=nothing, gyro=nothing, mag=nothing,
                scan=(("ap", -50.0),), scan_age_s=0.5,
            )
            for s in seconds
        ]  # fmt: skip

    trail = [at(1.0, 1.0, 7), at(1.4, 2.0, 7), at(1.8, 5.0, 8), at(4.0, 5.0, 8), at(4.2, 5.0, 8, ("phone-ada",))]
    found = self_survey.labelled(phoned, [*trail, *heard((0.9, 1.2, 1.6, 3.0, 4.1))])
    assert [(scan.place.tolist(), scan.probability) for scan in found] == [([1.5, 1.0], 0.98)]
    old = replace(heard((1.2,))[0], scan_age_s=4.0, t_ns=EPOCH_NS + 5_200_000_000)
    assert self_survey.labelled(phoned, [*trail, old]) == []
