"""Assignment kept up from step to step against cold solves by scipy and lapx, on the same matrices in the same run.

Times are this thread's processor time (as in the baselines): other processes enter only through caches and clock.
Ours is measured in numpy, and, where numba is installed, with compiled loops as well.
"""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from time import thread_time_ns
from typing import Any

import lap
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from whowhere.fusion.assignment import IncrementalAssignment
from whowhere.fusion.augmentation import Loops

Floats = NDArray[np.float64]
Stepper = Callable[[Floats], float]
Change = Callable[[Floats, NDArray[np.intp], Floats, int], Floats]

SNIFFERS, FRAMES, SIDE_M, SPEED_MPS = 5, 200, 20.0, 1.2
RANGE_SIGMA, CAMERA_SIGMA_M = 0.307, 0.2  # 4 dB at an exponent of 3, as a log-normal range error
REPEATS = {10: 15, 50: 9, 100: 7, 200: 5}
CHANGES = 100


def streamed(n: int, seed: int) -> Floats:
    """(FRAMES, n, n) the per-frame costs D of random-waypoint walkers: ranges by radio against ranges by camera."""
    random = np.random.default_rng(seed)
    sniffers = random.uniform(0, SIDE_M, (SNIFFERS, 2))
    at, goal = random.uniform(0, SIDE_M, (n, 2)), random.uniform(0, SIDE_M, (n, 2))
    deltas = np.empty((FRAMES, n, n))
    for frame in range(FRAMES):
        way = goal - at
        left = np.linalg.norm(way, axis=1, keepdims=True)
        at = at + way * np.minimum(1.0, SPEED_MPS / np.maximum(left, 1e-9))
        arrived = left[:, 0] <= SPEED_MPS
        goal[arrived] = random.uniform(0, SIDE_M, (int(arrived.sum()), 2))
        heard = cdist(at, sniffers) * np.exp(random.normal(0, RANGE_SIGMA, (n, SNIFFERS)))
        deltas[frame] = cdist(heard, cdist(at + random.normal(0, CAMERA_SIGMA_M, (n, 2)), sniffers))
    return deltas


def variants() -> dict[str, Loops]:
    """Name -> loops of ours; the compiled ones warm, since compiling is paid once."""
    made = {"": Loops()}
    if find_spec("numba"):
        made[", compiled"] = loops = import_module("whowhere.fusion.compiled").Loops()
        assignment, cost = IncrementalAssignment(loops), streamed(20, seed=0)
        assignment.solve(range(20), range(20), cost[0], np.inf)
        for delta in cost:
            assignment.add(delta)
            assignment.replace([0], delta[:1])
    return made


def ours(n: int, loops: Loops) -> Stepper:
    assignment = IncrementalAssignment(loops)
    keys = list(range(n))
    assignment.solve(keys, keys, np.zeros((n, n)), np.inf)
    return lambda delta: assignment.add(delta).total


def cold_scipy(n: int) -> Stepper:
    cost = np.zeros((n, n))

    def step(delta: Floats) -> float:
        np.add(cost, delta, out=cost)
        rows, columns = linear_sum_assignment(cost)
        return float(cost[rows, columns].sum())

    return step


def cold_lapx(n: int) -> Stepper:
    cost = np.zeros((n, n))

    def step(delta: Floats) -> float:
        np.add(cost, delta, out=cost)
        return float(lap.lapjv(cost)[0])

    return step


def timed(stepper: Stepper, deltas: Floats) -> tuple[float, list[float]]:
    """(microseconds a step, the totals)."""
    start = thread_time_ns()
    totals = [stepper(delta) for delta in deltas]
    return (thread_time_ns() - start) / 1e3 / len(deltas), totals


def stream_rows(n: int, variant: str, loops: Loops) -> list[dict[str, Any]]:
    peers = {"ours": lambda n: ours(n, loops), "scipy": cold_scipy, "lapx": cold_lapx}
    taken: dict[str, list[float]] = {name: [] for name in peers}
    for repeat in range(REPEATS[n]):
        deltas = streamed(n, seed=repeat)
        totals = {}
        for name, start in peers.items():
            us, totals[name] = timed(start(n), deltas)
            taken[name].append(us)
        for name in ("scipy", "lapx"):
            np.testing.assert_allclose(totals["ours"], totals[name], rtol=1e-9)
    us = {name: median(values) for name, values in taken.items()}
    return [row(f"stream K{SNIFFERS} n{n}{variant}", us, peer) for peer in ("scipy", "lapx")]


def row(case: str, us: dict[str, float], peer: str) -> dict[str, Any]:
    return {
        "case": case,
        "ours": round(us["ours"], 2),
        "peer": round(us[peer], 2),
        "peer_name": peer,
        "unit": "us/step",
        "ratio": round(us[peer] / us["ours"], 2),
    }


def newcomer(cost: Floats, at: NDArray[np.intp], deltas: Floats, step: int) -> Floats:
    """Those rows start again from nothing: one frame of another stream."""
    return deltas[step, at]


def heard(cost: Floats, at: NDArray[np.intp], deltas: Floats, step: int) -> Floats:
    """Those rows' sums go on: only these phones were heard."""
    return cost[at] + deltas[step, at]


def changed_rows(n: int, changed: int, change: Change, variant: str, loops: Loops) -> list[dict[str, Any]]:
    """A settled matrix (the stream's sum over 20 frames), `changed` rows of which get new costs at each step."""
    random = np.random.default_rng(changed)
    cost, deltas = streamed(n, seed=77)[:20].sum(axis=0), streamed(n, seed=78)
    if change is heard:
        deltas = streamed(n, seed=77)[20:]
    keys = list(range(n))
    assignment = IncrementalAssignment(loops)
    assignment.solve(keys, keys, cost, np.inf)
    taken: dict[str, list[float]] = {"ours": [], "scipy": [], "lapx": []}
    for step in range(CHANGES):
        at = random.choice(n, changed, replace=False)
        cost[at] = new = change(cost, at, deltas, step)
        clock = thread_time_ns()
        total = assignment.replace(at, new).total
        lapse = thread_time_ns()
        rows, columns = linear_sum_assignment(cost)
        expected = float(cost[rows, columns].sum())
        after = thread_time_ns()
        other = float(lap.lapjv(cost)[0])
        end = thread_time_ns()
        for name, ns in (("ours", lapse - clock), ("scipy", after - lapse), ("lapx", end - after)):
            taken[name].append(ns / 1e3)
        np.testing.assert_allclose([total, total], [expected, other], rtol=1e-9)
    us = {name: float(np.mean(values)) for name, values in taken.items()}
    return [row(f"{changed} of {n} rows {change.__name__}{variant}", us, peer) for peer in ("scipy", "lapx")]


def run() -> list[dict[str, Any]]:
    """The table; a ratio above 1 says how many times faster ours is than that peer."""
    rows = []
    for variant in variants().items():
        rows += [line for n in REPEATS for line in stream_rows(n, *variant)]
        for changed in (1, 2, 3):
            rows += [line for change in (heard, newcomer) for line in changed_rows(200, changed, change, *variant)]
    return rows


if __name__ == "__main__":
    for line in run():
        sys.stdout.write(json.dumps(line) + "\n")
