"""Another world: realistic streams of cameras and WiFi sniffers, made from the physics for validation only.

An independent second generator: it shares no line with drivers/simulated and none with fusion, and nothing in fusion
is tuned on it. `make(seed)` gives a site and the messages as a hub would deliver them, with the truth among them.
Everything about one seed is fixed; variations change one thing and leave the rest of the world as it was.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from otherworld_cameras import chances, hang, lens_of
from otherworld_eyes import T0_NS, Eye, absences
from otherworld_looks import wardrobe
from otherworld_people import Walks, walks
from otherworld_radio import SENSITIVITY_DBM, Air, Device, Heard, device
from whowhere.messages import Message, Truth, WifiWindow, numbered
from whowhere.sitefile import Area, Camera, Identity, Site, Sniffer, site_from_json

NAMES = ("Ada", "Bela", "Cleo", "Dirk", "Emma", "Finn", "Gina", "Hugo", "Ines", "Jonas", "Kira", "Luis")
TRUTH_S, WINDOW_S = 0.1, 0.5
LATENCY_S = (0.02, 0.08)  # of sniffers

Array = NDArray[np.float64]
Looks = Literal["normal", "alike"] | bool


@dataclass(frozen=True)
class Options:
    """Variations. looks: "normal", "alike", or False for none. The rest: as an independent evaluator would set them."""

    looks: Looks = "normal"
    wrong_radio: bool = False  # the site file's exponent and reference power are off
    clock_s: float = 0.3  # each source's clock is off by up to this
    device_offset_db: float = 4.0
    blocking: bool = True
    fragments: bool = True
    burst: float = 3.0  # packets that a phone sends at once, in the mean; 1: each on its own


@dataclass(frozen=True)
class Sighting:
    """A box of which the generator knows whose it is, as published: for the oracle."""

    t_ns: int
    camera: str
    person: str
    box: Array  # left, top, width, height px


@dataclass(frozen=True)
class World:
    site: Site
    messages: list[Message]
    sightings: list[Sighting]
    walks: Walks
    devices: list[Device]


def make(
    seed: int, seconds: float = 120.0, people: int | None = None, **variations: object
) -> tuple[Site, list[Message]]:
    """The site and all its messages in the order of their arrival. variations: fields of Options."""
    world = build(seed, seconds, people, Options(**variations))  # type: ignore[arg-type]
    return world.site, world.messages


def build(seed: int, seconds: float, people: int | None = None, options: Options = Options()) -> World:
    """As `make`, with what only the generator knows. Each part has its own generator, so that they do not mix."""
    build_, walk, see, hear, dress, tick, fail = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(7)
    )
    size = (round(build_.uniform(10, 15), 1), round(build_.uniform(10, 12), 1))
    cameras = hang(build_, size, int(build_.integers(2, 4)))
    count = people if people is not None else int(walk.integers(5, 11))
    ways = walks(walk, size, count, seconds)
    sniffers, exponent, reference_dbm = mount(hear, size, options.wrong_radio)
    names, identities, devices = enrol(hear, size, count, options.device_offset_db)
    site = Site(name=f"otherworld {seed}", area=Area(x_m=(0.0, size[0]), y_m=(0.0, size[1])), cameras=cameras,
                sniffers=sniffers, identities=identities)  # fmt: skip
    site = site_from_json(msgspec.json.encode(site, enc_hook=float))  # plain numbers, and checked as a file is
    antennas = np.array([sniffer.position_m for sniffer in sniffers])
    air = Air(hear, antennas, exponent, reference_dbm, ways, devices, options.blocking, options.burst)
    people_names = [name or f"guest {row + 1}" for row, name in enumerate(names)]
    gaps = [absences(fail, seconds) if options.fragments else [] for _ in range(count)]
    clothes = wardrobe(dress, count, options.looks == "alike")
    arrivals: list[tuple[float, Message]] = []
    sightings: list[Sighting] = []
    for camera in cameras:
        eye = Eye(see, dress, camera, ways, gaps, clothes if options.looks else None, options.clock_s)
        for at_s, frame, rows in eye.frames(seconds):
            arrivals.append((at_s, frame))
            sightings += [Sighting(frame.t_ns, camera.id, people_names[row], frame.boxes[place].astype(float))
                          for place, row in enumerate(rows) if row >= 0]  # fmt: skip
    for sniffer, heard in zip(sniffers, air.listen(seconds), strict=True):
        arrivals += windows(tick, sniffer, heard, devices, options.clock_s, seconds)
    arrivals += [(truth_s(frame), frame) for frame in truths(ways, cameras, people_names, names, seconds)]
    arrivals.sort(key=lambda arrival: arrival[0])
    counts: dict[str, int] = {}
    messages = [numbered(message, counts) for _, message in arrivals]
    return World(site, messages, sorted(sightings, key=lambda s: s.t_ns), ways, devices)


def mount(
    rng: np.random.Generator, size: tuple[float, float], is_wrong: bool
) -> tuple[tuple[Sniffer, ...], float, float]:
    """Three to five sniffers at the walls, and the true exponent and reference power, which the site file may miss."""
    exponent, reference_dbm = rng.uniform(2.2, 3.2), rng.uniform(-42.0, -36.0)
    errors = (float(rng.choice([-0.6, 0.6])), float(rng.uniform(-6, 6)))
    count = int(rng.integers(3, 6))
    around = (rng.uniform() + np.arange(count) + rng.uniform(-0.2, 0.2, count)) / count % 1.0
    said = (exponent + errors[0] * is_wrong, reference_dbm + errors[1] * is_wrong)
    sniffers = tuple(
        Sniffer(id=f"ear{number + 1}", source="simulated", position_m=(*on_wall(size, share), rng.uniform(1.0, 2.6)),
                window_s=WINDOW_S, reference_dbm=said[1], path_loss_exponent=said[0], noise_floor_dbm=SENSITIVITY_DBM)
        for number, share in enumerate(around)
    )  # fmt: skip
    return sniffers, exponent, reference_dbm


def on_wall(size: tuple[float, float], share: float) -> tuple[float, float]:
    """The place at this share of the way around the walls."""
    wide, deep = size
    along = share * 2 * (wide + deep)
    if along < wide:
        return along, 0.0
    if along < wide + deep:
        return wide, along - wide
    if along < 2 * wide + deep:
        return 2 * wide + deep - along, deep
    return 0.0, 2 * (wide + deep) - along


def enrol(
    rng: np.random.Generator, size: tuple[float, float], people: int, offset_db: float
) -> tuple[list[str], tuple[Identity, ...], list[Device]]:
    """Enrolled names ("" for the others) by row, identities (one may be absent), and all devices in the air."""
    without, unknown = int(rng.integers(0, 3)), int(rng.integers(0, 2))  # no phone; a phone that is not enrolled
    enrolled = max(people - without - unknown, min(people, 2))
    names = [NAMES[row] if row < enrolled else "" for row in range(people)]
    origin = np.zeros(2)
    devices = [device(rng, f"dev-{rng.integers(2**32):08x}", row, origin, offset_db) for row in range(enrolled)]
    identities = [Identity(name=names[row], devices=(devices[row].name,), consent=True) for row in range(enrolled)]
    if rng.random() < 0.5:
        identities.append(Identity(name="Zoe", devices=(f"dev-{rng.integers(2**32):08x}",), consent=True))
    for row in range(enrolled, min(people, enrolled + unknown)):
        devices.append(device(rng, f"other-{row}", row, origin, offset_db))
    for number in range(int(rng.integers(1, 5))):
        place = np.array([rng.uniform(-5, size[0] + 5), -rng.uniform(1, 6)])
        devices.append(device(rng, f"outside-{number}", -1, place, offset_db))
    return names, tuple(identities), devices


def windows(
    rng: np.random.Generator,
    sniffer: Sniffer,
    heard: list[Heard],
    devices: list[Device],
    clock_s: float,
    seconds: float,
) -> list[tuple[float, WifiWindow]]:
    """(arrival, window) of one sniffer, whose clock is off; empty windows too."""
    offset_s, phase_s, latency_s = (
        rng.uniform(-1, 1) * clock_s,
        rng.uniform(0, WINDOW_S),
        rng.uniform(*LATENCY_S),
    )
    number_of = [
        int(np.ceil((packet.t_s - phase_s) / WINDOW_S)) for packet in heard
    ]  # window k ends at phase + k 0.5 s
    by_window: dict[int, dict[int, list[float]]] = {}
    for packet, number in zip(heard, number_of, strict=True):
        by_window.setdefault(number, {}).setdefault(packet.device, []).append(packet.rssi_dbm)
    result = []
    for number in range(int((seconds - phase_s) / WINDOW_S) + 1):
        end_s = phase_s + number * WINDOW_S
        readings = by_window.get(number, {})
        listed = sorted(
            (one for one in readings if devices[one].name.startswith("dev-")), key=lambda d: devices[d].name
        )
        values = [np.array(readings[one]) for one in listed]
        window = WifiWindow(
            source=sniffer.id, t_ns=T0_NS + round((end_s + offset_s) * 1e9), window_s=WINDOW_S,
            devices=tuple(devices[one].name for one in listed),
            rssi_dbm=np.array([v.mean() for v in values], np.float32),
            rssi_std_db=np.array([v.std() for v in values], np.float32),
            count=np.array([len(v) for v in values], np.uint32), channel=np.full(len(listed), 6, np.uint8),
            others=len(readings) - len(listed),
        )  # fmt: skip
        result.append((end_s + latency_s * rng.uniform(0.9, 1.3), window))
    return result


def truths(
    ways: Walks, cameras: tuple[Camera, ...], people: list[str], names: list[str], seconds: float
) -> list[Truth]:
    """Who is where inside the room, ten times a second, by the true clock."""
    lenses, result = [lens_of(camera) for camera in cameras], []
    for step in range(int(seconds / TRUTH_S)):
        place, _, inside = ways.at(step * TRUTH_S)
        here = np.flatnonzero(inside)
        views = [chances(lens, place[here], ways.height[here])[2] for lens in lenses]
        seen = tuple(
            tuple(camera.id for camera, view in zip(cameras, views, strict=True) if view[number])
            for number in range(len(here))
        )
        result.append(Truth(source="otherworld", t_ns=T0_NS + round(step * TRUTH_S * 1e9),
                            people=tuple(people[row] for row in here), position=place[here],
                            enrolled=tuple(names[row] for row in here), seen_by=seen))  # fmt: skip
    return result


def truth_s(truth: Truth) -> float:
    return (truth.t_ns - T0_NS) / 1e9
