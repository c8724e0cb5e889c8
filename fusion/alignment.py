"""Where a camera stands relative to a radar, from people that both saw walking: the maths of `whowhere calibrate`.

The radar's bodies are followed by the tracker itself; a camera pose is good when their feet and heads, drawn into the
images, fall on the detector's boxes. Who is whose box is not known: pairs and pose are found in turn, from many starts,
with a loss that shrugs at half-found people. It reads no files, and it trusts the radar's own pose.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ..messages import CameraFrame, RadarFrame
from ..sitefile import Area, Detector, Pinhole, Pose, Radar
from .association import match
from .detections import FOOT_SD, PERSON_HEIGHT_M, PERSON_HEIGHT_SD_M, SIDE_SD
from .geometry import Floats, floor_map, project
from .radar_view import RadarView
from .tracks import Tracker

PARAMETERS = ("x_m", "y_m", "height_m", "yaw_deg", "tilt_deg", "roll_deg", "offset_s")
# How far the truth may lie from the guess in the site file; one standard deviation.
PRIOR_SD = np.array([0.3, 0.3, 0.5, 30.0, 15.0, 3.0, 0.15])
YAW_STARTS_DEG, TILT_STARTS_DEG, HEIGHT_STARTS_M = (-60, -40, -20, 0, 20, 40, 60), (-12, 0, 12), (-0.5, 0.0, 0.5)
REFINED_STARTS = 6
ROUNDS = 12  # of pairing and fitting; they settle after three to six
HEAD_SHARE = 0.05  # of the box height above the head, as in detections
SIDEWAYS_SD_M = 0.12  # between a radar's centre of a body and the middle of its box
PAIR_COST = 12.0  # a box costlier than this (sum of log(1 + r2) over three residuals) shows nobody the radar follows
STALE_NS = 250_000_000  # a body the radar has not seen for longer is nowhere
BLOCKS = 4  # of time, left out in turn to see how far the answer moves
SECOND_NS = 1_000_000_000


class Walk(msgspec.Struct, frozen=True):
    """One body as the radar followed it: t_ns (N,), position (N,2) m and velocity (N,2) m/s in the site frame."""

    t_ns: NDArray[np.int64]
    position: Floats
    velocity: Floats


class Pairs(msgspec.Struct, frozen=True):
    """Boxes (N,4) px with the body each shows: position (N,2) and velocity (N,2) at the box's t_ns (N,)."""

    t_ns: NDArray[np.int64]
    boxes: Floats
    position: Floats
    velocity: Floats

    def __len__(self) -> int:
        return len(self.boxes)

    def part(self, rows: NDArray[np.bool_]) -> "Pairs":
        return Pairs(self.t_ns[rows], self.boxes[rows], self.position[rows], self.velocity[rows])


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """A camera's pose in the site. offset_s: radar time minus camera time of the same instant.

    sd: how far each of PARAMETERS moves when quarters of the time are left out (jackknife). pairs: boxes with a body;
    boxes: of all that fell into the radar's time. residual_m (pairs,): foot point on the floor to the radar's body;
    sideways_m: its part across the camera's view, which does not depend on whether a box reaches down to the feet;
    held_out_m: the same for the half of the time not fitted to, halves swapped. cost: mean over the boxes.
    """

    camera: Pinhole
    offset_s: float
    sd: dict[str, float]
    pairs: int
    boxes: int
    residual_m: Floats
    sideways_m: Floats
    held_out_m: Floats
    cost: float


def walks(frames: Iterable[RadarFrame], radar: Radar, area: Area) -> list[Walk]:
    """The bodies that one radar alone follows through its frames (in the order of time)."""
    view, tracker = RadarView(radar, area), Tracker()
    rows: dict[int, list[tuple[int, Floats]]] = {}
    for frame in frames:
        tracker.update(view.detections(frame, tracker.expected(frame.source, frame.t_ns)))
        for row in np.flatnonzero(tracker.confirmed & (tracker.seen_ns == frame.t_ns)):
            rows.setdefault(int(tracker.number[row]), []).append((frame.t_ns, tracker.mean[row].copy()))
    found = []
    for seen in rows.values():
        mean = np.array([state for _, state in seen])
        found.append(Walk(np.array([t_ns for t_ns, _ in seen], np.int64), mean[:, :2], mean[:, 2:]))
    return found


def align(bodies: Sequence[Walk], frames: Sequence[CameraFrame], guess: Pinhole, detector: Detector) -> Alignment:
    """The pose of the camera whose lens `guess` has; its pose is where the search begins.

    Raises ValueError where radar and camera saw too little together."""
    fit = _Fit(bodies, frames, guess, detector)
    starts = sorted((fit.cost(start), tuple(start)) for start in fit.starts())
    solved = [fit.solve(np.array(start)) for _, start in starts[:REFINED_STARTS]]
    best = min(solved, key=fit.cost)
    pairs = fit.pairs(best)
    if len(pairs) < 20:
        raise ValueError(
            f"radar and camera share {len(pairs)} sightings of people, at least 20 are needed: walk about where both "
            "see you, for half a minute"
        )
    offsets = fit.offsets_m(best, pairs)
    return Alignment(
        camera=fit.camera(best),
        offset_s=float(best[6]),
        sd=dict(zip(PARAMETERS, fit.jackknife(best, pairs).tolist(), strict=True)),
        pairs=len(pairs),
        boxes=fit.count,
        residual_m=np.linalg.norm(offsets, axis=1),
        sideways_m=np.abs(offsets[:, 0]),
        held_out_m=fit.held_out_m(best, pairs),
        cost=fit.cost(best),
    )


class _Fit:
    """One recording and one lens; a solution is the vector of PARAMETERS."""

    def __init__(
        self, bodies: Sequence[Walk], frames: Sequence[CameraFrame], guess: Pinhole, detector: Detector
    ) -> None:
        self._guess, self._margin = guess, detector.foot_margin
        pose = guess.pose
        self._prior = np.array([*pose.position_m, pose.yaw_deg, pose.tilt_deg, pose.roll_deg, 0.0])
        moments = [(f.t_ns, f.boxes.astype(np.float64), *_where(bodies, f.t_ns)) for f in frames if len(f.boxes)]
        self._moments = [moment for moment in moments if len(moment[2])]
        self.count = sum(len(boxes) for _, boxes, _, _ in self._moments)
        self._every = _every_pair(self._moments)

    def starts(self) -> list[Floats]:
        yaws, tilts, heights = np.meshgrid(YAW_STARTS_DEG, TILT_STARTS_DEG, HEIGHT_STARTS_M)
        shifts = np.zeros((yaws.size, len(PARAMETERS)))
        shifts[:, 3], shifts[:, 4], shifts[:, 2] = yaws.ravel(), tilts.ravel(), heights.ravel()
        return list(self._prior + shifts)

    def camera(self, solution: Floats) -> Pinhole:
        x, y, height, yaw, tilt, roll, _ = (float(value) for value in solution)
        return replace(self._guess, pose=Pose(position_m=(x, y, height), yaw_deg=yaw, tilt_deg=tilt, roll_deg=roll))

    def solve(self, solution: Floats) -> Floats:
        """Pair and fit in turn until the pose stays."""
        for _ in range(ROUNDS):
            before, solution = solution, self.fitted(solution, self.pairs(solution))
            if np.allclose(before, solution, atol=1e-3):
                break
        return solution

    def fitted(self, solution: Floats, pairs: Pairs) -> Floats:
        """The pose for given pairs, near `solution`."""

        def off(scaled: Floats) -> Floats:
            here = self._prior + scaled * PRIOR_SD
            return np.append(self._residuals(here, pairs).ravel(), scaled)

        if not len(pairs):
            return solution
        fitted = least_squares(
            off, (solution - self._prior) / PRIOR_SD, loss=cast(Any, _shrug), x_scale=0.1, max_nfev=30
        )
        return self._prior + fitted.x * PRIOR_SD

    def cost(self, solution: Floats) -> float:
        """Mean over all boxes, where one without a body costs PAIR_COST; the prior as least_squares counts it."""
        total = 0.0
        for costs in self._costs(solution):
            rows, columns = match(costs, PAIR_COST)
            total += PAIR_COST * (len(costs) - len(rows)) + float(costs[rows, columns].sum())
        prior = float((((solution - self._prior) / PRIOR_SD) ** 2).sum())
        return (total + prior) / max(self.count, 1)

    def pairs(self, solution: Floats) -> Pairs:
        """The boxes that show a body, one to one in each image."""
        found = []
        for (t_ns, boxes, position, velocity), costs in zip(self._moments, self._costs(solution), strict=True):
            rows, columns = match(costs, PAIR_COST)
            found.extend((t_ns, *boxes[r], *position[c], *velocity[c]) for r, c in zip(rows, columns, strict=True))
        table = np.array([row[1:] for row in found], np.float64).reshape(-1, 8)
        return Pairs(np.array([row[0] for row in found], np.int64), table[:, :4], table[:, 4:6], table[:, 6:])

    def offsets_m(self, solution: Floats, pairs: Pairs) -> Floats:
        """(N,2) from the radar's body to the box's foot point on the floor: across the camera's view, and along it."""
        left, top, width, height = pairs.boxes.T
        feet = np.column_stack((left + width / 2, top + height * (1 - self._margin)))
        body = pairs.position + solution[6] * pairs.velocity
        off = floor_map(self.camera(solution))(feet) - body
        along = (body - solution[:2]) / np.linalg.norm(body - solution[:2], axis=1, keepdims=True)
        return np.column_stack((off[:, 0] * along[:, 1] - off[:, 1] * along[:, 0], (off * along).sum(axis=1)))

    def jackknife(self, solution: Floats, pairs: Pairs) -> Floats:
        """The standard deviations (7,) when blocks of time are left out in turn: sightings a moment apart err alike,
        so the curvature of the fit would promise far too much."""
        block = _block_of(pairs.t_ns, BLOCKS)
        others = np.array([self.fitted(solution, pairs.part(block != b)) for b in range(BLOCKS)])
        return np.sqrt((BLOCKS - 1) / BLOCKS * ((others - others.mean(axis=0)) ** 2).sum(axis=0))

    def held_out_m(self, solution: Floats, pairs: Pairs) -> Floats:
        half = _block_of(pairs.t_ns, 2)
        parts = []
        for fitted_half in (0, 1):
            other = self.fitted(solution, pairs.part(half == fitted_half))
            parts.append(self.offsets_m(other, pairs.part(half != fitted_half)))
        return np.linalg.norm(np.concatenate(parts), axis=1)

    def _costs(self, solution: Floats) -> Iterator[Floats]:
        """(boxes, bodies) for each moment; projected all at once, since there are many moments and many solutions."""
        costs, at = np.log1p(self._residuals(solution, self._every) ** 2).sum(axis=1), 0
        for _, boxes, position, _ in self._moments:
            size = len(boxes) * len(position)
            yield costs[at : at + size].reshape(len(boxes), len(position))
            at += size

    def _residuals(self, solution: Floats, pairs: Pairs) -> Floats:
        """(N,3): across, at the feet and at the head, in standard deviations; large where a body is not in view."""
        camera = self.camera(solution)
        place = pairs.position + solution[6] * pairs.velocity
        feet = project(camera, np.column_stack((place, np.zeros(len(place)))))
        heads = project(camera, np.column_stack((place, np.full(len(place), PERSON_HEIGHT_M))))
        left, top, width, height = pairs.boxes.T
        across = (feet[:, 0] + heads[:, 0]) / 2 - (left + width / 2)
        foot = feet[:, 1] - (top + (1 - self._margin) * height)
        head = heads[:, 1] - (top + HEAD_SHARE * height)
        scatter = height[:, None] * np.array([SIDEWAYS_SD_M / PERSON_HEIGHT_M, FOOT_SD, FOOT_SD])
        scatter[:, 0] = np.hypot(scatter[:, 0], SIDE_SD * width)
        scatter[:, 2] = np.hypot(scatter[:, 2], height * PERSON_HEIGHT_SD_M / PERSON_HEIGHT_M)
        return np.nan_to_num(np.column_stack((across, foot, head)) / scatter, nan=100.0)


def _every_pair(moments: Sequence[tuple[int, Floats, Floats, Floats]]) -> Pairs:
    """Each box with each body of its moment (t_ns, boxes, position, velocity)."""
    times = [np.full(len(boxes) * len(place), t_ns, np.int64) for t_ns, boxes, place, _ in moments]
    boxes = [np.repeat(boxes, len(place), axis=0) for _, boxes, place, _ in moments]
    places = [np.tile(place, (len(boxes), 1)) for _, boxes, place, _ in moments]
    velocities = [np.tile(velocity, (len(boxes), 1)) for _, boxes, _, velocity in moments]
    none = np.zeros((0, 2))
    return Pairs(
        np.concatenate((np.zeros(0, np.int64), *times)),
        np.concatenate((np.zeros((0, 4)), *boxes)),
        np.concatenate((none, *places)),
        np.concatenate((none, *velocities)),
    )


def _shrug(squares: Floats) -> Floats:
    """The loss for least_squares, (3,N): Cauchy's for sightings, the plain square for the prior, which comes last."""
    loss = np.stack((np.log1p(squares), 1 / (1 + squares), -1 / (1 + squares) ** 2))
    prior = slice(-len(PARAMETERS), None)
    loss[0, prior], loss[1, prior], loss[2, prior] = squares[prior], 1.0, 0.0
    return loss


def _where(bodies: Sequence[Walk], t_ns: int) -> tuple[Floats, Floats]:
    """Positions and velocities (N,2) of the bodies that the radar sees at `t_ns`."""
    position, velocity = [], []
    for body in bodies:
        after = int(np.searchsorted(body.t_ns, t_ns))
        nearest = min((max(after - 1, 0), min(after, len(body.t_ns) - 1)), key=lambda row: abs(body.t_ns[row] - t_ns))
        if abs(gap := t_ns - int(body.t_ns[nearest])) <= STALE_NS:
            velocity.append(body.velocity[nearest])
            position.append(body.position[nearest] + gap / SECOND_NS * body.velocity[nearest])
    return np.reshape(position, (-1, 2)), np.reshape(velocity, (-1, 2))


def _block_of(t_ns: NDArray[np.int64], blocks: int) -> NDArray[np.intp]:
    """Which of so many equal stretches of time each instant lies in."""
    share = (t_ns - t_ns.min()) / max(int(t_ns.max() - t_ns.min()), 1)
    return np.minimum((share * blocks).astype(np.intp), blocks - 1)
