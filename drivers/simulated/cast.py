"""Who lives in the simulated world: names, bodies, clothes, gaits, and the phones they carry.

Everything is drawn once from the seed and depends on positions in the site's lists, never on names or addresses, so
that the published site (pseudonyms in place of addresses) gives the same world wherever everybody listed consents.
"""

from dataclasses import dataclass, replace

import numpy as np

from ...sitefile import Simulated, Site
from .gait import Gait, draw_gait

PHONE_CHANCE = 0.5  # of the people who are not enrolled
CLOTHES_BGR = (  # saturated and dull, light and dark: what people wear, apart enough to tell some of them apart
    (40, 40, 200), (190, 80, 30), (60, 150, 50), (40, 190, 220), (150, 60, 130), (200, 200, 200),
    (45, 45, 50), (130, 130, 40), (60, 110, 190), (120, 90, 70), (170, 160, 90), (80, 60, 170),
)  # fmt: skip
TROUSERS_BGR = ((60, 45, 35), (35, 35, 38), (90, 80, 75), (120, 140, 150), (110, 75, 45), (60, 80, 70))
SKIN_BGR = ((120, 150, 205), (80, 115, 170), (55, 80, 120), (140, 170, 220))
HAIR_BGR = ((25, 25, 30), (35, 50, 80), (60, 110, 150), (110, 110, 115))


@dataclass(frozen=True, slots=True)
class Body:
    """height_m, walking speed_m_s; colours are BGR 0..255; gait: how they walk at that speed."""

    name: str
    enrolled: str
    height_m: float
    speed_m_s: float
    gait: Gait
    top_bgr: tuple[int, int, int]
    legs_bgr: tuple[int, int, int]
    skin_bgr: tuple[int, int, int]
    hair_bgr: tuple[int, int, int]
    long_sleeves: bool


@dataclass(frozen=True, slots=True)
class Phone:
    """One transmitter. address: as the site file gives it, or a random one. person: the carrier's row, None = a
    stranger's, whose position_m is then fixed outside. offset_db: its unknown power offset. rate_hz: packets.
    carried_rad: where on the body it is, as an angle from the heading. consents: enrolled and willing."""

    address: str
    person: int | None
    consents: bool
    offset_db: float
    rate_hz: float
    carried_rad: float
    height_m: float
    position_m: tuple[float, float] = (0.0, 0.0)


def settings(site: Site) -> Simulated:
    return site.simulated or Simulated()


def draw_bodies(site: Site) -> tuple[Body, ...]:
    """One body for each person of the world; the first are the enrolled identities, in order."""
    rng = np.random.default_rng([settings(site).seed, 1])
    count = settings(site).people
    tops = [CLOTHES_BGR[i % len(CLOTHES_BGR)] for i in rng.permutation(len(CLOTHES_BGR))]
    bodies = []
    for row in range(count):
        height = float(np.clip(rng.normal(1.72, 0.08), 1.55, 1.92))
        speed = float(np.clip(rng.normal(1.15, 0.15), 0.8, 1.5))
        enrolled = site.identities[row].name if row < len(site.identities) else ""
        bodies.append(
            Body(
                name=enrolled or f"guest-{row + 1}",
                enrolled=enrolled if row < len(site.identities) and site.identities[row].consent else "",
                height_m=height,
                speed_m_s=speed,
                gait=_gait(settings(site).seed, row, height, speed),
                top_bgr=tops[row % len(tops)],
                legs_bgr=TROUSERS_BGR[rng.integers(len(TROUSERS_BGR))],
                skin_bgr=SKIN_BGR[rng.integers(len(SKIN_BGR))],
                hair_bgr=HAIR_BGR[rng.integers(len(HAIR_BGR))],
                long_sleeves=bool(rng.random() < 0.6),
            )
        )
    return tuple(bodies)


def _gait(seed: int, row: int, height_m: float, speed_m_s: float) -> Gait:
    """A person's numbers of generator G1, at this height and speed: proportions and steps go with the height, and a
    speed that is not their own is shared by step and cadence."""
    drawn = draw_gait(np.random.default_rng([seed, 5, row]))
    taller = height_m / drawn.height_m
    lengths = {name: taller * getattr(drawn, name) for name in ("shoulder_m", "hip_m", "step_m")}
    own = replace(drawn, height_m=height_m, **lengths)
    faster = float(np.sqrt(speed_m_s / own.speed_m_s))
    return replace(own, step_m=own.step_m * faster, cadence_per_min=own.cadence_per_min * faster)


def draw_phones(site: Site) -> tuple[Phone, ...]:
    """The phones: of the enrolled (their first device), of some others, and of the strangers outside."""
    drawn = settings(site)
    rng = np.random.default_rng([drawn.seed, 2])
    phones = []
    for row in range(drawn.people + drawn.strangers):
        phone = Phone(
            address=_random_address(rng),
            person=row if row < drawn.people else None,
            consents=False,
            offset_db=float(rng.normal(0.0, drawn.device_offset_db)),
            rate_hz=float(np.exp(rng.uniform(np.log(0.5), np.log(5.0)))),
            carried_rad=float(rng.choice([-1.4, 1.4, 2.6, 0.3])),  # side pockets, back pocket, in the hand
            height_m=float(rng.uniform(0.85, 1.1)),
            position_m=_outside(site, rng),
        )
        has_phone = rng.random() < PHONE_CHANCE or row >= drawn.people
        if row < min(len(site.identities), drawn.people):
            identity = site.identities[row]
            if identity.devices:
                phones.append(replace(phone, address=identity.devices[0], consents=identity.consent))
        elif has_phone:
            phones.append(phone)
    return tuple(phones)


def _random_address(rng: np.random.Generator) -> str:
    """A locally administered address, as phones make up for strangers (protocols B2)."""
    octets = rng.integers(0, 256, 6)
    octets[0] = (octets[0] & 0xFC) | 0x02
    return ":".join(f"{octet:02x}" for octet in octets)


def _outside(site: Site, rng: np.random.Generator) -> tuple[float, float]:
    """2 to 4 m beyond a random side of the area."""
    (x0, x1), (y0, y1) = site.area.x_m, site.area.y_m
    away, x, y, side = rng.uniform(2.0, 4.0), rng.uniform(x0, x1), rng.uniform(y0, y1), rng.integers(4)
    spots = ((x, y0 - away), (x1 + away, y), (x, y1 + away), (x0 - away, y))
    return spots[side]
