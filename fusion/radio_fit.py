"""From collected readings of phones whose place is known to the radio's parameters: how strong each sniffer hears at
1 m, how fast strength falls with distance, and how loud each phone is.

A hierarchical linear-Gaussian model around the site file's values, solved in closed form and reweighted a few times so
that readings through a body in the way (weaker, never stronger) and wrongly named bodies count little. Source of the
model: EV-Loc equation 3; of the reweighting: iteratively reweighted least squares with Student-t weights (Lange,
Little and Taylor, 1989) and a one-sided mixture. It collects nothing and publishes nothing.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..sitefile import Sniffer
from .geometry import Floats
from .wireless import distance_m

# What is believed before any reading, as standard deviations around the site file.
ALL_REFERENCES_SD_DB, REFERENCE_SD_DB = 6.0, 3.0  # common to all sniffers; each one's own
EXPONENT_SD, OWN_EXPONENT_SD = 0.6, 0.2
DEVICE_SD_DB, PAIR_SD_DB = 4.0, 2.0  # a phone's loudness; a (phone, sniffer) path's own
# How readings scatter around that.
READING_SD_DB = 5.0  # one reading free of the last one's shadowing: shadowing, noise, and the carrier's direction
CELL_SD_DB = 2.0  # what does not average out at one place: walls, furniture, standing still
BLOCKED_SHARE, BLOCKED_DB, BLOCKED_SD_DB = 0.1, 8.0, 5.0
DEGREES = 4.0  # of freedom of the Student-t weights
FLOOR_DB = 10.0  # expected less than this above the noise floor: only the strong readings are heard there
ROUNDS = 8


class Bins(msgspec.Struct, frozen=True):
    """Readings gathered by phone, sniffer and floor cell, (N,) each: rows `device` and `sniffer`; `weight` in
    independent readings; their mean and variance, dBm and dB2; mean place (N,2) m and its variance a axis, m2."""

    device: NDArray[np.intp]
    sniffer: NDArray[np.intp]
    weight: Floats
    mean_dbm: Floats
    variance_db2: Floats
    position: Floats
    vague_m2: Floats


class RadioFit(msgspec.Struct, frozen=True, kw_only=True):
    """What the readings say. Per sniffer (S,): reference_dbm and exponent with their standard deviations, residual_db
    and residual_before_db (scatter of single readings, phones' loudness removed, with the fitted and with the site
    file's values; NaN without readings), readings. shared_exponent_sd: of what all exponents have in common.
    offset_db (D,): phones' loudness, 0 in the mean. all_residual_db, all_residual_before_db: over all sniffers.
    """

    reference_dbm: Floats
    exponent: Floats
    reference_sd_db: Floats
    exponent_sd: Floats
    shared_exponent_sd: float
    offset_db: Floats
    residual_db: Floats
    residual_before_db: Floats
    all_residual_db: float
    all_residual_before_db: float
    readings: NDArray[np.int64]


def fit(bins: Bins, sniffers: Sequence[Sniffer], devices: int, readings: NDArray[np.int64]) -> RadioFit:
    """The radio's parameters from `bins`; without any, those of `sniffers` with the priors' deviations."""
    return _Problem(bins, sniffers, devices).solved(readings)


class _Problem:
    """Unknowns u: what each sniffer's reference adds to the file's [0, S), the same of the exponents [S, 2 S), the
    phones' offsets [2 S, ...). Every (phone, sniffer) pair's own offset is integrated out."""

    def __init__(self, bins: Bins, sniffers: Sequence[Sniffer], devices: int) -> None:
        self._bins, self._sniffers, self._devices = bins, sniffers, devices
        self._count = len(sniffers)
        self._known, self._phone = np.unique(bins.device, return_inverse=True)
        self._pairs, self._pair = np.unique(bins.device * self._count + bins.sniffer, return_inverse=True)
        self._file_dbm = np.array([sniffer.reference_dbm for sniffer in sniffers])
        self._file_exponent = np.array([sniffer.path_loss_exponent for sniffer in sniffers])
        self._distance_m = np.ones(len(bins.weight))
        for row, sniffer in enumerate(sniffers):
            here = bins.sniffer == row
            self._distance_m[here] = distance_m(sniffer, bins.position[here])
        self._fall = -10 * np.log10(self._distance_m)  # dB per unit of the exponent
        expected = self._file_dbm[bins.sniffer] + self._file_exponent[bins.sniffer] * self._fall
        self._off = bins.mean_dbm - expected
        columns = (bins.sniffer, self._count + bins.sniffer, 2 * self._count + self._phone)
        self._columns = np.stack(columns, axis=1)
        self._features = np.stack((np.ones_like(self._fall), self._fall, np.ones_like(self._fall)), axis=1)
        self._prior = self._prior_information()

    def solved(self, readings: NDArray[np.int64]) -> RadioFit:
        trust, scale = np.ones(len(self._off)), np.ones(self._count)
        u, covariance, pair_db = self._solve(trust, self._variance(np.zeros(2 * self._count), scale))
        for _ in range(ROUNDS):
            variance = self._variance(u, scale)
            error = self._off - (self._features * u[self._columns]).sum(axis=1) - pair_db[self._pair]
            trust = self._trust(error, variance, u)
            scale = self._scale(trust * error**2 / variance, scale)
            u, covariance, pair_db = self._solve(trust, self._variance(u, scale))
        return self._described(u, covariance, readings)

    def _prior_information(self) -> Floats:
        count, size = self._count, 2 * self._count + len(self._known)
        covariance = np.zeros((size, size))
        references, exponents, phones = slice(0, count), slice(count, 2 * count), slice(2 * count, size)
        covariance[references, references] = ALL_REFERENCES_SD_DB**2 + REFERENCE_SD_DB**2 * np.eye(count)
        covariance[exponents, exponents] = EXPONENT_SD**2 + OWN_EXPONENT_SD**2 * np.eye(count)
        covariance[phones, phones] = DEVICE_SD_DB**2 * np.eye(size - 2 * count)
        information = _inverse(covariance)
        information[phones, phones] += 1e4  # the phones' offsets sum to 0: what they share is the references'
        return information

    def _variance(self, u: Floats, scale: Floats) -> Floats:
        """(N,) dB2 of a bin's mean around the model."""
        bins, count = self._bins, self._count
        exponent = np.maximum(self._file_exponent + u[count : 2 * count], 1.0)[bins.sniffer]
        slope = 10 * exponent / np.log(10) / self._distance_m  # dB per m
        scatter = READING_SD_DB**2 / bins.weight + CELL_SD_DB**2 + slope**2 * bins.vague_m2
        return scatter * scale[bins.sniffer]

    def _solve(self, trust: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
        """The unknowns, their covariance, and each pair's own offset."""
        precision = trust / variance
        weighted = precision[:, None] * self._features
        information, target = self._prior.copy(), np.zeros(len(self._prior))
        np.add.at(information, (self._columns[:, :, None], self._columns[:, None, :]),
                  weighted[:, :, None] * self._features[:, None, :])  # fmt: skip
        np.add.at(target, self._columns, weighted * self._off[:, None])
        of_pair = np.bincount(self._pair, precision, len(self._pairs)) + PAIR_SD_DB**-2
        sums = np.stack([np.bincount(self._pair, part, len(self._pairs)) for part in weighted.T], axis=1)
        off = np.bincount(self._pair, precision * self._off, len(self._pairs))
        columns = np.zeros((len(self._pairs), 3), np.intp)
        columns[self._pair] = self._columns
        np.add.at(information, (columns[:, :, None], columns[:, None, :]),
                  -sums[:, :, None] * sums[:, None, :] / of_pair[:, None, None])  # fmt: skip
        np.add.at(target, columns, -sums * (off / of_pair)[:, None])
        covariance = _inverse(information)
        u = covariance @ target
        return u, covariance, (off - (sums * u[columns]).sum(axis=1)) / of_pair

    def _trust(self, error: Floats, variance: Floats, u: Floats) -> Floats:
        """How much each bin counts, 0 to 1."""
        blocked_variance = variance + BLOCKED_SD_DB**2
        clear = np.log(1 - BLOCKED_SHARE) - 0.5 * (error**2 / variance + np.log(variance))
        blocked = np.log(BLOCKED_SHARE) - 0.5 * (
            (error + BLOCKED_DB) ** 2 / blocked_variance + np.log(blocked_variance)
        )
        is_clear = np.exp(clear - np.logaddexp(clear, blocked))
        floor = np.array([sniffer.noise_floor_dbm for sniffer in self._sniffers])[self._bins.sniffer]
        expected = self._bins.mean_dbm - self._off + (self._features * u[self._columns]).sum(axis=1)
        student = (DEGREES + 1) / (DEGREES + error**2 / variance)
        return is_clear * np.minimum(student, 1.0) * (expected > floor + FLOOR_DB)

    def _scale(self, squares: Floats, before: Floats) -> Floats:
        """By how much each sniffer's readings scatter more than believed, as a factor of the variance, never < 1."""
        total = np.bincount(self._bins.sniffer, squares, self._count) + 10.0  # as of ten bins that scatter as believed
        number = np.bincount(self._bins.sniffer, minlength=self._count) + 10.0
        return np.clip(before * total / number, 1.0, 25.0)

    def _described(self, u: Floats, covariance: Floats, readings: NDArray[np.int64]) -> RadioFit:
        count = self._count
        offset_db = np.zeros(self._devices)
        offset_db[self._known] = u[2 * count :]
        after = self._off - (self._features * u[self._columns]).sum(axis=1)
        before = self._off - self._phones_alone()[self._phone]
        sd = np.sqrt(np.diag(covariance))
        exponents = covariance[count : 2 * count, count : 2 * count]
        return RadioFit(
            reference_dbm=self._file_dbm + u[:count],
            exponent=np.clip(self._file_exponent + u[count : 2 * count], 0.5, 8.0),
            reference_sd_db=sd[:count],
            exponent_sd=sd[count : 2 * count],
            shared_exponent_sd=float(np.sqrt(exponents.mean())) if count else EXPONENT_SD,
            offset_db=offset_db,
            residual_db=self._by_sniffer(after),
            residual_before_db=self._by_sniffer(before),
            all_residual_db=self._over_all(after),
            all_residual_before_db=self._over_all(before),
            readings=readings,
        )

    def _phones_alone(self) -> Floats:
        """The phones' offsets if the site file's values are right, 0 in the mean."""
        number = np.bincount(self._phone, self._bins.weight, len(self._known))
        mean = np.bincount(self._phone, self._bins.weight * self._off, len(self._known)) / np.maximum(number, 1e-9)
        return mean - mean.mean() if len(mean) else mean

    def _by_sniffer(self, error: Floats) -> Floats:
        bins = self._bins
        number = np.bincount(bins.sniffer, bins.weight, self._count)
        total = np.bincount(bins.sniffer, bins.weight * (error**2 + bins.variance_db2), self._count)
        return np.sqrt(np.where(number > 0, total / np.where(number > 0, number, 1.0), np.nan))

    def _over_all(self, error: Floats) -> float:
        bins = self._bins
        if not len(bins.weight):
            return float("nan")
        return float(np.sqrt((bins.weight * (error**2 + bins.variance_db2)).sum() / bins.weight.sum()))


def _inverse(matrix: Floats) -> Floats:
    return np.asarray(np.linalg.inv(matrix), np.float64)
