"""Motion-gated HOG against full-frame HOG: the same detector, scale and frames, in one run on one thread.

On pets_s2l1 (people about 80 px tall, so resize = 1.5) with recall and precision against its ground truth at IoU
0.35; on drawn figures where that recording is absent. ratio > 1: the gate is better.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from whowhere.drivers.camera.boxes import overlap
from whowhere.drivers.camera.people import PeopleDetector
from whowhere.sitefile import Detector

PETS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "video" / "pets_s2l1"
SAME = 0.35  # IoU from which a box is the annotated person
Frames = Callable[[], Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]]


def run(frames: int = 200) -> list[dict[str, Any]]:
    """Rows of ms per frame, recall and precision; ours = gated, peer = full frame."""
    if PETS.is_dir():
        return compare("pets_s2l1", lambda: pets(frames), Detector(resize=1.5, scale=1.1, hit_threshold=0.4))
    return compare("drawn figures", lambda: drawn(frames), Detector(scale=1.1))


def compare(name: str, scenes: Frames, config: Detector) -> list[dict[str, Any]]:
    ours = measure(scenes, config)
    full = Detector(scale=config.scale, resize=config.resize, hit_threshold=config.hit_threshold, motion_gate=False)
    peer = measure(scenes, full)
    rows = []
    for i, (what, unit) in enumerate((("time", "ms/frame"), ("recall", "share"), ("precision", "share"))):
        ratio = peer[i] / ours[i] if unit == "ms/frame" else ours[i] / peer[i]
        row = {"case": f"{name} {what}", "ours": round(ours[i], 4), "peer": round(peer[i], 4)}
        rows.append({**row, "peer_name": "full-frame HOG", "unit": unit, "ratio": round(ratio, 3)})
    return rows


def measure(scenes: Frames, config: Detector) -> tuple[float, float, float]:
    """(ms of thread time per frame, recall, precision) of a fresh detector."""
    detector = PeopleDetector(config)
    spent = 0.0
    people = boxes = right = frames = 0
    for pixels, truth in scenes():
        start = time.thread_time()
        found, _ = detector.detect(pixels)
        spent += time.thread_time() - start
        frames, people, boxes = frames + 1, people + len(truth), boxes + len(found)
        right += hits(found, truth)
    return spent / frames * 1e3, right / max(people, 1), right / max(boxes, 1)


def hits(found: NDArray[np.float32], truth: NDArray[np.float32]) -> int:
    """Pairs of boxes and annotated people, one to one, at IoU >= SAME."""
    if not len(found) or not len(truth):
        return 0
    shared = overlap(found, truth)
    pairs = linear_sum_assignment(-shared)
    return int((shared[pairs] >= SAME).sum())


def pets(frames: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    truth: dict[int, list[list[float]]] = {}
    for line in (PETS / "ground_truth_mot.txt").read_text().splitlines():
        number, _, *box = line.split(",")[:6]
        truth.setdefault(int(number), []).append([float(v) for v in box])
    for number in range(1, frames + 1):
        pixels = np.asarray(cv2.imread(str(PETS / "frames" / f"{number:06d}.jpg")), np.uint8)
        yield pixels, np.array(truth.get(number, []), np.float32).reshape(-1, 4)


def drawn(frames: int, stop_after: int | None = None) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Two drawn figures cross a 640x480 room (from frame `stop_after` on they stand); truth: their bodies' boxes."""
    noise = np.random.default_rng(5)
    room = np.full((480, 640, 3), (150, 155, 160), np.uint8)
    room[:150] = (192, 196, 192)
    for number in range(frames):
        pixels, boxes = room.copy(), []
        step = number if stop_after is None else min(number, stop_after)
        for row, (height, speed, shirt) in enumerate(((140, 4, (40, 30, 120)), (190, -6, (90, 40, 20)))):
            x = 60 + (200 * row + speed * step) % 520
            boxes.append(_figure(pixels, x, 250 + 150 * row, height, step * 0.8, shirt))
        pixels = cv2.GaussianBlur(pixels, (3, 3), 0).astype(np.int16) + noise.integers(-3, 4, pixels.shape)
        yield np.clip(pixels, 0, 255).astype(np.uint8), np.array(boxes, np.float32)


def _figure(
    pixels: NDArray[np.uint8], x: float, feet: float, height: float, phase: float, shirt: tuple[int, int, int]
) -> tuple[float, float, float, float]:
    """Head, torso, two legs, two arms as thick lines; returns the body's box."""

    def at(across: float, up: float) -> tuple[int, int]:
        return round(x + across * height), round(feet - up * height)

    swing = 0.10 * np.sin(phase)
    for side in (-1, 1):
        cv2.line(pixels, at(side * 0.04, 0.48), at(side * (0.05 + swing), 0.02), (60, 50, 50), int(0.085 * height))
        cv2.line(pixels, at(side * 0.11, 0.78), at(side * (0.14 - swing), 0.45), shirt, int(0.06 * height))
    cv2.ellipse(pixels, at(0, 0.65), (int(0.115 * height), int(0.19 * height)), 0, 0, 360, shirt, -1)
    cv2.circle(pixels, at(0, 0.92), int(0.065 * height), (150, 170, 210), -1)
    return x - 0.17 * height, feet - 0.985 * height, 0.34 * height, 0.985 * height


if __name__ == "__main__":
    for row in run():
        print(row)
