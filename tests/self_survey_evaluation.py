"""How good a map a site makes of itself, by minutes walked, against a surveyor's, and with wrong matches. Makes the
tables of docs/results/phone_positions.md:

    python tests/self_survey_evaluation.py --seeds 71-73 --minutes 15
"""

import argparse
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from phone_evaluation import mapped
from phone_truth import with_phones
from seeds import seeds_in
from whowhere.drivers.simulated.streams import EPOCH_NS, streams
from whowhere.fusion.engine import Engine
from whowhere.launch import self_survey
from whowhere.launch.site_files import load_site
from whowhere.messages import Location, Message, PhoneBatch, Truth
from whowhere.models.radiomap.knn import Locator
from whowhere.models.radiomap.maps import FingerprintMap, MapError
from whowhere.models.radiomap.selfsurvey import LabelledScan, survey
from whowhere.sitefile import Site

DEMO = Path(__file__).resolve().parents[1] / "launch" / "sites" / "demo.toml"
HELD_OUT_S = 300.0  # the session's end: scans there are located, with the truth
WALKED = (1, 2, 4, 7, 10)  # minutes of the session
WRONG_M = 1.5
Held = list[tuple[dict[str, float], np.ndarray]]


def session(seed: int, minutes: float) -> tuple[Site, list[Message]]:
    """A simulated session with what the engine said of it: sniffers and cameras name people, phones only listen."""
    site = with_phones(load_site(DEMO), seed)
    engine, messages = Engine(site), []
    for message in streams(site, minutes * 60):
        if isinstance(message, PhoneBatch):
            nothing = np.zeros((0, 4), "f4")
            message = replace(message, acc=nothing, gyro=nothing, mag=nothing)
        if isinstance(message, PhoneBatch | Truth):
            messages.append(message)
        else:
            messages += [out for out in engine.step(message) if isinstance(out, Location)]
    return site, messages


def places(site: Site, messages: list[Message]) -> tuple[np.ndarray, list[dict[str, np.ndarray]], dict[str, str]]:
    """Times (n,) ns and where each enrolled person was then; per phone its owner."""
    truths = [m for m in messages if isinstance(m, Truth)]
    where = [dict(zip(m.enrolled, m.position, strict=True)) for m in truths]
    return np.array([m.t_ns for m in truths]), where, {phone.id: phone.owner for phone in site.phones}


def true_place(found: tuple, phone: str, t_ns: int) -> np.ndarray | None:
    times, where, owner = found
    return where[min(int(np.searchsorted(times, t_ns)), len(where) - 1)].get(owner[phone])


def held_out(site: Site, messages: list[Message], from_ns: int) -> Held:
    """Scans from then on and where they were truly taken, on the plan."""
    found, held = places(site, messages), []
    for m in messages:
        if isinstance(m, PhoneBatch) and m.scan and m.t_ns >= from_ns:
            place = true_place(found, m.source, m.t_ns - round(m.scan_age_s * 1e9))
            if place is not None:
                held.append((dict(m.scan), place))
    return held


def error(radio_map: FingerprintMap, held: Held) -> tuple[float, float]:
    """Mean error of single scans in m; share inside the 90 % ellipse."""
    locator, errors, inside = Locator(radio_map), [], []
    for scan, place in held:
        if fix := locator.locate(scan):
            apart = fix.position_m - place
            errors.append(float(np.hypot(*apart)))
            inside.append(apart @ np.linalg.solve(fix.covariance_m2, apart) < 4.605)
    return float(np.mean(errors)), float(np.mean(inside))


def exchanged(scans: list[LabelledScan], share: float, rng: np.random.Generator) -> list[LabelledScan]:
    """The labels with more wrong matches: for 20 s each, somebody else's place at the time."""
    nearest: dict[tuple[str, int], LabelledScan] = {(s.phone, s.t_ns // 3_000_000_000): s for s in scans}
    phones = sorted({s.phone for s in scans})
    drawn: dict[tuple[str, int], int] = {}
    made = []
    if len(phones) < 2:
        return scans
    for scan in scans:
        stretch = (scan.phone, scan.t_ns // 20_000_000_000)
        if stretch not in drawn:
            drawn[stretch] = int(rng.integers(1, len(phones))) if rng.random() < share else 0
        other = phones[(phones.index(scan.phone) + drawn[stretch]) % len(phones)]
        there = nearest.get((other, scan.t_ns // 3_000_000_000), scan)
        made.append(LabelledScan(scan.t_ns, scan.phone, scan.scan, there.place, scan.probability))
    return made


def plain(scans: list[LabelledScan]) -> FingerprintMap:
    """Every label believed."""
    bssids = tuple(sorted({bssid for scan in scans for bssid in scan.scan}))
    levels = np.array([[scan.scan.get(bssid, np.nan) for bssid in bssids] for scan in scans], np.float32)
    return FingerprintMap("plain", "1", bssids, np.array([scan.place for scan in scans]), levels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=seeds_in, default="71-73")
    parser.add_argument("--minutes", type=float, default=15.0)
    args = parser.parse_args()
    rows: dict[str, list[tuple[float, ...]]] = {}
    for seed in args.seeds:
        site, messages = session(seed, args.minutes)
        held = held_out(site, messages, EPOCH_NS + round((args.minutes * 60 - HELD_OUT_S) * 1e9))
        found, rng = places(site, messages), np.random.default_rng(seed)
        rows.setdefault("surveyed, 1 m grid, 5 scans each", []).append(
            (np.nan, np.nan, np.nan, *error(mapped(site), held))
        )
        all_scans = self_survey.labelled(site, messages)
        for walked in WALKED:
            scans = [s for s in all_scans if s.t_ns < EPOCH_NS + walked * 60e9]
            for name, share in (("", 0.0), (", 30 % exchanged", 0.3)):
                labels = exchanged(scans, share, rng) if share else scans
                apart = [
                    np.hypot(*(s.place - there)) > WRONG_M
                    for s in labels
                    if (there := true_place(found, s.phone, s.t_ns)) is not None
                ]
                try:
                    made = survey(labels, "demo")
                except MapError:
                    continue
                doubted = made.card["contradicted"] / made.card["scans"]
                about = (self_survey.minutes(labels), float(np.mean(apart)), doubted)
                rows.setdefault(f"session of {walked:g} min{name}", []).append((*about, *error(made, held)))
                if share:
                    every = (*about[:2], 0.0, *error(plain(labels), held))
                    rows.setdefault(f"session of {walked:g} min{name}, all believed", []).append(every)
    heads = ("map", "walked, added up, min", "labels > 1.5 m wrong", "left out", "error m", "inside 90 %")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, values in rows.items():
        mean, spread = np.mean(values, axis=0), np.std(values, axis=0)
        about = ["-" if np.isnan(mean[0]) else f"{mean[0]:.1f}"] + [
            "-" if np.isnan(m) else f"{m:.0%}" for m in mean[1:3]
        ]
        print(f"| {name} | {' | '.join(about)} | {mean[3]:.2f} +- {spread[3]:.2f} | {mean[4]:.2f} |")


if __name__ == "__main__":
    main()
