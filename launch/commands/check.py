"""Say in words what a file means, and what is wrong with it.

A site file (.toml): the sensors, people and settings it describes, and whether its files and devices are there.
A radar configuration (.cfg): range, resolution, top speed, frame rate, and whether the line carries it.
A session (.mcap): what was recorded, how long, and how it ended.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from ...drivers.errors import DeviceRefused
from ...drivers.wifi.port import SCHEMES
from ...fusion.geometry import floor_map
from ...nodes import reach
from ...nodes.models import models_of
from ...sitefile import SIMULATED, Camera, Homography, Radar, Site, Sniffer, Witness, is_loopback
from ..counting import counted
from ..errors import LaunchError
from ..running import OPEN_PAGE
from ..site_files import load_site

EXAMPLE = """
whowhere check site.toml
whowhere check my_radar.cfg
whowhere check demo.mcap
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a site (.toml), radar configuration (.cfg) or session (.mcap)")


def run(args: argparse.Namespace) -> int:
    path = Path(args.file)
    readers = {".toml": _check_site, ".cfg": _check_radar, ".mcap": _check_session}
    if path.suffix not in readers:
        raise LaunchError(f"{path}: only {', '.join(readers)} files can be checked", "whowhere check --help")
    if not path.is_file():
        what = "a folder, not a file" if path.is_dir() else "no such file"
        raise LaunchError(f"{path}: {what}", f"ls {path if path.is_dir() else path.parent}")
    return readers[path.suffix](path)


def _check_site(path: Path) -> int:
    site = load_site(path)
    wrong = [*(f"MISSING {line}" for line in not_there(site)), *(f"CANNOT WORK {line}" for line in cannot_work(site))]
    for line in (*describe_site(site), *wrong):
        print(line)
    if not wrong:
        print(f"ready: whowhere up {path}")
    return 1 if wrong else 0


def _check_radar(path: Path) -> int:
    from ...drivers.radar import describe  # here: a site check needs no chirp arithmetic

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LaunchError(f"{path}: is not a text file (byte {error.start})") from error
    lines = describe(text)
    for line in lines:
        print(line)
    return 1 if any(line.startswith("CANNOT WORK") for line in lines) else 0


def _check_session(path: Path) -> int:
    from ..session_summary import summarise

    for line in summarise(path):
        print(line)
    return 0


def describe_site(site: Site) -> Iterator[str]:
    """The site in sentences, in the order of the file."""
    width_m, depth_m = site.area.x_m[1] - site.area.x_m[0], site.area.y_m[1] - site.area.y_m[0]
    walls = f", {counted(len(site.area.walls), 'wall')}" if site.area.walls else ""
    yield f'site "{site.name}": {width_m:g} m x {depth_m:g} m{walls}'
    for sensor in site.sensors:
        yield f"  {_describe_sensor(sensor)}"
    consenting = [identity for identity in site.identities if identity.consent]
    people = counted(len(consenting), "person", "people")
    devices = counted(sum(len(identity.devices) for identity in consenting), "device")
    yield f"  {people} enrolled with {devices}" + _silent(len(site.identities) - len(consenting))
    if site.phones:
        yield from _describe_phones(site)
    models = models_of(site)
    if models.appearance:
        yield f"  looks: {models.appearance.label}"
    if models.gait:
        yield f"  gait: {models.gait.label}"
    if not site.fusion.evidence:
        yield "  fusion.evidence is empty: no witness is heard, so nobody is ever named"
    elif silent := [name for name in get_args(Witness) if name not in site.fusion.evidence]:
        yield f"  fusion.evidence leaves out {', '.join(silent)}: not heard"
    if site.learning.crops:
        yield f"  cameras keep pictures of people in {site.learning.folder} for {site.learning.keep_days:g} days"
    yield f"  other phones: {'only counted' if site.privacy.unenrolled == 'count' else 'a pseudonym of the day'}"
    yield f"  bus tcp://{site.bus.host}:{site.bus.port}, page http://{site.page.host}:{site.page.port}/"
    if not is_loopback(site.page.host):
        yield f"  {OPEN_PAGE}"
    if not (site.radars or site.cameras):
        yield "  without a camera or radar, positions come from signal strength alone: metres, not decimetres"
    if site.identities and len(site.sniffers) < 3:
        yield f"  {counted(len(site.sniffers), 'sniffer')}: three or more around the room name people much faster"


def _describe_phones(site: Site) -> Iterator[str]:
    gateway = site.gateway
    scheme = "https" if gateway.certificate else "http"
    port = gateway.port or "a free port"
    owners = ", ".join(f"{phone.id} ({phone.owner})" for phone in site.phones)
    yield f"  phones with the app: {owners}; they upload to {scheme}://{gateway.host}:{port}/upload"
    mute = [phone.id for phone in site.phones if phone.source == "app" and not phone.token]
    if mute:
        yield f"  {', '.join(mute)}: without a token nothing that they send is taken"
    if "radiomap" not in site.models:
        yield "  without a radio map (models.radiomap) phones are heard but not located: docs/phone_positions.md"


def _silent(count: int) -> str:
    return f"; {count} without consent, who will never be named" if count else ""


def _describe_sensor(sensor: Radar | Camera | Sniffer) -> str:
    match sensor:
        case Radar():
            ports = "simulated" if sensor.data_port == SIMULATED else f"{sensor.cli_port} and {sensor.data_port}"
            return f"radar {sensor.id}: {ports}, {Path(sensor.config).name}, at {_at(sensor.pose.position_m)}"
        case Camera():
            calibration = sensor.calibration
            where = (
                f"{len(calibration.floor_m)} floor points"
                if isinstance(calibration, Homography)
                else f"pinhole at {_at(calibration.pose.position_m)}"
            )
            return f"camera {sensor.id}: {sensor.source}, {sensor.fps:g} frames/s, {where}"
        case Sniffer():
            return (
                f"sniffer {sensor.id}: {sensor.source}, windows of {sensor.window_s:g} s, at {_at(sensor.position_m)}"
            )


def _at(position_m: tuple[float, float, float]) -> str:
    return f"({position_m[0]:g}, {position_m[1]:g}) m, {position_m[2]:g} m high"


def not_there(site: Site) -> Iterator[str]:
    """A sentence for every file or device the site names that this machine does not have."""
    for radar in site.radars:
        for key, port in (("cli_port", radar.cli_port), ("data_port", radar.data_port)):
            if port != SIMULATED and "://" not in port and not Path(port).exists():
                yield f"radars.{radar.id}.{key} = {port}: not there (plugged in? ls /dev/serial/by-id)"
    for camera in site.cameras:
        source = Path(f"/dev/video{camera.source}" if camera.source.isdigit() else camera.source)
        if camera.source != SIMULATED and "://" not in camera.source and not source.exists():
            yield f"cameras.{camera.id}.source: {source}: not there"
        if camera.timestamps and not Path(camera.timestamps).is_file():
            yield f"cameras.{camera.id}.timestamps: {camera.timestamps}: not there"
    for sniffer in site.sniffers:
        scheme, _, rest = sniffer.source.partition(":")
        folder = {
            "pcap": Path(),
            "esp32": Path(),
            "interface": Path("/sys/class/net"),
            "stations": Path("/sys/class/net"),
        }
        rest = rest.partition("@")[0] if scheme == "esp32" else rest  # its speed is no part of the port's name
        if scheme in folder and not rest.startswith("ubus:") and not (folder[scheme] / rest).exists():
            yield f"sniffers.{sniffer.id}.source = {sniffer.source}: not there (whowhere doctor lists what is)"
    for key in ("certificate", "key") if site.phones else ():
        if (pem := getattr(site.gateway, key)) and not Path(pem).is_file():
            yield f"gateway.{key} = {pem}: not there (docs/phone.md says how to make it)"
    if site.bus.keys and not (Path(site.bus.keys) / "hub.key").is_file():
        yield f"bus.keys = {site.bus.keys}: holds no keys (whowhere keygen {site.bus.keys})"


def cannot_work(site: Site) -> Iterator[str]:
    """A sentence for everything that a node would refuse when it starts."""
    for radar in site.radars:
        yield from (f"radars.{radar.id}.config: {line}" for line in _radar_problems(Path(radar.config)))
    for camera in site.cameras:
        try:
            floor_map(camera.calibration)
        except ValueError as error:
            yield f"cameras.{camera.id}.calibration: {error}"
    for sniffer in site.sniffers:
        scheme, _, rest = sniffer.source.partition(":")
        if sniffer.source != SIMULATED and not (scheme in SCHEMES and rest):
            known = ", ".join(f'"{name}:..."' for name in SCHEMES)
            yield f'sniffers.{sniffer.id}.source = "{sniffer.source}": must be "{SIMULATED}" or one of {known}'
    if site.bus.port <= site.page.port <= site.bus.port + 2:
        yield f"page.port = {site.page.port}: the bus takes {site.bus.port} to {site.bus.port + 2}"
    try:
        reach.check_reach(site.bus)
        if site.phones:
            from ...drivers.phone.endpoint import check_reach  # here: it brings a web server

            check_reach(site.gateway)
    except (reach.BusError, DeviceRefused) as error:
        yield str(error)


def _radar_problems(path: Path) -> Iterator[str]:
    from ...drivers.radar import describe

    try:
        lines = describe(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        yield f"{path} is no text file that can be read"
    else:
        yield from (f"{path.name}: {line.partition(': ')[2]}" for line in lines if line.startswith("CANNOT WORK"))
