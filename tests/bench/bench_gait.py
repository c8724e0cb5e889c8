"""A gait query against cached candidates, on one core, against the limit of 200 ms.

The shipped model: a window to a signature, a signature against 58 and 10,000; and Mission at the paper's size (20
frames, 64 points) untrained, whose pairs are run one by one against cached tokens. Processor time.
"""

from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np
from whowhere.drivers.simulated.gait import draw_gait
from whowhere.drivers.simulated.gait_camera import see
from whowhere.drivers.simulated.gait_radar import hear
from whowhere.drivers.simulated.gait_walk import draw_path
from whowhere.launch.generated_gaits import camera_window, radar_window
from whowhere.models.gait.mission_model import MissionModel
from whowhere.models.gait.model import load_model

LIMIT_MS = 200.0
GALLERY = 58


def run() -> list[dict[str, Any]]:
    model = load_model()
    rng = np.random.default_rng(0)
    walk = draw_path(draw_gait(rng), rng)
    heard, seen = radar_window(hear(walk, rng)), camera_window(see(walk, rng))
    assert heard is not None
    query, one = model.sense(heard), model.look(seen)
    assert query is not None
    assert one is not None
    few, many = model.gallery([one] * GALLERY), model.gallery([one] * 10_000)
    cases = [
        ("radar window to signature", _per_call_ms(lambda: model.sense(heard), 100)),
        ("camera window to signature", _per_call_ms(lambda: model.look(seen), 100)),
        (f"signature against {GALLERY}", _per_call_ms(lambda: model.ratios(query, few), 200)),
        (
            f"radar window against {GALLERY}, whole",
            _per_call_ms(lambda: model.ratios(model.sense(heard) or query, few), 100),
        ),
        ("signature against 10,000", _per_call_ms(lambda: model.ratios(query, many), 20)),
        *((f"Mission, {GALLERY} pairs, {name}", ms) for name, ms in _mission_ms()),
    ]
    return [
        {"case": name, "ours": ours, "peer": LIMIT_MS, "peer_name": "limit", "unit": "ms", "ratio": LIMIT_MS / ours}
        for name, ours in cases
    ]


def _mission_ms() -> list[tuple[str, float]]:
    import torch
    from whowhere.models.gait.mission_export import exported
    from whowhere.models.gait.mission_network import Mission, Shape

    torch.set_num_threads(1)
    done = []
    for name, shape, frames, points in (
        ("20 frames, 64 points, 64 pixels", Shape(), 20, 64),
        ("10 frames, 32 points, 16 pixels", Shape(pixels=4), 10, 32),
    ):
        model = MissionModel(exported(Mission(shape), frames, points))
        cloud, mask = np.zeros((frames, points, 5), np.float32), np.ones((frames, points), np.float32)
        heard = model.heard(cloud, mask)
        seen = [model.seen(np.zeros((frames, 64, 64), bool))] * GALLERY
        done.append((name, _per_call_ms(lambda m=model, h=heard, k=mask, s=seen: m.distances(h, k, s), 3)))
    return done


def _per_call_ms(call: Callable[[], object], times: int) -> float:
    call()
    started = process_time()
    for _ in range(times):
        call()
    return 1000 * (process_time() - started) / times
