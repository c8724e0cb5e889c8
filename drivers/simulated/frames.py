"""The frame simulator of EV-Loc's own evaluation: synchronous frames of people walking a room by random waypoint, what
a few sniffers hear of their phones and where a camera sees their feet. Nothing of the product's streams is in it:
no packets, no images, no clocks. Source: EV-Loc (paper), section "simulation"; specification section 3.

Each run draws from a generator of its own, seeded by its number, so that a run is the same in every batch.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

MIN_DISTANCE_M = 0.1  # path loss has no meaning nearer
SPARE = 3.0  # times the mean number of legs a walk needs


@dataclass(frozen=True)
class Scene:
    """What one evaluation sets; the defaults are the paper's scene with the specification's reading of its noise."""

    people: int = 10
    phones: int | None = None  # None: everybody carries one
    strangers: int = 0  # phones that are heard and whose owner no camera ever sees
    sniffers: int = 3
    side_m: float = 10.0
    speed_mps: float = 2.0
    interval_s: float = 1.0
    exponent: float = 2.0
    reference_dbm: float = -40.0  # at 1 m
    reading_sigma_db: float = 5.0
    readings: int = 10  # K, averaged in each frame
    bias_db: float = 0.0  # standard deviation, one for each (phone, sniffer)
    visual_sd_m: float = 0.3  # in each coordinate
    visual_miss: float = 0.0  # share of sightings lost
    electronic_miss: float = 0.0  # share of (phone, frame) in which nothing is heard
    link_error: float = 0.0  # share of links from frame to frame that are wrong

    @property
    def sigma_db(self) -> float:
        """Of a frame's mean reading."""
        return self.reading_sigma_db / float(np.sqrt(self.readings))

    @property
    def carriers(self) -> int:
        return self.people if self.phones is None else self.phones


class Frames(NamedTuple):
    """R runs of F frames: N phones (strangers last), B camera columns, J sniffers."""

    scene: Scene
    sniffers: Floats  # (J, 2) m
    rssi_dbm: Floats  # (R, F, N, J), NaN = not heard
    seen_m: Floats  # (R, F, B, 2), NaN = missed; column c is what the linker takes for column c of the frame before
    owner: Indices  # (R, F, N) the column that carries each phone, -1 = nobody seen
    place_m: Floats  # (R, F, N, 2) where the phones are


def placed(count: int, side_m: float) -> Floats:
    """Sniffers (J, 2): three in an isosceles triangle, more on the cells of the squarest grid."""
    if count == 3:
        return np.array([[0.0, 0.0], [side_m, 0.0], [side_m / 2, side_m]])
    columns = int(np.ceil(np.sqrt(count)))
    rows = int(np.ceil(count / columns))
    cells = [((c + 0.5) / columns, (r + 0.5) / rows) for r in range(rows) for c in range(columns)]
    return np.array(cells[:count]) * side_m


def simulate(scene: Scene, runs: int, frames: int, seed: int) -> Frames:
    """Runs number `seed` to `seed + runs - 1`. Raises ValueError for more phones than people or no sniffers."""
    if not 0 <= scene.carriers <= scene.people or scene.sniffers < 1:
        raise ValueError(f"{scene.carriers} phones, {scene.people} people, {scene.sniffers} sniffers")
    drawn = [_draw(scene, frames, seed + run) for run in range(runs)]
    waypoints, carried, noise_db, bias_db, unheard, jitter, missed, chance = (
        np.stack(part) for part in zip(*drawn, strict=True)
    )
    walked = _walk(
        waypoints, scene.speed_mps * scene.interval_s * np.arange(frames, dtype=np.float64)
    )  # (R, everybody, F, 2)
    places = walked.transpose(0, 2, 1, 3)
    carrier = np.concatenate(
        (carried, np.tile(np.arange(scene.people, places.shape[2]), (runs, 1))), axis=1
    )  # (R, N) which walker carries each phone
    phones = np.take_along_axis(places, carrier[:, None, :, None], axis=2)
    sniffers = placed(scene.sniffers, scene.side_m)
    rssi = expected_dbm(scene, sniffers, phones) + bias_db[:, None] + noise_db
    rssi[unheard < scene.electronic_miss] = np.nan
    shown = _linked(places[:, :, : scene.people], chance, scene.link_error)
    seen = np.take_along_axis(places, shown[..., None], axis=2) + scene.visual_sd_m * jitter
    seen[missed < scene.visual_miss] = np.nan
    column = np.full((runs, frames, places.shape[2]), -1, np.intp)
    np.put_along_axis(column, shown, np.broadcast_to(np.arange(scene.people), shown.shape), axis=2)
    owner = np.take_along_axis(column, np.broadcast_to(carrier[:, None], (runs, frames, carrier.shape[1])), axis=2)
    return Frames(scene, sniffers, rssi, seen, owner, phones)


def expected_dbm(scene: Scene, sniffers: Floats, places: Floats) -> Floats:
    """Mean power (..., J) at each sniffer of phones at (..., 2): the path loss of equation 3."""
    apart = np.linalg.norm(places[..., None, :] - sniffers, axis=-1)
    return scene.reference_dbm - 10 * scene.exponent * np.log10(np.maximum(apart, MIN_DISTANCE_M))


def _draw(scene: Scene, frames: int, seed: int) -> tuple[NDArray[np.generic], ...]:
    """All that is random in one run."""
    random = np.random.default_rng(seed)
    walkers, phones = scene.people + scene.strangers, scene.carriers + scene.strangers
    way = scene.speed_mps * scene.interval_s * frames
    legs = 8 + int(SPARE * way / (0.52 * scene.side_m))  # 0.52: mean distance in a unit square
    return (
        random.uniform(0, scene.side_m, (walkers, legs, 2)),
        random.permutation(scene.people)[: scene.carriers],
        random.normal(0, scene.sigma_db, (frames, phones, scene.sniffers)),
        random.normal(0, 1, (phones, scene.sniffers)) * scene.bias_db,
        random.random((frames, phones)),
        random.normal(0, 1, (frames, scene.people, 2)),
        random.random((frames, scene.people)),
        random.random((frames, scene.people)),
    )


def _walk(waypoints: Floats, way_m: Floats) -> Floats:
    """Places (R, P, F, 2) after each length of way (F,) along waypoints (R, P, legs, 2); at the last, people stay."""
    legs = np.diff(waypoints, axis=2)
    length = np.maximum(np.linalg.norm(legs, axis=3), 1e-9)
    ends = np.cumsum(length, axis=2)
    places = np.empty((*waypoints.shape[:2], len(way_m), 2))
    for frame, way in enumerate(way_m):
        leg = np.minimum((ends <= way).sum(axis=2), legs.shape[2] - 1)[..., None]
        share = np.take_along_axis((way - (ends - length)) / length, leg, axis=2)
        start = np.take_along_axis(waypoints, leg[..., None], axis=2)[:, :, 0]
        step = np.take_along_axis(legs, leg[..., None], axis=2)[:, :, 0]
        places[:, :, frame] = start + np.minimum(share, 1.0) * step
    return places


def _linked(places: Floats, chance: Floats, link_error: float) -> Indices:
    """Which walker each column shows (R, F, B): a wrong link exchanges two neighbours, from then on."""
    runs, frames, people, _ = places.shape
    shown = np.tile(np.arange(people), (runs, frames, 1))
    if not link_error or people < 2:
        return shown
    every = np.arange(runs)
    now = shown[:, 0].copy()
    for frame in range(1, frames):
        at = places[:, frame]
        apart = np.linalg.norm(at[:, :, None] - at[:, None], axis=3)
        apart[:, np.arange(people), np.arange(people)] = np.inf
        nearest = apart.argmin(axis=2)
        for column in range(people):
            wrong = chance[:, frame, column] < link_error / 2  # two links are wrong then
            walker = now[:, column]
            other = (now == nearest[every, walker][:, None]).argmax(axis=1)
            now[wrong, column], now[wrong, other[wrong]] = now[wrong, other[wrong]], walker[wrong].copy()
        shown[:, frame] = now
    return shown
