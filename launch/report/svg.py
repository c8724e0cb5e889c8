"""Drawing by hand: SVG elements as text, and axes that turn values into places.

It escapes whatever it is given, rounds to a tenth of a pixel, and knows nothing of sessions. Looks are CSS classes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

Points = Sequence[tuple[float, float]] | NDArray[np.float64]


def tag(name: str, *children: str, **attributes: str | float) -> str:
    """An element; class_ stands for class, and _ for - elsewhere. Children are markup: text goes through `words`."""
    parts = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        shown = number(value) if isinstance(value, float | int) else escape(value)
        parts.append(f'{attribute}="{shown}"')
    return f"<{' '.join(parts)}>{''.join(children)}</{name}>" if children else f"<{' '.join(parts)}/>"


def words(text: str) -> str:
    """Text as markup."""
    return escape(text)


def number(value: float) -> str:
    """As short as a tenth of a pixel allows. Raises ValueError where it is not finite."""
    if not np.isfinite(value):
        raise ValueError(f"{value} cannot be drawn")
    shown = f"{value:.1f}".removesuffix(".0")
    return "0" if shown == "-0" else shown


def label(x: float, y: float, text: str, class_: str = "label", anchor: str = "start") -> str:
    return tag("text", words(text), x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Points, class_: str, **attributes: str | float) -> str:
    """A polyline through points (N,2) in px; nothing for fewer than two. What moves less than half a px is left out."""
    kept: list[tuple[float, float]] = []
    for place, (x, y) in enumerate(points):
        if not kept or place == len(points) - 1 or abs(x - kept[-1][0]) + abs(y - kept[-1][1]) >= 0.5:
            kept.append((float(x), float(y)))
    if len(kept) < 2:
        return ""
    return tag("path", d="M" + "L".join(f"{number(x)} {number(y)}" for x, y in kept), class_=class_, **attributes)


def picture(width: float, height: float, title: str, parts: Iterable[str], class_: str = "") -> str:
    """A whole SVG that scales with its container."""
    box = f"0 0 {number(width)} {number(height)}"
    return tag("svg", tag("title", words(title)), *parts, viewBox=box, role="img", class_=class_)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` + 1 round numbers from low to high: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(float(factor * power) for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = int(np.ceil(low / step - 1e-9))
    return [round(place * step, 10) for place in range(first, int(np.floor(high / step + 1e-9)) + 1)]


@dataclass(frozen=True, slots=True)
class Axes:
    """A rectangle in px that shows values from x_low to x_high and, upwards, from y_low to y_high."""

    left: float
    top: float
    width: float
    height: float
    x_low: float
    x_high: float
    y_low: float = 0.0
    y_high: float = 1.0

    def x(self, value: float) -> float:
        return self.left + (value - self.x_low) / ((self.x_high - self.x_low) or 1.0) * self.width

    def y(self, value: float) -> float:
        return self.top + (self.y_high - value) / ((self.y_high - self.y_low) or 1.0) * self.height

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def x_axis(self, named: Sequence[tuple[float, str]], title: str = "") -> list[str]:
        """Lines of the grid with their names below, and what they measure."""
        parts = [line(self.x(at), self.top, self.x(at), self.bottom, "grid") for at, _ in named]
        parts += [label(self.x(at), self.bottom + 15, name, "tick", "middle") for at, name in named]
        if title:
            parts.append(label(self.left + self.width / 2, self.bottom + 32, title, "axis", "middle"))
        return parts

    def y_axis(self, named: Sequence[tuple[float, str]]) -> list[str]:
        parts = [line(self.left, self.y(at), self.right, self.y(at), "grid") for at, _ in named]
        return parts + [label(self.left - 6, self.y(at) + 4, name, "tick", "end") for at, name in named]

    def time_axis(self, most: int = 8) -> list[str]:
        """The x axis in seconds, or in minutes and seconds from two minutes on."""
        span_s = self.x_high - self.x_low
        steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
        step = next((s for s in steps if span_s / s <= most), max(steps[-1], span_s / most))
        times = np.arange(np.ceil(self.x_low / step) * step, self.x_high + 1e-9, step)
        return self.x_axis([(float(at), clock(float(at))) for at in times])


def clock(seconds: float) -> str:
    """0:05, 12:34 or 1:02:03, since the beginning."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
