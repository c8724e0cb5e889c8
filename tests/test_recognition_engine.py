"""The engine with its memory of looks and gait: restorable at any message, and silent where the site file says so."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from whowhere.drivers.simulated.streams import streams
from whowhere.fusion.engine import Engine
from whowhere.fusion.models import Models
from whowhere.launch.simulation import published_for_simulation
from whowhere.launch.site_files import load_site
from whowhere.messages import Message, Truth, encode
from whowhere.nodes.models import models_of
from whowhere.sitefile import Site

ROOMS = Path(__file__).resolve().parents[1] / "launch" / "sites" / "rooms.toml"


@pytest.fixture(scope="module")
def site() -> Site:
    return published_for_simulation(load_site(ROOMS))


@pytest.fixture(scope="module")
def models(site: Site) -> Models:
    """Gait as shipped; looks by colour histograms, for streams without pixels have no embeddings."""
    return Models(gait=models_of(replace(site, models={"gait": "shipped"})).gait)


@pytest.fixture(scope="module")
def recorded(site: Site) -> list[Message]:
    return [message for message in streams(site, 70.0) if not isinstance(message, Truth)]


def outputs(engine: Engine, messages: list[Message]) -> list[bytes]:
    return [encode(out) for message in messages for out in engine.step(message)]


def test_a_restored_engine_remembers_byte_for_byte(site: Site, models: Models, recorded: list[Message]) -> None:
    recorded = recorded[: 2 * len(recorded) // 3]
    cut = int(len(recorded) * 0.7)
    engine = Engine(site, models)
    outputs(engine, recorded[:cut])
    gait = engine._recognition.gait
    assert gait is not None
    assert sum(len(p.content.windows) + len(p.content.walks) for p in [*gait.bodies.values(), *gait.gone]) >= 3
    restored = Engine.restore(site, engine.snapshot(), models)
    assert restored.snapshot() == engine.snapshot()
    assert outputs(restored, recorded[cut:]) == outputs(engine, recorded[cut:])
    assert restored.snapshot() == engine.snapshot()


def test_only_the_witnesses_of_the_site_file_are_heard(site: Site, models: Models, recorded: list[Message]) -> None:
    def heard(*witnesses: str) -> list[bytes]:
        fusion = replace(site.fusion, evidence=witnesses)
        varied = Engine(replace(site, fusion=fusion), models)
        return [body for body in outputs(varied, recorded) if b"checkpoint" not in body]

    alone = heard("rssi")
    assert heard("rssi", "gait") != alone
    assert Engine(replace(site, fusion=replace(site.fusion, evidence=("rssi",))), models)._recognition.looks is None
    nameless = heard("gait", "appearance")  # nobody was ever named: there is no gallery, so nobody can be
    assert not [body for body in nameless if b"confirmed" in body]
