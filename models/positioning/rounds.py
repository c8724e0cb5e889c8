"""Generated rounds of a corridor (G3 of /specs/together.md), small and seeded, for tests and for transfer.

A round is a walk along a rectangle's corridors: steps in the acceleration, pulses of turning at the corners, a
magnetic field with anomalies that stay where they are, and scans by log-distance loss with walls left out. What the
floor is (access points, anomalies) follows from the floor's seed, what a round is from the round's. Not real data.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch
from .walks import Walk

F64 = NDArray[np.float64]

RATE_HZ = 20
GAITS = ((1.5, 0.15), (2.2, 0.35), (3.0, 0.7))  # hand, pocket, swinging: m/s2 of the steps, rad/s of the sway
START_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Floor:
    """A floor: size_m (x, y), access points (k,2) with their level at 1 m, and the field's anomalies as waves."""

    size_m: tuple[float, float]
    access_points_m: F64
    power_dbm: F64
    waves: F64  # (w,4): wave vector x, y (rad/m), phase (rad), amplitude (uT)
    name: str


def make_floor(seed: int, size_m: tuple[float, float] = (60.0, 79.0), access_points: int = 102) -> Floor:
    """A floor by its seed; anomalies of sd 8 uT on a length of some 2 m."""
    rng = np.random.default_rng([seed, 1])
    vectors = rng.normal(0.0, 1 / 2.0, (40, 2))
    waves = np.column_stack([vectors, rng.uniform(0, 2 * np.pi, 40), np.full(40, 8.0 * np.sqrt(2 / 40))])
    places = rng.uniform((0, 0), size_m, (access_points, 2))
    return Floor(size_m, places, rng.normal(-38.0, 4.0, access_points), waves, f"floor{seed}")


def make_round(floor: Floor, seed: int, seconds: float = 180.0, scan_every_s: float = 2.2) -> Walk:
    """One round, with way points at its corners. A scan every 4.8 s leaves 37 % of MTLoc's windows empty, as in G3."""
    rng = np.random.default_rng([seed, 2])
    corners, lengths = _corners(floor, rng)
    speed, (swing, sway) = float(rng.uniform(0.8, 1.4)), GAITS[int(rng.integers(3))]
    ends_s = np.concatenate([[0.0], np.cumsum(lengths / speed)])
    used = int(np.searchsorted(ends_s, seconds)) + 1
    ends_s, corners = ends_s[:used], corners[:used]
    t_s = np.arange(round(ends_s[-1] * RATE_HZ)) / RATE_HZ
    place = np.stack([np.interp(t_s, ends_s, corners[:, k]) for k in range(2)], axis=1)
    way = np.diff(corners, axis=0)[np.clip(np.searchsorted(ends_s, t_s, "right") - 1, 0, used - 2)]
    heading = np.unwrap(np.arctan2(way[:, 1], way[:, 0]))
    sensed = _sensors(floor, rng, t_s, place, heading, speed, swing, sway)
    batches = _batches(floor, rng, f"{floor.name}-{seed}", t_s, place, sensed, scan_every_s)
    times = START_NS + np.round(ends_s * 1e9).astype(np.int64)
    return Walk(f"{floor.name}-{seed}", batches, times, corners + rng.normal(0, 0.3, corners.shape))


def _corners(floor: Floor, rng: np.random.Generator) -> tuple[F64, F64]:
    """A random walk over a 4 x 4 lattice of corridors, never straight back: corners (n,2), lengths of the legs."""
    steps = np.array(floor.size_m) / 5
    at, before = rng.integers(0, 4, 2), np.zeros(2)
    corners = [at]
    for _ in range(60):
        options = [np.array(d) for d in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        options = [d for d in options if ((at + d >= 0) & (at + d < 4)).all() and not np.array_equal(-d, before)]
        before = options[int(rng.integers(len(options)))]
        at = at + before
        corners.append(at)
    places = (np.array(corners) + 1.0) * steps
    return places, np.hypot(*np.diff(places, axis=0).T)


def _sensors(
    floor: Floor, rng: np.random.Generator, t_s: F64, place: F64, heading: F64, speed: float, swing: float, sway: float
) -> dict[str, F64]:
    """acc, gyro, mag (n,3) of a phone held level with y along the way."""
    count, gain = len(t_s), 1.0 + 0.02 * rng.standard_normal()
    phase = 2 * np.pi * np.cumsum(np.full(count, speed / 0.68)) / RATE_HZ
    acc = rng.normal(0.0, 0.3, (count, 3))
    acc[:, 2] += 9.81 + swing * np.sin(phase) + 0.3 * swing * np.sin(2 * phase)
    smooth = np.convolve(np.pad(heading, 8, "edge"), np.ones(17) / 17, "valid")
    gyro = rng.normal(0.0, 0.05, (count, 3))
    gyro[:, 0] += sway * np.sin(phase / 2) + 0.15
    gyro[:, 2] += np.gradient(smooth) * RATE_HZ
    felt = 45.0 + np.cos(place @ floor.waves[:, :2].T + floor.waves[:, 2]) @ floor.waves[:, 3]
    felt = gain * felt + rng.normal(0, 2.0) + rng.normal(0, 0.5, count)
    north = np.stack([-np.cos(heading), np.sin(heading), -np.ones(count)], axis=1)  # half down; x is the phone's right
    mag = north * (felt / np.sqrt(2))[:, None]
    return {"acc": gain * acc, "gyro": gain * gyro, "mag": mag}


def _batches(
    floor: Floor, rng: np.random.Generator, name: str, t_s: F64, place: F64, sensed: dict[str, F64], every_s: float
) -> tuple[PhoneBatch, ...]:
    done, next_scan_s = [], 0.5
    for second in range(1, int(t_s[-1]) + 1):
        rows = (t_s > second - 1) & (t_s <= second)
        acc, gyro, mag = (
            np.column_stack([second - t_s[rows], sensed[k][rows]]).astype(np.float32) for k in ("acc", "gyro", "mag")
        )
        scan: tuple[tuple[str, float], ...] = ()
        age_s = 0.0
        if second >= next_scan_s:
            age_s, next_scan_s = second - next_scan_s, next_scan_s + every_s
            scan = _scan(floor, rng, place[min(len(place) - 1, round((second - age_s) * RATE_HZ))])
        t_ns = START_NS + second * 10**9
        done.append(
            PhoneBatch(
                source=name, t_ns=t_ns, seq=second, scan=scan, scan_age_s=max(age_s, 0.0), acc=acc, gyro=gyro, mag=mag
            )
        )
    return tuple(done)


def _scan(floor: Floor, rng: np.random.Generator, place: F64) -> tuple[tuple[str, float], ...]:
    away = np.maximum(np.hypot(*(floor.access_points_m - place).T), 1.0)
    level = floor.power_dbm - 35.0 * np.log10(away) + rng.normal(0, 3.0, len(away))
    heard = rng.random(len(away)) < 1 / (1 + np.exp(-(level + 88.0) / 1.5))
    return tuple((f"{floor.name}:{j}", float(np.clip(level[j], -110, -20))) for j in np.flatnonzero(heard))
