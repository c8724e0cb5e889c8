"""One second of a phone through the locators, against the limit of a millisecond a call on one core.

MTLoc at the paper's size (750 access points) in onnxruntime, untrained: how long it takes does not depend on its
weights; and the live locator on a map of 1,000 fingerprints, scan, steps and filter together. Processor time.
"""

from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np
from whowhere.messages import PhoneBatch
from whowhere.models.positioning.live import PhoneLocator
from whowhere.models.positioning.mtloc_network import Mtloc
from whowhere.models.positioning.mtloc_training import exported
from whowhere.models.radiomap.maps import FingerprintMap

LIMIT_MS = 1.0
ACCESS_POINTS, CALLS, SECONDS = 750, 500, 120


def run() -> list[dict[str, Any]]:
    return [
        {
            "case": case,
            "ours": ours,
            "peer": LIMIT_MS,
            "peer_name": "limit",
            "unit": "ms/call",
            "ratio": LIMIT_MS / ours,
        }
        for case, ours in (
            (f"MTLoc, {ACCESS_POINTS} access points", _mtloc_ms()),
            ("live locator, a second with a scan", _live_ms(scan_every=1)),
            ("live locator, a scan every third second", _live_ms(scan_every=3)),
        )
    ]


def _mtloc_ms() -> float:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(exported(Mtloc(ACCESS_POINTS), {}), options)
    rng = np.random.default_rng(0)
    shapes = {"wifi": (1, ACCESS_POINTS), "imu": (1, 10, 2), "mag": (1, 10, 1)}
    window = {name: rng.random(shape).astype(np.float32) for name, shape in shapes.items()}
    return _per_call_ms(lambda _: session.run(["xy"], window), CALLS)


def _live_ms(scan_every: int) -> float:
    rng = np.random.default_rng(0)
    place = rng.uniform(0, 40, (1000, 2))
    names = tuple(f"ap{j}" for j in range(60))
    levels = rng.uniform(-95, -40, (1000, 60)).astype(np.float32)
    locator = PhoneLocator(FingerprintMap("bench", "1", names, place, levels))
    batches = [_second(number, names, rng, number % scan_every == 0) for number in range(SECONDS)]
    return _per_call_ms(lambda number: locator.step(batches[number]), SECONDS)


def _second(number: int, names: tuple[str, ...], rng: np.random.Generator, has_scan: bool) -> PhoneBatch:
    times = np.linspace(-1.0, -0.02, 50)
    swing = 9.8 + 2.0 * np.sin(2 * np.pi * 1.8 * (number + times))
    zero = np.zeros(50)
    scan = tuple((name, float(dbm)) for name, dbm in zip(names, rng.uniform(-95, -40, 60), strict=True))
    return PhoneBatch(
        source="phone", t_ns=1_800_000_000_000_000_000 + number * 1_000_000_000,
        acc=np.column_stack((times, zero, zero, swing)).astype("f4"),
        gyro=np.column_stack((times, zero, zero, 0.1 * rng.normal(size=50))).astype("f4"),
        mag=np.column_stack((times, 20 + zero, 5 + zero, zero - 40)).astype("f4"), scan=scan if has_scan else (),
    )  # fmt: skip


def _per_call_ms(call: Callable[[int], object], times: int) -> float:
    started = process_time()
    for number in range(times):
        call(number)
    return 1000 * (process_time() - started) / times
