"""The parts of the report page: whose body it was, how time is cut into blocks, what is counted and drawn."""

import pytest
from test_report import SECOND, START, person
from whowhere.launch.report import stream
from whowhere.launch.report.identities import visible
from whowhere.launch.report.story import Block, Ribbon, Story, carrier
from whowhere.launch.report.svg import Axes, clock, number, path, tag, ticks, words
from whowhere.messages import Health


def test_the_carrier_is_the_confirmed_body_else_the_most_probable() -> None:
    on_air = person("Ada", 0.0, 0.0, "tentative", None, ("Ada", 1.0))
    likely = person("anon-3", 1.0, 0.0, "anonymous", 3, ("Ada", 0.7), ("unknown", 0.3))
    less = person("anon-4", 2.0, 0.0, "anonymous", 4, ("Ada", 0.6), ("unknown", 0.4))
    taken = person("Bruno", 3.0, 0.0, "confirmed", 5, ("Ada", 0.9), ("Bruno", 0.1))
    assert carrier("Ada", (on_air, less, likely, taken)) == ("tentative", 3)
    assert carrier("Ada", (on_air, taken)) == ("tentative", None)
    assert carrier("Bruno", (on_air, likely, taken)) == ("confirmed", 5)
    assert carrier("Chidi", (on_air, likely)) == ("", None)


def test_blocks_end_where_something_changes_or_nothing_is_said() -> None:
    ribbon = Ribbon()
    for n in (*range(20), *range(40, 45)):
        ribbon.add(n * SECOND // 5, "confirmed", 1 if n < 10 else 2, None, is_seen=n % 10 < 5)
    found = [(block.from_ns / SECOND, block.to_ns / SECOND, block.track) for block in ribbon.blocks]
    assert found == [(0.0, 2.0, 1), (2.0, 3.8, 2), (8.0, 8.8, 2)]
    assert [(a / SECOND, b / SECOND) for a, b in ribbon.seen] == [(0.0, 0.8), (2.0, 2.8), (8.0, 8.8)]


def test_a_day_of_short_blocks_fits_a_page() -> None:
    axes = Axes(0, 0, 100, 20, 0.0, 86_400.0)
    short = [Block(n * SECOND, (n + 1) * SECOND, "tentative", n) for n in range(80_000)]
    long = Block(80_000 * SECOND, 86_400 * SECOND, "confirmed", 1)
    shown = visible([*short, long], axes, 0)
    assert long in shown
    assert len(shown) <= 101


def test_a_restarted_counter_does_not_fall() -> None:
    story = Story()
    for seq, value in enumerate([3, 8, 1, 2]):
        counters = {"dropped": value, "used": 100}
        story.add(Health(source="hub", t_ns=START + seq * SECOND, seq=seq, state="ok", counters=counters))
    assert stream.loss_table(story) == [("hub", "dropped", 10)]


@pytest.mark.parametrize(
    ("counter", "group"),
    [("dropped", "dropped"), ("missed", "dropped"), ("too_late:camera-1", "late"), ("future:radar-1", "late"),
     ("gated_out", "gated"), ("used:late-camera", ""), ("sent", "")],
)  # fmt: skip
def test_counters_of_loss_are_told_apart(counter: str, group: str) -> None:
    assert stream.group_of(counter) == group


def test_drawing() -> None:
    assert number(1.0) == "1"
    assert number(-0.01) == "0"
    assert tag("a", words("<&>"), class_="x", stroke_width=2) == '<a class="x" stroke-width="2">&lt;&amp;&gt;</a>'
    assert path([(0, 0), (0.1, 0.1), (3, 4)], "p") == '<path d="M0 0L3 4" class="p"/>'
    assert path([(0, 0)], "p") == ""
    assert ticks(0.0, 3.4) == [0.0, 1.0, 2.0, 3.0]
    assert len(ticks(0.0, 0.07)) <= 7
    assert ticks(2.0, 2.0) == [2.0]
    axes = Axes(10, 20, 100, 50, 0.0, 2.0)
    assert (axes.x(1.0), axes.y(0.0), axes.y(1.0)) == (60.0, 70.0, 20.0)
    assert (clock(5), clock(125), clock(3723)) == ("0:05", "2:05", "1:02:03")
    with pytest.raises(ValueError, match="cannot be drawn"):
        number(float("nan"))
