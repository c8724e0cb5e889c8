"""The report as one HTML page: it needs no network, no script and no other file, and says what it leaves out.

Every figure is drawn twice where its text would become too small on a phone, and the style sheet shows one of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...sitefile import Site
from ..counting import counted
from ..evaluate.positions import PositionScore
from ..evaluate.recognised import rows as recognised_rows
from ..evaluate.session import in_words
from . import curves, figures, identities, stream
from .floor import Floor, sample_of
from .look import CSS, hatching
from .story import SHOWN_NS, Story
from .svg import clock, tag, words

MARK = '<meta name="generator" content="whowhere report">'  # by this a page of ours is known, and may be replaced
WIDE_PX, HALF_PX, PANEL_PX, NARROW_PX = 1056.0, 512.0, 260.0, 350.0
PLAN_PX = 700.0
PANELS_BESIDE = 6  # more panels than this stand below the plan
TOGETHER_S, CROWD_S = 60.0, 15.0  # of trajectories on one plan: of so few people, and of more
MOST_PEOPLE, MOST_EVENTS = 24, 500
SINCE_NS = 1_000_000_000  # an event that holds since less than this holds since it was said
NO_TRUTH = (
    "This session holds no ground truth, so whether names, positions and probabilities were right is left out: "
    "no error curves, no reliability diagram, no oracle, and nothing is marked right or wrong."
)
SHORT_TRUTH = (
    "This session holds less than 15 s of ground truth, and the first 15 s are not scored: scores are left out."
)
NO_SCENES = "Nobody was published in this session: it holds no scenes, so there is nobody to show."


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page shows. result: the evaluation's; positions: its errors; notes: sentences said at the top."""

    name: str
    story: Story
    result: dict[str, Any]
    positions: PositionScore
    site: Site | None
    notes: tuple[str, ...] = ()

    @property
    def is_judged(self) -> bool:
        return self.result["named_right"] is not None

    @property
    def names(self) -> list[str]:
        """Enrolled people in the site's order, then whoever else was named."""
        enrolled = [person.name for person in self.site.identities if person.consent] if self.site else []
        return list(dict.fromkeys((*enrolled, *sorted(self.story.truths), *sorted(self.story.ribbons))))


def page(report: Report) -> str:
    """The page as text; the same report always gives the same bytes."""
    people = report.names[:MOST_PEOPLE]
    parts = [_headline(report)]
    if report.story.scene_ns or report.story.truths:
        parts += [_floor(report, people), _timeline(report, people)]
    if report.is_judged:
        parts += [_errors(report), _reliability(report)]
    parts += [_recognised(report), _stream(report), _events(report), _every_figure(report)]
    title = words(f"{report.name}: who was where")
    head = f'<meta charset="utf-8">{MARK}<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = f"{hatching()}<header>{_header(report)}</header><main>{''.join(parts)}</main>"
    return (f'<!doctype html>\n<html lang="en">\n<head>{head}<title>{title}</title>\n<style>{CSS}</style></head>\n'
            f"<body>{body}</body>\n</html>\n")  # fmt: skip


def _header(report: Report) -> str:
    first_ns, last_ns = report.story.span_ns
    said = [f"site {report.site.name}" if report.site else "no site file"]
    if last_ns:
        began = datetime.fromtimestamp(first_ns // 1_000_000_000, UTC)
        said.append(f"from {began:%Y-%m-%d %H:%M:%S} UTC, {clock((last_ns - first_ns) / 1e9)} long")
    if report.site:
        said.append(
            f"{counted(len(report.site.sensors), 'sensor')}, {counted(len(report.names), 'person', 'people')} enrolled"
        )
        said.append("simulated" if report.site.simulated else "real sensors")
    notes = [*report.notes]
    if not report.story.scene_ns:
        notes.append(NO_SCENES)
    if not report.is_judged:
        notes.append(SHORT_TRUTH if report.story.truths else NO_TRUTH)
    shown = "".join(tag("p", words(note), class_="note") for note in notes)
    return f"<h1>{words(report.name)}</h1>{_muted('; '.join(said))}{shown}"


def _headline(report: Report) -> str:
    tiles = figures.judged(report.result) if report.is_judged else []
    tiles += figures.seen(report.result, report.story)
    return tag("div", *(
        tag("div", f"<b>{words(tile.value)}</b><span>{words(tile.name)}</span><small>{words(tile.meaning)}</small>",
            class_="tile") for tile in tiles), class_="tiles")  # fmt: skip


def _floor(report: Report, people: list[str]) -> str:
    first_ns, last_ns = report.story.span_ns
    alone = Floor(report.site, report.story, people)
    together_s = TOGETHER_S if len(people) <= PANELS_BESIDE else CROWD_S
    together = Floor(report.site, report.story, people, last_ns - round(together_s * 1e9))
    said = "Shaded: what a sensor sees. " if alone.kinds() else ""
    if people:
        said += "Solid: on a confirmed body. Dotted: not confirmed, or by radio alone. A disc: where a person was last."
    said += " Grey: bodies without a name."
    if report.story.truths:
        said += " Thin dashes: where the owner really went."
    if last_ns - first_ns > together_s * 1e9:
        said += f" Together the last {together_s:.0f} s, alone the last {SHOWN_NS / 1e9:.0f} s at most."
    legend = [tag("li", tag("svg", alone.disc(name, 10, 10), viewBox="0 0 20 20", class_="mark", aria_hidden="true"),
                  words(name)) for name in people]  # fmt: skip
    legend += [_sample(tag("g", sample_of(kind), class_="sensor"), kind_name) for kind, kind_name in alone.kinds()]
    panels = [tag("figure", alone.one(name, PANEL_PX), tag("figcaption", f"<b>{words(name)}</b>")) for name in people]
    return _section(
        "Where they went",
        said + _of_all(report, people),
        tag("ul", *legend, class_="legend"),
        tag("div", _both(together.everybody, PLAN_PX), tag("div", *panels, class_="panels"),
            class_="where" if 0 < len(people) <= PANELS_BESIDE else "where many"),
    )  # fmt: skip


def _timeline(report: Report, people: list[str]) -> str:
    if not people:
        return ""
    samples = [("right", "on its owner's body"), ("wrong", "on another's")] if report.is_judged else []
    samples += [("unjudged", "on a body, not judged")] if not report.is_judged else []
    samples.append(("nobody", "on no body"))
    legend = [_sample(tag("rect", x=0, y=1, width=28, height=12, class_=class_), text) for class_, text in samples]
    steps = "".join(tag("rect", x=x, y=7 - h / 2, width=9, height=h, class_="unjudged")
                    for x, h in ((0, 12), (10, 7), (20, 2.5)))  # fmt: skip
    legend.append(_sample(steps, "confirmed, tentative, by radio alone"))
    if report.story.truths:
        legend.append(_sample(tag("rect", x=0, y=6, width=28, height=2.5, class_="seen"), "the owner is in view"))
    if report.story.scored_from_ns:
        legend.append(_sample(tag("rect", x=0, y=0, width=28, height=14, class_="warm-up"), "not scored"))
    drawn = _both(lambda width: identities.timeline(report.story, people, width), WIDE_PX)
    said = "Which body carried each name; the number in a block is the body's." + _of_all(report, people)
    return _section("Who was whom", said, drawn, tag("ul", *legend, class_="legend"))


def _errors(report: Report) -> str:
    meaning = {"named": "all named positions", "oracle": "if the identity were always known (oracle)"}
    legend = []
    for name, curve in curves.error_curves(report.positions).items():
        spread = curve.percentiles()
        within = f"half within {figures.metres(spread['50'])}, 95 % within {figures.metres(spread['95'])}"
        text = f"{meaning.get(name, name)}: {within}"
        legend.append(_sample(tag("path", d="M0 7H28", class_=f"curve {name}"), text))
    drawn = _both(lambda width: curves.error_cdf(report.positions, width), WIDE_PX)
    said = "The share of device-time in which a position was at most so far from its owner."
    return _section("How far off", said, drawn, tag("ul", *legend, class_="legend"))


def _reliability(report: Report) -> str:
    halves = []
    for key, name in (("calibration", "the most probable name of each body"),
                      ("calibration_all", "every name of every body")):  # fmt: skip
        found = report.result[key]
        title = f"{name}: expected error {figures.percent(found['expected_error'])}"
        drawn = _both(lambda width, found=found, title=title: curves.reliability(found, width, title), HALF_PX)
        halves.append(tag("div", tag("h3", words(title[0].upper() + title[1:])), drawn))
    said = ("When a probability is published, how often is it right? On the diagonal: as often as it says. A line "
            "joins what was published to what was right; grey: how many times.")  # fmt: skip
    return _section("Can probabilities be trusted", said, tag("div", *halves, class_="pair"))


def _recognised(report: Report) -> str:
    """A table of the witnesses that know people again; nothing where none said or remembers anything."""
    rows = [f'<tr><td>{words(witness)}</td><td class="n">{spoke}</td><td class="n">{known}</td></tr>'
            for witness, spoke, known in recognised_rows(report.result["recognised"])]  # fmt: skip
    if not rows:
        return ""
    head = '<tr><th>by</th><th class="n">times it spoke</th><th class="n">bodies gone that it remembers</th></tr>'
    said = (
        "How often looks and gait spoke of who a body is, by fusion's own count; whether they were right it cannot say."
    )
    return _section("Recognised again", said, f"<table>{head}{''.join(rows)}</table>")


def _stream(report: Report) -> str:
    story = report.story
    if not story.times:
        return _section("The stream", "No sensor said anything in this session.")
    parts = [_both(lambda width: stream.rates(story, report.result["rates_hz"], width), WIDE_PX)]
    if not story.has_health:
        parts.append(_muted("This session holds no health messages, so drops, late and gated messages are left out."))
        return _section("The stream", "Messages per second of each source, with the mean at the right.", *parts)
    legend = [_sample(tag("path", d="M0 7H28", class_=f"curve {group}"), text) for group, text in (
        ("dropped", "dropped or missed"), ("late", "too late, or from the future"),
        ("gated", "gated out: fitted no body"))]  # fmt: skip
    rows = [f'<tr><td>{words(source)}</td><td>{words(name)}</td><td class="n">{total}</td></tr>'
            for source, name, total in stream.loss_table(story)]  # fmt: skip
    table = f'<table><tr><th>node</th><th>counter</th><th class="n">total</th></tr>{"".join(rows)}</table>'
    parts += ["<h3>Dropped, late and gated out, in total</h3>", _both(lambda w: stream.losses(story, w), WIDE_PX),
              tag("ul", *legend, class_="legend"), table if rows else _muted("Nothing was lost.")]  # fmt: skip
    said = "Messages per second of each source, with the mean at the right; hatched: the node said its sensor was lost."
    return _section("The stream", said, *parts)


def _events(report: Report) -> str:
    first_ns, _ = report.story.span_ns
    rows = []
    for event in report.story.events[:MOST_EVENTS]:
        is_right = report.story.verdict_near(event.id, event.t_ns) if event.type == "confirm" else None
        verdict = {True: '<span class="is-right">right</span>', False: '<span class="is-wrong">wrong</span>', None: ""}
        at = clock(max(event.t_ns - first_ns, 0) / 1e9)
        is_later = event.since_ns is not None and event.t_ns - event.since_ns >= SINCE_NS
        since = f", since {clock(max((event.since_ns or 0) - first_ns, 0) / 1e9)}" if is_later else ""
        cells = (("t", at), ("e", words(event.type)), ("", words((event.text or event.id) + since)),
                 ("e", verdict[is_right]))  # fmt: skip
        rows.append("<tr>" + "".join(f'<td class="{class_}">{cell}</td>' for class_, cell in cells) + "</tr>")
    if not rows:
        return _section("What happened", "Nothing was confirmed, revised or warned of.")
    said = "Confirmed and revised names, warnings and starts."
    if len(report.story.events) > MOST_EVENTS:
        said += f" The first {MOST_EVENTS} of {len(report.story.events)}."
    head = "<tr><th>at</th><th>event</th><th></th><th></th></tr>"
    return _section("What happened", said, f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>')


def _every_figure(report: Report) -> str:
    text = "\n".join(in_words(report.result))
    summary = "<summary>Every figure, as whowhere evaluate session says it</summary>"
    return f"<details>{summary}<pre>{words(text)}</pre></details>"


def _section(title: str, said: str, *parts: str) -> str:
    return tag("section", tag("h2", words(title)), _muted(said), *parts)


def _muted(text: str) -> str:
    return tag("p", words(text), class_="muted")


def _sample(drawing: str, text: str) -> str:
    return tag("li", tag("svg", drawing, viewBox="0 0 28 14", aria_hidden="true"), words(text))


def _both(draw: Callable[[float], str], wide_px: float) -> str:
    return tag("figure", tag("div", draw(wide_px), class_="wide"), tag("div", draw(NARROW_PX), class_="narrow"))


def _of_all(report: Report, people: list[str]) -> str:
    return f" The first {len(people)} of {len(report.names)} people." if len(report.names) > len(people) else ""
