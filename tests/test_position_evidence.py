"""Phones' own positions as a witness: lasting errors say little, movement says much, strangers are thought of."""

import numpy as np
import pytest
from whowhere.fusion import state as packing
from whowhere.fusion.evidence.columns import Bodies
from whowhere.fusion.evidence.position import CAP_NATS, LATEST_S, PositionEvidence
from whowhere.fusion.wireless import WirelessGrid
from whowhere.messages import PhonePosition
from whowhere.sitefile import Area

AREA = Area(x_m=(0.0, 12.0), y_m=(0.0, 10.0))
START_NS = 1_800_000_000_000_000_000


def evidence() -> PositionEvidence:
    return PositionEvidence(AREA, [[0]], {0: 0}, WirelessGrid(AREA, (), 1))


def says(place: np.ndarray, at_s: float, sd_m: float = 3.0) -> PhonePosition:
    x, y = np.asarray(place, float).tolist()
    t_ns = START_NS + round(at_s * 1e9)
    return PhonePosition(source="phone", t_ns=t_ns, x_m=x, y_m=y, covariance_m2=(sd_m**2, 0.0, sd_m**2))


def at(*places: np.ndarray) -> Bodies:
    position = np.array(places, float)
    return Bodies(position, np.tile(0.04 * np.eye(2), (len(position), 1, 1)), np.zeros(len(position)))


def heard(paths: list[np.ndarray], phone: np.ndarray, sd_m: float = 3.0) -> np.ndarray:
    """The sum of what the positions (T, 2) say about bodies on paths (T, 2), in nats (K,)."""
    witness = evidence()
    for _ in paths:
        witness.add(np.ones((1, witness.mean.shape[1])))
    told = [
        witness.hear(0, says(place, second, sd_m), at(*(path[second] for path in paths)))
        for second, place in enumerate(phone)
    ]
    return np.sum(told, axis=0)


def still(x: float, y: float, seconds: int) -> np.ndarray:
    return np.tile([x, y], (seconds, 1)).astype(float)


def walk(start: tuple[float, float], velocity: tuple[float, float], seconds: int) -> np.ndarray:
    return np.array(start) + np.arange(seconds)[:, None] * np.array(velocity)


def test_who_moves_as_the_phone_does_is_told_from_a_nearer_one_who_does_not() -> None:
    """The phone is 3 m wrong all along; the stranger stands where it says at first."""
    carrier = walk((2.0, 2.0), (0.9, 0.0), 9)
    stranger = still(2.0, 5.0, 9)
    carried, other = heard([carrier, stranger], carrier + np.array([0.0, 3.0]))
    assert carried > other + 2.0


def test_an_error_that_lasts_is_counted_once() -> None:
    """Two who stand 3 m apart: a minute of positions beside one of them says hardly more than the first few."""
    paths = [still(4.0, 5.0, 60), still(7.0, 5.0, 60)]
    minute, begin = heard(paths, still(4.0, 5.0, 60)), heard([p[:3] for p in paths], still(4.0, 5.0, 3))
    assert minute[0] > minute[1]
    independent = 20 * (begin[0] - begin[1])
    assert minute[0] - minute[1] < 0.5 * independent


def test_a_stranger_who_stands_there_explains_a_phone_that_stands_as_well() -> None:
    """An owner whom nobody sees, standing for half a minute 4 m from somebody: no proof that they are that one."""
    assert heard([still(4.0, 5.0, 30)], still(8.0, 5.0, 30))[0] < 1.5


def test_a_walk_that_a_body_walks_too_is_not_a_strangers() -> None:
    path = np.concatenate((walk((1.0, 1.0), (1.1, 0.0), 9), walk((10.0, 2.0), (0.0, 1.1), 7)))
    assert heard([path], path + np.array([1.0, -1.0]))[0] > 3.0


def test_one_position_says_no_more_than_the_cap_and_an_outlier_names_nobody() -> None:
    near, far = heard([still(4.0, 5.0, 1), still(11.0, 9.0, 1)], still(4.0, 5.0, 1), sd_m=0.3)
    assert near == CAP_NATS
    assert far >= -CAP_NATS
    witness = evidence()
    witness.add(np.ones((1, 1)))
    for second in range(5):
        witness.hear(0, says(np.array([4.0, 5.0]), second, 0.5), at(np.array([4.0, 5.0])))
    before = witness.mean.copy()
    nats = witness.hear(0, says(np.array([11.0, 1.0]), 5, 0.5), at(np.array([4.0, 5.0])))
    assert abs(nats[0]) < 1.0
    assert np.abs(witness.mean - before).max() < 0.5


def test_where_cameras_look_nobody_unseen_is_thought_of() -> None:
    """The same position beside the same body says more for it in a place that is watched."""
    nats = []
    for watched in (False, True):
        grid = WirelessGrid(AREA, (), 1)
        if watched:
            grid.watch(grid.cells[..., 0] < 8.0)
        for second in range(8):
            grid.advance(START_NS + second * 1_000_000_000)
        witness = PositionEvidence(AREA, [[0]], {0: 0}, grid)
        witness.add(np.ones((1, 1)))
        nats.append(witness.hear(0, says(np.array([3.0, 5.0]), 8, 1.5), at(np.array([3.5, 5.0])))[0])
    assert nats[1] > nats[0] + 0.5


def test_where_the_owner_was_lost_somebody_unseen_is_thought_of() -> None:
    nats = []
    for is_left in (False, True):
        witness = evidence()
        if is_left:
            witness.leave([0], np.array([3.0, 5.0]), 0.9)
        witness.add(np.ones((1, 1)))
        nats.append(witness.hear(0, says(np.array([3.0, 5.0]), 0, 1.5), at(np.array([4.5, 5.0])))[0])
    assert nats[1] < nats[0] - 1.0


@pytest.mark.parametrize(
    ("place", "at_s", "now_s", "why"),
    [
        ((3.0, 5.0), 10.0, 10.0, ""),
        ((3.0, 5.0), 10.0, 10.0 + LATEST_S + 0.1, "too_late"),
        ((3.0, 5.0), 8.0, 10.0, "too_late"),  # older than one that was used
        ((3.0, 5.0), 9.1, 10.0, "too_soon"),
        ((2_000.0, 5.0), 10.0, 10.0, "absurd"),
        ((-20.0, 5.0), 10.0, 10.0, ""),  # sd 3 m: perhaps in the street
    ],
)
def test_positions_that_say_nothing_are_refused(
    place: tuple[float, float], at_s: float, now_s: float, why: str
) -> None:
    witness = evidence()
    witness.add(np.ones((1, 1)))
    witness.hear(0, says(np.array([3.0, 5.0]), 9.0), at(np.array([3.0, 5.0])))
    assert witness.refusal(0, says(np.array(place), at_s), START_NS + round(now_s * 1e9)) == why


def test_state_comes_back_bit_for_bit() -> None:
    witness, again = evidence(), evidence()
    witness.add(np.ones((1, 1)))
    for second in range(4):
        witness.hear(0, says(np.array([3.0 + second, 5.0]), second), at(np.array([3.0, 5.0])))
    again.load(packing.unpack(packing.pack(witness.state())))
    place = says(np.array([7.0, 5.0]), 4)
    assert witness.hear(0, place, at(np.array([3.0, 5.0]))) == again.hear(0, place, at(np.array([3.0, 5.0])))
