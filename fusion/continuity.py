"""Whether a body just found is one that was lost a moment ago: weighted by how it moved and how it looked, never one
hard guess. Knows bodies only; what the answer means for names is in identities.py.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from .changes import Change
from .geometry import Floats
from .kalman import predict
from .looks import LOOKS_LIKE, bhattacharyya
from .tracks import UNSEEN_DECAY_S

MEMORY_S = 40.0  # a body lost for longer is a new one when it comes back
STRIDE_M2_PER_S = 0.6  # how far a lost walker may have wandered, beyond what its filter predicts
RETURN_PRIOR = 0.8  # of bodies found, the share that are lost ones; the rest has just come in
STRANGER_DENSITY = 0.003  # per m2: how likely a new person appears just here
LOOKS_SCALE = 14.0  # nats per unit of Bhattacharyya distance
MAX_DRIFT_S = 12.0


class Ghost(msgspec.Struct, frozen=True):
    """A lost body: its number, when it was last seen, its filter then (4,), (4,4), and its looks (256,)."""

    number: int
    seen_ns: int
    lost_ns: int
    mean: Floats
    covariance: Floats
    looks: Floats


def _ghost_of(change: Change) -> Ghost:
    return Ghost(change.number, change.seen_ns, change.t_ns, change.mean, change.covariance, change.looks)


class Continuity:
    """The bodies lost lately, oldest first."""

    def __init__(self) -> None:
        self.ghosts: list[Ghost] = []

    def lost(self, change: Change) -> None:
        """Remember a body that was lost. Its filter is as predicted to the moment it was given up."""
        self.ghosts.append(_ghost_of(change))

    def forget(self, t_ns: int) -> list[int]:
        """Drop bodies lost too long ago; their numbers."""
        horizon = t_ns - round(MEMORY_S * 1e9)
        gone = [ghost.number for ghost in self.ghosts if ghost.lost_ns < horizon]
        self.ghosts = [ghost for ghost in self.ghosts if ghost.lost_ns >= horizon]
        return gone

    def parents(
        self, born: Change, unseen: Sequence[Change] = (), alike: Callable[[int], float | None] = lambda _: None
    ) -> dict[int, float]:
        """For a body just found: the probability, per lost body's number, that it is that one. `unseen` are bodies
        not given up yet, as they are believed to be now; alike: nats by which it looks like a number's body rather
        than like somebody else, None where that is for the histograms to say."""
        ghosts = [*self.ghosts, *map(_ghost_of, unseen)]
        if not ghosts:
            return {}
        odds = np.array([self._odds(ghost, born, alike(ghost.number)) for ghost in ghosts])
        share = RETURN_PRIOR * odds / (RETURN_PRIOR * odds.sum() + (1 - RETURN_PRIOR) * STRANGER_DENSITY)
        return {ghost.number: float(p) for ghost, p in zip(ghosts, share, strict=True) if p > 1e-3}

    def places(self, t_ns: int) -> dict[int, tuple[Floats, Floats]]:
        """Per lost body's number where it may be by now: mean (2,), covariance (2,2)."""
        return {ghost.number: _place(ghost, t_ns) for ghost in self.ghosts}

    @staticmethod
    def _odds(ghost: Ghost, born: Change, nats: float | None) -> float:
        """The density (per m2) of finding the lost body here, times what its looks say."""
        mean, spread = _place(ghost, born.t_ns)
        spread = spread + born.covariance[:2, :2]
        apart = born.mean[:2] - mean
        distance2 = float(apart @ np.linalg.solve(spread, apart))
        density = np.exp(-0.5 * distance2) / (2 * np.pi * np.sqrt(np.linalg.det(spread)))
        if nats is None and ghost.looks.any() and born.looks.any():
            distance = float(bhattacharyya(ghost.looks[None], born.looks[None])[0, 0])
            nats = LOOKS_SCALE * (LOOKS_LIKE - distance)
        return float(density * np.exp(nats or 0.0))

    def state(self) -> dict[str, Any]:
        return {
            "ghosts": [[g.number, g.seen_ns, g.lost_ns, g.mean, g.covariance, g.looks] for g in self.ghosts],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Continuity":
        continuity = cls()
        continuity.ghosts = [Ghost(*fields) for fields in state["ghosts"]]
        return continuity


def _place(ghost: Ghost, t_ns: int) -> tuple[Floats, Floats]:
    lost_s, unseen_s = max((t_ns - ghost.lost_ns) / 1e9, 0.0), max((t_ns - ghost.seen_ns) / 1e9, 0.0)
    mean, covariance = predict(ghost.mean[None], ghost.covariance[None], min(lost_s, MAX_DRIFT_S), UNSEEN_DECAY_S)
    return mean[0, :2], covariance[0, :2, :2] + STRIDE_M2_PER_S * unseen_s * np.eye(2)
