"""Sensor messages straight from the world, in time order, without bytes, pixels or processes.

    for message in streams(site, 60.0):
        engine.step(message)

The same world and the same physics as the byte renderers, so that fusion can be developed and evaluated in-process,
many times faster than real time. Transport is not modelled: every message comes at its own `t_ns`, none is late.
"""

import heapq
from collections.abc import Iterator, Sequence

import numpy as np

from ...messages import CameraFrame, Message, RadarFrame, Truth, WifiWindow, numbered
from ...sitefile import Camera, Radar, Site
from .camera import exposure_phase
from .echoes import Echoes
from .glimpses import HISTOGRAM, Glimpses
from .optics import View
from .phones import phone_batches, simulated_phones
from .radio import Air
from .world import World

EPOCH_NS = 1_760_000_000_000_000_000  # any round instant: a stream must not depend on today
RADAR_PERIOD_NS = 100_000_000
TRUTH_PERIOD_NS = 100_000_000
CHANNEL = 6
KINDS = ("radar", "camera", "wifi", "phone", "truth")


def streams(site: Site, seconds: float, epoch_ns: int = EPOCH_NS, kinds: Sequence[str] = KINDS) -> Iterator[Message]:
    """All messages of the first `seconds` of the site's world, numbered, ordered by (t_ns, topic).

    Devices in `wifi` messages are the strings of the given site's consenting identities: give the published site to
    get its pseudonyms. `phone` messages are those of the site's simulated phones. Raises SiteError for cameras without
    a pinhole pose."""
    world = World(site, epoch_ns)
    end_ns = epoch_ns + int(seconds * 1e9)
    parts: list[Iterator[Message]] = []
    if "radar" in kinds:
        parts += [_radar(world, radar, end_ns) for radar in site.radars]
    if "camera" in kinds:
        parts += [_camera(world, camera, end_ns) for camera in site.cameras]
    if "wifi" in kinds:
        air = Air(world)
        parts += [_wifi(air, row, end_ns) for row in range(len(site.sniffers))]
    if "phone" in kinds:
        parts += [phone_batches(phone, end_ns) for phone in simulated_phones(world)]
    if "truth" in kinds:
        parts.append(_truth(world, end_ns))
    counts: dict[str, int] = {}
    for message in heapq.merge(*parts, key=lambda message: (message.t_ns, message.topic)):
        yield numbered(message, counts)


def camera_times(site: Site, camera: Camera, epoch_ns: int) -> Iterator[int]:
    """Exposure times: cameras are not synchronised, so each starts at its own part of the period."""
    row = [other.id for other in site.cameras].index(camera.id)
    period = 1e9 / camera.fps
    phase = exposure_phase(row)
    number = 0
    while True:
        yield epoch_ns + int((number + phase) * period)
        number += 1


class Witness:
    """Computes `Truth`: where everybody present is and which sensors have them in view."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._views = [View(camera) for camera in world.site.cameras]
        self._radars = [(radar.id, Echoes(world, radar)) for radar in world.site.radars]

    def truth(self, t_ns: int) -> Truth:
        world = self._world
        crowd = world.people_at(t_ns)
        seen = [(v.camera.id, v.sight(crowd, world.heights_m, world.plan).seen) for v in self._views]
        seen += [(name, echoes.sees(crowd)) for name, echoes in self._radars]
        rows = np.flatnonzero(crowd.present)
        return Truth(
            source="simulated",
            t_ns=t_ns,
            people=tuple(world.bodies[row].name for row in rows),
            position=crowd.position[rows],
            enrolled=tuple(world.bodies[row].enrolled for row in rows),
            seen_by=tuple(tuple(name for name, who in seen if who[row]) for row in rows),
        )


def _truth(world: World, end_ns: int) -> Iterator[Message]:
    witness = Witness(world)
    for t_ns in range(world.epoch_ns, end_ns, TRUTH_PERIOD_NS):
        yield witness.truth(t_ns)


def _radar(world: World, radar: Radar, end_ns: int) -> Iterator[Message]:
    echoes = Echoes(world, radar)
    for number, t_ns in enumerate(range(world.epoch_ns, end_ns, RADAR_PERIOD_NS)):
        points = echoes.points(world.people_at(t_ns), number)
        yield RadarFrame(source=radar.id, t_ns=t_ns, points=points, frame_number=number + 1)


def _camera(world: World, camera: Camera, end_ns: int) -> Iterator[Message]:
    view = View(camera)
    glimpses = Glimpses(world, view)
    for number, t_ns in enumerate(camera_times(world.site, camera, world.epoch_ns)):
        if t_ns >= end_ns:
            return
        boxes, scores, histograms = glimpses.of(world.people_at(t_ns), number)
        yield CameraFrame(
            source=camera.id,
            t_ns=t_ns,
            boxes=boxes,
            scores=scores,
            image_size=view.size,
            descriptors={HISTOGRAM: histograms},
        )


def _wifi(air: Air, row: int, end_ns: int) -> Iterator[Message]:
    """Windows of sniffer `row`, ending on multiples of its window_s of UTC time."""
    world = air.world
    window_ns = round(world.site.sniffers[row].window_s * 1e9)
    for t_ns in range((world.epoch_ns // window_ns + 1) * window_ns, end_ns, window_ns):
        heard: dict[int, list[int]] = {}
        for packet, dbm in air.heard(row, t_ns - window_ns, t_ns):
            if not packet.is_retry:
                heard.setdefault(packet.phone, []).append(dbm)
        yield _window(world, row, t_ns, heard)


def _window(world: World, row: int, t_ns: int, heard: dict[int, list[int]]) -> WifiWindow:
    listed = [phone for phone in sorted(heard) if world.phones[phone].consents]
    sniffer = world.site.sniffers[row]
    return WifiWindow(
        source=sniffer.id,
        t_ns=t_ns,
        window_s=sniffer.window_s,
        devices=tuple(world.phones[phone].address for phone in listed),
        rssi_dbm=np.array([np.mean(heard[phone]) for phone in listed], "<f4"),
        rssi_std_db=np.array([np.std(heard[phone]) for phone in listed], "<f4"),
        count=np.array([len(heard[phone]) for phone in listed], "<u4"),
        channel=np.full(len(listed), CHANNEL, np.uint8),
        others=len(heard) - len(listed),
    )
