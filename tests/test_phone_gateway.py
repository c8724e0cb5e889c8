"""The gateway's inside: both upload formats, seconds put together from uploads in any order, and wrong clocks."""

import json
import random
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whowhere.drivers.phone.batches import SECOND_NS
from whowhere.drivers.phone.clock import PhoneClock
from whowhere.drivers.phone.gateway import MOST_SAMPLES, Uploads
from whowhere.drivers.phone.uploads import BadUpload, parse
from whowhere.messages import PhoneBatch, decode, encode

T0 = 1_760_000_000 * SECOND_NS
HEARD = [{"bssid": "aa:bb:cc:00:00:01", "dbm": -50.0}, {"bssid": "aa:bb:cc:00:00:02", "dbm": -71.5}]


def ours(
    start_s: float, stop_s: float, hz: float = 50.0, sensors: Sequence[str] = ("acc", "gyro", "mag"), **more: object
):
    """One upload of what was sensed in [start, stop) seconds after T0; the value x is the sample's own time."""
    numbers = range(round(start_s * hz), round(stop_s * hz))
    rows = [[T0 / 1e6 + 1e3 * n / hz, n / hz, 0.0, 9.8] for n in numbers]
    return json.dumps({**dict.fromkeys(sensors, rows), **more}).encode()


def at(seconds: float) -> int:
    return T0 + round(seconds * SECOND_NS)


def gateway(phones: Iterable[str] = ("phone-1",)) -> Uploads:
    return Uploads(phones, str.upper)


def run(uploads: list[tuple[float, bytes]], until_s: float = 40.0) -> tuple[list[PhoneBatch], Uploads]:
    """Uploads by when they come (s after T0), looked at every 0.1 s until `until_s`."""
    taking, given_ = gateway(), []
    for tick in range(round(until_s * 10)):
        for when, body in uploads:
            if tick / 10 <= when < (tick + 1) / 10:
                taking.take("phone-1", body, at(when))
        given_ += taking.due(at((tick + 1) / 10))
    return given_, taking


def instants(batches: Iterable[PhoneBatch], sensor: str = "acc") -> list[float]:
    """When the samples were taken, s after T0."""
    return [
        round((batch.t_ns - T0) / SECOND_NS - float(age), 3)
        for batch in batches
        for age in getattr(batch, sensor)[:, 0]
    ]


def test_a_second_holds_its_samples_once_and_in_order() -> None:
    batches, taking = run([(n + 1.02, ours(n, n + 1)) for n in range(10)])
    times = instants(batches)
    assert times == [round(n / 50, 3) for n in range(500)]
    assert [batch.t_ns for batch in batches] == sorted({batch.t_ns for batch in batches})
    assert all(len(batch.acc) == 50 for batch in batches[1:-1])
    for batch in batches:
        taken = (batch.t_ns - T0) / SECOND_NS - batch.acc[:, 0]
        np.testing.assert_allclose(batch.acc[:, 1], taken, atol=1e-4)
        assert ((batch.acc[:, 0] >= 0) & (batch.acc[:, 0] < 1)).all()
    assert taking.counters["uploads"] == 10
    assert taking.counters["duplicates"] == taking.counters["late"] == 0


def test_uploads_in_the_wrong_order_twice_and_overlapping_give_the_same_seconds() -> None:
    plain, _ = run([(n / 2 + 0.52, ours(n / 2, n / 2 + 0.5)) for n in range(20)])
    shuffled: list[tuple[float, bytes]] = []
    for n in range(20):
        body, late = ours(n / 2, n / 2 + 0.5), 0.45 if n % 3 == 1 else 0.0
        shuffled += [(n / 2 + 0.52 + late, body), (n / 2 + 1.1, body)]
        shuffled.append((n / 2 + 0.6, ours(max(0, n / 2 - 0.2), n / 2 + 0.5, extra=n)))
    again, taking = run(shuffled)
    assert [encode(batch) for batch in again] == [encode(batch) for batch in plain]
    assert taking.counters["retries"] == 20
    assert taking.counters["duplicates"] > 100


def test_a_gap_is_seconds_that_are_not_there() -> None:
    batches, _ = run([(n + 1.02, ours(n, n + 1)) for n in range(10) if n not in (4, 5)])
    assert instants(batches) == [round(n / 50, 3) for n in range(500) if not 200 <= n < 300]


def test_what_was_sensed_before_a_second_already_given_is_late() -> None:
    uploads = [(n + 1.02, ours(n, n + 1)) for n in range(10) if n != 2] + [(8.0, ours(2, 3))]
    batches, taking = run(uploads)
    assert taking.counters["late"] == 150
    assert not any(2.0 < time < 3.0 for time in instants(batches))


def test_batches_of_ten_seconds_lose_nothing_at_their_edges() -> None:
    batches, taking = run([(n + 10.05, ours(n, n + 10)) for n in (0.5, 10.5, 20.5)], until_s=70.0)
    assert instants(batches) == [round(n / 50, 3) for n in range(25, 1525)]
    assert taking.counters["late"] == 0


@pytest.mark.parametrize("wrong_s", [-610.0, -3.0, 7.0, 185.0])
def test_a_clock_that_is_wrong_by_the_same_amount_is_corrected(wrong_s: float) -> None:
    """wrong_s: how far the phone's clock is behind."""
    uploads = [(n + 1.02 + wrong_s, ours(n, n + 1)) for n in range(12)]
    taking, batches = gateway(), []
    for when, body in uploads:
        taking.take("phone-1", body, at(when))
        batches += taking.due(at(when))
    batches += taking.finish()
    assert taking.counters["clock_corrections"] == 1
    times = np.array(instants(batches))
    assert len(times) == 600
    np.testing.assert_allclose(times - wrong_s, np.arange(600) / 50, atol=0.1)
    side = "behind" if wrong_s > 0 else "ahead"
    assert f"phone-1's clock is {abs(wrong_s):.0f}"[:-1] in taking.detail
    assert f"s {side}: corrected" in taking.detail


def test_late_uploads_of_a_phone_with_a_right_clock_keep_their_times() -> None:
    """It was out of reach for 20 s, then sends everything, one upload a 50 ms."""
    early = [(n + 1.02, ours(n, n + 1)) for n in range(5)]
    kept = [(25.0 + n * 0.05, ours(n, n + 1)) for n in range(5, 25)]
    batches, taking = run([*early, *kept, (26.25, ours(25, 26)), (27.02, ours(26, 27))])
    assert taking.counters["clock_corrections"] == 0
    # 5.0 s is the end of a second that was given when the phone had been silent for long enough
    assert instants(batches) == [round(n / 50, 3) for n in range(27 * 50) if n != 250]


def test_a_clock_that_jumps_while_it_runs_is_corrected() -> None:
    """Ahead at once, since nothing is sent before it is measured; behind after half a minute, which may be a delay."""
    clock = PhoneClock()
    assert clock.hear(at(0), SECOND_NS // 10)
    assert [clock.hear(at(300 + n), -300 * SECOND_NS) for n in range(3)] == [False, False, True]
    assert clock.offset_ns == -300 * SECOND_NS
    assert all(clock.hear(at(10 + n), 100 * SECOND_NS) for n in range(30))
    assert clock.offset_ns == -300 * SECOND_NS
    assert clock.hear(at(40), 100 * SECOND_NS)
    assert clock.offset_ns == 100 * SECOND_NS


@pytest.mark.parametrize("step_s", [0.2, 1.0, 5.0])
def test_a_backlog_is_no_wrong_clock_even_of_a_phone_never_heard_before(step_s: float) -> None:
    """The node has just been started; the phone works off half a minute in one."""
    count = round(30 / step_s)
    kept = [(30.5 + n * 0.02, ours(n * step_s, (n + 1) * step_s, sensors=("acc",))) for n in range(count)]
    batches, taking = run([*kept, (33.02, ours(30, 33)), (34.02, ours(33, 34))])
    assert taking.counters["clock_corrections"] == 0
    assert len(instants(batches)) > 33 * 50
    assert taking.detail == ""


def test_the_time_of_sending_tells_a_delay_from_a_wrong_clock() -> None:
    uploads = [(n + 31.0, ours(n, n + 1, sent_ms=at(n + 30.99) / 1e6)) for n in range(10)]
    batches, taking = run(uploads, until_s=60.0)
    assert taking.counters["clock_corrections"] == 0
    assert len(instants(batches)) == 500


def test_a_slow_sensor_and_a_missing_one_are_taken_and_counted() -> None:
    batches, taking = run([(n + 1.02, ours(n, n + 1, hz=10, sensors=("acc", "gyro"))) for n in range(10)])
    assert instants(batches) == [n / 10 for n in range(100)]
    assert all(batch.mag.shape == (0, 4) for batch in batches)
    assert taking.counters["slow_seconds"] == len(batches)
    assert taking.counters["seconds_without_mag"] == len(batches)


def test_a_scan_comes_once_with_its_age_and_under_pseudonyms() -> None:
    scan = {"t_ms": at(2.4) / 1e6, "heard": [*HEARD, {"bssid": "aa:bb:cc:00:00:03", "dbm": -60, "age_s": 40}]}
    batches, taking = run([(n + 1.02, ours(n, n + 1, scans=[scan] if n == 2 else [])) for n in range(6)])
    with_scan = [batch for batch in batches if batch.scan]
    assert len(with_scan) == 1
    assert with_scan[0].t_ns == at(3)
    assert with_scan[0].scan == (("AA:BB:CC:00:00:01", -50.0), ("AA:BB:CC:00:00:02", -71.5))
    assert with_scan[0].scan_age_s == pytest.approx(0.6, abs=1e-3)
    assert taking.counters["stale"] == 1


def test_a_scan_that_comes_after_its_second_goes_with_the_next() -> None:
    late = json.dumps({"scans": [{"t_ms": at(3.9) / 1e6, "heard": HEARD}]}).encode()
    batches, _ = run([(n + 1.02, ours(n, n + 1)) for n in range(8)] + [(5.6, late)])
    found = [batch for batch in batches if batch.scan]
    assert len(found) == 1
    assert found[0].t_ns - round(found[0].scan_age_s * SECOND_NS) == pytest.approx(at(3.9), abs=1e6)


def sensor_logger(start_s: float, stop_s: float, number: int, hz: int = 50) -> bytes:
    """As PUSHING.md of tszheichoi/awesome-sensor-logger describes the app's HTTP push; WiFi's fields from UNITS.md."""
    payload: list[dict[str, object]] = []
    for n in range(round(start_s * hz), round(stop_s * hz)):
        t_ns, moved = at(n / hz), {"x": 0.1, "y": 0.2, "z": 0.3}
        payload.append({"name": "accelerometer", "time": t_ns, "values": moved, "accuracy": 3})
        payload.append({"name": "totalacceleration", "time": t_ns, "values": {"x": n / hz, "y": 0.0, "z": 9.8}})
        payload.append({"name": "gyroscope", "time": t_ns, "values": {"z": 0.3, "y": 0.2, "x": 0.1}})
        payload.append({"name": "magnetometer", "time": t_ns, "values": {"z": 3, "y": 2, "x": 1}})
    payload.append({"name": "battery", "time": at(start_s), "values": {"batteryLevel": 0.5, "batteryState": "full"}})
    for k, bssid in enumerate(("aa:bb:cc:00:00:01", "aa:bb:cc:00:00:02")):
        values = {"ssid": "x", "bssid": bssid, "frequency": 2412, "level": -50 - k, "capabilities": "[ESS]"}
        payload.append({"name": "wifi", "time": at(start_s + 0.5) + 1000 * k, "values": values})
    random.Random(number).shuffle(payload)
    return json.dumps({"messageId": number, "sessionId": "s", "deviceId": "d", "payload": payload}).encode()


def test_what_sensor_logger_pushes_gives_the_same_as_ours() -> None:
    pushed, taking = run([(n + 1.02, sensor_logger(n, n + 1, n)) for n in range(10)])
    plain, _ = run([(n + 1.02, ours(n, n + 1)) for n in range(10)])
    assert instants(pushed) == instants(plain)
    np.testing.assert_allclose(pushed[3].acc, plain[3].acc, atol=1e-5)
    np.testing.assert_allclose(pushed[3].gyro[:, 1:], [[0.1, 0.2, 0.3]] * 50, atol=1e-6)
    assert pushed[3].scan == (("AA:BB:CC:00:00:01", -50.0), ("AA:BB:CC:00:00:02", -51.0))
    assert pushed[3].scan_age_s == pytest.approx(0.5, abs=1e-3)
    assert taking.counters["damaged"] == 0


def test_acceleration_always_has_gravity_in_it() -> None:
    def acc(*names_values: tuple[str, list[float]]):
        entries = [
            {"name": name, "time": at(0.1), "values": dict(zip("xyz", value, strict=True))}
            for name, value in names_values
        ]
        return parse(json.dumps({"payload": entries}).encode(), str)

    np.testing.assert_allclose(
        acc(("accelerometer", [1, 0, 0]), ("gravity", [0, 0, 9.8])).samples["acc"].xyz, [[1, 0, 9.8]], rtol=1e-6
    )
    np.testing.assert_allclose(
        acc(("accelerometeruncalibrated", [0, 0, -1])).samples["acc"].xyz, [[0, 0, -9.80665]], rtol=1e-6
    )
    alone = acc(("accelerometer", [1, 0, 0]))
    assert "acc" not in alone.samples
    assert alone.skipped["without_gravity"] == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"acc": 3}', b'{"acc": [[1, 2]]}', b'{"payload": {}}',
     b'{"payload": [1]}', b'{"acc": [[1, 2, 3, NaN]]}', b'{"scans": [{"t_ms": 1}]}', b"[" * 100_000,
     b'{"acc": [[1,2,3,4]'],
)  # fmt: skip
def test_what_is_no_upload_is_refused_in_one_sentence(body: bytes) -> None:
    taking = gateway()
    with pytest.raises(BadUpload) as caught:
        taking.take("phone-1", body, T0)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert taking.due(2**62) == []


def test_damaged_values_are_left_out_and_counted() -> None:
    good = [[at(0.2 + n / 50) / 1e6, 0, 0, 9.8] for n in range(5)]
    silent = {"bssid": "aa", "dbm": 0}
    body = json.dumps(
        {
            "acc": [[at(0.1) / 1e6, 1e300, 0, 0], [-5, 0, 0, 0], [1e30, 0, 0, 0], [at(9e5) / 1e6, 0, 0, 0], *good],
            "scans": [{"t_ms": at(0.3) / 1e6, "heard": [*HEARD, silent]}, {"t_ms": -1, "heard": HEARD}],
        }
    ).encode()
    taking = gateway()
    taking.take("phone-1", body, at(0.35))
    (batch,) = taking.finish()
    assert len(batch.acc) == 5
    assert len(batch.scan) == 2
    assert taking.counters["damaged"] == 6
    assert taking.counters["astray"] == 1


def test_a_scan_far_from_the_samples_is_astray() -> None:
    """An upload whose samples are all near to each other, so that only its scan tells that a time is damaged."""
    taking = gateway()
    taking.take("phone-1", ours(0, 1, scans=[{"t_ms": at(-4000) / 1e6, "heard": HEARD}]), at(1.02))
    batches = taking.finish()
    assert taking.counters["astray"] == len(HEARD)
    assert not [batch for batch in batches if batch.scan or batch.t_ns < T0]


def test_odd_readings_of_sensor_logger_are_left_out_and_counted() -> None:
    """Lists of one where numbers belong, alone and among sound readings, null, text that is a number, a hole."""
    odd = [{"x": [1], "y": [2], "z": [3]}, {"x": None, "y": 0, "z": 0}, {"x": "no", "y": 0, "z": 0}, {"x": 1}, None]
    sound = [{"x": 0, "y": 0, "z": 9.8}, {"x": "0.5", "y": 0, "z": 9.8}]
    entries = [{"name": "gyroscope", "time": at(0.1 + n / 50), "values": v} for n, v in enumerate([*odd, *sound])]
    said = parse(json.dumps({"payload": entries}).encode(), str.upper)
    assert said.samples["gyro"].xyz[:, 0].tolist() == [0.0, 0.5]
    assert said.skipped["damaged"] == len(odd)


def test_memory_is_bounded_whatever_a_phone_sends() -> None:
    taking = gateway()
    many = [[at(0.5 + n / 1e5) / 1e6, 0, 0, 9.8] for n in range(30_000)]
    taking.take("phone-1", json.dumps({"acc": many}).encode(), at(1.0))
    sparse = [[at(-n) / 1e6, 0, 0, 9.8] for n in range(1700)]
    taking.take("phone-1", json.dumps({"gyro": sparse}).encode(), at(1.1))
    batches = taking.finish()
    assert max(len(batch.acc) for batch in batches) == MOST_SAMPLES
    assert len(batches) < 700
    assert taking.counters["excess"] > 25_000
    with pytest.raises(BadUpload, match="bytes"):
        taking.take("phone-1", b" " * 3_000_000, T0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 60), st.floats(0, 30), st.floats(0.1, 5)), max_size=12), st.randoms())
def test_any_order_of_any_uploads_gives_good_messages(
    pieces: list[tuple[float, float, float]], rng: random.Random
) -> None:
    taking, now_s, given_ = gateway(), 0.0, []
    for later, start, length in pieces:
        now_s += abs(later) / 4
        body = bytearray(ours(start, start + length, hz=20))
        if rng.random() < 0.2:
            body[rng.randrange(len(body))] = rng.randrange(256)
        try:
            taking.take("phone-1", bytes(body), at(now_s))
        except BadUpload:
            continue
        given_ += taking.due(at(now_s))
    given_ += taking.finish()
    ends = [batch.t_ns for batch in given_]
    assert ends == sorted(set(ends))
    for batch in given_:
        assert encode(decode(encode(batch))) == encode(batch)
        assert (np.diff(batch.acc[:, 0]) < 0).all()
        assert ((batch.acc[:, 0] >= 0) & (batch.acc[:, 0] < 1)).all()
