"""EV-Loc on synchronous frames, one way or the other: `cost = "squared"` with `gate = "hoeffding"` (or "empirical")
is the paper's algorithm, `cost = "likelihood"` with `gate = "posterior"` is ours and the default. Both take the same
frames and give the same `Estimate`; neither is used by the engine, which has no frames.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from .evloc_frames import Estimate, LikelihoodMatcher, LikelihoodSettings
from .evloc_paper import PaperMatcher, PaperSettings
from .evloc_radio import Radio
from .geometry import Floats


@dataclass(frozen=True)
class EvLocSettings:
    """How to match, and what to assume. The last two are for one way each."""

    cost: Literal["likelihood", "squared"] = "likelihood"
    gate: Literal["posterior", "hoeffding", "empirical"] = "posterior"
    likelihood: LikelihoodSettings = field(default_factory=LikelihoodSettings)
    paper: PaperSettings = field(default_factory=PaperSettings)


class Matcher(Protocol):
    """R independent runs, N devices, B bodies, J sniffers."""

    def step(self, rssi_dbm: Floats, seen: Floats) -> Estimate:
        """One frame: mean readings (R,N,J), NaN = not heard, and sightings (R,B,2) in m, NaN = missed."""
        ...


def frame_matcher(
    sniffers: Floats, radio: Radio, runs: int, devices: int, bodies: int, settings: EvLocSettings | None = None
) -> Matcher:
    """A matcher at sniffers (J,2). Raises ValueError for a cost and a gate that do not go together."""
    settings = settings or EvLocSettings()
    if settings.cost == "likelihood" and settings.gate == "posterior":
        return LikelihoodMatcher(sniffers, radio, runs, devices, bodies, settings.likelihood)
    if settings.cost == "squared" and settings.gate == settings.paper.gate:
        return PaperMatcher(sniffers, radio, runs, devices, bodies, settings.paper)
    raise ValueError(
        f'cost "{settings.cost}" does not go with gate "{settings.gate}": '
        'take "likelihood" with "posterior", or "squared" with "hoeffding" or "empirical"'
    )
