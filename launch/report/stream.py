"""How the stream was: what each source sent over time, and what was dropped, late or gated out.

Rates come from the messages themselves; counts come from health messages, so a session without those has none.
"""

from array import array
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .story import LOST, Story
from .svg import Axes, label, path, picture, tag, ticks, words

ROW_PX, NARROW_ROW_PX = 34.0, 42.0
MOST_BINS = 120  # of whole seconds, so that a steady source looks steady
GROUPS = {"dropped": ("drop", "missed"), "late": ("late", "future"), "gated": ("gated",)}


def group_of(counter: str) -> str:
    """dropped, late or gated; "" for a counter that says nothing of loss. `too_late:camera-1` is late."""
    name = counter.partition(":")[0]
    return next((group for group, stems in GROUPS.items() if any(stem in name for stem in stems)), "")


def rates(story: Story, means_hz: Mapping[str, float], width: float) -> str:
    """A row a source: messages per second of world time, 0 to its own highest; hatched while it was lost. means_hz:
    what is written beside each."""
    first_ns, last_ns = story.span_ns
    span_s = max((last_ns - first_ns) / 1e9, 1e-3)
    sources = sorted(story.times)
    is_narrow = width < 600
    left, row_px = (12.0, NARROW_ROW_PX) if is_narrow else (110.0, ROW_PX)
    axes = Axes(left, 6.0, width - left - 70.0, row_px * len(sources), 0.0, span_s)
    parts = axes.time_axis(4 if is_narrow else 10)
    for place, source in enumerate(sources):
        row = Axes(left, axes.top + row_px * (place + 1) - 20, axes.width, 20.0, 0.0, span_s)
        parts.append(_rate_row(story.times[source], row, first_ns))
        if source in means_hz:
            parts.append(label(row.right + 8, row.bottom - 4, f"{means_hz[source]:.1f} /s", "small"))
        parts += _lost_rows(story.states.get(source, []), row, first_ns)
        at = label(left, row.top - 4, source, "small halo") if is_narrow else label(0, row.bottom - 4, source, "small")
        parts.append(at)
    return picture(width, axes.bottom + 24, "Messages per second of each source", parts)


def losses(story: Story, width: float) -> str:
    """Totals of dropped, late and gated out since the beginning, over all sources, as steps."""
    first_ns, last_ns = story.span_ns
    span_s = max((last_ns - first_ns) / 1e9, 1e-3)
    totals = {group: _summed(story, group, first_ns) for group in GROUPS}
    most = max([1, *(int(values[-1]) for _, values in totals.values() if len(values))])
    axes = Axes(46.0, 10.0, width - 60.0, 150.0, 0.0, span_s, 0.0, most * 1.08)
    parts = axes.time_axis(4 if width < 600 else 8)
    parts += axes.y_axis([(at, f"{at:g}") for at in ticks(0, most, 4) if at == int(at)])
    for group, (times_s, values) in totals.items():
        steps = [(axes.x(0.0), axes.y(0.0))]
        for at, value in zip(np.clip(times_s, 0.0, span_s), values, strict=True):
            steps += [(axes.x(float(at)), steps[-1][1]), (axes.x(float(at)), axes.y(float(value)))]
        parts.append(path([*steps, (axes.right, steps[-1][1])], f"curve {group}"))
    return picture(width, axes.bottom + 24, "Dropped, late and gated out, in total", parts)


def loss_table(story: Story) -> list[tuple[str, str, int]]:
    """(source, counter, total) of every counter of loss that is not zero, the largest first."""
    rows = []
    for (source, name), values in story.counters.items():
        if group_of(name) and (total := _rising(values)[-1][1]):
            rows.append((source, name, total))
    return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))


def _rising(values: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A counter over restarts: where it fell to less than half it began again, and what was counted stays."""
    earlier, latest, out = 0, 0, []
    for t_ns, value in values:
        if 2 * value < latest:
            earlier += latest
        latest = value
        out.append((t_ns, earlier + value))
    return out


def _summed(story: Story, group: str, first_ns: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(seconds, total) of all counters of a group: the sum of what each rose by."""
    rises: list[tuple[int, int]] = []
    for (_, name), values in story.counters.items():
        if group_of(name) == group:
            total = 0
            for t_ns, value in _rising(values):
                rises.append((t_ns, value - total))
                total = value
    rises.sort()
    times = np.array([t_ns - first_ns for t_ns, _ in rises]) / 1e9
    return times, np.cumsum([rise for _, rise in rises], dtype=np.int64)


def _rate_row(times_ns: array, row: Axes, first_ns: int) -> str:
    span_s = row.x_high
    bin_s = max(1, int(np.ceil(span_s / MOST_BINS)))
    bins = max(1, int(span_s // bin_s))  # what is left over at the end is too short to give a rate
    since_ns = np.array([t_ns - first_ns for t_ns in times_ns if t_ns >= first_ns], np.uint64)
    places = since_ns // np.uint64(bin_s * 1_000_000_000)
    per_s = np.bincount(places[places < bins].astype(np.int64), minlength=bins) / bin_s
    most = max(float(per_s.max()), 1e-9)
    points = [(row.left, row.bottom)]
    for place, rate in enumerate(per_s):
        y = row.bottom - float(rate) / most * row.height
        points += [(row.x(min(at * bin_s, span_s)), y) for at in (place, place + 1)]
    title = tag("title", words(f"up to {most:.1f} per second"))
    outline = "L".join(f"{x:.1f} {y:.1f}" for x, y in [*points, (points[-1][0], row.bottom)])
    return tag("path", title, d=f"M{outline}Z", class_="rate")


def _lost_rows(states: list[tuple[int, str]], row: Axes, first_ns: int) -> list[str]:
    parts = []
    for place, (t_ns, state) in enumerate(states):
        end_ns = states[place + 1][0] if place + 1 < len(states) else None
        if state in LOST:
            x = min(max(row.x((t_ns - first_ns) / 1e9), row.left), row.right)
            end = row.right if end_ns is None else min(max(row.x((end_ns - first_ns) / 1e9), x), row.right)
            title = tag("title", f"the node said: {state}")
            parts.append(tag("rect", title, x=x, y=row.top, width=max(end - x, 1.0), height=row.height, class_="lost"))
    return parts
