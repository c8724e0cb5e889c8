"""Pictures of how gait identifies: cumulative match curves and reliability. Needs matplotlib."""

from pathlib import Path
from typing import Any


def draw(tables: dict[str, Any], folder: str) -> None:
    """gait_cmc.png and gait_reliability.png in the folder, of the tables' "curves"."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(6.0, 4.0))
    for name, curve in tables["curves"]["cmc"].items():
        axes.plot(range(1, len(curve) + 1), curve, marker="o", markersize=3, label=name)
    axes.plot([1, 10], [1 / 58, 10 / 58], "k:", label="chance")
    axes.set(
        xlim=(1, 10), ylim=(0, 1), xlabel="rank", ylabel="share of queries", title="generated walks, gallery of 58"
    )
    _finished(figure, axes, place / "gait_cmc.png", pyplot)
    figure, axes = pyplot.subplots(figsize=(4.6, 4.4))
    axes.plot([0, 1], [0, 1], "k:")
    for name, bins in tables["curves"]["reliability"].items():
        axes.plot([b[0] for b in bins], [b[1] for b in bins], marker="o", markersize=3, label=name)
    axes.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="published probability", ylabel="share right", title="gallery of 10 or nobody"
    )
    _finished(figure, axes, place / "gait_reliability.png", pyplot)


def _finished(figure: Any, axes: Any, path: Path, pyplot: Any) -> None:
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
