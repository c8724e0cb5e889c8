"""EV-Loc as its paper has it: the numbers of the specification, and the properties that any matching must have."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from whowhere.drivers.simulated.frames import Scene, simulate
from whowhere.fusion.evloc import EvLocSettings, frame_matcher
from whowhere.fusion.evloc_frames import LikelihoodMatcher
from whowhere.fusion.evloc_paper import PaperMatcher, PaperSettings, linked
from whowhere.fusion.evloc_radio import Radio, fused, multilaterated
from whowhere.fusion.hoeffding import (
    expected_terms,
    gamma,
    hoeffding,
    range_sigma,
    variance_terms,
    widest_terms,
)

MU, SX, SY = np.array([3.0, 5.0, 8.0]), 0.1, 0.3  # the specification's example


def pairs(draws: int, seed: int) -> np.ndarray:
    """A (draws,) of right pairs at distances MU, by the law that the paper assumes."""
    random = np.random.default_rng(seed)
    by_radio = MU * np.exp(random.normal(0, SX, (draws, 3)))
    by_camera = MU + random.normal(0, SY, (draws, 3))
    return ((by_radio - by_camera) ** 2).sum(axis=1)


def paper(scene: Scene, runs: int, frames: int, seed: int, settings: PaperSettings | None = None):
    """The simulated frames and what the paper's matcher made of the last."""
    simulated = simulate(scene, runs, frames, seed)
    radio = Radio(scene.reference_dbm, scene.exponent, scene.sigma_db)
    settings = settings or PaperSettings()
    matcher = PaperMatcher(
        simulated.sniffers, radio, runs, simulated.rssi_dbm.shape[2], simulated.seen_m.shape[2], settings
    )
    estimate = None
    for frame in range(frames):
        estimate = matcher.step(simulated.rssi_dbm[:, frame], simulated.seen_m[:, frame])
    assert estimate is not None
    return simulated, matcher, estimate


def test_expected_cost_of_a_right_pair():
    terms = expected_terms(MU, SX, SY)
    assert terms == pytest.approx([0.18159, 0.34441, 0.74128], abs=1e-4 / 3)
    assert terms.sum() == pytest.approx(1.26728, abs=1e-4)
    assert pairs(400_000, 1).mean() == pytest.approx(terms.sum(), rel=0.01)


def test_widest_differences():
    assert widest_terms(MU, SX, SY) == pytest.approx([3.8008, 7.0188, 13.6816], abs=1e-4)


@pytest.mark.parametrize(
    ("confidence", "one", "fifteen"), [(0.9, 16.996, 4.388), (0.99, 24.036, 6.206), (0.999, 29.438, 7.601)]
)
def test_hoeffding_thresholds(confidence: float, one: float, fifteen: float):
    squares = (widest_terms(MU, SX, SY) ** 2).sum()
    assert hoeffding(confidence, squares, np.array(1)) == pytest.approx(one, abs=6e-4)  # printed to three places
    assert hoeffding(confidence, 15 * squares, np.array(15)) == pytest.approx(fifteen, abs=6e-4)
    exact = np.sqrt(np.log(1 / (1 - confidence)) * (3.8008**2 + 7.0188**2 + 13.6816**2) / 2)
    assert hoeffding(confidence, squares, np.array(1)) == pytest.approx(exact, abs=1e-3)


def test_variance_and_gamma_quantile_of_a_right_pair():
    cost = pairs(400_000, 2)
    expected, variance = expected_terms(MU, SX, SY).sum(), variance_terms(MU, SX, SY).sum()
    assert cost.var() == pytest.approx(variance, rel=0.03)
    assert np.mean(cost - expected > gamma(0.99, expected, variance, np.array(1))) == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize("confidence", [0.9, 0.99, 0.999])
def test_no_right_pair_exceeds_hoeffdings_threshold_more_often_than_it_says(confidence: float):
    expected, squares = expected_terms(MU, SX, SY).sum(), (widest_terms(MU, SX, SY) ** 2).sum()
    one = pairs(200_000, 3) - expected
    assert np.mean(one >= hoeffding(confidence, squares, np.array(1))) <= 1 - confidence
    fifteen = one[:199_995].reshape(-1, 15).mean(axis=1)
    assert np.mean(fifteen >= hoeffding(confidence, 15 * squares, np.array(15))) <= 1 - confidence


def test_range_sigma_of_the_fields_setting():
    assert range_sigma(5 / np.sqrt(100), 2.0) == pytest.approx(0.0576, abs=1e-4)
    assert range_sigma(5 / np.sqrt(10), 2.0) == pytest.approx(0.182, abs=1e-3)


def test_five_people_fifteen_frames_are_all_matched():
    simulated, _, estimate = paper(Scene(people=5, readings=100), runs=200, frames=15, seed=0)
    assert (estimate.best == simulated.owner[:, -1]).all(axis=1).mean() >= 0.9


def test_one_person_gone_leaves_four_right_and_forces_none():
    simulated, _, estimate = paper(Scene(people=4, strangers=1, readings=100), runs=100, frames=15, seed=0)
    owner = simulated.owner[:, -1]
    assert (estimate.best[:, :4] == owner[:, :4]).all(axis=1).mean() >= 0.9
    assert not estimate.confirmed[:, 4].any()
    assert (estimate.best[:, 4] == -1).mean() >= 0.9
    wireless = estimate.wireless[:, 4]
    np.testing.assert_array_equal(estimate.position[:, 4], wireless)  # keeps its electronic position


@pytest.mark.parametrize("settings", [EvLocSettings(), EvLocSettings("squared", "hoeffding")], ids=["ours", "paper"])
def test_permuting_the_bodies_permutes_the_matching(settings: EvLocSettings):
    scene = Scene(people=6, exponent=3.0, readings=4)
    simulated = simulate(scene, 20, 6, seed=5)
    order = np.random.default_rng(1).permutation(6)
    radio = Radio(scene.reference_dbm, scene.exponent, scene.sigma_db)
    straight, mixed = (frame_matcher(simulated.sniffers, radio, 20, 6, 6, settings) for _ in range(2))
    for frame in range(6):
        one = straight.step(simulated.rssi_dbm[:, frame], simulated.seen_m[:, frame])
        other = mixed.step(simulated.rssi_dbm[:, frame], simulated.seen_m[:, frame][:, order])
        np.testing.assert_array_equal(np.where(other.best >= 0, order[other.best], -1), one.best)
        np.testing.assert_allclose(other.position, one.position, atol=1e-6)


def test_the_kept_up_matching_costs_what_a_cold_one_does():
    scene = Scene(people=8, exponent=3.0, readings=1)
    simulated = simulate(scene, 10, 20, seed=9)
    radio = Radio(scene.reference_dbm, scene.exponent, scene.sigma_db)
    matcher = PaperMatcher(simulated.sniffers, radio, 10, 8, 8, PaperSettings())
    for frame in range(20):
        estimate = matcher.step(simulated.rssi_dbm[:, frame], simulated.seen_m[:, frame])
        for run in range(10):
            if (estimate.best[run] < 0).any():
                continue
            rows, columns = linear_sum_assignment(matcher.cost[run])
            cold = matcher.cost[run][rows, columns].sum()
            warm = matcher.cost[run][np.arange(8), estimate.best[run]].sum()
            assert warm == pytest.approx(cold, rel=1e-9)


def test_gates_differ_in_when_and_not_in_what():
    scene = Scene(people=5, readings=100)
    _, _, loose = paper(scene, 50, 10, 3)
    _, _, tight = paper(scene, 50, 10, 3, PaperSettings(gate="empirical"))
    np.testing.assert_array_equal(loose.best, tight.best)
    assert tight.confirmed.sum() > loose.confirmed.sum()


def test_the_fused_place_lies_between_the_two_and_nearer_the_surer():
    electronic, visual = np.array([[0.0, 0.0]]), np.array([[4.0, 2.0]])
    place, variance = fused(electronic, np.array([3.0]), visual, np.array([1.0]))
    np.testing.assert_allclose(place, [[3.0, 1.5]])  # alpha 1/4, beta 3/4
    assert variance == pytest.approx(0.75)
    _, matcher, estimate = paper(Scene(people=3, readings=100), 20, 15, 0)
    assert isinstance(matcher, PaperMatcher)
    assert estimate.confirmed.any()


def test_multilateration_finds_a_place_from_true_distances():
    sniffers = np.array([[0.0, 0.0], [10.0, 0.0], [5.0, 10.0]])
    places = np.random.default_rng(0).uniform(0, 10, (50, 2))
    ranges = np.linalg.norm(places[:, None] - sniffers, axis=2)
    found, _ = multilaterated(sniffers, ranges, 0.1, np.array([5.0, 5.0]))
    np.testing.assert_allclose(found, places, atol=1e-5)


@pytest.mark.parametrize(("exponent", "readings", "mean_m"), [(2.0, 10, 1.64), (2.0, 1, 5.43), (3.0, 1, 3.54)])
def test_multilateration_is_as_far_off_as_the_specification_measured(exponent: float, readings: int, mean_m: float):
    simulated, _, estimate = paper(Scene(exponent=exponent, readings=readings), 100, 3, 0)
    error = np.linalg.norm(estimate.wireless - simulated.place_m[:, -1], axis=2).mean()
    assert error == pytest.approx(mean_m, rel=0.15)


def test_histograms_link_to_the_likest():
    random = np.random.default_rng(0)
    before = random.dirichlet(np.full(256, 0.2), 5)
    order = random.permutation(5)
    after = 0.9 * before[order] + 0.1 / 256
    mates, distance = linked(before, after)
    np.testing.assert_array_equal(order[mates], np.arange(5))
    assert distance.min() >= 0
    assert distance.max() <= 1
    assert linked(before, before)[1].diagonal() == pytest.approx(0, abs=1e-7)
    best = min(sum(distance[i, p[i]] for i in range(5)) for p in permutations(range(5)))
    assert distance[np.arange(5), mates].sum() == pytest.approx(best)


def test_a_cost_and_a_gate_that_do_not_go_together_are_refused():
    radio, sniffers = Radio(), np.zeros((3, 2))
    assert isinstance(frame_matcher(sniffers, radio, 1, 1, 1), LikelihoodMatcher)
    with pytest.raises(ValueError, match="does not go with"):
        frame_matcher(sniffers, radio, 1, 1, 1, EvLocSettings("squared", "posterior"))
