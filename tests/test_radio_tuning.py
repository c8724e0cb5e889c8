"""What the engine learns of the radio: retuned in both models at once, said once, and kept over a restart."""

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.drivers.simulated.streams import streams
from whowhere.fusion.engine import SOURCE, Engine
from whowhere.fusion.evidence.rssi import Bodies
from whowhere.fusion.radio_tuning import RadioTuning
from whowhere.fusion.wireless import expected_dbm
from whowhere.messages import Event, Message, Scene, Truth, encode
from whowhere.sitefile import Site, Sniffer

S = 1_000_000_000
T0 = 1_760_000_000 * S
NEAR_M2 = 0.01 * np.eye(2)


@pytest.fixture(scope="module")
def recorded(site: Site) -> list[Message]:
    return [message for message in streams(site, 60.0) if not isinstance(message, Truth)]


def wrong(site: Site, reference_db: float, exponent: float) -> Site:
    def off(sniffer: Sniffer) -> Sniffer:
        reference_dbm = sniffer.reference_dbm + reference_db
        return replace(sniffer, reference_dbm=reference_dbm, path_loss_exponent=sniffer.path_loss_exponent + exponent)

    return replace(site, sniffers=tuple(off(sniffer) for sniffer in site.sniffers))


def teach(tuning: RadioTuning, true: tuple[Sniffer, ...], seed: int = 1, places: int = 300) -> None:
    """Exact readings of one device at random places, one a second."""
    rng = np.random.default_rng(seed)
    for second, at in enumerate(rng.uniform((0.5, 0.5), (11.5, 9.5), (places, 2))):
        for row, sniffer in enumerate(true):
            dbm = float(expected_dbm(sniffer, at[None])[0])
            tuning.calibration.observe(0, row, dbm, at, NEAR_M2, T0 + second * S)


def test_a_wrong_file_is_retuned_in_both_models_and_once_restored(site: Site) -> None:
    engine = Engine(wrong(site, 6.0, 0.8))
    teach(engine._hearing.tuning, site.sniffers)
    for tick in range(40):
        engine._hearing.tuning.update(SOURCE, T0 + tick * 10 * S)
    learnt = engine._hearing.tuning.calibration.sniffers
    for sniffer, right in zip(learnt, site.sniffers, strict=True):
        assert abs(sniffer.path_loss_exponent - right.path_loss_exponent) < 0.3
    restored = Engine.restore(engine.site, engine.snapshot())
    for fused in (engine, restored):
        assert fused._hearing.rssi._sniffers == learnt
        grid = fused._hearing.grid
        for row, sniffer in enumerate(learnt):
            assert np.array_equal(grid._expected[row], expected_dbm(sniffer, grid.cells))
    assert restored.snapshot() == engine.snapshot()


@pytest.mark.parametrize("reference_db", [0.0, 8.0])
def test_a_right_exponent_stays(site: Site, reference_db: float) -> None:
    """Wrong references alone are left to the offsets, which are integrated out."""
    engine = Engine(wrong(site, reference_db, 0.0))
    teach(engine._hearing.tuning, site.sniffers)
    for tick in range(40):
        engine._hearing.tuning.update(SOURCE, T0 + tick * 10 * S)
    assert engine._hearing.tuning.calibration.sniffers == engine.site.sniffers


def test_learnt_offsets_stay_right_when_the_sniffers_are_retuned(site: Site) -> None:
    """A sniffer that is expected to hear 6 dB more has offsets that are almost 6 dB less, as far as they were
    learnt: of a known device much the same is expected, of one never heard the new belief is."""
    engine = Engine(site)
    at = np.array([[3.0, 3.0]])
    rssi, (first, *_) = engine._hearing.rssi, site.sniffers
    rssi.add(np.ones((len(rssi.mean), 1)))
    dbm = float(expected_dbm(first, at)[0]) + 5.0
    for second in range(300):
        body = Bodies(at, NEAR_M2[None], np.array([0.5 * second]))
        rssi.hear(0, 0, dbm, T0 + second * 10 * S, rssi.paths(0, body))
    before, unheard = rssi.mean[0, 1, 0], rssi.mean[1].copy()
    assert before > 3.0
    louder = tuple(replace(sniffer, reference_dbm=sniffer.reference_dbm + 6.0) for sniffer in site.sniffers)
    rssi.retune(louder, np.full(len(louder), 6.0))
    assert -6.0 <= rssi.mean[0, 1, 0] - before < -4.5
    assert np.array_equal(rssi.mean[1], unheard)


def test_a_misplaced_sniffer_is_named_once_also_over_a_restart(site: Site) -> None:
    """The file has the first two exchanged."""
    first, second, *others = site.sniffers
    swapped = (replace(first, position_m=second.position_m), replace(second, position_m=first.position_m), *others)
    engine = Engine(replace(site, sniffers=swapped))
    teach(engine._hearing.tuning, site.sniffers)
    said = [out for tick in range(4) for out in engine._hearing.tuning.update(SOURCE, T0 + tick * 30 * S)]
    assert all(isinstance(event, Event) and event.type == "warning" for event in said)
    assert sorted(event.id for event in said if isinstance(event, Event)) == [first.id, second.id]
    restored = Engine.restore(engine.site, engine.snapshot())
    assert restored._hearing.tuning.update(SOURCE, T0 + 600 * S) == []


def test_an_engine_restored_after_retuning_goes_on_byte_for_byte(site: Site, recorded: list[Message]) -> None:
    engine = Engine(wrong(site, 0.0, 1.5))
    cut = int(0.8 * len(recorded))
    for message in recorded[:cut]:
        engine.step(message)
    assert engine._hearing.tuning.calibration.sniffers != engine.site.sniffers
    assert engine._clocks.state()["lags"]["places"]
    restored = Engine.restore(engine.site, engine.snapshot())
    for message in recorded[cut:]:
        assert [encode(out) for out in restored.step(message)] == [encode(out) for out in engine.step(message)]
    assert restored.snapshot() == engine.snapshot()


def test_what_is_learnt_is_begun_anew_when_the_clock_is_set_back(site: Site, recorded: list[Message]) -> None:
    """Otherwise nothing could be learnt until the old time is reached again."""
    engine = Engine(site)
    half = len(recorded) // 2
    back = [replace(message, t_ns=message.t_ns - 3600 * S) for message in recorded[half:]]
    said = [out for message in recorded[:half] + back for out in engine.step(message)]
    warnings = [out for out in said if isinstance(out, Event) and out.type == "warning"]
    assert [event.text for event in warnings] == ["time has gone back: everything begins anew"]
    assert 0 < max(engine._hearing.tuning.state()["calibration"]["heard_ns"].flat) < recorded[0].t_ns
    scenes = [out for out in said if isinstance(out, Scene)]
    assert [scene.seq for scene in scenes] == list(range(len(scenes)))
    assert scenes[-1].t_ns < recorded[0].t_ns
