"""The witness of EV-Loc: does the signal a device sends fit where a body walks?

Everything in dB. A device's power is unknown: each hypothesis "device d is carried by body k" has its own Gaussian
belief about the offsets of that device at every sniffer (one common part, one per sniffer) and about how the
carrier's own body weakens it by direction (a first harmonic of the bearing seen from the walker: where on the body
the phone is carried is unknown too). What it testifies is the predictive log-density of each reading against that
of "nobody we track carries it". Readings of one device at one sniffer are correlated for seconds (shadowing), so
each counts only for the time it is news.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ...sitefile import Fusion, Sniffer
from ..geometry import Floats
from ..wireless import WirelessGrid, distance_m, expected_dbm

COMMON_SD_DB = 4.0  # of a device's transmit power and antenna
SHADOWING_S = 1.2  # readings closer in time than twice this say the same again
BLOCKED_SHARE, BLOCKED_DB, BLOCKED_SD_DB = 0.1, 8.0, 5.0  # a body in the way weakens, never strengthens
DIRECTION_SD_DB = 3.0  # of each coefficient of the harmonic
DRIFT_DB2_PER_S = 0.02
CAP_NATS = 4.0  # what one reading may say at most, before the discount


class Bodies(msgspec.Struct, frozen=True):
    """Bodies that may carry a device: position (K,2) m, covariance (K,2,2) m2, heading (K,) rad from +x."""

    position: Floats
    covariance: Floats
    heading: Floats


class RssiEvidence:
    """Offsets per device and hypothesis: mean (devices, columns, sniffers + 2), covariance (..., sniffers + 2 twice);
    the last two are the cosine and sine of the direction's harmonic. Column 0 is "nobody"; the others follow `add`."""

    def __init__(self, settings: Fusion, sniffers: Sequence[Sniffer], devices: int, grid: WirelessGrid) -> None:
        self._sniffers = tuple(sniffers)
        self._row_of = {sniffer.id: row for row, sniffer in enumerate(sniffers)}
        self._variance_db2 = settings.rssi_sigma_db**2
        self._grid = grid
        count = len(sniffers)
        prior = DIRECTION_SD_DB**2 * np.eye(count + 2)
        prior[:count, :count] = COMMON_SD_DB**2 + settings.bias_sigma_db**2 * np.eye(count)
        self.mean = np.zeros((devices, 1, count + 2))
        self.covariance = np.tile(prior, (devices, 1, 1, 1))
        self._heard_ns = np.zeros((devices, count), np.int64)

    def sniffer_row(self, source: str) -> int | None:
        return self._row_of.get(source)

    def hear(self, device: int, sniffer: int, rssi_dbm: float, t_ns: int, bodies: Bodies) -> Floats:
        """What one reading says about each body, columns 1..K, in nats against "nobody": (K,). The offsets learn."""
        elapsed_s = (t_ns - self._heard_ns[device, sniffer]) / 1e9
        self._heard_ns[device, sniffer] = t_ns
        news = float(np.clip(elapsed_s / (2 * SHADOWING_S), 0.02, 1.0))
        nobody = self._nobody(device, sniffer, rssi_dbm, news)
        station = self._sniffers[sniffer]
        slope = 10 * station.path_loss_exponent / np.log(10) / distance_m(station, bodies.position)  # dB per m
        noise = self._variance_db2 + slope**2 * 0.5 * bodies.covariance.trace(axis1=1, axis2=2)
        seen_by = self._seen_by(sniffer, bodies)
        error = rssi_dbm - expected_dbm(station, bodies.position) - _dot(seen_by, self.mean[device, 1:])
        reach = (self.covariance[device, 1:] @ seen_by[:, :, None])[:, :, 0]
        variance = _dot(seen_by, reach) + noise
        clear = np.log(1 - BLOCKED_SHARE) + _log_normal(error, variance)
        blocked = np.log(BLOCKED_SHARE) + _log_normal(error + BLOCKED_DB, variance + BLOCKED_SD_DB**2)
        density = np.logaddexp(clear, blocked)
        trust = np.maximum(np.exp(clear - density), 1e-3)  # a reading thought blocked teaches little
        gain = reach / (_dot(seen_by, reach) + noise / (news * trust))[:, None]
        self.mean[device, 1:] += gain * error[:, None]
        self.covariance[device, 1:] -= gain[:, :, None] * reach[:, None, :]
        self.covariance[device, 1:, sniffer, sniffer] += DRIFT_DB2_PER_S * min(elapsed_s, 10.0)
        return news * np.clip(density - nobody, -CAP_NATS, CAP_NATS)

    def _nobody(self, device: int, sniffer: int, rssi_dbm: float, news: float) -> float:
        """The log-density of a reading where the carrier is nobody we track; its direction is anything."""
        offset_db = float(self.mean[device, 0, sniffer])
        spread = float(self.covariance[device, 0, sniffer, sniffer]) + DIRECTION_SD_DB**2
        return self._grid.hear(device, sniffer, offset_db, spread + self._variance_db2, rssi_dbm, news)

    def _seen_by(self, sniffer: int, bodies: Bodies) -> Floats:
        """How each offset enters a reading: (K, sniffers + 2)."""
        x, y, _ = self._sniffers[sniffer].position_m
        bearing = np.arctan2(y - bodies.position[:, 1], x - bodies.position[:, 0]) - bodies.heading
        rows = np.zeros((len(bearing), len(self._sniffers) + 2))
        rows[:, sniffer] = 1.0
        rows[:, -2], rows[:, -1] = np.cos(bearing), np.sin(bearing)
        return rows

    def add(self, weights: Floats) -> None:
        """A column for a new body; its offsets start from what is believed of each device so far, `weights`
        (devices, columns) saying which hypothesis to believe."""
        mean, covariance = mixed(weights, self.mean, self.covariance)
        self.mean = np.concatenate((self.mean, mean[:, None]), axis=1)
        self.covariance = np.concatenate((self.covariance, covariance[:, None]), axis=1)

    def remove(self, column: int, weights: Floats) -> None:
        """Drop a body's column; "nobody" keeps what it knew, `weights` (devices, 2) of nobody and of the body."""
        pair = [0, column]
        self.mean[:, 0], self.covariance[:, 0] = mixed(weights, self.mean[:, pair], self.covariance[:, pair])
        self.mean = np.delete(self.mean, column, axis=1)
        self.covariance = np.delete(self.covariance, column, axis=1)

    def blend(self, column: int, other: int, share: Floats) -> None:
        """Let a share (devices,) of hypothesis `other`'s belief flow into `column`'s: they may have swapped."""
        weights = np.column_stack((1 - share, share))
        pair = [column, other]
        mean, covariance = mixed(weights, self.mean[:, pair], self.covariance[:, pair])
        self.mean[:, column], self.covariance[:, column] = mean, covariance

    def state(self) -> dict[str, Any]:
        return {"mean": self.mean, "covariance": self.covariance, "heard_ns": self._heard_ns}

    def load(self, state: dict[str, Any]) -> None:
        self.mean, self.covariance = state["mean"], state["covariance"]
        self._heard_ns = state["heard_ns"]


def mixed(weights: Floats, mean: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """The Gaussian (D,S), (D,S,S) with the moments of a mixture: weights (D,K), mean (D,K,S), covariance (D,K,S,S)."""
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    centre = np.einsum("dk,dks->ds", share, mean)
    apart = mean - centre[:, None]
    spread = np.einsum("dk,dkst->dst", share, covariance) + np.einsum("dk,dks,dkt->dst", share, apart, apart)
    return centre, spread


def _dot(first: Floats, second: Floats) -> Floats:
    return np.einsum("ks,ks->k", first, second)


def _log_normal(error: Floats, variance: Floats) -> Floats:
    return -0.5 * (error * error / variance + np.log(2 * np.pi * variance))
