"""Little drawn people for learning and tests: how a day's tracklets (`generated.py`) look in pictures of 32 x 64 px.

Skin, hair, top, trousers, shoes, a bag and a pattern each; cameras differ in background, brightness, contrast and tint,
tracklets in light, frames in pose and in how the box sits; some are crossed by somebody else. Common clothes are
common: many wear black or grey. Drawn from a seed, pictures of nobody.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .generated import MIXED, Day
from .stripes import Image

CROP_PX = (32, 64)
FRAMES = 8
DRAWN = 3  # times the size at which it is drawn
NOISE = 9.0  # grey levels
TOPS = ((30, 28, 28), (30, 28, 28), (75, 75, 78), (125, 125, 128), (215, 215, 215), (215, 215, 215), (110, 55, 35),
        (160, 90, 50), (45, 40, 150), (50, 90, 50), (60, 130, 190), (50, 190, 210), (150, 80, 140), (110, 150, 170))  # fmt: skip  # noqa: E501
TROUSERS = ((28, 26, 26), (28, 26, 26), (95, 60, 40), (95, 60, 40), (140, 105, 75), (85, 85, 88), (70, 105, 130))
HAIR = ((25, 25, 28), (30, 45, 70), (60, 110, 150), (120, 120, 125), (30, 50, 110))
SKIN = ((150, 175, 225), (120, 150, 205), (85, 115, 165), (50, 70, 105))
PATTERNS = ("plain", "plain", "plain", "across", "along", "jacket", "block")
BAGS = ("none", "none", "none", "back", "side")

Colour = tuple[float, float, float]
At = Callable[[float, float], tuple[int, int]]  # a point of a body, shares of its half width and height -> px


@dataclass(frozen=True, slots=True)
class Body:
    """One person in one set of clothes; colours are BGR, sizes shares of the picture."""

    skin: Colour
    hair: Colour
    top: Colour
    second: Colour
    trousers: Colour
    shoes: Colour
    bag_colour: Colour
    pattern: str
    bag: str
    height: float
    width: float
    sleeves: float
    legs: float
    long_hair: bool


class Camera(NamedTuple):
    """How a camera shows things: a background (64 + 2 m, 32 + 2 m, 3), gain (3,) by colour, offset, gamma, blur px."""

    background: NDArray[np.float32]
    gain: NDArray[np.float64]
    offset: float
    gamma: float
    blur: float


def make_body(rng: np.random.Generator) -> Body:
    def near(colours: tuple[tuple[int, ...], ...], jitter: float) -> Colour:
        b, g, r = np.clip(np.array(colours[rng.integers(len(colours))]) + rng.normal(0, jitter, 3), 5, 250)
        return float(b), float(g), float(r)

    return Body(
        near(SKIN, 5), near(HAIR, 5), near(TOPS, 6), near(TOPS, 6), near(TROUSERS, 5), near(TROUSERS, 6),
        near(TOPS, 6), PATTERNS[rng.integers(len(PATTERNS))], BAGS[rng.integers(len(BAGS))],
        rng.uniform(0.84, 0.95), rng.normal(0.42, 0.04), float(rng.choice([0.4, 1.0, 1.0])),
        float(rng.choice([0.45, 1.0, 1.0, 1.0])), bool(rng.random() < 0.4),
    )  # fmt: skip


def changed_clothes(body: Body, rng: np.random.Generator) -> Body:
    """The same person with another top, pattern and bag; in half of the cases other trousers, too."""
    other = make_body(rng)
    trousers = other.trousers if rng.random() < 0.5 else body.trousers
    kept = replace(body, top=other.top, second=other.second, pattern=other.pattern, sleeves=other.sleeves)
    return replace(kept, bag=other.bag, bag_colour=other.bag_colour, trousers=trousers)


def make_camera(rng: np.random.Generator) -> Camera:
    size = (CROP_PX[1] * 2, CROP_PX[0] * 2)
    base = rng.uniform(70, 190) + rng.normal(0, 12, 3)
    coarse = cv2.resize(rng.normal(0, 22, (7, 5, 3)).astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.normal(0, 12, (*size, 3)).astype(np.float32), (0, 0), 1.0)
    lines = np.zeros((*size, 3), np.float32)
    for at in rng.integers(0, size[1], 3):
        lines[:, at : at + 2] = rng.normal(0, 40)
    gain = rng.uniform(0.55, 1.3) * np.exp(rng.normal(0, 0.16, 3))
    return Camera(
        np.asarray(base + coarse + fine + lines, np.float32),
        gain,
        rng.uniform(-8, 40),
        rng.uniform(0.7, 1.4),
        rng.uniform(0.4, 1.3),
    )


def draw(body: Body, camera: Camera, light: NDArray[np.float64], side: float, phase: float, rng: np.random.Generator,
         crossed: Body | None = None) -> Image:  # fmt: skip
    """(64,32,3) BGR u8. light (3,): factors of colours; side: -1..1 which way they face; phase: of the step, rad."""
    high, wide = CROP_PX[1], CROP_PX[0]
    down, across = int(rng.integers(high)), int(rng.integers(wide))
    ground = camera.background[down : down + high, across : across + wide]
    canvas = np.asarray(cv2.resize(np.clip(ground, 0, 255).astype(np.uint8), (wide * DRAWN, high * DRAWN)), np.uint8)
    middle = 0.5 + rng.normal(0, 0.07)
    scale = float(np.clip(1 + rng.normal(0, 0.07), 0.8, 1.2))
    _paint(canvas, body, middle, 0.985 + rng.normal(0, 0.03), scale, side, phase)
    if crossed is not None:
        _paint(canvas, crossed, middle + rng.uniform(0.25, 0.5) * rng.choice([-1, 1]), 1.03, scale, -side, phase + 1.0)
    small = cv2.resize(canvas, (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32)
    small = cv2.GaussianBlur(small, (0, 0), camera.blur)
    shown = 255 * (np.clip(small * light + camera.offset, 0, 255) / 255) ** camera.gamma
    return np.clip(shown + rng.normal(0, NOISE, shown.shape), 0, 255).astype(np.uint8)


def pictures_of(day: Day, seed: int, frames: int = FRAMES) -> NDArray[np.uint8]:
    """(N,frames,64,32,3) BGR u8 of a day's tracklets."""
    rng = np.random.default_rng([seed, 7])
    bodies = [make_body(rng) for _ in range(day.people)]
    other = [changed_clothes(body, rng) for body in bodies]
    cameras = [make_camera(rng) for _ in range(len(day.camera_m))]
    done = np.empty((len(day.person), frames, CROP_PX[1], CROP_PX[0], 3), np.uint8)
    for row, (who, camera) in enumerate(zip(day.person.tolist(), day.tracklets.camera.tolist(), strict=True)):
        body = (other if day.changed[row] else bodies)[who]
        crossed = bodies[rng.integers(day.people)] if rng.random() < MIXED else None
        done[row] = passage(body, cameras[camera], rng, frames, crossed)
    return done


def passage(
    body: Body, camera: Camera, rng: np.random.Generator, frames: int = FRAMES, crossed: Body | None = None
) -> NDArray[np.uint8]:
    """(frames,64,32,3): one person walking by; half of the frames show who crosses, if anybody does."""
    light = camera.gain * np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.06, 3))
    side, phase = rng.uniform(-1, 1), rng.uniform(0, 6.3)
    hides = rng.random(frames) < 0.5
    return np.array(
        [draw(body, camera, light, side, phase + 0.9 * k, rng, crossed if hides[k] else None) for k in range(frames)]
    )


def _paint(canvas: Image, body: Body, middle: float, foot: float, scale: float, side: float, phase: float) -> None:
    """Draw a body with its feet at `foot` (share of the height) around `middle` (share of the width)."""
    rows, columns = canvas.shape[:2]
    tall, half = body.height * scale * rows, body.width * scale * columns / 2 * (1 - 0.25 * abs(side))
    x, low = middle * columns, foot * rows

    def at(along: float, up: float) -> tuple[int, int]:
        return round(x + along * half), round(low - up * tall)

    swing = np.sin(phase) * (0.35 + 0.5 * abs(side))
    thick = max(2, round(half * 0.75))
    for leg in (-1, 1):
        hip, ankle = at(0.4 * leg, 0.5), at(0.4 * leg + leg * swing, 0.03)
        knee = (hip[0] + ankle[0]) // 2, (hip[1] + ankle[1]) // 2
        cv2.line(canvas, hip, ankle, body.skin if body.legs < 1 else body.trousers, thick)
        cv2.line(canvas, hip, knee, body.trousers, thick)
        cv2.line(canvas, ankle, (ankle[0] + round(side * 4), ankle[1]), body.shoes, max(2, thick - 1))
    if body.bag == "back":
        along = -0.9 * np.sign(side) * abs(side)
        cv2.rectangle(canvas, at(along - 0.55, 0.79), at(along + 0.55, 0.55), body.bag_colour, -1)
    _paint_top(canvas, body, at, swing, thick)
    cv2.ellipse(
        canvas, at(0, 0.915), (max(2, round(half * 0.42)), max(2, round(tall * 0.075))), 0, 0, 360, body.skin, -1
    )
    hair = 0.9 if body.long_hair else 0.45
    cv2.ellipse(canvas, at(-0.12 * side, 0.95), (max(2, round(half * 0.46)), max(2, round(tall * 0.06 * (0.7 + hair)))),
                0, 180, 360, body.hair, -1)  # fmt: skip
    if body.long_hair:
        cv2.rectangle(canvas, at(-0.5 - 0.3 * side, 0.95), at(-0.15 - 0.3 * side, 0.82), body.hair, -1)
    if body.bag == "side":
        cv2.rectangle(canvas, at(0.75 * np.sign(side), 0.55), at(1.25 * np.sign(side), 0.42), body.bag_colour, -1)


def _paint_top(canvas: Image, body: Body, at: At, swing: float, thick: int) -> None:
    corners = np.array([at(-0.85, 0.83), at(0.85, 0.83), at(0.75, 0.48), at(-0.75, 0.48)])
    cv2.fillConvexPoly(canvas, corners, body.top)
    (left, top), (right, bottom) = at(-0.8, 0.83), at(0.8, 0.48)
    if body.pattern == "across":
        for row in range(top, bottom, 12):
            cv2.rectangle(canvas, (left, row), (right, row + 5), body.second, -1)
    elif body.pattern == "along":
        for column in range(left, right, 10):
            cv2.rectangle(canvas, (column, top), (column + 4, bottom), body.second, -1)
    elif body.pattern == "jacket":
        cv2.rectangle(canvas, at(-0.3, 0.83), at(0.3, 0.48), body.second, -1)
    elif body.pattern == "block":
        cv2.rectangle(canvas, at(-0.8, 0.65), at(0.8, 0.48), body.second, -1)
    for arm in (-1, 1):
        shoulder, hand = at(0.9 * arm, 0.8), at(1.0 * arm - arm * 0.8 * swing, 0.47)
        elbow = (shoulder[0] + hand[0]) // 2, (shoulder[1] + hand[1]) // 2
        cv2.line(canvas, shoulder, hand, body.top if body.sleeves >= 1 else body.skin, max(2, thick // 2))
        cv2.line(canvas, shoulder, elbow, body.top, max(2, thick // 2))
