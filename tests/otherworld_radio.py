"""WiFi of the other world: what phones send, what is lost on the way, and what sniffers make of it.

Log-distance loss; an offset per device; a bias per path; shadowing half fixed in space (a random field per sniffer)
and half drifting in time (per path); Rician fading per packet; bodies in the way, the carrier's own among them.
dBm and dB, metres, seconds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from otherworld_people import Walks

PHONE_M, POCKET_M = 1.0, 0.15  # a phone's height above the floor, and from its carrier's axis
SENSITIVITY_DBM, LOST = -90.0, 0.1
PATH_BIAS_DB, WALL_DB = 2.0, 12.0
FIELD_M, DRIFT_S = 2.0, 2.5  # where the correlation of shadowing falls to 1/e
WAVES = 32  # of a random field
BODY_DB, MOST_BODIES_DB, BODY_RADIUS_M = (6.0, 12.0), 18.0, 0.2  # 0.5 m wide, 0.3 m deep
BURST_GAP_S = 0.02
RATE_HZ = (0.5, 5.0)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Device:
    """name: its pseudonym. carrier: the person's row, or -1 for one that lies at `place`. side_rad: of the pocket."""

    name: str
    carrier: int
    place: Array
    offset_db: float
    rate_hz: float
    side_rad: float


@dataclass(frozen=True)
class Heard:
    """One packet at one sniffer; t_s is true time, rssi_dbm an integer."""

    t_s: float
    device: int
    rssi_dbm: float


def device(rng: np.random.Generator, name: str, carrier: int, place: Array, offset_db: float) -> Device:
    rate = float(np.exp(rng.uniform(*np.log(RATE_HZ))))
    return Device(name, carrier, place, rng.normal(0, 1) * offset_db, rate, float(rng.choice([0, np.pi, 1.6, -1.6])))


def sending_times(rng: np.random.Generator, rate_hz: float, seconds: float, burst: float = 3.0) -> Array:
    """Bursts at Poisson times, of a geometric number of packets, `burst` in the mean, some 20 ms apart; `rate_hz`
    packets in the mean."""
    starts = rng.uniform(0, seconds, rng.poisson(rate_hz / burst * seconds))
    bursts = [start + np.cumsum(rng.exponential(BURST_GAP_S, rng.geometric(1 / burst))) for start in starts]
    times = np.sort(np.concatenate([np.empty(0), *bursts]))
    return times[times < seconds]


class Field:
    """Shadowing fixed in space: a Gaussian random field of unit variance, a sum of plane waves."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._waves = rng.normal(0, np.sqrt(2) / FIELD_M, (WAVES, 2))
        self._phases = rng.uniform(0, 2 * np.pi, WAVES)

    def at(self, place: Array) -> float:
        return float(np.sqrt(2 / WAVES) * np.cos(self._waves @ place + self._phases).sum())


class Air:
    """Everything between phones and sniffers of one site."""

    def __init__(
        self,
        rng: np.random.Generator,
        sniffers: Array,
        exponent: float,
        reference_dbm: float,
        walks: Walks,
        devices: list[Device],
        has_blocking: bool = True,
        burst: float = 3.0,
    ) -> None:
        self._rng, self._sniffers, self._walks, self._devices = rng, sniffers, walks, devices
        self._exponent, self._reference_dbm, self._has_blocking = exponent, reference_dbm, has_blocking
        self._burst = burst
        paths = (len(devices), len(sniffers))
        self._bias = rng.normal(0, PATH_BIAS_DB, paths)
        self._fields = [Field(rng) for _ in sniffers]
        self._shadowing_db = rng.uniform(3.0, 4.0)
        self._rice = rng.uniform(4.2, 9.4)  # ratio of the direct to all other paths: 2 to 3 dB of fading
        self._drift, self._drift_s = rng.normal(0, 1, paths), np.zeros(len(devices))
        self._body_db = rng.uniform(*BODY_DB, walks.place.shape[1])

    def listen(self, seconds: float) -> list[list[Heard]]:
        """What each sniffer hears, in order of time."""
        rng = self._rng
        times = [sending_times(rng, sender.rate_hz, seconds, self._burst) for sender in self._devices]
        sent = sorted((t, number) for number, ts in enumerate(times) for t in ts)
        heard: list[list[Heard]] = [[] for _ in self._sniffers]
        for t, number in sent:
            power = self.power(t, number)
            arrives = rng.random(len(power)) >= LOST
            for sniffer in np.flatnonzero(arrives & (power >= SENSITIVITY_DBM)):
                heard[sniffer].append(Heard(float(t), number, float(np.round(power[sniffer]))))
        return heard

    def power(self, t: float, number: int) -> Array:
        """(S,) dBm of one packet at each sniffer."""
        sender = self._devices[number]
        bodies, heading, _ = self._walks.at(t)
        place = sender.place
        if sender.carrier >= 0:
            angle = heading[sender.carrier] + sender.side_rad
            place = bodies[sender.carrier] + POCKET_M * np.array([np.cos(angle), np.sin(angle)])
        phone = np.array([*place, PHONE_M])
        distance = np.maximum(np.linalg.norm(self._sniffers - phone, axis=1), 0.3)
        power = self._reference_dbm - 10 * self._exponent * np.log10(distance) + sender.offset_db + self._bias[number]
        power += self._shadowing_db * np.sqrt(0.5) * (self._drifted(t, number) + [f.at(place) for f in self._fields])
        power += self._fading(len(power)) - (WALL_DB if place[1] < 0 else 0.0)
        return power - self._blocked(phone, bodies, sender.carrier) if self._has_blocking else power

    def _drifted(self, t: float, number: int) -> Array:
        kept = np.exp(-(t - self._drift_s[number]) / DRIFT_S)
        fresh = self._rng.normal(0, 1, len(self._sniffers))
        self._drift[number] = kept * self._drift[number] + np.sqrt(1 - kept**2) * fresh
        self._drift_s[number] = t
        return self._drift[number]

    def _fading(self, count: int) -> Array:
        scatter = self._rng.normal(0, np.sqrt(0.5), (2, count)) / np.sqrt(self._rice)
        return 10 * np.log10(((1 + scatter[0]) ** 2 + scatter[1] ** 2) / (1 + 1 / self._rice))

    def _blocked(self, phone: Array, bodies: Array, carrier: int) -> Array:
        """(S,) dB lost in bodies that the straight line to each sniffer passes through."""
        way = self._sniffers - phone
        length2 = (way[:, :2] ** 2).sum(axis=1)
        share = np.clip(((bodies - phone[:2]) @ way[:, :2].T) / np.maximum(length2, 1e-9), 0, 1)  # (N,S)
        nearest = phone[:2] + share[:, :, None] * way[None, :, :2]
        beside = np.linalg.norm(nearest - bodies[:, None], axis=2)
        height = phone[2] + share * way[None, :, 2]
        radius = np.full(len(bodies), BODY_RADIUS_M)
        if carrier >= 0:
            radius[carrier] = 0.8 * POCKET_M  # the phone touches its carrier: only the way through them counts
        is_blocked = (beside < radius[:, None]) & (height < self._walks.height[:, None])
        return np.minimum(is_blocked.T @ self._body_db, MOST_BODIES_DB)
