"""The timeline of identities: which body carried each name, how sure that was, and whether it was right.

A block is as high as the name is sure: confirmed, tentative, only on the air. Right and wrong differ in colour and in
hatching; the number in a block is the body's.
"""

from collections.abc import Sequence

from .story import Block, Ribbon, Story
from .svg import Axes, clock, label, picture, tag, words

ROW_PX, BAR_PX = 44.0, 20.0
HEIGHT_PX = {"confirmed": 20.0, "tentative": 11.0, "wireless": 4.0, "": 0.0}
NUMBER_PX = 9.0  # room that a digit of a body's number needs


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
        ribbon = story.ribbons.get(name, Ribbon())
        parts += [_drawn(block, axes, first_ns, middle, name) for block in visible(ribbon.blocks, axes, first_ns)]
        parts += [at, *_in_view(ribbon.seen, axes, first_ns, middle + BAR_PX / 2 + 2)]
    return picture(width, axes.bottom + 22, "Which body carried each name", parts)


def visible(blocks: Sequence[Block], axes: Axes, first_ns: int) -> list[Block]:
    """The blocks that can be seen: of those less than a px wide the longest in each px, so that a day fits a page."""
    least_ns = (axes.x_high - axes.x_low) / axes.width * 1e9
    shown: list[Block] = []
    short: dict[int, Block] = {}
    for block in blocks:
        length_ns = block.to_ns - block.from_ns
        if not HEIGHT_PX.get(block.state) or length_ns <= 0:
            continue
        if length_ns >= least_ns:
            shown.append(block)
            continue
        pixel = int(axes.x((block.from_ns - first_ns) / 1e9))
        if pixel not in short or length_ns > short[pixel].to_ns - short[pixel].from_ns:
            short[pixel] = block
    return [*short.values(), *shown]


def _drawn(block: Block, axes: Axes, first_ns: int, middle: float, name: str) -> str:
    height = HEIGHT_PX[block.state]
    x, end = (axes.x((t_ns - first_ns) / 1e9) for t_ns in (block.from_ns, block.to_ns))
    track, verdict = block.track, block.verdict
    look = {True: "right", False: "wrong", None: "nobody" if track is None else "unjudged"}[verdict]
    said = {True: ", right", False: ", wrong", None: ""}[verdict]
    body = "on no body" if track is None else f"on body {track}"
    times = f"{clock((block.from_ns - first_ns) / 1e9)} to {clock((block.to_ns - first_ns) / 1e9)}"
    title = tag("title", words(f"{name}, {times}: {block.state}, {body}{said}"))
    bar = tag("rect", title, x=x, y=middle - height / 2, width=max(end - x, 0.6), height=height, class_=look)
    if track is None or height < BAR_PX or end - x < 6 + NUMBER_PX * len(str(track)):
        return bar
    return bar + tag("text", str(track), x=(x + end) / 2, y=middle + 4, class_=f"body-number on-{look}")


def _in_view(seen: Sequence[tuple[int, int]], axes: Axes, first_ns: int, top: float) -> list[str]:
    """A thin line wherever a camera or radar really had the owner in view; gaps of less than a px are closed."""
    spans: list[tuple[float, float]] = []
    for from_ns, to_ns in seen:
        x, end = axes.x((from_ns - first_ns) / 1e9), axes.x((to_ns - first_ns) / 1e9)
        if spans and x - spans[-1][1] < 1.0:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((x, end))
    return [tag("rect", x=x, y=top, width=max(end - x, 0.6), height=2.5, class_="seen") for x, end in spans]


def _warm_up(story: Story, axes: Axes, first_ns: int) -> list[str]:
    if story.scored_from_ns is None or story.scored_from_ns <= first_ns:
        return []
    end = axes.x((story.scored_from_ns - first_ns) / 1e9)
    return [tag("rect", tag("title", "not scored: the first seconds"), x=axes.left, y=axes.top,
                width=end - axes.left, height=axes.height, class_="warm-up")]  # fmt: skip
