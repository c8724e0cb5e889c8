"""Faults on demand: what is broken, when, and what that does to bytes.

A specification is a list, split by commas or new lines, of `SENSOR:FAULT[=VALUE][@FROM-TO]`, times in seconds since
the simulation began; further faults of the same sensor and times follow without its name:

    radar-1:unplug@10-15, camera-1:silent@20-25, sniffer-2:offset=0.3, radar-1:byte_loss=0.001, bit_flips=0.0001

It only says what is broken and damages what it is given; twins ask it before they send.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

LOOK_S = 1.0  # how often the file of faults is looked at
SWITCHES = {"unplug": "the device is gone", "silent": "it is there and sends nothing"}
SHARES = {
    "byte_loss": "share of bytes lost",
    "bit_flips": "share of bits flipped",
    "cut_frames": "share of frames cut short",
}
SECONDS = {"offset": "its clock is wrong by this many seconds", "late": "it delivers this many seconds late"}
FAULTS = {**SWITCHES, **SHARES, **SECONDS}
_ENTRY = re.compile(
    r"(?:(?P<sensor>[^:=@\s]+):)?(?P<fault>\w+)(?:=(?P<value>[^@\s]+))?(?:@(?P<start>[\d.]+)-(?P<end>[\d.]*))?"
)


class FaultError(ValueError):
    """A fault specification that makes no sense; one sentence."""


@dataclass(frozen=True, slots=True)
class Fault:
    """sensor: an id, or "*" for all. value: 1 for switches. In force from start_s until before end_s."""

    sensor: str
    kind: str
    value: float
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Condition:
    """How one sensor is right now."""

    unplug: bool = False
    silent: bool = False
    byte_loss: float = 0.0
    bit_flips: float = 0.0
    cut_frames: float = 0.0
    offset: float = 0.0
    late: float = 0.0

    def damage(self, data: bytes, rng: np.random.Generator) -> bytes:
        """The bytes as they arrive: cut short, with bytes missing and bits flipped."""
        if self.cut_frames and rng.random() < self.cut_frames:
            data = data[: int(rng.integers(len(data)))]
        if not data or not (self.byte_loss or self.bit_flips):
            return data
        values = np.frombuffer(data, np.uint8)
        if self.bit_flips:
            flips = rng.random((len(values), 8)) < self.bit_flips
            values = values ^ np.packbits(flips, axis=1)[:, 0]
        return values[rng.random(len(values)) >= self.byte_loss].tobytes()


class Faults:
    """The faults in force: those of `specification`, and those in a file that may change while the simulation runs.

    Raises FaultError for a bad specification; a bad file keeps what was in force and sets `complaint`."""

    def __init__(
        self, specification: str, sensors: Collection[str], file: Path | None = None, clockless: Collection[str] = ()
    ) -> None:
        self._sensors, self._clockless = tuple(sensors), tuple(clockless)
        self._given = parse_faults(specification, self._sensors, self._clockless)
        self._switched: tuple[Fault, ...] = ()
        self._file = file
        self._text = ""
        self._looked_s = -LOOK_S
        self.complaint = ""

    def of(self, sensor: str, since_s: float) -> Condition:
        """The condition of one sensor `since_s` seconds after the simulation began."""
        self._look(since_s)
        values: dict[str, float] = {}
        for fault in (*self._given, *self._switched):
            if fault.sensor in (sensor, "*") and fault.start_s <= since_s < fault.end_s:
                values[fault.kind] = fault.value
        unplug, silent = bool(values.pop("unplug", 0)), bool(values.pop("silent", 0))
        return Condition(unplug, silent, **values)

    def _look(self, since_s: float) -> None:
        if self._file is None or since_s - self._looked_s < LOOK_S:
            return
        self._looked_s = since_s
        try:
            text = self._file.read_text(encoding="utf-8") if self._file.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            self.complaint = f"{self._file}: cannot be read: {error}"
            return
        if text == self._text:
            return
        self._text = text
        try:
            self._switched = parse_faults(text, self._sensors, self._clockless)
            self.complaint = ""
        except FaultError as error:
            self.complaint = f"{self._file}: {error}"


def parse_faults(specification: str, sensors: Collection[str], clockless: Collection[str] = ()) -> tuple[Fault, ...]:
    """The faults in a specification; `clockless` sensors send no times, so their clock cannot be wrong.

    Raises FaultError, naming the entry and what would be right."""
    faults: list[Fault] = []
    for entry in (part.strip() for part in re.split(r"[,\n]", specification)):
        if entry and not entry.startswith("#"):
            faults.append(_parse(entry, faults[-1] if faults else None, sensors))
            if faults[-1].kind == "offset" and faults[-1].sensor in clockless:
                raise FaultError(f'fault "{entry}": a radar sends no times, so its clock cannot be wrong; use late')
    return tuple(faults)


def _parse(entry: str, before: Fault | None, sensors: Collection[str]) -> Fault:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise FaultError(f'fault "{entry}": expected SENSOR:FAULT[=VALUE][@FROM-TO], like "radar-1:unplug@10-15"')
    sensor = match["sensor"] or (before.sensor if before else "")
    kind = match["fault"]
    if not sensor:
        raise FaultError(f'fault "{entry}": begins with no sensor; write SENSOR:{entry}, with one of {_list(sensors)}')
    if sensor != "*" and sensor not in sensors:
        raise FaultError(f'fault "{entry}": there is no simulated sensor "{sensor}"{_nearest(sensor, sensors)}')
    if kind not in FAULTS:
        raise FaultError(f'fault "{entry}": there is no fault "{kind}"{_nearest(kind, FAULTS)}')
    start, end = match["start"], match["end"]
    try:
        start_s, end_s = float(start or 0.0), float(end) if end else float("inf")
        value = _value(kind, match["value"])
    except ValueError as error:
        raise FaultError(f'fault "{entry}": {error}') from error
    if start is None and match["sensor"] is None and before:
        start_s, end_s = before.start_s, before.end_s
    if start_s >= end_s:
        raise FaultError(f'fault "{entry}": must begin before it ends')
    return Fault(sensor, kind, value, start_s, end_s)


def _value(kind: str, text: str | None) -> float:
    if kind in SWITCHES:
        if text is not None:
            raise ValueError(f"{kind} takes no value")
        return 1.0
    meaning = FAULTS[kind]
    try:
        value = float(text or "")
    except ValueError:
        raise ValueError(f"{kind} needs a number, {meaning}: {kind}=0.1") from None
    if kind in SHARES and not 0 <= value <= 1:
        raise ValueError(f"{kind} = {value:g} must lie between 0 and 1, {meaning}")
    if not np.isfinite(value) or (kind == "late" and value < 0):
        raise ValueError(f"{kind} = {value:g} must be finite{' and not negative' if kind == 'late' else ''}")
    return value


def _nearest(name: str, names: Collection[str]) -> str:
    near = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f': did you mean "{near[0]}"?' if near else f": there are {_list(names)}"


def _list(names: Collection[str]) -> str:
    return ", ".join(names) or "none"
