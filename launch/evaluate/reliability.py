"""Weighted means and reliability: when a probability of 0.9 is published, is it right nine times in ten?

Arithmetic only; what is right is decided elsewhere.
"""

from collections.abc import Iterable
from typing import Any

BINS = 10


class Mean:
    """A mean weighted by seconds, so that a session's rate of scenes does not matter."""

    def __init__(self) -> None:
        self.weight = 0.0
        self._sum = 0.0

    def add(self, value: float, weight: float) -> None:
        self._sum += value * weight
        self.weight += weight

    def value(self, digits: int = 4) -> float | None:
        """None without any weight: an unmeasured score is not a zero."""
        return round(self._sum / self.weight, digits) if self.weight > 0 else None


class Reliability:
    """Published probabilities in ten bins, each with how often it was right."""

    def __init__(self) -> None:
        self._probability = [Mean() for _ in range(BINS)]
        self._right = [Mean() for _ in range(BINS)]
        self._count = [0] * BINS

    def add(self, probability: float, is_right: bool, weight: float) -> None:
        place = min(int(probability * BINS), BINS - 1)
        self._probability[place].add(probability, weight)
        self._right[place].add(is_right, weight)
        self._count[place] += 1

    def result(self) -> dict[str, Any]:
        """expected_error: the mean over time of |published - right| per bin, and the bins that hold anything;
        seconds and count: for how long and how many times a probability in the bin was published."""
        expected = Mean()
        bins = []
        for place, (probability, right) in enumerate(zip(self._probability, self._right, strict=True)):
            published, observed = probability.value(), right.value()
            if published is not None and observed is not None:
                expected.add(abs(published - observed), right.weight)
                bins.append({"from": place / BINS, "to": (place + 1) / BINS, "published": published, "right": observed,
                             "seconds": round(right.weight, 1), "count": self._count[place]})  # fmt: skip
        return {"expected_error": expected.value(), "bins": bins}

    def add_result(self, result: dict[str, Any]) -> None:
        """What another session's `result()` says, as if it had been added here."""
        for each in result["bins"]:
            place = round(each["from"] * BINS)
            self._probability[place].add(each["published"], each["seconds"])
            self._right[place].add(each["right"], each["seconds"])
            self._count[place] += each["count"]


def pooled(results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One reliability of several sessions, from the `result()` of each. The error of one session alone is mostly
    chance: a handful of people are right or wrong for a minute, and its mean over sessions stays above zero however
    honest the probabilities are."""
    together = Reliability()
    for result in results:
        together.add_result(result)
    return together.result()
