"""The seeded world behind simulated sensors: people who walk, stand, meet, leave through the door and come back.

`World(site, epoch_ns)` is a deterministic function of (site, t - epoch): it advances in fixed steps of 50 ms whatever
the instants it is asked about, so a simulator that restarts catches up to the same people. What sensors make of them
is not here: `optics`, `echoes` and `radio` hold that physics, and they are functions of a `Crowd` and a frame number.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ...sitefile import Site
from .cast import Body, draw_bodies, draw_phones, settings
from .plan import Floats, FloorPlan

STEP_NS = 50_000_000
STEP_S = STEP_NS / 1e9
REMEMBERED_STEPS = 200  # how far back (10 s) people_at may be asked without simulating anew
REACTION_S = 0.35  # time constant of starting, stopping and turning aside
TURN_S = 0.3
ARRIVED_M = 0.25
PERSONAL_SPACE_M = 0.7
PUSH_M_S = 0.9  # how hard two people who touch step apart
STAND_S = (2.0, 9.0)
TALK_S = (4.0, 9.0)
VISIT_S = (40.0, 150.0)
AWAY_S = (8.0, 25.0)
MEET_CHANCE = 0.25
OUT_OF_PATIENCE_S = 25.0  # a walk that takes longer is planned anew
TALKING_DISTANCE_M = 0.9


class Doing(IntEnum):
    AWAY = 0
    WALKING = 1
    STANDING = 2
    MEETING = 3
    LEAVING = 4


@dataclass(frozen=True, slots=True)
class Crowd:
    """Everybody at one instant. position (N,2) m and velocity (N,2) m/s in the site frame; heading (N,) rad from +x,
    counter-clockwise; phase (N,) gait cycles walked; still_s (N,) seconds since the body last walked; present (N,)
    inside the area. People who are out keep a position beyond the door: their phones are still heard."""

    t_ns: int
    position: Floats
    velocity: Floats
    heading: Floats
    phase: Floats
    still_s: Floats
    present: NDArray[np.bool_]


class World:
    """The people of a site's `[simulated]` table. Raises ValueError where asked about a time before `epoch_ns`."""

    def __init__(self, site: Site, epoch_ns: int) -> None:
        self.site = site
        self.epoch_ns = epoch_ns
        self.bodies = draw_bodies(site)
        self.phones = draw_phones(site)
        self.plan = FloorPlan(site.area)
        self.seed = settings(site).seed
        self.heights_m = np.array([body.height_m for body in self.bodies])
        self._speeds = np.array([body.speed_m_s for body in self.bodies])
        self._strides = np.array([2 * body.gait.step_m for body in self.bodies])
        self._begin()

    def people_at(self, t_ns: int) -> Crowd:
        """Everybody at `t_ns`; cheap when time moves forward, or back by less than ten seconds."""
        if t_ns < self.epoch_ns:
            raise ValueError(f"t_ns = {t_ns} lies before the world began at {self.epoch_ns}")
        step = (t_ns - self.epoch_ns) // STEP_NS
        if step < self._step - len(self._past) + 1:
            self._begin()
        while self._step < step:
            self._advance()
        near = self._past[int(step - self._step - 1)]
        rest_s = (t_ns - near.t_ns) / 1e9
        position = near.position + near.velocity * rest_s
        phase = near.phase + np.hypot(*near.velocity.T) * rest_s / self._strides
        inside = self.plan.contains(position)
        return Crowd(t_ns, position, near.velocity, near.heading, phase, near.still_s, inside)

    def _begin(self) -> None:
        count = len(self.bodies)
        self._rng = np.random.default_rng([self.seed, 0])
        self._step = 0
        self._doing = np.full(count, Doing.AWAY)
        self._position = np.empty((count, 2))
        self._velocity = np.zeros((count, 2))
        self._heading = self._rng.uniform(-np.pi, np.pi, count)
        self._face = self._heading.copy()
        self._phase = self._rng.random(count)
        self._still = np.zeros(count)
        self._until = np.zeros(count)  # when standing, waiting outside or patience ends, s
        self._leave_at = self._rng.uniform(10.0, VISIT_S[1], count)
        self._routes: list[list[Floats]] = [[] for _ in range(count)]
        self._goal = np.empty((count, 2))
        self._partner = np.full(count, -1)
        for i in range(count):
            if self._rng.random() < 0.8:
                self._position[i] = self.plan.random_spot(self._rng)
                self._stand(i, 0.0)
            else:
                self._position[i] = self._spot_outside(self._door())
                self._until[i] = self._rng.uniform(1.0, 10.0)
            self._goal[i] = self._position[i]
        self._past: deque[Crowd] = deque([self._crowd()], maxlen=REMEMBERED_STEPS)

    def _advance(self) -> None:
        """One step of 50 ms: whoever has arrived or waited enough decides, then everybody moves."""
        self._step += 1
        now_s = self._step * STEP_S
        moving = (self._doing == Doing.WALKING) | (self._doing == Doing.MEETING) | (self._doing == Doing.LEAVING)
        to_goal = self._goal - self._position
        distance = np.hypot(to_goal[:, 0], to_goal[:, 1])
        for i in np.flatnonzero((moving & (distance < ARRIVED_M)) | (now_s > self._until)):
            self._decide(int(i), bool(distance[i] < ARRIVED_M), now_s)
        to_goal = self._goal - self._position
        distance = np.hypot(to_goal[:, 0], to_goal[:, 1])
        self._move(to_goal, distance, now_s)
        self._past.append(self._crowd())

    def _move(self, to_goal: Floats, distance: Floats, now_s: float) -> None:
        moving = (self._doing != Doing.STANDING) & (distance > 0.05)
        speed = np.where(moving, np.minimum(self._speeds, 0.25 + distance / 0.6), 0.0)
        wish = to_goal / np.maximum(distance, 1e-9)[:, None] * speed[:, None] + self._elbow_room()
        self._velocity += (wish - self._velocity) * (STEP_S / REACTION_S)
        ahead = self._position + self._velocity * STEP_S
        if len(self.plan.walls):
            blocked = self.plan.count_walls(self._position, ahead) > 0
            self._velocity[blocked] = 0.0
            ahead[blocked] = self._position[blocked]
        staying = (self._doing == Doing.STANDING) & self.plan.contains(ahead)
        self._position = np.where(staying[:, None], self.plan.keep_inside(ahead), ahead)
        pace = np.hypot(self._velocity[:, 0], self._velocity[:, 1])
        walks = pace > 0.25
        self._face = np.where(walks, np.arctan2(self._velocity[:, 1], self._velocity[:, 0]), self._face)
        turn = np.mod(self._face - self._heading + np.pi, 2 * np.pi) - np.pi
        self._heading = self._heading + turn * (STEP_S / TURN_S)
        self._phase = self._phase + pace * STEP_S / self._strides
        self._still = np.where(walks, 0.0, self._still + STEP_S)

    def _elbow_room(self) -> Floats:
        """The velocity (N,2) with which people who come too near step apart, a little to the right of each other."""
        apart = self._position[:, None] - self._position[None]
        distance = np.hypot(apart[..., 0], apart[..., 1]) + np.eye(len(apart)) * 9.0
        strength = np.maximum(0.0, 1.0 - distance / PERSONAL_SPACE_M) * PUSH_M_S
        away = apart / np.maximum(distance, 0.05)[..., None]
        aside = np.stack((away[..., 1], -away[..., 0]), axis=-1)
        return ((away + 0.5 * aside) * strength[..., None]).sum(axis=1)

    def _decide(self, i: int, arrived: bool, now_s: float) -> None:
        if arrived and self._routes[i]:
            self._goal[i] = self._routes[i].pop(0)
            return
        doing = self._doing[i]
        if doing == Doing.AWAY:
            inside, outside = self._door()
            self._leave_at[i] = now_s + self._rng.uniform(*VISIT_S)
            spot = self.plan.random_spot(self._rng)
            self._walk(i, Doing.WALKING, [outside, inside, *self.plan.route(inside, spot)], now_s)
        elif doing == Doing.LEAVING and arrived:
            self._doing[i] = Doing.AWAY
            self._until[i] = now_s + self._rng.uniform(*AWAY_S)
        elif doing == Doing.LEAVING or now_s > self._leave_at[i]:
            inside, outside = self._door()
            way = [*self.plan.route(self._position[i], inside), outside, self._spot_outside((inside, outside))]
            self._walk(i, Doing.LEAVING, way, now_s)
        elif doing == Doing.MEETING and arrived:
            self._greet(i, now_s)
        elif doing == Doing.WALKING and arrived:
            self._stand(i, now_s)
        elif self._rng.random() >= MEET_CHANCE or not self._arrange_meeting(i, now_s):
            way = self.plan.route(self._position[i], self.plan.random_spot(self._rng))
            self._walk(i, Doing.WALKING, way, now_s)

    def _walk(self, i: int, doing: Doing, way: list[Floats], now_s: float) -> None:
        self._doing[i] = doing
        self._goal[i], self._routes[i] = way[0], way[1:]
        self._until[i] = now_s + OUT_OF_PATIENCE_S

    def _stand(self, i: int, now_s: float) -> None:
        self._doing[i] = Doing.STANDING
        self._until[i] = now_s + self._rng.uniform(*STAND_S)
        self._face[i] += self._rng.normal(0.0, 0.6)

    def _arrange_meeting(self, i: int, now_s: float) -> bool:
        free = np.flatnonzero((self._doing == Doing.STANDING) & (np.arange(len(self._doing)) != i))
        if not len(free):
            return False
        other = int(self._rng.choice(free))
        place = self.plan.random_spot(self._rng)
        towards = self._position[other] - self._position[i]
        offset = towards / max(float(np.hypot(*towards)), 1e-9) * TALKING_DISTANCE_M / 2
        for who, partner, spot in ((i, other, place - offset), (other, i, place + offset)):
            self._partner[who] = partner
            way = self.plan.route(self._position[who], self.plan.keep_inside(spot[None])[0])
            self._walk(who, Doing.MEETING, way, now_s)
        return True

    def _greet(self, i: int, now_s: float) -> None:
        """Stand and face the partner; whoever comes second starts the talk, the first one waits for it."""
        partner = int(self._partner[i])
        self._doing[i] = Doing.STANDING
        waiting = self._doing[partner] == Doing.MEETING and self._partner[partner] == i
        self._until[i] = now_s + (OUT_OF_PATIENCE_S if waiting else self._rng.uniform(*TALK_S))
        towards = self._position[partner] - self._position[i]
        self._face[i] = np.arctan2(towards[1], towards[0])
        if not waiting and self._partner[partner] == i and self._doing[partner] == Doing.STANDING:
            self._until[partner] = self._until[i]
            self._face[partner] = self._face[i] + np.pi

    def _door(self) -> tuple[Floats, Floats]:
        return self.plan.doors[int(self._rng.integers(len(self.plan.doors)))]

    def _spot_outside(self, door: tuple[Floats, Floats]) -> Floats:
        inside, outside = door
        outward = (outside - inside) / np.hypot(*(outside - inside))
        sideways = np.array([-outward[1], outward[0]])
        return outside + outward * self._rng.uniform(1.0, 4.0) + sideways * self._rng.uniform(-2.0, 2.0)

    def _crowd(self) -> Crowd:
        return Crowd(
            self.epoch_ns + self._step * STEP_NS,
            self._position.copy(),
            self._velocity.copy(),
            self._heading.copy(),
            self._phase.copy(),
            self._still.copy(),
            self.plan.contains(self._position),
        )


def effort_of(body: Body, crowd: Crowd, row: int) -> float:
    """How fully body `row` walks now: 0 stands, 1 goes at its own pace."""
    return float(min(np.hypot(*crowd.velocity[row]) / body.speed_m_s, 1.2))
