"""What the tests of bad input share: an engine run over a stream whose every answer must be sane."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.fusion.engine import Engine
from whowhere.messages import (
    Message,
    Scene,
    decode,
    encode,
)
from whowhere.sitefile import Site

S = 1_000_000_000
HOUR_NS = 3600 * S
SECONDS = 10.0
ADA = "a4:83:e7:00:00:01"

Change = Callable[[Any], dict[str, Any]]


def changed(messages: Sequence[Message], kind: type, change: Change) -> list[Message]:
    """Every message of one kind with other fields."""
    return [replace(m, **change(m)) if isinstance(m, kind) else m for m in messages]


def run(site: Site, messages: Sequence[Message]) -> tuple[Engine, list[Scene]]:
    """Step through; everything that comes out must be sane, encodable and restorable."""
    engine, scenes = Engine(site), []
    for message in messages:
        for out in engine.step(message):
            assert encode(decode(encode(out))) == encode(out)
            if isinstance(out, Scene):
                require_sane(out)
                scenes.append(out)
    state = engine.snapshot()
    assert len(state) < 500_000
    assert Engine.restore(site, state).snapshot() == state
    return engine, scenes


def require_sane(scene: Scene) -> None:
    for person in scene.people:
        xx, xy, yy = person.covariance_m2
        numbers = [person.x_m, person.y_m, *person.velocity_m_s, xx, xy, yy, *(p for _, p in person.candidates)]
        assert np.isfinite(numbers).all(), person
        assert xx > 0, person
        assert xx * yy - xy * xy > 0, person
        assert sum(p for _, p in person.candidates) == pytest.approx(1.0, abs=0.01)


def bodies(scene: Scene) -> set[int]:
    return {person.track for person in scene.people if person.track is not None}


def confirmed(scenes: Sequence[Scene]) -> list[tuple[int, str, int | None]]:
    return [(scene.t_ns, p.id, p.track) for scene in scenes for p in scene.people if p.state == "confirmed"]
