"""Which tracklets a phone's owner is in, by expectation-maximisation: ours, where UMTF clusters (`mmda.py`).

Every trajectory has candidates: tracklets in its fragments. Each is the owner's with a probability that starts from how
well looks come back in the other fragments and where the phone was, and is made anew, in rounds, from the looks of the
other likely ones, leaving itself out. Looks are Gaussian about their person (as probabilistic linear discriminant
analysis has it: Ioffe, ECCV 2006, here with one variance for all directions); the two variances are learnt in the
rounds, so nothing is labelled. Two at one time in one view, or in views far apart, exclude each other, and nobody is
the owner of two phones' tracklets.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .tracklets import F64, I64, Fragment, Tracklets, Trajectory, candidates, off_m2

ROUNDS = 12
SEEN = 0.9  # share of passages in which the owner is among the candidates
CHANGED = 0.1  # clothes: below this share looks never say no
NOBODY = -2.0  # nats for "this is none of the phones' owners"
VIEW_M = 14.0  # how far from a camera's place somebody in its view may be
MEMORY = 0.8  # of a phone's error, from one second to the next
MOST_NATS, LEAST_NATS = 1.0, -8.0  # of a place
STRANGERS = 0.2  # weight of "these are two people", where phones are few or far off (tuned on PETS)
START_SHARE = 0.5  # of what single pairs say: they are many, and not independent
LEAST_ALIKE, MOST_ALIKE = 0.05, 0.95


class Owned(NamedTuple):
    """What is believed in the end: probability (M,N) that tracklet n shows the owner of phone m, 0 where it is no
    candidate; alike: the mean similarity of one person's tracklets; directions: in how many the looks vary."""

    probability: F64
    alike: float
    directions: float

    def tracklets_of(self, phone: int, least: float = 0.5) -> I64:
        return np.flatnonzero(self.probability[phone] >= least)

    def together(self) -> F64:
        """(N,N) in -1..1: the probability that one phone's owner is in both, less that two different ones are."""
        same = self.probability.T @ self.probability
        total = self.probability.sum(axis=0)
        return same - (np.outer(total, total) - same)

    def linked(self, strangers: float = STRANGERS) -> F64:
        """(N,N): `together`, with less faith in "two people": a phone that was given to the wrong person still holds
        that person's tracklets together, but calls some of them strangers to the rest."""
        told = self.together()
        return np.where(told < 0, strangers * told, told)


def levelled(features: F64, camera: I64) -> F64:
    """(N,D) of length 1, without the mean look of each camera."""
    done = np.array(features, np.float64)
    for each in np.unique(camera):
        rows = camera == each
        done[rows] -= done[rows].mean(axis=0) * (rows.sum() > 4)
    return done / np.maximum(np.linalg.norm(done, axis=1, keepdims=True), 1e-9)


def owners(
    features: F64,
    tracklets: Tracklets,
    trajectories: Sequence[Trajectory],
    passages: Sequence[Fragment],
    camera_m: F64,
    view_m: float = VIEW_M,
    rounds: int = ROUNDS,
) -> Owned:
    """Who owns what. features (N,D): one row a tracklet, any scale; camera_m (C,2). Tracklets without paths are taken
    to be somewhere within view_m of their camera's place."""
    looks = levelled(features, tracklets.camera)
    gram = looks @ looks.T
    apart = excluded(tracklets, camera_m, view_m)
    members = candidates(passages, tracklets)
    parties = [
        _Party(walk, [rows for each, rows in zip(passages, members, strict=True) if each.phone == phone],
               tracklets, camera_m, view_m)
        for phone, walk in enumerate(trajectories)
    ]  # fmt: skip
    model = _Looks(0.5, _directions(gram, tracklets) if looks.any() else 0.0)
    scores = np.full((len(trajectories), len(looks)), -np.inf)
    for phone, party in enumerate(parties):
        scores[phone, party.rows] = party.place + party.start(gram, model)
    belief = _exclusive(scores, parties, apart)
    for _ in range(rounds):
        model = model.learnt(gram, belief, apart)
        for phone, party in enumerate(parties):
            told = model.told(gram, belief[phone], party.rows, apart)
            scores[phone, party.rows] = party.place + told
        belief = (belief + _exclusive(scores, parties, apart)) / 2
    return Owned(_exclusive(scores, parties, apart), model.alike, model.directions)


def by_places(
    tracklets: Tracklets,
    trajectories: Sequence[Trajectory],
    passages: Sequence[Fragment],
    camera_m: F64,
    view_m: float = VIEW_M,
) -> Owned:
    """The same without looks: what radios alone say, to judge looks by."""
    blind = np.zeros((len(tracklets.camera), 1))
    return owners(blind, tracklets, trajectories, passages, camera_m, view_m, rounds=0)


def _directions(gram: F64, tracklets: Tracklets) -> float:
    """In how many directions looks vary: the inverse variance of two people's similarity."""
    known_apart = gram[tracklets.overlapping()]
    spread = float(known_apart.var()) if len(known_apart) > 30 else float(gram.var())
    return float(np.clip(1 / max(spread, 1e-4), 4.0, 300.0))


def excluded(tracklets: Tracklets, camera_m: F64, view_m: float) -> NDArray[np.bool_]:
    """(N,N) pairs that cannot be one person: at one time in one view, or in views that do not meet."""
    together = (tracklets.start_s[:, None] < tracklets.end_s) & (tracklets.start_s < tracklets.end_s[:, None])
    place = camera_m[tracklets.camera]
    far = np.linalg.norm(place[:, None] - place, axis=2) > 2 * view_m
    same = tracklets.camera[:, None] == tracklets.camera
    return together & (far | same) & ~np.eye(len(place), dtype=bool)


class _Party:
    """One trajectory's candidates: rows (k,), what the places say of each (k,) nats, and the fragments as sets."""

    def __init__(
        self, walk: Trajectory, sets: Sequence[I64], tracklets: Tracklets, camera_m: F64, view_m: float
    ) -> None:
        self.rows = np.unique(np.concatenate([*sets, np.zeros(0, np.int64)])).astype(np.int64)
        self.sets = [np.searchsorted(self.rows, each) for each in sets if len(each)]
        self.place = np.array([_place_nats(walk, tracklets, int(row), camera_m, view_m) for row in self.rows])

    def start(self, gram: F64, model: "_Looks") -> F64:
        """(k,) nats from the other fragments: how likely is one like this among their candidates?"""
        pair = np.exp(model.pair(gram[np.ix_(self.rows, self.rows)]))
        np.fill_diagonal(pair, 0.0)
        told, own = np.zeros(len(self.rows)), np.zeros((len(self.sets), len(self.rows)), bool)
        prior = np.exp(self.place)
        for number, each in enumerate(self.sets):
            own[number, each] = True
            weight = prior[each] / max(prior[each].sum(), 1e-9)
            told += np.where(own[number], 0.0, np.log(1 - SEEN + SEEN * pair[:, each] @ weight))
        return START_SHARE * told


class _Looks(NamedTuple):
    """Similarities: `alike` on the average for one person, 0 for two, in a space of so many `directions`."""

    alike: float
    directions: float

    def pair(self, similarity: F64) -> F64:
        """Nats for one person, of single pairs."""
        return self._nats(similarity, np.ones_like(similarity), np.ones_like(similarity))

    def told(self, gram: F64, belief: F64, rows: I64, apart: NDArray[np.bool_]) -> F64:
        """(k,) nats for each of rows (k,), by the other rows as far as they are believed in (N,)."""
        part = gram[np.ix_(rows, rows)]
        weight = np.where(apart[np.ix_(rows, rows)] | np.eye(len(rows), dtype=bool), 0.0, belief[rows])
        count = weight.sum(axis=1)
        share = weight / np.maximum(count, 1e-9)[:, None]
        return self._nats((share * part).sum(axis=1), np.einsum("ij,ij->i", share @ part, share), count)

    def learnt(self, gram: F64, belief: F64, apart: NDArray[np.bool_]) -> "_Looks":
        """With `alike` from the pairs that are believed to be one person's."""
        sure = np.where(belief > 0.5, belief, 0.0)
        weight = np.where(apart, 0.0, sure.T @ sure)
        np.fill_diagonal(weight, 0.0)
        total = float(weight.sum())
        if total < 10:
            return self
        return self._replace(alike=float(np.clip((weight * gram).sum() / total, LEAST_ALIKE, MOST_ALIKE)))

    def _nats(self, similarity: F64, squared: F64, count: F64) -> F64:
        """Of rows whose scalar product with a mean of `count` looks, of squared length `squared`, is `similarity`."""
        shrink = count * self.alike / (count * self.alike + 1 - self.alike)
        spread = (1 - self.alike) * (1 + self.alike / (count * self.alike + 1 - self.alike))
        off = 1 - 2 * shrink * similarity + shrink**2 * squared
        nats = self.directions / 2 * (1 - np.log(spread) - off / spread)
        return np.log((1 - CHANGED) * np.exp(np.minimum(nats, 50.0)) + CHANGED)


def _place_nats(walk: Trajectory, tracklets: Tracklets, row: int, camera_m: F64, view_m: float) -> float:
    """Nats for "the phone was here" of one tracklet: at most MOST_NATS, as others may be there, too."""
    if tracklets.paths:
        path, loose_m2 = tracklets.paths[row], 0.0
    else:
        t_s = np.arange(tracklets.start_s[row], tracklets.end_s[row] + 1e-9, 1.0)
        path = np.column_stack([t_s, np.tile(camera_m[tracklets.camera[row]], (len(t_s), 1))])
        loose_m2 = view_m**2 / 4
    off, seconds = off_m2(path, walk)
    independent = max(seconds * (1 - MEMORY) / (1 + MEMORY), 1.0) if not loose_m2 else 1.0
    nats = independent * (1 - off / (2 * (walk.sd_m**2 + loose_m2)))
    return float(np.clip(nats, LEAST_NATS, MOST_NATS)) if seconds else LEAST_NATS


def _exclusive(scores: F64, parties: Sequence[_Party], apart: NDArray[np.bool_]) -> F64:
    """Probabilities (M,N) from scores in nats (-inf where no candidate): each against nobody, the candidates that
    exclude it for the same phone, and the other phones that claim it."""
    weight = np.exp(np.minimum(scores, 30.0))
    claimed = weight.sum(axis=0)
    done = np.zeros_like(weight)
    for phone, party in enumerate(parties):
        own = weight[phone, party.rows]
        rivals = apart[np.ix_(party.rows, party.rows)] @ own
        done[phone, party.rows] = own / (np.exp(NOBODY) + rivals + claimed[party.rows])
    return done
