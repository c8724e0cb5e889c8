"""Real people on a real square with known places: PETS S2L1 through the detector, the floor map and the tracker.

The first 60 frames in the normal run, all 200 with `-m long`; docs/results/pets.md has the figures, the floors here
leave room below them. motmetrics is the oracle of the scores.
"""

from typing import Any

import numpy as np
import pytest
import recorded_square
from whowhere.fusion.geometry import floor_map
from whowhere.messages import CameraFrame

pytestmark = pytest.mark.skipif(
    not recorded_square.DATA.is_dir(), reason=f"the recording in {recorded_square.DATA} is not here"
)
SHORT = 60


@pytest.fixture(scope="module")
def start() -> list[CameraFrame]:
    return recorded_square.detected(SHORT)


def check(figures: dict[str, Any], floors: dict[str, float]) -> None:
    assert figures["boxes_iou_0.35"]["recall"] > floors["recall"]
    assert figures["boxes_iou_0.35"]["precision"] > floors["precision"]
    assert figures["foot_point_error_m"]["median"] < 0.4
    assert figures["foot_point_error_m"]["p90"] < 1.0
    tracking = figures["tracking"]
    assert tracking["mota"] > floors["mota"]
    assert tracking["idf1"] > floors["idf1"]
    assert tracking["hota"] > floors["hota"]


def check_with_motmetrics(frames: list[CameraFrame], tracking: dict[str, Any]) -> None:
    import motmetrics

    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for ids, true, tracks, places in recorded_square.followed(frames):
        apart = np.linalg.norm(true[:, None] - places[None], axis=2)
        accumulator.update(ids, tracks, np.where(apart <= recorded_square.NEAR_M, apart, np.nan))
    summary: Any = motmetrics.metrics.create().compute(accumulator, metrics=["mota", "idf1", "num_switches"])
    theirs = summary.iloc[0]
    assert tracking["mota"] == pytest.approx(theirs["mota"], abs=0.005)
    assert tracking["idf1"] == pytest.approx(theirs["idf1"], abs=0.005)
    assert tracking["switches"] == pytest.approx(theirs["num_switches"], abs=1)


def test_tsai_as_pinhole_puts_annotated_feet_where_the_annotators_did() -> None:
    residual = recorded_square.calibration_residual_m()
    assert len(residual) > 1200
    assert np.median(residual) < 0.2
    assert residual.max() < 0.5


def test_the_pinhole_is_tsais_camera_to_a_few_millimetres_in_the_middle_of_the_square() -> None:
    """Against Tsai's own equations, written down here a second time."""
    pixels = np.array([(u, v) for u in (150.0, 384.0, 600.0) for v in (200.0, 350.0, 500.0)])
    dpx, dpy, sx, f, kappa = 5.1273271277e-3, 4.65e-3, 1.0937855397, 5.5549183034, 5.1113043639e-3
    x, y = (pixels[:, 0] - 324.22149053) * dpx / sx, (pixels[:, 1] - 282.56650051) * dpy
    straight = 1 + kappa * (x * x + y * y)
    turn = recorded_square._turn(2.0405458695, -0.89337703748, -0.43056124791)
    shift = np.array([828.73214225, -3175.4796051, 35469.298547]) / 1000
    rays = np.column_stack((x * straight / f, y * straight / f, np.ones(len(x)))) @ turn
    eye = -turn.T @ shift
    floor = eye[:2] - (eye[2] / rays[:, 2])[:, None] * rays[:, :2]
    assert np.abs(floor_map(recorded_square.pinhole())(pixels) - floor).max() < 0.02


def test_the_start_of_the_recording(start: list[CameraFrame]) -> None:
    figures = recorded_square.figures(start)
    check(figures, {"recall": 0.6, "precision": 0.85, "mota": 0.6, "idf1": 0.6, "hota": 0.5})
    check_with_motmetrics(start, figures["tracking"])


@pytest.mark.long
def test_the_whole_recording() -> None:
    frames = recorded_square.detected()
    assert len(frames) == 200
    figures = recorded_square.figures(frames)
    check(figures, {"recall": 0.7, "precision": 0.9, "mota": 0.75, "idf1": 0.75, "hota": 0.65})
    check_with_motmetrics(frames, figures["tracking"])
