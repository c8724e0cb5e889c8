"""MTLoc carried whole to another floor: columns by where an access point is heard, the printed network from there."""

from dataclasses import replace

import numpy as np
import pytest
from whowhere.models.positioning.mtloc_windows import Windows, ranges_of, windows_of
from whowhere.models.positioning.rounds import make_floor, make_round
from whowhere.models.positioning.walks import Walk

torch = pytest.importorskip("torch", reason="training needs the train extra")

from whowhere.launch.evaluate import generated_rounds  # noqa: E402
from whowhere.models.positioning import mtloc_training as training  # noqa: E402
from whowhere.models.positioning import mtloc_transfer as transfer  # noqa: E402
from whowhere.models.positioning.mtloc_learning import most_heard  # noqa: E402
from whowhere.models.positioning.mtloc_network import PRINTED, counts  # noqa: E402

QUICK = training.Recipe(epochs=8)


def windows_on(rounds: list[Walk], *others: list[Walk]) -> list[Windows]:
    """Windows of the rounds, and of others with the same columns."""
    bssids, ranges = most_heard(rounds), ranges_of(rounds)
    return [windows_of(each, bssids, ranges, 1.0) for each in (rounds, *others)]


def rounds_on(floor: int, *seeds: int) -> list[Walk]:
    return [make_round(make_floor(floor), 100 * floor + seed, 60.0) for seed in seeds]


@pytest.fixture(scope="module")
def source() -> transfer.Placed:
    torch.set_num_threads(1)
    windows, held = windows_on(rounds_on(1, 0, 1, 2, 3, 4, 5), rounds_on(1, 20, 21))
    return transfer.pretrain_whole(windows, held, training.box_of(windows.place_m), replace(QUICK, epochs=40))


@pytest.fixture(scope="module")
def target() -> list[Windows]:
    """A floor's windows to train on, to stop by, to judge by."""
    return windows_on(rounds_on(2, 0, 1, 2), rounds_on(2, 20), rounds_on(2, 40, 41, 42))


def test_an_access_point_lies_where_it_is_heard_best_and_in_the_middle_if_never(target: list[Windows]):
    windows = target[0].take(np.arange(4))
    wifi = np.zeros((4, 2), np.float32)
    wifi[3, 0] = 0.5
    heard = transfer.heard_of(windows._replace(wifi=wifi), training.box_of(windows.place_m))
    unit = training.unit(windows, training.box_of(windows.place_m))
    assert heard.at[0].numpy() == pytest.approx(unit[3].numpy())
    assert heard.at[1].tolist() == [0.5, 0.5]
    assert heard.level == 0.5


def test_what_is_carried_is_the_printed_network_and_says_the_same(source: transfer.Placed, target: list[Windows]):
    windows, box = target[0], training.box_of(target[0].place_m)
    network = transfer.begun(source, windows, box)
    parts = [training.tensor(part) for part in (windows.wifi, windows.imu, windows.mag)]
    with torch.no_grad():
        apart = network(*parts) - source(*parts, transfer.heard_of(windows, box))
    assert float(apart.abs().max()) < 1e-5
    printed = {**PRINTED, "wifi_1": 128 * (windows.wifi.shape[1] + 1)}
    assert counts(network) == printed


def test_a_carried_network_needs_fewer_rounds(source: transfer.Placed, target: list[Windows]):
    windows, stop, judged = target
    box, fewer = training.box_of(windows.place_m), windows.take(windows.walk < 2)
    judged = judged.take(~judged.missing[:, 0])

    def off(network: training.Mtloc) -> float:
        return float(np.hypot(*(training.places(network, judged, box) - judged.place_m).T).mean())

    longer = replace(QUICK, epochs=12)
    tuned = [training.train(fewer, stop, box, longer, start=transfer.begun(source, fewer, box))[0] for _ in range(2)]
    assert off(tuned[0]) < off(training.train(windows, stop, box, QUICK)[0])
    for one, other in zip(tuned[0].parameters(), tuned[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_no_two_floors_share_a_route(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generated_rounds, "SECONDS", 90.0)
    floors = [generated_rounds._split(k, (60.0, 79.0), 20) for k in (2, 3, 4)]
    routes = [walk.waypoint_m.round().tobytes() for parts in floors for part in parts for walk in part]
    assert len(dict.fromkeys(routes)) == 3 * 14


def test_the_tables_hold_every_training(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generated_rounds, "SECONDS", 20.0)
    done = generated_rounds.tables([1], epochs=1, tuned=(5,))
    names = ["scratch, 8 of 8", "scratch (ours), 8 of 8", "tuned, 5 of 8", "whole, 5 of 8"]
    assert [name for name in done["test"] if "scan" not in name] == names
    assert len(done["wiped"]) == len(names) * 3 * len(generated_rounds.WIPED)
    assert len(generated_rounds.in_words(done)) == 1 + 2 * len(names) + len(done["wiped"])
