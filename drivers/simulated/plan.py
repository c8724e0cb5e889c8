"""The floor plan as walkers and waves meet it: walls, doors, ways around corners.

Pure geometry on the site file's area. It knows nobody: who walks where is `world`'s business.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra

from ...sitefile import Area

Floats = NDArray[np.float64]

WALL_CLEARANCE_M = 0.35  # how near to a wall a walker's centre may come
DOOR_MIN_M = 0.6  # a narrower gap in the outer wall is not a door
PROBE_M = 0.1  # spacing of the probes along the outer wall
MOST_TRIES = 100  # to find room between walls
STEP_OUTSIDE_M = 1.0  # how far before the door somebody has really left


class FloorPlan:
    """Walls (W,4) as x1 y1 x2 y2 in m, the doors in the outer wall, and a roadmap of ways between visible points."""

    def __init__(self, area: Area) -> None:
        self.low = np.array([area.x_m[0], area.y_m[0]])
        self.high = np.array([area.x_m[1], area.y_m[1]])
        self.walls = np.asarray(area.walls, float).reshape(-1, 4)
        self.doors = self._find_doors()
        self._grid = self._grid_points()
        clear = self.are_clear(np.repeat(self._grid, len(self._grid), 0), np.tile(self._grid, (len(self._grid), 1)))
        distance = np.linalg.norm(self._grid[:, None] - self._grid[None], axis=2)
        self._roads = np.where(clear.reshape(distance.shape), distance, 0.0)

    def contains(self, points: Floats) -> NDArray[np.bool_]:
        """Which of the points (N,2) lie inside the area."""
        inside = (points >= self.low) & (points <= self.high)
        return inside[:, 0] & inside[:, 1]

    def count_walls(self, start: Floats, end: Floats) -> NDArray[np.int64]:
        """How many walls each segment start (N,2) to end (N,2) crosses."""
        if not len(self.walls):
            return np.zeros(len(start), np.int64)
        a, b = self.walls[None, :, :2], self.walls[None, :, 2:]
        p, q = start[:, None], end[:, None]
        apart = (_side(p, q, a) * _side(p, q, b) < 0) & (_side(a, b, p) * _side(a, b, q) < 0)
        return apart.sum(axis=1)

    def are_clear(self, start: Floats, end: Floats) -> NDArray[np.bool_]:
        """Which segments (N,2) to (N,2) somebody can walk along without coming too near to a wall."""
        along = end - start
        length = np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
        aside = np.column_stack((-along[:, 1], along[:, 0])) / length * WALL_CLEARANCE_M * 0.9
        crossed = [self.count_walls(start + shift, end + shift) for shift in (-aside, np.zeros(2), aside)]
        return np.sum(crossed, axis=0) == 0

    def route(self, start: Floats, end: Floats) -> list[Floats]:
        """Corner points from start (2,) to end (2,), the end included; straight where the plan knows no way."""
        if self.are_clear(start[None], end[None])[0] or not len(self._grid):
            return [end]
        reach = self._within_reach(start)
        finish = self.are_clear(self._grid, np.repeat(end[None], len(self._grid), 0))
        if not reach.any() or not finish.any():
            return [end]
        first = np.flatnonzero(reach)
        cost, before, _ = dijkstra(self._roads, indices=first, return_predecessors=True, min_only=True)
        total = cost + np.linalg.norm(self._grid - end, axis=1)
        total[~finish] = np.inf
        last = int(total.argmin())
        way = [end]
        if not np.isfinite(total[last]):
            return way
        while last >= 0:  # dijkstra marks the first crossing with a negative number
            way.insert(0, self._grid[last])
            last = int(before[last])
        return way

    def _within_reach(self, start: Floats) -> NDArray[np.bool_]:
        """The crossroads that somebody at `start` (2,) can walk to; who touches a wall first steps back from it, to the
        nearest on their side."""
        starts = np.repeat(start[None], len(self._grid), 0)
        reach = self.are_clear(starts, self._grid)
        if not reach.any():
            apart_m = np.hypot(*(self._grid - start).T)
            apart_m[self.count_walls(starts, self._grid) > 0] = np.inf
            reach[apart_m.argmin()] = np.isfinite(apart_m.min())
        return reach

    def random_spot(self, rng: np.random.Generator) -> Floats:
        """A place inside where somebody can stand."""
        room = self.low + 2 * WALL_CLEARANCE_M, self.high - 2 * WALL_CLEARANCE_M
        spot = rng.uniform(*room)
        for _ in range(MOST_TRIES):
            if self.wall_distance_m(spot) >= WALL_CLEARANCE_M:
                break
            spot = rng.uniform(*room)
        return spot

    def wall_distance_m(self, point: Floats) -> float:
        """From a point (2,) to the nearest wall."""
        if not len(self.walls):
            return np.inf
        start, along = self.walls[:, :2], self.walls[:, 2:] - self.walls[:, :2]
        share = ((point - start) * along).sum(axis=1) / np.maximum((along * along).sum(axis=1), 1e-12)
        nearest = start + np.clip(share, 0, 1)[:, None] * along
        return float(np.hypot(*(point - nearest).T).min())

    def keep_inside(self, points: Floats) -> Floats:
        return np.clip(points, self.low + WALL_CLEARANCE_M, self.high - WALL_CLEARANCE_M)

    def _find_doors(self) -> list[tuple[Floats, Floats]]:
        """(inside, outside) points of each gap in the outer wall; of the whole left side where there are no walls."""
        doors = []
        corners = [self.low, np.array([self.high[0], self.low[1]]), self.high, np.array([self.low[0], self.high[1]])]
        for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
            length = float(np.linalg.norm(end - start))
            along = (end - start) / length
            outward = np.array([along[1], -along[0]])
            probes = start + along * np.arange(PROBE_M / 2, length, PROBE_M)[:, None]
            is_open = self.count_walls(probes - outward * PROBE_M, probes + outward * PROBE_M) == 0
            for first, last in _runs(is_open):
                if (last - first) * PROBE_M >= DOOR_MIN_M:
                    middle = (probes[first] + probes[last - 1]) / 2
                    doors.append((middle - outward * 2 * WALL_CLEARANCE_M, middle + outward * STEP_OUTSIDE_M))
        middle = np.array([self.low[0], (self.low[1] + self.high[1]) / 2])
        return doors or [(middle + np.array([2 * WALL_CLEARANCE_M, 0.0]), middle - np.array([STEP_OUTSIDE_M, 0.0]))]

    def _grid_points(self) -> Floats:
        """Crossroads about a metre apart, coarser in large areas; none where there are no walls to walk around."""
        spacing = max(1.0, float((self.high - self.low).max()) / 16)
        x = np.arange(self.low[0] + 0.5, self.high[0], spacing)
        y = np.arange(self.low[1] + 0.5, self.high[1], spacing)
        return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) if len(self.walls) else np.zeros((0, 2))


def _side(a: Floats, b: Floats, point: Floats) -> Floats:
    """Positive where the point lies left of the line a to b, negative right of it."""
    return (b[..., 0] - a[..., 0]) * (point[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (point[..., 0] - a[..., 0])


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[first, last) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
