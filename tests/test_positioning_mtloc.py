"""MTLoc as its specification says: counts, windows, freezing, ONNX against torch and numpy, missing modalities."""

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from whowhere.models.positioning.mtloc_model import ModelError, load_model, model_of, save_model
from whowhere.models.positioning.mtloc_windows import magnitudes, ranges_of, wifi_vector, windows_of
from whowhere.models.positioning.rounds import make_floor, make_round
from whowhere.models.positioning.walks import Walk

torch = pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("onnxruntime")

from whowhere.models.positioning import mtloc_learning, mtloc_training  # noqa: E402
from whowhere.models.positioning.mtloc_network import PRINTED, MotionOnly, Mtloc, counts, transfer  # noqa: E402
from whowhere.models.positioning.mtloc_numpy import forward, weights_of  # noqa: E402

QUICK = mtloc_training.Recipe(epochs=8)


@pytest.fixture(scope="module")
def rounds() -> list[Walk]:
    floor = make_floor(1)
    return [make_round(floor, seed, 60.0) for seed in range(6)]


@pytest.fixture(scope="module")
def trained(rounds: list[Walk]):
    torch.set_num_threads(1)
    return mtloc_learning.learn(rounds[:4], rounds[4:5], "round", "1", "m:1", QUICK)


def test_six_counts_are_the_printed_ones():
    network = Mtloc(750)
    assert counts(network) == PRINTED
    assert sum(counts(network).values()) == 295_810
    assert sum(p.numel() for p in network.parameters()) == 296_834  # torch's second biases, frozen at zero


def test_a_ramp_gives_rows_99_to_999():
    t_s = np.arange(1000) / 1000
    ramp = np.stack([np.arange(1000.0), np.zeros(1000), np.zeros(1000)], axis=1)
    assert magnitudes(t_s, ramp) == pytest.approx(np.arange(99, 1000, 100))
    with pytest.raises(ValueError, match="without a sample"):
        magnitudes(np.zeros(0), np.zeros((0, 3)))


def test_levels_are_scaled_as_in_the_predecessor():
    column = {"a": 0, "b": 1, "c": 2}
    assert wifi_vector({"a": -100.0, "b": -40.0, "unknown": -50.0}, column).tolist() == [0.0, 1.0, 0.0]
    assert wifi_vector({"a": -20.0}, column, clip=True)[0] == pytest.approx(1.2)


def test_a_scan_is_held_for_three_seconds_and_then_missing(rounds: list[Walk]):
    walk = rounds[0]
    batches = tuple(b for b in walk.batches if not b.scan or b is walk.batches[0])
    windows = windows_of(
        [Walk("w", batches, walk.waypoint_t_ns, walk.waypoint_m)], ["floor1:0"], ranges_of([walk]), 1.0
    )
    first = int(np.argmax(windows.missing[:, 0]))
    assert 2 <= first <= 4
    assert windows.missing[first:, 0].all()
    assert not windows.wifi[first:].any()


def test_frozen_motion_stays_bit_for_bit_and_tuned_motion_moves(rounds: list[Walk]):
    bssids, ranges = mtloc_learning.most_heard(rounds[:1]), ranges_of(rounds[:1])
    windows = windows_of(rounds[:1], bssids, ranges, 0.5)
    motion = MotionOnly()
    for frozen in (True, False):
        start = Mtloc(len(bssids))
        transfer(motion, start, frozen)
        recipe = replace(QUICK, epochs=1, frozen=frozen)
        network, _ = mtloc_training.train(windows, None, mtloc_training.box_of(windows.place_m), recipe, motion)
        assert torch.equal(network.imu.weight_hh_l0, motion.imu.weight_hh_l0) == frozen
        torch.manual_seed(recipe.seed)
        assert not torch.equal(network.mag.weight_hh_l0, Mtloc(len(bssids)).mag.weight_hh_l0)


@pytest.mark.long  # about a minute
def test_it_can_learn_two_hundred_windows_by_heart(rounds: list[Walk]):
    bssids, ranges = mtloc_learning.most_heard(rounds[:1]), ranges_of(rounds[:1])
    windows = windows_of(rounds[:1], bssids, ranges, 0.25)
    windows = windows.take(~windows.missing[:, 0]).take(np.arange(200))
    box = mtloc_training.box_of(windows.place_m)
    network, _ = mtloc_training.train(windows, windows, box, replace(QUICK, epochs=1000))
    off = np.hypot(*(mtloc_training.places(network, windows, box) - windows.place_m).T)
    assert off.mean() < 0.3  # MTLoc specification, section 8, check 6


def test_onnx_torch_and_numpy_agree():
    torch.manual_seed(3)
    network = Mtloc(40)
    rng = np.random.default_rng(0)
    shapes = ((64, 40), (64, 10, 2), (64, 10, 1))
    wifi, imu, mag = (rng.random(shape).astype(np.float32) for shape in shapes)
    content = mtloc_training.exported(network, {"name": "x"})
    with torch.no_grad():
        said = network(*map(torch.from_numpy, (wifi, imu, mag))).numpy()
    card = {
        "bssids": [str(j) for j in range(40)],
        "box": [0, 0, 1, 1],
        "ranges": dict.fromkeys(("acc", "gyro", "mag"), (0, 1)),
    }
    assert np.abs(model_of(content, card).predict(wifi, imu, mag) - said).max() < 1e-5
    assert np.abs(forward(weights_of(content), wifi, imu, mag) - said).max() < 1e-5


def test_motion_can_be_taken_out_of_a_deployed_model(trained):
    motion = mtloc_learning.motion_from(trained[0])
    weights = weights_of(trained[0])
    steps = np.random.default_rng(0).random((4, 10, 2)).astype(np.float32)
    from whowhere.models.positioning.mtloc_numpy import last_hidden

    with torch.no_grad():
        hidden = motion.imu(torch.from_numpy(steps))[0][:, -1].numpy()
    assert np.abs(hidden - last_hidden(weights, "imu", steps)).max() < 1e-5


def test_files_that_do_not_fit_are_one_sentence(trained, tmp_path):
    content, card = trained
    path = tmp_path / "m.onnx"
    save_model(content, card, path)
    assert load_model(path).label == "round:1"
    path.write_bytes(content[:-5])
    with pytest.raises(ModelError, match="not the file its card describes"):
        load_model(path)
    save_model(content, {**card, "bssids": card["bssids"][1:]}, path)
    with pytest.raises(ModelError, match="access points where its card names"):
        load_model(path)
    save_model(b"no onnx", card, path)
    with pytest.raises(ModelError, match="is no ONNX model"):
        load_model(path)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(ModelError, match="is no card"):
        load_model(path)


def test_a_call_takes_under_a_millisecond(trained, rounds: list[Walk]):
    model = model_of(*trained)
    batches = [batch for batch in rounds[5].batches if batch.scan]
    model.locate(batches[0])
    took = []
    for batch in batches:
        start = perf_counter()
        assert model.locate(batch) is not None
        took.append(perf_counter() - start)
    assert np.median(took) < 0.001


def test_no_place_from_unknown_access_points_alone(trained, rounds: list[Walk]):
    from whowhere.messages import PhoneBatch

    batch = rounds[5].batches[0]
    strange = PhoneBatch(
        source="p", t_ns=batch.t_ns, acc=batch.acc, gyro=batch.gyro, mag=batch.mag, scan=(("x", -50.0),)
    )
    assert model_of(*trained).locate(strange) is None


def test_wiping_wifi_harms(trained, rounds: list[Walk]):
    bssids, ranges = trained[1]["bssids"], trained[1]["ranges"]
    windows = windows_of(rounds[5:], bssids, ranges, 0.5)
    model = model_of(*trained)
    off = []
    for share in (0.0, 0.5, 1.1):
        wiped = mtloc_training.wiped(windows, "wifi", share, 0)
        off.append(np.hypot(*(model.predict(wiped.wifi, wiped.imu, wiped.mag) - windows.place_m).T).mean())
    assert off[0] < off[1] < off[2]
