"""How many of the bodies there are nobody enrolled: learnt, because it says how far a body without a name asks for one.

Where all who come are enrolled, a body nobody is known to be must be one of those who are not known to be anywhere;
among strangers it is most likely one more. With strangers a Poisson number of mean m and each identity there on its
own, the probability of an assignment has a factor m for each body left over (as the false alarms of Reid, "An algorithm
for tracking multiple targets", 1979, equation 16). Here that is the odds that a body is a stranger, found forwards in
time from the probabilities of names as they are without it: else the share would confirm itself.
"""

from typing import Any

from .geometry import Floats

FIRST_SHARE, FIRST_BODY_S = 0.5, 60.0  # of strangers, and how many seconds of a body that counts as
MEMORY_BODY_S = 600.0  # once so much is known, the last of it counts
LEAST, MOST = 0.15, 1.5  # of the odds: that all are enrolled, or none, is never taken for granted


class Strangers:
    """The share of bodies that are nobody enrolled."""

    def __init__(self) -> None:
        self.share = FIRST_SHARE
        self._body_s = FIRST_BODY_S

    @property
    def odds(self) -> float:
        """That a body is a stranger, against that it is somebody enrolled."""
        return min(max(self.share / max(1.0 - self.share, 1e-9), LEAST), MOST)

    def learn(self, probability: Floats, elapsed_s: float) -> None:
        """From the probabilities (identities, bodies) that each is each, without these odds, held for `elapsed_s`."""
        bodies = probability.shape[1]
        if bodies:
            self._body_s = min(self._body_s + elapsed_s * bodies, MEMORY_BODY_S)
            strangers = bodies - float(probability.sum())
            self.share += elapsed_s * (strangers - bodies * self.share) / self._body_s

    def state(self) -> dict[str, Any]:
        return {"share": self.share, "body_s": self._body_s}

    def load(self, state: dict[str, Any]) -> None:
        self.share, self._body_s = state["share"], state["body_s"]
