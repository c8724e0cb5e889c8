"""From a recorded session to the sniffers' calibration: what `whowhere calibrate wifi` reads, says and writes.

Where a phone was is taken from the people whose names were confirmed while a sniffer heard it. It has no arithmetic of
its own: that is fusion/radio_fit.py's; nor does it move a sniffer that seems to stand elsewhere: it says so.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ..fusion.engine import Engine
from ..fusion.geometry import Floats
from ..fusion.radio_calibration import RadioCalibration
from ..fusion.radio_fit import EXPONENT_SD, RadioFit
from ..fusion.sniffer_positions import Suspect
from ..messages import INPUT_KINDS, Location, Message, WifiWindow, kind_of
from ..nodes.session import Session
from ..sitefile import Site, SiteError, Sniffer
from .errors import LaunchError
from .site_files import parse_site
from .whole_files import write_whole

NEAREST_NS = 300_000_000  # a confirmed place further than this in time from the window's middle is none
LEARNT = ("reference_dbm", "path_loss_exponent")
LOOSE = 0.5  # an exponent whose scatter is more than this share of its prior's is hardly better than the file's


class Calibrated(msgspec.Struct, frozen=True):
    """What a session says of a site's sniffers, and of how many people it says so."""

    site: Site
    fit: RadioFit
    suspects: list[Suspect]
    people: int

    @property
    def sniffers(self) -> tuple[Sniffer, ...]:
        """The site's sniffers with what was found in them, as far as it is worth writing down."""
        return tuple(
            replace(
                sniffer,
                reference_dbm=round(float(self.fit.reference_dbm[row]), 1),
                path_loss_exponent=round(float(self.fit.exponent[row]), 2),
            )
            for row, sniffer in enumerate(self.site.sniffers)
        )


def wifi(session: Session, again: bool = False) -> list[Calibrated]:
    """What was recorded says this; with `again` a second one: the same sensors fused with what was found.

    Raises LaunchError where nobody was confirmed while a sniffer heard them."""
    site = session.site()
    if not site.sniffers:
        raise LaunchError(f"{session.path}: this session's site has no sniffers, so there is no radio to calibrate")
    messages = list(session.messages())
    first = _calibrated(session.path, site, messages, messages)
    if not again:
        return [first]
    found = replace(site, sniffers=first.sniffers)
    return [first, _calibrated(session.path, site, messages, _fused(found, messages))]


def _calibrated(path: Path, site: Site, messages: list[Message], said: Iterable[Message]) -> Calibrated:
    enrolled = [identity for identity in site.identities if identity.consent]
    owner_of = {device: identity.name for identity in enrolled for device in identity.devices}
    device_row = {device: row for row, device in enumerate(owner_of)}
    sniffer_row = {sniffer.id: row for row, sniffer in enumerate(site.sniffers)}
    places = _confirmed(said)
    calibration = RadioCalibration(site.sniffers, len(device_row), site.area)
    windows = [m for m in messages if isinstance(m, WifiWindow) and m.source in sniffer_row]
    people: dict[str, None] = {}
    for window in sorted(windows, key=lambda window: (window.t_ns, window.source)):
        middle_ns = window.t_ns - round(window.window_s * 5e8)
        for device, rssi_dbm in zip(window.devices, window.rssi_dbm, strict=True):
            owner = owner_of.get(device, "")
            if owner in places and (place := _place(*places[owner], middle_ns)):
                row = device_row[device]
                calibration.observe(row, sniffer_row[window.source], float(rssi_dbm), *place, window.t_ns)
                people[owner] = None
    found = calibration.fit()
    if not found.readings.sum():
        raise LaunchError(
            f"{path}: nobody was confirmed while a sniffer heard their phone ({len(windows)} WiFi windows, "
            f"{len(places)} people ever confirmed), so there is nothing to calibrate from",
            f"whowhere check {path}",
        )
    return Calibrated(site, found, calibration.suspects(found), len(people))


def _confirmed(said: Iterable[Message]) -> dict[str, tuple[NDArray[np.int64], Floats, Floats]]:
    """Per name, in order of time: when it was confirmed to be a body (N,) ns, where (N,2) and how surely (N,2,2)."""
    rows: dict[str, list[tuple[float, ...]]] = {}
    for message in said:
        if isinstance(message, Location) and message.state == "confirmed":
            row = (message.t_ns, message.x_m, message.y_m, *message.covariance_m2)
            rows.setdefault(message.id, []).append(row)
    places = {}
    for name, found in rows.items():
        ordered = sorted(found)
        values = np.array([row[1:] for row in ordered], np.float64)
        covariance = values[:, [2, 3, 3, 4]].reshape(-1, 2, 2)
        places[name] = (np.array([row[0] for row in ordered], np.int64), values[:, :2], covariance)
    return places


def _place(t_ns: NDArray[np.int64], position: Floats, covariance: Floats, at_ns: int) -> tuple[Floats, Floats] | None:
    """Where somebody was at an instant, and its covariance; None if they were not confirmed then."""
    after = int(np.searchsorted(t_ns, at_ns))
    rows = [row for row in (after - 1, after) if 0 <= row < len(t_ns) and abs(int(t_ns[row]) - at_ns) <= NEAREST_NS]
    if not rows:
        return None
    nearest = min(rows, key=lambda row: abs(int(t_ns[row]) - at_ns))
    return position[nearest], covariance[nearest]


def _fused(site: Site, messages: list[Message]) -> Iterator[Message]:
    """What this version's engine says of recorded sensors under another site file."""
    engine = Engine(site)
    for message in messages:
        if kind_of(message) in INPUT_KINDS:
            yield from engine.step(message)


def figures(found: Calibrated) -> dict[str, object]:
    """The calibration as plain numbers, for --json; pairs are before and after, None where nothing was heard."""
    fit = found.fit
    sniffers = {}
    for row, (before, after) in enumerate(zip(found.site.sniffers, found.sniffers, strict=True)):
        sniffers[before.id] = {
            "reference_dbm": [before.reference_dbm, after.reference_dbm],
            "reference_sd_db": round(float(fit.reference_sd_db[row]), 2),
            "path_loss_exponent": [before.path_loss_exponent, after.path_loss_exponent],
            "exponent_sd": round(float(fit.exponent_sd[row]), 3),
            "residual_db": [_rounded(fit.residual_before_db[row]), _rounded(fit.residual_db[row])],
            "readings": int(fit.readings[row]),
        }
    return {
        "sniffers": sniffers,
        "residual_db": [_rounded(fit.all_residual_before_db), _rounded(fit.all_residual_db)],
        "readings": int(fit.readings.sum()),
        "people": found.people,
        "suspects": [msgspec.to_builtins(suspect) for suspect in found.suspects],
    }


def in_words(calibrated: list[Calibrated]) -> Iterator[str]:
    """What was found and how well, a sniffer or a figure a line."""
    found, *again = calibrated
    fit = found.fit
    yield f"{int(fit.readings.sum())} readings of {found.people} people whose names were confirmed"
    for row, (before, after) in enumerate(zip(found.site.sniffers, found.sniffers, strict=True)):
        if not fit.readings[row]:
            yield f"sniffer {before.id}: heard nobody who was confirmed; its values follow from the others'"
            continue
        loose = ", hardly better than the site file's" if fit.exponent_sd[row] > LOOSE * EXPONENT_SD else ""
        yield (
            f"sniffer {before.id}: reference_dbm {before.reference_dbm:.1f} -> {after.reference_dbm:.1f} "
            f"+- {fit.reference_sd_db[row]:.1f}, path_loss_exponent {before.path_loss_exponent:.2f} -> "
            f"{after.path_loss_exponent:.2f} +- {fit.exponent_sd[row]:.2f}{loose}; "
            f"residual {fit.residual_before_db[row]:.1f} -> {fit.residual_db[row]:.1f} dB, {fit.readings[row]} readings"
        )
    yield f"residual over all sniffers: {fit.all_residual_before_db:.1f} -> {fit.all_residual_db:.1f} dB"
    for suspect in found.suspects:
        yield f"{suspect.text}: measure its position_m again before you use this"
    for other in again:
        yield (
            f"fused again with it: {int(other.fit.readings.sum())} readings of {other.people} people, "
            f"residual {other.fit.all_residual_db:.1f} dB"
        )


def tables(found: Calibrated) -> str:
    """The sniffers' tables for the site file, with what was found in them."""
    plain = msgspec.to_builtins(Sniffer(id="any", source="any", position_m=(0.0, 0.0, 0.0)))
    always = ("id", "source", "position_m", *LEARNT)
    lines = []
    for sniffer in found.sniffers:
        values = msgspec.to_builtins(sniffer)
        kept = [key for key in values if key in always or values[key] != plain[key]]
        lines += ["[[sniffers]]", *(f"{key} = {json.dumps(values[key], ensure_ascii=False)}" for key in kept)]
    return "\n".join(lines) + "\n"


def write_into(path: Path, found: Calibrated) -> None:
    """Put what was found into a site file, which keeps its comments and everything else. Raises LaunchError."""
    try:
        text = path.read_text(encoding="utf-8")
        before = parse_site(text, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise LaunchError(f"{path}: cannot be read as a site file") from error
    missing = [s.id for s in found.sniffers if s.id not in [there.id for there in before.sniffers]]
    if missing:
        raise LaunchError(f"{path} has no sniffer {missing[0]}, which the session has: is it that site's file?")
    learnt = {sniffer.id: sniffer for sniffer in found.sniffers}
    wanted = tuple(
        replace(s, **{key: getattr(learnt[s.id], key) for key in LEARNT}) if s.id in learnt else s
        for s in before.sniffers
    )
    changed = "".join(_with_values(part, learnt) for part in re.split(r"(?m)^(?=[ \t]*\[)", text))
    if _parsed(changed) != replace(before, sniffers=wanted):
        raise LaunchError(f"{path}: its sniffers are written in a way that cannot be edited here; change them by hand")
    write_whole(path, changed)


def _with_values(part: str, learnt: dict[str, Sniffer]) -> str:
    """One table of a site file; a sniffer's with its new values, in place or after its last line."""
    name = re.search(r"""(?m)^[ \t]*id[ \t]*=[ \t]*["']([^"']*)["']""", part)
    if not re.match(r"[ \t]*\[\[\s*sniffers\s*\]\]", part) or not name or name[1] not in learnt:
        return part
    for key in LEARNT:
        line = f"{key} = {getattr(learnt[name[1]], key)}"
        part, count = re.subn(rf"(?m)^([ \t]*){key}[ \t]*=[ \t]*[^\s#]+", rf"\g<1>{line}", part)
        if not count:
            body = part.rstrip()
            part = f"{body}\n{line}{part[len(body) :] or chr(10)}"
    return part


def _parsed(text: str) -> Site | None:
    try:
        return parse_site(text)
    except SiteError:
        return None


def _rounded(value: float) -> float | None:
    return round(float(value), 2) if np.isfinite(value) else None
