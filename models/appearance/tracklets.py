"""Tracklets, trajectories of phones, and the fragments of these that pass a camera: what UMTF learns from.

Source: UMTF (Liu, Zhou, Xie, Li, arXiv 2110.15610), with the choices of its specification: runs of one camera that are
split by less than 5 s are one fragment, and any overlap in time makes a tracklet a fragment's. Nothing here knows who
anybody is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

RADIUS_M = 40.0  # within which a phone may be whom a camera sees, outdoors; indoors 8 to 10
MERGED_S = 5.0
LEAST_S = 10.0


class Tracklets(NamedTuple):
    """N sequences of one person each: camera (N,), start_s and end_s (N,) on one clock, and where they were: paths
    (n,3) of t_s, x, y in m each, none where only the cameras' places are known."""

    camera: I64
    start_s: F64
    end_s: F64
    paths: tuple[F64, ...] = ()

    def overlapping(self) -> NDArray[np.bool_]:
        """(N,N): seen by one camera at one time, so they are two people. False on the diagonal."""
        together = (self.start_s[:, None] < self.end_s) & (self.start_s < self.end_s[:, None])
        return together & (self.camera[:, None] == self.camera) & ~np.eye(len(self.camera), dtype=bool)


class Trajectory(NamedTuple):
    """Where a phone says it was: t_s (n,) rising, place_m (n,2), standard deviation of its error sd_m per axis."""

    phone: str
    t_s: F64
    place_m: F64
    sd_m: float = 6.0


class Fragment(NamedTuple):
    """One passage of trajectory number `phone` by a camera, from start_s to end_s."""

    phone: int
    camera: int
    start_s: float
    end_s: float


def fragments(
    trajectories: Sequence[Trajectory], camera_m: F64, radius_m: float = RADIUS_M, least_s: float = LEAST_S
) -> list[Fragment]:
    """The fragments of all trajectories at cameras placed at camera_m (C,2); those shorter than least_s are a phone's
    error at the rim (0: the paper's definition, which keeps them)."""
    found = []
    for phone, walk in enumerate(trajectories):
        near = np.linalg.norm(walk.place_m[:, None] - camera_m, axis=2) <= radius_m
        for camera in range(len(camera_m)):
            rows = np.flatnonzero(near[:, camera])
            runs = np.split(rows, np.flatnonzero((np.diff(rows) > 1) & (np.diff(walk.t_s[rows]) >= MERGED_S)) + 1)
            spans = [(float(walk.t_s[run[0]]), float(walk.t_s[run[-1]])) for run in runs if len(run)]
            found += [Fragment(phone, camera, *span) for span in spans if span[1] - span[0] >= least_s]
    return found


def candidates(passages: Sequence[Fragment], tracklets: Tracklets) -> list[I64]:
    """V_m^r: for each fragment the tracklets of its camera that overlap it in time."""
    return [
        np.flatnonzero(
            (tracklets.camera == each.camera) & (tracklets.start_s < each.end_s) & (tracklets.end_s > each.start_s)
        )
        for each in passages
    ]


def off_m2(tracklet: F64, walk: Trajectory) -> tuple[float, int]:
    """Mean squared distance between a tracklet's path (n,3) and a trajectory in the seconds that both have, and how
    many those are; none: (0, 0)."""
    inside = (tracklet[:, 0] >= walk.t_s[0] - 1.0) & (tracklet[:, 0] <= walk.t_s[-1] + 1.0)
    if not inside.any():
        return 0.0, 0
    t_s = tracklet[inside, 0]
    place = np.column_stack([np.interp(t_s, walk.t_s, walk.place_m[:, k]) for k in (0, 1)])
    return float(((tracklet[inside, 1:] - place) ** 2).sum(axis=1).mean()), len(np.unique(np.floor(t_s)))
