"""Learning gait by the command: files with their card, the same from the same seed, ONNX as torch."""

import json
from functools import cache

import numpy as np
import pytest
from whowhere.launch import generated_gaits
from whowhere.launch.cli import main
from whowhere.launch.generated_gaits import TRAINING, generated
from whowhere.models.gait.model import INPUTS, load_model, model_of

torch = pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("onnx")

from whowhere.models.gait import latent  # noqa: E402
from whowhere.models.gait.estimator_learning import exported  # noqa: E402
from whowhere.models.gait.estimator_training import Pair, evidence, ratio_matrix, signatures  # noqa: E402


def test_the_command_writes_a_model_that_loads_and_again_the_same(tmp_path, capsys, monkeypatch):
    """The walks are made once: that a seed fixes them is a test of its own."""
    torch.set_num_threads(1)
    monkeypatch.setattr(generated_gaits, "generated", cache(generated))
    files = []
    for name in ("a", "b"):
        arguments = ["learn", "gait", "--generated", "--people", "20", "--steps", "2", "--out", str(tmp_path / name)]
        assert main([*arguments, "--json"]) == 0
        files.append([(tmp_path / name / file).read_bytes() for file in ("radar.onnx", "camera.onnx")])
    assert files[0] == files[1]
    model = load_model(tmp_path / "a")
    assert model.label == "gait-generated:1"
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["card"]["trained_on"]["people"] == 20


def test_a_seed_fixes_the_walks():
    one, again, other = (generated(2, 1, seed, TRAINING) for seed in (5, 5, 6))
    assert all((a == b).all() for a, b in zip(one.radar + one.camera, again.radar + again.camera, strict=True))
    assert any((a != b).any() for a, b in zip(one.radar, other.radar, strict=True))


def test_the_command_refuses_what_it_cannot_do(tmp_path, capsys):
    for arguments in (["--out", "x"], ["--generated", "--people", "3", "--out", "x"]):
        assert main(["learn", "gait", *arguments]) != 0
        assert "Traceback" not in capsys.readouterr().err


def test_onnx_is_torch():
    torch.manual_seed(3)
    pair = Pair().eval()
    walks = generated(4, 2, 5, TRAINING)
    card = {"name": "gait", "version": "0", "latent": 16, "numbers": []}
    calibration = {"scale": 1.0, "least": -8.0, "most": 8.0, "walks_alike": 0.2, "per_walk": 0.0, "windows_alike": 0.7}
    model = model_of(
        {kind: exported(getattr(pair, kind), kind) for kind in INPUTS}, {**card, "calibration": calibration}
    )
    for kind, tensors in (("radar", walks.radar), ("camera", walks.camera)):
        flat = [part.reshape(-1, *part.shape[2:]) for part in tensors]
        eta, precision, mean, _ = signatures(getattr(pair, kind), flat)
        found = model.batch(kind, dict(zip(INPUTS[kind], flat, strict=True)))
        assert found[0] == pytest.approx(eta, abs=1e-4)
        assert found[1] == pytest.approx(precision, abs=1e-4)
        assert model.batch_numbers(kind, dict(zip(INPUTS[kind], flat, strict=True))) == pytest.approx(mean, abs=1e-4)


def test_points_in_another_order_and_lost_ones_padded_give_the_same_signature():
    torch.manual_seed(4)
    pair = Pair().eval()
    walks = generated(2, 1, 6)
    points, mask, frames, speed = (part.reshape(-1, *part.shape[2:]) for part in walks.radar)
    order = np.random.default_rng(0).permutation(points.shape[2])
    one = signatures(pair.radar, [points, mask, frames, speed])
    junk = np.where(mask[..., None] > 0, points, np.float32(3.0))
    two = signatures(pair.radar, [junk[:, :, order], mask[:, :, order], frames, speed])
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, abs=1e-5)


def test_training_and_running_agree_on_ratios():
    rng = np.random.default_rng(1)
    eta, precision = rng.normal(size=(2, 5, 16)), rng.uniform(0, 4, (2, 5, 16))
    a, b = ((torch.from_numpy(eta[k]), torch.from_numpy(precision[k])) for k in (0, 1))
    assert ratio_matrix(a, b).numpy() == pytest.approx(latent.pair_ratios(eta[0], precision[0], eta[1], precision[1]))
    assert evidence(*a).numpy() == pytest.approx(latent.evidence(eta[0], precision[0]))
