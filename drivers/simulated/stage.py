"""All virtual twins of a site on one stage, driven by whoever calls `step` with the time; the node does, in real time.

It starts no process and publishes nothing. The only threads are the HTTP server's, one for each viewer of a camera,
and one that uploads what simulated phones measure.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from ...messages import Truth
from ...sitefile import SIMULATED, Site, Sniffer
from .camera import CameraTwin, MjpegServer
from .faults import Condition, Faults
from .phones import simulated_phones
from .phones_twin import Courier, PhoneTwin
from .radar import RadarTwin
from .radio import Air
from .streams import TRUTH_PERIOD_NS, Witness
from .wifi import SnifferTwin
from .world import World

FAULTS_FILE = "faults"  # in run_dir; rewrite it to break and mend things while the simulation runs
LATE_TRUTHS = 10  # further behind than this, truth skips ahead


class Twin(Protocol):
    id: str

    @property
    def counters(self) -> Mapping[str, int]: ...
    def step(self, now_ns: int, condition: Condition) -> int: ...
    def close(self) -> None: ...


class Stage:
    """The simulated sensors of `site` (wired: their ports lie in `run_dir`) from `now_ns` on; a context manager.

    faults: see `faults`. Raises FaultError, SiteError, DeviceRefused (http_port is taken), each with one sentence."""

    def __init__(self, site: Site, run_dir: Path, epoch_ns: int, now_ns: int, http_port: int, faults: str = "") -> None:
        self.world = World(site, epoch_ns)
        radars = [radar for radar in site.radars if Path(radar.data_port).parent == run_dir]
        cameras = [camera for camera in site.cameras if camera.source.endswith(f":{http_port}/{camera.id}.mjpeg")]
        sniffers = [s for s in site.sniffers if Path(s.source.removeprefix("pcap:")).parent == run_dir]
        phones = simulated_phones(self.world)
        told = [phone for phone in site.phones if phone.source == SIMULATED]
        ids = [sensor.id for sensor in (*radars, *cameras, *sniffers, *told)]
        self.faults = Faults(faults, ids, run_dir / FAULTS_FILE, [radar.id for radar in radars])
        self._witness = Witness(self.world)
        self.world.people_at(now_ns)  # catch up before anything is promised
        screens = [CameraTwin(self.world, camera, now_ns) for camera in cameras]
        self._twins: list[Twin] = [RadarTwin(self.world, radar, run_dir) for radar in radars]
        self._twins += screens
        self._twins += _sniffer_twins(self.world, sniffers, run_dir, now_ns)
        self._courier = Courier(site.gateway, len(phones)) if phones else None
        if self._courier:
            carried: list[Twin] = [PhoneTwin(each, self._courier, row, now_ns) for row, each in enumerate(phones)]
            self._twins += carried
        self._server = MjpegServer(http_port, {twin.id: twin.screen for twin in screens})
        self._due = {twin.id: now_ns for twin in self._twins}
        self._truth_ns = now_ns

    def __enter__(self) -> Self:
        self._server.__enter__()
        if self._courier:
            self._courier.__enter__()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for twin in self._twins:
            twin.close()
        if self._courier:
            self._courier.__exit__(kind, error, trace)
        self._server.__exit__(kind, error, trace)

    @property
    def counters(self) -> dict[str, int]:
        return {f"{twin.id} {name}": n for twin in self._twins for name, n in twin.counters.items()}

    def step(self, now_ns: int) -> list[Truth]:
        """Do everything that is due; returns the truth that is due."""
        since_s = (now_ns - self.world.epoch_ns) / 1e9
        for twin in self._twins:
            if self._due[twin.id] <= now_ns:
                self._due[twin.id] = twin.step(now_ns, self.faults.of(twin.id, since_s))
        truths = []
        if now_ns - self._truth_ns > LATE_TRUTHS * TRUTH_PERIOD_NS:
            self._truth_ns = now_ns
        while self._truth_ns <= now_ns:
            truths.append(self._witness.truth(self._truth_ns))
            self._truth_ns += TRUTH_PERIOD_NS
        return truths

    def rest_s(self, now_ns: int) -> float:
        """How long nothing is due."""
        return max(min((*self._due.values(), self._truth_ns)) - now_ns, 0) / 1e9


def _sniffer_twins(world: World, sniffers: Sequence[Sniffer], run_dir: Path, now_ns: int) -> list[SnifferTwin]:
    air = Air(world)
    return [SnifferTwin(air, sniffer, run_dir, now_ns) for sniffer in sniffers]
