"""Where the scans of a batch were taken when the map knows hardly any of the access points that they hear.

A rebuilt network hears itself well: which scans are neighbours is told by all of its access points, and only how that
shape lies on the map must come from the few that the map knows. So the batch is unrolled (`shape`), laid on the map in
every way it could lie, turned and mirrored, and each way is fitted: which place each scan is from, and what each
access point is like at each place, in turns (expectation and maximisation, as in generative topographic mapping;
Bishop, Svensen and Williams, "GTM", 1998, with fields that are smooth over places, and a walk through them). Each
storey is laid by itself; then pairs of storeys are held together, because an access point heard through a ceiling is
loud at the same places. The likeliest pair wins, and how much likelier it is than one that says otherwise is told.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from .anchors import anchored
from .knn import INT, linear
from .maps import F32, F64, MapError
from .placing import Placed, moves, places_of, smoothed, spread, walked
from .shape import storeys, unrolled

LEAST_HEARD = 0.01  # share of the scans that hear an access point of the chart
TURNED = np.pi * np.array([-1 / 6, 0.0, 1 / 6, 5 / 6, 1.0, 7 / 6])  # the longest sides of site and chart go together
SOFT, WIDE, NARROW, TOGETHER = 0.37, 1.1, 0.55, 0.65  # of the site's extent: first places; fields at first and last
ROUNDS, ROUNDS_TOGETHER, REFINED = 20, 12, 4
WALK_M_S, CLIMB = 0.5, 1e-3  # speed while surveying; chance that the next scan is of another storey
COUNTS = 0.2  # of what levels say: access points of one box, and scans of one stand, err together
NOISE_VARIANCE, ALIKE_STOREYS = 20.0, 0.5  # of linear levels; correlation of a field through a ceiling
STAND, TELLS = 1 / 6, 0.6  # how many scans, and access points, count of those that speak for a pair of storeys
SURE = 3.0  # how much likelier (log) a chart must be than any that contradicts it
BORNE_OUT = 0.15  # of what known access points could say for it: a library's batches 0.2 to 0.8
LEAST_SPREAD = 0.6  # of the map's extent where one known access point is heard a scan; by the root of it where fewer
DOUBT = 2.0  # how much more a chart's doubt counts than it says
CHART_BELOW, RICH = 3.0, 8.0  # access points a scan: known ones below which, new ones from which a chart is made
LEAST_SCANS, MOST_SCANS, MOST_PLACES = 100, 2000, 60  # time goes by the square of them and more
OTHERWISE = 0.37  # of the site's extent: charts that are farther apart contradict each other


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """at: (k,q) the probability of each place for each scan. sure: by how much (log) it is likelier than what it was
    held against that says otherwise. borne_out: what the known access points say for it, as a share of the most they
    could."""

    at: F64
    sure: float
    borne_out: float


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Scans of some storeys: linear levels (k,a), times (k,) or None, log-likelihood of places (k,q), places (q,2)."""

    levels: F64
    t_s: F64 | None
    anchored: F64
    places: F64
    extent_m: float

    def part(self, side: np.ndarray) -> "_Batch":
        t_s = None if self.t_s is None else self.t_s[side]
        return _Batch(self.levels[side], t_s, self.anchored[side], self.places, self.extent_m)


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """One way for a storey to lie on the map: at (k,q), log-likelihood, scans per place (q,) and mean levels (q,a)."""

    at: F64
    likelihood: float
    scans: F64
    levels: F64


def placed_again(
    placed: Placed, position_m: F64, known: F32, batch_known: F32, batch_all: F32, t_s: F64 | None
) -> Placed:
    """The scans placed by their chart where the map knows hardly any of what they hear and the chart is sure of how it
    lies; else as they were placed before. Arguments as of `place_scans`. Raises MapError for a batch
    that hears what the map knows where the map does not have it."""
    heard, all_heard = (float((~np.isnan(levels)).sum(axis=1).mean()) for levels in (batch_known, batch_all))
    if heard >= CHART_BELOW or all_heard - heard < RICH or not LEAST_SCANS <= len(batch_all) <= MOST_SCANS:
        return placed
    places, row_place = places_of(position_m, MOST_PLACES)
    guess = np.exp(-0.5 * (_apart(placed.position_m, places) / (SOFT * _extent_m(places))) ** 2) + 1e-12
    if len(places) == len(placed.places_m):
        guess = placed.at
    chart = charted(places, row_place, known, batch_known, batch_all, t_s, guess / guess.sum(axis=1, keepdims=True))
    if chart.borne_out < BORNE_OUT:
        raise MapError("the access points that the map knows are not heard where it has them")
    if chart.sure < SURE or spread(placed, position_m) < LEAST_SPREAD * min(1.0, float(np.sqrt(heard))):
        return placed
    return replace(smoothed(chart.at, places, row_place, position_m, batch_all, DOUBT), sure=True)


def charted(
    places: F64, row_place: INT, known: F32, batch_known: F32, batch_all: F32, t_s: F64 | None, guess: F64
) -> Chart:
    """Place k scans at q places (q,2) of a map whose fingerprints, of places row_place (n,), hear known (n,s).

    batch_known: (k,s) and batch_all: (k,a) levels; guess: (k,q) where they may be, one more way to begin."""
    told = linear(batch_all)[:, (~np.isnan(batch_all)).mean(axis=0) > LEAST_HEARD]
    anchors = anchored(known, batch_known, row_place, len(places))
    batch = _Batch(told.astype(np.float64), t_s, anchors, places, _extent_m(places))
    sides = storeys(told)
    ways = []
    for side in sides:
        part = batch.part(side)
        beginnings = np.array([*_laid(unrolled(told[side]), places, batch.extent_m), guess[side]])
        fitted = _fitted(part, beginnings, (WIDE, NARROW), ROUNDS)
        ways.append([_Way(at, float(likelihood), *_means(part, at)) for at, likelihood in zip(*fitted, strict=True)])
    if len(sides) == 1:
        return _likeliest([(way.likelihood, way.at) for way in ways[0]], batch)
    return _together(batch, sides, ways)


def _extent_m(places: F64) -> float:
    return float(np.sqrt(places.var(axis=0).sum()))


def _apart(one: F64, other: F64) -> F64:
    return np.hypot(*(one[:, None] - other[None]).transpose(2, 0, 1))


def _laid(plane: F64, places: F64, extent_m: float) -> Iterator[F64]:
    """A storey's plane (k,2) laid on the map in all ways, as probabilities of places (k,q). It is spread over the site
    evenly along each side: the batch is taken to be from all over it."""
    centred = places - places.mean(axis=0)
    sides = np.linalg.svd(centred, full_matrices=False)[2]
    half = (centred @ sides.T).std(axis=0) * np.sqrt(3.0)
    for mirror, angle in product((1.0, -1.0), TURNED):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        rank = (plane * [1.0, mirror] @ turn).argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
        spread = (2.0 * rank / max(len(plane) - 1, 1) - 1.0) * half
        at = np.exp(-0.5 * (_apart(spread @ sides, centred) / (SOFT * extent_m)) ** 2) + 1e-12
        yield at / at.sum(axis=1, keepdims=True)


def _fitted(batch: _Batch, at: F64, widths: tuple[float, float], rounds: int) -> tuple[F64, F64]:
    """Places and fields in turns, from several beginnings at (w, k, storeys x q) at once, and how likely (w,) each
    became. The fields' width shrinks from round to round."""
    count = at.shape[2] // len(batch.places)
    steps = None if batch.t_s is None else moves(batch.places, batch.t_s, WALK_M_S, count, CLIMB)
    likelihood = np.full(len(at), -np.inf)
    for share in np.linspace(0.0, 1.0, rounds):
        width_m = batch.extent_m * widths[0] * (widths[1] / widths[0]) ** share
        score = np.tile(batch.anchored, (len(at), 1, count))
        variances = np.empty((len(at), batch.levels.shape[1]))
        for w in range(len(at)):
            field, variances[w] = _fields(batch, at[w], width_m)
            apart = (batch.levels**2) @ (1.0 / variances[w])[:, None] - 2.0 * batch.levels @ (field / variances[w]).T
            score[w] -= 0.5 * COUNTS * (apart + ((field**2) @ (1.0 / variances[w]))[None])
        at, likelihood = walked(score, steps)
        likelihood = likelihood - 0.5 * COUNTS * at.shape[1] * np.log(variances).sum(axis=1)
    return at, likelihood


def _fields(batch: _Batch, at: F64, width_m: float) -> tuple[F64, F64]:
    """What each access point is like at each place of each storey (N,a), and the variance left (a,): a Gaussian
    process over places, around each storey's mean."""
    scans, levels = _means(batch, at)
    count = len(scans) // len(batch.places)
    kernel = _kernel(batch.places, width_m, count)
    size = scans.reshape(count, -1, 1)
    middle = (size * levels.reshape(count, len(batch.places), -1)).sum(axis=1) / size.sum(axis=1)
    around = np.repeat(middle, len(batch.places), axis=0)
    field = around + kernel @ np.linalg.solve(kernel + np.diag(1.0 / scans), levels - around)
    left = at.T @ batch.levels**2 - 2.0 * field * (at.T @ batch.levels) + scans[:, None] * field**2
    return field, left.sum(axis=0) / len(at) + NOISE_VARIANCE


def _means(batch: _Batch, at: F64) -> tuple[F64, F64]:
    scans = at.sum(axis=0) + 1e-6
    return scans, at.T @ batch.levels / scans[:, None]


def _kernel(places: F64, width_m: float, count: int) -> F64:
    apart = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    ceiling = np.full((count, count), ALIKE_STOREYS) + (1.0 - ALIKE_STOREYS) * np.eye(count)
    return np.kron(ceiling, np.exp(-0.5 * apart / width_m**2))


def _together(batch: _Batch, sides: list[np.ndarray], ways: list[list[_Way]]) -> Chart:
    """The likeliest pair of ways for two storeys; a few are fitted once more as one."""
    scale = np.sqrt(0.5 * batch.levels.var(axis=0) + NOISE_VARIANCE)
    kernel = _kernel(batch.places, NARROW * batch.extent_m, 2)
    pairs = []
    for lower, upper in product(*ways):
        gain = _evidence(kernel, lower, upper, scale, together=True) - _evidence(kernel, lower, upper, scale)
        pairs.append((lower.likelihood + upper.likelihood + gain, lower, upper))
    pairs.sort(key=lambda pair: -pair[0])
    first = [_summed(_joined(sides, pair, batch), batch) for _, *pair in pairs]
    other = [i for i, at in enumerate(first) if _contradicts(at, first[0], batch)]
    chosen = sorted({*range(min(REFINED, len(pairs))), *other[:1]})  # one that says otherwise is always heard
    again = np.array([_joined(sides, list(pairs[i][1:]), batch) for i in chosen])
    fitted = _fitted(batch, again, (TOGETHER, NARROW), ROUNDS_TOGETHER)
    return _likeliest([(float(score), _summed(at, batch)) for at, score in zip(*fitted, strict=True)], batch)


def _joined(sides: list[np.ndarray], pair: list[_Way], batch: _Batch) -> F64:
    """(k, storeys x q): each storey's scans at its own places."""
    count = len(batch.places)
    at = np.zeros((len(batch.levels), len(sides) * count))
    for number, (side, way) in enumerate(zip(sides, pair, strict=True)):
        at[side, number * count : (number + 1) * count] = way.at
    return at


def _evidence(kernel: F64, lower: _Way, upper: _Way, scale: F64, *, together: bool = False) -> float:
    """How likely (log) the levels of two storeys are as samples of fields that go through the ceiling, or do not."""
    count = len(lower.scans)
    parted = np.kron(np.eye(2), np.ones((count, count)))
    scans = np.concatenate([lower.scans, upper.scans])
    covariance = (kernel if together else kernel * parted) + 9.0 * parted  # each storey has a mean of its own
    root = np.linalg.cholesky(covariance + np.diag(1.0 / np.maximum(STAND * scans, 1e-3)))
    white = np.linalg.solve(root, np.vstack([lower.levels, upper.levels]) / scale)
    return TELLS * float(-0.5 * (white**2).sum() - len(scale) * np.log(np.diag(root)).sum())


def _summed(at: F64, batch: _Batch) -> F64:
    return at.reshape(len(at), -1, len(batch.places)).sum(axis=1)


def _contradicts(at: F64, other: F64, batch: _Batch) -> bool:
    return float(np.hypot(*((at - other) @ batch.places).T).mean()) > OTHERWISE * batch.extent_m


def _likeliest(ways: list[tuple[float, F64]], batch: _Batch) -> Chart:
    """The best of the ways (log-likelihood, at), and how far behind it the first is that contradicts it; infinitely
    where what did has become the same."""
    best, at = max(ways, key=lambda way: way[0])
    behind = [best - score for score, other in ways if _contradicts(other, at, batch)]
    most = float(batch.anchored.max(axis=1).sum())
    return Chart(at, min(behind, default=np.inf), float((at * batch.anchored).sum()) / max(most, 1e-9))
