"""The witness of stature: is a body as tall as the one that an identity's phone walked with before?

Where clothes say nothing, because all wear the same or nobody sends their colours, height is what is left to tell
people by: a calibrated camera measures it with every box, and twenty boxes know it better than people differ.

A body may turn into somebody else where it is found again after a while, and where it meets another from whom no looks
tell it. In between, over a *stretch*, it is one person. What the boxes of a stretch say is one log-likelihood ratio an
identity, corrected as boxes come in: "they" against "whoever this body was before, or, once in a while, anybody". So a
body that stays as tall as it was says nothing of whose it is. An identity's own stature is learnt of a stretch that has
ended, as far as that was believed to be theirs (as in `galleries.py`, forwards in time), and what may be another
person's counts for less: no stretch is its own proof.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ..geometry import Floats
from .galleries import EVERY_NS, LEAST_WEIGHT

ORDINARY_M, ORDINARY_M2 = 1.70, 0.10**2  # of people, before anything is seen of them
TELLING_M = 1.4, 2.1  # a box that says less or more is half a body, or nobody's
BOX_M2 = 3 * 0.08**2  # of one box: edges scatter by 4 % of its height, and the next box's like them
LASTING_M2 = 0.05**2  # what no number of boxes averages out: a stoop, who stands in front, a calibration that is off
LEAST_BOXES, MOST_BOXES = 4, 60  # before a stretch says anything, and of which the newest count
MOST_NATS = 4.0  # that a stretch may say
CHANGED, CHANGED_UNSEEN = 0.1, 0.5  # how often a body is somebody else in the next stretch: where looks said no, and
# where nothing was said
TRUST_RATE, MOST_TRUST = 0.3, 0.99  # how fast it is learnt how probably an identity's stature is theirs, and at most
ANYBODY = np.array([ORDINARY_M, ORDINARY_M2])


class Stretch(msgspec.Struct):
    """A body while it is one person. body (3,), known (identities, 3): the body's and everybody's when it began, as in
    StatureEvidence; boxes (m), newest last; weights (identities,): how probably it was each, when last seen;
    said (identities,): nats so far, at said_ns."""

    body: Floats
    known: Floats
    weights: Floats
    said: Floats
    said_ns: int = 0
    boxes: list[float] = []
    is_news: bool = False

    def measured(self) -> tuple[float, float]:
        """How tall the body is, m, and the variance of that as a measure of a person, m2. The median: some boxes are
        of half a body."""
        return float(np.median(self.boxes)), LASTING_M2 + BOX_M2 / len(self.boxes)


class StatureEvidence:
    """stature (identities, 3): what is known of each, mean in m and variance in m2, and how probably it is theirs at
    all. By number: bodies (3,), the same of those that had a stretch, and the probability that each is somebody else by
    now; stretches under way."""

    def __init__(self, identities: int) -> None:
        self.stature = np.tile([*ANYBODY, 0.0], (identities, 1))
        self.bodies: dict[int, Floats] = {}
        self.stretches: dict[int, Stretch] = {}
        self.told = 0  # how often something was said of a body

    def see(self, number: int, tall_m: float) -> None:
        """A camera has seen a body, alone and whole, that is so tall by its box; NaN says nothing."""
        if not TELLING_M[0] < tall_m < TELLING_M[1]:
            return
        if number not in self.stretches:
            nothing = np.zeros(len(self.stature))
            body = self.bodies.get(number, np.array([*ANYBODY, CHANGED]))
            self.stretches[number] = Stretch(body.copy(), self.stature.copy(), nothing, nothing)
        stretch = self.stretches[number]
        stretch.boxes, stretch.is_news = [*stretch.boxes[1 - MOST_BOXES :], tall_m], True

    def end(self, number: int, by_looks: bool) -> None:
        """From now on a body may be somebody else, and who it was believed to be has been learnt. by_looks: whether
        looks were asked, too."""
        changed, stretch = CHANGED if by_looks else CHANGED_UNSEEN, self.stretches.pop(number, None)
        if stretch is None or len(stretch.boxes) < LEAST_BOXES:
            if number in self.bodies:
                self.bodies[number][2] = max(self.bodies[number][2], changed)
            return
        measured = stretch.measured()
        for who in np.flatnonzero(stretch.weights >= LEAST_WEIGHT).tolist():
            weight, theirs = float(stretch.weights[who]), float(self.stature[who, 2])
            after = _mixed(weight, _learnt(self.stature[who, :2], *measured), self.stature[who, :2])
            share = TRUST_RATE * weight if theirs else 1.0
            self.stature[who] = *after, theirs + share * (weight - theirs)
        same, other = np.exp(_of_body(stretch.body, *measured))
        after = _mixed(same / (same + other), _learnt(stretch.body[:2], *measured), _learnt(ANYBODY, *measured))
        self.bodies[number] = np.append(after, changed)

    def part(self, number: int, heir: int = 0) -> None:
        """A body has gone for good, or is `heir`."""
        self.end(number, by_looks=False)
        self.bodies.pop(number, None)

    def keep(self, *numbers: Sequence[int]) -> None:
        """Forget the bodies that are none of these: they were never believed."""
        known = {number for each in numbers for number in each}
        self.stretches = {number: stretch for number, stretch in self.stretches.items() if number in known}
        self.bodies = {number: stature for number, stature in self.bodies.items() if number in known}

    def settle(self, t_ns: int, bodies: Sequence[int], probability: Floats) -> None:
        """Who bodies are believed to be, (identities, bodies)."""
        for column, number in enumerate(bodies):
            if number in self.stretches:
                self.stretches[number].weights = probability[:, column].copy()

    def nats(self, t_ns: int, numbers: Sequence[int]) -> dict[int, Floats]:
        """Per live body (`numbers`) of which there is something new to say: what changes (identities,), in nats."""
        news = {}
        for number in numbers:
            stretch = self.stretches.get(number)
            if stretch is None or not stretch.is_news or t_ns - stretch.said_ns < EVERY_NS:
                continue
            if len(stretch.boxes) < LEAST_BOXES:
                continue
            measured = stretch.measured()
            theirs = np.minimum(stretch.known[:, 2], MOST_TRUST)
            apart = _log_density(stretch.known, *measured) - np.logaddexp(*_of_body(stretch.body, *measured))
            ratio = np.clip(np.log(theirs * np.exp(apart) + 1 - theirs), -MOST_NATS, MOST_NATS)
            change = ratio - stretch.said
            stretch.said, stretch.said_ns, stretch.is_news = ratio, t_ns, False
            if change.any():
                news[number] = change
        self.told += len(news)
        return news

    def state(self) -> dict[str, Any]:
        stretches = [
            [number, s.body, s.known, s.weights, s.said, s.said_ns, s.boxes, s.is_news]
            for number, s in self.stretches.items()
        ]
        bodies = [[number, body] for number, body in self.bodies.items()]
        return {"stature": self.stature, "bodies": bodies, "stretches": stretches, "told": self.told}

    def load(self, state: dict[str, Any]) -> None:
        self.stature, self.told = state["stature"], state["told"]
        self.bodies = dict(state["bodies"])
        self.stretches = {number: Stretch(*fields) for number, *fields in state["stretches"]}


def _log_density(stature: Floats, tall_m: float, noise_m2: float) -> Floats:
    """Of a measured height, per m but for a constant, under statures (..., 2 and more)."""
    variance = stature[..., 1] + noise_m2
    return -0.5 * ((tall_m - stature[..., 0]) ** 2 / variance + np.log(variance))


def _of_body(body: Floats, tall_m: float, noise_m2: float) -> Floats:
    """The same (2,) of a body (3,), with the probability of each: it is who it was before, or somebody else."""
    statures, changed = np.vstack((body[:2], ANYBODY)), body[2]
    return _log_density(statures, tall_m, noise_m2) + np.log([1 - changed, changed])


def _learnt(stature: Floats, tall_m: float, noise_m2: float) -> Floats:
    """A stature (2,) after one more measurement."""
    gain = stature[1] / (stature[1] + noise_m2)
    return np.array([stature[0] + gain * (tall_m - stature[0]), (1 - gain) * stature[1]])


def _mixed(weight: float, first: Floats, second: Floats) -> Floats:
    """The Gaussian (2,) with the moments of the first, with this probability, or the second."""
    mean, variance = weight * first + (1 - weight) * second
    return np.array([mean, variance + weight * (1 - weight) * (first[0] - second[0]) ** 2])
