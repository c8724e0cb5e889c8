"""Made-up days of people who walk between cameras, some with phones: tracklets, trajectories, looks (generator G4).

Places 50 m apart around a block; three cameras look at the first from three sides, one each at the others. People
walk around it past the cameras' views, and leave now and then; a view cuts a tracklet, and people hide each other. A
phone's positions are wrong by 5 to 8 m, slowly. Looks as numbers ("feature mode": identity, tint of the camera, pose,
other people mixed in, other clothes for some) come from here, looks as pictures from `sprites.py`. All from one seed.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .tracklets import F64, I64, Tracklets, Trajectory

PLACE_M = np.array([[35.0, 0.0], [0.0, 40.0], [-38.0, 0.0], [0.0, -36.0]])  # where people pass, a ring around a block
CAMERA_AT = np.array([0, 0, 0, 1, 2, 3])  # the place of each camera
ASIDE_M = np.array([[4.0, 0.0], [-3.0, 3.0], [0.0, -4.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
AWAY_M = 3.2 * PLACE_M  # where nobody is seen, outward of each place
VIEW_M = 14.0  # from the middle of what a camera sees
SPEED_M_S = (1.0, 1.4)
LEAVES, AWAY_S = 0.5, (200.0, 1200.0)  # share of passages after which somebody leaves, and for how long
HIDDEN, HIDDEN_S = 0.25, 2.0  # share of passages that somebody in front cuts in two, and for how long
OVERLOOKED = 0.05
LEAST_S = 2.0
ERROR_M, MEMORY = (5.0, 8.0), 0.8  # of a phone's positions, once a second
OTHER_CLOTHES = 0.1  # share of people who change once
MIXED, MIXED_BY = 0.15, 0.3  # tracklets with somebody else in them


class Day(NamedTuple):
    """Tracklets with whose they are, person (N,) and whether in the second clothes, changed (N,); the trajectories and
    owners (M,) of the phones; camera_m (C,2). People are 0 to people - 1."""

    tracklets: Tracklets
    person: I64
    changed: I64
    trajectories: tuple[Trajectory, ...]
    owner: I64
    camera_m: F64
    people: int


@dataclass(frozen=True, slots=True)
class Looks:
    """How hard feature mode is: deviations of the camera's tint and of the pose, against identities of length 1."""

    size: int = 256
    tint: float = 0.5
    pose: float = 1.4


def make_day(seed: int, people: int = 80, phones: int = 64, minutes: float = 45.0) -> Day:
    """A day's tracklets and trajectories: `phones` of the people carry one."""
    rng = np.random.default_rng([seed, 5])
    camera_m = PLACE_M[CAMERA_AT] + ASIDE_M
    walks = [_walk(rng, minutes * 60) for _ in range(people)]
    change_s = np.where(rng.random(people) < OTHER_CLOTHES, rng.uniform(0.3, 0.7, people) * minutes * 60, np.inf)
    rows = sorted(
        (t0, t1, camera, who, path)
        for who, walk in enumerate(walks)
        for camera in range(len(camera_m))
        for t0, t1, path in _seen(walk, camera_m[camera], rng)
    )
    owner = np.sort(rng.permutation(people)[:phones])
    trajectories = tuple(_phone(f"phone-{k}", walks[who], rng) for k, who in enumerate(owner.tolist()))
    start, end = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    person = np.array([row[3] for row in rows], np.int64)
    tracklets = Tracklets(
        np.array([row[2] for row in rows], np.int64), start, end, tuple(np.array(row[4]) for row in rows)
    )
    return Day(tracklets, person, (start > change_s[person]).astype(np.int64), trajectories, owner, camera_m, people)


def features_of(day: Day, seed: int, looks: Looks = Looks()) -> F64:
    """(N,D) of length 1: identity + tint of the camera + pose, somebody else mixed in here and there."""
    rng = np.random.default_rng([seed, 6])
    scale = 1 / np.sqrt(looks.size)
    identity = rng.normal(0, scale, (2, day.people, looks.size))
    identity[1] = 0.5 * identity[0] + np.sqrt(0.75) * identity[1]  # other clothes, the same body
    tint = rng.normal(0, scale * looks.tint, (len(day.camera_m), looks.size))
    seen = identity[day.changed, day.person]
    mixed = rng.random(len(seen)) < MIXED
    other = identity[0, rng.integers(0, day.people, len(seen))]
    seen = np.where(mixed[:, None], (1 - MIXED_BY) * seen + MIXED_BY * other, seen)
    seen = seen + tint[day.tracklets.camera] + rng.normal(0, scale * looks.pose, seen.shape)
    return seen / np.linalg.norm(seen, axis=1, keepdims=True)


def owned_truly(day: Day) -> list[I64]:
    """The tracklets of each phone's owner."""
    return [np.flatnonzero(day.person == who) for who in day.owner]


def _walk(rng: np.random.Generator, seconds: float) -> F64:
    """(n,3) of t_s, x, y twice a second: past one place after the other, away and back now and then."""
    place, is_away = int(rng.integers(len(PLACE_M))), True
    t_s, here = -rng.uniform(0, 200), AWAY_M[place]
    corners = [(t_s, *here)]
    while t_s < seconds:
        leaves = not is_away and rng.random() < LEAVES
        if leaves:
            goal = AWAY_M[place] + rng.normal(0, 10, 2)
        else:
            place = place if is_away else (place + int(rng.choice([1, -1]))) % len(PLACE_M)
            goal = PLACE_M[place] + rng.normal(0, 4.0, 2)
        is_away = leaves
        t_s += float(np.linalg.norm(goal - here)) / rng.uniform(*SPEED_M_S)
        corners.append((t_s, *goal))
        if leaves:
            t_s += rng.uniform(*AWAY_S)
            corners.append((t_s, *goal))
        here = goal
    corner = np.array(corners)
    at = np.arange(0.0, seconds, 0.5)
    return np.column_stack([at, np.interp(at, corner[:, 0], corner[:, 1]), np.interp(at, corner[:, 0], corner[:, 2])])


def _seen(walk: F64, camera_m: F64, rng: np.random.Generator) -> list[tuple[float, float, list[list[float]]]]:
    """The tracklets of one person at one camera: from, to, path."""
    rows = np.flatnonzero(np.linalg.norm(walk[:, 1:] - camera_m, axis=1) <= VIEW_M)
    done = []
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        if not len(run) or rng.random() < OVERLOOKED:
            continue
        parts = [walk[run]]
        if rng.random() < HIDDEN:
            cut_s = rng.uniform(walk[run[0], 0], walk[run[-1], 0])
            parts = [walk[run[walk[run, 0] < cut_s]], walk[run[walk[run, 0] > cut_s + HIDDEN_S]]]
        done += [(float(p[0, 0]), float(p[-1, 0]), p.tolist()) for p in parts if len(p) and np.ptp(p[:, 0]) >= LEAST_S]
    return done


def _phone(name: str, walk: F64, rng: np.random.Generator) -> Trajectory:
    """What a phone on this walk says once a second."""
    each = walk[::2]
    sd_m = rng.uniform(*ERROR_M)
    error = rng.normal(0, sd_m, (len(each), 2))
    for row in range(1, len(each)):
        error[row] = MEMORY * error[row - 1] + np.sqrt(1 - MEMORY**2) * error[row]
    return Trajectory(name, each[:, 0], each[:, 1:] + error, sd_m)
