"""Bodies on the floor, whoever they are, followed across all cameras and radars at once. Identity is not its business.

One constant-velocity filter a body; gated Mahalanobis association with appearance; a lifecycle in seconds. The
tracker has one verb, `update(detections)`; what was born, lost and merged is in `changes` until it is taken.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from . import doppler
from .association import match, pairing_costs
from .body_table import BodyTable
from .changes import Change, Kind
from .detections import Detections, Expected
from .geometry import Floats
from .kalman import VELOCITY_DECAY_S, begin, predict, update
from .looks import LOOKS_LIKE, bhattacharyya, exchanged
from .scatter import Scatter
from .sureness import Sureness, births, doubt
from .twins import Twins

SECOND_NS = 1_000_000_000
NEW_BODY_COST = 14.0  # a pairing costlier than this (Mahalanobis2 + log-determinant + looks) is a new body
LOOSE_COST = 8.0  # in the same units, twice nats: one detection in fifty holds half a body
LOOKS_MEMORY, RECENT_MEMORY = 0.95, 0.6  # per camera sighting
ALONE_M = 1.2  # looks are learnt from bodies farther from all others than this: boxes of neighbours mix
NO_BIRTH_M = 0.45  # a spare detection this near a body seen in the same frame is that body again
CONFIRM_WEIGHT = 4.0  # of sightings: detections.CAMERA_WEIGHT and radar_view.WEIGHT
AGAIN_WEIGHT, AGAIN = 2.0, 0.97  # the same where, with that probability, it is a body lost a moment ago
EXPECTED_S = 1.5  # a body not seen for longer is anywhere about
TENTATIVE_S = 0.7  # an unconfirmed body not seen for this long was a false alarm
WALKING_M_S = 0.35
COASTING_S, UNSEEN_DECAY_S = 0.5, 0.8  # whoever vanishes from sight has most often stopped
FOUND_S = 0.7  # a body unseen for longer may be somebody else when it is seen again
LOST_S = 12.0  # a confirmed body that nobody could see for this long is lost
MISSED_S = 6.0  # and one that cameras looked at for this long in vain
LONGEST_LOOK_S = 0.5  # what one frame may add to that
TOLD_APART_S = 3.0  # since a camera saw them, bodies that look different are not mistaken for each other


class Tracker(BodyTable):
    """The bodies as of `t_ns`, one row each, with what becomes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.t_ns = 0
        self.changes: list[Change] = []
        self.paired: list[tuple[int, int]] = []  # of the last update: numbers of bodies, and rows of their detections
        self.untangled: tuple[int, ...] = ()  # of the last update: numbers that bodies have got back
        self.gated_out = 0
        self._next = 1
        self._twins = Twins()
        self._sureness = Sureness()
        self._scatter = Scatter()
        self._telling = doppler.Telling()
        self._looked_ns: dict[str, int] = {}  # per camera, when it last looked

    def update(self, seen: Detections, again: Callable[[Change], float] = lambda _: 0.0) -> None:
        """Move on to the detections' time, give each to its body, begin and end bodies. again: the probability that a
        body just found is one lost a moment ago, or one that is not seen now."""
        self.advance(seen.t_ns)
        seen = self._telling.heard(seen)
        share = self._sureness.of(seen.source, seen.score) if seen.sees else np.ones(len(seen))
        covariance = self._scatter.of(seen.source) * seen.covariance
        seen = msgspec.structs.replace(seen, weight=seen.weight * births(share), covariance=covariance)
        bodies, rows = self._pair(seen, doubt(share))
        self.paired = [(int(self.number[body]), int(row)) for body, row in zip(bodies, rows, strict=True)]
        self._miss(seen, bodies)
        self._twins.see(seen.t_ns, self.number[bodies])
        spare = seen.weight > 0
        spare[rows] = False
        self._begin(seen, self._not_twice(seen, np.flatnonzero(spare), bodies))
        self._confirm(again)
        if seen.sees:
            self._sureness.learn(seen.source, seen.score, rows[self.confirmed[bodies]])
        self.untangled = self._untangle(bodies) if seen.histogram is not None else ()
        self._merge_twins(seen.t_ns)

    def _pair(self, seen: Detections, doubts: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Give detections to bodies: rows of both. Bodies that are believed choose first, also among what may be a
        misjudged extent of theirs: half a body's box would else nourish a second body behind the first."""
        certain = (seen.position, seen.covariance)
        costs = pairing_costs(self, seen, *certain) + doubts
        first = match(np.where(self.confirmed[:, None], costs, np.inf), NEW_BODY_COST)
        self._learn_scatter(seen, *first)
        self._absorb(seen, *certain, *first)
        pairs = [first]
        if seen.loose is not None and len(first[1]) < min(len(seen), np.count_nonzero(self.confirmed)):
            second = match(self._loose_costs(seen, *first) + doubts, NEW_BODY_COST)
            self._absorb(seen, *seen.loose, *second)
            pairs.append(second)
        costs[self.confirmed] = np.inf
        for _, rows in pairs:
            costs[:, rows] = np.inf
        third = match(costs, NEW_BODY_COST)
        self._absorb(seen, *certain, *third)
        bodies, rows = zip(*pairs, third, strict=True)
        return np.concatenate(bodies), np.concatenate(rows)

    def advance(self, t_ns: int) -> None:
        """Predict to `t_ns` and end what has not been seen for too long."""
        if t_ns > self.t_ns:
            elapsed_s = (t_ns - self.t_ns) / SECOND_NS if self.t_ns else 0.0
            unseen = self.t_ns - self.seen_ns > COASTING_S * SECOND_NS  # a gap in which nobody looked does not count
            decay_s = np.where(unseen, UNSEEN_DECAY_S, VELOCITY_DECAY_S)
            self.mean, self.covariance = predict(self.mean, self.covariance, elapsed_s, decay_s)
            self.t_ns = t_ns
        unseen_s = (self.t_ns - self.seen_ns) / SECOND_NS
        over: NDArray[np.bool_] = unseen_s > np.where(self.confirmed, LOST_S, TENTATIVE_S)
        over |= self.missed_s > MISSED_S
        if over.any():
            for row in np.flatnonzero(np.logical_and(over, self.confirmed)):
                self._report("lost", int(row))
            self.keep(~over)

    def looking(self, t_ns: int) -> tuple[str, ...]:
        """The cameras that looked within the last two seconds."""
        return tuple(sorted(name for name, when in self._looked_ns.items() if t_ns - when < 2 * SECOND_NS))

    def expected(self, source: str, t_ns: int) -> Expected:
        """Move on to `t_ns`, and say to a sensor where the believed bodies that were seen a moment ago are then. Of two
        that may be one person neither: sensors shall tell these apart on their own."""
        self.advance(t_ns)
        lately: NDArray[np.bool_] = self.confirmed & (self.t_ns - self.seen_ns < EXPECTED_S * SECOND_NS)
        lately &= ~np.isin(self.number, self._twins.suspected)
        return Expected(self.mean[lately], self.covariance[lately], self._telling.tells(source))

    def unseen(self, besides: int) -> list[Change]:
        """The bodies not seen for FOUND_S, other than number `besides`, as if they were lost now."""
        rows = np.flatnonzero(self.confirmed & (self.t_ns - self.seen_ns > FOUND_S * SECOND_NS))
        return [self.change("lost", int(row), self.t_ns) for row in rows if self.number[row] != besides]

    def distinct(self) -> frozenset[int]:
        """The numbers of bodies that a camera has seen lately and whose looks differ from those of all others near."""
        facing = (self.t_ns - self.faced_ns < TOLD_APART_S * SECOND_NS) & (self.looks.max(axis=1) > 0)
        near = np.linalg.norm(self.mean[:, None, :2] - self.mean[None, :, :2], axis=2) < ALONE_M
        if np.count_nonzero(near) > len(near):  # somebody is near somebody else than themselves
            facing &= (near & (bhattacharyya(self.looks, self.looks) < LOOKS_LIKE)).sum(axis=1) <= 1
        return frozenset(self.number[facing].tolist())

    def take_changes(self) -> list[Change]:
        changes, self.changes = self.changes, []
        return changes

    def _loose_costs(self, seen: Detections, bodies: NDArray[np.intp], rows: NDArray[np.intp]) -> Floats:
        """What is left of bodies and detections, on the suspicion that the sensor misjudged a body's extent."""
        assert seen.loose is not None
        costs = pairing_costs(self, seen, *seen.loose) + LOOSE_COST
        costs[bodies] = np.inf
        costs[:, rows] = np.inf
        costs[~self.confirmed] = np.inf
        return costs

    def _learn_scatter(self, seen: Detections, bodies: NDArray[np.intp], rows: NDArray[np.intp]) -> None:
        """From bodies that were seen a moment ago and that nobody is near."""
        sure = self.alone(bodies) & (seen.t_ns - self.seen_ns[bodies] < FOUND_S * SECOND_NS)
        bodies, rows = bodies[sure], rows[sure]
        apart = seen.position[rows] - self.mean[bodies, :2]
        self._scatter.learn(seen.source, apart, self.covariance[bodies, :2, :2], seen.covariance[rows])

    def _absorb(
        self,
        seen: Detections,
        position: Floats,
        covariance: Floats,
        bodies: NDArray[np.intp],
        rows: NDArray[np.intp],
    ) -> None:
        if not len(bodies):
            return
        self._find(seen, position, covariance, bodies, rows)
        moved = update(self.mean[bodies], self.covariance[bodies], position[rows], covariance[rows])
        self.mean[bodies], self.covariance[bodies] = doppler.learn(*moved, seen.receding, rows)
        walking = bodies[np.hypot(self.mean[bodies, 2], self.mean[bodies, 3]) > WALKING_M_S]
        self.heading[walking] = np.arctan2(self.mean[walking, 3], self.mean[walking, 2])
        self.seen_ns[bodies] = seen.t_ns
        self.weight[bodies] += seen.weight[rows]
        if seen.histogram is not None:
            self.faced_ns[bodies] = seen.t_ns
            self._learn_looks(bodies, seen.histogram[rows].astype(np.float64))
        for body in bodies:
            self.sources[body][seen.source] = seen.t_ns

    def _find(
        self, seen: Detections, position: Floats, covariance: Floats, bodies: NDArray[np.intp], rows: NDArray[np.intp]
    ) -> None:
        """Say which bodies a camera sees again after a while: each that it does not know by its looks may be somebody
        else."""
        if seen.sees is None:
            return
        for body, row in zip(bodies, rows, strict=True):
            if self.confirmed[body] and seen.t_ns - self.seen_ns[body] > FOUND_S * SECOND_NS:
                looks = np.zeros(256) if seen.histogram is None else seen.histogram[row].astype(np.float64)
                if bhattacharyya(self.looks[body][None], looks[None])[0, 0] < LOOKS_LIKE:
                    continue
                before = self.change("found", int(body), self.t_ns)
                place, spread = np.append(position[row], (0.0, 0.0)), np.zeros((4, 4))
                spread[:2, :2] = covariance[row]
                found = Change("found", before.number, seen.t_ns, seen.t_ns, place, spread, looks, before=before)
                self.changes.append(found)

    def _miss(self, seen: Detections, bodies: NDArray[np.intp]) -> None:
        """Bodies that this camera should have seen and did not; time since its last frame counts."""
        if seen.sees is None:
            return
        last_ns = self._looked_ns.get(seen.source, seen.t_ns)
        self._looked_ns[seen.source] = seen.t_ns
        self.missed_s[bodies] = 0.0
        missed = seen.sees(self.mean[:, :2])
        missed[bodies] = False
        self.missed_s[missed] += min((seen.t_ns - last_ns) / SECOND_NS, LONGEST_LOOK_S)

    def alone(self, bodies: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of these rows have nobody near."""
        gaps = np.linalg.norm(self.mean[bodies, None, :2] - self.mean[None, :, :2], axis=2)
        return (gaps < ALONE_M).sum(axis=1) == 1

    def _learn_looks(self, bodies: NDArray[np.intp], fresh: Floats) -> None:
        known = (self.recent[bodies].max(axis=1) > 0)[:, None]
        recent = RECENT_MEMORY * self.recent[bodies] + (1 - RECENT_MEMORY) * fresh
        self.recent[bodies] = np.where(known, recent, fresh)
        alone = self.alone(bodies)[:, None]
        learnt = np.where(alone, LOOKS_MEMORY * self.looks[bodies] + (1 - LOOKS_MEMORY) * fresh, self.looks[bodies])
        self.looks[bodies] = np.where(self.looks[bodies].max(axis=1, keepdims=True) > 0, learnt, fresh)

    def _untangle(self, bodies: NDArray[np.intp]) -> tuple[int, ...]:
        """Two bodies whose looks have changed places after a meeting get their numbers, and so their names, back.
        These numbers."""
        rows = bodies[self.confirmed[bodies] & (self.looks[bodies].max(axis=1) > 0)]
        if len(rows) < 2:
            return ()
        if (two := exchanged(self.looks[rows], self.recent[rows])) is None:
            return ()
        pair, turned = rows[list(two)], rows[list(two[::-1])]
        self.number[pair] = self.number[turned]
        self.looks[pair] = self.looks[turned]
        self.born_ns[pair] = self.born_ns[turned]
        return tuple(self.number[pair].tolist())

    def _not_twice(self, seen: Detections, spare: NDArray[np.intp], bodies: NDArray[np.intp]) -> NDArray[np.intp]:
        """Spare detections that are not a second box of a body this frame has already found."""
        if not len(bodies) or not len(spare):
            return spare
        gap = np.linalg.norm(seen.position[spare][:, None, :] - self.mean[bodies][None, :, :2], axis=2)
        new = gap.min(axis=1) > NO_BIRTH_M
        self.gated_out += int((~new).sum())
        return spare[new]

    def _begin(self, seen: Detections, rows: NDArray[np.intp]) -> None:
        if not len(rows):
            return
        new = BodyTable(len(rows))
        new.number[:] = self._next + np.arange(len(rows))
        self._next += len(rows)
        found = begin(seen.position[rows], seen.covariance[rows])
        new.mean, new.covariance = doppler.learn(*found, seen.receding, rows)
        new.weight[:] = seen.weight[rows]
        new.born_ns[:] = new.seen_ns[:] = new.faced_ns[:] = seen.t_ns
        if seen.histogram is not None:
            new.looks[:] = new.recent[:] = seen.histogram[rows]
        new.sources = [{seen.source: seen.t_ns} for _ in rows]
        self.append(new)

    def _confirm(self, again: Callable[[Change], float]) -> None:
        """Believe the bodies that were seen often enough; who comes back need not prove to be somebody."""
        for row in np.flatnonzero(~self.confirmed & (self.weight >= AGAIN_WEIGHT - 1e-9)).tolist():
            if self.weight[row] >= CONFIRM_WEIGHT - 1e-9 or again(self.change("born", row, self.t_ns)) >= AGAIN:
                self.confirmed[row] = True
                self._report("born", row)

    def _merge_twins(self, t_ns: int) -> None:
        rows = np.flatnonzero(self.confirmed)
        twins = self._twins.found(t_ns, self.number[rows], self.mean[rows, :2], self.looks[rows])
        if twins:
            row_of = {int(number): row for row, number in enumerate(self.number)}
            for older, younger in twins:
                self._report("merged", row_of[younger], other=older)
            self.keep(~np.isin(self.number, [younger for _, younger in twins]))

    def _report(self, kind: Kind, row: int, other: int = -1) -> None:
        self.changes.append(self.change(kind, row, self.t_ns, other))

    def state(self) -> dict[str, Any]:
        parts = {name: getattr(self, f"_{name}").state() for name in _PARTS}
        plain = {"t_ns": self.t_ns, "gated_out": self.gated_out, "next": self._next, "sources": self.sources}
        plain["looked_ns"] = self._looked_ns
        return {**self.arrays(), **parts, **plain}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Tracker":
        tracker = cls()
        tracker.load(state)
        for name in _PARTS:
            getattr(tracker, f"_{name}").load(state[name])
        tracker.t_ns, tracker.gated_out, tracker._next = state["t_ns"], state["gated_out"], state["next"]
        tracker._looked_ns = dict(state["looked_ns"])
        return tracker


_PARTS = ("twins", "sureness", "scatter", "telling")  # what keeps a state of its own
