"""How well the product does in the other world, beside an oracle that is told who is who.

    python tests/otherworld_score.py --seeds 1-5 --seconds 120 [--looks none|alike|normal]

The oracle knows of each box whose it is and nothing else that the product does not: a constant-velocity Kalman filter
per person on the same boxes with the same clocks, held with a fading velocity while unseen. It shares no code with
fusion. Errors of both are means over the same instants: those at which the product publishes that identity.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from whowhere.fusion.engine import Engine
from whowhere.launch.evaluate.reliability import pooled
from whowhere.launch.evaluate.scoring import bodies, match, most_probable
from whowhere.launch.evaluate.session import evaluate
from whowhere.launch.evaluate.truth import Timeline
from whowhere.messages import Message, Scene, Truth
from whowhere.sitefile import Site

sys.path.insert(0, str(Path(__file__).parent))
from otherworld import Options, Sighting, build
from otherworld_cameras import EDGE_SD, Lens, lens_of
from seeds import seeds_in

WARM_UP_S = 15.0
ACCELERATION_M_S2, WALKING_M_S = 0.6, 0.8  # process noise; what is known of a velocity at first
FADE_S, KNOWN_S = 1.0, 0.6  # an unseen person's velocity fades; unseen for longer than KNOWN_S it is extrapolated
TALL_M = 1.72  # where the feet are cut off, the top of the box is that high
Array = NDArray[np.float64]


class Filter:
    """One person's position and velocity (4,), from that person's own boxes."""

    def __init__(self, t_s: float, place: Array, noise: Array) -> None:
        self.t_s, self.state = t_s, np.array([*place, 0.0, 0.0])
        self.spread = np.zeros((4, 4))
        self.spread[:2, :2], self.spread[2:, 2:] = noise, WALKING_M_S**2 * np.eye(2)

    def moved(self, t_s: float) -> tuple[Array, Array]:
        """The state and its covariance at a later time; the velocity fades where that is long after the last box."""
        step = max(t_s - self.t_s, 0.0)
        steady = min(step, KNOWN_S)
        reach = steady + FADE_S * (1 - np.exp(-(step - steady) / FADE_S))
        kept = np.exp(-(step - steady) / FADE_S)
        move = np.block([[np.eye(2), reach * np.eye(2)], [np.zeros((2, 2)), kept * np.eye(2)]])
        share = np.array([[step**3 / 3, step**2 / 2], [step**2 / 2, step]]) * ACCELERATION_M_S2**2
        return move @ self.state, move @ self.spread @ move.T + np.kron(share, np.eye(2))

    def update(self, t_s: float, place: Array, noise: Array) -> None:
        state, spread = self.moved(t_s)
        gain = spread[:, :2] @ np.linalg.inv(spread[:2, :2] + noise)
        self.state = state + gain @ (place - state[:2])
        self.spread = spread - gain @ spread[:2]
        self.t_s = max(t_s, self.t_s)


class Oracle:
    """Where everybody is who has been seen, for somebody who is told whose each box is."""

    def __init__(self, site: Site, sightings: list[Sighting]) -> None:
        self._cameras = {camera.id: (lens_of(camera), camera.detector.foot_margin) for camera in site.cameras}
        self._size = np.array([site.area.x_m[1], site.area.y_m[1]])
        self._sightings, self._next = sightings, 0
        self._filters: dict[str, Filter] = {}

    def places(self, t_ns: int) -> dict[str, Array]:
        """Each known person's (2,) position by all boxes until `t_ns`; ask in order of time."""
        while self._next < len(self._sightings) and self._sightings[self._next].t_ns <= t_ns:
            self._take(self._sightings[self._next])
            self._next += 1
        return {who: np.clip(f.moved(t_ns / 1e9)[0][:2], 0, self._size) for who, f in self._filters.items()}

    def _take(self, sighting: Sighting) -> None:
        lens, margin = self._cameras[sighting.camera]
        found = on_floor(lens, sighting.box, margin)
        if found is None:
            return
        t_s = sighting.t_ns / 1e9
        known = self._filters.get(sighting.person)
        if known is None or t_s - known.t_s > 15.0:  # after so long it is as if they came in
            self._filters[sighting.person] = Filter(t_s, *found)
        else:
            known.update(t_s, *found)


def on_floor(lens: Lens, box: Array, margin: float) -> tuple[Array, Array] | None:
    """(2,) the place of a body and its covariance (2,2) m2, from its feet, or its head where the feet are cut off."""
    left, top, wide, tall = box
    u, feet, height = left + wide / 2, top + tall * (1 - margin), 0.0
    if top + tall > lens.size[1] - 2:
        feet, height = top, TALL_M
    if height and top < 2:
        return None
    sd = np.array([EDGE_SD / np.sqrt(2), EDGE_SD]) * max(tall, 20.0)
    points = [lens.on_plane(u, feet, height), lens.on_plane(u + 1, feet, height), lens.on_plane(u, feet + 1, height)]
    if points[0] is None or points[1] is None or points[2] is None:
        return None
    slope = np.column_stack([points[1] - points[0], points[2] - points[0]])
    noise = slope @ np.diag(sd**2) @ slope.T + (0.15 if height else 0.05) ** 2 * np.eye(2)
    return (points[0], noise) if np.hypot(*(points[0] - lens.place[:2])) < 25 else None


class Shares:
    """Of what visible device-time consists, and the product's errors beside the oracle's at the same instants."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle, self.timeline = oracle, Timeline()
        self.waiting: list[Scene] = []
        self.counts = dict.fromkeys(("right", "wrong", "unknown", "no_track"), 0)
        self.product: dict[str, list[float]] = {"seen": [], "all": []}
        self.ideal: dict[str, list[float]] = {"seen": [], "all": []}
        self.published = [0, 0]

    def add(self, message: Message) -> None:
        if isinstance(message, Truth):
            self.timeline.add(message)
        elif isinstance(message, Scene):
            self.waiting.append(message)
        while self.waiting and self.waiting[0].t_ns <= (self.timeline.last_ns or -1):
            self._score(self.waiting.pop(0))

    def _score(self, scene: Scene) -> None:
        truth, places = self.timeline.at(scene.t_ns), self.oracle.places(scene.t_ns)
        if truth is None or scene.t_ns < (self.timeline.first_ns or 0) + WARM_UP_S * 1e9:
            return
        tracked = bodies(scene.people)
        owners = match(truth, tracked)
        named = {person.id: person for person in scene.people if person.state != "anonymous"}
        for row, name in enumerate(truth.enrolled):
            if not name:
                continue
            if truth.seen_by[row]:
                best = most_probable(tracked[owners[row]])[0] if row in owners else None
                kind = "no_track" if best is None else "right" if best == name else best
                self.counts[kind if kind in self.counts else "wrong"] += 1
            self.published[0] += name in named
            self.published[1] += 1
            if name in named and name in places:
                place = np.array([named[name].x_m, named[name].y_m])
                for when in ("seen", "all") if truth.seen_by[row] else ("all",):
                    self.product[when].append(float(np.hypot(*(place - truth.position[row]))))
                    self.ideal[when].append(float(np.hypot(*(places[name] - truth.position[row]))))

    def result(self) -> dict[str, Any]:
        total = max(sum(self.counts.values()), 1)
        result: dict[str, Any] = {f"share_{kind}": count / total for kind, count in self.counts.items()}
        for when in ("seen", "all"):
            product, ideal = mean(self.product[when]), mean(self.ideal[when])
            ratio = product / ideal if product is not None and ideal else None
            result |= {f"error_{when}_m": product, f"oracle_{when}_m": ideal, f"ratio_{when}": ratio}
        return {**result, "published": self.published[0] / max(self.published[1], 1)}


def score(
    seed: int, engine_factory: Callable[[Site], Any] = Engine, seconds: float = 120.0, people: int | None = None,
    **variations: Any,
) -> dict[str, Any]:  # fmt: skip
    """Scores of one world: see RESULTS, and `evaluation` as launch/evaluate gives it. Shares, metres, seconds."""
    world = build(seed, seconds, people, Options(**variations))
    shares = Shares(Oracle(world.site, world.sightings))
    spent = [0.0]

    def stream() -> Iterator[tuple[Message, int | None]]:
        engine = engine_factory(world.site)
        for message in world.messages:
            outputs = []
            if not isinstance(message, Truth):
                start = time.process_time()
                outputs = engine.step(message)
                spent[0] += time.process_time() - start
            for each in (message, *outputs):
                shares.add(each)
                yield each, None

    evaluation = evaluate(stream(), WARM_UP_S)
    return {
        "seed": seed,
        "people": world.walks.place.shape[1],
        "named_right": evaluation["named_right"],
        **shares.result(),
        "precision": evaluation["confirmed"]["precision"],
        "recall": evaluation["confirmed"]["recall"],
        "calibration_error": evaluation["calibration"]["expected_error"],
        "engine_s": spent[0],
        "evaluation": evaluation,
    }


def mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


COLUMNS = {
    "named": "named_right", "notrack": "share_no_track", "wrong": "share_wrong", "unknown": "share_unknown",
    "precis.": "precision", "recall": "recall", "seen m": "error_seen_m", "oracle": "oracle_seen_m",
    "ratio": "ratio_seen", "all m": "error_all_m", "oracle ": "oracle_all_m", "ratio ": "ratio_all",
    "publ.": "published", "ece": "calibration_error", "cpu s": "engine_s",
}  # fmt: skip


def line(label: str, row: dict[str, Any]) -> str:
    shown = ("-" if row[key] is None else f"{row[key]:.3f}" for key in COLUMNS.values())
    return f"{label:>5} " + " ".join(f"{text:>8}" for text in shown)


def average(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean over seeds of each column, over those that have it."""
    return {key: mean([row[key] for row in rows if row[key] is not None]) for key in COLUMNS.values()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=seeds_in, default="1-5")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--people", type=int)
    parser.add_argument("--looks", choices=("normal", "alike", "none"), default="normal")
    parser.add_argument("--wrong-radio", action="store_true", help="the site file's path loss is off")
    parser.add_argument("--burst", type=float, default=3.0, help="packets that a phone sends at once, in the mean")
    parser.add_argument("--json", help="a file for all results")
    asked = parser.parse_args()
    looks = False if asked.looks == "none" else asked.looks
    print(" seed " + " ".join(f"{name:>8}" for name in COLUMNS), flush=True)
    rows = []
    for seed in asked.seeds:
        variations = {"looks": looks, "wrong_radio": asked.wrong_radio, "burst": asked.burst}
        row = score(seed, Engine, asked.seconds, asked.people, **variations)
        rows.append(row)
        print(line(str(seed), row), flush=True)
    print(line("mean", average(rows)))
    together = pooled(row["evaluation"]["calibration"] for row in rows)
    bins = " ".join(f"{b['published']:.2f}:{b['right']:.2f}" for b in together["bins"])
    print(f"all worlds as one: calibration error {together['expected_error']:.3f} (published:right {bins})")
    if asked.json:
        Path(asked.json).write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
