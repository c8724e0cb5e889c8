"""How scans become MTLoc's WiFi: held on, merged and to a power, in training as in use; and the recipe of its own."""

from dataclasses import replace

import numpy as np
import pytest
from whowhere.models.positioning.mtloc_model import ModelError, model_of
from whowhere.models.positioning.mtloc_windows import AS_PRINTED, Hearing, heard_together, ranges_of, windows_of
from whowhere.models.positioning.rounds import make_floor, make_round
from whowhere.models.positioning.walks import Walk, merged

torch = pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("onnxruntime")

from whowhere.models.positioning import mtloc_learning, mtloc_training  # noqa: E402

OURS = mtloc_learning.SHIPPED.hearing


@pytest.fixture(scope="module")
def rounds() -> list[Walk]:
    floor = make_floor(1)
    return [make_round(floor, seed, 60.0) for seed in range(4)]


@pytest.fixture(scope="module")
def trained(rounds: list[Walk]):
    torch.set_num_threads(1)
    return mtloc_learning.learn(rounds[:2], rounds[2:3], "r", "1", "m:1", replace(mtloc_learning.SHIPPED, epochs=2))


def test_scans_are_merged_as_those_of_the_map():
    levels = [{"a": 0.2, "b": 0.4}, {"a": 0.6}, {"b": 0.5, "c": 0.1}]
    times_s = (0.0, 3.0, 5.0)
    scans = [
        (round(t * 1e9), np.array([scan.get(name, 0.0) for name in "abc"], np.float32))
        for t, scan in zip(times_s, levels, strict=True)
    ]
    said = merged(levels[1:], [float(np.exp(-1.0)), 1.0])  # the first is 5 s old, too long
    assert heard_together(scans, Hearing(merged_s=4.5)) == pytest.approx([said["a"], said["b"], said["c"]])
    assert heard_together(scans, Hearing(power=2.0)) == pytest.approx([0.0, 0.25, 0.01])
    assert heard_together(scans, AS_PRINTED) is scans[-1][1]


def test_a_scan_held_on_is_still_said_to_be_missing(rounds: list[Walk]):
    walk = rounds[0]
    batches = tuple(b for b in walk.batches if not b.scan or b is walk.batches[0])
    once = Walk("w", batches, walk.waypoint_t_ns, walk.waypoint_m)
    bssids = tuple(name for name, _ in walk.batches[0].scan)
    printed, held = (windows_of([once], bssids, ranges_of([walk]), 1.0, hearing=h) for h in (AS_PRINTED, OURS))
    assert (printed.missing == held.missing).all()
    old = printed.missing[:, 0]
    assert not printed.wifi[old].any()
    ages_s = (held.t_ns - batches[0].t_ns) / 1e9 + batches[0].scan_age_s
    assert (held.wifi.any(axis=1) == (ages_s <= OURS.hold_s)).all()


def test_a_phone_is_heard_in_use_as_in_training(trained, rounds: list[Walk]):
    model = model_of(*trained)
    windows = windows_of(rounds[3:], model.card["bssids"], model.card["ranges"], 1.0, hearing=model.hearing)
    said = dict(zip(windows.t_ns.tolist(), model.predict(*windows[:3]), strict=True))
    again = model_of(*trained)
    compared = 0
    for batch in rounds[3].batches:
        fix = model.locate(batch)
        model.remember(batch)  # as the locator does after a fix
        again.load(model.state())
        if fix is not None and batch.scan and batch.t_ns in said and all(map(len, (batch.acc, batch.gyro, batch.mag))):
            assert fix.position_m == pytest.approx(said[batch.t_ns], abs=0.05)
            assert again.locate(batch).position_m.tolist() == fix.position_m.tolist()  # type: ignore[union-attr]
            compared += 1
    assert compared > 10


def test_a_hearing_that_is_none_is_refused(trained):
    content, card = trained
    with pytest.raises(ModelError, match="a table of hold_s, merged_s, power"):
        model_of(content, {**card, "hearing": {"power_of": 2}})
    with pytest.raises(ModelError, match=r"hearing\.power is 'two'"):
        model_of(content, {**card, "hearing": {"power": "two"}})
    older = {key: value for key, value in card.items() if key != "hearing"}
    assert model_of(content, older).hearing == AS_PRINTED


def test_what_is_left_out_leaves_the_sum_as_it_was():
    wifi, others = torch.ones(400, 50), [torch.zeros(400, 10, 2), torch.zeros(400, 10, 1)]
    recipe = mtloc_training.Recipe(wifi_dropout=0.3)
    sums = [
        float(mtloc_training.disturbed([wifi, *others], each, torch.Generator().manual_seed(1))[0].mean())
        for each in (recipe, replace(recipe, rescaled=True))
    ]
    assert sums == pytest.approx([0.7, 1.0], abs=0.02)


def test_a_falling_rate_ends_low_and_the_walks_set_apart_are_trained_on(trained, rounds: list[Walk]):
    assert mtloc_training.fallen(0.0) == 1.0
    assert mtloc_training.fallen(1.0) == pytest.approx(mtloc_training.LEAST_RATE)
    assert trained[1]["stopped_at_epoch"] == 2
    assert trained[1]["trained_on"] == [walk.name for walk in rounds[:3]]
