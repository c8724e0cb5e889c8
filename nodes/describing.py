"""What a camera node says of each box beside where it is: colours always; an embedding and an outline where the site
has models that ask for them. Pixels go in, numbers come out, and, only where the site file allows it, crops are kept.
"""

import numpy as np
from numpy.typing import NDArray

from ..drivers.camera.appearance import NAME, histograms
from ..drivers.camera.gait import NAME as PROFILE
from ..drivers.camera.gait import gait_profiles
from ..drivers.camera.silhouettes import Silhouettes
from ..models.appearance.quality import cut_out, flaws
from ..sitefile import Site
from .crop_keeping import CropKeeper
from .models import appearance_of

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float32]


class Describer:
    """One camera's: `of` with every frame, in order. Raises SiteError for a model that cannot be used."""

    def __init__(self, site: Site, camera: str) -> None:
        self._flaws: dict[str, int] = {}
        self._model = appearance_of(site)
        self._silhouettes = Silhouettes() if "gait" in site.models else None
        self._keeper = CropKeeper(site.learning, camera) if site.learning.crops else None

    def of(self, pixels: Pixels, boxes: Boxes, t_ns: int) -> dict[str, NDArray[np.float32]]:
        """Descriptors by name and version, a row a box. A box whose crop is too small, cut, hidden or blurred has an
        embedding of zeros: nothing is said of it."""
        said = {NAME: histograms(pixels, boxes)}
        if self._model or self._keeper:
            height, width = pixels.shape[:2]
            crops = cut_out(pixels, boxes)
            wrong = flaws(crops, boxes, (width, height))
            good = [row for row, flaw in enumerate(wrong) if not flaw]
            for flaw in filter(None, wrong):
                self._flaws[f"crops_{flaw}"] = self._flaws.get(f"crops_{flaw}", 0) + 1
            if self._model:
                rows = np.zeros((len(boxes), self._model.size), np.float32)
                rows[good] = self._model.embed([crops[row] for row in good])
                said[self._model.label] = rows
            if self._keeper:
                self._keeper.keep(t_ns, (width, height), boxes, {row: crops[row] for row in good})
        if self._silhouettes:
            said[PROFILE] = gait_profiles(self._silhouettes.of(pixels, boxes))
        return said

    @property
    def counters(self) -> dict[str, int]:
        """Crops kept, lost and left out, by flaw."""
        return {**self._flaws, **(self._keeper.counters if self._keeper else {})}

    def close(self) -> None:
        """Write the crops that are waiting."""
        if self._keeper:
            self._keeper.write()
