"""Real captures through the WiFi node, scapy as the oracle: frames one by one, and every published window.

scapy takes about a millisecond per frame, so the normal run reads the start of each file; `-m long` reads all.
"""

import tarfile
import threading
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from whowhere.drivers.wifi.capture import CaptureParser
from whowhere.drivers.wifi.dot11 import channel_number
from whowhere.drivers.wifi.packets import PacketReader
from whowhere.drivers.wifi.pseudonyms import Pseudonyms, load_key
from whowhere.messages import Health, Message, WifiWindow, encode
from whowhere.nodes.node import NodeConfig
from whowhere.nodes.wifi import Listener
from whowhere.sitefile import Area, Identity, Privacy, Site, Sniffer

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "wifi_sniff"
PHONES = sorted(path.name for path in (DATA / "one_phone_each").glob("*.pcap"))
SNIFFED = [
    f"PCAP/position_{position}/sc6-61_2024-03-{day}_anonymized.pcap" for position in (1, 2) for day in (16, 7, 14, 15)
]
SNIFFED = [name.replace("-7_", "-07_") for name in SNIFFED]
GRACE_NS = 100_000_000


@pytest.fixture(scope="session")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every capture of the data set."""
    archive = DATA / "two_sniffers_4days.tar.xz"
    if not archive.is_file():
        pytest.skip(f"the recordings in {DATA} are not here")
    folder = tmp_path_factory.mktemp("wifi_sniff")
    with tarfile.open(archive) as file:
        file.extractall(folder, [member for member in file if member.name.endswith(".pcap")], filter="data")
    for name in PHONES:
        (folder / name).symlink_to(DATA / "one_phone_each" / name)
    return folder


class Heard(NamedTuple):
    """One frame, as scapy reads it."""

    t_ns: int
    dbm: int
    mhz: int
    transmitter: bytes
    type: int
    subtype: int
    sequence: int
    is_retry: bool


def by_scapy(path: Path, most: int) -> list[Heard]:
    from scapy.layers.dot11 import Dot11, RadioTap  # slow to import
    from scapy.utils import RawPcapReader

    heard = []
    with RawPcapReader(str(path)) as reader:
        for raw, meta in reader:
            if len(heard) == most:
                break
            tap = RadioTap(raw)
            dot11 = tap[Dot11]
            heard.append(
                Heard(
                    t_ns=meta.sec * 1_000_000_000 + meta.usec * 1000,
                    dbm=tap.dBm_AntSignal,
                    mhz=tap.ChannelFrequency,
                    transmitter=bytes.fromhex(dot11.addr2.replace(":", "")),
                    type=dot11.type,
                    subtype=dot11.subtype,
                    sequence=dot11.SC,
                    is_retry=bool(dot11.FCfield.retry),
                )
            )
    return heard


def start_of(path: Path, frames: int, folder: Path) -> Path:
    """A file with the first `frames` packets."""
    data = path.read_bytes()
    end, count = 24, 0
    while end < len(data) and count < frames:
        end += 16 + int.from_bytes(data[end + 8 : end + 12], "little")
        count += 1
    cut = folder / path.name
    cut.write_bytes(data[:end])
    return cut


def plausible(heard: list[Heard]) -> list[Heard]:
    """Without the rare frame whose adapter claims an impossible strength (one in S21Ultra-M: +15 dBm)."""
    return [frame for frame in heard if -120 <= frame.dbm < 0]


def check_frames(path: Path, every: list[Heard]) -> None:
    packets = CaptureParser().feed(path.read_bytes())
    reader = PacketReader("file")
    sightings = reader.sightings(packets)
    heard = plausible(every)
    assert len(packets) == len(every)
    assert len(sightings) == len(heard)
    assert reader.counters["no_signal"] == len(every) - len(heard) <= 1
    for ours, theirs in zip(sightings, heard, strict=True):
        assert (ours.t_ns, ours.rssi_dbm, ours.transmitter) == (theirs.t_ns, theirs.dbm, theirs.transmitter)
        assert ours.channel == channel_number(theirs.mhz)
        assert (ours.type, ours.subtype, ours.sequence) == (theirs.type, theirs.subtype, theirs.sequence)
        assert ours.is_retry == theirs.is_retry


class Unhurried(threading.Event):
    """A stop that never comes, and does not pause for a bus that is not there."""

    def wait(self, timeout: float | None = None) -> bool:
        return False


class Memory:
    """In place of a publisher and a heartbeat."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.state, self.detail = "", ""
        self.counters: dict[str, int] = {}

    def publish(self, message: Message) -> None:
        self.messages.append(message)

    def count(self, message: Message) -> None:
        assert not isinstance(message, Health)

    def beat(self, state: str = "ok", detail: str = "", counters: dict[str, int] | None = None) -> None:
        self.state, self.detail, self.counters = state, detail, dict(counters or {})


def through_the_node(
    path: Path, folder: Path, window_s: float, unenrolled: str, devices: tuple[str, ...]
) -> tuple[list[WifiWindow], Memory]:
    """What the node's own loop publishes for a capture file."""
    site = Site(
        name="lab",
        area=Area(x_m=(0, 1), y_m=(0, 1)),
        sniffers=(Sniffer(id="w1", source=f"pcap:{path}", position_m=(0, 0, 1), window_s=window_s),),
        identities=(Identity(name="Anna", devices=devices, consent=True),),
        privacy=Privacy(key=str(folder / "site.key"), unenrolled=unenrolled),  # type: ignore[arg-type]
    )
    memory = Memory()
    config = NodeConfig(name="w1", site=site, run_dir=str(folder))
    Listener(config, memory, memory, Unhurried()).run()  # type: ignore[arg-type]
    assert (memory.state, memory.detail) == ("stopped", f"pcap:{path}: read to its end")
    return [message for message in memory.messages if isinstance(message, WifiWindow)], memory


def expected_windows(heard: list[Heard], length_ns: int) -> tuple[dict[int, dict[bytes, list[Heard]]], int]:
    """Window end -> transmitter -> its frames, and how many came too late, straight from the rules in docs/wifi.md."""
    windows: dict[int, dict[bytes, list[Heard]]] = defaultdict(lambda: defaultdict(list))
    last_heard: dict[tuple[bytes, int], int] = {}
    latest, late = 0, 0
    for frame in heard:
        end = (frame.t_ns // length_ns + 1) * length_ns
        if end + GRACE_NS <= latest:
            late += 1
            continue
        latest = max(latest, frame.t_ns)
        key = (frame.transmitter, frame.sequence)
        before = last_heard.get(key)
        last_heard[key] = end
        if frame.is_retry and before is not None and end - before <= length_ns:
            continue
        windows[end][frame.transmitter].append(frame)
    return windows, late


def check_windows(path: Path, heard: list[Heard], folder: Path, window_s: float = 0.5) -> None:
    published, memory = through_the_node(path, folder, window_s, "pseudonym", ("02:00:00:00:00:01",))
    expected, late = expected_windows(heard, round(window_s * 1e9))
    names = Pseudonyms(load_key(folder / "site.key"), [], "pseudonym")
    assert memory.counters["late"] == late
    assert sum(int(window.count.sum()) for window in published) == sum(
        len(frames) for devices in expected.values() for frames in devices.values()
    )
    assert {window.t_ns for window in published} >= set(expected)
    for window in published:
        devices = expected.get(window.t_ns, {})
        rows = {names.of(who, window.t_ns - 1): frames for who, frames in devices.items()}
        assert set(window.devices) == set(rows)
        for index, name in enumerate(window.devices):
            dbm = [frame.dbm for frame in rows[name]]
            assert window.count[index] == len(dbm)
            assert window.rssi_dbm[index] == np.float32(np.mean(dbm))
            assert window.rssi_std_db[index] == pytest.approx(np.std(dbm), abs=1e-5)
            assert window.channel[index] == channel_number(rows[name][-1].mhz)
    check_privacy(published, heard)


def check_privacy(published: list[WifiWindow], heard: list[Heard]) -> None:
    everything = b"".join(encode(window) for window in published).lower()
    for who in {frame.transmitter for frame in heard}:
        text = who.hex(":")
        for form in (who.lower(), text.encode(), text.replace(":", "").encode(), text.replace(":", "-").encode()):
            assert form not in everything


@pytest.mark.parametrize("name", [SNIFFED[0], SNIFFED[4], *PHONES])
def test_the_start_of_each_capture_is_as_scapy_reads_it(captures: Path, tmp_path: Path, name: str) -> None:
    most = 800 if name in SNIFFED else 120
    path = start_of(captures / name, most, tmp_path)
    heard = by_scapy(path, most)
    assert len(heard) == min(most, len(heard)) > 100
    check_frames(path, heard)
    check_windows(path, plausible(heard), tmp_path)


def test_enrolled_devices_are_named_and_others_counted(captures: Path, tmp_path: Path) -> None:
    path = start_of(captures / SNIFFED[4], 1000, tmp_path)
    sightings = PacketReader("file").sightings(CaptureParser().feed(path.read_bytes()))
    loudest = max({s.transmitter for s in sightings}, key=[s.transmitter for s in sightings].count)
    published, _ = through_the_node(path, tmp_path, 5.0, "count", (loudest.hex(":"),))
    assert {name for window in published for name in window.devices} == {
        Pseudonyms(load_key(tmp_path / "site.key"), [loudest.hex(":")]).of(loudest, 0)
    }
    assert sum(int(window.count.sum()) for window in published) == [s.transmitter for s in sightings].count(loudest)
    for window in published:
        begin = window.t_ns - 5_000_000_000
        there = {s.transmitter for s in sightings if begin <= s.t_ns < window.t_ns}
        assert window.others == len(there - {loudest})


@pytest.mark.long
@pytest.mark.parametrize("name", [*SNIFFED, *PHONES])
@pytest.mark.timeout(900)
def test_each_whole_capture_is_as_scapy_reads_it(captures: Path, tmp_path: Path, name: str) -> None:
    heard = by_scapy(captures / name, 10**9)
    assert len(heard) > 100
    check_frames(captures / name, heard)
    check_windows(captures / name, plausible(heard), tmp_path)
