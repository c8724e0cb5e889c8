"""A simulated site with phones, its radio map and its models: recorded, and verified byte for byte."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from phone_truth import with_phones
from whowhere.drivers.simulated.phones_air import survey
from whowhere.launch.evaluate.session import evaluate_session
from whowhere.launch.simulation import Simulation, published_for_simulation, sensed
from whowhere.launch.verify import verify
from whowhere.messages import PhonePosition
from whowhere.models.radiomap.knn import calibrated
from whowhere.models.radiomap.maps import FingerprintMap, save_map
from whowhere.nodes.session import Session
from whowhere.sitefile import Site


@pytest.fixture(scope="module")
def recording(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phones")
    phoned = with_phones(site, 51)
    bssids, places, levels = survey(phoned, 1.5, 3)
    save_map(calibrated(FingerprintMap("demo", "1", bssids, places, levels.astype("f4"))), folder / "demo.map")
    phoned = replace(phoned, models={"radiomap": str(folder / "demo.map")})
    out = folder / "phones.mcap"
    Simulation(published_for_simulation(phoned), out).run(sensed(phoned, 40.0, True))
    return out


def test_positions_are_in_the_recording_once_each(recording: Path) -> None:
    positions = [m for m in Session(recording).messages() if isinstance(m, PhonePosition)]
    assert len(positions) > 100
    assert {m.map for m in positions} == {"demo:1"}
    for phone in {m.source for m in positions}:
        numbers = [m.seq for m in positions if m.source == phone]
        assert numbers == list(range(len(numbers)))


def test_the_replay_says_the_same_bytes(recording: Path) -> None:
    outcome = verify(recording)
    assert outcome.is_identical
    assert not outcome.unverifiable
    assert outcome.compared["scene"] > 150


def test_names_are_right_with_both_kinds_of_evidence(recording: Path) -> None:
    assert evaluate_session(recording)["named_right"] > 0.6
