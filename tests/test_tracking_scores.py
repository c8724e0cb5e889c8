"""Tracking scores against motmetrics, Stone Soup where it is installed, and cases worked by hand."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest
from whowhere.launch.evaluate.tracking import (
    HOTA_THRESHOLDS,
    TrackingScore,
    gospa,
    similarity_of_boxes,
    similarity_of_positions,
)


def random_session(seed: int, frames: int = 120) -> list[tuple[list[int], np.ndarray, list[int], np.ndarray]]:
    """Walkers, followed with noise, misses, ghosts, swaps and renumbering: (true ids, xy, published ids, xy)."""
    rng = np.random.default_rng(seed)
    position, velocity = rng.uniform(0, 10, (5, 2)), rng.normal(0, 0.15, (5, 2))
    number = list(range(100, 105))
    session = []
    for _ in range(frames):
        position = position + velocity
        if rng.random() < 0.05:
            a, b = rng.choice(5, 2, replace=False)
            number[a], number[b] = number[b], number[a]
        if rng.random() < 0.05:
            number[rng.integers(5)] = 1000 + len(session)
        there, seen = rng.random(5) < 0.95, rng.random(5) < 0.85
        there_rows, seen_rows = np.flatnonzero(there), np.flatnonzero(there & seen)
        ids, xy = [number[i] for i in seen_rows], position[seen_rows] + rng.normal(0, 0.35, (len(seen_rows), 2))
        if rng.random() < 0.3:
            ids, xy = [*ids, 5000 + len(session)], np.vstack([xy, rng.uniform(0, 10, (1, 2))])
        session.append(([int(i) for i in there_rows], position[there_rows], ids, xy))
    return session


def scores(session: list[tuple[list[int], np.ndarray, list[int], np.ndarray]], zero_at_m: float = 2.0) -> Any:
    score = TrackingScore(threshold=0.5)
    for true_ids, true, ids, published in session:
        score.add(true_ids, ids, similarity_of_positions(true, published, zero_at_m))
    return score.result()


@pytest.mark.parametrize("seed", range(6))
def test_mota_and_idf1_equal_motmetrics(seed: int) -> None:
    motmetrics = pytest.importorskip("motmetrics")
    session = random_session(seed)
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for true_ids, true, ids, published in session:
        apart = np.linalg.norm(true[:, None] - published[None], axis=2)
        accumulator.update(true_ids, ids, np.where(apart <= 1.0, apart, np.nan))
    names = ["mota", "motp", "idf1", "idp", "idr", "num_switches", "num_misses", "num_false_positives"]
    theirs = motmetrics.metrics.create().compute(accumulator, metrics=names, name="x").iloc[0]
    ours = scores(session)
    assert ours["switches"] == theirs["num_switches"] > 0
    assert ours["misses"] == theirs["num_misses"] > 0
    assert ours["false_positives"] == theirs["num_false_positives"] > 0
    for name in ("mota", "idf1", "idp", "idr"):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-4)
    assert 2.0 * (1.0 - ours["motp"]) == pytest.approx(theirs["motp"], abs=1e-3)  # similarity back to metres


def test_perfect_and_empty() -> None:
    perfect = [([1, 2], np.array([[0.0, 0.0], [5.0, 5.0]]), [7, 8], np.array([[0.0, 0.0], [5.0, 5.0]]))] * 10
    result = scores(perfect)
    assert {result[name] for name in ("mota", "motp", "idf1", "hota", "deta", "assa", "loca")} == {1.0}
    blind = scores([([1], np.array([[0.0, 0.0]]), [], np.empty((0, 2)))] * 10)
    assert (blind["mota"], blind["idf1"], blind["hota"], blind["misses"]) == (0.0, 0.0, 0.0, 10)
    nobody = scores([([], np.empty((0, 2)), [], np.empty((0, 2)))])
    assert (nobody["mota"], nobody["hota"]) == (None, None)


def test_hota_of_a_track_cut_in_two() -> None:
    """One person, 10 frames, exactly followed, renumbered half-way: DetA 1; each pair shares 5 of 10 frames, so
    AssA = 1/2 and HOTA = sqrt(1/2), at every threshold."""
    where = np.array([[1.0, 1.0]])
    result = scores([([1], where, [7 if frame < 5 else 8], where) for frame in range(10)])
    assert result["deta"] == 1.0
    assert result["assa"] == 0.5
    assert result["hota"] == pytest.approx(np.sqrt(0.5), abs=1e-4)
    assert (result["switches"], result["mota"], result["idf1"]) == (1, 0.9, 0.5)


def test_hota_falls_with_distance_and_misses() -> None:
    """Similarity 0.62 in 3 of 4 frames, missed in one: 12 of 19 thresholds are reached, each with
    DetA = AssA = 3/4, the others give 0."""
    similarity = np.array([[0.62]])
    score = TrackingScore()
    for _ in range(3):
        score.add([1], [7], similarity)
    score.add([1], [], np.empty((1, 0)))
    reached = np.count_nonzero(HOTA_THRESHOLDS <= 0.62) / len(HOTA_THRESHOLDS)
    assert reached == pytest.approx(12 / 19)
    result = score.result()
    assert result["hota"] == pytest.approx(0.75 * reached, abs=1e-4)
    assert result["deta"] == pytest.approx(0.75 * reached, abs=1e-4)
    assert result["loca"] == pytest.approx((12 * 0.62 + 7) / 19, abs=1e-4)


def test_hota_prefers_the_pairing_that_lasts() -> None:
    """In one frame a passer-by's track is a little nearer; the long-standing track is still the match."""
    score = TrackingScore()
    for _ in range(9):
        score.add([1], [7], np.array([[0.8]]))
    score.add([1], [7, 8], np.array([[0.8, 0.9]]))
    assert score.result()["assa"] == pytest.approx(16 / 19, abs=1e-4)  # thresholds up to 0.80, all with track 7


def test_gospa_by_hand() -> None:
    """One pair 0.3 m apart, one missed, one false at cutoff 2: sqrt(0.09 + 2 + 2)."""
    result = gospa(np.array([[0.0, 0.0], [5.0, 5.0]]), np.array([[0.3, 0.0], [9.0, 9.0]]))
    assert result["distance"] == pytest.approx(np.sqrt(4.09))
    assert result["localisation"] == pytest.approx(0.09)
    assert (result["missed"], result["false"]) == (2.0, 2.0)
    assert gospa(np.empty((0, 2)), np.empty((0, 2)))["distance"] == 0.0
    assert gospa(np.empty((0, 2)), np.ones((3, 2)), cutoff_m=1.0, order=1.0)["distance"] == 1.5


@pytest.mark.parametrize("seed", range(4))
def test_gospa_equals_stonesoup(seed: int) -> None:
    pytest.importorskip("stonesoup")
    from stonesoup.metricgenerator.ospametric import GOSPAMetric  # pyright: ignore[reportMissingImports]
    from stonesoup.types.state import State  # pyright: ignore[reportMissingImports]

    rng = np.random.default_rng(seed)
    true, published = rng.uniform(0, 6, (rng.integers(1, 7), 2)), rng.uniform(0, 6, (rng.integers(1, 7), 2))
    now = datetime(2020, 1, 1)
    metric = GOSPAMetric(c=2.0, p=2.0)
    value = metric.compute_gospa_metric(
        [State(point, timestamp=now) for point in published], [State(point, timestamp=now) for point in true]
    )
    theirs = value[0] if isinstance(value, tuple) else value
    assert gospa(true, published)["distance"] == pytest.approx(theirs.value["distance"], abs=1e-9)


def test_similarities() -> None:
    boxes = similarity_of_boxes(np.array([[0, 0, 2, 2.0]]), np.array([[0, 0, 2, 2.0], [1, 0, 2, 2], [5, 5, 1, 1]]))
    assert boxes[0] == pytest.approx([1.0, 1 / 3, 0.0])
    near = similarity_of_positions(np.array([[0, 0.0]]), np.array([[0, 0.5], [3, 4]]), zero_at_m=2.0)
    assert near[0] == pytest.approx([0.75, 0.0])
    assert similarity_of_boxes(np.empty((0, 4)), np.empty((2, 4))).shape == (0, 2)


def test_an_id_twice_in_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        TrackingScore().add([1, 1], [2], np.zeros((2, 1)))
