"""One square, recorded: PETS 2009 S2L1 view 1 with its boxes, identities, world positions and calibration, as a site.

The camera's calibration is Tsai's; here it becomes the site file's pinhole. Tsai's kappa takes distortion away
(undistorted = distorted (1 + kappa r2)), the site file's coefficients put it on, so the series is reversed: with
a = kappa f2, k1 = -a, k2 = 3 a2, k3 = -12 a3. The pose is the inverse of Tsai's motion from world to
camera, R = Rz Ry Rx and T in mm.

    python tests/recorded_square.py        # all 200 frames; under a minute
"""

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment
from whowhere.drivers.camera.appearance import NAME, histograms
from whowhere.drivers.camera.people import PeopleDetector
from whowhere.fusion.engine import Engine
from whowhere.fusion.geometry import floor_map
from whowhere.launch.evaluate.tracking import TrackingScore, similarity_of_boxes, similarity_of_positions
from whowhere.messages import CameraFrame, Scene, numbered
from whowhere.sitefile import Area, Camera, Detector, Fusion, Pinhole, Pose, Site

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "video" / "pets_s2l1"
FPS, EPOCH_NS = 7.0, 1_600_000_000_000_000_000
NEAR_M = 1.0  # a track this near a person follows that person; half the distance at which similarity is 0
DETECTOR = Detector(resize=1.6)  # people are 53-116 px tall, HOG's smallest window holds 100 px


class Person(NamedTuple):
    """One annotated person in one frame: box (left, top, width, height) px and place (x, y) m."""

    id: int
    box: tuple[float, float, float, float]
    place: tuple[float, float]


def truth() -> dict[int, list[Person]]:
    """Frame number (from 1) -> the people in it: boxes of the xml (fractions of a pixel), places of the MOT text."""
    places = {(int(row[0]), int(row[1])): (row[7], row[8]) for row in _mot()}
    people: dict[int, list[Person]] = {}
    for frame in ElementTree.parse(DATA / "ground_truth_boxes.xml").getroot():
        number = int(frame.attrib["number"]) + 1
        for thing in frame.iter("object"):
            box = thing.find("box")
            assert box is not None
            wide, high, x, y = (float(box.attrib[name]) for name in ("w", "h", "xc", "yc"))
            who = int(thing.attrib["id"])
            if (number, who) in places:
                corner = (x - wide / 2, y - high / 2, wide, high)
                people.setdefault(number, []).append(Person(who, corner, places[number, who]))
    return people


def _mot() -> Sequence[Sequence[float]]:
    return np.loadtxt(DATA / "ground_truth_mot.txt", delimiter=",").tolist()


def pinhole() -> Pinhole:
    """The Tsai calibration as the site file's camera."""
    root = ElementTree.parse(DATA / "camera_tsai.xml").getroot()
    tsai = {name: float(value) for part in root for name, value in part.attrib.items()}
    turn = _turn(tsai["rx"], tsai["ry"], tsai["rz"])
    x, y, z = (-turn.T @ np.array([tsai["tx"], tsai["ty"], tsai["tz"]]) / 1000).tolist()
    right, _, forward = turn
    level = np.array([forward[1], -forward[0], 0.0]) / np.hypot(forward[0], forward[1])
    roll = np.arctan2(right @ np.cross(forward, level), right @ level)
    a = tsai["kappa1"] * tsai["focal"] ** 2
    return Pinhole(
        image_size=(int(tsai["width"]), int(tsai["height"])),
        focal_px=(tsai["focal"] * tsai["sx"] / tsai["dpx"], tsai["focal"] / tsai["dpy"]),
        centre_px=(tsai["cx"], tsai["cy"]),
        distortion=(-a, 3 * a**2, 0.0, 0.0, -12 * a**3),
        pose=Pose(
            position_m=(x, y, z),
            yaw_deg=float(np.degrees(np.arctan2(forward[1], forward[0]))),
            tilt_deg=float(np.degrees(np.arcsin(-forward[2]))),
            roll_deg=float(np.degrees(roll)),
        ),
    )


def _turn(rx: float, ry: float, rz: float) -> np.ndarray:
    (a, b, c), (p, q, r) = np.cos((rx, ry, rz)), np.sin((rx, ry, rz))
    about_x = np.array([[1, 0, 0], [0, a, -p], [0, p, a]])
    about_y = np.array([[b, 0, q], [0, 1, 0], [-q, 0, b]])
    about_z = np.array([[c, -r, 0], [r, c, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def site() -> Site:
    places = np.array([person.place for people in truth().values() for person in people])
    (west, south), (east, north) = places.min(axis=0) - 3, places.max(axis=0) + 3
    camera = Camera(id="view-1", source=str(DATA / "frames"), fps=FPS, calibration=pinhole(), detector=DETECTOR)
    area = Area(x_m=(float(west), float(east)), y_m=(float(south), float(north)))
    return Site(name="pets-s2l1", area=area, cameras=(camera,), fusion=Fusion(scene_hz=FPS))


def calibration_residual_m() -> np.ndarray:
    """(N,) of every annotated person: the middle of the box's lower edge on the floor, to the annotated place."""
    everybody = [person for people in truth().values() for person in people]
    box = np.array([person.box for person in everybody])
    feet = np.column_stack((box[:, 0] + box[:, 2] / 2, box[:, 1] + box[:, 3]))
    return np.linalg.norm(floor_map(pinhole())(feet) - np.array([p.place for p in everybody]), axis=1)


def detected(frames: int = 200) -> list[CameraFrame]:
    """What the people detector finds in the first `frames` images; their times are made up, at 7 a second."""
    detector, found, counts = PeopleDetector(DETECTOR), [], {}
    for number, path in enumerate(sorted((DATA / "frames").glob("*.jpg"))[:frames]):
        pixels = np.asarray(cv2.imread(str(path)), np.uint8)
        boxes, scores = detector.detect(pixels)
        frame = CameraFrame(
            source="view-1",
            t_ns=EPOCH_NS + round(number * 1e9 / FPS),
            boxes=boxes,
            scores=scores,
            image_size=(pixels.shape[1], pixels.shape[0]),
            descriptors={NAME: histograms(pixels, boxes)},
        )
        message = numbered(frame, counts)
        assert isinstance(message, CameraFrame)
        found.append(message)
    return found


def detection_scores(frames: list[CameraFrame], least: float) -> dict[str, float]:
    """Precision and recall of boxes at that intersection over union, one to one."""
    people = truth()
    right = there = said = 0
    for number, frame in enumerate(frames, 1):
        true = np.array([person.box for person in people.get(number, [])]).reshape(-1, 4)
        similarity = similarity_of_boxes(true, as_annotated(frame.boxes))
        rows, columns = linear_sum_assignment(similarity >= least, maximize=True)
        right += int((similarity[rows, columns] >= least).sum())
        there, said = there + len(true), said + len(frame.boxes)
    return {"precision": round(right / max(said, 1), 3), "recall": round(right / max(there, 1), 3)}


def as_annotated(boxes: np.ndarray) -> np.ndarray:
    """Boxes (N,4) without the margin below the feet, which fusion takes off, too."""
    trimmed = boxes.astype(np.float64)
    trimmed[:, 3] *= 1 - DETECTOR.foot_margin
    return trimmed


def position_errors_m(frames: list[CameraFrame]) -> np.ndarray:
    """(N,) of boxes that are somebody's (IoU at least 0.35): foot point on the floor to the annotated place."""
    people, to_floor, errors = truth(), floor_map(pinhole()), []
    for number, frame in enumerate(frames, 1):
        here = people.get(number, [])
        boxes = as_annotated(frame.boxes)
        similarity = similarity_of_boxes(np.array([person.box for person in here]), boxes)
        floor = to_floor(np.column_stack((boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3])))
        for row, column in zip(*linear_sum_assignment(similarity, maximize=True), strict=True):
            if similarity[row, column] >= 0.35:
                errors.append(np.linalg.norm(floor[column] - here[row].place))
    return np.array(errors)


def followed(frames: list[CameraFrame]) -> list[tuple[list[int], np.ndarray, list[int], np.ndarray]]:
    """Per frame the true ids and places, and the engine's tracks and where they are at that frame's time."""
    room = site()
    engine, scenes = Engine(room), {}
    for frame in frames:
        for message in engine.step(frame):
            if isinstance(message, Scene):
                scenes[message.t_ns] = message
    people, answer, times = truth(), [], np.array(sorted(scenes))
    for number, frame in enumerate(frames, 1):
        at = times[np.abs(times - frame.t_ns).argmin()]
        if abs(int(at) - frame.t_ns) > 0.5e9 / FPS:
            continue  # before the first scene, or after the last
        here, bodies = people.get(number, []), scenes[int(at)].people
        lag_s = (frame.t_ns - int(at)) / 1e9
        places = [(b.x_m + lag_s * b.velocity_m_s[0], b.y_m + lag_s * b.velocity_m_s[1]) for b in bodies]
        tracks = [int(body.track or 0) for body in bodies]
        true = np.array([person.place for person in here]).reshape(-1, 2)
        answer.append(([person.id for person in here], true, tracks, np.array(places).reshape(-1, 2)))
    return answer


def tracking_scores(frames: list[CameraFrame]) -> dict[str, Any]:
    """Our CLEAR MOT, IDF1 and HOTA on the floor: 1 at the place, 0.5 at NEAR_M, 0 at twice that."""
    score, errors = TrackingScore(0.5), []
    for ids, true, tracks, places in followed(frames):
        similarity = similarity_of_positions(true, places, 2 * NEAR_M).reshape(len(ids), len(tracks))
        score.add(ids, tracks, similarity)
        rows, columns = linear_sum_assignment(similarity, maximize=True)
        apart = np.linalg.norm(true[rows] - places[columns], axis=1)
        errors.extend(apart[apart <= NEAR_M])
    return {**score.result(), "track_error_m": spread(np.array(errors))}


def spread(metres: np.ndarray) -> dict[str, float]:
    return {"median": round(float(np.median(metres)), 3), "p90": round(float(np.percentile(metres, 90)), 3)}


def figures(frames: list[CameraFrame]) -> dict[str, Any]:
    return {
        "frames": len(frames),
        "calibration_residual_m": spread(calibration_residual_m()),
        "boxes_iou_0.35": detection_scores(frames, 0.35),
        "boxes_iou_0.5": detection_scores(frames, 0.5),
        "foot_point_error_m": spread(position_errors_m(frames)),
        "tracking": tracking_scores(frames),
    }


if __name__ == "__main__":
    if not DATA.is_dir():
        sys.exit(f"the recording in {DATA} is not here")
    print(json.dumps(figures(detected()), indent=1))
