"""What is published of a body: a name while somebody sees it, honest doubt once nobody does."""

import numpy as np
import pytest
from whowhere.fusion.detections import Detections
from whowhere.fusion.identities import Answer
from whowhere.fusion.naming import Name, Naming
from whowhere.fusion.people import Radio, describe
from whowhere.fusion.tracks import Tracker
from whowhere.fusion.wireless import WirelessGrid
from whowhere.messages import Person
from whowhere.sitefile import Site

SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS
LAST_SEEN_NS = START_NS + SECOND_NS


@pytest.fixture
def tracker() -> Tracker:
    """One body at (4, 3), seen standing for a second by a sensor that does not say what it looks at."""
    tracker = Tracker()
    for step in range(11):
        tracker.update(
            Detections(
                source="camera-1", t_ns=START_NS + step * SECOND_NS // 10, position=np.array([[4.0, 3.0]]),
                covariance=0.01 * np.eye(2)[None], score=np.ones(1), weight=np.ones(1),
            )
        )  # fmt: skip
    assert tracker.confirmed.all()
    return tracker


def after(tracker: Tracker, site: Site, unseen_s: float) -> list[Person]:
    """Ann, certain to be that body, as published when nobody has seen it for `unseen_s`."""
    t_ns = LAST_SEEN_NS + round(unseen_s * SECOND_NS)
    while tracker.t_ns < t_ns:  # as the engine does: a tick at a time
        tracker.advance(min(tracker.t_ns + SECOND_NS // 5, t_ns))
    body = int(tracker.number[0])
    answer = Answer([body], np.array([[0.99]]), np.array([[0.99]]), {body: "Ann"}, [], np.zeros((1, 0)))
    naming = Naming(site.fusion)
    naming.names[body] = Name("Ann", LAST_SEEN_NS)
    grid = WirelessGrid(site.area, site.sniffers, 1)
    ann = Radio("Ann", {"sniffer-1": t_ns}, lambda: [grid.position(0)])
    return describe(t_ns, tracker, naming, answer, [ann], {}, {})


def test_a_body_that_is_seen_has_its_name(tracker: Tracker, site: Site) -> None:
    (ann,) = after(tracker, site, 0.1)
    assert (ann.id, ann.state, ann.candidates[0]) == ("Ann", "confirmed", ("Ann", 0.99))


def test_a_short_gap_takes_no_name_away(tracker: Tracker, site: Site) -> None:
    (ann,) = after(tracker, site, 0.9)
    assert ann.state == "confirmed"


def test_of_a_body_long_unseen_nobody_is_sure(tracker: Tracker, site: Site) -> None:
    body, ann = after(tracker, site, 6.0)
    assert body.state == "anonymous"
    assert body.id.startswith("anon-")
    assert ann.id == "Ann"
    assert ann.state in ("tentative", "wireless")
    assert 0.2 < dict(body.candidates)["Ann"] < 0.7
    assert sum(probability for _, probability in body.candidates) == pytest.approx(1.0)


def test_doubt_grows_with_time(tracker: Tracker, site: Site) -> None:
    published = [after(tracker, site, unseen_s)[0] for unseen_s in (0.1, 1.0, 3.0, 8.0)]
    sure = [dict(person.candidates)["Ann"] for person in published]
    area = [person.covariance_m2[0] * person.covariance_m2[2] for person in published]
    assert sure == sorted(sure, reverse=True)
    assert area == sorted(area)
