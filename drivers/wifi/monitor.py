"""A WiFi interface in monitor mode, by a raw packet socket: kernel receive times, early dropping in the kernel.

It only listens. Creating the interface and choosing its channel need more rights than listening does, so they are left
to `iw` (docs/wifi.md has the commands). Facts: protocols B5.
"""

import ctypes
import os
import select
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import DeviceError, DeviceLost, DeviceNotFound, DeviceRefused
from .capture import RADIOTAP, Packet
from .packets import PacketReader
from .sighting import Sighting

_NETWORK_DEVICES = Path("/sys/class/net")
_ARPHRD_RADIOTAP = 803
_IFF_UP = 1
_ETH_P_ALL = 0x0003
_SO_ATTACH_FILTER = 26
_SO_TIMESTAMPNS = 35
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_RECEIVE_BYTES = 4 * 2**20
_SNAP_BYTES = 512  # radiotap and the 802.11 header; what the frame says is never copied to this process
_MOST_AT_ONCE = 256
_TIMESPEC = struct.Struct("@ll")

# Classic BPF: (code, jump if true, jump if false, operand). The header's length is little-endian, BPF loads are not.
_LOAD_BYTE, _LOAD_BYTE_X, _AND, _SHIFT_LEFT, _OR_X, _TO_X, _JUMP_EQUAL, _RETURN = (
    0x30, 0x50, 0x54, 0x64, 0x4C, 0x07, 0x15, 0x06
)  # fmt: skip
_FILTER = (
    (_LOAD_BYTE, 0, 0, 3),
    (_SHIFT_LEFT, 0, 0, 8),
    (_TO_X, 0, 0, 0),
    (_LOAD_BYTE, 0, 0, 2),
    (_OR_X, 0, 0, 0),
    (_TO_X, 0, 0, 0),  # X = where the 802.11 frame begins
    (_LOAD_BYTE_X, 0, 0, 0),
    (_JUMP_EQUAL, 9, 0, 0xC4),  # CTS
    (_JUMP_EQUAL, 8, 0, 0xD4),  # ACK
    (_JUMP_EQUAL, 7, 0, 0x80),  # beacon
    (_JUMP_EQUAL, 6, 0, 0x50),  # probe response
    (_AND, 0, 0, 0x0C),
    (_JUMP_EQUAL, 0, 3, 0x08),  # data: ...
    (_LOAD_BYTE_X, 0, 0, 1),
    (_AND, 0, 0, 0x03),
    (_JUMP_EQUAL, 1, 0, 0x02),  # ... from an access point
    (_RETURN, 0, 0, _SNAP_BYTES),
    (_RETURN, 0, 0, 0),
)


class MonitorPort:
    """One monitor interface. counters: those of the packets, and kernel_drops (this process was too slow)."""

    is_finished = False

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self._packets = PacketReader(f"interface {interface}")
        self._kernel_drops = 0
        self._socket: socket.socket | None = None
        self._buffer = bytearray(_SNAP_BYTES)

    @property
    def counters(self) -> Mapping[str, int]:
        if self._socket is not None:
            self._kernel_drops += _drops(self._socket)
        return {**self._packets.counters, "kernel_drops": self._kernel_drops}

    def __enter__(self) -> Self:
        check_interface(self.interface)
        try:
            # protocol 0: nothing of other interfaces is received before the socket is bound to its own
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except PermissionError as error:
            raise DeviceRefused(permission_sentence(self.interface)) from error
        try:
            prepare(self._socket)
            self._socket.bind((self.interface, _ETH_P_ALL))
        except OSError as error:
            self._socket.close()
            raise self._lost(error) from error
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def read(self, timeout_s: float) -> list[Sighting] | None:
        if self._socket is None:
            raise DeviceLost(f"interface {self.interface}: is not open")
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        if not poller.poll(timeout_s * 1000):
            return None
        packets: list[Packet] = []
        try:
            while len(packets) < _MOST_AT_ONCE:
                packets.append(receive(self._socket, self._buffer))
        except BlockingIOError:
            pass
        except OSError as error:
            raise self._lost(error) from error
        return self._packets.sightings(packets) or None

    def clock_ns(self) -> int | None:
        return time.time_ns()

    def _lost(self, error: OSError) -> DeviceError:
        return DeviceLost(f"interface {self.interface}: {os.strerror(error.errno or 0).lower()}")


def check_interface(interface: str, devices: Path = _NETWORK_DEVICES) -> None:
    """Raises DeviceNotFound or DeviceRefused with what to do, unless `interface` is up and in monitor mode."""
    folder = devices / interface
    try:
        kind = int((folder / "type").read_text())
        flags = int((folder / "flags").read_text(), 16)
    except (OSError, ValueError) as error:
        there = ", ".join(sorted(path.name for path in devices.glob("*"))) or "none"
        raise DeviceNotFound(f"interface {interface}: there is no such interface (there are: {there})") from error
    if kind != _ARPHRD_RADIOTAP:
        raise DeviceRefused(
            f"interface {interface}: is not in monitor mode with radiotap (its type is {kind}, not "
            f"{_ARPHRD_RADIOTAP}): `sudo iw dev {interface} interface add mon0 type monitor && "
            'sudo ip link set mon0 up`, then source = "interface:mon0"'
        )
    if not flags & _IFF_UP:
        raise DeviceRefused(f"interface {interface}: is down: `sudo ip link set {interface} up`")


def permission_sentence(interface: str) -> str:
    return (
        f"interface {interface}: listening needs the capability CAP_NET_RAW: `sudo setcap cap_net_raw+ep "
        '"$(readlink -f "$(command -v python3)")"` for the Python that runs whowhere, or under systemd '
        "AmbientCapabilities=CAP_NET_RAW"
    )


def prepare(receiver: socket.socket) -> None:
    """Set up a socket before it is bound: drop early, stamp in the kernel, room for bursts, never wait."""
    receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
    attach_filter(receiver)
    receiver.setblocking(False)


def receive(receiver: socket.socket, buffer: bytearray) -> Packet:
    """One packet with its kernel time. Raises BlockingIOError when there is none, OSError when the device is gone."""
    count, ancillary, _, _ = receiver.recvmsg_into([buffer], socket.CMSG_SPACE(_TIMESPEC.size))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return Packet(seconds * 1_000_000_000 + nanoseconds, bytes(buffer[:count]), RADIOTAP)
    return Packet(time.time_ns(), bytes(buffer[:count]), RADIOTAP)


def attach_filter(receiver: socket.socket) -> None:
    """Let the kernel drop what never tells where a client is: CTS and ACK (no transmitter), beacons and probe
    responses, and data from an access point; and cut the rest behind its headers."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *line) for line in _FILTER))
    header = struct.pack("@HP", len(_FILTER), ctypes.addressof(program))
    receiver.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)


def _drops(receiver: socket.socket) -> int:
    """Packets the kernel had to drop since the last question (asking resets it)."""
    try:
        return struct.unpack("@II", receiver.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
    except OSError:  # not a packet socket: the virtual twin of one
        return 0
