"""Is this machine ready for whowhere?

One line per thing that matters: OK, WARN (it works, but) or FIX (it will not work), each WARN and FIX with the command
that helps. Nothing is changed and no device is opened. Exit status 1 where something needs fixing.
"""

import argparse
import getpass
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from ...sitefile import Bus
from .. import devices
from ..wiring import is_free

EXAMPLE = """
whowhere doctor
whowhere doctor --json
"""
OLDEST_PYTHON = (3, 11)
DISK_WARN_GB, DISK_FIX_GB = 5.0, 0.5  # an hour of the demo's session is some tens of MB


@dataclass(frozen=True, slots=True)
class Finding:
    level: Literal["OK", "WARN", "FIX"]
    what: str
    detail: str
    command: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON list of findings")


def run(args: argparse.Namespace) -> int:
    findings = [finding for check in CHECKS for finding in check()]
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            print(f"{finding.level:4}  {finding.what}: {finding.detail}")
            if finding.command and finding.level != "OK":
                print(f"      {finding.command}")
    return 1 if any(finding.level == "FIX" for finding in findings) else 0


def python() -> Iterator[Finding]:
    now = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        yield Finding("FIX", "Python", f"{now}, but 3.11 or newer is needed", "sudo apt install python3.11")
    else:
        yield Finding("OK", "Python", f"{now} on {platform.machine()}")


def opencv() -> Iterator[Finding]:
    """Imported in a child: a wheel that does not fit the processor ends its process, and must not end this one."""
    probe = "import cv2; print(cv2.__version__, hasattr(cv2, 'HOGDescriptor'))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False)
    mend = "pip install 'opencv-python-headless>=4.12,<5'"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        yield Finding("FIX", "OpenCV", f"cannot be imported: {lines[-1] if lines else 'it crashed'}", mend)
    elif done.stdout.split()[1] != "True":
        yield Finding("FIX", "OpenCV", f"{done.stdout.split()[0]} has no HOGDescriptor (version 5 dropped it)", mend)
    else:
        yield Finding("OK", "OpenCV", f"{done.stdout.split()[0]} with HOG people detector")


def libraries() -> Iterator[Finding]:
    for name in ("numpy", "scipy", "msgspec", "mcap", "pyserial"):
        try:
            yield Finding("OK", name, version(name))
        except PackageNotFoundError:
            yield Finding("FIX", name, "is not installed", "pip install whowhere")


def zeromq() -> Iterator[Finding]:
    try:
        import zmq
    except ImportError as error:
        yield Finding("FIX", "ZeroMQ", f"cannot be imported: {error}", "pip install 'pyzmq>=26'")
        return
    if zmq.has("curve"):
        yield Finding("OK", "ZeroMQ", f"{zmq.zmq_version()} with CURVE encryption")
    else:
        yield Finding(
            "WARN", "ZeroMQ", "built without CURVE: no bus beyond this machine", "pip install --force-reinstall pyzmq"
        )


def ports() -> Iterator[Finding]:
    bus = Bus()
    taken = [port for port in range(bus.port, bus.port + 3) if not is_free(bus.host, port)]
    if taken:
        yield Finding(
            "WARN",
            "bus ports",
            f"{', '.join(map(str, taken))} in use: another whowhere may be running; the demo chooses others by itself",
            f"ss -ltnp 'sport = :{taken[0]}'",
        )
    else:
        yield Finding("OK", "bus ports", f"{bus.port}-{bus.port + 2} are free")


def serial() -> Iterator[Finding]:
    found = devices.serial_ports()
    if not found:
        yield Finding("OK", "serial ports", "none: no radar or ESP32 is plugged in")
    for port in found:
        kind = f"radar {port.role} port".replace("  ", " ") if port.is_radar else port.description
        if os.access(port.device, os.R_OK | os.W_OK):
            yield Finding("OK", port.path, kind)
        else:
            yield Finding(
                "FIX",
                port.path,
                f"{kind}: {getpass.getuser()} may not open it",
                f"sudo usermod -aG dialout {getpass.getuser()}  # then log out and in again",
            )


def cameras() -> Iterator[Finding]:
    found = devices.cameras()
    if not found:
        yield Finding("OK", "cameras", "none plugged in; network cameras need only their URL")
    for index, name in found:
        if os.access(f"/dev/video{index}", os.R_OK | os.W_OK):
            yield Finding("OK", f"camera {index}", name)
        else:
            user = getpass.getuser()
            mend = f"sudo usermod -aG video {user}  # then log out and in again"
            yield Finding("FIX", f"camera {index}", f"{name}: {user} may not open it", mend)


def wifi() -> Iterator[Finding]:
    found = devices.wireless_interfaces()
    monitors = [interface for interface in found if interface.is_monitor]
    if not found:
        yield Finding("OK", "WiFi", "no interface; ESP32 sniffers and pcap streams work without one")
    for interface in monitors:
        if not interface.is_up:
            yield Finding(
                "FIX", f"WiFi {interface.name}", "monitor mode, but down", f"sudo ip link set {interface.name} up"
            )
        elif not _has_net_raw():
            mend = f'sudo setcap cap_net_raw+ep "$(readlink -f {sys.executable})"  # or use the systemd unit'
            yield Finding("FIX", f"WiFi {interface.name}", "monitor mode, but raw sockets are forbidden", mend)
        else:
            yield Finding("OK", f"WiFi {interface.name}", "monitor mode")
    if found and not monitors:
        first = found[0].name
        yield Finding(
            "WARN",
            "WiFi",
            f"{', '.join(interface.name for interface in found)}: none is in monitor mode",
            f"sudo iw dev {first} interface add mon0 type monitor && sudo ip link set mon0 up",
        )


def disk() -> Iterator[Finding]:
    free_gb = shutil.disk_usage(os.getcwd()).free / 1e9
    text = f"{free_gb:.1f} GB free in {os.getcwd()}"
    if free_gb < DISK_FIX_GB:
        yield Finding("FIX", "disk", f"{text}: recordings will stop", "df -h .")
    elif free_gb < DISK_WARN_GB:
        yield Finding("WARN", "disk", text, "df -h .")
    else:
        yield Finding("OK", "disk", text)


def clock() -> Iterator[Finding]:
    if time.time() < 1.7e9:  # 2023: a board without a battery that has not asked the network yet
        yield Finding("FIX", "clock", f"says {time.strftime('%Y-%m-%d')}", "sudo timedatectl set-ntp true")
        return
    if not shutil.which("timedatectl"):
        yield Finding("WARN", "clock", "cannot tell whether it is synchronised", "sudo apt install chrony")
        return
    asked = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    if done.stdout.strip() == "yes":
        yield Finding("OK", "clock", "synchronised")
    else:
        yield Finding(
            "WARN",
            "clock",
            "not known to be synchronised: fine on one machine, wrong between several",
            "sudo timedatectl set-ntp true",
        )


def _has_net_raw() -> bool:
    """CAP_NET_RAW (bit 13) in force for this process."""
    with open("/proc/self/status", encoding="utf-8") as status:
        effective = next((line.split()[1] for line in status if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> 13 & 1)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    python, opencv, libraries, zeromq, ports, serial, cameras, wifi, disk, clock,
)  # fmt: skip
