"""Access points that phones hear, for tests: a room, walls between some of it, and people who walk it with phones.

Levels follow path loss with shadowing that belongs to the place (a random field per access point), an offset per
phone, and noise per scan; weak readings are not heard. Nothing of the product's simulator is in it.
"""

from dataclasses import dataclass

import numpy as np
from whowhere.messages import PhoneBatch
from whowhere.models.radiomap.maps import FingerprintMap

WAVES = 24  # of which a random field is made


@dataclass(frozen=True)
class Downlink:
    """count access points around an area of side_m (x, y)."""

    seed: int
    count: int = 24
    side_m: tuple[float, float] = (24.0, 16.0)
    exponent: float = 3.0
    shadowing_db: float = 5.0
    noise_db: float = 3.0
    floor_dbm: float = -92.0

    @property
    def bssids(self) -> tuple[str, ...]:
        return tuple(f"ap-{self.seed}-{n:03d}" for n in range(self.count))

    def levels(self, place: np.ndarray) -> np.ndarray:
        """Mean levels (k, count) in dBm at places (k, 2), without a phone's offset, noise and floor."""
        rng = np.random.default_rng([self.seed, 1])
        side = np.array(self.side_m)
        at = rng.uniform(-0.3, 1.3, (self.count, 2)) * side
        power = rng.uniform(-45.0, -35.0, self.count)
        apart = np.linalg.norm(place[:, None] - at, axis=2)
        wave = rng.normal(0.0, 1 / 4.0, (self.count, WAVES, 2))  # 1/m: correlated over about 4 m
        phase = rng.uniform(0, 2 * np.pi, (self.count, WAVES))
        field = np.cos(np.einsum("kc,awc->kaw", place, wave) + phase).sum(axis=2) * np.sqrt(2 / WAVES)
        return power - 10 * self.exponent * np.log10(np.maximum(apart, 1.0)) + self.shadowing_db * field

    def heard(self, place: np.ndarray, rng: np.random.Generator, offset_db: float | np.ndarray = 0.0) -> np.ndarray:
        """What phones hear (k, count) at places (k, 2): NaN where nothing."""
        dbm = self.levels(place) + offset_db + rng.normal(0.0, self.noise_db, (len(place), self.count))
        return np.where(dbm < self.floor_dbm, np.nan, dbm)

    def scan(self, dbm: np.ndarray) -> tuple[tuple[str, float], ...]:
        """One row of `heard` as messages have it."""
        return tuple((b, round(float(level), 1)) for b, level in zip(self.bssids, dbm, strict=True) if level == level)

    def surveyed(self, rng: np.random.Generator, step_m: float = 1.5, times: int = 4, version: str = "1"):
        """The map somebody makes who stands on every place of a grid with a phone."""
        x, y = (np.arange(step_m / 2, side, step_m) for side in self.side_m)
        grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        place = np.repeat(grid, times, axis=0)
        return FingerprintMap("room", version, self.bssids, place, self.heard(place, rng))


def walk(seconds: float, side_m: tuple[float, float], rng: np.random.Generator, period_s: float = 0.1) -> np.ndarray:
    """Places (n, 2), one each period, of somebody who walks from spot to spot and stands there for a while."""
    side, here, places = np.array(side_m), rng.uniform(0, 1, 2) * np.array(side_m), []
    while len(places) * period_s < seconds:
        there = rng.uniform(0.03, 0.97, 2) * side
        steps = max(int(np.linalg.norm(there - here) / rng.uniform(0.8, 1.4) / period_s), 1)
        places += [here + (there - here) * n / steps for n in range(1, steps + 1)]
        places += [there] * int(rng.uniform(0.0, 6.0) / period_s)
        here = there
    return np.array(places[: round(seconds / period_s)])


def batch(phone: str, t_ns: int, scan: tuple[tuple[str, float], ...], seq: int = 0, age_s: float = 0.2) -> PhoneBatch:
    nothing = np.zeros((0, 4), "f4")
    return PhoneBatch(
        source=phone, t_ns=t_ns, seq=seq, acc=nothing, gyro=nothing, mag=nothing, scan=scan, scan_age_s=age_s
    )
