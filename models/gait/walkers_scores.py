"""Scores of names with probabilities: how often right, how well calibrated, and votes over longer stretches.

Arithmetic on log-probabilities; what is judged is decided elsewhere. Walkers weigh the same, however many windows each
has. Intervals come from drawing whole stretches of 20 s again, because neighbouring windows are not independent.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from .walkers_linear import log_softmax
from .walkers_recording import F64, I64
from .walkers_windows import Windows

VOTE_S, VOTE_STEP_S = 20.0, 5.0
BINS = 10
DRAWS = 500
COOLEST, HOTTEST = 0.25, 20.0
ASTRAY_LEAST, ASTRAY_MOST = 0.005, 0.5  # a validation without errors must not ask for certainty
TINY = 1e-12


class Votes(NamedTuple):
    """logs (n,C) summed over each stretch's windows; walker (n,); from_s (n,)."""

    logs: F64
    walker: I64
    from_s: F64


def top1(logs: F64, walker: I64) -> float:
    """The mean over walkers of the share of their windows that were named right."""
    right = logs.argmax(axis=1) == walker
    return float(np.mean([right[walker == k].mean() for k in np.unique(walker)]))


def interval(logs: F64, walker: I64, from_s: F64, seed: int) -> tuple[float, float]:
    """95 % of top1 when whole stretches of 20 s of each walker are drawn again."""
    right = (logs.argmax(axis=1) == walker).astype(float)
    rng = np.random.default_rng(seed)
    means = np.zeros((len(np.unique(walker)), DRAWS))
    for k, one in enumerate(np.unique(walker)):
        mine = walker == one
        _, block = np.unique((from_s[mine] // VOTE_S).astype(int), return_inverse=True)
        hits, total = np.bincount(block, right[mine]), np.bincount(block)
        drawn = rng.integers(0, len(total), (DRAWS, len(total)))
        means[k] = hits[drawn].sum(axis=1) / total[drawn].sum(axis=1)
    low, high = np.quantile(means.mean(axis=0), [0.025, 0.975])
    return float(low), float(high)


def votes(
    logs: F64, windows: Windows, discount: float = 1.0, span_s: float = VOTE_S, step_s: float = VOTE_STEP_S
) -> Votes:
    """Sums of log-probabilities over stretches of span_s, times the discount: overlapping windows say things twice."""
    done: list[tuple[F64, int, float]] = []
    for k in np.unique(windows.walker):
        mine = np.flatnonzero(windows.walker == k)
        starts = windows.from_s[mine]
        for begin in np.arange(starts.min(), starts.max() + windows.seconds - span_s + 1e-6, step_s):
            within = mine[(starts >= begin - 1e-6) & (starts + windows.seconds <= begin + span_s + 1e-6)]
            if len(within):
                done.append((discount * logs[within].sum(axis=0), int(k), float(begin)))
    if not done:
        return Votes(np.zeros((0, logs.shape[1])), np.zeros(0, np.int64), np.zeros(0))
    summed, walker, from_s = zip(*done, strict=True)
    return Votes(np.array(summed), np.array(walker), np.array(from_s))


class Calibration(NamedTuple):
    """Scores to probabilities: a temperature, and a share of windows that say nothing about their walker at all, which
    caps what any single window can say."""

    temperature: float = 1.0
    astray: float = 0.0

    def __call__(self, scores: F64) -> F64:
        """Log-probabilities (n,C)."""
        own = np.exp(log_softmax(scores, self.temperature))
        return np.log((1 - self.astray) * own + self.astray / scores.shape[1] + TINY)


def calibration_of(scores: F64, walker: I64) -> Calibration:
    """The one that makes the right names most probable (temperature: Guo et al., "On Calibration of Modern Neural
    Networks", 2017; the share astray is ours). Walkers weigh the same."""
    weight = (1 / np.bincount(walker, minlength=scores.shape[1]).clip(1))[walker]

    def made(logs: F64) -> Calibration:
        warmth = float(np.exp(np.clip(logs[0], *np.log([COOLEST, HOTTEST]))))
        return Calibration(warmth, float(np.clip(np.exp(logs[1]), ASTRAY_LEAST, ASTRAY_MOST)))

    def loss(logs: F64) -> float:
        return -float((weight * made(logs)(scores)[np.arange(len(walker)), walker]).sum())

    return made(minimize(loss, np.array([1.0, -3.0]), method="Nelder-Mead").x)


def calibration_error(logs: F64, walker: I64) -> float:
    """Expected calibration error of the best name's probability, ten equal bins (Naeini et al., 2015)."""
    published = np.exp(logs.max(axis=1))
    right = (logs.argmax(axis=1) == walker).astype(float)
    place = np.minimum((published * BINS).astype(int), BINS - 1)
    gap = np.bincount(place, published - right, minlength=BINS)
    return float(np.abs(gap).sum() / len(walker))


def reliability(logs: F64, walker: I64) -> list[tuple[float, float, int]]:
    """Of each bin that holds anything: mean probability published, share right, how many."""
    published = np.exp(logs.max(axis=1))
    right = logs.argmax(axis=1) == walker
    place = np.minimum((published * BINS).astype(int), BINS - 1)
    return [
        (float(published[place == b].mean()), float(right[place == b].mean()), int((place == b).sum()))
        for b in range(BINS)
        if (place == b).any()
    ]


def area_under_roc(known: F64, unknown: F64) -> float:
    """The chance that a window of a known walker scores above one of a stranger."""
    ranks = rankdata(np.concatenate([known, unknown]))
    return float((ranks[: len(known)].sum() - len(known) * (len(known) + 1) / 2) / (len(known) * len(unknown)))
