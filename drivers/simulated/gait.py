"""A walking body: 24 joints as a function of a person's gait numbers and the phase of the walk.

The numbers are drawn from a seed as generator G1 of the specification says; a person who walks again varies by a few
per cent. What a radar or a camera makes of the joints is not here (gait_radar, gait_camera), nor where the body is: the
joints are relative to its place on the floor, so that the live world can put them anywhere.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MEN_SHARE = 36 / 58
HEIGHT_RANGE_M = (1.52, 1.87)
SPEED_RANGE_M_S = (0.9, 1.4)
WALK_VARIATION = 0.03  # relative standard deviation of what changes from walk to walk
MOTIONS = ("step_m", "cadence_per_min", "swing_rad", "knee_rad", "bounce_m", "sway_m")  # these change, bones do not

JOINTS = (
    "pelvis", "left hip", "right hip", "spine 1", "left knee", "right knee", "spine 2", "left ankle", "right ankle",
    "spine 3", "left foot", "right foot", "neck", "left collar", "right collar", "head", "left shoulder",
    "right shoulder", "left elbow", "right elbow", "left wrist", "right wrist", "left hand", "right hand",
)  # fmt: skip
ROW = {name: row for row, name in enumerate(JOINTS)}
SCORED = (*range(10), *range(12, 22))  # the twenty that pose errors are measured on

# Shares of the body height.
ANKLE_Z, FOOT, UPPER_ARM, FOREARM, HAND = 0.04, 0.13, 0.172, 0.157, 0.06
SHOULDER_Z, NECK_Z, HEAD_Z = 0.815, 0.86, 0.935
THIGH_SHARE = 0.51  # of the leg from hip to ankle


@dataclass(frozen=True, slots=True)
class Gait:
    """A person's numbers. Lengths in m, angles in rad. step_m: from one foot's contact to the other's (G1's stride of
    0.41 heights); cadence_per_min counts steps; swing_rad: amplitude of the upper arm; knee_rad: greatest flexion;
    bounce_m and sway_m: from one extreme to the other; asymmetry: how much more the left side swings, -0.06..0.06."""

    height_m: float
    leg_ratio: float
    shoulder_m: float
    hip_m: float
    step_m: float
    cadence_per_min: float
    swing_rad: float
    knee_rad: float
    bounce_m: float
    sway_m: float
    asymmetry: float

    @property
    def speed_m_s(self) -> float:
        return self.step_m * self.cadence_per_min / 60

    @property
    def cycle_s(self) -> float:
        """Seconds of one phase: two steps."""
        return 120 / self.cadence_per_min

    def as_array(self) -> Floats:
        """(11,) in the order of NUMBERS."""
        return np.array([getattr(self, name) for name in NUMBERS])


NUMBERS = tuple(field.name for field in fields(Gait))


@dataclass(frozen=True, slots=True)
class Style:
    """How a generator draws what G1 leaves open, one for all people: shapes of curves and thickness of limbs. Training
    draws one for each walk, so that nothing learnt rests on this generator's own choices."""

    girth: float = 1.0  # factor on the thickness of limbs and trunk
    stance_knee_rad: float = 0.12
    knee_sharpness: float = 1.6
    knee_lead: float = 0.06  # cycles by which the knee's flexion precedes mid-swing
    arm_lag: float = 0.0  # cycles
    elbow_rad: float = 0.3
    lean_rad: float = 0.04
    twist_rad: float = 0.08
    hip_forward_rad: float = 0.05
    second_harmonic: float = 0.0  # of the thigh's angle


PLAIN = Style()


def draw_gait(rng: np.random.Generator) -> Gait:
    """A person of G1: 36 men to 22 women, height, proportions, and how they walk."""
    is_man = rng.random() < MEN_SHARE
    height = float(np.clip(rng.normal(1.74, 0.07) if is_man else rng.normal(1.62, 0.06), *HEIGHT_RANGE_M))
    swing = float(np.clip(rng.normal(25.0, 8.0), 5.0, 50.0))
    return Gait(
        height_m=height,
        leg_ratio=float(rng.uniform(0.47, 0.51)),
        shoulder_m=height * 0.23 * _about(rng, 0.05),
        hip_m=height * 0.10 * _about(rng, 0.05),
        step_m=height * 0.41 * _about(rng, 0.05),
        cadence_per_min=float(np.clip(rng.normal(112.0, 8.0), 85.0, 140.0)),
        swing_rad=float(np.radians(swing)),
        knee_rad=float(np.radians(np.clip(rng.normal(60.0, 6.0), 40.0, 80.0))),
        bounce_m=float(np.clip(rng.normal(0.03, 0.01), 0.005, 0.06)),
        sway_m=float(np.clip(rng.normal(0.03, 0.01), 0.005, 0.06)),
        asymmetry=float(rng.uniform(0.0, 0.06) * rng.choice([-1.0, 1.0])),
    )


def draw_walk(gait: Gait, rng: np.random.Generator, speed_m_s: float | None = None) -> Gait:
    """The numbers of one walk of a person: motions 3 % off, speed kept in 0.9 to 1.4 m/s.

    speed_m_s: walk at this speed instead of the person's own; step and cadence share the change equally.
    """
    walk = replace(gait, **{name: getattr(gait, name) * _about(rng, WALK_VARIATION) for name in MOTIONS})
    speed = speed_m_s if speed_m_s is not None else float(np.clip(walk.speed_m_s, *SPEED_RANGE_M_S))
    share = float(np.sqrt(speed / walk.speed_m_s))
    return replace(walk, step_m=walk.step_m * share, cadence_per_min=walk.cadence_per_min * share)


def draw_style(rng: np.random.Generator) -> Style:
    """Another generator's choices, as it were."""
    return Style(
        girth=float(rng.uniform(0.8, 1.25)),
        stance_knee_rad=float(rng.uniform(0.0, 0.2)),
        knee_sharpness=float(rng.uniform(1.0, 2.5)),
        knee_lead=float(rng.uniform(0.0, 0.12)),
        arm_lag=float(rng.uniform(-0.06, 0.06)),
        elbow_rad=float(rng.uniform(0.0, 0.6)),
        lean_rad=float(rng.uniform(-0.02, 0.1)),
        twist_rad=float(rng.uniform(0.0, 0.15)),
        hip_forward_rad=float(rng.uniform(0.0, 0.12)),
        second_harmonic=float(rng.uniform(-0.05, 0.05)),
    )


def joints(gait: Gait, phase: ArrayLike, effort: ArrayLike = 1.0, style: Style = PLAIN) -> Floats:
    """Joints (..., 24, 3) m relative to the body's place on the floor: x ahead, y to the left, z up.

    phase (...): gait cycles walked, of two steps each; the left leg is foremost a quarter after every whole number.
    effort (...): 1 walks as the numbers say, 0 stands; between, everything swings less.
    """
    phase = np.asarray(phase, float)
    effort = np.broadcast_to(np.asarray(effort, float), phase.shape)
    h, turn = gait.height_m, 2 * np.pi * phase
    out = np.zeros((*phase.shape, 24, 3))
    leg = gait.leg_ratio * h - ANKLE_Z * h
    swing_leg = np.arcsin(np.clip(gait.step_m / (2 * leg), 0.0, 0.9))
    pelvis = np.stack(
        [
            np.zeros_like(turn),
            -gait.sway_m / 2 * np.cos(turn) * effort,
            gait.leg_ratio * h + gait.bounce_m / 2 * np.cos(2 * turn) * effort - 0.004 * h * effort,
        ],
        axis=-1,
    )
    twist = style.twist_rad * np.sin(turn) * effort
    out[..., ROW["pelvis"], :] = pelvis
    _trunk(out, pelvis, gait, style, twist)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        more = 1 + sign * gait.asymmetry / 2
        _leg(out, side, sign, turn, effort, leg, swing_leg * more, gait, style, twist)
        _arm(out, side, sign, turn, effort, gait.swing_rad * more, gait, style)
    return out


def placed(body: Floats, place_m: ArrayLike, heading_rad: ArrayLike) -> Floats:
    """Joints (..., 24, 3) of `joints` at places (..., 2) m with headings (...) rad from +x, counter-clockwise."""
    place, heading = np.asarray(place_m, float), np.asarray(heading_rad, float)
    cos, sin = np.cos(heading)[..., None], np.sin(heading)[..., None]
    x = body[..., 0] * cos - body[..., 1] * sin + place[..., None, 0]
    y = body[..., 0] * sin + body[..., 1] * cos + place[..., None, 1]
    return np.stack([x, y, body[..., 2]], axis=-1)


def _about(rng: np.random.Generator, sd: float) -> float:
    return float(1.0 + sd * np.clip(rng.normal(), -3.0, 3.0))


def _trunk(out: Floats, pelvis: Floats, gait: Gait, style: Style, twist: Floats) -> None:
    h = gait.height_m
    lift = {
        "spine 1": 0.06, "spine 2": 0.13, "spine 3": 0.21, "left collar": 0.30, "right collar": 0.30,
    }  # above the pelvis at half leg length  # fmt: skip
    for name, share in lift.items():
        out[..., ROW[name], 2] = pelvis[..., 2] + share * (1 - gait.leg_ratio) / 0.51 * h
    stretch = pelvis[..., 2] - gait.leg_ratio * h  # the bounce lifts the head as well
    for name, z in (("neck", NECK_Z), ("head", HEAD_Z), ("left shoulder", SHOULDER_Z), ("right shoulder", SHOULDER_Z)):
        out[..., ROW[name], 2] = z * h + stretch
    for name in (*lift, "neck", "head", "left shoulder", "right shoulder"):
        row = out[..., ROW[name], :]
        row[..., 0] = np.sin(style.lean_rad) * (row[..., 2] - pelvis[..., 2])
        row[..., 1] = pelvis[..., 1] * (0.5 if "spine" in name else 0.25)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for name, half in (("shoulder", gait.shoulder_m / 2), ("collar", gait.shoulder_m / 5)):
            row = out[..., ROW[f"{side} {name}"], :]
            row[..., 0] += sign * half * np.sin(twist)
            row[..., 1] += sign * half * np.cos(twist)


def _leg(
    out: Floats, side: str, sign: float, turn: Floats, effort: Floats, leg: float, swing: float, gait: Gait,
    style: Style, twist: Floats,
) -> None:  # fmt: skip
    angle = sign * np.sin(turn) + style.second_harmonic * np.cos(2 * turn)
    thigh = effort * (swing * angle + style.hip_forward_rad)
    ahead = np.maximum(0.5 + 0.5 * sign * np.cos(turn + 2 * np.pi * style.knee_lead), 0.0)
    flexion = effort * (style.stance_knee_rad + (gait.knee_rad - style.stance_knee_rad) * ahead**style.knee_sharpness)
    flexion = flexion * (1 - 0.5 * effort * np.maximum(sign * np.sin(turn), 0.0) ** 2)  # straight at contact
    shank = thigh - flexion
    hip = out[..., ROW["pelvis"], :].copy()
    hip[..., 0] -= sign * gait.hip_m / 2 * np.sin(twist)
    hip[..., 1] += sign * gait.hip_m / 2 * np.cos(twist)
    knee = hip + _down(thigh, THIGH_SHARE * leg)
    ankle = knee + _down(shank, (1 - THIGH_SHARE) * leg)
    sole = 0.5 * shank  # the foot follows the shank half way
    foot = ankle + FOOT * gait.height_m * np.stack([np.cos(sole), np.zeros_like(sole), np.sin(sole)], axis=-1)
    foot[..., 2] -= 0.6 * ANKLE_Z * gait.height_m
    for name, place in (("hip", hip), ("knee", knee), ("ankle", ankle), ("foot", foot)):
        out[..., ROW[f"{side} {name}"], :] = place


def _arm(
    out: Floats, side: str, sign: float, turn: Floats, effort: Floats, swing: float, gait: Gait, style: Style
) -> None:
    upper = -effort * sign * swing * np.sin(turn - 2 * np.pi * style.arm_lag)
    lower = upper + style.elbow_rad * (0.5 + 0.5 * effort) + 0.5 * np.maximum(upper, 0.0)
    shoulder = out[..., ROW[f"{side} shoulder"], :]
    elbow = shoulder + _down(upper, UPPER_ARM * gait.height_m)
    elbow[..., 1] += sign * 0.015 * gait.height_m
    wrist = elbow + _down(lower, FOREARM * gait.height_m)
    hand = wrist + _down(lower, HAND * gait.height_m)
    for name, place in (("elbow", elbow), ("wrist", wrist), ("hand", hand)):
        out[..., ROW[f"{side} {name}"], :] = place


def _down(angle: Floats, length: float) -> Floats:
    """(..., 3) of a bone that hangs straight down at 0 and swings ahead with the angle."""
    return length * np.stack([np.sin(angle), np.zeros_like(angle), -np.cos(angle)], axis=-1)
