"""Simulated phones that run the app: what the sensors of a phone in somebody's hand, pocket or swinging arm measure.

Generator G3 (together.md section 7) for the people of a site's world: steps in the acceleration, corners in the
gyroscope, the floor's magnetic anomalies under the Earth's field, and scans of `phones_air`. A phone is its owner's; a
second of it is a function of (site, phone, time). Other generators' numbers are not touched: these have their own.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch
from ...sitefile import SIMULATED
from ..phone.batches import SECOND_NS, Samples, Scan, batch
from .phones_air import AccessPoints, in_streams
from .plan import Floats
from .world import World

RATE_HZ = 50
LOOK_NS = 50_000_000  # the world's own step; between two, everything is a straight line
TURN_LOOKS = 16  # a phone turns with its carrier's body over 0.8 s
GRAVITY = 9.81
EARTH_UT = np.array([3.0, 19.0, -41.0])  # 45 uT, dipping, as in the middle of Europe; +y of the site is about north
ANOMALY_UT, ANOMALY_M, WAVES = 8.0, 2.0, 64  # spread of each component on the floor, and its length
PHONE_OFFSET_UT, ROUND_OFFSET_UT = 5.0, 2.0
GAIN_SHARE = 0.02
ACC_NOISE, GYRO_NOISE, MAG_NOISE_UT = 0.3, 0.15, 0.5
WALKS_M_S = 0.25
SCAN_S, SCAN_JITTER_S = 2.2, 0.15  # real phones scan every 2.1 s (the mall's logs)
SCAN_OFFSET_DB = 3.0  # a phone against the survey's
BODY_DB = 4.0  # towards access points behind the carrier


class Style(NamedTuple):
    """How a phone is carried. pitch_rad: of its long side; swing_rad: with every stride; bounce, surge: m/s2 at a
    walking speed of 1.2 m/s, at step and stride rate; yaw_rad: against the heading."""

    pitch_rad: float
    swing_rad: float
    bounce: float
    surge: float
    yaw_rad: float


STYLES = (Style(0.6, 0.03, 1.8, 0.5, 0.0), Style(1.4, 0.25, 2.8, 1.2, 0.5), Style(1.0, 0.45, 2.2, 1.6, -0.2))


class _Motion(NamedTuple):
    """A body at instants (N): position (N,2) m, heading (N,) rad without jumps, speed (N,) m/s, phase (N,) strides."""

    position: Floats
    heading: Floats
    speed: Floats
    phase: Floats


class PhoneSensors:
    """The sensors of one phone of `[[phones]]` whose source is "simulated". air: shared by all of them."""

    def __init__(self, world: World, row: int, air: AccessPoints, field: "MagneticField") -> None:
        site = world.site
        self.phone = site.phones[row]
        self.world = world
        self.person = [identity.name for identity in site.identities].index(self.phone.owner)
        self.air, self._field, self._row = air, field, row
        rng = np.random.default_rng([world.seed, 60, row])
        self._style = STYLES[int(rng.integers(len(STYLES)))]
        self._gain = 1.0 + rng.normal(0.0, GAIN_SHARE, 3)  # of each sensor
        self._mag_offset = rng.normal(0.0, PHONE_OFFSET_UT, 3) + rng.normal(0.0, ROUND_OFFSET_UT, 3)
        self._gyro_bias = rng.normal(0.0, 0.01, 3)
        self._scan_offset_db = float(rng.normal(0.0, SCAN_OFFSET_DB))
        self._scan_phase_s = float(rng.uniform(0.0, SCAN_S))

    @property
    def is_carried(self) -> bool:
        """False where the world has fewer people than the site has identities: this phone's owner never comes."""
        return self.person < len(self.world.bodies)

    def samples(self, end_ns: int) -> dict[str, Samples]:
        """All three sensors in (end_ns - 1 s, end_ns], at 50 Hz."""
        number = (end_ns - self.world.epoch_ns) // SECOND_NS
        rng = np.random.default_rng([self.world.seed, 62, self._row, int(number)])
        t_ns = end_ns - np.arange(RATE_HZ - 1, -1, -1, dtype=np.int64) * (SECOND_NS // RATE_HZ)
        motion = self._motion(t_ns)
        turn = _turn_into_phone(motion, self._style)
        acc = turn(self._force(motion)) * self._gain[0] + rng.normal(0.0, ACC_NOISE, (RATE_HZ, 3))
        gyro = self._rotation(motion) * self._gain[1] + self._gyro_bias + rng.normal(0.0, GYRO_NOISE, (RATE_HZ, 3))
        mag = turn(self._field.at(motion.position)) * self._gain[2] + self._mag_offset
        mag += rng.normal(0.0, MAG_NOISE_UT, (RATE_HZ, 3))
        values = {"acc": acc, "gyro": gyro, "mag": mag}
        return {name: Samples(t_ns, xyz.astype(np.float32)) for name, xyz in values.items()}

    def scan(self, end_ns: int) -> Scan | None:
        """The scan that ended in (end_ns - 1 s, end_ns], with hardware addresses; None where none did."""
        since_s = (end_ns - self.world.epoch_ns) / SECOND_NS
        number = int((since_s - self._scan_phase_s) // SCAN_S)
        for candidate in (number, number + 1):
            rng = np.random.default_rng([self.world.seed, 64, self._row, max(candidate, 0)])
            scan_s = candidate * SCAN_S + self._scan_phase_s + rng.uniform(-SCAN_JITTER_S, SCAN_JITTER_S)
            if candidate >= 0 and max(since_s - 1.0, 0.0) < scan_s <= since_s:
                scan_ns = self.world.epoch_ns + round(scan_s * SECOND_NS)
                dbm = self.air.scan(self._level(scan_ns), rng)
                heard = [(self.air.addresses[ap], float(dbm[ap])) for ap in np.flatnonzero(np.isfinite(dbm))]
                return Scan(scan_ns, scan_ns, tuple(heard)) if heard else None
        return None

    def _level(self, t_ns: int) -> Floats:
        """Mean strengths (n,) where the phone is: its own loudness, and its carrier's body in the way."""
        crowd = self.world.people_at(t_ns)
        place, heading = crowd.position[self.person], float(crowd.heading[self.person])
        level = self.air.level_dbm(place[None])[0] + self._scan_offset_db
        away = self.air.position_m[:, :2] - place
        ahead = (away @ [np.cos(heading), np.sin(heading)]) / np.maximum(np.linalg.norm(away, axis=1), 0.5)
        return level - BODY_DB * np.maximum(-ahead, 0.0)

    def _motion(self, t_ns: NDArray[np.int64]) -> _Motion:
        epoch = self.world.epoch_ns
        first = (int(t_ns[0]) - epoch) // LOOK_NS - TURN_LOOKS
        last = -(-(int(t_ns[-1]) - epoch) // LOOK_NS)
        looks = [epoch + max(step, 0) * LOOK_NS for step in range(first, last + 1)]
        crowds = [self.world.people_at(look) for look in looks]
        person = self.person
        rows = np.array(
            [
                (*crowd.position[person], crowd.heading[person], np.hypot(*crowd.velocity[person]), crowd.phase[person])
                for crowd in crowds
            ]
        )
        turned = np.convolve(np.unwrap(rows[:, 2]), np.full(TURN_LOOKS, 1 / TURN_LOOKS))
        rows[TURN_LOOKS - 1 :, 2] = turned[TURN_LOOKS - 1 : len(rows)]
        at = (t_ns - epoch) / LOOK_NS - first
        x, y, heading, speed, phase = (np.interp(at, np.arange(len(rows)), column) for column in rows.T)
        return _Motion(np.column_stack((x, y)), heading, speed, phase)

    def _force(self, motion: _Motion) -> Floats:
        """Specific force (N,3) m/s2: ahead, left, up. Two steps a stride, the second harmonic of a heel, a surge."""
        pace = np.where(motion.speed > WALKS_M_S, motion.speed / 1.2, 0.0)
        step = 4 * np.pi * motion.phase
        up = GRAVITY + self._style.bounce * pace * (np.sin(step) + 0.35 * np.sin(2 * step + 0.8))
        ahead = self._style.surge * pace * np.sin(step + 1.1)
        left = 0.5 * self._style.surge * pace * np.sin(step / 2)
        heading = motion.heading
        return np.column_stack(
            (
                ahead * np.cos(heading) - left * np.sin(heading),
                ahead * np.sin(heading) + left * np.cos(heading),
                up,
            )
        )

    def _rotation(self, motion: _Motion) -> Floats:
        """Angular rate (N,3) rad/s in the phone's frame: the body's turns, and the swing with every stride."""
        turning = np.gradient(motion.heading) * RATE_HZ
        pitch = _pitch(motion, self._style)
        swinging = np.gradient(pitch) * RATE_HZ
        return np.column_stack((swinging, turning * np.sin(pitch), turning * np.cos(pitch)))


class MagneticField:
    """The field on the floor of one world: the Earth's, bent by iron that stays where it is."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 65])
        self._waves = rng.normal(0.0, 1.0 / ANOMALY_M, (WAVES, 2))
        self._phases = rng.uniform(0.0, 2 * np.pi, (WAVES, 3))
        self._size = ANOMALY_UT * np.sqrt(2.0 / WAVES)

    def at(self, places: Floats) -> Floats:
        """(N,3) uT in the site frame at places (N,2) m."""
        angle = (places @ self._waves.T)[:, :, None] + self._phases
        return EARTH_UT + self._size * np.cos(angle).sum(axis=1)


def simulated_phones(world: World) -> list[PhoneSensors]:
    """The site's simulated phones whose owners live in its world."""
    air, field = AccessPoints(world.site), MagneticField(world.seed)
    rows = [row for row, phone in enumerate(world.site.phones) if phone.source == SIMULATED]
    return [phone for row in rows if (phone := PhoneSensors(world, row, air, field)).is_carried]


def phone_batches(sensors: PhoneSensors, end_ns: int) -> Iterator[PhoneBatch]:
    """The phone's seconds from the world's beginning until `end_ns`, as the gateway would give them."""
    pseudonym = in_streams(sensors.world.site)
    names = {address: pseudonym(address) for address in sensors.air.addresses}
    first_ns = (sensors.world.epoch_ns // SECOND_NS + 1) * SECOND_NS + SECOND_NS
    for t_ns in range(first_ns, end_ns, SECOND_NS):
        scan = sensors.scan(t_ns)
        if scan:
            readings = tuple(sorted((names[address], dbm) for address, dbm in scan.readings))
            scan = scan._replace(readings=readings)
        yield batch(sensors.phone.id, t_ns, sensors.samples(t_ns), scan)


def _pitch(motion: _Motion, style: Style) -> Floats:
    pace = np.clip(motion.speed / 1.2, 0.0, 1.3)
    return style.pitch_rad + style.swing_rad * pace * np.sin(2 * np.pi * motion.phase)


def _turn_into_phone(motion: _Motion, style: Style) -> Callable[[Floats], Floats]:
    """Site frame (N,3) to the phone's: turned by the heading, then pitched up about its x axis."""
    yaw, pitch = motion.heading + style.yaw_rad - np.pi / 2, _pitch(motion, style)

    def turn(vectors: Floats) -> Floats:
        x = vectors[:, 0] * np.cos(yaw) + vectors[:, 1] * np.sin(yaw)
        y = -vectors[:, 0] * np.sin(yaw) + vectors[:, 1] * np.cos(yaw)
        z = vectors[:, 2]
        return np.column_stack((x, y * np.cos(pitch) + z * np.sin(pitch), -y * np.sin(pitch) + z * np.cos(pitch)))

    return turn
