"""A simulated site whose enrolled people also run the app: a phone each, and the radio map that a surveyor would have
made of the place. It starts nothing."""

from pathlib import Path

from msgspec.structs import replace

from ..drivers.simulated.phones_air import survey
from ..drivers.wifi.pseudonyms import access_point_pseudonym, load_key
from ..models.positioning.calibration import read_well
from ..models.radiomap.maps import FingerprintMap, save_map
from ..sitefile import SIMULATED, Phone, Site

SPACING_M, SCANS_A_POINT = 1.0, 5


def with_phones(site: Site, folder: Path) -> Site:
    """The site with a simulated phone for everybody enrolled, a gateway on a free port, and a surveyed radio map, which
    is written to `folder`. Raises OSError where it cannot be, SiteError where the site's key cannot be used."""
    phones = tuple(
        Phone(id=f"phone-{identity.name.lower().replace(' ', '-')}", owner=identity.name, source=SIMULATED)
        for identity in site.identities
        if identity.consent
    )
    path = folder / "surveyed.map"
    save_map(surveyed(site), path)
    gateway = replace(site.gateway, port=0)
    return replace(site, phones=phones, gateway=gateway, models={**site.models, "radiomap": str(path)})


def surveyed(site: Site) -> FingerprintMap:
    """What a surveyor of the simulated site would bring home, under the names that its gateway gives access points."""
    key = load_key(site.privacy.key)
    bssids, position_m, rssi_dbm = survey(
        site, SPACING_M, SCANS_A_POINT, pseudonym=lambda address: access_point_pseudonym(key, address)
    )
    card = {"made from": f"a simulated survey, {SCANS_A_POINT} scans every {SPACING_M} m"}
    return read_well(FingerprintMap(site.name, "survey-0", bssids, position_m, rssi_dbm.astype("f4"), card))
