"""What simulated phones hear: the access points of the building, on this floor and on others, and a survey of them.

Generator G2 (together.md section 7), for one site: path loss with its own exponent for each access point, walls,
shadowing fixed in space (a Gaussian process on the floor), fading from scan to scan, and a soft detection threshold.
It is the downlink: what sniffers hear of phones is `radio`, and the two share nothing but the walls.
"""

from collections.abc import Callable
from hashlib import sha256

import numpy as np

from ...sitefile import Site
from ..wifi.pseudonyms import access_point_pseudonym
from .cast import settings
from .plan import Floats, FloorPlan

FLOOR_M2 = 6.0  # of this floor, for each access point that may be heard
FEWEST, MOST = 24, 150
AROUND_M = 15.0  # how far beyond the area access points stand
OTHER_FLOORS, OTHER_FLOOR_DB, FLOOR_M = 0.4, 15.0, 3.5  # share of them there, loss a floor, height
AT_1_M_DBM, AT_1_M_SPREAD_DB = -38.0, 4.0
EXPONENT = (2.2, 3.5)
WALL_DB = 4.0
SHADOWING_DB, SHADOWING_M, WAVES = 5.0, 5.0, 48
FADING_DB = 3.0  # from scan to scan
HEARD_DBM, HEARD_WIDTH_DB = -92.0, 3.0
PHONE_M, NEAREST_M = 1.1, 0.5


class AccessPoints:
    """The access points of a site's simulated world; everything follows from the site and its seed.

    addresses (n): hardware addresses; position_m (n,3); on another floor where z says so.
    """

    def __init__(self, site: Site) -> None:
        seed = settings(site).seed
        rng = np.random.default_rng([seed, 61])
        self._plan = FloorPlan(site.area)
        low, high = self._plan.low, self._plan.high
        count = int(np.clip(round(float(np.prod(high - low)) / FLOOR_M2), FEWEST, MOST))
        self.addresses = tuple(f"02:a9:{seed % 256:02x}:00:{row // 256:02x}:{row % 256:02x}" for row in range(count))
        floor = np.where(rng.random(count) < OTHER_FLOORS, rng.choice([-1, 1], count), 0)
        place = rng.uniform(low - AROUND_M, high + AROUND_M, (count, 2))
        inside = rng.uniform(low, high, (count, 2))
        own = (np.arange(count) % 3 == 0)[:, None]  # a third of them are the site's own
        height = floor * FLOOR_M + 2.5
        self.position_m = np.column_stack((np.where(own, inside, place), height))
        self._loss_db = OTHER_FLOOR_DB * np.abs(floor)
        self._at_1_m = rng.normal(AT_1_M_DBM, AT_1_M_SPREAD_DB, count)
        self._exponent = rng.uniform(*EXPONENT, count)
        self._waves = rng.normal(0.0, 1.0 / SHADOWING_M, (count, WAVES, 2))
        self._phases = rng.uniform(0.0, 2 * np.pi, (count, WAVES))

    def level_dbm(self, places: Floats) -> Floats:
        """Mean strength (k,n) at places (k,2) m, before fading."""
        count = len(self.addresses)
        apart = self.position_m[None] - np.column_stack((places, np.full(len(places), PHONE_M)))[:, None]
        distance = np.maximum(np.linalg.norm(apart, axis=2), NEAREST_M)
        level = self._at_1_m - 10 * self._exponent * np.log10(distance) - self._loss_db
        angle = np.einsum("kd,nwd->knw", places, self._waves) + self._phases
        level += SHADOWING_DB * np.sqrt(2.0 / WAVES) * np.cos(angle).sum(axis=2)
        start, end = np.repeat(places, count, 0), np.tile(self.position_m[:, :2], (len(places), 1))
        return level - WALL_DB * self._plan.count_walls(start, end).reshape(len(places), count)

    def scan(self, level_dbm: Floats, rng: np.random.Generator) -> Floats:
        """One scan's readings in whole dBm, of `level_dbm`'s shape; NaN where an access point is not heard."""
        received = np.rint(level_dbm + rng.normal(0.0, FADING_DB, level_dbm.shape))
        threshold = HEARD_DBM + HEARD_WIDTH_DB * rng.logistic(0.0, 1.0 / 1.8, level_dbm.shape)
        return np.where((received >= threshold) & (received >= -110.0), np.minimum(received, -20.0), np.nan)


def survey(
    site: Site,
    spacing_m: float = 1.0,
    scans_a_point: int = 5,
    seed: int = 0,
    pseudonym: Callable[[str], str] | None = None,
) -> tuple[tuple[str, ...], Floats, Floats]:
    """A surveyor's fingerprints of the simulated site: on a grid of the whole area, several scans at each point.

    Returns (bssids (m), positions (n,2) m, rssi (n,m) dBm with NaN where not heard), a row a scan. pseudonym: what an
    address becomes; by default what `streams` and `whowhere simulate` call it. seed: of the fading alone. Raises
    ValueError where nothing would be measured.
    """
    if not (spacing_m > 0 and scans_a_point > 0):
        raise ValueError(f"spacing_m = {spacing_m} and scans_a_point = {scans_a_point} must both be positive")
    points = AccessPoints(site)
    (x0, x1), (y0, y1) = site.area.x_m, site.area.y_m
    grid = np.meshgrid(_marks(x0, x1, spacing_m), _marks(y0, y1, spacing_m))
    positions = np.repeat(np.stack(grid, axis=-1).reshape(-1, 2), scans_a_point, 0)
    rng = np.random.default_rng([settings(site).seed, 63, seed])
    rssi = points.scan(points.level_dbm(positions), rng)
    return tuple(map(pseudonym or in_streams(site), points.addresses)), positions, rssi


def in_streams(site: Site) -> Callable[[str], str]:
    """What an access point is called in `streams`: its pseudonym under a key that follows from the seed, the one that
    `whowhere simulate` takes for phones heard by sniffers. In live simulation the site's own key is used."""
    key = sha256(f"whowhere simulated {site.simulated.seed if site.simulated else 0}".encode()).digest()
    return lambda address: access_point_pseudonym(key, address)


def _marks(low: float, high: float, spacing: float) -> Floats:
    """Evenly spaced, as far from both ends as fits; at least one."""
    count = max(1, int((high - low) / spacing))
    return low + (high - low - (count - 1) * spacing) / 2 + spacing * np.arange(count, dtype=np.float64)
