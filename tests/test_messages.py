"""The vocabulary: what goes in comes out, and what is malformed is refused with the field's name."""

from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from whowhere.messages import (
    KINDS,
    BadMessage,
    CameraFrame,
    Checkpoint,
    Event,
    Health,
    Location,
    Message,
    ModelSwap,
    PhoneBatch,
    PhonePosition,
    RadarFrame,
    RadioMap,
    Scene,
    SiteInForce,
    Stamp,
    Truth,
    WifiWindow,
    as_json,
    decode,
    decode_stamp,
    encode,
    encode_stamp,
    kind_of,
    numbered,
)

LOCATION = Location(
    source="fusion",
    t_ns=9,
    id="Ada",
    x_m=1.5,
    y_m=2.0,
    covariance_m2=(0.1, 0.0, 0.2),
    velocity_m_s=(0.5, 0.0),
    candidates=(("Ada", 0.9), ("unknown", 0.1)),
    state="confirmed",
    sources=("camera-1",),
    since_ns=4,
    track=3,
)
ONE_OF_EACH: list[Message] = [
    RadarFrame(source="r", t_ns=1, points=np.ones((3, 5), "f4"), frame_number=7, targets=np.zeros((1, 9), "f4")),
    CameraFrame(
        source="c",
        t_ns=2,
        boxes=np.ones((2, 4), "f4"),
        scores=np.ones(2, "f4"),
        image_size=(640, 480),
        descriptors={"hsv-8x8x4:1": np.ones((2, 256), "f4")},
    ),
    WifiWindow(
        source="s",
        t_ns=3,
        window_s=0.5,
        devices=("a", "b"),
        rssi_dbm=np.array([-40, -50], "f4"),
        rssi_std_db=np.zeros(2, "f4"),
        count=np.array([2, 3], "u4"),
        channel=np.array([6, 6], "u1"),
    ),
    PhonePosition(source="p", t_ns=4, x_m=1.0, y_m=2.0, covariance_m2=(1.0, 0.1, 2.0), modalities=("wifi", "imu")),
    PhoneBatch(source="p", t_ns=4, acc=np.ones((2, 4), "f4"), gyro=np.ones((0, 4), "f4"), mag=np.ones((1, 4), "f4")),
    LOCATION,
    Scene(source="fusion", t_ns=5, people=()),
    Event(source="fusion", t_ns=6, type="confirm", id="Ada", track=3, was="anon-3", since_ns=2, text="body 3 is Ada"),
    Checkpoint(source="fusion", t_ns=7, state=b"\x00\x01", site_hash="x", received={"radar/r": (("boot", 0, 9),)}),
    SiteInForce(source="fusion", t_ns=8, document="{}"),
    Health(source="r", t_ns=9, state="lost", detail="unplugged", counters={"frames": 3}, clock_offset_s=0.001),
    RadioMap(source="m", t_ns=10, name="map", version="1", content=b"x"),
    ModelSwap(source="m", t_ns=11, name="reid", version="2", sha256="0" * 64),
    Truth(
        source="simulated",
        t_ns=12,
        people=("p1",),
        position=np.ones((1, 2)),
        enrolled=("Ada",),
        seen_by=(("camera-1",),),
    ),
]


@pytest.mark.parametrize("message", ONE_OF_EACH, ids=kind_of)
def test_every_kind_survives_the_wire(message: Message) -> None:
    body = encode(message)
    again = decode(body)
    assert type(again) is type(message)
    assert encode(again) == body
    assert as_json(again) == as_json(message)
    assert again.topic.startswith(f"{kind_of(message)}/")


@pytest.mark.parametrize("covariance", [(0.0, 0.0, 1.0), (1.0, 2.0, 1.0), (float("nan"), 0.0, 1.0), (1.0, 0.0, -1.0)])
def test_a_position_without_a_sensible_covariance_is_refused(covariance: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="covariance_m2"):
        PhonePosition(source="p", t_ns=4, x_m=1.0, y_m=2.0, covariance_m2=covariance)


def test_an_access_point_of_absurd_power_is_refused() -> None:
    nothing = np.zeros((0, 4), "f4")
    with pytest.raises(ValueError, match="ap-1"):
        PhoneBatch(source="p", t_ns=4, acc=nothing, gyro=nothing, mag=nothing, scan=(("ap-1", float("nan")),))


def test_every_kind_is_tested() -> None:
    assert {kind_of(message) for message in ONE_OF_EACH} == set(KINDS)


def test_arrays_are_raw_little_endian() -> None:
    points = np.arange(10, dtype="f4").reshape(2, 5)
    body = msgspec.msgpack.decode(encode(RadarFrame(source="r", t_ns=1, points=points, frame_number=1)))
    assert body["points"] == points.astype("<f4").tobytes()


def test_other_types_and_orders_of_array_are_converted() -> None:
    frame = RadarFrame(source="r", t_ns=1, points=np.asfortranarray(np.ones((4, 5))), frame_number=1)  # type: ignore[arg-type]
    assert frame.points.dtype == np.float32
    assert frame.points.flags.c_contiguous


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_by_name(bad: float) -> None:
    with pytest.raises(ValueError, match="rssi_dbm holds a NaN"):
        msgspec.structs.replace(ONE_OF_EACH[2], rssi_dbm=np.array([bad, 1], "f4"))
    with pytest.raises(ValueError, match="boxes holds a NaN"):
        msgspec.structs.replace(ONE_OF_EACH[1], boxes=np.full((2, 4), bad, "f4"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"v": 2}, "schema version v = 2"),
        ({"points": b"123"}, "points"),
        ({"points": "text"}, "points"),
        ({"points": b"\x00" * 16}, "points"),
        ({"source": "a/b"}, "source"),
        ({"t_ns": -1}, "t_ns"),
        ({"kind": "rader"}, "kind"),
        ({"frame_number": "one"}, "frame_number"),
    ],
)
def test_malformed_bodies_are_refused_by_field(change: dict[str, object], reason: str) -> None:
    body = msgspec.msgpack.decode(encode(ONE_OF_EACH[0]))
    with pytest.raises(BadMessage, match=reason):
        decode(msgspec.msgpack.encode({**body, **change}))


SIZE = "must be two positive numbers"


@pytest.mark.parametrize(
    ("which", "field", "bad", "reason"),
    [
        (1, "image_size", (0, 0), rf"image_size = \(0, 0\) {SIZE}"),
        (1, "image_size", (640, -480), rf"image_size = \(640, -480\) {SIZE}"),
        (2, "rssi_dbm", [-40.0, 100.5], "rssi_dbm holds 100.5, outside -200 to 100 dBm"),
        (2, "rssi_dbm", [-1e30, -50.0], r"rssi_dbm holds -1e\+30, outside -200 to 100 dBm"),
        (2, "rssi_std_db", [1.0, -0.5], "rssi_std_db holds -0.5, below 0 dB"),
        (2, "window_s", 0.0, "window_s = 0.0 must be a positive number of seconds"),
        (2, "window_s", -0.5, "window_s = -0.5 must be a positive number of seconds"),
    ],
)
def test_impossible_values_are_refused_by_name(which: int, field: str, bad: object, reason: str) -> None:
    """By the constructor and, where another program sent them, by `decode`; in one sentence."""
    good = ONE_OF_EACH[which]
    value = np.array(bad, "<f4") if isinstance(bad, list) else bad
    with pytest.raises(ValueError, match=reason) as caught:
        msgspec.structs.replace(good, **{field: value})
    assert "\n" not in str(caught.value)
    body = msgspec.msgpack.decode(encode(good))
    with pytest.raises(BadMessage, match=reason):
        decode(msgspec.msgpack.encode({**body, field: value.tobytes() if isinstance(value, np.ndarray) else value}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"v": 2}, "schema version v = 2"),
        ({"source": ""}, "source = '' must be a non-empty name"),
        ({"t_ns": -1}, "t_ns = -1 must be UTC nanoseconds"),
        ({"y_m": float("nan")}, "'Ada': x_m, y_m, .* must be finite"),
        ({"covariance_m2": (0.1, 0.0, float("inf"))}, "must be finite"),
        ({"velocity_m_s": (float("inf"), -float("inf"))}, "must be finite"),
        ({"candidates": (("Ada", float("nan")),)}, "must be finite"),
    ],
)
def test_a_location_is_checked_as_every_message_is(change: dict[str, Any], reason: str) -> None:
    """It shares no class with the others, and a scene's people are checked with it."""
    with pytest.raises(ValueError, match=reason):
        msgspec.structs.replace(LOCATION, **change)
    body = msgspec.msgpack.decode(encode(LOCATION))
    with pytest.raises(BadMessage, match=reason):
        decode(msgspec.msgpack.encode({**body, **change}))
    if not change.keys() & {"v", "source", "t_ns"}:
        scene = {"kind": "scene", "source": "fusion", "t_ns": 1, "people": [{**body, **change}]}
        with pytest.raises(BadMessage, match=reason):
            decode(msgspec.msgpack.encode(scene))


@pytest.mark.parametrize("size", [(), (640,), (640, 480, 3), (640, float("nan")), (float("inf"), 480)])
def test_an_image_has_a_width_and_a_height(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"image_size = .* {SIZE}"):
        msgspec.structs.replace(ONE_OF_EACH[1], image_size=size)


def test_the_weakest_and_the_strongest_power_are_messages() -> None:
    window = msgspec.structs.replace(ONE_OF_EACH[2], rssi_dbm=np.array([-200, 100], "f4"))
    assert encode(decode(encode(window))) == encode(window)


def test_a_key_of_a_later_minor_version_is_ignored() -> None:
    body = msgspec.msgpack.decode(encode(ONE_OF_EACH[0]))
    assert isinstance(decode(msgspec.msgpack.encode({**body, "later": 1})), RadarFrame)


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else_happens(garbage: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(garbage)


@given(st.integers(0, 12), st.integers(0, 2000), st.binary(min_size=1, max_size=4))
def test_damaged_bodies_are_refused_or_still_messages(which: int, at: int, noise: bytes) -> None:
    body = bytearray(encode(ONE_OF_EACH[which]))
    at %= len(body)
    body[at : at + len(noise)] = noise
    with suppress(BadMessage):
        assert kind_of(decode(bytes(body))) in KINDS


def test_numbers_count_per_topic() -> None:
    counts: dict[str, int] = {}
    assert [numbered(ONE_OF_EACH[0], counts).seq for _ in range(3)] == [0, 1, 2]
    assert numbered(LOCATION, counts).seq == 0


def test_stamps() -> None:
    stamp = Stamp("b00t", 12)
    assert decode_stamp(encode_stamp(stamp)) == stamp
    with pytest.raises(BadMessage):
        decode_stamp(b"\x01")
