"""The timeline of identities: which body carried each name, how sure that was, and whether it was right.

A block is as high as the name is sure: confirmed, tentative, only on the air. Right and wrong differ in colour and in
hatching; the number in a block is the body's.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from .story import Carried, Story
from .svg import Axes, clock, label, picture, tag, words

ROW_PX, BAR_PX = 44.0, 20.0
HEIGHT_PX = {"confirmed": 20.0, "tentative": 11.0, "wireless": 4.0, "": 0.0}
GAP_NS = 600_000_000  # without a scene for longer, nothing is said to go on
NUMBER_PX = 9.0  # room that a digit of a body's number needs


class Block(NamedTuple):
    from_ns: int
    to_ns: int
    carried: Carried


def blocks(carried: Sequence[Carried]) -> list[Block]:
    """Stretches in which a name was on the same body, as sure and as right; a gap in the scenes ends one."""
    found: list[Block] = []
    for one in carried:
        last = found[-1] if found else None
        goes_on = last is not None and one.t_ns - last.to_ns <= GAP_NS
        if last is not None and goes_on:
            found[-1] = last = last._replace(to_ns=one.t_ns)  # until now it was as before
        if last is None or not goes_on or _look(last.carried) != _look(one):
            found.append(Block(one.t_ns, one.t_ns, one))
    return found


def timeline(story: Story, names: Sequence[str], width: float) -> str:
    """A row a name over the time of the session."""
    first_ns, last_ns = story.span_ns
    is_narrow = width < 600
    left = 12.0 if is_narrow else 110.0
    axes = Axes(left, 8.0, width - left - 14.0, ROW_PX * len(names), 0.0, max((last_ns - first_ns) / 1e9, 1e-3))
    parts = [*_warm_up(story, axes, first_ns), *axes.time_axis(5 if is_narrow else 10)]
    for place, name in enumerate(names):
        middle = axes.top + ROW_PX * place + (26.0 if is_narrow else 20.0)
        shown = name if len(name) <= 14 or is_narrow else f"{name[:13]}…"
        at = label(left, middle - 13, shown, "strong halo") if is_narrow else label(0, middle + 4, shown, "strong")
        carried = story.carried.get(name, [])
        parts += [*(_drawn(block, axes, first_ns, middle, name) for block in blocks(carried)), at]
        parts += _in_view(carried, axes, first_ns, middle + BAR_PX / 2 + 2)
    return picture(width, axes.bottom + 22, "Which body carried each name", parts)


def _look(one: Carried) -> tuple[str, int | None, bool | None]:
    return one.state, one.track, one.verdict


def _drawn(block: Block, axes: Axes, first_ns: int, middle: float, name: str) -> str:
    height = HEIGHT_PX.get(block.carried.state, 0.0)
    x, end = (axes.x((t_ns - first_ns) / 1e9) for t_ns in (block.from_ns, block.to_ns))
    if not height or end <= x:
        return ""
    track, verdict = block.carried.track, block.carried.verdict
    look = {True: "right", False: "wrong", None: "nobody" if track is None else "unjudged"}[verdict]
    said = {True: ", right", False: ", wrong", None: ""}[verdict]
    body = "on no body" if track is None else f"on body {track}"
    times = f"{clock((block.from_ns - first_ns) / 1e9)} to {clock((block.to_ns - first_ns) / 1e9)}"
    title = tag("title", words(f"{name}, {times}: {block.carried.state}, {body}{said}"))
    bar = tag("rect", title, x=x, y=middle - height / 2, width=max(end - x, 0.6), height=height, class_=look)
    if track is None or height < BAR_PX or end - x < 6 + NUMBER_PX * len(str(track)):
        return bar
    return bar + tag("text", str(track), x=(x + end) / 2, y=middle + 4, class_=f"body-number on-{look}")


def _in_view(carried: Sequence[Carried], axes: Axes, first_ns: int, top: float) -> list[str]:
    """A thin line wherever a camera or radar really had the owner in view."""
    parts = []
    for is_seen, run in groupby(carried, key=lambda one: one.is_seen):
        times = [one.t_ns for one in run]
        if is_seen and len(times) > 1:
            x, end = (axes.x((t_ns - first_ns) / 1e9) for t_ns in (times[0], times[-1]))
            parts.append(tag("rect", x=x, y=top, width=end - x, height=2.5, class_="seen"))
    return parts


def _warm_up(story: Story, axes: Axes, first_ns: int) -> list[str]:
    if story.scored_from_ns is None or story.scored_from_ns <= first_ns:
        return []
    end = axes.x((story.scored_from_ns - first_ns) / 1e9)
    return [tag("rect", tag("title", "not scored: the first seconds"), x=axes.left, y=axes.top,
                width=end - axes.left, height=axes.height, class_="warm-up")]  # fmt: skip
