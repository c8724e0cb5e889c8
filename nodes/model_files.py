"""Where a site's models are, and what they are by their sha256. It opens no model, so that any node may ask."""

from hashlib import sha256
from pathlib import Path

from ..sitefile import SHIPPED, Site, SiteError

HOUSE = Path(__file__).parents[1] / "models"
SHIPPED_FILES = {
    "appearance": HOUSE / "appearance" / "shipped" / "looks.json",
    "gait": HOUSE / "gait" / "gait.json",
}


def file_of(site: Site, name: str) -> Path:
    """A model's file or card. Raises SiteError for a "shipped" one that does not come with the house."""
    named = site.models[name]
    if named != SHIPPED:
        return Path(named)
    if name not in SHIPPED_FILES:
        raise SiteError(f'models.{name} = "{SHIPPED}": no such model comes with whowhere; name a file')
    return SHIPPED_FILES[name]


def hashes(site: Site) -> dict[str, str]:
    """The sha256 of each model file of a site; where it is a card, of the card, which holds its networks'. Raises
    SiteError where one cannot be read."""
    try:
        return {name: sha256(file_of(site, name).read_bytes()).hexdigest() for name in site.models}
    except OSError as error:
        raise SiteError(f"model {error.filename} cannot be read: {error.strerror}") from error
