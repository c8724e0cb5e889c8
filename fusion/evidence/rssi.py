"""The witness of EV-Loc: does the signal a device sends fit where a body walks?

Everything in dB. For every hypothesis "device d is carried by body k" a Kalman filter holds what is unknown about the
signal: the device's offset at each sniffer (one part common to all), how the carrier's own body weakens it by
direction (a first harmonic of the bearing: where on the body the phone is carried is unknown too), and the shadowing
of each path, which is correlated for seconds. All of it is thereby integrated out in closed form, and a reading
counts for what it adds to the one before. What it testifies is the predictive log-density of the reading against
that of "nobody we track carries it", somebody unseen who stands or walks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...sitefile import Fusion, Sniffer
from ..geometry import Floats
from ..paths import Paths, paths
from ..wireless import WirelessGrid
from .columns import Bodies as Bodies
from .columns import Columns
from .silence import log_missed

COMMON_SD_DB = 4.0  # of a device's transmit power and antenna
DIRECTION_SD_DB = 3.0  # of each coefficient of the harmonic
SHADOWING_SD_DB, SHADOWING_S = 4.0, 3.0
UNSEEN_WALK_S = 1.5  # after this long somebody unseen who walks is somewhere else
BLOCKED_SHARE, BLOCKED_DB, BLOCKED_SD_DB = 0.15, 8.0, 5.0  # a body in the way weakens, never strengthens
OUTLIER = np.log(0.01 / 100)  # one reading in a hundred is any of a hundred dB: a power that nobody fits names nobody
DRIFT_DB2_PER_S = 0.02
SOONEST_NS = 50_000_000  # of one device at one sniffer, after the last reading used
WORTH = 0.7  # of what a reading says: errors last longer than the filters know
CAP_NATS = 4.0  # what one reading may say at most
STRAYING_DB2 = 25.0  # noise and shadowing together; what `stray` multiplies
STRAY_AT_FIRST = 0.6
BELIEVED, MOST_SURPRISE, STRAY_RATE, STRAY_RANGE = 0.5, 9.0, 0.02, (0.5, 4.0)
NOBODY_NATS, NOBODY_STRAY = 0.2, 0.7  # where signals stray, "nobody", who learns from every reading, fits too well
GRID_VARIANCE_DB2 = 160.0  # what a reading is worth to the grid, which knows no correlation


class RssiEvidence(Columns):
    """mean (devices, columns, n), covariance (devices, columns, n, n) of n = 2 S + 2 unknowns at S sniffers: offsets
    [0, S), the harmonic's cosine and sine [S, S + 2), shadowing [S + 2, n). Column 0 is "nobody"; then as `add`ed."""

    def __init__(self, settings: Fusion, sniffers: Sequence[Sniffer], devices: int, grid: WirelessGrid) -> None:
        self._sniffers = tuple(sniffers)
        self._row_of = {sniffer.id: row for row, sniffer in enumerate(sniffers)}
        self._noise_db2, self._bias_db2 = settings.rssi_sigma_db**2, settings.bias_sigma_db**2
        self._grid = grid
        count = len(sniffers)
        prior = np.zeros((2 * count + 2, 2 * count + 2))
        prior[:count, :count] = COMMON_SD_DB**2 + self._bias_db2 * np.eye(count)
        prior[count : count + 2, count : count + 2] = DIRECTION_SD_DB**2 * np.eye(2)
        prior[count + 2 :, count + 2 :] = SHADOWING_SD_DB**2 * np.eye(count)
        super().__init__(devices, prior)
        self._heard_ns = np.zeros((devices, count), np.int64)
        self._missed_ns = np.zeros((devices, count), np.int64)
        self.stray = STRAY_AT_FIRST  # the variance of signals at this site, in that of the constants above

    def retune(self, sniffers: Sequence[Sniffer], louder_db: Floats | float = 0.0) -> None:
        """Believe other parameters of the same sniffers from now on. `louder_db` (S,) is by how much more each is now
        expected to hear in the mean: what was learnt of an offset is smaller by that, as far as it was learnt."""
        self._sniffers = tuple(sniffers)
        offsets = range(len(self._sniffers))
        known = 1 - self.covariance[:, :, offsets, offsets] / (COMMON_SD_DB**2 + self._bias_db2)
        self.mean[:, :, : len(self._sniffers)] -= louder_db * np.clip(known, 0, 1)

    def is_too_soon(self, device: int, sniffer: int, t_ns: int) -> bool:
        """A reading so soon after the last one says nothing new: a device that shouts is not believed more."""
        heard_ns = int(self._heard_ns[device, sniffer])
        return heard_ns > 0 and t_ns - heard_ns < SOONEST_NS

    def paths(self, sniffer: int, bodies: Bodies) -> Paths:
        """From all bodies to a sniffer, for `hear` and `miss`: the same for all devices of a window."""
        return paths(self._sniffers[sniffer], bodies)

    def sniffer_row(self, source: str) -> int | None:
        return self._row_of.get(source)

    def hear(
        self, device: int, sniffer: int, rssi_dbm: float, t_ns: int, paths: Paths, belief: Floats | None = None
    ) -> Floats:
        """What one reading says about each body, columns 1..K, in nats against "nobody": (K,). The filters learn; and
        from bodies that the owner is believed to be (1 + K,) also how far signals stray at this site."""
        elapsed_s = min((t_ns - self._heard_ns[device, sniffer]) / 1e9, 60.0)
        self._heard_ns[device, sniffer] = t_ns
        unseen_dbm, unseen_db2 = self._grid.expectation(device, sniffer)
        changed = self._pass_time(device, sniffer, elapsed_s, unseen_db2)
        expected, vague = _with_nobody(paths, unseen_dbm)
        seen_by = self._seen_by(sniffer, paths)
        reach = (self.covariance[device] @ seen_by[:, :, None])[:, :, 0]
        error = rssi_dbm - expected - _dot(seen_by, self.mean[device])
        noise = self._scatter_db2() + vague
        variance = _dot(seen_by, reach) + noise
        if belief is not None:
            self._learn_straying(error[1:] ** 2 / variance[1:], belief[1:])
        clear = np.log(1 - BLOCKED_SHARE) + _log_normal(error, variance)
        blocked = np.log(BLOCKED_SHARE) + _log_normal(error + BLOCKED_DB, variance + BLOCKED_SD_DB**2)
        density = np.logaddexp(np.logaddexp(clear, blocked), OUTLIER)
        standing = np.logaddexp(_log_normal(error[:1], np.maximum(variance[:1] - changed, self._noise_db2)), OUTLIER)
        nobody = np.logaddexp(density[0], standing[0]) - np.log(2)
        worth = np.maximum(np.exp(clear - density), 1e-3)  # a reading thought blocked teaches little
        gain = reach / (_dot(seen_by, reach) + noise / worth)[:, None]
        self.mean[device] += gain * error[:, None]
        self.covariance[device] -= gain[:, :, None] * reach[:, None, :]
        self._grid.hear(device, sniffer, float(self.mean[device, 0, sniffer]), GRID_VARIANCE_DB2, rssi_dbm)
        nobody -= NOBODY_NATS * min(max(self.stray - NOBODY_STRAY, 0.0), 1.0)
        return self._trust() * np.clip(density[1:] - nobody, -CAP_NATS, CAP_NATS)

    def miss(self, device: int, sniffer: int, packets: int, t_ns: int, paths: Paths) -> Floats:
        """What it says about each body (K,), as `hear` does, that a sniffer heard none of the `packets` that others
        did. The filters learn nothing, so that a miss soon after another, in the same shadow, counts for less."""
        elapsed_s = min((t_ns - self._heard_ns[device, sniffer]) / 1e9, 60.0)
        fresh = min((t_ns - self._missed_ns[device, sniffer]) / 1e9 / SHADOWING_S, 1.0)
        self._missed_ns[device, sniffer] = t_ns
        mean, covariance = self.mean[device].copy(), self.covariance[device].copy()
        unseen_dbm, unseen_db2 = self._grid.expectation(device, sniffer)
        self._pass_time(device, sniffer, max(elapsed_s, 0.0), unseen_db2)
        expected, vague = _with_nobody(paths, unseen_dbm)
        seen_by = self._seen_by(sniffer, paths)
        margin = expected + _dot(seen_by, self.mean[device]) - self._sniffers[sniffer].noise_floor_dbm
        noise = self._scatter_db2() + vague
        variance = _dot(seen_by, (self.covariance[device] @ seen_by[:, :, None])[:, :, 0]) + noise
        self.mean[device], self.covariance[device] = mean, covariance
        missed = log_missed(margin, variance, packets)
        return self._trust() * max(fresh, 0.0) * np.clip(missed[1:] - missed[0], -CAP_NATS, CAP_NATS)

    def _scatter_db2(self) -> float:
        """The variance of a reading around what its filter expects, as far as signals stray at this site."""
        return max(self._noise_db2 + (self.stray - 1) * STRAYING_DB2, 1.0)

    def _trust(self) -> float:
        """How much of what a reading says counts: the more signals stray, the longer they do."""
        return WORTH * min(1 / self.stray, 1.0)

    def _learn_straying(self, surprise: Floats, belief: Floats) -> None:
        """`stray` follows the normalised squared errors (K,) of the bodies that their owner is believed to be (K,)."""
        sure = np.where(belief > BELIEVED, belief, 0.0)
        excess = float((sure * (np.minimum(surprise, MOST_SURPRISE) - 1.0)).sum())
        self.stray = float(np.clip(self.stray * np.exp(STRAY_RATE * excess), *STRAY_RANGE))

    def _pass_time(self, device: int, sniffer: int, elapsed_s: float, unseen_db2: float) -> float:
        """Shadowing forgets (an Ornstein-Uhlenbeck process), offsets drift. For "nobody" the walk is in it too;
        returns how much of its variance that made."""
        at = len(self._sniffers) + 2 + sniffer
        keep = np.full(self.mean.shape[1], np.exp(-elapsed_s / SHADOWING_S))
        keep[0] = np.exp(-elapsed_s / UNSEEN_WALK_S)
        settled = np.full(len(keep), SHADOWING_SD_DB**2)
        settled[0] += unseen_db2 + 2 * DIRECTION_SD_DB**2
        self.mean[device, :, at] *= keep
        self.covariance[device, :, at, :] *= keep[:, None]
        self.covariance[device, :, :, at] *= keep[:, None]
        added = (1 - keep * keep) * settled
        self.covariance[device, :, at, at] += added
        self.covariance[device, :, sniffer, sniffer] += DRIFT_DB2_PER_S * elapsed_s
        still = np.exp(-elapsed_s / SHADOWING_S)
        return float(added[0] - (1 - still * still) * SHADOWING_SD_DB**2)

    def _seen_by(self, sniffer: int, paths: Paths) -> Floats:
        """How each unknown enters a reading: (1 + K, n). The direction of "nobody" is anything: it is in its walk."""
        count = len(self._sniffers)
        rows = np.zeros((1 + len(paths.bearing_rad), 2 * count + 2))
        rows[:, sniffer] = rows[:, count + 2 + sniffer] = 1.0
        rows[1:, count], rows[1:, count + 1] = np.cos(paths.bearing_rad), np.sin(paths.bearing_rad)
        return rows

    def leave(self, devices: list[int], position: Floats, share: float) -> None:
        """A share of the belief that their owner is unseen now begins at a place (2,)."""
        for device in devices:
            self._grid.leave(device, position, share)

    def state(self) -> dict[str, Any]:
        heard = {"heard_ns": self._heard_ns, "missed_ns": self._missed_ns}
        return {"mean": self.mean, "covariance": self.covariance, **heard, "stray": self.stray}

    def load(self, state: dict[str, Any]) -> None:
        self.mean, self.covariance = state["mean"], state["covariance"]
        self._heard_ns, self._missed_ns, self.stray = state["heard_ns"], state["missed_ns"], state["stray"]


def _with_nobody(paths: Paths, unseen_dbm: float) -> tuple[Floats, Floats]:
    """Expected power (1 + K,) in dBm and the variance of vague places (1 + K,) in dB2, "nobody" first."""
    return np.append(unseen_dbm, paths.expected_dbm), np.append(0.0, paths.vague_db2)


def _dot(first: Floats, second: Floats) -> Floats:
    return np.einsum("ks,ks->k", first, second)


def _log_normal(error: Floats, variance: Floats) -> Floats:
    return -0.5 * (error * error / variance + np.log(2 * np.pi * variance))
