"""Trajectories on the plan: where each identity was published, and where its owner really went.

The plan comes from the site, as the live page draws it; a session without one is drawn on what was walked over.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from ...nodes.live.plan import plan_of
from ...sitefile import Site
from .look import colour_class
from .story import Story
from .svg import Axes, label, line, path, picture, tag, words

MARGIN, SCALE_PX = 14.0, 30.0
GAP_S = 1.0  # without a scene or a sample of truth for longer, a trajectory is not joined
WALKED_MARGIN_M = 0.5
GLYPHS = {
    "camera": "M-6-3.5h7v7h-7zM1 0l5-3.5v7z",  # looking to the right, turned to its yaw
    "radar": "M-5 0L3-5.5a9 9 0 0 1 0 11zM-.5-2.8a5 5 0 0 1 0 5.6",
    "wifi": "M-5-1.5a7 7 0 0 1 10 0M-2.8 1a4 4 0 0 1 5.6 0M0 3.6v.1",
}
KINDS = {"camera": "camera", "radar": "radar", "wifi": "WiFi sniffer"}
NAMED_FROM_PX = 500.0  # on a narrower plan the sensors' names would lie over each other


class Floor:
    """The plan of a site, and trajectories over it from `from_ns` on. site: None where the session has none."""

    def __init__(self, site: Site | None, story: Story, names: Sequence[str], from_ns: int = 0) -> None:
        self._plan: dict[str, Any] = plan_of(site) if site else {"sensors": []}
        self._places = {name: [p for p in places if p.t_ns >= from_ns] for name, places in story.places.items()}
        self._truths = {name: [t for t in truths if t[0] >= from_ns] for name, truths in story.truths.items()}
        self._anonymous: dict[str, list[tuple[int, tuple[float, float]]]] = {}
        for t_ns, body, x_m, y_m in story.anonymous:
            if t_ns >= from_ns:
                self._anonymous.setdefault(body, []).append((t_ns, (x_m, y_m)))
        self._names = names
        self._marks = _marks(names)
        self._walls = site.area.walls if site else ()
        self._extent = self._built(site) if site else self._walked()

    def everybody(self, width: float) -> str:
        """All identities, each in its colour, with a dot and an initial where it was last."""
        axes = self._axes(width)
        parts = self._room(axes, is_labelled=True)
        for points in self._anonymous.values():
            runs = _joined([(t_ns, _within(axes, *there)) for t_ns, there in points])
            parts += [path(run, "body-path") for run in runs]
        for name in self._names:
            parts.append(self._truth(axes, name))
        parts += [self._published(axes, name) for name in self._names]
        parts += [self._end(axes, name) for name in self._names]
        return picture(width, axes.bottom + SCALE_PX, "Trajectories on the floor plan", [*parts, self._scale(axes)])

    def kinds(self) -> list[tuple[str, str]]:
        """(kind, its name) of the sensors on the plan, for the legend."""
        drawn = {sensor["kind"] for sensor in self._plan["sensors"] if sensor["x_m"] is not None}
        return [(kind, name) for kind, name in KINDS.items() if kind in drawn]

    def disc(self, name: str, x: float, y: float, radius: float = 9.0) -> str:
        """A person's mark: the initial, or a number where two people share one."""
        initial = tag("text", words(self._marks[name]), x=x, y=y, class_="initial")
        return tag("g", tag("circle", cx=x, cy=y, r=radius, class_="end"), initial, class_=self._colour(name))

    def one(self, name: str, width: float) -> str:
        """One identity alone, over where its owner went."""
        axes = self._axes(width)
        parts = [*self._room(axes, is_labelled=False), self._truth(axes, name)]
        parts += [self._published(axes, name), self._end(axes, name)]
        return picture(width, axes.bottom + MARGIN, f"Trajectory of {name}", parts)

    def _built(self, site: Site) -> tuple[float, float, float, float]:
        """The site's area and its sensors, some of which stand outside."""
        there = [sensor for sensor in self._plan["sensors"] if sensor["x_m"] is not None]
        x_m = [*site.area.x_m, *(sensor["x_m"] for sensor in there)]
        y_m = [*site.area.y_m, *(sensor["y_m"] for sensor in there)]
        return (min(x_m), max(x_m), min(y_m), max(y_m))

    def _walked(self) -> tuple[float, float, float, float]:
        there = np.array([(p.x_m, p.y_m) for places in self._places.values() for p in places]
                         + [t[1:] for truths in self._truths.values() for t in truths]
                         + [at for points in self._anonymous.values() for _, at in points]).reshape(-1, 2)  # fmt: skip
        if not len(there):
            return (0.0, 1.0, 0.0, 1.0)
        (x_low, y_low), (x_high, y_high) = there.min(axis=0) - WALKED_MARGIN_M, there.max(axis=0) + WALKED_MARGIN_M
        return (float(x_low), float(x_high), float(y_low), float(y_high))

    def _axes(self, width: float) -> Axes:
        x_low, x_high, y_low, y_high = self._extent
        inner = width - 2 * MARGIN
        return Axes(MARGIN, MARGIN, inner, inner * (y_high - y_low) / (x_high - x_low), x_low, x_high, y_low, y_high)

    def _room(self, axes: Axes, is_labelled: bool) -> list[str]:
        parts = [tag("rect", x=axes.left, y=axes.top, width=axes.width, height=axes.height, class_="floor")]
        x_low, x_high, y_low, y_high = self._extent
        step = 1 if x_high - x_low <= 40 else 5
        for x in np.arange(np.ceil(x_low / step) * step, x_high, step):
            parts.append(line(axes.x(x), axes.top, axes.x(x), axes.bottom, "grid"))
        for y in np.arange(np.ceil(y_low / step) * step, y_high, step):
            parts.append(line(axes.left, axes.y(y), axes.right, axes.y(y), "grid"))
        if is_labelled:
            parts += [_view(axes, sensor) for sensor in self._plan["sensors"] if sensor["view"]]
        parts += [line(axes.x(a), axes.y(b), axes.x(c), axes.y(d), "wall") for a, b, c, d in self._walls]
        if is_labelled:
            parts += [_sensor(axes, sensor) for sensor in self._plan["sensors"] if sensor["x_m"] is not None]
        return parts

    def _truth(self, axes: Axes, name: str) -> str:
        truths = self._truths.get(name, [])
        runs = _joined([(t, (axes.x(x), axes.y(y))) for t, x, y in truths])
        return "".join(path(run, "truth-path") for run in runs)

    def _colour(self, name: str) -> str:
        return colour_class(self._names.index(name))

    def _published(self, axes: Axes, name: str) -> str:
        parts = []
        for is_confirmed, run in groupby(self._places.get(name, []), key=lambda place: place.state == "confirmed"):
            points = [(place.t_ns, _within(axes, place.x_m, place.y_m)) for place in run]
            class_ = "confirmed-path" if is_confirmed else "unsure-path"
            parts += [path(joined, class_) for joined in _joined(points)]
        return tag("g", *parts, class_=self._colour(name))

    def _end(self, axes: Axes, name: str) -> str:
        places = self._places.get(name)
        if not places:
            return ""
        x, y = _within(axes, places[-1].x_m, places[-1].y_m)
        where = f"{name}, {places[-1].state}, at {places[-1].x_m:.1f}, {places[-1].y_m:.1f} m at the end"
        return tag("g", tag("title", words(where)), self.disc(name, x, y))

    def _scale(self, axes: Axes) -> str:
        length_m = 2 if self._extent[1] - self._extent[0] <= 40 else 10
        x, y = axes.left, axes.bottom + SCALE_PX - 8
        end = axes.x(self._extent[0] + length_m) - axes.left + x
        return line(x, y, end, y, "ideal") + label(end + 6, y + 4, f"{length_m} m", "small halo")


def _marks(names: Sequence[str]) -> dict[str, str]:
    initials = [name[0].upper() for name in names]
    if len(set(initials)) == len(initials):
        return dict(zip(names, initials, strict=True))
    return {name: str(place + 1) for place, name in enumerate(names)}


def sample_of(kind: str) -> str:
    """A sensor as the plan shows it, in a box of 28 x 14."""
    return tag("path", d=GLYPHS[kind], transform="translate(14 7)")


def _within(axes: Axes, x_m: float, y_m: float) -> tuple[float, float]:
    """A place in px; what lies beyond the plan is drawn at its edge."""
    x, y = axes.x(x_m), axes.y(y_m)
    return min(max(x, axes.left), axes.right), min(max(y, axes.top), axes.bottom)


def _joined(points: list[tuple[int, tuple[float, float]]]) -> list[list[tuple[float, float]]]:
    """Runs of (t_ns, point) without a gap in time."""
    runs: list[list[tuple[float, float]]] = []
    last_ns = None
    for t_ns, point in points:
        if last_ns is None or t_ns - last_ns > GAP_S * 1e9:
            runs.append([])
        runs[-1].append(point)
        last_ns = t_ns
    return runs


def _view(axes: Axes, sensor: dict[str, Any]) -> str:
    corners = [_within(axes, x_m, y_m) for x_m, y_m in sensor["view"]]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return tag("polygon", points=points, class_=f"view {sensor['kind']}")


def _sensor(axes: Axes, sensor: dict[str, Any]) -> str:
    x, y = axes.x(sensor["x_m"]), axes.y(sensor["y_m"])
    turn = -np.degrees(sensor["yaw_rad"] or 0.0)
    glyph = tag("path", d=GLYPHS[sensor["kind"]], transform=f"rotate({turn:.0f})")
    circle = tag("circle", r=9)
    mark = tag("g", tag("title", words(sensor["id"])), circle, glyph, transform=f"translate({x:.1f} {y:.1f})")
    is_right, is_high = x > axes.left + axes.width / 2, y < axes.top + axes.height / 2
    if axes.width < NAMED_FROM_PX:
        return tag("g", mark, class_="sensor")
    text = label(x + (-13 if is_right else 13), y + (16 if is_high else -8), sensor["id"], "small halo",
                 "end" if is_right else "start")  # fmt: skip
    return tag("g", mark, text, class_="sensor")
