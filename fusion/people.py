"""What is published: every body with its candidates, and every enrolled identity that no body carries for sure."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..messages import Person
from .geometry import Floats
from .identities import Answer
from .naming import Name, Naming
from .tracks import COASTING_S, Tracker

SOURCE_MEMORY_NS = 1_500_000_000  # a sensor contributed lately if it did within this
HEARD_MEMORY_NS = 10_000_000_000  # a phone not heard for longer is not here
THERE_M = 1.5  # a body farther from its place than this is not there
SURELY_THERE = 0.8  # a body that is less probably where it is published carries no name: nobody sees it
STRAYING_M2_PER_S = 0.3  # how far unseen bodies stray beyond what their filters say (measured: docs/fusion.md)
MEDIAN_STEPS = 10  # after which it moves by millimetres
MENTION = 0.01  # candidates less likely than this are left to "unknown"


class Radio(NamedTuple):
    """What is known of an identity by radio alone: its name, when each sniffer heard it and each of its phones said
    where it is, and, when asked, where that has it: mean (2,) and covariance (2,2) of each map."""

    name: str
    heard: dict[str, int]
    places: Callable[[], list[tuple[Floats, Floats]]]


def describe(
    t_ns: int,
    tracker: Tracker,
    naming: Naming,
    answer: Answer,
    radio: list[Radio],
    published: dict[str, int],
    lost: dict[int, tuple[Floats, Floats]],
) -> list[Person]:
    """Everybody at `t_ns`: bodies in order of age, then identities in the site file's order.

    published: the ids in the last scene, and since when. lost: where bodies lost lately may be, by number.
    """
    bodies = answer.bodies
    row_of = {int(number): row for row, number in enumerate(tracker.number)}
    rows = [row_of[body] for body in bodies]
    spread = _spread(tracker, rows)
    there = _there(spread)
    probability = answer.probability * there
    names = [known.name for known in radio]
    people = []
    for column, body in enumerate(bodies):
        name = naming.names.get(body) if there[column] >= SURELY_THERE else None
        heard = radio[names.index(name.identity)].heard if name else {}
        candidates = _candidates(names, probability[:, column])
        people.append(_body(t_ns, tracker, rows[column], spread[column], name, candidates, heard))
    sure = {person.id for person in people}
    gone = [lost[number] for number in answer.lost]
    places = (
        np.concatenate((tracker.mean[rows, :2], np.reshape([mean for mean, _ in gone], (-1, 2)))),
        np.concatenate((spread, np.reshape([spread for _, spread in gone], (-1, 2, 2)))),
    )
    away = np.maximum(1.0 - probability.sum(axis=1, keepdims=True), 0.0)
    weights = np.column_stack((probability, away * answer.lost_probability))
    for index, known in enumerate(radio):
        if known.name not in sure and known.heard and t_ns - max(known.heard.values()) < HEARD_MEMORY_NS:
            since_ns = published.get(known.name, t_ns)
            people.append(_identity(t_ns, since_ns, known, places, weights[index], len(bodies)))
    return people


def _body(
    t_ns: int,
    tracker: Tracker,
    row: int,
    spread: Floats,
    name: Name | None,
    candidates: tuple[tuple[str, float], ...],
    heard: dict[str, int],
) -> Person:
    number = int(tracker.number[row])
    mean = tracker.mean[row]
    sensors = _lately(t_ns, tracker.sources[row])
    return Person(
        id=name.identity if name else f"anon-{number}",
        x_m=float(mean[0]),
        y_m=float(mean[1]),
        covariance_m2=_upper(spread),
        velocity_m_s=(float(mean[2]), float(mean[3])),
        candidates=candidates,
        state="confirmed" if name else "anonymous",
        sources=(*sensors, *_lately(t_ns, heard)),
        since_ns=name.since_ns if name else int(tracker.born_ns[row]),
        revises=name.revises if name else None,
        track=number,
    )


def _identity(
    t_ns: int,
    since_ns: int,
    known: Radio,
    places: tuple[Floats, Floats],
    probability: Floats,
    bodies: int,
) -> Person:
    """The posterior's middle over the bodies it may be, at `places` (means and covariances; first those of `bodies`
    there are, then lost ones), and where its radio says it is; the covariance is about that middle."""
    weights: list[float] = probability.tolist()
    away = max(1.0 - sum(weights[:bodies]), 0.0)
    unseen = known.places()
    weights += [max(1.0 - sum(weights), 0.0) / len(unseen)] * len(unseen)
    share = np.asarray(weights) / max(sum(weights), 1e-12)
    means = np.concatenate((places[0], np.reshape([mean for mean, _ in unseen], (-1, 2))))
    spreads = np.concatenate((places[1], np.reshape([spread for _, spread in unseen], (-1, 2, 2))))
    centre = _middle(share, means, spreads)
    apart = means - centre
    covariance = np.einsum("k,kcd->cd", share, spreads) + np.einsum("k,kc,kd->cd", share, apart, apart)
    return Person(
        id=known.name,
        x_m=float(centre[0]),
        y_m=float(centre[1]),
        covariance_m2=_upper(covariance),
        velocity_m_s=(0.0, 0.0),
        candidates=((known.name, 1.0),),
        state="tentative" if away < 0.5 else "wireless",
        sources=_lately(t_ns, known.heard),
        since_ns=since_ns,
    )


def _middle(share: Floats, means: Floats, spreads: Floats) -> Floats:
    """The point (2,) of about the least expected distance from somebody who is with probability `share` (K,) at
    `means` (K,2), give or take `spreads` (K,2,2): a geometric median by Weiszfeld's iteration, begun at the mean. The
    mean has the least expected squared distance instead, and lies where nobody is between two bodies: published there,
    people were 15 % farther off (docs/fusion.md)."""
    centre = share @ means
    variance_m2 = np.trace(spreads, axis1=1, axis2=2)
    for _ in range(MEDIAN_STEPS):
        weight = share / np.sqrt(((means - centre) ** 2).sum(axis=1) + variance_m2)
        centre = weight @ means / max(float(weight.sum()), 1e-12)
    return centre


def _spread(tracker: Tracker, rows: list[int]) -> Floats:
    """The covariances (bodies,2,2) of where bodies are: those nobody sees stray beyond what their filters say. The
    filters themselves stay narrow, so that somebody else who appears near is not taken for them."""
    unseen_s = np.maximum((tracker.t_ns - tracker.seen_ns[rows]) / 1e9 - COASTING_S, 0.0)
    return tracker.covariance[rows, :2, :2] + (STRAYING_M2_PER_S * unseen_s)[:, None, None] * np.eye(2)


def _there(spread: Floats) -> Floats:
    """The probability (bodies,) that each body is within THERE_M of where it is published."""
    return -np.expm1(-(THERE_M**2) / np.trace(spread, axis1=1, axis2=2))


def _candidates(names: list[str], probability: Floats) -> tuple[tuple[str, float], ...]:
    """(name, probability), most probable first, "unknown" taking the rest."""
    mentioned = [(names[row], round(float(probability[row]), 4)) for row in np.flatnonzero(probability >= MENTION)]
    unknown = max(1.0 - sum(p for _, p in mentioned), 0.0)
    return tuple(sorted([*mentioned, ("unknown", round(unknown, 4))], key=lambda entry: (-entry[1], entry[0])))


def _upper(covariance: Floats) -> tuple[float, float, float]:
    return float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1])


def _lately(t_ns: int, seen: dict[str, int]) -> tuple[str, ...]:
    return tuple(sorted(source for source, when in seen.items() if t_ns - when < SOURCE_MEMORY_NS))
