"""The witness of looks (UMTF): does a body look like those that an identity's phone walked with before?

Within a room and a minute looks are continuity's (`looks.py`, `continuity.py`): they say which body goes on. This
witness remembers for hours: who left and comes back, or appears before another camera, is compared with the gallery of
each identity. A portrait holds one mean descriptor a camera. Radios outvote looks: all that looks may say of a body
is MOST_NATS, so that who changes clothes at the door is found again by their phone.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..geometry import Floats
from ..looks import HISTOGRAM
from .galleries import Galleries

MOST_NATS = 3.0
FORGET_S = 4 * 3600.0  # clothes last about a day's part
LEAST_SIGHTINGS = 3
MEMORY = 0.9  # of a camera's mean descriptor, per sighting
SAME_CAMERA, OTHER_CAMERA = (14.0, 0.45), (9.0, 0.50)  # nats per unit of distance, and the distance that says nothing


class LooksModel(Protocol):
    """A model of looks. Its descriptors, which cameras send under its `label`, are vectors of length 1 whose scalar
    product says how alike they are."""

    @property
    def label(self) -> str: ...
    def log_ratio(self, similarity: Floats, same_camera: bool, is_mean: bool, /) -> Floats:
        """Calibrated nats, same person against another, of similarities of any shape. is_mean: of means of several
        sightings each."""
        ...


class Histograms:
    """Colour histograms as a model of looks: what there is without any that was learnt. Their roots have length 1 and
    the Bhattacharyya coefficient as scalar product."""

    label = HISTOGRAM

    def log_ratio(self, similarity: Floats, same_camera: bool, is_mean: bool, /) -> Floats:
        scale, neutral = SAME_CAMERA if same_camera else OTHER_CAMERA
        distance = np.sqrt(np.maximum(1.0 - similarity, 0.0))
        return np.clip(scale * (neutral - distance), -2 * MOST_NATS, MOST_NATS)


class Look(msgspec.Struct):
    """How a body looked to one camera: the mean of its descriptors (D,), and of how many."""

    camera: str
    mean: Floats
    count: int


class Resemblance:
    """How alike portraits of looks are, by a model."""

    def __init__(self, model: LooksModel) -> None:
        self.model = model

    def ratios(self, query: list[Look], galleries: Sequence[Sequence[list[Look]]], /) -> Floats:
        """(G,): a gallery's portraits are of one person in the same clothes, so they count as one, as their mean."""
        return np.array([self._one(query, gallery) for gallery in galleries])

    def _one(self, query: list[Look], gallery: Sequence[list[Look]]) -> float:
        found = [self.pair(query, portrait) for portrait in gallery]
        said = np.array([nats for nats in found if nats is not None])
        return float(np.log(np.exp(said).mean())) if len(said) else 0.0

    def pair(self, query: list[Look], portrait: list[Look]) -> float | None:
        """The mean over the pairs of cameras that saw them; pairs of the same camera alone where there are any."""
        pairs: dict[bool, list[float]] = {True: [], False: []}
        for a in query:
            for b in portrait:
                if min(a.count, b.count) >= LEAST_SIGHTINGS and a.mean.shape == b.mean.shape:
                    pairs[a.camera == b.camera].append(_alike(a.mean, b.mean))
        chosen = pairs[True] or pairs[False]
        if not chosen:
            return None
        return float(np.mean(self.model.log_ratio(np.array(chosen), bool(pairs[True]), True)))

    def pack(self, content: list[Look], /) -> Any:
        return [[look.camera, look.mean, look.count] for look in content]

    def unpack(self, packed: Any, /) -> list[Look]:
        return [Look(*fields) for fields in packed]


class AppearanceEvidence(Galleries[list[Look]]):
    """Portraits of looks. `see` is fed with what cameras saw of bodies, `nats` says what it means."""

    def __init__(self, identities: int, model: LooksModel) -> None:
        self.model, self._resemblance = model, Resemblance(model)
        super().__init__(identities, self._resemblance, list, MOST_NATS, FORGET_S, label=model.label)

    def see(self, number: int, camera: str, descriptor: NDArray[np.floating], t_ns: int) -> None:
        """A camera has seen a body, alone and large enough: its `descriptor` (D,), all 0 where its crop was no good."""
        if not descriptor.any():
            return
        looks = self.of(number, t_ns)
        fresh = descriptor.astype(np.float64)
        fresh = np.sqrt(np.maximum(fresh, 0.0)) if self.model.label == HISTOGRAM else fresh
        for look in looks:
            if look.camera == camera and look.mean.shape == fresh.shape:
                share = max(1.0 / (look.count + 1), 1 - MEMORY)
                look.mean, look.count = look.mean + share * (fresh - look.mean), look.count + 1
                return
        looks.append(Look(camera, fresh, 1))

    def alike(self, number: int, other: int) -> float | None:
        """Nats by which two bodies look like one person; None by histograms alone, which are continuity's own, and
        where too little was seen of either."""
        if self.model.label == HISTOGRAM or number not in self.bodies or other not in self.bodies:
            return None
        return self._resemblance.pair(self.bodies[number].content, self.bodies[other].content)


def _alike(first: Floats, second: Floats) -> float:
    """The scalar product of two vectors (D,) made of length 1."""
    return float(first @ second / max(float(np.sqrt((first @ first) * (second @ second))), 1e-12))
