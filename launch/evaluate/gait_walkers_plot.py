"""Two pictures of the recorded walkers: how sure against how often right, and what the recognising rests on."""

from collections.abc import Sequence
from typing import Any

from ...models.gait.walkers_scores import reliability
from ...models.gait.walkers_trial import Judged


def plot(judged: Judged, audit: Sequence[dict[str, Any]], path: str) -> None:
    """Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.6), width_ratios=[1, 1.6])
    bins = reliability(judged.logs, judged.windows.walker)
    published, observed, count = zip(*bins, strict=True)
    left.plot([0, 1], [0, 1], color="0.7")
    left.scatter(published, observed, s=[20 + each / 5 for each in count])
    left.set(xlim=(0, 1), ylim=(0, 1), xlabel="published probability", ylabel="share right", title="5 s windows")
    names = [each["what"] for each in audit]
    right.barh(names, [100 * each["top1"] for each in audit])
    right.axvline(100 / 12, color="0.4", linestyle=":")
    right.invert_yaxis()
    right.set(xlim=(0, 100), xlabel="named right, % of 12 walkers (dotted: chance)")
    right.tick_params(axis="y", labelsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
