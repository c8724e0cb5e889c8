"""EV-Loc on frames, done our way, for many runs at once: evidence in dB from smoothed tracks, an unknown bias of each
(device, sniffer) integrated out in closed form, exact posterior over all one-to-one assignments with "nobody" and "no
phone" in them, confirmation by that posterior. The engine does the same on streams (`evidence/rssi.py`,
`posterior.py`); this is what the frame evaluation measures, and it is held to the engine's formulae by tests.

How large biases are is not told to it: each of `bias_grid_db` is a hypothesis about the whole site, weighed by how
well all assignments together explain all readings under it.
"""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .evloc_posterior import exclusive
from .evloc_radio import Radio, RadioMap, fused
from .evloc_tracks import Sighted, Smoother
from .geometry import Floats

NEGLIGIBLE_NATS = 16.0  # a bias hypothesis this far behind is left out of the mean


@dataclass(frozen=True)
class LikelihoodSettings:
    """What our matcher assumes of a site."""

    bias_grid_db: tuple[float, ...] = (0.0, 4.0)
    nobody_grid: tuple[tuple[float, float], ...] = ((0.002, 0.9), (0.2, 0.1))  # (share of such devices, prior of that)
    confirm: float = 0.95
    release: float = 0.6
    interval_s: float = 1.0
    visual_sd_m: float = 0.3
    link_error: float = 0.0  # share of wrong links from frame to frame; 0 = the linker is trusted
    side_m: float = 10.0


class Estimate(NamedTuple):
    """After a frame: for each of R runs and N devices over B bodies."""

    probability: Floats  # (R, N, 1 + B), column 0 = nobody
    best: NDArray[np.intp]  # (R, N) the body, -1 = nobody
    confirmed: NDArray[np.bool_]  # (R, N)
    position: Floats  # (R, N, 2) m, what is published
    variance: Floats  # (R, N) m2 of each coordinate
    trusted: Floats  # (R, N, 2) what would be published were `best` always believed
    bodies: Floats  # (R, N, B, 2) the fused place of each device if it is on each body
    wireless: Floats  # (R, N, 2) by radio alone


class LikelihoodMatcher:
    """State: belief (H,R,N,1+B) of each device on its own under each bias hypothesis, the log evidence (H,R) of all
    readings so far, and the running sums of residuals (R,N,B,J), `count` and `total`, in units of 1 / dB2."""

    def __init__(
        self, sniffers: Floats, radio: Radio, runs: int, devices: int, bodies: int, settings: LikelihoodSettings
    ) -> None:
        self._sniffers, self._radio, self._settings = sniffers, radio, settings
        self._map = RadioMap(radio, sniffers, settings.side_m)
        self.smoother = Smoother(runs, bodies, settings.interval_s, settings.visual_sd_m, settings.link_error)
        self._hypotheses = tuple(product(settings.bias_grid_db, settings.nobody_grid))
        hypotheses = len(self._hypotheses)
        self.belief = np.empty((hypotheses, runs, devices, 1 + bodies))
        self.evidence = np.empty((hypotheses, runs))
        for h, (_, (nobody, prior)) in enumerate(self._hypotheses):
            left = max(bodies - (devices - 1) * (1 - nobody), 1.0)  # bodies for a device once the others have theirs
            row = np.append(nobody, np.full(bodies, (1 - nobody) / left))
            self.belief[h] = row / row.sum()
            self.evidence[h] = np.log(prior) - np.nan_to_num(exclusive(self.belief[h, :1])[1])
        self.count = np.zeros((runs, devices, bodies, len(sniffers)))
        self.total = np.zeros_like(self.count)
        self._share = np.full((hypotheses, runs), 1.0 / hypotheses)
        self._held = np.full((runs, devices), -1, np.intp)  # the body confirmed, -1 = none
        self._wireless = np.full((runs, devices, 2), settings.side_m / 2)
        self._wireless_variance = np.full((runs, devices), settings.side_m**2 / 12)

    def step(self, rssi_dbm: Floats, seen: Floats) -> Estimate:
        """One frame: mean readings (R,N,J), NaN = not heard, and sightings (R,B,2), NaN = missed."""
        sighted = self.smoother.step(seen)
        if sighted.moved is not None:
            self._pass_on(sighted.moved)
        log_fit, unseen = self._emission(rssi_dbm, sighted)
        for h, (bias_db, _) in enumerate(self._hypotheses):
            b = self._settings.bias_grid_db.index(bias_db)
            weight = np.concatenate((unseen[b][..., None], log_fit[b]), axis=-1)
            highest = weight.max(axis=-1, keepdims=True)
            belief = self.belief[h] * np.exp(weight - highest)
            normaliser = np.maximum(belief.sum(axis=-1, keepdims=True), 1e-300)
            self.belief[h] = belief / normaliser
            self.evidence[h] += (np.log(normaliser) + highest).sum(axis=(1, 2))
        probability = self._exclusive()
        return self._estimate(probability, sighted)

    def _pass_on(self, moved: Floats) -> None:
        """Who was in one column may now be in another, (R,B,B): belief and residual sums go with them. Sums of a
        mixture are mixed as if they were one Gaussian's, which is exact where `moved` is 0 or 1."""
        belief = np.einsum("hr,hrnk->rnk", self._share, self.belief[..., 1:])
        flow = belief[..., None] * moved[:, None]  # (R, N, from, to)
        flow /= np.maximum(flow.sum(axis=2, keepdims=True), 1e-300)
        self.count = np.einsum("rnft,rnfj->rntj", flow, self.count)
        self.total = np.einsum("rnft,rnfj->rntj", flow, self.total)
        self.belief[..., 1:] = np.einsum("hrnf,rft->hrnt", self.belief[..., 1:], moved)
        self._held = np.where(
            self._held >= 0,
            np.take_along_axis(moved.argmax(axis=2), np.maximum(self._held, 0), axis=1),
            -1,
        )

    def _emission(self, rssi_dbm: Floats, sighted: Sighted) -> tuple[Floats, Floats]:
        """Predictive log-density of the readings under each bias hypothesis, for each body (H,R,N,B) and for nobody
        (H,R,N); the sums learn. Also keeps the place by radio alone."""
        sigma_db2 = self._radio.sigma_db**2
        distance = self._radio.distance_m(self._sniffers, sighted.position)  # (R,B,J)
        slope = 10 * self._radio.exponent / np.log(10) / distance
        vague = slope**2 * sighted.variance[..., None]
        heard = np.isfinite(rssi_dbm)[:, :, None, :]
        residual = np.where(heard, rssi_dbm[:, :, None, :], 0.0) - self._radio.expected_dbm(distance)[:, None]
        noise = (sigma_db2 + vague)[:, None]
        known = sighted.known[:, None, :]
        log_fit, maps = [], []
        for bias_db in self._settings.bias_grid_db:
            learned = self.count + 1 / bias_db**2 if bias_db else np.full((1, 1, 1, 1), np.inf)
            mean = self.total / learned
            variance = noise + 1 / learned
            density = -0.5 * ((residual - mean) ** 2 / variance + np.log(2 * np.pi * variance))
            maps.append(self._map.weigh(rssi_dbm, float(sigma_db2 + bias_db**2)))
            log_fit.append(np.where(known, np.where(heard, density, 0.0).sum(axis=-1), maps[-1][2][..., None]))
        used = heard & known[..., None]
        self.count += np.where(used, 1 / noise, 0.0)
        self.total += np.where(used, residual / noise, 0.0)
        self._place_by_radio(np.asarray(heard.any(axis=(2, 3))), maps)
        return np.stack(log_fit), np.stack([unseen for _, _, unseen in maps])

    def _place_by_radio(self, heard: NDArray[np.bool_], maps: list[tuple[Floats, Floats, Floats]]) -> None:
        """Mean and variance of each device's place by this frame's radio alone, under the likeliest bias; who was not
        heard (R,N) stays where they last were, and that fades."""
        biases = [self._settings.bias_grid_db.index(bias_db) for bias_db, _ in self._hypotheses]
        likely = np.array(biases)[self._share.argmax(axis=0)]
        for b, (place, variance, _) in enumerate(maps):
            at = heard & (likely == b)[:, None]
            self._wireless[at], self._wireless_variance[at] = place[at], variance[at]
        fading = np.minimum(self._wireless_variance + 4.0, self._settings.side_m**2 / 12)
        self._wireless_variance = np.where(heard, self._wireless_variance, fading)

    def _exclusive(self) -> Floats:
        """Marginals (R,N,1+B) under exclusivity, averaged over the bias hypotheses by their evidence. A hypothesis is
        left out where even its bound, the evidence before exclusivity, is far behind."""
        hypotheses, runs = self.evidence.shape
        score = np.full((hypotheses, runs), -np.inf)
        marginal = np.zeros_like(self.belief)
        order = np.argsort(-self.evidence, axis=0, kind="stable")
        for rank in range(hypotheses):
            ahead = score.max(axis=0) - NEGLIGIBLE_NATS
            for h in range(hypotheses):
                at = np.flatnonzero((order[rank] == h) & (self.evidence[h] > ahead))
                if at.size:
                    marginal[h, at], total = exclusive(self.belief[h, at])
                    score[h, at] = self.evidence[h, at] + np.nan_to_num(total)
        share = np.exp(score - score.max(axis=0))
        self._share = share / share.sum(axis=0)
        return np.einsum("hr,hrnk->rnk", self._share, marginal)

    def _estimate(self, probability: Floats, sighted: Sighted) -> Estimate:
        best = probability.argmax(axis=2) - 1
        certainty = probability.max(axis=2)
        bar = np.where(best == self._held, self._settings.release, self._settings.confirm)
        sure = (certainty >= bar) & (best >= 0)
        self._held = np.where(sure, best, -1)
        wireless, spread = self._wireless[:, :, None], self._wireless_variance[:, :, None]
        known = sighted.known[:, None, :, None]
        place, variance = fused(wireless, spread, sighted.position[:, None], sighted.variance[:, None])
        place = np.where(known, place, wireless)
        variance = np.where(known[..., 0], variance, spread)
        options = np.concatenate((wireless, place), axis=2)
        variances = np.concatenate((spread, variance), axis=2)
        mean = np.einsum("rnk,rnkx->rnx", probability, options)
        apart = ((options - mean[:, :, None]) ** 2).mean(axis=3)
        mixed = (probability * (variances + apart)).sum(axis=2)
        chosen = (best + 1)[..., None]
        trusted = np.take_along_axis(options, chosen[..., None], axis=2)[:, :, 0]
        alone = np.take_along_axis(variances, chosen, axis=2)[..., 0]
        position = np.where(sure[..., None], trusted, mean)
        return Estimate(
            probability, best, sure, position, np.where(sure, alone, mixed), trusted, place, wireless[:, :, 0]
        )
