"""`whowhere bench evloc`: its rows, its report and its options, on a handful of runs of one scene."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from whowhere.launch import cli

FOLDER = Path(__file__).parent / "bench"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location("bench_evloc", FOLDER / "bench_evloc.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_evloc"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def few(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Only figure 5, and only its first frames."""
    short = [point._replace(frames=8) for point in bench.points()[:2]]
    monkeypatch.setattr(bench, "points", lambda: short)
    monkeypatch.setattr(bench, "special", dict)
    return bench


def test_rows_say_target_interval_and_seeds(few: ModuleType, tmp_path: Path):
    report = tmp_path / "evloc.md"
    report.write_text("# Kept\n\n<!-- measured: begin -->\nold\n<!-- measured: end -->\n\nkept too\n")
    rows = few.run(runs=6, seed=40, plots=str(tmp_path / "plots"), report=str(report))
    targets = [row for row in rows if "reached" in row]
    assert [row["case"].split(" (")[0] for row in targets[:2]] == [
        "mean error after 2 frames",
        "mean error after 5 frames",
    ]
    for row in rows:
        assert {"case", "ours", "peer", "peer_name", "unit", "ratio"} <= set(row)
        assert row["low"] <= row["ours"] <= row["high"]
        assert (row["runs"], row["seed"]) == (6, 40)
    text = report.read_text()
    assert text.startswith("# Kept")
    assert text.endswith("kept too\n")
    assert "old" not in text
    assert f"| {targets[0]['case']} |" in text
    assert (tmp_path / "plots" / "figure_5_frames.png").stat().st_size < 100_000
    assert json.loads(json.dumps(rows)) == rows
    again = few.run(runs=6, seed=40)
    for row in rows + again:
        for key in [key for key in row if key.startswith("cpu_s")]:
            row.pop(key)
    assert again == rows


def test_the_interval_holds_the_mean_and_narrows_with_runs(bench: ModuleType):
    values = np.random.default_rng(0).normal(1.0, 0.5, (400, 1))
    low, high = bench.interval(values, lambda part: float(part.mean()))
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / 20, rel=0.15)


def test_the_case_of_standing_people_knows_a_fall_from_never_reaching(bench: ModuleType):
    rising, falling, low = np.array([[0.5, 0.96, 0.97]]), np.array([[0.96, 0.99, 0.9]]), np.array([[0.5, 0.8, 0.7]])
    assert bench._least_once_reached(rising) == 0.96
    assert bench._least_once_reached(falling) == 0.9
    assert bench._least_once_reached(low) == 0.8


def test_options_that_a_bench_does_not_have_are_refused(capsys: pytest.CaptureFixture[str]):
    for arguments, complaint in (
        (["bench", "codec", "--runs", "3"], "bench codec has no --runs"),
        (["bench", "evloc", "--runs", "0"], "--runs 0 is too small"),
        (["bench", "evloc", "--seed", "-1"], "--seed -1 is too small"),
    ):
        assert cli.main(arguments) != 0
        assert complaint in capsys.readouterr().err
