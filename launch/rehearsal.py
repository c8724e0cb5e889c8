"""A simulated site's sensors without processes, but through their real formats: UART bytes through the radar parser,
captured frames through the WiFi parser and its windows, drawn pictures through JPEG and the people detector. Phones
are the exception: their seconds are given as they would come out of the gateway.

Time is the world's, so it runs as fast as the machine can draw and detect. What it leaves out is the transport: no
port, no pseudo-terminal, no HTTP.
"""

import heapq
from collections.abc import Iterator

import cv2
import numpy as np

from ..drivers.camera.people import PeopleDetector
from ..drivers.radar.encode import encode_oob_frame
from ..drivers.radar.frames import RadarParser
from ..drivers.simulated.camera import JPEG_QUALITY
from ..drivers.simulated.echoes import Echoes
from ..drivers.simulated.optics import View
from ..drivers.simulated.painter import Painter
from ..drivers.simulated.phones import PhoneSensors, phone_batches, simulated_phones
from ..drivers.simulated.radar import BYTES_PER_S, CHUNK_BYTES
from ..drivers.simulated.radio import Air
from ..drivers.simulated.streams import RADAR_PERIOD_NS, TRUTH_PERIOD_NS, Witness, camera_times
from ..drivers.simulated.wifi import CHANNEL, DELIVERY_NS, address_of
from ..drivers.simulated.world import World
from ..drivers.wifi import Pseudonyms, Windows
from ..drivers.wifi.capture import CaptureParser
from ..drivers.wifi.encode import pcap_header, pcap_record, radiotap_frame
from ..drivers.wifi.packets import PacketReader
from ..messages import CameraFrame, Message, numbered
from ..nodes.describing import Describer
from ..sitefile import Camera, Radar, Site

DETECTION_NS = 150_000_000  # from exposure to detection, typical of the real node
UPLOAD_NS = 200_000_000  # from the end of a phone's second to its being whole here: 160 to 310 ms live

Arrival = tuple[int, Message]  # arrival_ns, message


def rehearse(site: Site, seconds: float, epoch_ns: int, key: bytes) -> Iterator[Arrival]:
    """(arrival_ns, numbered message) of all sensors and the truth, in the order of arrival.

    site: with its addresses, sensors simulated. key: of the pseudonyms in `wifi` messages.
    """
    world, end_ns = World(site, epoch_ns), epoch_ns + round(seconds * 1e9)
    parts = [_truth(world, end_ns)]
    parts += [_radar(world, radar, end_ns) for radar in site.radars]
    parts += [_camera(world, camera, end_ns) for camera in site.cameras]
    air = Air(world)
    parts += [_sniffer(air, row, end_ns, key) for row in range(len(site.sniffers))]
    parts += [_phone(phone, end_ns) for phone in simulated_phones(world)]
    counts: dict[str, int] = {}
    for arrival_ns, message in heapq.merge(*parts, key=lambda arrival: arrival[0]):
        yield arrival_ns, numbered(message, counts)


def _truth(world: World, end_ns: int) -> Iterator[Arrival]:
    witness = Witness(world)
    for t_ns in range(world.epoch_ns, end_ns, TRUTH_PERIOD_NS):
        yield t_ns, witness.truth(t_ns)


def _phone(phone: PhoneSensors, end_ns: int) -> Iterator[Arrival]:
    for batch in phone_batches(phone, end_ns):
        yield batch.t_ns + UPLOAD_NS, batch


def _radar(world: World, radar: Radar, end_ns: int) -> Iterator[Arrival]:
    echoes, parser = Echoes(world, radar), RadarParser(radar.id, radar.baud)
    for number, t_ns in enumerate(range(world.epoch_ns, end_ns, RADAR_PERIOD_NS)):
        packet = encode_oob_frame(echoes.points(world.people_at(t_ns), number), number + 1)
        for first in range(0, len(packet), CHUNK_BYTES):
            chunk = packet[first : first + CHUNK_BYTES]
            arrival_ns = t_ns + (first + len(chunk)) * 1_000_000_000 // BYTES_PER_S
            for frame in parser.feed(chunk, arrival_ns):
                yield arrival_ns, frame


def _camera(world: World, camera: Camera, end_ns: int) -> Iterator[Arrival]:
    view = View(camera)
    painter, detector = Painter(world, view), PeopleDetector(camera.detector)
    describer = Describer(world.site, camera.id)
    for number, t_ns in enumerate(camera_times(world.site, camera, world.epoch_ns)):
        if t_ns >= end_ns:
            describer.close()
            return
        drawn = painter.frame(world.people_at(t_ns), number)
        _, jpeg = cv2.imencode(".jpg", drawn, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
        pixels = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
        boxes, scores = detector.detect(pixels)
        frame = CameraFrame(
            source=camera.id,
            t_ns=t_ns,
            boxes=boxes,
            scores=scores,
            image_size=view.size,
            descriptors=describer.of(pixels, boxes, t_ns),
        )
        yield t_ns + DETECTION_NS, frame


def _sniffer(air: Air, row: int, end_ns: int, key: bytes) -> Iterator[Arrival]:
    site = air.world.site
    sniffer = site.sniffers[row]
    enrolled = [device for identity in site.identities if identity.consent for device in identity.devices]
    windows = Windows(sniffer.id, sniffer.window_s, Pseudonyms(key, enrolled, site.privacy.unenrolled))
    parser, reader = CaptureParser(), PacketReader(sniffer.id)
    parser.feed(pcap_header())
    addresses = [address_of(phone) for phone in air.world.phones]
    for start_ns in range(air.world.epoch_ns, end_ns, DELIVERY_NS):
        now_ns = start_ns + DELIVERY_NS
        captured = b"".join(
            pcap_record(
                packet.t_ns,
                radiotap_frame(
                    packet.t_ns,
                    dbm,
                    CHANNEL,
                    addresses[packet.phone],
                    packet.kind,
                    packet.sequence,
                    retry=packet.is_retry,
                ),
            )
            for packet, dbm in air.heard(row, start_ns, now_ns)
        )
        due = [window for s in reader.sightings(parser.feed(captured)) for window in windows.add(s)]
        for window in (*due, *windows.tick(now_ns)):
            yield now_ns, window
