"""Where the scans of a batch were taken when the map knows hardly any of the access points that they hear.

A rebuilt network hears itself well: which scans are neighbours is told by all of its access points, and only how that
shape lies on the map must come from the few that the map knows. So the batch is unrolled (`shape`), laid on the map in
every way it could lie, turned and mirrored, and each way is fitted by its shape alone: which place each scan is from,
and what each access point is like at each place, in turns (expectation and maximisation, as in generative topographic
mapping; Bishop, Svensen and Williams, "GTM", 1998, with fields that are smooth over places, and a walk through them).
Each way has a chance then: by its shape, by what the known access points say of it, heard and not heard (`anchors`),
and, for two storeys, by how well they go together, because what is heard through a ceiling is loud at the same places.
The scans are put where all the ways have them, by their chances, and fitted once more with the known access points.
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
TURNED = np.pi * np.arange(12) / 6  # which way a storey's longest side runs is not known for sure
SOFT, WIDE, NARROW, TOGETHER = 0.37, 1.1, 0.55, 0.65  # of the site's extent: first places; fields at first and last
ROUNDS, ROUNDS_TOGETHER = 20, 12
WALK_M_S, CLIMB = 0.5, 1e-3  # speed while surveying; chance that the next scan is of another storey
COUNTS = 0.2  # of what levels say: access points of one box, and scans of one stand, err together
NOISE_VARIANCE = 20.0  # of linear levels
ALIKE_STOREYS, CEILING = 0.5, 0.7  # correlation of a field through a ceiling: while fitting, to hold storeys together
STAND, TELLS = 1 / 6, 0.6  # how many scans, and access points, count of those that speak for a pair of storeys
LEAST_SURE = 0.3  # how much likelier (log) a chart must be than all that contradicts it; the rehearsal asks for more
BORNE_OUT = 0.15  # of what known access points could say for it: a library's batches 0.2 to 0.8
LEAST_SPREAD = 0.6  # of the map's extent where one known access point is heard a scan; by the root of it where fewer
# What counts of the likelihood of a shape, which ends in another optimum each time, and of what known ones say:
# chosen on the hardest tuning draws, where the chances told are about right then.
SHAPE, KNOWN = 0.2, 0.6
BLUR = 0.46  # of the site's extent: how far off a chart is
DOUBT = 2.0  # how much more a chart's doubt counts than it says
CHART_BELOW, RICH = 3.0, 8.0  # access points a scan: known ones below which, new ones from which a chart is made
LEAST_SCANS, MOST_SCANS, MOST_PLACES = 100, 2000, 60  # time goes by the square of them and more
OTHERWISE = 0.55  # of the site's extent: charts that are farther apart contradict each other


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """at: (k,q) the probability of each place for each scan. sure: by how much (log) what agrees with it is likelier
    than all that contradicts it. borne_out: what the known access points say for it, as a share of the most they
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
    """One way for a storey to lie on the map: at (k,q), how likely (log) it is by itself, scans per place (q,) and mean
    levels (q,a)."""

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
    if chart.sure < LEAST_SURE or spread(placed, position_m) < LEAST_SPREAD * min(1.0, float(np.sqrt(heard))):
        return placed
    return replace(smoothed(chart.at, places, row_place, position_m, batch_all, DOUBT), sure=chart.sure)


def charted(
    places: F64, row_place: INT, known: F32, batch_known: F32, batch_all: F32, t_s: F64 | None, guess: F64
) -> Chart:
    """Place k scans at q places (q,2) of a map whose fingerprints, of places row_place (n,), hear known (n,s).

    batch_known: (k,s) and batch_all: (k,a) levels; guess: (k,q) where they may be, one more way to begin."""
    told = linear(batch_all)[:, (~np.isnan(batch_all)).mean(axis=0) > LEAST_HEARD]
    anchors = anchored(known, batch_known, row_place, len(places))
    batch = _Batch(told.astype(np.float64), t_s, anchors, places, _extent_m(places))
    sides = storeys(told)
    ways = [_ways(batch.part(side), _laid(unrolled(told[side]), places, batch.extent_m), guess[side]) for side in sides]
    chance, sure = _weighed(ways, batch)
    at = _mixed(sides, ways, chance, batch)
    at = _summed(_fitted(batch, at[None], (TOGETHER, NARROW), ROUNDS_TOGETHER)[0][0], batch)
    most = float(anchors.max(axis=1).sum())
    return Chart(at, sure, float((at * anchors).sum()) / max(most, 1e-9))


def _ways(part: _Batch, laid: Iterator[F64], guess: F64) -> list[_Way]:
    """The ways that one storey may lie, each fitted by its own shape alone: a mirrored chart is then as good as the
    other, and only what the known access points say (blurred, for a chart is metres off) tells them apart."""
    fitted = _fitted(
        replace(part, anchored=np.zeros_like(part.anchored)), np.array([*laid, guess]), (WIDE, NARROW), ROUNDS
    )
    blur = np.exp(-0.5 * (_apart(part.places, part.places) / (BLUR * part.extent_m)) ** 2)
    says = part.anchored @ (blur / blur.sum(axis=1, keepdims=True)).T
    return [
        _Way(at, SHAPE * float(likelihood) + KNOWN * float((at * says).sum()), *_means(part, at))
        for at, likelihood in zip(*fitted, strict=True)
    ]


def _weighed(ways: list[list[_Way]], batch: _Batch) -> tuple[F64, float]:
    """The chance of each way, (w,), or pair of ways for two storeys, (w,w); and how much likelier (log) what agrees
    with the likeliest is than what contradicts it."""
    score = np.array([way.likelihood for way in ways[0]])
    if len(ways) == 2:
        score = score[:, None] + np.array([way.likelihood for way in ways[1]]) + _ceiling(ways, batch)
    chance = np.exp(score - score.max())
    chance /= chance.sum()
    best = np.unravel_index(int(chance.argmax()), chance.shape)
    apart = [
        np.array([np.hypot(*((way.at - side[i].at) @ batch.places).T).sum() for way in side])
        for side, i in zip(ways, best, strict=True)
    ]
    far = apart[0] if len(ways) == 1 else apart[0][:, None] + apart[1]
    other = float(chance[far > OTHERWISE * batch.extent_m * len(batch.levels)].sum())
    return chance, float(np.log(max(1.0 - other, 1e-12) / max(other, 1e-12)))


def _mixed(sides: list[np.ndarray], ways: list[list[_Way]], chance: F64, batch: _Batch) -> F64:
    """(k, storeys x q): each storey's scans at its own places, in all ways by their chances."""
    count = len(batch.places)
    at = np.zeros((len(batch.levels), len(sides) * count))
    for number, (side, some) in enumerate(zip(sides, ways, strict=True)):
        share = chance if len(sides) == 1 else chance.sum(axis=1 - number)
        at[side, number * count : (number + 1) * count] = np.einsum("w,wkq->kq", share, np.array([w.at for w in some]))
    return at


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
    kernel = _kernel(batch.places, width_m, count, ALIKE_STOREYS)
    size = scans.reshape(count, -1, 1)
    middle = (size * levels.reshape(count, len(batch.places), -1)).sum(axis=1) / size.sum(axis=1)
    around = np.repeat(middle, len(batch.places), axis=0)
    field = around + kernel @ np.linalg.solve(kernel + np.diag(1.0 / scans), levels - around)
    left = at.T @ batch.levels**2 - 2.0 * field * (at.T @ batch.levels) + scans[:, None] * field**2
    return field, left.sum(axis=0) / len(at) + NOISE_VARIANCE


def _means(batch: _Batch, at: F64) -> tuple[F64, F64]:
    scans = at.sum(axis=0) + 1e-6
    return scans, at.T @ batch.levels / scans[:, None]


def _kernel(places: F64, width_m: float, count: int, alike: float) -> F64:
    apart = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    ceiling = np.full((count, count), alike) + (1.0 - alike) * np.eye(count)
    return np.kron(ceiling, np.exp(-0.5 * apart / width_m**2))


def _ceiling(ways: list[list[_Way]], batch: _Batch) -> F64:
    """(w,w) how much likelier (log) two storeys are held together than each by itself."""
    scale = np.sqrt(0.5 * batch.levels.var(axis=0) + NOISE_VARIANCE)
    kernel = _kernel(batch.places, NARROW * batch.extent_m, 2, CEILING)
    alone = [[_evidence(kernel, way, way, scale) / 2.0 for way in side] for side in ways]
    return np.array(
        [
            [
                _evidence(kernel, lower, upper, scale, together=True) - alone[0][i] - alone[1][j]
                for j, upper in enumerate(ways[1])
            ]
            for i, lower in enumerate(ways[0])
        ]
    )


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
