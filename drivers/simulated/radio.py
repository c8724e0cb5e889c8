"""What simulated sniffers hear: who sends when, and how strong it arrives.

received = reference - 10 n log10(distance) + device offset + (device, sniffer) bias + shadowing + fading
           - bodies in the way - walls in the way.
Shadowing is a stationary Gaussian process whose correlation falls as exp(-|lag| / SHADOW_S), made of sinusoids with
Lorentzian frequencies, so that it can be asked about any instant. Blocking only ever weakens (protocols C). It writes
no frames: `wifi` does.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..wifi.encode import Kind
from .cast import settings
from .plan import Floats
from .world import Crowd, World

MEMORY_NS = 5_000_000_000
BLOCK_NS = 1_000_000_000  # packets are drawn second by second
SHADOW_S = 4.0
SHADOW_WAVES = 32
PAIR_BIAS_DB = 1.5
FADING_DB = 1.5
OWN_BODY_DB = 9.0  # with the phone exactly behind its carrier
OTHER_BODY_DB = 5.0  # for each body on the line, two at most
BODY_RADIUS_M = 0.25
WALL_DB = 5.0
NEAREST_M = 0.4
POCKET_M = 0.12
LOSS_SHARE = 0.05  # missed whatever the strength
RETRY_SHARE = 0.08
PROBE_SHARE = 0.12  # probe requests; the rest are empty QoS data frames to the access point


@dataclass(frozen=True, slots=True)
class Packet:
    """One transmission of phone row `phone`. sequence 0..4095; a retry repeats the sequence number before it."""

    t_ns: int
    phone: int
    kind: Kind
    sequence: int
    is_retry: bool
    draw: tuple[int, int]  # names this packet's own random numbers


class Radio:
    """The air of one world. All methods are pure functions of their arguments and the world's seed."""

    def __init__(self, world: World) -> None:
        self.world = world
        drawn = settings(world.site)
        sniffers = world.site.sniffers
        shape = (len(world.phones), len(sniffers))
        rng = np.random.default_rng([world.seed, 20])
        self._bias_db = rng.normal(0.0, PAIR_BIAS_DB, shape)
        self._frequency = np.clip(rng.standard_cauchy((*shape, SHADOW_WAVES)), -60, 60) / SHADOW_S
        self._start = rng.uniform(0.0, 2 * np.pi, (*shape, SHADOW_WAVES))
        self._shadow_db = drawn.shadowing_db * np.sqrt(2.0 / SHADOW_WAVES)
        self._blocking = drawn.blocking
        self._offset_db = np.array([phone.offset_db for phone in world.phones])
        self._sniffers = np.array([sniffer.position_m for sniffer in sniffers]).reshape(-1, 3)
        self._reference = np.array([sniffer.reference_dbm for sniffer in sniffers])
        self._exponent = np.array([sniffer.path_loss_exponent for sniffer in sniffers])
        self._floor = np.array([sniffer.noise_floor_dbm for sniffer in sniffers])

    def packets(self, start_ns: int, end_ns: int) -> list[Packet]:
        """What all phones send in [start, end), in time order."""
        epoch = self.world.epoch_ns
        blocks = range(max(start_ns - epoch, 0) // BLOCK_NS, -(-max(end_ns - epoch, 0) // BLOCK_NS))
        sent = [packet for block in blocks for packet in self._block(block)]
        return [packet for packet in sent if start_ns <= packet.t_ns < end_ns]

    def level_dbm(self, crowd: Crowd) -> Floats:
        """Mean received power (phones, sniffers) at the crowd's instant, before fading."""
        place, carrier = self._places(crowd)
        line = self._sniffers[None] - place[:, None]
        distance = np.maximum(np.linalg.norm(line, axis=2), NEAREST_M)
        level = self._reference - 10 * self._exponent * np.log10(distance)
        level = level + self._offset_db[:, None] + self._bias_db + self._shadowing(crowd.t_ns)
        if self._blocking:
            level = level - self._own_body_db(crowd, carrier, line) - self._other_bodies_db(crowd, place, carrier)
        return level - WALL_DB * self._walls(place)

    def heard_dbm(self, packet: Packet, level_dbm: Floats) -> list[int | None]:
        """What each sniffer reads for this packet, given `level_dbm` at its time; None = missed."""
        rng = np.random.default_rng([self.world.seed, 22, *packet.draw])
        count = len(self._floor)
        received = level_dbm[packet.phone] + rng.normal(0.0, FADING_DB, count)
        margin = np.clip((received - self._floor - 6.0) / 1.5, -50, 50)
        heard = rng.random(count) < (1 - LOSS_SHARE) / (1 + np.exp(-margin))
        return [round(float(value)) if is_heard else None for value, is_heard in zip(received, heard, strict=True)]

    def _block(self, block: int) -> list[Packet]:
        sent = []
        for row, phone in enumerate(self.world.phones):
            rng = np.random.default_rng([self.world.seed, 21, row, block])
            for k, share in enumerate(np.sort(rng.random(rng.poisson(phone.rate_hz)))):
                t_ns = self.world.epoch_ns + block * BLOCK_NS + int(share * (BLOCK_NS - 10_000_000))
                kind: Kind = "probe-request" if rng.random() < PROBE_SHARE else "qos-null"
                sequence = (block * 61 + k) % 4096
                sent.append(Packet(t_ns, row, kind, sequence, False, (row, block * 100 + 2 * k)))
                if kind == "qos-null" and rng.random() < RETRY_SHARE:
                    sent.append(Packet(t_ns + 1_500_000, row, kind, sequence, True, (row, block * 100 + 2 * k + 1)))
        return sorted(sent, key=lambda packet: (packet.t_ns, packet.phone))

    def _places(self, crowd: Crowd) -> tuple[Floats, NDArray[np.int64]]:
        """Where every phone is (P,3), and its carrier's row or -1."""
        place = np.empty((len(self.world.phones), 3))
        carrier = np.full(len(place), -1, np.int64)
        for row, phone in enumerate(self.world.phones):
            if phone.person is None:
                place[row, :2] = phone.position_m
            else:
                carrier[row] = phone.person
                angle = crowd.heading[phone.person] + phone.carried_rad
                place[row, :2] = crowd.position[phone.person] + POCKET_M * np.array([np.cos(angle), np.sin(angle)])
            place[row, 2] = phone.height_m
        return place, carrier

    def _shadowing(self, t_ns: int) -> Floats:
        since_s = (t_ns - self.world.epoch_ns) / 1e9
        return self._shadow_db * np.cos(self._frequency * since_s + self._start).sum(axis=2)

    def _own_body_db(self, crowd: Crowd, carrier: NDArray[np.int64], line: Floats) -> Floats:
        """The carrier's body weakens what the phone sends through it: by the cosine, towards the far side only."""
        carried = np.array([phone.carried_rad for phone in self.world.phones])
        angle = np.where(carrier >= 0, crowd.heading[carrier] + carried, 0.0) if len(crowd.heading) else carried
        ahead = (line[..., 0] * np.cos(angle)[:, None] + line[..., 1] * np.sin(angle)[:, None]) / np.maximum(
            np.hypot(line[..., 0], line[..., 1]), 0.1
        )
        return np.where(carrier[:, None] >= 0, OWN_BODY_DB * np.maximum(-ahead, 0.0), 0.0)

    def _other_bodies_db(self, crowd: Crowd, place: Floats, carrier: NDArray[np.int64]) -> Floats:
        """Bodies that stand on the line from phone to sniffer and are tall enough to touch it."""
        start, end = place[:, None, None], self._sniffers[None, :, None]
        along = end[..., :2] - start[..., :2]
        reach = crowd.position[None, None] - start[..., :2]
        share = (reach * along).sum(-1) / np.maximum((along * along).sum(-1), 1e-6)
        beside = np.linalg.norm(reach - share[..., None] * along, axis=-1)
        height = start[..., 2] + share * (end[..., 2] - start[..., 2])
        between = (share > 0) & (share < 1) & (beside < BODY_RADIUS_M) & (height < self.world.heights_m)
        between &= np.arange(len(crowd.present))[None, None] != carrier[:, None, None]
        return OTHER_BODY_DB * np.minimum(between.sum(axis=2), 2)

    def _walls(self, place: Floats) -> Floats:
        phones, sniffers = len(place), len(self._sniffers)
        start = np.repeat(place[:, :2], sniffers, 0)
        end = np.tile(self._sniffers[:, :2], (phones, 1))
        return self.world.plan.count_walls(start, end).reshape(phones, sniffers).astype(float)


class Air:
    """What every sniffer of a world heard, worked out once for all of them. Time may not go back by more than 5 s."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._radio = Radio(world)
        self._heard: deque[tuple[Packet, list[int | None]]] = deque()
        self._until_ns = world.epoch_ns

    def heard(self, row: int, start_ns: int, end_ns: int) -> list[tuple[Packet, int]]:
        """Packets in [start, end) that sniffer `row` heard, in time order, with the dBm it read."""
        for packet in self._radio.packets(max(self._until_ns, end_ns - MEMORY_NS), end_ns):
            level = self._radio.level_dbm(self.world.people_at(packet.t_ns))
            self._heard.append((packet, self._radio.heard_dbm(packet, level)))
        self._until_ns = max(self._until_ns, end_ns)
        while self._heard and self._heard[0][0].t_ns < end_ns - MEMORY_NS:
            self._heard.popleft()
        found = []
        for packet, strengths in self._heard:
            dbm = strengths[row]
            if start_ns <= packet.t_ns < end_ns and dbm is not None:
                found.append((packet, dbm))
        return found
