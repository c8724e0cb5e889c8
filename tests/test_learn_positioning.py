"""`whowhere learn positioning` end to end, on small generated walks written as the mall's logs are."""

import argparse
import json
from pathlib import Path

import pytest
from whowhere.launch.cli import main
from whowhere.launch.learning_positioning import _begun
from whowhere.models.positioning.mtloc_model import load_model
from whowhere.models.positioning.rounds import make_floor, make_round
from whowhere.models.positioning.walks import Walk, radio_map_of
from whowhere.models.radiomap.maps import load_map, save_map

pytest.importorskip("torch")
ROOT = Path(__file__).parents[1]
SENSORS = {"acc": "TYPE_ACCELEROMETER", "gyro": "TYPE_GYROSCOPE", "mag": "TYPE_MAGNETIC_FIELD"}


def log_of(walk: Walk) -> str:
    """The walk as a text log: `ms TAB type TAB values`, in order of time."""
    lines: list[tuple[int, str]] = []
    for batch in walk.batches:
        end_ms = batch.t_ns // 10**6
        for name, kind in SENSORS.items():
            for age_s, x, y, z in getattr(batch, name).tolist():
                lines.append((end_ms - round(1000 * age_s), f"{kind}\t{x}\t{y}\t{z}\t3"))
        heard_ms = end_ms - round(1000 * batch.scan_age_s)
        lines += [(end_ms, f"TYPE_WIFI\tnet\t{bssid}\t{dbm:.0f}\t2437\t{heard_ms}") for bssid, dbm in batch.scan]
    for t_ns, (x_m, y_m) in zip(walk.waypoint_t_ns.tolist(), walk.waypoint_m.tolist(), strict=True):
        lines.append((t_ns // 10**6, f"TYPE_WAYPOINT\t{x_m}\t{y_m}"))
    return "".join(f"{ms:013d}\t{text}\n" for ms, text in sorted(lines))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `walks` of a floor, a `map` of other walks there, and a model learnt `elsewhere`."""
    folder = tmp_path_factory.mktemp("site")
    for place, seed, count in (("walks", 3, 6), ("elsewhere", 4, 4)):
        (folder / place).mkdir()
        for k in range(count):
            (folder / place / f"{k}.txt").write_text(log_of(make_round(make_floor(seed), k, 45.0)))
    save_map(radio_map_of([make_round(make_floor(3), k, 60.0) for k in range(20, 24)], "surveyed", "7"), folder / "map")
    return folder


def learn(*arguments: str) -> int:
    return main(["learn", "positioning", *arguments, "--epochs", "4", "--json"])


def test_walks_make_a_map_and_say_which_is_better(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert learn(str(site / "walks"), "--out", str(tmp_path)) == 0
    said = json.loads(capsys.readouterr().out)
    assert (tmp_path / "positioning.onnx").exists() == (said["deployed"] != "simple")
    made = load_map(tmp_path / "positioning.map")
    assert made.card["walking"]["spread"] > 0
    named = {"simple": "simple", "mtloc": "mixture 1"}.get(said["deployed"], f"mixture {said['mtloc_share']:g}")
    assert said["figures"][named]["mean_m"] <= said["figures"]["simple"]["mean_m"]


def test_a_map_made_elsewhere_is_kept_and_measured(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert learn(str(site / "walks"), "--map", str(site / "map"), "--out", str(tmp_path)) == 0
    made, given = load_map(tmp_path / "positioning.map"), load_map(site / "map")
    assert made.label == given.label
    assert made.rssi_dbm.tobytes() == given.rssi_dbm.tobytes()
    assert {"offset_rad", "spread", "smooth_spread"} <= made.card["walking"].keys()
    assert json.loads(capsys.readouterr().out)["figures"]["simple"]["seconds"] > 10


def test_the_motion_branch_of_a_model_is_taken_over(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from whowhere.launch.recorded_walks import walks_in
    from whowhere.models.positioning.mtloc_learning import learn as learn_model
    from whowhere.models.positioning.mtloc_learning import motion_from
    from whowhere.models.positioning.mtloc_training import Recipe

    walks = walks_in([site / "elsewhere"])
    content, _ = learn_model(walks[:3], walks[3:], "mtloc", "1", "elsewhere:1", Recipe(epochs=2))
    (tmp_path / "elsewhere.onnx").write_bytes(content)
    assert motion_from(content).imu.weight_ih_l0.shape == (512, 2)
    source = ["--from", str(tmp_path / "elsewhere.onnx")]
    assert learn(str(site / "walks"), *source, "--freeze", "--out", str(tmp_path / "new")) == 0
    assert json.loads(capsys.readouterr().out)["carried"] == "motion"
    (tmp_path / "broken.onnx").write_bytes(content[:1000])
    assert learn(str(site / "walks"), "--from", str(tmp_path / "broken.onnx"), "--out", str(tmp_path / "new")) == 1
    assert "cannot be learnt from" in capsys.readouterr().err


def test_a_network_kept_for_others_is_carried_whole(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    kept, out = tmp_path / "kept.onnx", ["--out", str(tmp_path / "out")]
    assert learn(str(site / "elsewhere"), "--keep", str(kept), *out) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == str(kept)
    assert load_model(kept).card["heard"]["level"] > 0  # deployed or not
    assert learn(str(site / "walks"), "--from", str(kept), *out) == 0
    assert json.loads(capsys.readouterr().out)["carried"] == "whole"
    begun = [_begun(argparse.Namespace(source=str(kept), motion_only=m, freeze=f)) for m, f in ((1, 0), (0, 1), (0, 0))]
    assert [(each.carried is None, each.motion is None) for each in begun] == [(1, 0), (0, 0), (0, 1)]
    assert [each.words.endswith("the whole network") for each in begun] == [False, True, True]
    card = json.loads(kept.with_suffix(".json").read_text())
    kept.with_suffix(".json").write_text(json.dumps({key: card[key] for key in card if key != "heard"}))
    assert "(--keep writes one that does)" in _begun(argparse.Namespace(source=kept, motion_only=0, freeze=0)).words


def test_what_cannot_be_carried_or_kept_is_one_sentence(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    odd, out = tmp_path / "odd.onnx", ["--out", str(tmp_path)]
    odd.write_text("no network")
    deployed = str(tmp_path / "positioning.onnx")
    for given, says in (
        (["--from", str(tmp_path / "none.onnx")], "none.onnx cannot be read"),
        (["--from", str(odd)], "no ONNX file"),
        (["--from", str(ROOT / "models/gait/camera.onnx")], "no exported MTLoc network"),
        (["--from", str(ROOT / "models/appearance/shipped/looks.onnx")], "is no card of a positioning model"),
        (["--keep", str(tmp_path / "kept.json")], "must end in .onnx"),
        (["--keep", deployed], "name another file"),
        (["--from", deployed], "name another file"),
        (["--from", ""], "--from is empty"),
        (["--freeze"], "name one with --from"),
        (["--motion-only"], "name one with --from"),
    ):
        assert learn(str(site / "walks"), *given, *out) == 1
        told = capsys.readouterr().err
        assert says in told
        assert len(told.strip().splitlines()) <= 2


def test_too_few_walks_are_told_at_once(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    two = [str(site / "walks" / f"{k}.txt") for k in range(2)]
    assert learn(*two, *two, "--out", str(tmp_path)) == 1  # a walk given twice is one
    assert "2 of the walks given have two way points, 3 must" in capsys.readouterr().err


def test_a_seed_that_no_generator_takes_is_refused(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        learn(str(site / "walks"), "--seed", str(2**64 - 1), "--out", str(tmp_path))
    assert "2^62 at most" in capsys.readouterr().err


def test_walks_of_one_name_are_several_and_one_given_twice_is_one(site: Path, tmp_path: Path):
    import shutil
    import tarfile

    from whowhere.launch.recorded_walks import walks_in

    for day, walk, name in (("monday", "0", "walk"), ("tuesday", "1", "walk"), ("wednesday", "2", "walk-2")):
        (tmp_path / day).mkdir()
        shutil.copy(site / "walks" / f"{walk}.txt", tmp_path / day / f"{name}.txt")
    with tarfile.open(tmp_path / "both.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "monday", "monday")
    days = [tmp_path / day for day in ("monday", "tuesday", "both.tar.xz", "monday", "wednesday")]
    walks = walks_in(days)
    assert [walk.name for walk in walks] == ["walk", "walk-2", "walk-2-2"]
    assert [{batch.source for batch in walk.batches} for walk in walks] == [{"walk"}, {"walk-2"}, {"walk-2-2"}]


def test_the_branch_is_carried_both_ways(site: Path):
    from whowhere.launch.evaluate.transfer import in_words, tables
    from whowhere.launch.recorded_walks import walks_in

    places = {name: walks_in([site / name])[:3] for name in ("walks", "elsewhere")}
    done = tables(places, [0], epochs=1)
    assert list(done) == ["elsewhere to walks", "walks to elsewhere"]
    assert all(len(values) == 1 and values[0] > 0 for rows in done.values() for values in rows.values())
    assert len(in_words(done)) == 2 * (2 + len(done["elsewhere to walks"]))
