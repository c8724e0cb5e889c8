"""The process table: which processes a site needs, one row each. The supervisor starts rows; it knows no radars."""

from dataclasses import dataclass, field
from typing import Literal

from ..nodes.node import NodeConfig
from ..sitefile import Site
from .wiring import Wiring

NODES = f"{__name__.split('.')[0]}.nodes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One row. module: absolute name of a module with main(config, stop).

    restart: on a crash, or never. stage: rows of a lower stage start first and stop last, so that the hub and the
    recorder see everything that the others have to say.
    """

    name: str
    module: str
    config: NodeConfig = field(repr=False)
    restart: Literal["crash", "never"] = "crash"
    stage: int = 1


def process_table(
    wiring: Wiring,
    *,
    record_to: str = "",
    sensors: bool = True,
) -> list[Process]:
    """The rows of a site: hub, recorder, page, fusion, positioning where phones have a radio map, each sensor, the
    phones' gateway where there are phones, and the simulator where something is simulated.

    record_to: the session file, "" for none. sensors: False leaves out their rows, and the simulator's.
    """
    rows = [_row(wiring, "hub", "hub", stage=0)]
    if record_to:
        rows.append(recorder_row(wiring, record_to))
    rows += [_row(wiring, "page", "page"), _row(wiring, "fusion", "fusion")]
    if wiring.public.phones and "radiomap" in wiring.public.models:  # what is played is located, too
        rows.append(_row(wiring, "positioning", "positioning"))
    if sensors:
        rows += _sensor_rows(wiring)
    return rows


def recorder_row(wiring: Wiring, out: str, name: str = "recorder") -> Process:
    """The row that writes everything the bus says into the session file `out`."""
    return _row(wiring, name, "recorder", stage=0, options={"out": out})


def player_row(wiring: Wiring, options: dict[str, str]) -> Process:
    """The row that plays a session onto the bus; it ends when the session does."""
    return _row(wiring, "player", "player", stage=2, options=options, restart="never")


def _sensor_rows(wiring: Wiring) -> list[Process]:
    site: Site = wiring.private
    rows = [_row(wiring, radar.id, "radar") for radar in site.radars]
    rows += [_row(wiring, camera.id, "camera") for camera in site.cameras]
    # Only these see hardware addresses: the node that hears them, and the simulator that sends them. Only the phones'
    # node and, of simulated phones, the simulator are given tokens.
    rows += [_row(wiring, sniffer.id, "wifi", private=True) for sniffer in site.sniffers]
    if site.phones:
        rows.append(_row(wiring, "phones", "phone", private=True))
    if wiring.is_simulated:
        rows.append(_row(wiring, "simulated", "simulated", private=True, options=wiring.options))
    return rows


def _row(
    wiring: Wiring,
    name: str,
    node: str,
    *,
    private: bool = False,
    stage: int = 1,
    options: dict[str, str] | None = None,
    restart: Literal["crash", "never"] = "crash",
) -> Process:
    site = wiring.private if private else wiring.public
    config = NodeConfig(name=name, site=site, run_dir=wiring.run_dir, options=options or {})
    return Process(name=name, module=f"{NODES}.{node}", config=config, restart=restart, stage=stage)
