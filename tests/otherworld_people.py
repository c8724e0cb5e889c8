"""People of the other world: who walks where and when, who walks beside whom, who comes in and goes out by the door.

Part of tests/otherworld.py, written from how people move and not from this project's own simulator. Metres, seconds,
headings in radians from +x. Nothing here knows a sensor.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

STEP_S = 0.05
SPEED_M_S = (0.6, 1.5)
PAUSE_S = (0.0, 10.0)
MARGIN_M = 0.4  # people keep so far from the walls
PERSONAL_M = 0.55  # and step aside when nearer to somebody than this
BESIDE_M, BESIDE_S = 0.6, (8.0, 20.0)  # two who walk together, and for how long
TOGETHER = 0.1  # share of choices that are "with somebody" and not "to somewhere"
STAY = 1.5  # mean stay, of the length of the session
OUTSIDE_M = (8.0, 20.0)  # where those who left stay, beyond the door

Vector = NDArray[np.float64]


@dataclass
class Body:
    """One person's body and what it is about to do."""

    place: Vector
    heading: float
    speed: float
    enters: float  # s; below 0: there from the beginning
    leaves: float  # s
    goal: Vector
    mode: str = "walk"  # walk, pause, beside, leave, away
    until: float = 0.0
    beside: int = -1
    side: float = 1.0
    hideout: Vector = field(default_factory=lambda: np.zeros(2))


@dataclass(frozen=True)
class Walks:
    """place (T,N,2) m, heading (T,N) rad and inside (T,N) at every STEP_S; height and width of bodies in m."""

    place: Vector
    heading: Vector
    inside: NDArray[np.bool_]
    height: Vector

    def at(self, t_s: float) -> tuple[Vector, Vector, NDArray[np.bool_]]:
        """Places (N,2), headings (N,) and who is inside (N,), between steps linearly."""
        step = min(max(t_s / STEP_S, 0.0), len(self.place) - 1.001)
        low = int(step)
        share = step - low
        place = (1 - share) * self.place[low] + share * self.place[low + 1]
        return place, self.heading[low], self.inside[low]


def walks(rng: np.random.Generator, size: tuple[float, float], people: int, seconds: float) -> Walks:
    """Everybody's way in a room of `size`, which has one door, in the middle third of its lower wall."""
    crowd = Crowd(rng, size, people, seconds)
    steps = int(np.ceil(seconds / STEP_S)) + 2
    place, heading, inside = np.zeros((steps, people, 2)), np.zeros((steps, people)), np.zeros((steps, people), bool)
    for step in range(steps):
        crowd.advance(step * STEP_S)
        place[step] = [body.place for body in crowd.bodies]
        heading[step] = [body.heading for body in crowd.bodies]
        inside[step] = place[step, :, 1] > 0
    return Walks(place, heading, inside, rng.uniform(1.55, 1.9, people))


class Crowd:
    """All bodies, moved step by step."""

    def __init__(self, rng: np.random.Generator, size: tuple[float, float], people: int, seconds: float) -> None:
        self.rng, self.size, self.seconds = rng, np.array(size), seconds
        self.door = np.array([rng.uniform(size[0] / 3, 2 * size[0] / 3), 0.0])
        self.bodies = [self.somebody() for _ in range(people)]

    def somebody(self) -> Body:
        rng = self.rng
        is_here = rng.random() < 0.75
        enters = -1.0 if is_here else rng.uniform(0.0, 0.4 * self.seconds)
        hideout = self.door + rng.uniform(*OUTSIDE_M) * np.array([np.cos(a := rng.uniform(-2.6, -0.5)), np.sin(a)])
        place = self.anywhere() if is_here else hideout
        stay = max(20.0, rng.exponential(STAY * self.seconds))
        body = Body(place, rng.uniform(-np.pi, np.pi), rng.uniform(*SPEED_M_S), enters, max(enters, 0) + stay, place)
        body.hideout, body.mode = hideout, "pause" if is_here else "away"
        body.until = rng.uniform(*PAUSE_S) if is_here else enters
        return body

    def anywhere(self) -> Vector:
        return self.rng.uniform(MARGIN_M, self.size - MARGIN_M)

    def advance(self, t: float) -> None:
        for body in self.bodies:
            self.decide(t, body)
        for body in self.bodies:
            self.move(body)

    def decide(self, t: float, body: Body) -> None:
        """What to do next, where something has ended."""
        if body.mode in ("walk", "pause", "beside") and t > body.leaves:
            body.mode, body.goal = "leave", self.door + np.array([0.0, 0.3])
        elif body.mode == "leave" and near(body, body.goal):
            if body.goal[1] > 0:
                body.goal = self.door - np.array([0.0, 1.0])  # straight through the door, then to where they stay
            elif not near(body, body.hideout):
                body.goal = body.hideout
            else:
                body.mode, body.until = "away", t + self.rng.uniform(10.0, 40.0)
        elif body.mode == "away" and t > body.until:
            body.mode, body.goal = "enter", self.door - np.array([0.0, 0.5])
            body.leaves = t + max(25.0, self.rng.exponential(STAY * self.seconds))
        elif body.mode == "enter" and near(body, body.goal):
            if body.goal[1] < 0:
                body.goal = self.door + np.array([0.0, 0.6])
            else:
                self.choose(t, body)
        elif body.mode == "walk" and near(body, body.goal):
            body.mode, body.until = "pause", t + self.rng.uniform(*PAUSE_S)
        elif body.mode in ("pause", "beside") and t > body.until:
            self.choose(t, body)
        if body.mode == "beside":
            self.stay_beside(body)

    def choose(self, t: float, body: Body) -> None:
        body.mode, body.goal, body.speed = "walk", self.anywhere(), self.rng.uniform(*SPEED_M_S)
        partners = [i for i, other in enumerate(self.bodies) if other is not body and other.mode in ("walk", "pause")]
        if partners and self.rng.random() < TOGETHER:
            body.mode, body.beside = "beside", int(self.rng.choice(partners))
            body.until, body.side = t + self.rng.uniform(*BESIDE_S), float(self.rng.choice([-1.0, 1.0]))

    def stay_beside(self, body: Body) -> None:
        partner = self.bodies[body.beside]
        if partner.mode not in ("walk", "pause"):
            body.until = 0.0
            return
        left = np.array([-np.sin(partner.heading), np.cos(partner.heading)])
        goal = np.clip(partner.place + body.side * BESIDE_M * left, MARGIN_M, self.size - MARGIN_M)
        body.goal, body.speed = goal, min(1.5, partner.speed + 0.3)

    def move(self, body: Body) -> None:
        rng = self.rng
        if body.mode in ("pause", "away"):
            body.heading += 0.1 * np.sqrt(STEP_S) * rng.normal()  # one looks around a little
            return
        way = body.goal - body.place
        distance = float(np.hypot(*way))
        if distance < 0.02:
            return
        velocity = way / distance * min(body.speed, 2.0 * distance + 0.1)
        velocity = velocity + self.sidestep(body, velocity)
        velocity *= min(1.0, SPEED_M_S[1] / max(float(np.hypot(*velocity)), 1e-9))
        body.place = body.place + STEP_S * velocity
        turn = np.angle(np.exp(1j * (np.arctan2(velocity[1], velocity[0]) - body.heading)))
        body.heading += float(np.clip(turn, -4.0 * STEP_S, 4.0 * STEP_S))
        if body.mode in ("walk", "beside"):
            body.place = np.clip(body.place, MARGIN_M / 2, self.size - MARGIN_M / 2)

    def sidestep(self, body: Body, velocity: Vector) -> Vector:
        """Away from whoever is too near, mostly sideways, so that two who meet pass each other."""
        push = np.zeros(2)
        for other in self.bodies:
            apart = body.place - other.place
            distance = float(np.hypot(*apart))
            if other is not body and 1e-6 < distance < PERSONAL_M:
                right = np.array([velocity[1], -velocity[0]])
                push += (3.0 * apart / distance + right) * (PERSONAL_M - distance) / PERSONAL_M
        return push


def near(body: Body, goal: Vector) -> bool:
    return float(np.hypot(*(goal - body.place))) < 0.15
