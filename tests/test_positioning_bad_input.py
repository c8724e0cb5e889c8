"""What a positioning model's file or card may be that none is, and walks that leave nothing to judge by."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from whowhere.launch.evaluate.positioning import in_words
from whowhere.models.positioning import learning
from whowhere.models.positioning.assessment import Scored, replayed
from whowhere.models.positioning.live import PhoneLocator
from whowhere.models.positioning.mtloc_model import ModelError, load_model, model_of, save_model
from whowhere.models.positioning.rounds import make_floor, make_round
from whowhere.models.positioning.walks import Walk, radio_map_of

pytest.importorskip("torch")
Model = tuple[bytes, dict[str, Any]]


@pytest.fixture(scope="module")
def walks() -> list[Walk]:
    return [make_round(make_floor(5), k, 40.0) for k in range(4)]


@pytest.fixture(scope="module")
def model(walks: list[Walk]) -> Model:
    from whowhere.models.positioning.mtloc_learning import learn
    from whowhere.models.positioning.mtloc_training import Recipe

    return learn(walks[:3], walks[3:], "mtloc", "1", "map:1", Recipe(epochs=1))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("box", [0.0, 0.0, 10.0], "four numbers"),
        ("box", None, "four numbers"),
        ("box", [0.0, 0.0, float("nan"), 5.0], "four numbers"),
        ("box", [0.0, 0.0, 0.0, 5.0], "above 0"),
        ("bssids", None, "list of texts"),
        ("ranges", {"acc": [0, 1], "mag": [0, 1]}, "two numbers for each of"),
        ("sd_m", {}, '"all"'),
        ("sd_m", {"all": -1.0}, "above 0"),
        ("hearing", {"power": 0}, "more than 0"),
        ("hearing", {"merged_s": True}, "0 or more"),
    ],
)
def test_a_card_that_does_not_fit_is_one_sentence(model: Model, tmp_path: Path, key: str, value: Any, says: str):
    path = tmp_path / "model.onnx"
    save_model(*model, path)
    assert load_model(path).label == "mtloc:1"
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**card, key: value}))
    with pytest.raises(ModelError, match=says) as raised:
        load_model(path)
    assert str(path.with_suffix(".json")) in str(raised.value)


def test_no_windows_have_no_places(model: Model):
    width = len(model[1]["bssids"])
    none = [np.zeros((0, *shape), np.float32) for shape in ((width,), (10, 2), (10, 1))]
    assert model_of(*model).predict(*none).shape == (0, 2)


def test_another_graph_is_no_mtloc_network():
    import onnx
    from onnx import helper
    from whowhere.models.positioning.mtloc_numpy import weights_of

    nodes = [
        helper.make_node("Constant", [], ["w"], value_float=1.0),
        helper.make_node("LSTM", ["x", "computed", "r"], ["y"]),
    ]
    for each in nodes:
        graph = helper.make_graph([each], "odd", [], [])
        with pytest.raises(ValueError, match="no exported MTLoc network"):
            weights_of(onnx.ModelProto(graph=graph).SerializeToString())


def test_few_seconds_prefer_nothing_to_the_simple_locator(walks: list[Walk], model: Model, monkeypatch: Any):
    """Of one figure better by far, only how long it was judged for differs."""
    off_m = {"simple": 9.0, "mtloc": 1.0}

    def judged(seconds: int) -> str:
        def as_if(locator: PhoneLocator, held: Any) -> Scored:
            error = off_m["mtloc" if locator.walking["mtloc_share"] else "simple"]
            return Scored(np.full((seconds, 2), error), np.tile(np.eye(2), (seconds, 1, 1)), ("walk",) * seconds)

        monkeypatch.setattr(learning, "replayed", as_if)
        radio_map = radio_map_of(walks[:3], "map", "1")
        alone = Scored(np.ones((1, 2)), np.eye(2)[None], ("walk",))
        return learning.choose(radio_map, model_of(*model), alone, walks[3:]).kind

    assert (judged(learning.LEAST_JUDGED_S), judged(learning.LEAST_JUDGED_S - 1)) == ("mixture", "simple")


def test_walks_of_one_source_do_not_know_each_other(walks: list[Walk]):
    locator = PhoneLocator(radio_map_of(walks[:3], "map", "1"))
    once, again = replayed(locator, walks[3:]), replayed(locator, [walks[3], walks[3]])
    assert len(once.error_m) > 10
    assert again.error_m.tobytes() == once.error_m.tobytes() * 2


def test_a_table_without_a_second_says_so():
    tables = {"walks": 2, "leave one walk out": {"on line": {"seconds": 0}}}
    assert "nothing to judge by" in in_words(tables)[-1]
