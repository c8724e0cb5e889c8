"""The fusion node's start: what it remembers, what it catches up with, and what it does not take twice."""

from pathlib import Path

from whowhere.drivers.simulated.streams import EPOCH_NS, streams
from whowhere.fusion.engine import Engine
from whowhere.launch.site_files import load_site
from whowhere.messages import Checkpoint, Stamp, Truth, encode
from whowhere.nodes.bus import Received
from whowhere.nodes.fusion import admit, catch_up, is_new, with_ranges
from whowhere.nodes.ledger import Ledger

SITE = load_site(Path(__file__).parents[1] / "launch" / "sites" / "demo.toml")


def heard() -> list[Received]:
    sensed = [message for message in streams(SITE, 14.0) if not isinstance(message, Truth)]
    return [Received(m.topic, m, Stamp("boot-1", m.t_ns), encode(m)) for m in sensed]


def run(engine: Engine, ledger: Ledger, inputs: list[Received]) -> list[Checkpoint]:
    said = (
        with_ranges(message, ledger)
        for received in inputs
        if admit(received, ledger)
        for message in engine.step(received.message)
    )
    return [message for message in said if isinstance(message, Checkpoint)]


def test_a_restarted_node_catches_up_with_what_the_hub_remembers() -> None:
    """Killed 1 s after its last checkpoint and started again 2 s later, it stands where it would have stood."""
    inputs = heard()
    dies, comes_back = (next(i for i, r in enumerate(inputs) if r.message.t_ns > instant(s)) for s in (10.0, 12.0))
    engine, ledger = Engine(SITE), Ledger()
    checkpoint = run(engine, ledger, inputs[:dies])[-1]
    run(engine, ledger, inputs[dies:comes_back])
    again = Engine.restore(SITE, checkpoint.state)
    recent = inputs[dies - 150 : comes_back]  # some of it the dead process had taken in already
    fed = catch_up(again, checkpoint, recent)
    assert again.snapshot() == engine.snapshot()
    assert not any(is_new(received, fed) for received in recent)
    assert all(is_new(received, fed) for received in inputs[comes_back:])


def test_a_source_that_was_restarted_is_new() -> None:
    received = heard()[0]
    assert is_new(received, {received.topic: ("boot-0", 10**6)})


def test_nothing_is_fed_where_the_checkpoint_does_not_say_what_it_holds() -> None:
    begun = Engine(SITE).begin(1)[1]
    assert isinstance(begun, Checkpoint)
    assert catch_up(Engine(SITE), begun, heard()[:50]) == {}


def instant(since_start: float) -> int:
    return EPOCH_NS + round(since_start * 1e9)
