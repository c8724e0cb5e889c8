"""From the site file to what the processes are given: "simulated" becomes real paths and addresses, ports are chosen
or checked, and the published site loses every hardware address. It starts nothing."""

import secrets
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from ..drivers.simulated.faults import parse_faults
from ..drivers.wifi.pseudonyms import enrolled_pseudonym, load_key
from ..sitefile import SIMULATED, Simulated, Site, published
from .errors import LaunchError

PRIVATE_PORTS = (20_000, 32_000)  # below those of outgoing connections, on Linux and elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """private: the wired site with addresses, for WiFi nodes and the simulator only; public: with pseudonyms.

    options: what the simulator must know (epoch_ns, http_port, faults); empty where nothing is simulated.
    """

    private: Site = field(repr=False)
    public: Site
    run_dir: str
    options: dict[str, str]

    @property
    def is_simulated(self) -> bool:
        return bool(self.options)


def wire(site: Site, run_dir: str | Path, faults: str = "") -> Wiring:
    """Give every simulated sensor the path or address at which its virtual twin will answer.

    faults: what shall go wrong with them (docs/simulated.md). Raises FaultError where that is no such list, SiteError
    or OSError where the site's key file cannot be used.
    """
    options: dict[str, str] = {}
    wired = site = with_world(site)
    if site.phones and site.gateway.port == 0:
        wired = site = replace(site, gateway=replace(site.gateway, port=free_port(site.gateway.host)))
    radars = [radar.id for radar in site.radars]
    parse_faults(faults, simulated_sensors(site), radars)  # now, where a person reads it, not in a process
    if has_simulated(site):
        port = free_port()
        options = {"epoch_ns": str(time.time_ns()), "http_port": str(port), "faults": faults}
        wired = _with_twins(site, Path(run_dir), port)
    return Wiring(private=wired, public=without_addresses(wired), run_dir=str(run_dir), options=options)


def with_world(site: Site) -> Site:
    """The site with a world behind its simulated sensors, the ordinary one where the file says nothing of it."""
    return replace(site, simulated=Simulated()) if site.simulated is None and has_simulated(site) else site


def has_simulated(site: Site) -> bool:
    return bool(simulated_sensors(site))


def simulated_sensors(site: Site) -> list[str]:
    """The ids of the sensors that a virtual twin stands in for."""
    sources = [(radar.id, radar.data_port) for radar in site.radars]
    sources += [(sensor.id, sensor.source) for sensor in (*site.cameras, *site.sniffers, *site.phones)]
    return [name for name, source in sources if source == SIMULATED]


def without_addresses(site: Site) -> Site:
    """The site as it may be published; a site without devices needs no key and makes none."""
    if not any(identity.devices for identity in site.identities):
        return published(site, str)
    key = load_key(site.privacy.key)
    return published(site, lambda address: enrolled_pseudonym(key, address))


def free_port(host: str = "127.0.0.1", count: int = 1) -> int:
    """The first of `count` neighbouring TCP ports that nobody uses now; none of those that the system gives to
    outgoing connections, which could take one before we listen there."""
    for _ in range(200):
        first = PRIVATE_PORTS[0] + secrets.randbelow(PRIVATE_PORTS[1] - PRIVATE_PORTS[0] - count)
        if all(is_free(host, first + offset) for offset in range(count)):
            return first
    raise LaunchError(f"no {count} free neighbouring ports on {host}", "whowhere doctor")


def claim(port: int) -> socket.socket | None:
    """A claim on a bus port against other whowheres that start at the same moment, held while the returned socket is
    open (this process's death ends it); None where another holds it. Outside Linux it always succeeds."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if sys.platform == "linux":
        try:
            held.bind(f"\0whowhere-bus-{port}")
        except OSError:
            held.close()
            return None
    return held


def is_free(host: str, port: int) -> bool:
    """Whether this machine could listen there now; an address that is not ours counts as not free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):  # taken, not ours, or beyond 65535
            return False
    return True


def require_free(site: Site) -> None:
    """Raise LaunchError where the site's bus, page or gateway could not listen."""
    if site.bus.port <= site.page.port < site.bus.port + 3:
        raise LaunchError(
            f"page.port = {site.page.port}: the bus takes {site.bus.port} to {site.bus.port + 2} (bus.port and the two "
            "behind it); choose another page.port"
        )
    for port in range(site.bus.port, site.bus.port + 3):
        if not is_free(site.bus.host, port):
            raise LaunchError(
                f"bus.port = {site.bus.port}: {site.bus.host}:{port} cannot be listened on: in use by another program "
                "(perhaps another whowhere) or not an address of this machine; choose another bus.port",
                f"ss -ltnp 'sport = :{port}'",
            )
    if site.phones and site.gateway.port and not is_free(site.gateway.host, site.gateway.port):
        raise LaunchError(
            f"gateway.port = {site.gateway.port}: {site.gateway.host}:{site.gateway.port} cannot be listened on: in "
            "use by another program or not an address of this machine; choose another gateway.port",
            f"ss -ltnp 'sport = :{site.gateway.port}'",
        )
    if site.page.port and not is_free(site.page.host, site.page.port):
        raise LaunchError(
            f"page.port = {site.page.port}: {site.page.host}:{site.page.port} cannot be listened on: in use by another "
            "program or not an address of this machine; choose another page.port",
            f"ss -ltnp 'sport = :{site.page.port}'",
        )


def with_free_ports(site: Site, page_port: int | None = None) -> Site:
    """The site on loopback ports that nobody uses, or with the page where the caller wants it (--port of a command).
    Raises LaunchError where that port cannot be had."""
    if page_port and not is_free("127.0.0.1", page_port):
        raise LaunchError(
            f"--port {page_port}: in use by another program, or not for you to use",
            "leave --port out to get a free one",
        )
    bus = replace(site.bus, host="127.0.0.1", port=free_port(count=3))
    page = replace(site.page, host="127.0.0.1", port=page_port or free_port())
    gateway = replace(site.gateway, host="127.0.0.1", port=free_port()) if site.phones else site.gateway
    return replace(site, bus=bus, page=page, gateway=gateway)


def _with_twins(site: Site, run_dir: Path, http_port: int) -> Site:
    radars = [
        replace(radar, cli_port=str(run_dir / f"{radar.id}.cli"), data_port=str(run_dir / f"{radar.id}.data"))
        if radar.data_port == SIMULATED
        else radar
        for radar in site.radars
    ]
    cameras = [
        replace(camera, source=f"http://127.0.0.1:{http_port}/{camera.id}.mjpeg")
        if camera.source == SIMULATED
        else camera
        for camera in site.cameras
    ]
    sniffers = [
        replace(sniffer, source=f"pcap:{run_dir / f'{sniffer.id}.pcap'}") if sniffer.source == SIMULATED else sniffer
        for sniffer in site.sniffers
    ]
    phones = [
        replace(phone, token=phone.token or secrets.token_urlsafe(24)) if phone.source == SIMULATED else phone
        for phone in site.phones
    ]
    return replace(site, radars=tuple(radars), cameras=tuple(cameras), sniffers=tuple(sniffers), phones=tuple(phones))
