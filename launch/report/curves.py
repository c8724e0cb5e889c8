"""Two questions as curves: how far off are positions, and are probabilities as often right as they say?"""

from typing import Any

import numpy as np

from ..evaluate.distribution import Distribution
from ..evaluate.positions import PositionScore
from .svg import Axes, label, line, path, picture, tag, ticks, words

LEAST_M = 1.0  # of the x axis, however good positions are
MOST_POINTS = 400  # of a curve


def error_curves(score: PositionScore) -> dict[str, Distribution]:
    """What is drawn, by class: named positions, those by state, and the oracle; only what holds anything."""
    curves = {"named": score.named, **{state: score.by_state[state] for state in sorted(score.by_state)}}
    return {name: curve for name, curve in {**curves, "oracle": score.oracle}.items() if len(curve)}


def error_cdf(score: PositionScore, width: float) -> str:
    """The share of device-time (y) in which a position was at most so far off (x, in m)."""
    curves = error_curves(score)
    shown_m = max([LEAST_M, *(spread["95"] or 0.0 for spread in (curve.percentiles() for curve in curves.values()))])
    axes = Axes(42.0, 12.0, width - 56.0, 250.0, 0.0, shown_m * 1.05)
    parts = axes.x_axis([(at, f"{at:g}") for at in ticks(0.0, axes.x_high)], "position error, m")
    parts += axes.y_axis([(share / 100, f"{share} %") for share in (0, 25, 50, 75, 90, 100)])
    for name in reversed(curves):
        values, share = curves[name].curve()
        grid = np.linspace(0.0, axes.x_high, MOST_POINTS)
        below = np.concatenate([[0.0], share])[np.searchsorted(values, grid, side="right")]
        points = [(axes.x(float(x)), axes.y(float(y))) for x, y in zip(grid, below, strict=True)]
        parts.append(path(points, f"curve {name}"))
    return picture(width, axes.bottom + 38, "Cumulative distribution of position errors", parts)


def reliability(calibration: dict[str, Any], width: float, title: str) -> str:
    """How often right (bars) against what was published (diagonal), above how often each was published."""
    axes = Axes(42.0, 10.0, width - 62.0, 210.0, 0.0, 1.0)
    percent = [(share / 100, f"{share} %") for share in (0, 20, 40, 60, 80, 100)]
    parts = [*axes.y_axis(percent), *_bars(calibration["bins"], axes)]
    parts.append(line(axes.x(0), axes.y(0), axes.x(1), axes.y(1), "ideal"))
    counts = Axes(axes.left, axes.bottom + 20, axes.width, 46.0, 0.0, 1.0, 0.0,
                  max([place["count"] for place in calibration["bins"]], default=1) * 1.02)  # fmt: skip
    for place in calibration["bins"]:
        x, end = counts.x(place["from"]) + 2, counts.x(place["to"]) - 2
        top = counts.y(place["count"])
        bar = tag("rect", x=x, y=top, width=end - x, height=max(counts.bottom - top, 0.5), class_="count")
        parts += [bar, label((x + end) / 2, top - 3, short(place["count"]), "small", "middle")]
    parts += counts.x_axis(percent, "published probability")
    return picture(width, counts.bottom + 38, title, parts)


def _bars(bins: list[dict[str, Any]], axes: Axes) -> list[str]:
    parts = []
    for place in bins:
        x, end, top = axes.x(place["from"]) + 2, axes.x(place["to"]) - 2, axes.y(place["right"])
        said = (f"published {place['published']:.1%} on average, right {place['right']:.1%}, "
                f"{place['count']} times, {place['seconds']} s")  # fmt: skip
        title = tag("title", words(said))
        parts.append(tag("rect", title, x=x, y=top, width=end - x, height=axes.bottom - top, class_="bar"))
        at = axes.x(place["published"])
        parts.append(line(at, top, at, axes.y(place["published"]), "gap"))
        parts.append(tag("circle", title, cx=at, cy=top, r=4.5, class_="dot"))
    return parts


def short(count: int) -> str:
    """1234 -> 1.2k, so that ten of them stand side by side."""
    return str(count) if count < 1000 else f"{count / 1000:.1f}k" if count < 99_950 else f"{count / 1000:.0f}k"
