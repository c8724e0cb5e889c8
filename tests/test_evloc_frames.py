"""The frame simulator is what it says, and the batched matcher is the product's own: the same posterior, the same
likelihood once the engine's further unknowns are set to nothing."""

import json
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from whowhere.drivers.simulated.frames import Frames, Scene, expected_dbm, placed, simulate
from whowhere.fusion.evidence import rssi
from whowhere.fusion.evloc_frames import Estimate, LikelihoodMatcher, LikelihoodSettings
from whowhere.fusion.evloc_posterior import exclusive
from whowhere.fusion.evloc_radio import Radio, RadioMap
from whowhere.fusion.evloc_tracks import Smoother
from whowhere.fusion.posterior import marginals
from whowhere.fusion.wireless import WirelessGrid
from whowhere.launch import cli
from whowhere.sitefile import Area, Fusion, Sniffer

QUIET = Scene(exponent=2.0, readings=10)


def followed(scene: Scene, runs: int, frames: int, seed: int, **settings: Any) -> tuple[Frames, list[Estimate]]:
    simulated = simulate(scene, runs, frames, seed)
    radio = Radio(scene.reference_dbm, scene.exponent, scene.sigma_db)
    devices, bodies = simulated.rssi_dbm.shape[2], simulated.seen_m.shape[2]
    settings = {"link_error": scene.link_error} | settings
    matcher = LikelihoodMatcher(simulated.sniffers, radio, runs, devices, bodies, LikelihoodSettings(**settings))
    return simulated, [matcher.step(simulated.rssi_dbm[:, t], simulated.seen_m[:, t]) for t in range(frames)]


def beliefs(runs: int, identities: int, bodies: int, scale: float, seed: int) -> np.ndarray:
    weights = np.exp(np.random.default_rng(seed).normal(0, scale, (runs, identities, 1 + bodies)))
    return weights / weights.sum(axis=2, keepdims=True)


def enumerated(belief: np.ndarray) -> np.ndarray:
    """Marginals (N, 1 + B) by trying every assignment."""
    identities, columns = belief.shape
    options = [*range(1, columns), *[0] * identities]
    result = np.zeros_like(belief)
    for chosen in set(permutations(options, identities)):
        weight = np.prod(belief[np.arange(identities), chosen])
        result[np.arange(identities), chosen] += weight
    return result / result.sum(axis=1, keepdims=True)


def log_normal(error: np.ndarray, covariance: np.ndarray) -> float:
    _, log_volume = np.linalg.slogdet(2 * np.pi * covariance)
    return float(-0.5 * (error @ np.linalg.solve(covariance, error) + log_volume))


# the simulator


def test_a_run_is_the_same_in_every_batch():
    scene = Scene(people=4, visual_miss=0.2, link_error=0.1)
    many, one = simulate(scene, 3, 10, seed=7), simulate(scene, 1, 10, seed=9)
    for name in ("rssi_dbm", "seen_m", "owner", "place_m"):
        np.testing.assert_array_equal(getattr(many, name)[2], getattr(one, name)[0])


def test_people_walk_as_fast_as_told_and_stay_in_the_room():
    still, walking = (
        simulate(replace(QUIET, speed_mps=0.0), 5, 30, 0),
        simulate(replace(QUIET, interval_s=0.1), 5, 30, 0),
    )
    assert np.ptp(still.place_m, axis=1).max() == 0
    step = np.linalg.norm(np.diff(walking.place_m, axis=1), axis=3)
    assert np.median(step) == pytest.approx(0.2, abs=1e-9)
    assert step.max() <= 0.2 + 1e-9
    assert walking.place_m.min() >= 0
    assert walking.place_m.max() <= QUIET.side_m


def test_readings_and_sightings_scatter_as_told():
    scene = Scene(people=6, exponent=3.0, readings=4, bias_db=4.0, electronic_miss=0.3, visual_miss=0.2)
    simulated = simulate(scene, 200, 20, 0)
    error = simulated.rssi_dbm - expected_dbm(scene, simulated.sniffers, simulated.place_m)
    mean = np.nanmean(error, axis=1, keepdims=True)
    assert np.nanstd(error - mean) == pytest.approx(2.5, rel=0.06)
    assert np.nanstd(mean) == pytest.approx(4.0, rel=0.05)
    assert np.isnan(error).mean() == pytest.approx(0.3, abs=0.01)
    assert np.isnan(simulated.seen_m).mean() == pytest.approx(0.2, abs=0.01)
    seen = np.take_along_axis(simulated.seen_m, simulated.owner[..., None], axis=2) - simulated.place_m
    assert np.nanstd(seen) == pytest.approx(0.3, rel=0.02)


def test_one_link_in_ten_is_wrong_and_goes_to_a_neighbour():
    simulated = simulate(replace(QUIET, link_error=0.1), 50, 40, 0)
    changed = np.diff(simulated.owner, axis=1) != 0
    assert changed.mean() == pytest.approx(0.1, abs=0.01)
    assert (np.sort(simulated.owner, axis=2) == np.arange(10)).all()


def test_phones_of_nobody_seen_have_no_owner():
    simulated = simulate(Scene(people=5, phones=3, strangers=2), 4, 6, 0)
    assert simulated.rssi_dbm.shape == (4, 6, 5, 3)
    assert (simulated.owner[:, :, 3:] == -1).all()
    assert (simulated.owner[:, :, :3] >= 0).all()
    with pytest.raises(ValueError, match="4 phones, 3 people"):
        simulate(Scene(people=3, phones=4), 1, 1, 0)


def test_three_sniffers_stand_in_an_isosceles_triangle():
    a, b, c = placed(3, 10.0)
    assert np.linalg.norm(c - a) == pytest.approx(np.linalg.norm(c - b))
    for count in range(4, 13):
        assert len({tuple(place) for place in placed(count, 10.0)}) == count


# the batched posterior


@pytest.mark.parametrize("scale", [0.5, 2.0, 6.0])
def test_the_batched_posterior_is_the_sum_over_all_assignments(scale: float):
    belief = beliefs(4, 3, 4, scale, seed=1)
    found, _ = exclusive(belief)
    np.testing.assert_allclose(found, [enumerated(part) for part in belief], atol=1e-7)


def test_the_batched_posterior_is_the_products():
    belief = beliefs(20, 6, 7, 1.0, seed=2)
    found, _ = exclusive(belief)
    np.testing.assert_allclose(found[:, :, 1:], [marginals(part) for part in belief], atol=1e-9)


@pytest.mark.parametrize("scale", [3.0, 8.0])
def test_taking_out_the_settled_changes_nothing(scale: float):
    belief = beliefs(50, 7, 8, scale, seed=3)
    belief[:, np.arange(5), np.arange(5) + 1] *= 1e8
    belief /= belief.sum(axis=2, keepdims=True)
    quick, total = exclusive(belief)
    slow, exact = exclusive(belief, settled=-1.0)
    np.testing.assert_allclose(quick, slow, atol=1e-5)
    np.testing.assert_allclose(total, exact, atol=1e-5)


# the batched likelihood


def test_sums_of_residuals_integrate_the_bias_out_exactly():
    """The product of predictive densities is the density of all readings at once with a shared unknown bias."""
    scene = Scene(people=1, sniffers=3, bias_db=4.0)
    simulated = simulate(scene, 1, 6, 0)
    radio = Radio(scene.reference_dbm, scene.exponent, scene.sigma_db)
    settings = LikelihoodSettings(bias_grid_db=(4.0,), nobody_grid=((1e-12, 1.0),))
    matcher = LikelihoodMatcher(simulated.sniffers, radio, 1, 1, 1, settings)
    smoother = Smoother(1, 1, 1.0, scene.visual_sd_m)
    residual, noise = [], []
    before = float(matcher.evidence[0, 0])
    for t in range(6):
        matcher.step(simulated.rssi_dbm[:, t], simulated.seen_m[:, t])
        body = smoother.step(simulated.seen_m[:, t])
        distance = radio.distance_m(simulated.sniffers, body.position)[0, 0]
        residual.append(simulated.rssi_dbm[0, t, 0] - radio.expected_dbm(distance))
        slope = 10 * radio.exponent / np.log(10) / distance
        noise.append(radio.sigma_db**2 + slope**2 * body.variance[0, 0])
    at_once = sum(log_normal(np.array(residual)[:, j], np.diag(np.array(noise)[:, j]) + 16.0) for j in range(3))
    assert float(matcher.evidence[0, 0]) - before == pytest.approx(at_once, abs=1e-6)


def test_the_likelihood_is_the_engines(monkeypatch: pytest.MonkeyPatch):
    """`RssiEvidence` without common offset, direction, shadowing, blocking, drift and cap says of two bodies what the
    running sums say; the difference of two bodies, since "nobody" is modelled otherwise."""
    nothing = {
        "COMMON_SD_DB": 0.0, "DIRECTION_SD_DB": 0.0, "SHADOWING_SD_DB": 0.0, "BLOCKED_SHARE": 1e-15,
        "DRIFT_DB2_PER_S": 0.0, "CAP_NATS": 1e6, "OUTLIER": -np.inf, "STRAY_AT_FIRST": 1.0, "NOBODY_NATS": 0.0,
    }  # fmt: skip
    for name, value in nothing.items():
        monkeypatch.setattr(rssi, name, value, raising=False)
    monkeypatch.setattr("whowhere.fusion.paths.BODY_DB", 0.0)
    places = np.array([[0.0, 0.0, 1.1], [10.0, 0.0, 1.1], [5.0, 10.0, 1.1]])
    sniffers = [
        Sniffer(id=f"s{j}", source="simulated", position_m=(x, y, z), reference_dbm=-40.0, path_loss_exponent=2.0)
        for j, (x, y, z) in enumerate(places.tolist())
    ]
    grid = WirelessGrid(Area(x_m=(0.0, 10.0), y_m=(0.0, 10.0)), sniffers, 1)
    engine = rssi.RssiEvidence(Fusion(rssi_sigma_db=2.0, bias_sigma_db=4.0), sniffers, 1, grid)
    for _ in range(2):
        engine.add(np.ones((1, engine.mean.shape[1])))
    radio = Radio(-40.0, 2.0, 2.0, height_m=0.5)
    settings = LikelihoodSettings(bias_grid_db=(4.0,), nobody_grid=((1e-300, 1.0),))
    matcher = LikelihoodMatcher(places[:, :2], radio, 1, 1, 2, settings)
    smoother = Smoother(1, 2, 1.0, settings.visual_sd_m)
    said, random = 0.0, np.random.default_rng(4)
    for t in range(5):
        seen = np.array([[[2.0 + t, 3.0], [8.0 - t, 6.0]]]) + random.normal(0, 0.1, (1, 2, 2))
        reading = radio.expected_dbm(radio.distance_m(places[:, :2], seen[0, 0])) + random.normal(3, 2, 3)
        matcher.step(reading[None, None], seen)
        bodies = smoother.step(seen)
        covariance = bodies.variance[0][:, None, None] * np.eye(2)
        known = rssi.Bodies(bodies.position[0], covariance, np.zeros(2))
        for j in range(3):
            nats = engine.hear(0, j, float(reading[j]), (t + 1) * 1_000_000_000, engine.paths(j, known))
            said += float(nats[0] - nats[1])
    belief = matcher.belief[0, 0, 0]
    assert np.log(belief[1] / belief[2]) == pytest.approx(said / rssi.WORTH, rel=1e-6)


def test_the_radio_map_is_the_mean_of_the_densities_over_the_floor():
    radio, sniffers = Radio(), placed(3, 10.0)
    grid = RadioMap(radio, sniffers, 10.0)
    reading = np.array([-55.0, np.nan, -60.0])
    expected = radio.expected_dbm(radio.distance_m(sniffers, grid.cells))
    density = np.exp(-0.5 * ((reading - expected)[:, [0, 2]] ** 2).sum(axis=1) / 9) / (2 * np.pi * 9)
    place, variance, log_mean = grid.weigh(reading[None], 9.0)
    assert log_mean[0] == pytest.approx(np.log(density.mean()))
    np.testing.assert_allclose(place[0], density @ grid.cells / density.sum())
    assert variance[0] > 0


# what comes of it


def test_pairs_are_confirmed_rightly_within_frames():
    simulated, estimates = followed(QUIET, 60, 8, seed=0)
    last = estimates[-1]
    good = last.best == simulated.owner[:, -1]
    assert (good & last.confirmed).mean() > 0.95
    assert (last.confirmed & ~good).sum() <= 0.02 * last.confirmed.sum()
    np.testing.assert_allclose(last.probability.sum(axis=2), 1.0, atol=1e-9)
    assert (last.probability[:, :, 1:].sum(axis=1) <= 1 + 1e-6).all()


def test_probabilities_are_what_they_say():
    simulated, estimates = followed(replace(QUIET, exponent=3.0, readings=1, bias_db=4.0), 100, 6, seed=300)
    said = np.concatenate([e.probability[:, :, 1:].ravel() for e in estimates])
    true = np.concatenate([(simulated.owner[:, t, :, None] == np.arange(10)).ravel() for t in range(len(estimates))])
    for low, high in ((0.05, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
        inside = (said >= low) & (said < high)
        assert true[inside].mean() == pytest.approx(said[inside].mean(), abs=0.06)


def test_who_is_missed_is_carried_on_and_who_is_never_seen_is_nobody():
    simulated = simulate(replace(QUIET, speed_mps=1.0), 30, 12, seed=0)
    smoother = Smoother(30, 10, 1.0, 0.3)
    for t in range(11):
        smoother.step(simulated.seen_m[:, t])
    carried = smoother.step(np.full((30, 10, 2), np.nan))
    place = np.take_along_axis(carried.position, simulated.owner[:, 11][..., None], axis=1)
    error = np.linalg.norm(place - simulated.place_m[:, 11], axis=2)
    stayed = np.linalg.norm(simulated.place_m[:, 10] - simulated.place_m[:, 11], axis=2)
    assert np.median(error) < np.median(stayed)
    scene = replace(QUIET, people=4, phones=2, strangers=2)
    simulated, estimates = followed(scene, 30, 25, seed=0)
    assert (estimates[-1].best[:, 2:] == -1).mean() > 0.9
    assert (estimates[-1].best[:, :2] == simulated.owner[:, -1, :2]).mean() > 0.97


def test_standing_people_lose_nothing_with_time():
    simulated, estimates = followed(replace(QUIET, people=5, speed_mps=0.0), 50, 40, seed=0)
    share = [(e.confirmed & (e.best == simulated.owner[:, t])).mean() for t, e in enumerate(estimates)]
    assert min(share[30:]) >= share[15] - 0.02
    oracle = np.take_along_axis(estimates[-1].bodies, simulated.owner[:, -1][..., None, None], axis=2)[:, :, 0]
    assert np.linalg.norm(oracle - simulated.place_m[:, -1], axis=2).mean() < 0.2  # smoothed, from 0.38 m


def test_links_are_weighed_against_the_motion():
    """The probabilities that a column goes on as another are calibrated, although a tenth of the links are wrong."""
    scene = replace(QUIET, link_error=0.1)
    simulated = simulate(scene, 60, 15, seed=0)
    smoother = Smoother(60, 10, 1.0, 0.3, link_error=0.1)
    said, true = [], []
    for t in range(15):
        moved = smoother.step(simulated.seen_m[:, t]).moved
        if t > 3 and moved is not None:
            phone = np.argsort(simulated.owner[:, t - 1], axis=1)
            now = np.take_along_axis(simulated.owner[:, t], phone, axis=1)
            said.append(moved.ravel())
            true.append((now[:, :, None] == np.arange(10)).ravel())
    probability, happened = np.concatenate(said), np.concatenate(true)
    for low, high in ((0.01, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 0.99), (0.99, 1.01)):
        inside = (probability >= low) & (probability < high)
        assert happened[inside].mean() == pytest.approx(probability[inside].mean(), abs=0.06)


def test_nothing_seen_nothing_heard_and_nobody_there_are_defined():
    sniffers, radio = placed(3, 10.0), Radio()
    matcher = LikelihoodMatcher(sniffers, radio, 2, 3, 4, LikelihoodSettings())
    estimate = matcher.step(np.full((2, 3, 3), np.nan), np.full((2, 4, 2), np.nan))
    assert np.isfinite(estimate.position).all()
    assert not estimate.confirmed.any()
    empty = LikelihoodMatcher(sniffers, radio, 2, 3, 0, LikelihoodSettings())
    estimate = empty.step(np.full((2, 3, 3), -60.0), np.zeros((2, 0, 2)))
    assert (estimate.best == -1).all()
    assert np.isfinite(estimate.position).all()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_sweep_reaches_its_targets(capsys: pytest.CaptureFixture[str]):
    """Seeds used neither for tuning nor for docs/results/evloc.md; what is documented as missed is left out."""
    assert cli.main(["bench", "evloc", "--runs", "100", "--seed", "5000", "--json"]) == 0
    rows = [row for row in json.loads(capsys.readouterr().out)["rows"] if "reached" in row]
    missed = [row["case"] for row in rows if not row["reached"] and not row["low"] <= row["peer"] <= row["high"]]
    known = ("stranger", "indistinct, links", "5 dB, n=3", "frames 1-5 ")
    assert [case for case in missed if not any(part in case for part in known)] == []
