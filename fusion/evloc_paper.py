"""EV-Loc as its paper has it, on frames, for many runs at once: squared differences between distances by radio and
distances by camera, summed over frames; the least-cost matching kept by the incremental Hungarian algorithm; a pair
accepted when its mean cost lies below one threshold and all others of its identity above another. Kept for comparison:
what the product does is in `evloc_frames.py` and in the engine.

Source: EV-Loc (paper), equations 1, 2, 4 and 7; thresholds in `hoeffding.py`; the specification, section 2, resolves
the paper's slips.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .assignment import IncrementalAssignment
from .evloc_frames import Estimate
from .evloc_radio import Radio, fused, multilaterated
from .geometry import Floats
from .hoeffding import expected_terms, gamma, hoeffding, range_sigma, variance_terms, widest_terms


@dataclass(frozen=True)
class PaperSettings:
    """c1 of the same-pair threshold, c2 of the separation, the forgetting factor g of C(t) = g C(t - 1) + A(t)."""

    gate: Literal["hoeffding", "empirical"] = "hoeffding"
    c1: float = 0.999
    c2: float = 0.95
    forgetting: float = 1.0
    visual_sd_m: float = 0.3
    side_m: float = 10.0


class PaperMatcher:
    """State, each (R,N,B): `cost` C, `expected` E, `squares` S, `variance` and `frames` m of each pair, summed over the
    frames in which both were there; the assignments' potentials; where the radio alone last had each device."""

    def __init__(
        self, sniffers: Floats, radio: Radio, runs: int, devices: int, bodies: int, settings: PaperSettings
    ) -> None:
        self._sniffers, self._radio, self._settings = sniffers, radio, settings
        self._sx = range_sigma(radio.sigma_db, radio.exponent)
        shape = (runs, devices, bodies)
        self.cost, self.expected, self.squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.variance, self.frames = np.zeros(shape), np.zeros(shape)
        self._assignments = [IncrementalAssignment() for _ in range(runs)]
        self._wireless = np.full((runs, devices, 2), settings.side_m / 2)
        self._wireless_variance = np.full((runs, devices), settings.side_m**2 / 12)

    def step(self, rssi_dbm: Floats, seen: Floats) -> Estimate:
        """One frame: mean readings (R,N,J), NaN = not heard, and sightings (R,B,2), NaN = missed."""
        ranges = self._radio.range_m(rssi_dbm)
        visual = np.linalg.norm(seen[:, :, None] - self._sniffers, axis=3)
        self._add(ranges, visual)
        mates = self._match()
        accepted = self._accept(mates)
        self._place_by_radio(ranges)
        return self._estimate(mates, accepted, seen)

    def _add(self, ranges: Floats, visual: Floats) -> None:
        """Equation 4 and the moments of a right pair, the body's place taken where the camera has it."""
        keep, sx, sy = self._settings.forgetting, self._sx, self._settings.visual_sd_m
        difference = (ranges[:, :, None] - visual[:, None]) ** 2
        there = np.isfinite(difference)
        mu = np.where(np.isfinite(visual), visual, 0.0)

        def total(terms: Floats) -> Floats:
            return np.where(there, np.broadcast_to(terms, there.shape), 0.0).sum(axis=3)

        self.cost = keep * self.cost + total(difference)
        self.expected = keep * self.expected + total(expected_terms(mu, sx, sy)[:, None])
        self.squares = keep**2 * self.squares + total(widest_terms(mu, sx, sy)[:, None] ** 2)
        self.variance = keep**2 * self.variance + total(variance_terms(mu, sx, sy)[:, None])
        self.frames = keep * self.frames + there.any(axis=3)

    def _threshold(self, confidence: float) -> Floats:
        """(R,N,B) how far the mean cost of a right pair may lie above its expectation."""
        if self._settings.gate == "hoeffding":
            return hoeffding(confidence, self.squares, self.frames)
        return gamma(confidence, self.expected, self.variance, self.frames)

    def _match(self) -> NDArray[np.intp]:
        """(R,N) the column of each device, -1 = nobody, by equation 1. A pair seen together in fewer frames than others
        counts as if it had gone on as so far; the dummy's cost is the most that a right pair may cost."""
        runs, devices, bodies = self.cost.shape
        mates = np.full((runs, devices), -1, np.intp)
        if not bodies or not devices:
            return mates
        met = self.frames > 0
        frames = self.frames.max(axis=2, keepdims=True)
        scale = frames / np.maximum(self.frames, 1e-9)
        cost = np.where(met, self.cost * scale, np.inf)
        limit = np.where(met, self.expected * scale + self._threshold(self._settings.c1) * frames, 0.0)
        reject = np.maximum(limit.max(axis=2), 1e-6)
        rows, columns = list(range(devices)), list(range(bodies))
        for run, assignment in enumerate(self._assignments):
            mates[run] = assignment.solve(rows, columns, cost[run], reject[run]).mates
        return np.where(mates < bodies, mates, -1)

    def _accept(self, mates: NDArray[np.intp]) -> NDArray[np.bool_]:
        """(R,N) pairs of which (1) the mean cost is at most t1 above its expectation and (2) every other body's is more
        than t2 above it."""
        frames = np.maximum(self.frames, 1e-9)
        mean, expected = self.cost / frames, self.expected / frames
        at = np.maximum(mates, 0)[..., None]
        if not self.cost.shape[2]:
            return np.zeros(mates.shape, np.bool_)

        def of_pair(values: Floats) -> Floats:
            return np.take_along_axis(values, at, axis=2)[..., 0]

        near = of_pair(mean) - of_pair(expected) <= of_pair(self._threshold(self._settings.c1))
        limit = of_pair(expected) + of_pair(self._threshold(self._settings.c2))
        others = np.where(self.frames > 0, mean, np.inf)
        np.put_along_axis(others, at, np.inf, axis=2)
        apart = others.min(axis=2) > limit
        return (mates >= 0) & (of_pair(self.frames) > 0) & near & apart

    def _place_by_radio(self, ranges: Floats) -> None:
        """Multilateration of what was heard in this frame; who was not heard stays where they last were."""
        heard = np.isfinite(ranges).sum(axis=2) >= 2
        start = np.full(2, self._settings.side_m / 2)
        place, variance = multilaterated(self._sniffers, ranges[heard], self._sx, start)
        self._wireless[heard], self._wireless_variance[heard] = place, variance

    def _estimate(self, mates: NDArray[np.intp], accepted: NDArray[np.bool_], seen: Floats) -> Estimate:
        """Accepted pairs are published fused (equation 2), all others where their radio has them."""
        runs, devices, bodies = self.cost.shape
        if not bodies:
            seen = np.full((runs, 1, 2), np.nan)
        at = np.broadcast_to(seen[:, None], (runs, devices, max(bodies, 1), 2))
        wireless, spread = self._wireless[:, :, None], self._wireless_variance[:, :, None]
        place, variance = fused(wireless, spread, at, np.asarray(self._settings.visual_sd_m**2))
        place = np.where(np.isfinite(at), place, wireless)
        variance = np.where(np.isfinite(at[..., 0]), variance, spread)
        chosen = np.maximum(mates, 0)[..., None]
        matched = np.take_along_axis(place, chosen[..., None], axis=2)[:, :, 0]
        trusted = np.where(mates[..., None] >= 0, matched, self._wireless)
        position = np.where(accepted[..., None], trusted, self._wireless)
        alone = np.take_along_axis(variance, chosen, axis=2)[..., 0]
        probability = np.zeros((runs, devices, 1 + bodies))
        np.put_along_axis(probability, (mates + 1)[..., None], 1.0, axis=2)
        published = np.where(accepted, alone, self._wireless_variance)
        return Estimate(probability, mates, accepted, position, published, trusted, place, self._wireless.copy())


def linked(before: Floats, after: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Equation 7: which histogram of the next frame (M,) goes on from each of this one, -1 = none, from normalised
    histograms (K,bins) and (M,bins) by the least total Bhattacharyya distance; and the distances (K,M)."""
    overlap = np.sqrt(before)[:, None] * np.sqrt(after)[None]
    distance = np.sqrt(np.maximum(1 - overlap.sum(axis=2), 0.0))
    rows, columns = linear_sum_assignment(distance)
    mates = np.full(len(before), -1, np.intp)
    mates[rows] = columns
    return mates, distance
