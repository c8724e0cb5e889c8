"""Real crops with known people: PETS S2L1 and TUD Campus as tracklets, with phones simulated from the ground truth.

A track is cut where somebody nearer hides a fifth of the box or stops doing so, and where it has a gap; every piece,
hidden ones too, counts as a camera of its own when it asks for others. Phones are carried by a share of the people;
they say where they are once a second, wrong by 5 to 8 m with a memory of 0.8, or as told. The camera is one for them,
so a phone's candidates are all pieces. TUD has no places: there, phones say nothing. Nothing of this is shipped.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.appearance.model import AppearanceModel
from ...models.appearance.quality import cut_out, hidden_shares, pooled
from ...models.appearance.tracklets import F64, I64, Fragment, Tracklets, Trajectory

VIDEO = Path(__file__).resolve().parents[3] / "shared" / "data" / "video"
FPS = {"pets_s2l1": 7.0, "tud_campus": 25.0}
CUT_AT = 0.2  # share of a box behind somebody nearer
ERROR_M, MEMORY = (5.0, 8.0), 0.8


class Pieces(NamedTuple):
    """N tracklets of known people: person (N,), their crops, and where they were by the second (no paths where places
    are not known)."""

    name: str
    person: I64
    tracklets: Tracklets
    crops: list[list[NDArray[np.uint8]]]

    @property
    def asks(self) -> I64:
        """Every piece is its own camera when it asks for others."""
        return np.arange(len(self.person))


class Row(NamedTuple):
    """One annotated person in one frame: box left, top, width, height px; place m, NaN where unknown."""

    frame: int
    person: int
    box: tuple[float, float, float, float]
    place: tuple[float, float]


def pieces(name: str, span_frames: int = 0) -> Pieces:
    """The recording cut at occlusions; with span_frames into spans of time instead, of people seen in 3 frames and
    more."""
    rows, images = _rows(name), _images(name)
    hidden = _hidden(rows)
    runs: list[list[int]] = []
    for who in sorted({row.person for row in rows}):
        own = [k for k, row in enumerate(rows) if row.person == who]
        start = 0
        for at in range(1, len(own) + 1):
            if at == len(own) or _cut(rows, hidden, own[at - 1], own[at], span_frames):
                runs.append(own[start:at])
                start = at
    runs = [run for run in runs if len(run) >= (3 if span_frames else 1)]
    crops = [
        [crop for k in run for crop in cut_out(images[rows[k].frame], np.array([rows[k].box])) if min(crop.shape) > 2]
        for run in runs
    ]
    kept = [k for k, each in enumerate(crops) if each]
    runs, crops = [runs[k] for k in kept], [crops[k] for k in kept]
    t_s = [np.array([rows[k].frame for k in run]) / FPS[name] for run in runs]
    paths = [np.column_stack([t, [rows[k].place for k in run]]) for t, run in zip(t_s, runs, strict=True)]
    known = not any(np.isnan(path).any() for path in paths)
    tracklets = Tracklets(
        np.zeros(len(runs), np.int64),
        np.array([t[0] for t in t_s]),
        np.array([t[-1] + 0.5 / FPS[name] for t in t_s]),
        tuple(paths) if known else (),
    )
    return Pieces(name, np.array([rows[run[0]].person for run in runs]), tracklets, crops)


def phones_of(
    name: str, seed: int, share: float = 0.8, error_m: float | None = None
) -> tuple[list[Trajectory], list[Fragment], I64]:
    """Simulated phones: trajectories, their one passage each, and whose they are. error_m: standard deviation per
    axis, None for 5 to 8 m."""
    rng = np.random.default_rng([seed, 9])
    rows = _rows(name)
    people = sorted({row.person for row in rows})
    carriers = np.sort(rng.permutation(people)[: round(share * len(people))])
    walks, passages = [], []
    for number, who in enumerate(carriers.tolist()):
        own = np.array([[row.frame / FPS[name], *row.place] for row in rows if row.person == who])
        at = np.arange(own[0, 0], own[-1, 0] + 1e-9, 1.0)
        sd_m = rng.uniform(*ERROR_M) if error_m is None else error_m
        error = rng.normal(0, sd_m, (len(at), 2))
        for k in range(1, len(at)):
            error[k] = MEMORY * error[k - 1] + np.sqrt(1 - MEMORY**2) * error[k]
        place = np.column_stack([np.interp(at, own[:, 0], own[:, k]) for k in (1, 2)]) + error
        walks.append(Trajectory(f"phone-{number}", at, place, sd_m))
        passages.append(Fragment(number, 0, float(at[0]) - 1.0, float(at[-1]) + 1.0))
    return walks, passages, carriers


def _cut(rows: Sequence[Row], hidden: NDArray[np.bool_], before: int, after: int, span_frames: int) -> bool:
    if span_frames:
        return (rows[before].frame - 1) // span_frames != (rows[after].frame - 1) // span_frames
    return bool(rows[after].frame - rows[before].frame > 1 or hidden[before] != hidden[after])


def _hidden(rows: Sequence[Row]) -> NDArray[np.bool_]:
    done = np.zeros(len(rows), bool)
    for frame in sorted({row.frame for row in rows}):
        here = [k for k, row in enumerate(rows) if row.frame == frame]
        done[here] = hidden_shares(np.array([rows[k].box for k in here])) > CUT_AT
    return done


@cache
def _rows(name: str) -> tuple[Row, ...]:
    """Everybody annotated, in the frames that are here."""
    folder = VIDEO / name
    table = _table(folder / "ground_truth_mot.txt")
    if name == "tud_campus":
        nowhere = (float("nan"), float("nan"))
        return tuple(Row(int(r[0]), int(r[1]), (r[2], r[3], r[4], r[5]), nowhere) for r in table)
    places = {(int(r[0]), int(r[1])): (float(r[7]), float(r[8])) for r in table}
    last = len(list((folder / "frames").glob("*.jpg")))
    rows = []
    for frame in ElementTree.parse(folder / "ground_truth_boxes.xml").getroot():
        number = int(frame.attrib["number"]) + 1
        for thing in frame.iter("object"):
            box = thing.find("box")
            who = int(thing.attrib["id"])
            if box is not None and number <= last and (number, who) in places:
                wide, high, x, y = (float(box.attrib[name]) for name in ("w", "h", "xc", "yc"))
                rows.append(Row(number, who, (x - wide / 2, y - high / 2, wide, high), places[number, who]))
    return tuple(rows)


def _images(name: str) -> dict[int, NDArray[np.uint8]]:
    folder = VIDEO / name
    if name == "pets_s2l1":
        return {int(path.stem): _read(path) for path in sorted((folder / "frames").glob("*.jpg"))}
    video, images = cv2.VideoCapture(str(folder / "TUD-Campus.mp4")), {}
    while True:
        there, image = video.read()
        if not there:
            return images
        images[len(images) + 1] = np.asarray(image, np.uint8)


def _table(path: Path) -> list[list[float]]:
    return np.loadtxt(path, delimiter=",").tolist()


def _read(path: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.imread(str(path)), np.uint8)


def embedded(model: AppearanceModel, found: Pieces) -> F64:
    """(N,D): one pooled embedding a piece."""
    return np.array([pooled(model.embed(crops)) for crops in found.crops], np.float64)
