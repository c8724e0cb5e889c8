"""Recognising people again: gives the witnesses of looks, gait and stature what sensors saw of bodies, keeps their
memories in step with the bodies there are, and hands what they say to the identities.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..messages import CameraFrame, RadarFrame
from ..sitefile import Site
from .detections import CameraView, Detections
from .evidence.appearance import AppearanceEvidence, Histograms
from .evidence.gait import GaitEvidence
from .evidence.stature import StatureEvidence
from .geometry import radar_to_site
from .identities import Answer, Identities
from .models import Models
from .tracks import Tracker

LEAST_HEIGHT_PX = 60.0  # of a box whose looks are worth remembering
PROFILE = "gait-profile:1"  # the descriptor of outlines that camera nodes send
NEAR_M = 0.8  # a body's points lie this near its place
MEETING_M = 0.7  # bodies this near each other may be taken for each other from then on


class Recognition:
    """The witnesses that remember, of a site's identities. looks, gait, stature: None where the site file leaves them
    out, or there is no model."""

    def __init__(self, site: Site, identities: int, cameras: dict[str, CameraView], models: Models) -> None:
        heard = site.fusion.evidence
        self._cameras = cameras
        self._poses = {radar.id: radar.pose for radar in site.radars}
        looks = AppearanceEvidence(identities, models.appearance or Histograms())
        self.looks = looks if "appearance" in heard else None
        self.gait = GaitEvidence(identities, models.gait) if models.gait and "gait" in heard else None
        self.stature = StatureEvidence(identities) if "stature" in heard else None
        self._witnesses = [witness for witness in (self.looks, self.gait, self.stature) if witness]

    @property
    def counters(self) -> dict[str, int]:
        """Per witness the portraits of bodies gone, and how often it said something."""
        named = [("appearance", self.looks), ("gait", self.gait)]
        counted = {
            f"{what}:{name}": count
            for name, witness in named
            if witness and witness.told + len(witness.gone)
            for what, count in (("portraits", len(witness.gone)), ("recognised", witness.told))
        }
        if self.stature and self.stature.told:  # it keeps no portraits
            counted["recognised:stature"] = self.stature.told
        return counted

    def see(self, frame: CameraFrame | RadarFrame, seen: Detections, tracker: Tracker) -> None:
        """What a sensor saw of the bodies it was just given to, of those alone: a neighbour would be in their boxes."""
        if not self._witnesses or (isinstance(frame, RadarFrame) and not self.gait):
            return
        alone = _alone(tracker)
        if isinstance(frame, RadarFrame):
            if self.gait:
                self._sense(self.gait, frame, tracker, alone)
            return
        if seen.rows is None:
            return
        pairs = [(number, int(seen.rows[row])) for number, row in tracker.paired if number in alone]
        heights_m = self._cameras[frame.source].statures(frame) if self.stature or self.gait else np.zeros(0)
        if self.stature:
            for number in sorted({*_meeting(tracker)} - tracker.distinct() | {*tracker.untangled}):
                self.stature.end(number, by_looks=False)
            for number, box in pairs:
                self.stature.see(number, float(heights_m[box]))
        pairs = [(number, box) for number, box in pairs if frame.boxes[box, 3] >= LEAST_HEIGHT_PX]
        if self.looks and (vectors := frame.descriptors.get(self.looks.model.label)) is not None:
            for number, box in pairs if len(vectors) == len(frame.boxes) else ():
                self.looks.see(number, frame.source, vectors[box], frame.t_ns)
        if self.gait and (profiles := frame.descriptors.get(PROFILE)) is not None and profiles.ndim == 2:
            for number, box in pairs:
                place = tracker.mean[alone[number], :2].copy()
                self.gait.look(number, frame.source, profiles[box], float(heights_m[box]), place, frame.t_ns)

    def _sense(self, gait: GaitEvidence, frame: RadarFrame, tracker: Tracker, alone: dict[int, int]) -> None:
        pose = self._poses[frame.source]
        where = radar_to_site(pose, frame.points[:, :3].astype(np.float64))
        points = np.column_stack((where, frame.points[:, 3:])).astype(np.float32)
        origin = np.asarray(pose.position_m[:2], np.float64)
        for number, _ in tracker.paired:
            if number in alone:
                place = tracker.mean[alone[number], :2].copy()
                near = np.hypot(*(where[:, :2] - place).T) < NEAR_M
                gait.sense(number, frame.source, points[near], origin, place, frame.t_ns)

    def ask(self, number: int, others: Iterable[int], by_looks: bool) -> None:
        """Continuity has weighed whether a body, just found, is one of `others`: by their looks, if it has any."""
        if self.stature:
            self.stature.end(number, by_looks)
        if self.looks:
            self.looks.ask(number, list(others))

    def alike(self, number: int, other: int) -> float | None:
        """Nats by which two bodies look like one person, by a model that was learnt; None where there is none, or too
        little was seen of either."""
        return self.looks.alike(number, other) if self.looks else None

    def part(self, number: int, heir: int = 0) -> None:
        """A body has gone for good, or is `heir`."""
        for witness in self._witnesses:
            witness.part(number, heir)

    def weigh(self, t_ns: int, identities: Identities) -> None:
        """Let every witness that has something new change what is believed."""
        numbers = [n for n, is_live in zip(identities.numbers, identities.live, strict=True) if is_live]
        for witness in self._witnesses:
            news = witness.nats(t_ns, numbers)
            if not news:
                continue
            nats = np.zeros((len(identities.names), len(identities.numbers) - 1))
            for number, change in news.items():
                nats[:, identities.column(number) - 1] = change
            for who in np.flatnonzero(nats.any(axis=1)).tolist():
                identities.weigh(who, nats[who])

    def settle(self, t_ns: int, answer: Answer, tracker: Tracker) -> None:
        """Who is who now: whose portraits these are. What was a false alarm leaves none."""
        for witness in self._witnesses:
            witness.keep(tracker.number.tolist(), answer.bodies + answer.lost)
            witness.settle(t_ns, answer.bodies, answer.believed)

    def state(self) -> dict[str, Any]:
        return {
            "looks": self.looks.state() if self.looks else None,
            "gait": self.gait.state() if self.gait else None,
            "stature": self.stature.state() if self.stature else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        if self.looks and state["looks"]:
            self.looks.load(state["looks"])
        if self.gait and state["gait"]:
            self.gait.load(state["gait"])
        if self.stature and state["stature"]:
            self.stature.load(state["stature"])


def _alone(tracker: Tracker) -> dict[int, int]:
    """The numbers of the bodies with nobody near, and their rows."""
    rows = np.flatnonzero(tracker.alone(np.arange(len(tracker.number))))
    return {int(tracker.number[row]): int(row) for row in rows}


def _meeting(tracker: Tracker) -> list[int]:
    """The numbers of the bodies, of those that are believed, that are very near another."""
    places, numbers = tracker.mean[tracker.confirmed, :2], tracker.number[tracker.confirmed]
    gaps = np.linalg.norm(places[:, None] - places[None, :], axis=2)
    return numbers[(gaps < MEETING_M).sum(axis=1) > 1].tolist()
