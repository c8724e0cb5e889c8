"""`whowhere learn radiomap`: the next version of a radio map from a batch of scans, or the first one from a session.

The scans carry no places. The update is rehearsed on a part of them first and not given out where it would make things
worse: then no map is written, the sentence says why, and the exit status is 3.
"""

import argparse
import hashlib
import json
from pathlib import Path

from ..models.positioning.calibration import read_well
from ..models.radiomap.knn import calibrated
from ..models.radiomap.maps import FingerprintMap, load_map, save_map
from ..models.radiomap.rehearsal import Rehearsal, tried
from ..models.radiomap.scans import Scans, scans_from_csv
from ..nodes.session import Session
from .arguments import natural, new_file
from .errors import LaunchError
from .whole_files import write_whole

KEPT_OLD = 3  # exit status: nothing is wrong with the command, but the old map stays


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "scans",
        metavar="SCANS",
        nargs="?",
        help="a csv (t_s, then a column per access point, dBm) or a session (.mcap)",
    )
    parser.add_argument("--map", metavar="MAP", help="the radio map to bring up to date")
    parser.add_argument("--out", type=new_file, metavar="NEW", required=True, help="the file to write the new map to")
    parser.add_argument("--from-session", metavar="SESSION", help="make the first map of a site from confirmed people")
    parser.add_argument("--version", metavar="TEXT", help="of the new map (default: the old one's number and one more)")
    parser.add_argument("--seed", type=natural, default=0, help="of what is drawn by chance (default 0)")
    parser.add_argument("--report", type=new_file, metavar="FILE", help="write a page with heat maps before and after")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    if args.from_session:
        return _first(args)
    if not args.scans or not args.map:
        raise LaunchError("SCANS and --map are needed, or --from-session", "whowhere learn radiomap --help")
    old, scans = load_map(args.map), _read(Path(args.scans))
    result = tried(old, scans, version=args.version or next_version(old.version), seed=args.seed)
    if result.deployed:
        save_map(read_well(_with_origin(result.map, args)), args.out)
    if args.report:
        from .report.radiomap import radiomap_page

        write_whole(args.report, radiomap_page(old, result))
    print(json.dumps(_as_json(old, result)) if args.json else "\n".join(_in_words(old, result, args.out)))
    return 0 if result.deployed else KEPT_OLD


def next_version(version: str) -> str:
    """The number after a version's last one: "3" gives "4", "hall-9" "hall-10", "first" "first-2"."""
    digits = len(version) - len(version.rstrip("0123456789"))
    return f"{version[:-digits]}{int(version[-digits:]) + 1}" if digits else f"{version}-2"


def scans_of_session(session: Session) -> Scans:
    """All that the phones of a session heard, whoever carried them. Raises LaunchError where they heard nothing."""
    from ..messages import PhoneBatch

    found: list[tuple[float, dict[str, float]]] = []
    for message in session.messages():
        if isinstance(message, PhoneBatch) and message.scan:
            found.append((message.t_ns / 1e9 - message.scan_age_s, dict(message.scan)))
    if not found:
        raise LaunchError(f"{session.path}: no phone of this session heard an access point")
    import numpy as np

    found.sort(key=lambda scan: scan[0])
    bssids = tuple(sorted({bssid for _, scan in found for bssid in scan}))
    rssi = np.array([[scan.get(bssid, np.nan) for bssid in bssids] for _, scan in found], np.float32)
    return Scans(bssids, rssi, np.array([t_s for t_s, _ in found]))


def _first(args: argparse.Namespace) -> int:
    from .self_survey import from_session

    made = calibrated(from_session(Session(Path(args.from_session)), version=args.version or "1"), args.seed)
    made = read_well(made)
    save_map(made, args.out)
    print(f"{args.out}: {made.label}, {len(made.position_m)} fingerprints of {len(made.bssids)} access points")
    return 0


def _read(path: Path) -> Scans:
    if path.suffix == ".mcap":
        return scans_of_session(Session(path))
    try:
        return scans_from_csv(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise LaunchError(f"{path} is not text: a csv of scans or a session (.mcap) is needed") from error


def _with_origin(new: FingerprintMap, args: argparse.Namespace) -> FingerprintMap:
    """The map whose card also says which bytes it was made from."""
    origin = {name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in _sources(args)}
    return new.changed(card={**new.card, "sha256_of": origin})


def _sources(args: argparse.Namespace) -> list[tuple[str, str]]:
    return [("scans", args.scans), ("map", args.map)]


def _as_json(old: FingerprintMap, result: Rehearsal) -> dict[str, object]:
    card = result.map.card if result.deployed else {}
    return {
        "deployed": result.deployed,
        "reason": result.reason,
        "old": old.label,
        "in_force": result.map.label,
        "access_points": card.get("access_points", {}),
        "watched": card.get("counts", {}).get("watched", []),
        "offset_db": card.get("counts", {}).get("offset_db", 0.0),
        "metrics": result.metrics,
    }


def _in_words(old: FingerprintMap, result: Rehearsal, out: str) -> list[str]:
    lines = [result.reason]
    if result.update and result.deployed:
        found = result.update.changes
        for word, names in (("added", found.added), ("moved", found.moved), ("removed", found.removed)):
            lines.append(f"  {word:8} {len(names):4}  {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}")
        if watched := result.update.counts["watched"]:
            lines.append(
                f"  of the added {len(watched)} are watched: too little is heard of them to locate by them yet"
            )
        if offset_db := result.update.counts["offset_db"]:
            louder = "louder" if offset_db > 0 else "fainter"
            lines.append(f"  all scans were {abs(offset_db):.1f} dB {louder} than the map: that was taken back")
        for bssid, shift_db in found.shift_db.items():
            lines.append(f"  {bssid}: {shift_db:+.1f} dB everywhere")
    if result.metrics:
        stale, new = result.metrics["stale_survey_m"], result.metrics["updated_survey_m"]
        lines.append(
            f"  the survey's own fingerprints, located by what survived: {stale:.2f} m before, {new:.2f} m after"
        )
    lines.append(f"{out}: {result.map.label}" if result.deployed else f"nothing written: {old.label} stays in force")
    return lines
