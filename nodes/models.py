"""From a site file's [models] to models ready to run: what the engine and the camera nodes are handed.

A model that is missing, damaged or not the one its card describes is one sentence; a recording is fused again only
with the models that it was made with.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from ..fusion.models import Models
from ..models.appearance.model import AppearanceModel
from ..models.appearance.model import load_model as load_appearance
from ..models.gait.model import GaitModel
from ..models.gait.model import load_model as load_gait
from ..sitefile import Site, SiteError
from .model_files import file_of, hashes

Model = TypeVar("Model")
FUSED = ("appearance", "gait")  # the models that the engine is handed


def models_of(site: Site, recorded: Mapping[str, str] | None = None) -> Models:
    """The engine's models. recorded: the sha256 of each when a session was made. Raises SiteError where one cannot be
    used, or is not the recorded one."""
    if recorded:
        now = hashes(site)
        for name in FUSED:
            if name in now and recorded.get(name) != now[name]:
                raise SiteError(
                    f'models.{name} = "{site.models[name]}" is not what this session was made with (sha256 '
                    f"{now[name][:12]} instead of {recorded.get(name, 'none')[:12]}): put that one in its place"
                )
    return Models(appearance=appearance_of(site), gait=gait_of(site))


def appearance_of(site: Site) -> AppearanceModel | None:
    """What embeds crops and compares looks; None where the site names no model. Raises SiteError."""
    return _loaded(site, "appearance", load_appearance)


def gait_of(site: Site) -> GaitModel | None:
    """What knows people by their walk; None where the site names no model. Raises SiteError."""
    return _loaded(site, "gait", load_gait)


def _loaded(site: Site, name: str, load: Callable[[Path], Model]) -> Model | None:
    if name not in site.models:
        return None
    try:
        return load(file_of(site, name))
    except (ValueError, OSError) as error:
        raise SiteError(f"models.{name}: {error}") from error
