"""What phones' own positions are worth: names and positions with sniffers, with phones, with both, and with parts of a
phone missing, in simulated sites. Makes the table of docs/results/phone_positions.md:

    python tests/phone_evaluation.py --seeds 61-66 --seconds 60
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from msgspec.structs import replace
from phone_truth import scores, with_phones
from seeds import seeds_in
from whowhere.drivers.simulated.phones_air import survey
from whowhere.drivers.simulated.streams import streams
from whowhere.launch.located import located
from whowhere.launch.simulation import arrivals
from whowhere.launch.site_files import load_site
from whowhere.messages import CameraFrame, Message, PhoneBatch, PhonePosition, RadarFrame, Truth, WifiWindow
from whowhere.models.positioning.calibration import read_well
from whowhere.models.positioning.live import PhoneLocator
from whowhere.models.radiomap.knn import Locator, calibrated
from whowhere.models.radiomap.maps import FingerprintMap
from whowhere.sitefile import Site

DEMO = Path(__file__).resolve().parents[1] / "launch" / "sites" / "demo.toml"
NOTHING = np.zeros((0, 4), "f4")
MISSING = {
    "mag": {"mag": NOTHING},
    "gyro, mag": {"gyro": NOTHING, "mag": NOTHING},
    "acc, gyro, mag": {"acc": NOTHING, "gyro": NOTHING, "mag": NOTHING},
}
EVIDENCE = {"rssi": (PhonePosition,), "position": (WifiWindow,), "rssi, position": ()}
WITHOUT = {"cameras": (CameraFrame,), "radars": (RadarFrame,)}


class Steps(Protocol):
    def step(self, batch: PhoneBatch) -> PhonePosition | None: ...


class Fixes:
    """The simplest locator: weighted k-nearest-neighbour on each scan, a random walk of 1 m2/s between. No sensor but
    the scans."""

    def __init__(self, radio_map: FingerprintMap) -> None:
        self._locator = Locator(radio_map)
        self._phones: dict[str, tuple[int, np.ndarray, np.ndarray]] = {}

    def step(self, batch: PhoneBatch) -> PhonePosition | None:
        fix = self._locator.locate(dict(batch.scan)) if batch.scan else None
        known = self._phones.get(batch.source)
        if known is None and fix is None:
            return None
        if known is None and fix is not None:
            mean, spread = fix.position_m, fix.covariance_m2
        else:
            assert known is not None
            mean, spread = known[1], known[2] + (batch.t_ns - known[0]) / 1e9 * np.eye(2)
            if fix is not None:
                gain = spread @ np.linalg.inv(spread + 1.5 * fix.covariance_m2)
                mean, spread = mean + gain @ (fix.position_m - mean), spread - gain @ spread
        self._phones[batch.source] = (batch.t_ns, mean, spread)
        (x, y), ((xx, xy), (_, yy)) = mean.tolist(), spread.tolist()
        return PhonePosition(
            source=batch.source, t_ns=batch.t_ns, x_m=x, y_m=y, covariance_m2=(xx, xy, yy), modalities=("wifi",)
        )


def mapped(site: Site) -> FingerprintMap:
    """A surveyor's map of the simulated site: 1 m grid, five scans a point; it says how it wants to be read."""
    bssids, places, levels = survey(site, 1.0, 5)
    return read_well(calibrated(FingerprintMap("demo", "1", bssids, places, levels.astype("f4"))))


def lacking(messages: Iterable[Message], fields: dict) -> Iterator[Message]:
    """The same stream from phones that lack some sensors."""
    return (replace(m, **fields) if isinstance(m, PhoneBatch) else m for m in messages)


def with_positions(messages: Iterable[Message], locator: Steps) -> list[Message]:
    """In order of arrival, with what the locator says of each batch as it arrives."""
    return [message for _, message in located(arrivals(iter(list(messages))), locator)]  # type: ignore[arg-type]


def own_errors(site: Site, messages: list[Message]) -> np.ndarray:
    """Of the phones' own positions: error in m and squared Mahalanobis distance (n, 2)."""
    truth = {m.t_ns: dict(zip(m.enrolled, m.position, strict=True)) for m in messages if isinstance(m, Truth)}
    owner = {phone.id: phone.owner for phone in site.phones}
    rows = []
    for m in (m for m in messages if isinstance(m, PhonePosition)):
        place = truth.get(m.t_ns, {}).get(owner[m.source])
        if place is not None:
            apart, (xx, xy, yy) = place - [m.x_m, m.y_m], m.covariance_m2
            rows.append((np.hypot(*apart), apart @ np.linalg.solve([[xx, xy], [xy, yy]], apart)))
    return np.array(rows).reshape(-1, 2)


FIGURES = ("named_right", "named_right_all", "precision", "recall", "error_m", "unseen_m", "calibration")


def figures(result: dict) -> list[float]:
    """The row of one seed, in the order of FIGURES; NaN where there is none."""
    row = [
        result["named_right"],
        result["named_right_all"],
        result["confirmed"]["precision"],
        result["confirmed"]["recall"],
        result["position_error_m"],
        result["position_error_by_state_m"].get("wireless"),
        result["calibration"]["expected_error"],
    ]
    return [np.nan if value is None else float(value) for value in row]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=seeds_in, default="61-66")
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    rows: dict[str, list[list[float]]] = {}
    own: dict[str, list[np.ndarray]] = {}
    for seed in args.seeds:
        site = with_phones(load_site(DEMO), seed)
        stream = list(streams(site, args.seconds))
        walker = {"": {}, **MISSING}
        made = {f"walking, no {k}" if k else "walking": lacking(stream, f) for k, f in walker.items()}
        made = {k: with_positions(m, PhoneLocator(mapped(site))) for k, m in made.items()}
        made["fixes"] = with_positions(stream, Fixes(mapped(site)))
        for kind, messages in made.items():
            own.setdefault(kind, []).append(own_errors(site, messages))
        table = {"rssi": (made["walking"], EVIDENCE["rssi"])}
        for kind, messages in made.items():
            table[f"position ({kind})"] = (messages, EVIDENCE["position"])
            table[f"rssi, position ({kind})"] = (messages, ())
        for name, kinds in WITHOUT.items():
            table[f"rssi, without {name}"] = (made["fixes"], (*kinds, PhonePosition))
            table[f"rssi, position (fixes), without {name}"] = (made["fixes"], kinds)
        for name, (messages, without) in table.items():
            rows.setdefault(name, []).append(figures(scores(site, messages, without)))
    print(f"| evidence | {' | '.join(FIGURES)} |\n|---|{'---|' * len(FIGURES)}")
    for name, found in rows.items():
        values = np.array(found)
        columns = [column[~np.isnan(column)] for column in values.T]
        cells = [f"{c.mean():.2f} +- {c.std():.2f}" if c.size else "none" for c in columns]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print("\n| locator | mean error m | median m | inside 1 sd (0.39) | inside 2 sd (0.86) |\n|---|---|---|---|---|")
    for kind, parts in own.items():
        values = np.concatenate(parts)
        row = (values[:, 0].mean(), np.median(values[:, 0]), *((values[:, 1] < r).mean() for r in (1.0, 4.0)))
        print(f"| {kind} | {' | '.join(f'{value:.2f}' for value in row)} |")


if __name__ == "__main__":
    main()
