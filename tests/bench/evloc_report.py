"""The frame evaluation's rows as Markdown tables and PNG plots. A pure function of the rows: a saved JSON gives the
same files again.

`python tests/bench/evloc_report.py rows.json docs/results/evloc.md docs/results/evloc`
"""

import json
import sys
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
COLOURS = {
    "ours": "#1b6ca8",
    "oracle": "#2e8b57",
    "paper, gated": "#c0392b",
    "paper, trusted": "#e08e2b",
    "wireless alone": "#888888",
}
STYLES = {"paper, gated": "--", "oracle": ":"}  # they lie on others
TICKS_M = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0)
OVER_FRAMES = ("5 frames", "6f indistinct")
GOAL_M, GOAL_SHARE = 0.5, 0.95


def write_report(rows: Rows, series: Rows, path: Path, plots: str | None) -> None:
    """Put the tables between the two marks of the file, or at its end; what else it says stays."""
    text = path.read_text() if path.is_file() else f"# EV-Loc on frames\n\n{BEGIN}\n{END}\n"
    if BEGIN not in text:
        text += f"\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    measured = "\n".join([*_targets(rows), *_series(series), *_pictures(series, plots)])
    path.write_text(f"{before}{BEGIN}\n{measured}\n{END}{after}")


def _targets(rows: Rows) -> list[str]:
    runs, seed = rows[0]["runs"], rows[0]["seed"]
    lines = [
        f"## The table of targets\n\n{runs} runs a point, seeds {seed} to {seed + runs - 1}, "
        f"{rows[0]['cpu_s_of_all']} s of processor time in all; in brackets the 95 % "
        "bootstrap interval over runs.\n",
        "| | measured | target | reached |",
        "|---|---|---|---|",
    ]
    for row in rows:
        unit = " m" if row["unit"] == "m" else ""
        oracle = f"; oracle {row['oracle']:.3f} m" if "oracle" in row else ""
        measured = f"{row['ours']:.3f}{unit} [{row['low']:.3f}, {row['high']:.3f}]{oracle}"
        reached = "yes" if row["reached"] else "**no**"
        lines.append(f"| {row['case']} | {measured} | {row['peer']:g}{unit} | {reached} |")
    return [*lines, ""]


def _series(series: Rows) -> list[str]:
    lines = ["## The paper's series\n"]
    for name in dict.fromkeys(row["series"] for row in series):
        lines += [f"### Figure {name}\n", _HEAD, "|---" * 10 + "|"]
        lines += [_series_line(row) for row in series if row["series"] == name]
        lines.append("")
    return lines


_HEAD = (
    "| noise | value | ours, last frame (m) | oracle | paper, trusted | paper, gated | wireless alone | "
    "frames to 0.5 m: ours / trusted / gated | frames to 95 % right: ours / paper | "
    "frames to 95 % confirmed and right |"
)


def _series_line(row: dict[str, Any]) -> str:
    curves, right = row["curves"], row["right"]
    value = "" if row["value"] is None else f"{row['value']:g}"
    errors = " | ".join(
        f"{curves[name][-1]:.2f}" for name in ("oracle", "paper, trusted", "paper, gated", "wireless alone")
    )
    near = " / ".join(_reached(curves[name], GOAL_M, -1) for name in ("ours", "paper, trusted", "paper, gated"))
    known = " / ".join(_reached(right[name], GOAL_SHARE, 1) for name in ("ours", "paper"))
    ours = f"{row['ours']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    sure = _reached(right["ours, confirmed"], GOAL_SHARE, 1)
    return f"| {row['noise']} | {value} | {ours} | {errors} | {near} | {known} | {sure} |"


def _reached(curve: list[float], goal: float, sign: int) -> str:
    """The first frame (from 1) at which the curve is at the goal or beyond; "-" for never."""
    return next((str(k + 1) for k, value in enumerate(curve) if sign * value >= sign * goal), "-")


def _pictures(series: Rows, plots: str | None) -> list[str]:
    if not plots:
        return []
    names = dict.fromkeys(row["series"] for row in series)
    folder = Path(plots).name
    return ["## Plots\n", *(f"![Figure {name}]({folder}/{_file(name)})" for name in names), ""]


def _file(series: str) -> str:
    return "figure_" + series.split(" (")[0].replace(" ", "_") + ".png"


def write_plots(series: Rows, folder: Path) -> None:
    """One PNG a figure, the two noises side by side. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(row["series"] for row in series):
        rows = [row for row in series if row["series"] == name]
        noises = list(dict.fromkeys(row["noise"] for row in rows))
        figure, axes = pyplot.subplots(1, len(noises), figsize=(9, 3.4), sharey=True, squeeze=False)
        for axis, noise in zip(axes[0], noises, strict=True):
            _draw(axis, [row for row in rows if row["noise"] == noise], name)
            axis.set_title(noise, fontsize=9)
        axes[0][0].set_ylabel("mean error (m)")
        figure.suptitle(f"Figure {name}", fontsize=10)
        figure.tight_layout(rect=(0, 0.07, 1, 1))
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=len(labels), fontsize=7, frameon=False)
        figure.savefig(folder / _file(name), dpi=90, metadata={"Software": None})
        pyplot.close(figure)


def _draw(axis: Any, rows: Rows, name: str) -> None:
    for curve, colour in COLOURS.items():
        if name in OVER_FRAMES:
            values = rows[0]["curves"][curve]
            axis.plot(range(1, len(values) + 1), values, STYLES.get(curve, "-"), color=colour, label=curve)
            axis.set_xlabel("frames")
        else:
            at = [row["value"] for row in rows]
            axis.plot(
                at,
                [row["curves"][curve][-1] for row in rows],
                "o" + STYLES.get(curve, "-"),
                color=colour,
                label=curve,
                markersize=4,
            )
            if curve in ("ours", "paper, trusted"):  # early, where they differ
                early = [row["curves"][curve][4] for row in rows]
                axis.plot(at, early, "s:", color=colour, label=f"{curve}, frame 5", markersize=3)
            axis.set_xlabel(name.split(" ", 1)[1])
    axis.set_yscale("log")
    axis.set_ylim(0.08, 8)
    axis.set_yticks(TICKS_M, [f"{tick:g}" for tick in TICKS_M])
    axis.set_yticks([], minor=True)
    axis.grid(alpha=0.3)


if __name__ == "__main__":
    saved, report, pictures = sys.argv[1:]
    loaded: Rows = json.loads(Path(saved).read_text())["rows"]
    drawn = [row for row in loaded if "series" in row]
    write_plots(drawn, Path(pictures))
    write_report([row for row in loaded if "series" not in row], drawn, Path(report), pictures)
