"""Reads a site file: TOML in, one checked `Site` out, whose file names are beside the file that named them.

It is strict: an unknown key, a wrong type or unit, an id used twice is one SiteError with one sentence that names file,
line, key, value and what would be right (site_mistakes.py finds the words). What the values must be is the business
of sitefile.py. No device is opened here.
"""

import re
import tomllib
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ..nodes.model_files import SHIPPED_FILES
from ..sitefile import SHIPPED, SIMULATED, Camera, Site, SiteError, Sniffer
from .site_mistakes import line_of, look_up, numbers, told

_ADDRESS = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
SITES = Path(__file__).parent / "sites"


def load_site(path: str | Path) -> Site:
    """Read and check a site file; file names in it are relative to it. Raises SiteError with one sentence."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SiteError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SiteError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    site = parse_site(text, str(path))
    return _with_paths_from(path.parent.resolve(), site, str(path))


def parse_site(text: str, file: str = "site file") -> Site:
    """The site in a TOML text; `file` names it in errors. Raises SiteError with one sentence."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SiteError(f"{file}: not TOML: {error}") from error
    for path, number in numbers(document):
        if number - number != 0:  # TOML knows nan and inf, a room does not
            label = look_up(document, path)[1]
            raise SiteError(f"{file}:{line_of(text, path)}: {label} = {number}: must be a finite number")
    try:
        site = msgspec.convert(document, Site)
    except msgspec.ValidationError as error:
        raise SiteError(told(error, document, text, file)) from error
    for place, identity in enumerate(site.identities):
        for device in identity.devices:
            if not _ADDRESS.fullmatch(device):
                raise SiteError(
                    f"{file}:{line_of(text, f'identities[{place}].devices')}: identities.{identity.name}.devices: "
                    f'"{device}" is not a hardware address like "a4:83:e7:12:34:56"'
                )
    return site


def _with_paths_from(folder: Path, site: Site, file: str) -> Site:
    """File names in a site file are relative to the file; shipped radar configurations are found by bare name."""
    radars = []
    for radar in site.radars:
        beside = folder / radar.config
        shipped = SITES / radar.config
        found = next((p for p in (beside, shipped) if p.is_file()), None)
        if found is None:
            raise SiteError(f'{file}: radars.{radar.id}.config = "{radar.config}": no such file beside the site file')
        radars.append(replace(radar, config=str(found)))
    for name, model in site.models.items():
        if model == SHIPPED and name not in SHIPPED_FILES:
            with_one = ", ".join(SHIPPED_FILES)
            raise SiteError(
                f'{file}: models.{name} = "{model}": none comes with whowhere (only {with_one}); name a file'
            )
        if model != SHIPPED and not (folder / model).is_file():
            hint = f'; "{SHIPPED}" takes the one that comes with whowhere' if name in SHIPPED_FILES else ""
            raise SiteError(f'{file}: models.{name} = "{model}": no such file beside the site file{hint}')
    gateway = site.gateway
    for name in ("certificate", "key"):
        if (pem := getattr(gateway, name)) is not None:
            gateway = replace(gateway, **{name: str(folder / pem)})
    key = str(folder / site.privacy.key)
    keys = str(folder / site.bus.keys) if site.bus.keys else None
    return replace(
        site,
        radars=tuple(radars),
        cameras=tuple(_camera_from(folder, camera) for camera in site.cameras),
        sniffers=tuple(_sniffer_from(folder, sniffer) for sniffer in site.sniffers),
        models={name: model if model == SHIPPED else str(folder / model) for name, model in site.models.items()},
        gateway=gateway,
        privacy=replace(site.privacy, key=key),
        learning=replace(site.learning, folder=str(folder / site.learning.folder)),
        bus=replace(site.bus, keys=keys),
    )


def _camera_from(folder: Path, camera: Camera) -> Camera:
    is_path = camera.source != SIMULATED and not camera.source.isdigit() and "://" not in camera.source
    source = str(folder / camera.source) if is_path else camera.source
    timestamps = str(folder / camera.timestamps) if camera.timestamps else None
    return replace(camera, source=source, timestamps=timestamps)


def _sniffer_from(folder: Path, sniffer: Sniffer) -> Sniffer:
    scheme, _, rest = sniffer.source.partition(":")
    if scheme == "pcap":
        return replace(sniffer, source=f"pcap:{folder / rest}")
    return sniffer
