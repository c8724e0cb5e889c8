"""The cables of simulated sensors: pulled and plugged in again from the page, by way of the simulator's faults file.

Real sensors have real cables; nothing here touches them. What else stands in the file stays there.
"""

import os
from pathlib import Path
from typing import Any

from ...sitefile import Camera, Radar, Site

FAULTS_FILE = "faults"  # in the run's folder; the simulator looks at it once a second


class Cables:
    """simulated: the sensors whose cable can be pulled (launch gave them paths in this run's folder)."""

    def __init__(self, site: Site, run_dir: str) -> None:
        self._file = Path(run_dir) / FAULTS_FILE
        self.simulated = [sensor.id for sensor in site.sensors if site.simulated and _is_twin(sensor, run_dir)]

    def pull(self, sensor: str, is_unplugged: bool) -> None:
        """Raises KeyError for a sensor that is not simulated, OSError where the file cannot be written."""
        if sensor not in self.simulated:
            raise KeyError(sensor)
        lines = [line for line in self._lines() if line != _entry(sensor)]
        if is_unplugged:
            lines.append(_entry(sensor))
        draft = self._file.with_suffix(".draft")
        draft.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        os.replace(draft, self._file)  # the simulator reads the old list or the new one, never half of one

    def as_message(self) -> dict[str, Any]:
        lines = self._lines()
        unplugged = [sensor for sensor in self.simulated if _entry(sensor) in lines]
        return {"kind": "cables", "simulated": self.simulated, "unplugged": unplugged}

    def _lines(self) -> list[str]:
        try:
            return self._file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return []  # nothing was pulled yet


def _entry(sensor: str) -> str:
    return f"{sensor}:unplug"


def _is_twin(sensor: Any, run_dir: str) -> bool:
    if not run_dir:
        return False
    if isinstance(sensor, Radar):
        return sensor.data_port.startswith(run_dir)
    if isinstance(sensor, Camera):
        return sensor.source.startswith("http://127.0.0.1:") and sensor.source.endswith(f"/{sensor.id}.mjpeg")
    return sensor.source.startswith(f"pcap:{run_dir}")
