"""Phones whose positions are the truth with errors that last: for tests that need positions and no phone.

The errors are an Ornstein-Uhlenbeck process beside white noise, and every position says its covariance truly.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from whowhere.fusion.engine import Engine
from whowhere.launch.evaluate.session import Evaluation
from whowhere.messages import Message, PhonePosition, Truth, WifiWindow
from whowhere.sitefile import Phone, Simulated, Site

KINDS = {"rssi": WifiWindow, "position": PhonePosition}


@dataclass(frozen=True)
class Errors:
    """sd_m: in each coordinate; lasting_s: correlation time of `share` of the variance; late_s: from being there to
    its being heard of, in the mean (half to one and a half times that)."""

    sd_m: float = 2.5
    lasting_s: float = 8.0
    share: float = 0.9
    late_s: float = 0.8


def with_phones(site: Site, seed: int | None = None) -> Site:
    """The site with a phone for everybody of its identities, and another world where a seed is given."""
    phones = tuple(Phone(id=f"phone-{i.name.lower()}", owner=i.name, source="simulated") for i in site.identities)
    simulated = site.simulated or Simulated()
    return replace(site, phones=phones, simulated=simulated if seed is None else replace(simulated, seed=seed))


def positions(site: Site, truths: Iterable[Message], seed: int, errors: Errors) -> list[tuple[int, PhonePosition]]:
    """(when it arrives, the position), one a second and phone, for everybody of the truths who has a phone."""
    rng = np.random.default_rng([seed, 7])
    phone_of = {phone.owner: phone.id for phone in site.phones}
    lasting = {owner: rng.normal(size=2) for owner in phone_of}
    keep = float(np.exp(-1.0 / errors.lasting_s))
    told: list[tuple[int, PhonePosition]] = []
    next_ns, number = 0, 0
    for truth in (message for message in truths if isinstance(message, Truth)):
        if truth.t_ns < next_ns:
            continue
        next_ns, number = truth.t_ns + 1_000_000_000, number + 1
        for owner, place in zip(truth.enrolled, truth.position, strict=True):
            if owner not in phone_of:
                continue
            lasting[owner] = keep * lasting[owner] + np.sqrt(1 - keep**2) * rng.normal(size=2)
            mixed = np.sqrt(errors.share) * lasting[owner] + np.sqrt(1 - errors.share) * rng.normal(size=2)
            x, y = (place + errors.sd_m * mixed).tolist()
            position = PhonePosition(
                source=phone_of[owner], t_ns=truth.t_ns, seq=number, x_m=x, y_m=y,
                covariance_m2=(errors.sd_m**2, 0.0, errors.sd_m**2), modalities=("wifi", "imu"),
            )  # fmt: skip
            told.append((truth.t_ns + round(errors.late_s * rng.uniform(0.5, 1.5) * 1e9), position))
    return told


def arriving(site: Site, stream: Iterable[Message], seed: int, errors: Errors) -> list[Message]:
    """The stream with the phones' positions in it, in order of arrival."""
    messages = list(stream)
    timed = [(message.t_ns, message) for message in messages]
    told = sorted([*timed, *positions(site, messages, seed, errors)], key=lambda entry: entry[0])
    return [message for _, message in told]


def scores(site: Site, messages: Iterable[Message], without: tuple[type, ...] = ()) -> dict:
    """The engine's scores over a stream with truth, kinds `without` left out, and its counters."""
    engine, evaluation = Engine(site), Evaluation()
    for message in messages:
        if isinstance(message, Truth):
            evaluation.add(message)
        elif not isinstance(message, without):
            for out in engine.step(message):
                evaluation.add(out)
    return {**evaluation.result(), "counters": engine.counters}
