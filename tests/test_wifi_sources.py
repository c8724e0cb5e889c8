"""Ports and line formats: ESP32 lines, station tables, monitor sockets, FIFOs, and the sentences when they fail."""

import os
import pty
import socket
import stat
import struct
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whowhere.drivers.errors import DeviceLost, DeviceNotFound, DeviceRefused
from whowhere.drivers.wifi import Sighting, SnifferPort, open_sniffer
from whowhere.drivers.wifi.clock import SourceClock
from whowhere.drivers.wifi.encode import pcap_header, pcap_record, radiotap_frame
from whowhere.drivers.wifi.esp32 import LineParser, crc_of, line_of
from whowhere.drivers.wifi.monitor import check_interface, permission_sentence, prepare, receive
from whowhere.drivers.wifi.packets import PacketReader
from whowhere.drivers.wifi.stations import StationTable, parse_iw, parse_ubus
from whowhere.sitefile import Sniffer

PHONE = bytes.fromhex("a483e7123456")
MS, S = 1_000_000, 1_000_000_000
T0 = 1_700_000_000 * S


def sniffer(source: str) -> Sniffer:
    return Sniffer(id="w1", source=source, position_m=(0, 0, 2))


def read_to_the_end(port: SnifferPort, heard: list[Sighting]) -> None:
    """Read until the device is lost, for at most five seconds."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        heard += port.read(0.05) or []


# ESP32


def test_esp32_lines_are_read_whole_or_in_pieces() -> None:
    data = b"".join(line_of(1000 + 10 * n, 6, -50 - n, 0x0040, PHONE, n << 4) for n in range(5))
    whole = LineParser().feed(data, T0)
    parser = LineParser()
    assert [s for at in range(len(data)) for s in parser.feed(data[at : at + 1], T0)] == whole
    assert [(s.transmitter, s.rssi_dbm, s.channel, s.seq, s.subtype) for s in whole] == [
        (PHONE, -50 - n, 6, n, 4) for n in range(5)
    ]


def test_the_documented_example_line() -> None:
    """The line that docs/wifi.md shows is one that the parser takes."""
    text = (Path(__file__).resolve().parents[1] / "docs" / "wifi.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("W1,") and "<" not in line]
    (sighting,) = LineParser().feed(line.encode() + b"\r\n", T0)
    assert (sighting.transmitter, sighting.rssi_dbm, sighting.channel, sighting.seq) == (PHONE, -58, 6, 291)
    assert crc_of(b"123456789") == 0x29B1  # the check value published for this CRC


def test_esp32_garbage_is_counted_by_kind() -> None:
    good = line_of(1, 6, -50, 0x0040, PHONE, 0)
    parser = LineParser()
    assert len(parser.feed(b"boot: hello\n" + good.replace(b"-50", b"-51") + good + b"x" * 300, T0)) == 1
    assert parser.feed(b"\n" + line_of(2, 6, -50, 0x00D4, PHONE, 0) + line_of(3, 6, 0, 0x0040, PHONE, 0), T0) == []
    assert parser.counters == {
        "malformed": 3, "bad_crc": 1, "lines": 2, "no_transmitter": 1, "clock_restarts": 0,
    }  # fmt: skip


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.binary(max_size=150), max_size=6))
def test_esp32_random_bytes_never_raise(pieces: list[bytes]) -> None:
    parser = LineParser()
    for n, piece in enumerate(pieces):
        assert parser.feed(piece, T0 + n) == []
    assert len(parser.feed(b"\n" + line_of(1, 6, -50, 0x0040, PHONE, 0), T0)) == 1


def test_esp32_times_follow_the_shortest_delay_across_the_wrap() -> None:
    """Arrivals 2 to 52 ms late; the mapped times keep the device's own spacing once the shortest was seen."""
    parser = LineParser()
    start_ms = 2**32 - 3000
    offsets = []
    for n in range(60):
        stamped = T0 + n * 100 * MS
        delay = (2 + (n * 17) % 50) * MS if n else 2 * MS
        (sighting,) = parser.feed(line_of(start_ms + n * 100, 6, -50, 0x0040, PHONE, 0), stamped + delay)
        offsets.append(sighting.t_ns - stamped)
    assert set(offsets) == {2 * MS}
    assert parser.counters["clock_restarts"] == 0


def test_a_restarted_source_gets_a_new_offset() -> None:
    clock = SourceClock()
    assert clock.reading(T0) == T0
    assert clock.observe(500 * S, T0) == T0
    assert clock.observe(501 * S, T0 + 2 * S) == T0 + S
    assert clock.observe(3 * S, T0 + 10 * S) == T0 + 10 * S
    assert clock.restarts == 1
    assert clock.reading(T0 + 11 * S) == 4 * S


def test_a_clock_that_runs_away_is_followed_within_a_minute() -> None:
    clock = SourceClock()
    for n in range(200):
        clock.observe(T0 + n * S, T0 + n * S + (30 * S if n > 50 else 0))
    assert clock.reading(T0 + 1000 * S) == T0 + 970 * S


def test_esp32_port_reads_a_pseudo_terminal_and_notices_its_end() -> None:
    leader, follower = pty.openpty()
    with open_sniffer(sniffer(f"esp32:{os.ttyname(follower)}@115200")) as port:
        assert port.read(0.01) is None
        os.write(leader, line_of(5, 6, -50, 0x0040, PHONE, 0))
        before = time.time_ns()
        heard: list[Sighting] = []
        while not heard and time.time_ns() < before + 2 * S:
            heard = port.read(0.2) or []
        assert heard[0].transmitter == PHONE
        assert abs(heard[0].t_ns - before) < S
        os.close(follower)
        os.close(leader)
        with pytest.raises(DeviceLost, match="went away"):
            read_to_the_end(port, [])


def test_a_missing_or_wrong_esp32_port_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DeviceNotFound, match="there is no such port"), open_sniffer(sniffer("esp32:/dev/nowhere")):
        pass
    (tmp_path / "file").touch()
    with (
        pytest.raises(DeviceRefused, match="is not a serial port"),
        open_sniffer(sniffer(f"esp32:{tmp_path / 'file'}")),
    ):
        pass


# Station tables

IW = """Station a4:83:e7:12:34:56 (on wlan0)
\tinactive time:\t{first} ms
\trx packets:\t1234
\tsignal:  \t-47 [-50, -49] dBm
\tsignal avg:\t-46 [-49, -48] dBm
Station 5C:11:30:aa:bb:cc (on wlan0)
\tinactive time:\t{second} ms
\tsignal: -71 dBm
Station 5c:11:30:aa:bb:cd (on wlan0)
\tinactive time:\t10 ms
"""


def test_iw_rows_are_fresh_only_when_heard_since_the_last_look() -> None:
    table = StationTable()
    assert table.fresh(parse_iw(IW.format(first=5, second=5)), T0) == []  # nobody knows since when
    fresh = table.fresh(parse_iw(IW.format(first=120, second=900)), T0 + 500 * MS)
    assert fresh == [Sighting(T0 + 500 * MS, PHONE, -47, 0)]
    assert table.counters == {"rows": 4, "stale": 3}


def test_ubus_rows_are_fresh_when_packets_came() -> None:
    text = """{{"freq": 2437, "clients": {{
        "a4:83:e7:12:34:56": {{"auth": true, "signal": -52, "packets": {{"rx": {}}}}},
        "5c:11:30:aa:bb:cc": {{"signal": 0}}, "nonsense": {{"signal": -40}}, "5c:11:30:aa:bb:cd": 7}}}}"""
    table = StationTable()
    table.fresh(parse_ubus(text.format(10)), T0)
    assert table.fresh(parse_ubus(text.format(10)), T0 + S) == []
    assert table.fresh(parse_ubus(text.format(11)), T0 + 2 * S) == [Sighting(T0 + 2 * S, PHONE, -52, 6)]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"clients": 3}', "null", "{" * 10_000])
def test_ubus_nonsense_is_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match="is not the JSON of get_clients"):
        parse_ubus(text)


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=300))
def test_iw_random_text_never_raises(text: str) -> None:
    StationTable().fresh(parse_iw(IW[:40] + text), T0)


def test_stations_are_polled_and_failures_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "iw"
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "answer").write_text(IW.format(first=1, second=1))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with open_sniffer(sniffer("stations:wlan0")) as port:
        heard = port.read(0.5)
        assert heard is not None
        assert {row.rssi_dbm for row in heard} == {-47, -71}
        assert port.read(0.01) is None  # not due yet
    program.write_text("#!/bin/sh\necho 'command failed: No such device (-19)' >&2\nexit 237\n")
    with pytest.raises(DeviceRefused, match="No such device"), open_sniffer(sniffer("stations:wlan0")):
        pass
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(DeviceNotFound, match="iw is not installed"), open_sniffer(sniffer("stations:wlan0")):
        pass


# Monitor interfaces


def test_the_kernel_filter_drops_what_is_useless_and_cuts_the_rest() -> None:
    """The same filter and receive path on a socket pair: AF_UNIX runs classic BPF like AF_PACKET does."""
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        prepare(receiver)
        tap = struct.pack("<BBHIb", 0, 0, 9, 1 << 5, -60)
        address = b"\x02" * 6
        kept = [
            radiotap_frame(T0, -50, 6, PHONE, "probe-request"),
            radiotap_frame(T0, -51, 6, PHONE, "qos-null"),
            tap + b"\xb4\x00\x00\x00" + address + PHONE,  # RTS
            tap + b"\x88\x01\x00\x00" + address + PHONE + address + bytes(2000),  # a long frame
        ]
        dropped = [
            radiotap_frame(T0, -50, 6, PHONE, "beacon"),
            radiotap_frame(T0, -50, 6, PHONE, "downlink"),
            tap + b"\x50\x00\x00\x00" + address + PHONE + PHONE + bytes(20),  # probe response
            tap + b"\xc4\x00\x00\x00" + PHONE,  # CTS
            tap + b"\xd4\x00\x00\x00" + PHONE,  # ACK
            tap,
        ]
        for frame in (*dropped, *kept):
            sender.send(frame)
        buffer = bytearray(512)
        received = [receive(receiver, buffer) for _ in kept]
        with pytest.raises(BlockingIOError):
            receive(receiver, buffer)
    assert [packet.data for packet in received] == [frame[:512] for frame in kept]
    sightings = PacketReader("test").sightings(received)
    assert [s.rssi_dbm for s in sightings] == [-50, -51, -60, -60]
    assert all(abs(packet.t_ns - time.time_ns()) < 5 * S for packet in received)


def test_interfaces_that_cannot_be_used_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(DeviceNotFound, match=r"no such interface \(there are: .*lo"), open_sniffer(
        sniffer("interface:mon7")
    ):  # fmt: skip
        pass
    for name, kind, flags in (("wlan0", "1", "0x1003"), ("mon0", "803", "0x1002"), ("mon1", "803", "0x1003")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(kind + "\n")
        (tmp_path / name / "flags").write_text(flags + "\n")
    with pytest.raises(DeviceRefused, match=r"not in monitor mode.*iw dev wlan0 interface add mon0 type monitor"):
        check_interface("wlan0", tmp_path)
    with pytest.raises(DeviceRefused, match="is down: `sudo ip link set mon0 up`"):
        check_interface("mon0", tmp_path)
    check_interface("mon1", tmp_path)
    assert "setcap cap_net_raw+ep" in permission_sentence("mon1")


# Captures


def test_a_fifo_is_read_live_and_reopened(tmp_path: Path) -> None:
    path = tmp_path / "w1.pcap"
    os.mkfifo(path)

    def write(count: int) -> None:
        with path.open("wb", buffering=0) as stream:
            stream.write(pcap_header())
            for n in range(count):
                now = time.time_ns() - 2 * S  # the writer's clock is two seconds behind
                stream.write(pcap_record(now, radiotap_frame(now, -50, 6, PHONE, seq=n)))
                time.sleep(0.01)

    for _ in range(2):
        writer = threading.Thread(target=write, args=(5,))
        writer.start()
        heard: list[Sighting] = []
        with open_sniffer(sniffer(f"pcap:{path}")) as port:
            assert port.clock_ns() is None
            with pytest.raises(DeviceLost, match="writer went away"):
                read_to_the_end(port, heard)
            now = port.clock_ns()
            assert now is not None
            assert abs(time.time_ns() - 2 * S - now) < 0.2 * S
            assert not port.is_finished
        writer.join()
        assert [s.seq for s in heard] == list(range(5))


def test_a_fifo_that_nobody_writes_is_lost_not_hung(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f")
    started = time.monotonic()
    with pytest.raises(DeviceLost, match="nobody writes"), open_sniffer(sniffer(f"pcap:{tmp_path / 'f'}")):
        pass
    assert 0.5 < time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [
        (None, DeviceNotFound, "No such file"),
        (b"\x7fELF1234", DeviceRefused, r"is no pcap or pcapng capture \(it begins with 7f 45 4c 46\)"),
        (b"", DeviceRefused, "begins with nothing"),
        (pcap_header(105), DeviceRefused, r"link type 105 \(bare 802.11\), which tells no signal strength"),
        (pcap_header(119), DeviceRefused, r"link type 119 \(Prism\), which is not read here"),
        (pcap_header(192) + pcap_record(T0, b"x" * 50), DeviceRefused, r"link type 192 \(PPI\)"),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, content: bytes | None, error: type[Exception], sentence: str
) -> None:
    path = tmp_path / "x.pcap"
    if content is not None:
        path.write_bytes(content)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(error, match=sentence), open_sniffer(sniffer(f"pcap:{path}")) as port:
        port.read(0.1)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_source_of_no_known_kind_is_a_sentence() -> None:
    with pytest.raises(DeviceRefused, match=r'sniffers.w1.source = "wlan0": is none of "interface:..."'):
        open_sniffer(sniffer("wlan0"))
