"""The twins' wires: UART bytes on pseudo-terminals through the real parser, pcap through a FIFO, and their faults."""

import contextlib
import os
import tty
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.drivers.radar.frames import RadarParser
from whowhere.drivers.simulated.echoes import Echoes
from whowhere.drivers.simulated.faults import Condition
from whowhere.drivers.simulated.firmware import PROMPT, Firmware
from whowhere.drivers.simulated.radar import RadarTwin
from whowhere.drivers.simulated.radio import Air, Radio
from whowhere.drivers.simulated.stage import Stage
from whowhere.drivers.simulated.streams import EPOCH_NS
from whowhere.drivers.simulated.wifi import SnifferTwin, address_of
from whowhere.drivers.simulated.world import World
from whowhere.drivers.wifi.port import SnifferPort
from whowhere.drivers.wifi.stream import open_stream
from whowhere.launch.site_files import load_site
from whowhere.sitefile import Identity, Site, SiteError

DEMO = Path(__file__).resolve().parents[1] / "launch" / "sites" / "demo.toml"
MS, S = 1_000_000, 1_000_000_000
WIRE = os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY
WELL = Condition()
CONFIGURATION = (
    b"sensorStop\nflushCfg\ndfeDataOutputMode 1\nchannelCfg 15 7 0\nadcCfg 2 1\nadcbufCfg -1 0 1 1 1\n"
    b"profileCfg 0 60 1 1 1\nchirpCfg 0 0 0 0 0 0 0 1\nframeCfg 0 1 16 0 100 1 0\n"
)


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(DEMO)


@pytest.fixture(scope="module")
def world(site: Site) -> World:
    return World(site, EPOCH_NS)


# --- the command line ---


def test_firmware_answers_like_the_real_one() -> None:
    sensor = Firmware()
    assert sensor.feed(b"\n") == f"\r\n{PROMPT}".encode()
    assert sensor.feed(b"sensorStop\n") == (
        f"sensorStop\r\nIgnored: Sensor is already stopped\r\nDone\r\n{PROMPT}".encode()
    )
    assert sensor.feed(b"% comment\n") == f"% comment\r\nSkipped\r\n{PROMPT}".encode()
    assert b"'xsensorStop' is not recognized as a CLI command" in sensor.feed(b"xsensorStop\n")
    assert b"Full configuration must be provided" in sensor.feed(b"sensorStart\n")
    assert not sensor.is_running
    answers = sensor.feed(CONFIGURATION + b"sensorStart\n")
    assert answers.count(b"\r\nDone\r\n") == 10
    assert answers.endswith(PROMPT.encode())
    assert sensor.is_running
    assert b"Ignored: Sensor is already started" in sensor.feed(b"sensorStart\n")


def test_firmware_restarts_and_hangs_like_the_real_one() -> None:
    sensor = Firmware()
    sensor.feed(CONFIGURATION.replace(b" 100 1 0", b" 50 1 0") + b"sensorStart\nsensorStop\n")
    assert sensor.period_ns == 50 * MS
    assert b"use sensorStart 0" in sensor.feed(b"sensorStart\n")
    assert b"Error" not in sensor.feed(b"sensorStart 0\n")
    assert sensor.is_running
    assert b"Error" not in sensor.feed(b"sensorStop\n" + CONFIGURATION + b"sensorStart\n")
    assert sensor.period_ns == 100 * MS
    assert b"MSS Exception" in sensor.feed(b"channelCfg 15 5 0\n")
    assert sensor.feed(b"\nsensorStop\n") == b""


# --- the radar's two wires ---


class Bench:
    """A twin and a host that has both terminals open."""

    def __init__(self, world: World, site: Site, folder: Path) -> None:
        self.twin = RadarTwin(world, site.radars[0], folder)
        self.folder = folder
        self.now_ns = EPOCH_NS + S
        self.run(1)

    def open(self) -> None:
        self.cli, self.data = (os.open(self.folder / f"radar-1.{name}", WIRE) for name in ("cli", "data"))
        for wire in (self.cli, self.data):
            tty.setraw(wire)

    def run(self, steps: int, condition: Condition = WELL, step_ns: int = 5 * MS) -> bytes:
        heard = b""
        for _ in range(steps):
            self.now_ns += step_ns
            self.twin.step(self.now_ns, condition)
            heard += take(self.data) if hasattr(self, "data") else b""
        return heard

    def start(self) -> None:
        os.write(self.cli, CONFIGURATION + b"sensorStart\n")
        self.run(1)
        assert take(self.cli).endswith(PROMPT.encode())

    def close(self) -> None:
        self.twin.close()
        for wire in (self.cli, self.data):
            os.close(wire)


@pytest.fixture
def bench(world: World, site: Site, tmp_path: Path):
    bench = Bench(world, site, tmp_path)
    bench.open()
    yield bench
    bench.close()


def test_uart_bytes_give_the_points_back(bench: Bench, world: World, site: Site) -> None:
    assert bench.run(60) == b""  # nothing before sensorStart
    bench.start()
    parser = RadarParser("radar-1")
    frames = parser.feed(bench.run(600), bench.now_ns)
    assert len(frames) in (29, 30)
    assert [f.frame_number for f in frames] == list(range(1, len(frames) + 1))
    echoes = Echoes(world, site.radars[0])
    first_ns = -(-(EPOCH_NS + S + 305 * MS) // (100 * MS)) * 100 * MS
    for k, frame in enumerate(frames):
        t_ns = first_ns + k * 100 * MS
        sent = echoes.points(world.people_at(t_ns), (t_ns - EPOCH_NS) // (100 * MS))
        assert np.array_equal(frame.points[:, :4], sent[:, :4])
        assert np.allclose(frame.points[:, 4], sent[:, 4], atol=0.06)  # TLV 7 counts tenths of a dB


def test_damaged_bytes_cost_frames_and_nothing_else(bench: Bench) -> None:
    bench.start()
    parser = RadarParser("radar-1")
    condition = Condition(byte_loss=0.002, bit_flips=0.0005, cut_frames=0.2)
    frames = parser.feed(bench.run(1000, condition), bench.now_ns)
    clean = parser.feed(bench.run(200), bench.now_ns)
    assert 3 < len(frames) < 45
    assert len(clean) in range(8, 12)


def test_silence_and_late_frames(bench: Bench) -> None:
    bench.start()
    bench.run(100)
    assert bench.run(100, Condition(silent=True))[200:] == b""
    before = bench.now_ns
    heard = b""
    while not heard:
        heard = bench.run(1, Condition(late=0.4))
    assert bench.now_ns - before > 400 * MS
    frames = RadarParser("radar-1").feed(heard + bench.run(400, Condition(late=0.4)), bench.now_ns)
    assert len(frames) in range(19, 23)  # later, and as many


def test_unplug_hangs_up_and_replug_forgets_everything(bench: Bench) -> None:
    bench.start()
    bench.run(100)
    bench.run(1, Condition(unplug=True))
    assert not (bench.folder / "radar-1.cli").is_symlink()
    assert not (bench.folder / "radar-1.data").is_symlink()
    bench.run(10)
    for wire in (bench.cli, bench.data):
        os.close(wire)
    bench.open()
    assert bench.run(100) == b""  # it must be configured again
    bench.start()
    frames = RadarParser("radar-1").feed(bench.run(100), bench.now_ns)
    assert frames[0].frame_number == 1


def test_what_nobody_reads_is_lost(bench: Bench) -> None:
    bench.start()
    os.close(bench.data)
    del bench.data
    bench.run(300)
    assert bench.twin.counters["unread_bytes"] > 1000
    bench.data = os.open(bench.folder / "radar-1.data", WIRE)
    assert take(bench.data) == b""  # nothing stale
    tty.setraw(bench.data)
    frames = RadarParser("radar-1").feed(bench.run(100), bench.now_ns)
    assert frames[0].frame_number >= 14


# --- the sniffer's stream ---


def test_pcap_gives_the_packets_back(world: World, site: Site, tmp_path: Path) -> None:
    addresses = [address_of(phone) for phone in world.phones]
    twin = SnifferTwin(Air(world), site.sniffers[2], tmp_path, EPOCH_NS)
    with listening(twin, tmp_path / "sniffer-3.pcap", EPOCH_NS) as port:
        sightings = []
        for k in range(1, 201):
            twin.step(EPOCH_NS + k * 50 * MS, Condition())
            sightings += port.read(0.0) or []
    radio = Radio(world)
    expected = []
    for packet in radio.packets(EPOCH_NS, EPOCH_NS + 10 * S):
        dbm = radio.heard_dbm(packet, radio.level_dbm(world.people_at(packet.t_ns)))[2]
        if dbm is not None:
            expected.append((packet.t_ns, addresses[packet.phone], dbm, packet.sequence))
    phones = [s for s in sightings if s.transmitter in addresses]
    heard = [(s.t_ns, s.transmitter, s.rssi_dbm, s.sequence >> 4) for s in phones]
    missing = [row for row in expected if row not in heard]  # a retry is left out by the reader's de-duplication
    assert set(heard) <= set(expected)
    assert len(heard) > 50
    assert len(missing) <= 0.15 * len(expected)
    beacons = Counter(s.transmitter for s in sightings if s.transmitter not in addresses)
    assert len(beacons) == 1
    assert 90 <= beacons.total() <= 98
    twin.close()


def test_readers_come_and_go(world: World, site: Site, tmp_path: Path) -> None:
    twin = SnifferTwin(Air(world), site.sniffers[0], tmp_path, EPOCH_NS)
    path = tmp_path / "sniffer-1.pcap"
    now_ns = EPOCH_NS
    for _ in range(3):
        with listening(twin, path, now_ns) as port:
            count = 0
            for _ in range(40):
                now_ns += 50 * MS
                twin.step(now_ns, Condition())
                count += len(port.read(0.0) or [])
            assert count > 10
        for _ in range(10):
            now_ns += 50 * MS
            twin.step(now_ns, Condition())  # nobody reads; nothing waits
    assert twin.counters["readers"] == 3
    assert twin.counters["unread"] > 10
    twin.step(now_ns, Condition(unplug=True))
    assert not path.exists()
    twin.step(now_ns, Condition())
    assert path.exists()
    twin.close()


def test_a_sniffers_clock_may_be_wrong_and_its_packets_late(world: World, site: Site, tmp_path: Path) -> None:
    times = {}
    for name, condition in (("right", Condition()), ("wrong", Condition(offset=0.3)), ("late", Condition(late=0.5))):
        twin = SnifferTwin(Air(world), replace(site.sniffers[0]), tmp_path, EPOCH_NS)
        with listening(twin, tmp_path / "sniffer-1.pcap", EPOCH_NS) as port:
            heard = []
            for k in range(1, 41):
                twin.step(EPOCH_NS + k * 50 * MS, condition)
                heard += [s.t_ns for s in port.read(0.0) or []]
        times[name] = heard
        twin.close()
    assert times["wrong"] == [t_ns + 300 * MS for t_ns in times["right"]]
    assert times["late"] == times["right"][: len(times["late"])]
    assert 0 < len(times["late"]) < len(times["right"])


def test_pseudonyms_cannot_be_sent(site: Site, tmp_path: Path) -> None:
    public = replace(site, identities=(Identity(name="Ada", devices=("p-123",), consent=True),))
    with pytest.raises(SiteError, match="not a hardware address"):
        SnifferTwin(Air(World(public, EPOCH_NS)), site.sniffers[0], tmp_path, EPOCH_NS)


def test_stage_plays_every_sensor_and_tells_the_truth(site: Site, tmp_path: Path) -> None:
    radar = replace(site.radars[0], cli_port=str(tmp_path / "radar-1.cli"), data_port=str(tmp_path / "radar-1.data"))
    sniffers = tuple(replace(s, source=f"pcap:{tmp_path}/{s.id}.pcap") for s in site.sniffers)
    wired = replace(site, radars=(radar,), sniffers=sniffers)  # its cameras are not simulated here
    now_ns = EPOCH_NS + 20 * S
    with Stage(wired, tmp_path, EPOCH_NS, now_ns, 0, "radar-1:unplug@21-22") as stage:
        truths = []
        for k in range(240):
            truths += stage.step(now_ns + k * 10 * MS)
            assert 0.0 <= stage.rest_s(now_ns + k * 10 * MS) < 0.2
            if k in (50, 150, 230):
                assert (tmp_path / "radar-1.data").is_symlink() == (k != 150)  # unplugged in between
        assert [t.t_ns for t in truths] == [now_ns + k * 100 * MS for k in range(24)]
        assert all(set(who) <= {"camera-1", "camera-2", "radar-1"} for t in truths for who in t.seen_by)
        assert stage.counters["sniffer-4 packets"] > 20
        assert stage.counters.keys() >= {"radar-1 frames", "sniffer-1 readers"}
    assert not list(tmp_path.iterdir())


@contextlib.contextmanager
def listening(twin: SnifferTwin, path: Path, now_ns: int) -> Iterator[SnifferPort]:
    """The real port on the twin's FIFO; it opens only where somebody writes, and the twin writes only to a reader."""
    twin.step(now_ns, Condition())
    first = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    twin.step(now_ns, Condition())
    with open_stream(str(path)) as port:
        os.close(first)
        yield port


def take(wire: int) -> bytes:
    heard = b""
    while True:
        try:
            part = os.read(wire, 65536)
        except BlockingIOError:
            return heard
        if not part:
            return heard
        heard += part
