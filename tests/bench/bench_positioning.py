"""One second of a phone through the locators, against the limit of a millisecond a call on one core; and training.

MTLoc at the paper's size (750 access points) in onnxruntime, untrained: how long it takes does not depend on its
weights; and the live locator on a map of 1,000 fingerprints, scan, steps and filter together. Training as
`learn positioning` does it (twice; the second time with the walks set apart) on as many windows as an hour and a half
of walks gives, of noise: what they hold takes no longer; a tenth of the epochs, times ten. Processor time.
"""

from collections.abc import Callable
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from whowhere.messages import PhoneBatch
from whowhere.models.positioning.live import PhoneLocator
from whowhere.models.positioning.mtloc_learning import SHIPPED
from whowhere.models.positioning.mtloc_network import Mtloc
from whowhere.models.positioning.mtloc_training import box_of, exported, train
from whowhere.models.positioning.mtloc_windows import Windows
from whowhere.models.radiomap.maps import FingerprintMap

LIMIT_MS, LIMIT_S = 1.0, 600.0
ACCESS_POINTS, CALLS, SECONDS = 750, 500, 120
WINDOWS, SET_APART = 10_000, 2_500


def run() -> list[dict[str, Any]]:
    return [
        {"case": case, "ours": ours, "peer": limit, "peer_name": "limit", "unit": unit, "ratio": limit / ours}
        for case, ours, limit, unit in (
            (f"MTLoc, {ACCESS_POINTS} access points", _mtloc_ms(), LIMIT_MS, "ms/call"),
            ("live locator, a second with a scan", _live_ms(scan_every=1), LIMIT_MS, "ms/call"),
            ("live locator, a scan every third second", _live_ms(scan_every=3), LIMIT_MS, "ms/call"),
            (f"MTLoc trained on {WINDOWS + SET_APART:,} windows", _training_s(), LIMIT_S, "s"),
        )
    ]


def _training_s() -> float:
    rng = np.random.default_rng(0)
    count = WINDOWS + SET_APART

    def noise(*shape: int) -> NDArray[np.float32]:
        return rng.random((count, *shape), np.float32)

    number, whole, place = np.arange(count), np.zeros((count, 3), bool), 60 * rng.random((count, 2))
    every = Windows(noise(ACCESS_POINTS), noise(10, 2), noise(10, 1), place, whole, number, number)
    recipe = replace(SHIPPED, epochs=SHIPPED.epochs // 10)
    started = process_time()
    for windows in (every.take(number < WINDOWS), every):
        train(windows, None, box_of(windows.place_m), recipe)
    return 10 * (process_time() - started)


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
