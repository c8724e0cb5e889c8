"""How the report looks: its style sheet, the colours of people and what stands for right and wrong.

The same colours as the live page (Okabe and Ito's palette, told apart with any colour vision), and nothing is said by
colour alone: initials, dashes and hatching say it again.
"""

from .svg import tag

PALETTE = (  # on light, on dark
    ("#0072b2", "#3a9fe3"), ("#d55e00", "#ee7a22"), ("#008a64", "#1fbf93"), ("#cc79a7", "#dd92bb"),
    ("#b07700", "#f0b032"), ("#2f97d3", "#7cc8f2"), ("#7c5bcf", "#a58bec"), ("#8a7228", "#c2a94e"),
)  # fmt: skip


def colour_class(place: int) -> str:
    """The class that gives the person in this place of the list a colour; after eight they come again."""
    return f"c{place % len(PALETTE)}"


def hatching() -> str:
    """Defines the patterns that figures refer to; once a page."""
    strokes = tag("path", d="M0 6L6 0", class_="hatch")
    wrong = tag("rect", width=6, height=6, class_="wrong-fill")
    pattern = {"width": 6, "height": 6, "patternUnits": "userSpaceOnUse"}
    return tag("svg", tag("defs", tag("pattern", wrong, strokes, id="wrong", **pattern),
                          tag("pattern", tag("path", d="M0 6L6 0", class_="lost-line"), id="lost", **pattern)),
               width=0, height=0, class_="patterns", aria_hidden="true")  # fmt: skip


CSS = """
:root {
  color-scheme: light dark;
  --page: light-dark(#eef1f5, #0d1117); --card: light-dark(#ffffff, #161c24); --floor: light-dark(#fbfcfd, #11161d);
  --ink: light-dark(#17202b, #e7ecf2); --muted: light-dark(#566272, #9aa7b6); --line: light-dark(#dde3ea, #283240);
  --grid: light-dark(#e6ebf1, #222c38); --wall: light-dark(#2f3a48, #8593a5); --grey: light-dark(#8793a2, #76838f);
  --right: light-dark(#0072b2, #3a9fe3); --wrong: light-dark(#d55e00, #ee7a22);
  --camera: light-dark(#3b7dd8, #6fa8ff); --radar: light-dark(#b05bd0, #d08bee);
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
header, main { max-width: 1120px; margin: auto; padding: 14px 16px 0; }
main { padding-bottom: 30px; }
h1 { font-size: 22px; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 0 0 2px; }
h3 { font-size: 13.5px; margin: 10px 0 0; }
p { margin: 2px 0 8px; }
.muted, figcaption { color: var(--muted); font-size: 13.5px; }
.note { border-left: 4px solid var(--wrong); background: var(--card); padding: 8px 12px; margin: 10px 0 0;
  border-radius: 0 8px 8px 0; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 14px 16px;
  margin-top: 14px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px; margin-top: 14px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 10px 12px; }
.tile b { display: block; font-size: 23px; letter-spacing: -.01em; font-variant-numeric: tabular-nums; }
.tile span { display: block; font-size: 13.5px; font-weight: 600; }
.tile small { color: var(--muted); font-size: 12.5px; display: block; line-height: 1.35; }
figure { margin: 8px 0 0; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, "Segoe UI", Roboto, Arial, sans-serif; }
.narrow { display: none; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px; }
.panels { display: grid; gap: 10px; }
.where { display: grid; grid-template-columns: minmax(0, 1.75fr) minmax(0, 1fr); gap: 14px; align-items: start; }
.where .panels { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); margin-top: 8px; }
.many { grid-template-columns: minmax(0, 1fr); } .many > figure { max-width: 760px; width: 100%; margin: 8px auto 0; }
.panels figure { margin: 0; }
.panels figcaption b { color: var(--ink); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 6px 0 0; padding: 0; list-style: none;
  font-size: 13px; color: var(--muted); }
.legend li { display: flex; align-items: center; gap: 6px; }
.legend svg { width: 28px; height: 14px; flex: none; } .legend svg.mark { width: 19px; height: 19px; }
table { border-collapse: collapse; font-size: 13.5px; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 3px 10px 3px 0; border-top: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
th { color: var(--muted); font-weight: 600; border-top: 0; position: sticky; top: 0; background: var(--card); }
td.n, th.n { text-align: right; white-space: nowrap; }
td.e { white-space: nowrap; } td.t { white-space: nowrap; color: var(--muted); }
.scroll { max-height: 340px; overflow: auto; }
details { margin-top: 14px; }
summary { cursor: pointer; color: var(--muted); }
pre { overflow-x: auto; font-size: 12.5px; line-height: 1.4; }
.is-right { color: var(--right); } .is-wrong { color: var(--wrong); font-weight: 650; }
.patterns { position: absolute; width: 0; height: 0; }

text { fill: var(--ink); } .tick, .axis, .small { fill: var(--muted); font-size: 11.5px; }
.strong { font-weight: 650; font-size: 13px; } .halo { paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
.grid { stroke: var(--grid); stroke-width: 1; } .frame { fill: none; stroke: var(--line); }
.floor { fill: var(--floor); stroke: var(--line); }
.wall { stroke: var(--wall); stroke-width: 4; stroke-linecap: round; }
.view { fill-opacity: .05; stroke-opacity: .35; stroke-dasharray: 2 4; }
.view.camera { fill: var(--camera); stroke: var(--camera); } .view.radar { fill: var(--radar); stroke: var(--radar); }
.sensor circle { fill: var(--card); stroke: var(--muted); stroke-width: 1.5; }
.sensor path { fill: none; stroke: var(--ink); stroke-width: 1.4; stroke-linecap: round; stroke-linejoin: round; }
.confirmed-path { fill: none; stroke: var(--c); stroke-width: 2.6; stroke-linejoin: round; stroke-linecap: round; }
.unsure-path { fill: none; stroke: var(--c); stroke-width: 1.3; stroke-dasharray: 1 3.5; stroke-linecap: round;
  stroke-opacity: .8; }
.body-path { fill: none; stroke: var(--grey); stroke-width: 1.1; stroke-opacity: .65; }
.truth-path { fill: none; stroke: var(--ink); stroke-opacity: .6; stroke-width: 1.1; stroke-dasharray: 5 3; }
.end { fill: var(--c); stroke: var(--card); stroke-width: 1.5; }
.initial { fill: var(--card); font-weight: 750; font-size: 11px; text-anchor: middle; dominant-baseline: central; }
.right { fill: var(--right); } .wrong { fill: url(#wrong); } .wrong-fill { fill: var(--wrong); }
.unjudged { fill: var(--grey); } .nobody { fill: var(--line); } .seen { fill: var(--ink); fill-opacity: .55; }
.hatch { stroke: var(--card); stroke-width: 1.6; } .lost-line { stroke: var(--wrong); stroke-width: 1.6; }
.lost { fill: url(#lost); } .warm-up { fill: var(--line); fill-opacity: .55; }
.body-number { fill: #fff; font-size: 11px; font-weight: 650; text-anchor: middle; }
.on-wrong { fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 5px; }
.curve { fill: none; stroke: var(--c); stroke-width: 2.2; stroke-linejoin: round; }
.named { --c: var(--ink); stroke-width: 3; } .confirmed { --c: light-dark(#0072b2, #3a9fe3); }
.tentative { --c: light-dark(#b07700, #f0b032); stroke-dasharray: 7 3; }
.wireless { --c: light-dark(#b8528c, #dd92bb); stroke-dasharray: 2 3; }
.oracle { --c: light-dark(#008a64, #1fbf93); stroke-dasharray: 10 3 2 3; }
.dropped { --c: light-dark(#d55e00, #ee7a22); } .late { --c: light-dark(#0072b2, #3a9fe3); stroke-dasharray: 7 3; }
.gated { --c: light-dark(#008a64, #1fbf93); stroke-dasharray: 2 3; }
.ideal { stroke: var(--muted); stroke-dasharray: 4 4; } .bar { fill: var(--right); fill-opacity: .28; }
.gap { stroke: var(--wrong); stroke-width: 2; } .dot { fill: var(--right); stroke: var(--card); stroke-width: 1.5; }
.count { fill: var(--grey); fill-opacity: .55; } .rate { fill: var(--right); fill-opacity: .3; stroke: var(--right); }
@media (max-width: 760px) {
  .wide { display: none; } .narrow { display: block; } .pair { grid-template-columns: minmax(0, 1fr); }
  header, main { padding-left: 10px; padding-right: 10px; } section { padding: 12px; }
  .tiles { grid-template-columns: repeat(auto-fill, minmax(138px, 1fr)); }
  .where { grid-template-columns: minmax(0, 1fr); }
}
@media print { body { background: #fff; } section, .tile { break-inside: avoid; } .scroll { max-height: none; } }
""" + "\n".join(f".c{place} {{ --c: light-dark({light}, {dark}); }}" for place, (light, dark) in enumerate(PALETTE))
