"""From every body to a sniffer: how strong a phone on it should arrive, and who stands in the way.

A body between a phone and a sniffer weakens the signal and never strengthens it (protocols C: by 15 dB and more on
short links). Where the other bodies are is known, so that part of what would else be noise, and lasts for as long as
people stand there, is expected. How much is one constant for all, chosen on generated worlds (docs/fusion.md).
"""

import msgspec
import numpy as np

from ..sitefile import Sniffer
from .evidence.columns import Bodies
from .geometry import Floats
from .wireless import PHONE_HEIGHT_M, distance_m, expected_dbm

BODY_DB, MOST_BODIES = 4.0, 2.0  # of each body in the way; around more than two the wave goes
BODY_M = 0.25  # half of a body's width
BODY_HEIGHT_M = 1.75  # a path that has risen above this passes over
OWN_M = 0.3  # bodies nearer to the carrier than this are beside them, or them


class Paths(msgspec.Struct, frozen=True):
    """Of bodies (K,) to one sniffer: expected_dbm (K,) without the unknowns, vague_db2 (K,) what the vagueness of the
    bodies' places adds to its variance, bearing_rad (K,) of the sniffer from where each body heads."""

    expected_dbm: Floats
    vague_db2: Floats
    bearing_rad: Floats


def paths(sniffer: Sniffer, bodies: Bodies) -> Paths:
    """The paths from bodies to a sniffer."""
    slope = 10 * sniffer.path_loss_exponent / np.log(10) / distance_m(sniffer, bodies.position)  # dB per m
    x, y, _ = sniffer.position_m
    return Paths(
        expected_dbm(sniffer, bodies.position) - BODY_DB * in_the_way(sniffer, bodies),
        slope**2 * _variance_m2(bodies),
        np.arctan2(y - bodies.position[:, 1], x - bodies.position[:, 0]) - bodies.heading,
    )


def in_the_way(sniffer: Sniffer, bodies: Bodies) -> Floats:
    """How many of the other bodies stand between each body and the sniffer (K,), at most MOST_BODIES; one whose place
    is vague counts by the probability that it does."""
    place = bodies.position
    to_sniffer = np.asarray(sniffer.position_m[:2]) - place
    length_m = np.maximum(np.hypot(to_sniffer[:, 0], to_sniffer[:, 1]), 1e-6)
    ahead = to_sniffer / length_m[:, None]
    apart = place[None] - place[:, None]  # from each to each other
    along_m = apart[..., 0] * ahead[:, None, 0] + apart[..., 1] * ahead[:, None, 1]
    beside_m = apart[..., 0] * ahead[:, None, 1] - apart[..., 1] * ahead[:, None, 0]
    rise = (sniffer.position_m[2] - PHONE_HEIGHT_M) / length_m
    between = (along_m > OWN_M) & (along_m < length_m[:, None])
    between &= PHONE_HEIGHT_M + rise[:, None] * along_m < BODY_HEIGHT_M
    width2_m2 = BODY_M**2 + _variance_m2(bodies)
    chance = BODY_M / np.sqrt(width2_m2) * np.exp(-0.5 * beside_m**2 / width2_m2)
    return np.minimum((chance * between).sum(axis=1), MOST_BODIES)


def _variance_m2(bodies: Bodies) -> Floats:
    """(K,), of a body's place along one axis."""
    return 0.5 * bodies.covariance.trace(axis1=1, axis2=2)
