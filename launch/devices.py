"""Which sensors this machine has, from /dev and /sys alone: nothing is opened, so nothing is disturbed."""

from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

_MONITOR_TYPES = {"803": "radiotap", "802": "prism"}  # /sys/class/net/*/type: linux/if_arp.h
_CP2105 = (0x10C4, 0xEA70)  # Silicon Labs dual UART of TI's radar boards (protocols A1)
_XDS110 = (0x0451, 0xBEF3)


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPort:
    """path: the by-id link where there is one, since numbers change on replug. role: "cli", "data" or ""."""

    path: str
    device: str
    description: str
    serial: str
    is_radar: bool
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WirelessInterface:
    name: str
    is_monitor: bool
    is_up: bool


def serial_ports() -> list[SerialPort]:
    """Every serial port of a USB device, in the order of their paths."""
    links = {str(link.resolve()): str(link) for link in sorted(Path("/dev/serial/by-id").glob("*"))}
    ports = []
    for port in list_ports.comports():
        if port.vid is None:
            continue
        found = links.get(port.device, port.device)
        is_radar = (port.vid, port.pid) in (_CP2105, _XDS110)
        role = _role(found, port.description or "") if is_radar else ""
        ports.append(
            SerialPort(
                path=found,
                device=port.device,
                description=port.description or "",
                serial=port.serial_number or "",
                is_radar=is_radar,
                role=role,
            )
        )
    return sorted(ports, key=lambda port: port.path)


def radar_pairs(ports: list[SerialPort]) -> list[tuple[SerialPort, SerialPort]]:
    """(CLI port, data port) of each radar board."""
    pairs = []
    for cli in (port for port in ports if port.role == "cli"):
        data = next((port for port in ports if port.role == "data" and port.serial == cli.serial), None)
        if data:
            pairs.append((cli, data))
    return pairs


def cameras() -> list[tuple[int, str]]:
    """(index, name) of each video device that captures; of a camera's several devices the first is the picture."""
    found = []
    for device in sorted(Path("/sys/class/video4linux").glob("video*"), key=lambda path: int(path.name[5:])):
        index = _text(device / "index")
        if index in ("", "0"):
            found.append((int(device.name[5:]), _text(device / "name") or device.name))
    return found


def wireless_interfaces() -> list[WirelessInterface]:
    found = []
    for interface in sorted(Path("/sys/class/net").glob("*")):
        kind = _text(interface / "type")
        if kind in _MONITOR_TYPES or (interface / "wireless").exists() or (interface / "phy80211").exists():
            is_up = _text(interface / "operstate") in ("up", "unknown")
            found.append(WirelessInterface(name=interface.name, is_monitor=kind in _MONITOR_TYPES, is_up=is_up))
    return found


def _role(path: str, description: str) -> str:
    """Which of the board's two UARTs a port is: by USB interface number (protocols A1), or as the driver calls it."""
    if "-if00" in path or "Enhanced" in description or "User UART" in description:
        return "cli"
    if "-if01" in path or "-if03" in path or "Standard" in description or "Auxiliary" in description:
        return "data"
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
