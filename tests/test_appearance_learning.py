"""A site's own model: written where it is better, not where it is not, refused where the session is poisoned."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from whowhere.launch import learning_appearance
from whowhere.launch.cli import main
from whowhere.launch.commands.demo import SITE
from whowhere.launch.site_files import load_site
from whowhere.models.appearance.model import SHIPPED, load_model, model_of, shipped_model
from whowhere.nodes.session import SessionWriter
from whowhere.sitefile import site_as_json

torch = pytest.importorskip("torch", reason="learning needs the train extra")

from whowhere.models.appearance import learning  # noqa: E402
from whowhere.models.appearance.backbone import Edge  # noqa: E402
from whowhere.models.appearance.pretraining import network_of  # noqa: E402

QUICK = replace(learning.SITE_RECIPE, first_epochs=1, rounds=1, epochs=1, people=6)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def day() -> learning.Material:
    return learning.made_up(3, people=16, phones=13, minutes=35.0)


def test_what_is_better_than_stripes_is_written_with_its_calibration(day: learning.Material, tmp_path: Path):
    in_force = shipped_model("stripes")
    learnt = learning.learn(day, in_force, network_of(SHIPPED / "looks.npz"), "hall", "7", QUICK)
    assert learnt.written
    assert learnt.figures["learnt"] > learnt.figures["in_force"] + learning.BETTER_BY
    model = model_of(learnt.content, learnt.card)
    assert model.label == "hall:7"
    judging, _ = day.part(learning.CHOOSES, 1.0)
    assert learning.agreement(judging, model) == pytest.approx(learnt.figures["learnt"])
    told = learning.radio_pairs(judging)
    x = learning.embedded(model, judging.crops)
    nats = model.log_ratio(x @ x.T, judging.tracklets.camera[:, None] == judging.tracklets.camera, is_mean=True)
    assert np.median(nats[told == 1]) > 0.5 > -0.5 > np.median(nats[told == -1])


def test_what_is_not_better_is_not_written_and_the_sentence_says_by_how_much(day: learning.Material):
    torch.manual_seed(0)
    learnt = learning.learn(day, shipped_model("looks"), Edge(), "hall", "8", QUICK)
    assert not learnt.written
    assert learnt.reason.startswith("looks:1 stays in force: what was learnt agrees 0.")


def test_crops_of_one_person_teach_nothing(day: learning.Material):
    poisoned = day._replace(crops=[day.crops[0]] * len(day.crops))
    with pytest.raises(learning.LearningError, match="do not agree"):
        learning.learn(poisoned, shipped_model("looks"), Edge(), "hall", "9", QUICK)


def test_crops_of_another_day_teach_nothing(day: learning.Material):
    order = np.random.default_rng(0).permutation(len(day.crops)).tolist()
    poisoned = day._replace(crops=[day.crops[k] for k in order])
    with pytest.raises(learning.LearningError, match="do not agree"):
        learning.learn(poisoned, shipped_model("looks"), Edge(), "hall", "9", QUICK)


def test_phones_exchanged_while_it_learns_teach_nothing(day: learning.Material):
    """Every phone changes its carrier every 7 minutes of the part that teaches."""
    end_s = float(np.quantile(day.tracklets.start_s, learning.TEACHES))
    phones = len(day.trajectories)
    exchanged = []
    for k, walk in enumerate(day.trajectories):
        carrier = np.where(walk.t_s < end_s, (k + (walk.t_s // 420).astype(int)) % phones, k)
        place = np.array([day.trajectories[c].place_m[row] for row, c in enumerate(carrier.tolist())])
        exchanged.append(walk._replace(place_m=place))
    with pytest.raises(learning.LearningError, match="agree"):
        learning.learn(day._replace(trajectories=exchanged), shipped_model("looks"), Edge(), "hall", "9", QUICK)


def test_too_little_is_said(day: learning.Material):
    with pytest.raises(learning.LearningError, match="tracklets were kept"):
        learning.learn(day.part(0.0, 0.05)[0], shipped_model("looks"), Edge(), "hall", "9", QUICK)
    with pytest.raises(learning.LearningError, match="radios say of 0 pairs"):
        learning.learn(day._replace(trajectories=[]), shipped_model("looks"), Edge(), "hall", "9", QUICK)


def test_the_command(day: learning.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(learning_appearance, "material_of", lambda sessions, crops: day)
    monkeypatch.setattr(learning, "SITE_RECIPE", QUICK)
    stripes = str(SHIPPED / "stripes.json")
    asked = ["learn", "appearance", "a.mcap", "--crops", "x", "--out", str(tmp_path), "--in-force", stripes, "--json"]
    assert main(asked) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["written"]
    assert load_model(tmp_path / "appearance.json").label == "site:1"
    assert main(["learn", "appearance", "--out", str(tmp_path)]) != 0
    assert "needs sessions and the crops" in capsys.readouterr().err


def test_what_the_command_cannot_find_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    session, out = tmp_path / "a.mcap", str(tmp_path / "models")
    SessionWriter(session, site_as_json(load_site(SITE))).close()
    asked = ["learn", "appearance", str(session), "--out", out, "--crops"]
    assert main([*asked, str(tmp_path / "nowhere")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"whowhere learn: {tmp_path}/nowhere is not there: the folder into which cameras kept crops")
    for wrong in ("nonsense", str(tmp_path), str(session), "."):
        assert main([*asked, str(tmp_path), "--in-force", wrong]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"whowhere learn: --in-force {wrong} is no card of an appearance model: name its .json")
    assert not Path(out).exists()
