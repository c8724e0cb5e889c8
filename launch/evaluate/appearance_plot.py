"""CMC curves and reliability of `whowhere evaluate appearance`. Needs matplotlib."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

RANKS = (1, 5, 10, 20)


def plots(done: Mapping[str, Any], folder: str, kind: str) -> None:
    """Write appearance_KIND_cmc.png and appearance_KIND_reliability.png."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    curves, bins = (_real if kind == "real" else _generated)(done)
    _figure(curves, f"share of queries, {kind}", Path(folder) / f"appearance_{kind}_cmc.png", is_cmc=True)
    _figure(bins, f"were one person, {kind}", Path(folder) / f"appearance_{kind}_reliability.png", is_cmc=False)


def _real(done: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    title = next(iter(done))
    curves, bins = {}, {}
    for label, figures in done[title].items():
        if label == "pieces":
            continue
        bins[label] = [(p, was) for p, was, _ in figures["calibration"]["bins"]]
        for name, said in figures.items():
            if name != "calibration":
                curves[f"{label}: {name}"] = [(k, said[f"rank_{k}"]) for k in RANKS]
    return curves, bins


def _generated(done: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    seeds = list(done.values())
    names = [name for name in seeds[0] if name not in ("tracklets", "passages")]
    curves, bins = {}, {}
    for name in names:
        for how in ("alone", "with owners"):
            curves[f"{name}, {how}"] = [(k, np.mean([s[name][how][f"rank_{k}"] for s in seeds])) for k in RANKS]
    for number, seed in enumerate(seeds):
        if "owners" in seed:
            bins[list(done)[number]] = [(p, was) for p, was, _ in seed["owners"]["calibration"]["bins"]]
    return curves, bins


def _figure(lines: Mapping[str, Any], label: str, path: Path, is_cmc: bool) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.8, 4.4))
    for name, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker=".", label=name)
    if is_cmc:
        axes.set(xlabel="rank", xticks=RANKS, ylabel=label)
    else:
        axes.plot([0, 1], [0, 1], color="grey", lw=0.8)
        axes.set(xlabel="published probability", ylabel=label, xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize=6)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
