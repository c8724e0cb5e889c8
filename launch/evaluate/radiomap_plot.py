"""Error curves of map updates: the share of test scans located within so many metres, one panel per churn, as SVG."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..report.svg import Axes, label, path, tag

PANEL_PX, HEIGHT_PX, FAR_M = 300.0, 240.0, 8.0
COLOURS = ("#8793a2", "#0072b2", "#cc79a7", "#b07700", "#7c5bcf", "#008a64", "#2f97d3", "#d55e00")
LOOK = """.grid{stroke:#ccd;stroke-width:.6} path{fill:none;stroke-width:1.8}
.tick,.axis,.name{font:11px sans-serif;fill:#445}"""


def error_curves(rows: Sequence[dict[str, Any]], methods: Sequence[str], shares: np.ndarray) -> str:
    """rows: as `scored` gives them, their quantiles averaged over updates of one churn."""
    churns = list(dict.fromkeys(row["churn"] for row in rows))
    parts = [
        tag("style", LOOK),
        tag("rect", width=(PANEL_PX + 50) * len(churns) + 20, height=HEIGHT_PX + 160, fill="#fff"),
    ]
    for number, churn in enumerate(churns):
        some = [row["quantiles"] for row in rows if row["churn"] == churn]
        axes = Axes(45 + number * (PANEL_PX + 50), 30, PANEL_PX, HEIGHT_PX, 0.0, FAR_M)
        parts += axes.x_axis([(float(m), str(m)) for m in range(0, 9, 2)], "error, m")
        parts += axes.y_axis([(share / 4, f"{25 * share} %") for share in range(5)])
        parts.append(label(axes.left, 20, f"forced churn {100 * churn:.0f} %", "name"))
        for place, method in enumerate(m for m in methods if m in some[0]):
            at = np.mean([row[method] for row in some], axis=0)
            points = [(axes.x(min(x, FAR_M)), axes.y(y)) for x, y in zip(at, shares, strict=True) if x <= FAR_M]
            parts.append(path(points, "curve", stroke=COLOURS[methods.index(method)]))
            if number == 0:
                top = HEIGHT_PX + 85 + 14 * (place % 4)
                left = 45 + 160 * (place // 4)
                parts.append(tag("rect", x=left, y=top - 6, width=16, height=3, fill=COLOURS[methods.index(method)]))
                parts.append(label(left + 22, top, method, "name"))
    width, height = (PANEL_PX + 50) * len(churns) + 20, HEIGHT_PX + 150
    box = f"0 0 {width:.0f} {height:.0f}"
    return tag("svg", *parts, xmlns="http://www.w3.org/2000/svg", viewBox=box, width=width, height=height) + "\n"
