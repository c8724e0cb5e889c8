"""The evidence of gait signatures: closed form against numbers drawn from the model, twins, nobody, calibration."""

import numpy as np
import pytest
from whowhere.models.gait.identification import Ranked, beliefs, ranked
from whowhere.models.gait.latent import evidence, pair_ratios, probabilities, ratios

K = 6


def drawn(people: int, precision: float, seed: int, walks: int = 2):
    """Signatures (walks,P,K) of people from the very model."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(people, K))
    seen = z + rng.normal(size=(walks, people, K)) / np.sqrt(precision)
    return precision * seen, np.full(seen.shape, precision)


def test_the_closed_form_is_the_integral_over_the_hidden_number():
    z = np.linspace(-12, 12, 20001)
    prior = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

    def integral(eta: float, precision: float) -> float:
        return float(np.log(np.trapezoid(prior * np.exp(eta * z - precision * z**2 / 2), z)))

    for eta, precision in ((0.3, 0.5), (-4.0, 3.0), (0.0, 0.0)):
        assert evidence(np.array([eta]), np.array([precision])) == pytest.approx(integral(eta, precision), abs=1e-6)


def test_a_signature_that_says_nothing_gives_zero_and_order_does_not_matter():
    eta, precision = drawn(5, 3.0, 0)
    nothing = np.zeros(K)
    assert ratios(nothing, nothing, eta[0], precision[0]) == pytest.approx(np.zeros(5))
    one = pair_ratios(eta[0], precision[0], eta[1], precision[1])
    assert one == pytest.approx(pair_ratios(eta[1], precision[1], eta[0], precision[0]).T)


def test_ratios_of_the_very_model_are_calibrated_and_walks_add_up():
    eta, precision = drawn(600, 1.5, 1, walks=6)
    one = pair_ratios(eta[0], precision[0], eta[1], precision[1])
    three = pair_ratios(eta[:3].sum(0), precision[:3].sum(0), eta[3:].sum(0), precision[3:].sum(0))
    assert ranked(three, 18, 50, 0).top() > ranked(one, 18, 50, 0).top() + 0.15
    for matrix in (one, three):
        assert beliefs(matrix, 18, 4000, 0).calibration_error() < 0.03


def test_shuffled_labels_rank_by_chance():
    eta, precision = drawn(400, 3.0, 2)
    order = np.random.default_rng(3).permutation(400)
    matrix = pair_ratios(eta[0], precision[0], eta[1][order], precision[1][order])
    assert ranked(matrix, 20, 100, 0).top() == pytest.approx(1 / 20, abs=0.02)


def test_ties_count_against_and_the_curve_rises():
    assert ranked(np.zeros((10, 10)), 10, 1, 0).top() == 0.0
    assert ranked(np.eye(10), 10, 1, 0).top() == 1.0
    curve = Ranked(np.array([0, 1, 5, 20]), np.zeros(4, int)).curve()
    assert curve[[0, 1, 9]].tolist() == [0.25, 0.5, 0.75]


def test_twins_share_an_empty_gallery_is_nobody_and_ten_thousand_are_quick():
    chance = probabilities(np.array([8.0, 8.0, -3.0]), 0.5)
    assert chance[0] == pytest.approx(chance[1])
    assert chance[0] < 0.5
    assert probabilities(np.zeros(0), 0.5).tolist() == [1.0]
    many = probabilities(np.zeros(10_000), 0.5)
    assert many[-1] == pytest.approx(0.5)
    assert many.sum() == pytest.approx(1.0)
