"""Recognising people again: gives the witnesses of looks and gait what sensors saw of bodies, keeps their portraits in
step with the bodies there are, and hands what they say to the identities.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..messages import CameraFrame
from .detections import Detections
from .evidence.appearance import AppearanceEvidence, Histograms
from .identities import Answer, Identities
from .models import Models
from .tracks import ALONE_M, Tracker

LEAST_HEIGHT_PX = 60.0  # of a box whose looks are worth remembering


class Recognition:
    """The witnesses that remember, of a site's identities."""

    def __init__(self, identities: int, models: Models, evidence: tuple[str, ...]) -> None:
        """evidence: which witnesses are heard, as the site file says."""
        self._looks = AppearanceEvidence(identities, models.appearance or Histograms())
        self._heard = [witness for name, witness in (("appearance", self._looks),) if name in evidence]
        self._witnesses = (self._looks,)

    def see(self, frame: CameraFrame, seen: Detections, tracker: Tracker) -> None:
        """What a camera saw of the bodies it was just given to: of those alone, large enough and whole."""
        descriptors = frame.descriptors.get(self._looks.model.label)
        if descriptors is None or seen.rows is None or len(descriptors) != len(frame.boxes):
            return
        alone = _alone(tracker)
        for number, row in tracker.paired:
            box = int(seen.rows[row])
            if number in alone and frame.boxes[box, 3] >= LEAST_HEIGHT_PX:
                self._looks.see(number, frame.source, descriptors[box], frame.t_ns)

    def ask(self, number: int, others: Iterable[int]) -> None:
        """Continuity has weighed whether a body is one of `others`, by their looks."""
        self._looks.ask(number, list(others))

    def part(self, number: int, heir: int = 0) -> None:
        """A body has gone for good, or is `heir`."""
        for witness in self._witnesses:
            witness.part(number, heir)

    def weigh(self, t_ns: int, identities: Identities) -> None:
        """Let every witness that has something new change what is believed."""
        numbers = [n for n, is_live in zip(identities.numbers, identities.live, strict=True) if is_live]
        for witness in self._heard:
            news = witness.nats(t_ns, numbers)
            if not news:
                continue
            nats = np.zeros((len(identities.names), len(identities.numbers) - 1))
            for number, change in news.items():
                nats[:, identities.column(number) - 1] = change
            for who in np.flatnonzero(nats.any(axis=1)).tolist():
                identities.weigh(who, nats[who])

    def settle(self, t_ns: int, answer: Answer) -> None:
        """Who is who now: whose portraits these are."""
        for witness in self._witnesses:
            witness.settle(t_ns, answer.bodies, answer.probability)

    def state(self) -> dict[str, Any]:
        return {"looks": self._looks.state()}

    def load(self, state: dict[str, Any]) -> None:
        self._looks.load(state["looks"])


def _alone(tracker: Tracker) -> frozenset[int]:
    """The numbers of the bodies with nobody near: a neighbour's clothes would be in their boxes."""
    gaps: NDArray[np.floating] = np.linalg.norm(tracker.mean[:, None, :2] - tracker.mean[None, :, :2], axis=2)
    return frozenset(tracker.number[(gaps < ALONE_M).sum(axis=1) == 1].tolist())
