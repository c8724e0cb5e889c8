"""Who is recognised where: two rooms with cameras whose views do not meet, and one with a radar only.

    python tests/zones_evaluation.py --seeds 31-35 --seconds 120 > docs/results/zones.md's tables

The people of launch/sites/rooms.toml walk through drawn pictures, radar bytes and radio packets; the same streams are
fused with one witness more or less, and with one kind of sensor less. Generated data, all of it.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from seeds import seeds_in
from whowhere.fusion.engine import Engine
from whowhere.launch.evaluate.scoring import Instant, SessionScore, most_probable
from whowhere.launch.simulation import published_for_simulation, sensed
from whowhere.launch.site_files import load_site
from whowhere.messages import Message, kind_of
from whowhere.nodes.models import models_of
from whowhere.sitefile import Site

SITE = Path(__file__).resolve().parents[1] / "launch" / "sites" / "rooms.toml"
DOORWAYS_M = (5.0, 12.0)  # the walls between the rooms, x
ZONES = ("west camera", "radar only", "east camera")
EVIDENCE = {
    "rssi": ("rssi",),
    "rssi, appearance": ("rssi", "appearance"),
    "rssi, gait": ("rssi", "gait"),
    "all": ("rssi", "appearance", "gait"),
}
MISSING = {"all, no cameras": "camera", "all, no radar": "radar", "all, no sniffers": "wifi"}


class ByZone:
    """Of the time in which an enrolled person is seen in a zone: the share with their own name on their body."""

    def __init__(self) -> None:
        self.right, self.total = np.zeros(len(ZONES)), np.zeros(len(ZONES))

    def __call__(self, instant: Instant) -> None:
        if not instant.is_scored:
            return
        for row, name in enumerate(instant.truth.enrolled):
            if name and instant.truth.seen_by[row]:
                zone = int(np.searchsorted(DOORWAYS_M, instant.truth.position[row, 0]))
                body = instant.tracked[instant.owners[row]] if row in instant.owners else None
                self.total[zone] += instant.duration_s
                self.right[zone] += instant.duration_s * (body is not None and most_probable(body)[0] == name)


def scores(site: Site, heard: Iterable[Message], warm_up_s: float = 15.0) -> list[float]:
    """named right in each zone, in all of them and unseen, then the precision and recall of confirmed names, and the
    calibration error."""
    zones = ByZone()
    score = SessionScore(warm_up_s, zones)
    for message in fused(site, heard):
        score.add(message)
    result = score.result()
    by_zone = np.divide(zones.right, zones.total, out=np.full(len(ZONES), np.nan), where=zones.total > 0)
    confirmed = result["confirmed"]
    row = [*by_zone, result["named_right"], result["named_right_unseen"], confirmed["precision"], confirmed["recall"]]
    return [np.nan if value is None else float(value) for value in (*row, result["calibration"]["expected_error"])]


def fused(site: Site, heard: Iterable[Message]) -> Iterator[Message]:
    engine = Engine(site, models_of(site))
    for message in heard:
        yield message
        yield from engine.step(message)


COLUMNS = (*ZONES, "seen", "unseen", "precision", "recall", "calibration")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=seeds_in, default="31-35")
    parser.add_argument("--seconds", type=float, default=120.0)
    args = parser.parse_args()
    rows: dict[str, list[list[float]]] = {}
    plain = load_site(SITE)
    for seed in args.seeds:
        assert plain.simulated is not None
        site = replace(plain, simulated=replace(plain.simulated, seed=seed))
        heard = [message for _, message in sensed(site, args.seconds, False)]
        public = published_for_simulation(site)
        for name, witnesses in EVIDENCE.items():
            varied = replace(public, fusion=replace(public.fusion, evidence=witnesses))
            rows.setdefault(name, []).append(scores(varied, heard))
        for name, kind in MISSING.items():
            rows.setdefault(name, []).append(scores(public, [m for m in heard if kind_of(m) != kind]))
        print(seed, {name: [round(v, 2) for v in found[-1]] for name, found in rows.items()}, flush=True)
    print(f"| evidence | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    for name, found in rows.items():
        cells = [
            f"{np.nanmean(c):.2f} +- {np.nanstd(c):.2f}" if np.isfinite(c).any() else "-" for c in np.array(found).T
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
