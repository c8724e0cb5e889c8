"""Where labels and the scale bar go on the plan: the page's own arithmetic, run by node where there is one."""

import json
import shutil
import subprocess
from typing import Any

import pytest
from whowhere.nodes.live.server import STATIC

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")
PHONE = [345.0, 300.0]  # px, the plan's size on a narrow screen
CAMERA = [105.0, 282.0]  # of the demo, which stood in the scale bar


def said(expression: str) -> Any:
    """The value of a JavaScript expression that may use what places.js exports."""
    program = (STATIC / "places.js").read_text() + f"\nprocess.stdout.write(JSON.stringify({expression}));"
    done = subprocess.run([str(NODE), "--input-type=module"], input=program, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def hides(box: list[float], x: float, y: float) -> bool:
    return box[0] < x + 11 and x - 11 < box[0] + box[2] and box[1] < y + 11 and y - 11 < box[1] + box[3]


def test_the_scale_bar_stands_clear_of_sensors() -> None:
    alone, beside, along = said(
        f"[[], [{CAMERA}], [...Array(20).keys()].map((n) => [20 * n, 285])].map((s) => barPlace({PHONE}, 96, s, 24))"
    )
    assert alone == [58, 262]
    assert beside[1] == 262
    assert beside[0] >= CAMERA[0] + 10
    assert along[1] < 50, "where the bottom is taken, along the top"


@pytest.mark.parametrize("near", [[(40, 0)], [(40, 0), (-40, 0)], [(40, 0), (-40, 0), (0, -28), (0, 28)]])
def test_a_label_hides_no_neighbour(near: list[tuple[float, float]]) -> None:
    x, y = 170.0, 150.0
    dots = [{"x": x + dx, "y": y + dy} for dx, dy in [(0, 0), *near]]
    one = {"x": x, "y": y, "side": "right"}
    box = said(f"labelPlace({json.dumps(one)}, 84, {PHONE}, {json.dumps(dots)}.map(dotAt), []).box")
    assert not [dot for dot in dots if hides(box, dot["x"], dot["y"])]


def test_a_label_rather_covers_a_label_than_a_neighbour_and_keeps_its_side_where_it_can() -> None:
    one, dots = '{"x": 170, "y": 150, "side": "below"}', "[dotAt({ x: 170, y: 150 })]"
    assert said(f"labelPlace({one}, 84, {PHONE}, {dots}, []).side") == "below"
    crowd = [
        (-58, 0),
        (0, -28),
        (0, 28),
        (52, -26),
        (52, 26),
        (-52, -26),
        (-52, 26),
        (0, -50),
        (0, 50),
        (80, -50),
        (80, 50),
        (-80, -50),
        (-80, 50),
    ]
    around = json.dumps([{"x": 170 + dx, "y": 150 + dy} for dx, dy in crowd])
    labels = "[[186, 140, 84, 20], [240, 150, 84, 20]]"
    assert said(f"labelPlace({one}, 84, {PHONE}, {around}.map(dotAt), {labels}).side") == "right"
