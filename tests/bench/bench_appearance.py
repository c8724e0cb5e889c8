"""One crop to an embedding, against the limit of 5 ms on one core and against two peers in the same run.

The peers: OpenCV's HOG descriptor of the same crop (what a person detector computes anyway), and a network of the size
of ResNet-18 in torch, untrained, at 64 x 32 px: time does not depend on weights. Crops are drawn. Processor time.
"""

from collections.abc import Callable, Sequence
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np
from whowhere.models.appearance.generated import features_of, make_day
from whowhere.models.appearance.model import SHIPPED, shipped_model
from whowhere.models.appearance.owners import owners
from whowhere.models.appearance.sprites import make_body, make_camera, passage
from whowhere.models.appearance.tracklets import fragments

LIMIT_MS, CROPS, GALLERY = 5.0, 64, 10_000


def run() -> list[dict[str, Any]]:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    crops = [
        cv2.resize(crop, (60, 150))
        for _ in range(CROPS // 8)
        for crop in passage(make_body(rng), make_camera(rng), rng)
    ]
    hog, resnet = _hog_ms(crops), _resnet18_ms(crops)
    rows = []
    for name in sorted(path.stem for path in SHIPPED.glob("*.json")):
        model = shipped_model(name)
        one = _per_ms(lambda crop, model=model: model.embed([crop]), crops)
        for peer_name, peer in (("limit", LIMIT_MS), ("cv2 HOG descriptor", hog), ("torch, ResNet-18's size", resnet)):
            rows.append(_row(f"{model.label}, a crop at a time", one, peer, peer_name, "ms/crop"))
    rows.append(_row(f"nats of one crop against {GALLERY} entries", _gallery_ms(), LIMIT_MS, "limit", "ms"))
    rows.append(_row("owners of 64 phones, a day of 45 minutes", _owners_s(), 60.0, "limit", "s"))
    return rows


def _row(case: str, ours: float, peer: float, peer_name: str, unit: str) -> dict[str, Any]:
    return {"case": case, "ours": ours, "peer": peer, "peer_name": peer_name, "unit": unit, "ratio": peer / ours}


def _per_ms(call: Callable[[Any], object], crops: Sequence[Any]) -> float:
    call(crops[0])
    started = process_time()
    for crop in crops:
        call(crop)
    return 1000 * (process_time() - started) / len(crops)


def _hog_ms(crops: Sequence[Any]) -> float:
    hog = cv2.HOGDescriptor()
    return _per_ms(lambda crop: hog.compute(cv2.resize(crop, (64, 128))), crops)


def _resnet18_ms(crops: Sequence[Any]) -> float:
    try:
        import torch
        from torch import nn
    except ImportError:
        return float("nan")
    torch.set_num_threads(1)
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    width = 64
    for wider in (64, 128, 256, 512):
        for k in range(4):
            layers += [nn.Conv2d(width, wider, 3, 2 if k == 0 and wider > 64 else 1, 1), nn.ReLU()]
            width = wider
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1)).eval()
    with torch.no_grad():
        return _per_ms(
            lambda crop: network(torch.from_numpy(cv2.resize(crop, (32, 64))).permute(2, 0, 1)[None].float() / 255),
            crops,
        )


def _gallery_ms() -> float:
    model = shipped_model("stripes")
    gallery = np.random.default_rng(0).random((GALLERY, model.size), np.float32)
    took = []
    for _ in range(40):  # the least wall time: BLAS's waiting threads would count as processor time
        started = perf_counter()
        model.likeness.of(gallery[:1], gallery, model.label)
        took.append(1000 * (perf_counter() - started))
    return min(took)


def _owners_s() -> float:
    day = make_day(1)
    passages, x = fragments(day.trajectories, day.camera_m), features_of(day, 1)
    started = process_time()
    owners(x, day.tracklets, day.trajectories, passages, day.camera_m)
    return process_time() - started
