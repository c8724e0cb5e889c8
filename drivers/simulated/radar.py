"""A radar's virtual twin: the out-of-box demo's bytes on two pseudo-terminals, paced like its UART.

It answers its command line, sends nothing before `sensorStart`, and loses what nobody reads, as a wire does. Links
{run_dir}/{id}.cli and {id}.data stand in for the by-id names; unplugging removes them and the terminals behind.
"""

import contextlib
import os
import select
import tty
from pathlib import Path

import numpy as np

from ...sitefile import Radar
from ..radar.encode import encode_oob_frame
from .echoes import Echoes
from .faults import Condition
from .firmware import BANNER, PROMPT, Firmware
from .world import World

BYTES_PER_S = 92_160  # 921600 baud, 8N1
CHUNK_BYTES = 512
TURNAROUND_NS = 4_000_000  # how soon to look again while bytes are on the wire or somebody talks to the CLI
IDLE_NS = 20_000_000
LATE_FRAMES = 2  # further behind than this the twin skips frames rather than hurry


class RadarTwin:
    """One simulated radar; `step` does what is due. counters: frames, skipped (too busy), unread_bytes."""

    def __init__(self, world: World, radar: Radar, run_dir: Path) -> None:
        self.id = radar.id
        self.counters = {"frames": 0, "skipped": 0, "unread_bytes": 0}
        self._world = world
        self._echoes = Echoes(world, radar)
        self._rng = np.random.default_rng([world.seed, 50])
        self._links = (run_dir / f"{radar.id}.cli", run_dir / f"{radar.id}.data")
        self._cli: Terminal | None = None
        self._data: Terminal | None = None
        self._firmware = Firmware()
        self._next_ns = 0
        self._frame_number = 0
        self._pending: list[tuple[int, bytes]] = []  # when each chunk is on the wire, and the chunk

    def step(self, now_ns: int, condition: Condition) -> int:
        """Talk, measure, send what is due at `now_ns`; returns when to come again."""
        if condition.unplug:
            self.close()
            return now_ns + IDLE_NS
        if self._cli is None or self._data is None:
            self._plug_in()
        assert self._cli is not None
        assert self._data is not None
        heard = self._cli.read()
        was_running = self._firmware.is_running
        if heard:
            self._cli.write(self._firmware.feed(heard))
        if self._firmware.is_running and not was_running:
            period = self._firmware.period_ns
            self._next_ns = now_ns - (now_ns - self._world.epoch_ns) % period + period
        if self._firmware.is_running:
            self._measure(now_ns, condition)
        while self._pending and self._pending[0][0] <= now_ns:
            chunk = self._pending.pop(0)[1]
            self.counters["unread_bytes"] += len(chunk) - self._data.write(chunk)
        soon = now_ns + (TURNAROUND_NS if self._pending or heard else IDLE_NS)
        return min(soon, self._next_ns) if self._firmware.is_running else soon

    def close(self) -> None:
        for terminal in (self._cli, self._data):
            if terminal is not None:
                terminal.close()
        self._cli = self._data = None

    def _plug_in(self) -> None:
        """Power-up: everything forgotten, a banner on the command line."""
        self._cli, self._data = (Terminal(link) for link in self._links)
        self._firmware = Firmware()
        self._frame_number = 0
        self._pending.clear()
        self._cli.write((BANNER + PROMPT).encode())

    def _measure(self, now_ns: int, condition: Condition) -> None:
        period = self._firmware.period_ns
        if now_ns - self._next_ns > LATE_FRAMES * period:
            behind = (now_ns - self._next_ns) // period
            self.counters["skipped"] += behind
            self._frame_number += behind
            self._next_ns += behind * period
        while self._next_ns <= now_ns:
            at_ns, self._next_ns = self._next_ns, self._next_ns + period
            self._frame_number += 1
            if condition.silent:
                continue
            number = (at_ns - self._world.epoch_ns) // period
            points = self._echoes.points(self._world.people_at(at_ns), int(number))
            packet = condition.damage(encode_oob_frame(points, self._frame_number), self._rng)
            wire_free_ns = self._pending[-1][0] if self._pending else 0
            starts_ns = max(now_ns + int(condition.late * 1e9), wire_free_ns)
            for first in range(0, len(packet), CHUNK_BYTES):
                chunk = packet[first : first + CHUNK_BYTES]
                sent_ns = starts_ns + (first + len(chunk)) * 1_000_000_000 // BYTES_PER_S
                self._pending.append((sent_ns, chunk))
            self.counters["frames"] += 1


class Terminal:
    """One pseudo-terminal in raw mode behind a symbolic link, written from the sensor's side.

    While nobody has it open, what is written is lost, so that nobody ever reads stale bytes."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._master, slave = os.openpty()
        tty.setraw(slave)  # the default would echo and rewrite newlines (protocols E4); it outlives the close
        os.set_blocking(self._master, False)
        self._name = os.ttyname(slave)
        os.close(slave)  # with our own end closed, a hang-up tells that nobody reads
        link.unlink(missing_ok=True)
        link.symlink_to(self._name)
        self._poll = select.poll()
        self._poll.register(self._master, select.POLLIN)

    def read(self) -> bytes:
        """What the host has sent, b"" when nothing."""
        with contextlib.suppress(BlockingIOError, OSError):  # EIO: nobody has it open
            return os.read(self._master, 4096)
        return b""

    def write(self, data: bytes) -> int:
        """Send bytes; returns how many found a reader or room."""
        if any(event & select.POLLHUP for _, event in self._poll.poll(0)):
            return 0
        with contextlib.suppress(BlockingIOError, OSError):
            return os.write(self._master, data)
        return 0

    def close(self) -> None:
        os.close(self._master)
        if self._link.is_symlink() and os.readlink(self._link) == self._name:
            self._link.unlink()
