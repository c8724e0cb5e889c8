"""A model's file and card as another floor's beginning: the function its columns follow, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from whowhere.launch.evaluate import halves
from whowhere.models.positioning.mtloc_model import model_of
from whowhere.models.positioning.mtloc_windows import AS_PRINTED, ranges_of, windows_of
from whowhere.models.positioning.rounds import make_floor, make_round
from whowhere.models.positioning.walks import Walk

torch = pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("onnxruntime")

from whowhere.models.positioning import mtloc_carry as carry  # noqa: E402
from whowhere.models.positioning import mtloc_learning as learning  # noqa: E402
from whowhere.models.positioning import mtloc_training as training  # noqa: E402
from whowhere.models.positioning.mtloc_network import Mtloc  # noqa: E402


@pytest.fixture(scope="module")
def rounds() -> list[Walk]:
    torch.set_num_threads(1)
    return [make_round(make_floor(1), 100 + seed, 45.0) for seed in range(4)]


@pytest.fixture(scope="module")
def kept(rounds: list[Walk]):
    return learning.learn_to_keep(rounds[:3], rounds[3:], "kept", "1", "m:1", replace(learning.SHIPPED, epochs=6))


def windows(rounds: list[Walk], bssids: list[str]):
    hearing = learning.SHIPPED.hearing
    return windows_of(rounds, bssids, ranges_of(rounds[:3]), learning.STRIDE_S, hearing=hearing)


def test_a_file_becomes_the_network_it_was_exported_from():
    torch.manual_seed(5)
    network = Mtloc(12)
    back = carry.network_of(training.exported(network, {}))
    for name, value in network.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name


@pytest.mark.parametrize("hidden", [64, 256])
def test_a_network_of_another_width_is_refused(hidden: int):
    network = Mtloc(12)
    network.imu = torch.nn.LSTM(2, hidden, batch_first=True)
    network.joined = torch.nn.Linear(hidden + 256, 128)
    with pytest.raises(ValueError, match="other shapes"):
        carry.network_of(training.exported(network, {}))


def test_a_smooth_function_is_found_and_noise_is_not_taken_for_one():
    rng = np.random.default_rng(2)
    at, elsewhere = rng.random((60, 2)), rng.random((20, 2))
    bend = rng.normal(0, 2.0, (2, 128))
    found = carry.fitted(at, np.tanh(at @ bend))
    assert found.skill > 0.95
    assert np.abs(found.of(elsewhere) - np.tanh(elsewhere @ bend)).mean() < 0.03
    assert carry.fitted(at, rng.normal(0, 1.0, (60, 128))).skill < 0.1


def test_a_kept_network_runs_as_any_other_and_begins_as_itself_at_home(kept, rounds: list[Walk]):
    content, card = kept
    card = json.loads(json.dumps(card))  # what a reader of the file gets
    home = windows(rounds, card["bssids"])
    found = carry.carried_from(content, card)
    assert found is not None
    assert found.columns.skill > 0.95
    assert found.hearing == learning.SHIPPED.hearing
    said = model_of(content, card).predict(home.wifi, home.imu, home.mag)
    box = tuple(card["box"])
    assert card["trained_on"] == [walk.name for walk in rounds]  # the one set apart at first, too
    assert np.abs(training.places(carry.network_of(content), home, box) - said).max() < 1e-3  # m: 1e-5 of the box
    begun = found.begun(home, box)
    assert begun.wifi_1.weight.shape == (128, len(card["bssids"]))
    assert np.hypot(*(training.places(begun, home, box) - said).T).mean() < 1.0
    unheard = {**card, "heard": {**card["heard"], "at": [None, *card["heard"]["at"][1:]]}}
    assert carry.carried_from(content, unheard) is not None


def test_a_network_of_before_there_was_a_hearing_goes_on_with_the_printed_windows(kept):
    content, card = kept
    found = carry.carried_from(content, {name: card[name] for name in card if name != "hearing"})
    assert found is not None
    assert found.hearing == AS_PRINTED


def test_a_card_that_does_not_say_where_carries_no_more_than_motion(kept):
    content, card = kept
    assert carry.carried_from(content, {name: card[name] for name in card if name != "heard"}) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"at": [[0.1, 0.2]]}, "for each of"),
        ({"level": 0}, "level above 0"),
        ({"level": None}, "level above 0"),
        ({"at": "abc"}, "for each of"),
        ({"at": {"a": 1}}, "for each of"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(kept, change, says):
    content, card = kept
    with pytest.raises(ValueError, match=says):
        carry.carried_from(content, {**card, "heard": {**card["heard"], **change}})


def test_too_few_known_places_and_odd_ones_are_refused(kept):
    content, card = kept
    width = len(card["bssids"])
    for at, says in (
        ([None] * width, "too few"),
        ([[0.5]] * width, "a place or null"),
        ([["x", 0.1]] * width, "a place or null"),
        ([[float("nan"), 0.1]] * width, "a place or null"),
    ):
        with pytest.raises(ValueError, match=says):
            carry.carried_from(content, {**card, "heard": {"at": at, "level": 1.0}})


def test_halves_share_no_second_and_no_walk_is_on_both_sides(rounds: list[Walk]):
    for way in halves.WAYS:
        source, target = halves.halved(rounds, way)
        for one, other, walk in zip(source, target, rounds, strict=True):
            times = [batch.t_ns for piece in (*one, *other) for batch in piece.batches]
            assert len(times) == len(dict.fromkeys(times)) <= len(walk.batches)
            for piece in (*one, *other):
                assert len(piece.batches) >= halves.LEAST_S
                at = piece.where_m(np.array([batch.t_ns for batch in piece.batches], np.int64))
                assert at == pytest.approx(walk.where_m(np.array([b.t_ns for b in piece.batches], np.int64)))
        axis = 0 if "east" in way else 1
        middle = [np.mean([p.waypoint_m[:, axis].mean() for each in side for p in each]) for side in (source, target)]
        assert (middle[0] < middle[1]) == (way in ("west to east", "south to north"))
        parts = halves._split(rounds, way, 0)
        walks = [{piece.name.split("/")[0]: None for piece in part} for part in parts]
        assert not walks[3].keys() & (walks[0].keys() | walks[1].keys() | walks[2].keys())
        assert not walks[1].keys() & walks[2].keys()
