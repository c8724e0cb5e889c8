"""How well tracklets are recognised: CMC, mean average precision, and how well labels and clusters agree with people.

Protocol: every tracklet asks among the tracklets of the other cameras; one without a right answer there does not ask.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Ranked(NamedTuple):
    """Results by query, n of them: first (n,) rank of the first right answer, precision (n,) averages."""

    first: I64
    precision: F64

    def cmc(self, rank: int) -> float:
        """Share of queries with a right answer among the first `rank`."""
        return float((self.first <= rank).mean()) if len(self.first) else 0.0

    @property
    def mean_precision(self) -> float:
        return float(self.precision.mean()) if len(self.first) else 0.0


def ranked(similarity: F64, person: I64, camera: I64) -> Ranked:
    """Ranks by similarity (N,N) of tracklets of these people (N,) and cameras (N,)."""
    first, precision = [], []
    for row in range(len(person)):
        others = np.flatnonzero(camera != camera[row])
        right = person[others] == person[row]
        if not right.any():
            continue
        right = right[np.argsort(-similarity[row, others], kind="stable")]
        places = np.flatnonzero(right) + 1
        first.append(places[0])
        precision.append(float((np.arange(1, len(places) + 1) / places).mean()))
    return Ranked(np.array(first, np.int64), np.array(precision))


def mutual_information(first: I64, second: I64) -> float:
    """Adjusted mutual information of two labellings (n,): 0 by chance, 1 where they agree (Vinh, Epps, Bailey 2010,
    with the mean of both entropies)."""
    table = np.zeros((int(first.max()) + 1, int(second.max()) + 1)) if len(first) else np.zeros((1, 1))
    np.add.at(table, (first, second), 1.0)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    total = float(table.sum())
    if total == 0:
        return 0.0
    here = table[table > 0]
    expected = np.outer(rows, columns)[table > 0]
    told = float((here / total * np.log(here * total / expected)).sum())
    chance = _by_chance(rows[rows > 0].astype(int), columns[columns > 0].astype(int), int(total))
    most = (_entropy(rows, total) + _entropy(columns, total)) / 2
    return 1.0 if abs(most - chance) < 1e-12 else (told - chance) / (most - chance)


def calibration_error(probability: F64, is_right: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error: the mean of |said - was| over bins of equal width, weighted by their counts."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    off = 0.0
    for each in range(bins):
        rows = place == each
        if rows.any():
            off += rows.mean() * abs(float(probability[rows].mean()) - float(is_right[rows].mean()))
    return float(off)


def interval(values: F64, seed: int = 0, draws: int = 1000) -> tuple[float, float]:
    """95 % of the bootstrap's means of values (n,)."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), (draws, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _entropy(counts: F64, total: float) -> float:
    share = counts[counts > 0] / total
    return float(-(share * np.log(share)).sum())


def _by_chance(rows: I64, columns: I64, total: int) -> float:
    from scipy.special import gammaln

    a, b = rows[:, None], columns[None]
    done = 0.0
    for n in range(1, int(min(rows.max(), columns.max())) + 1):
        fits = (n <= np.minimum(a, b)) & (n >= a + b - total)
        ai, bj = np.broadcast_arrays(a, b)
        ai, bj = ai[fits], bj[fits]
        log_p = (
            gammaln(ai + 1) + gammaln(bj + 1) + gammaln(total - ai + 1) + gammaln(total - bj + 1)
            - gammaln(total + 1) - gammaln(n + 1) - gammaln(ai - n + 1) - gammaln(bj - n + 1)
            - gammaln(total - ai - bj + n + 1)
        )  # fmt: skip
        done += float((n / total * np.log(total * n / (ai * bj)) * np.exp(log_p)).sum())
    return done
