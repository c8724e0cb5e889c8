"""The vocabulary of whowhere: every message, its topic, its units and its codec. docs/wire.md says the same in prose.

A message is a frozen struct. On the wire it is one msgpack map (the body), with arrays as little-endian binary of
a fixed dtype and column count, so that any language reads it. A malformed body is refused in `decode`, an
impossible value in the constructor, both with one sentence that names the field; nothing else checks again.
This module knows no sockets, no clock and no geometry.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import msgspec
import numpy as np
from msgspec.structs import force_setattr
from numpy.typing import NDArray

SCHEMA_VERSION = 1
MAX_BODY_BYTES = 16 * 2**20  # a guard against corrupt lengths; the largest real body is a checkpoint of some 100 kB
WEAKEST_DBM, STRONGEST_DBM = -200.0, 100.0  # thermal noise of 1 Hz is -174, a broadcast transmitter's own output 90


class BadMessage(ValueError):
    """A body that is not a message of this vocabulary; the text names the field and what is wrong with it."""


class _ArrayType(type):
    """Lets msgspec accept a numpy array where an annotation below names a wire array (dtype and columns)."""

    dtype: str
    columns: int

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, np.ndarray)


def _wire_array(dtype: str, columns: int = 0) -> Any:
    """An annotation: a binary field of `dtype`, (N,) or with `columns` (N, columns)."""
    return _ArrayType(f"{dtype}x{columns}", (), {"dtype": dtype, "columns": columns})


if TYPE_CHECKING:
    F32 = F32x2 = F32x4 = F32x5 = F32x9 = NDArray[np.float32]
    F64x2 = NDArray[np.float64]
    U8 = NDArray[np.uint8]
    U32 = NDArray[np.uint32]
else:
    F32, F32x2, F32x4, F32x5, F32x9 = (_wire_array("<f4", n) for n in (0, 2, 4, 5, 9))
    F64x2, U8, U32 = _wire_array("<f8", 2), _wire_array("|u1"), _wire_array("<u4")


class Header(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="kind"):
    """What every message carries.

    source: the id of the node's sensor or service. t_ns: when the world was sensed, UTC nanoseconds.
    seq: +1 for each message of one topic, so that whoever subscribes to any prefix can count what it missed.
    """

    source: str
    t_ns: int
    seq: int = 0
    v: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        _require_header(self)

    @property
    def topic(self) -> str:
        return f"{kind_of(self)}/{self.source}"


class RadarFrame(Header, frozen=True, kw_only=True, eq=False, tag="radar"):
    """One radar frame, in the SENSOR frame (x right, y boresight, z up), as the firmware sent it.

    points (N,5) f32: x, y, z in m, doppler in m/s (positive = receding), snr in dB (0 where the firmware sends none).
    targets (M,9) f32: tracker id, position x y z in m, velocity x y z in m/s, confidence (0..1, NaN never: -1 where
    unknown), height in m above the floor (-1 where unknown); None when the firmware does not track.
    target_index (K,) u8: labels of the PREVIOUS frame's points (protocols A5), None when absent or mismatched.
    """

    points: F32x5
    frame_number: int
    targets: F32x9 | None = None
    target_index: U8 | None = None
    presence: bool | None = None

    def __post_init__(self) -> None:
        Header.__post_init__(self)
        _fit(self, "points", "<f4", 5)
        if self.targets is not None:
            _fit(self, "targets", "<f4", 9)


class CameraFrame(Header, frozen=True, kw_only=True, eq=False, tag="camera"):
    """People found in one image. Pixels never travel.

    boxes (N,4) f32: left, top, width, height in px of an image of `image_size` (width, height), both positive.
    scores (N,) f32: detector margin, larger is surer. descriptors: {"name:version": (N,D) f32}.
    """

    boxes: F32x4
    scores: F32
    image_size: tuple[int, int]
    descriptors: dict[str, F32] = {}

    def __post_init__(self) -> None:
        Header.__post_init__(self)
        _fit(self, "boxes", "<f4", 4)
        _fit(self, "scores", "<f4")
        if len(self.image_size) != 2 or not all(0 < side < np.inf for side in self.image_size):
            raise ValueError(f"image_size = {self.image_size} must be two positive numbers, width and height in px")
        rows = len(self.boxes)
        if len(self.scores) != rows:
            raise ValueError(f"scores has {len(self.scores)} rows for {rows} boxes")
        for name, values in self.descriptors.items():
            if values.size and (rows == 0 or values.size % rows):
                raise ValueError(f"descriptors[{name!r}] has {values.size} values for {rows} boxes")
            shaped = np.ascontiguousarray(values, "<f4").reshape(rows, values.size // rows if rows else 0)
            self.descriptors[name] = _finite(f"descriptors[{name!r}]", shaped)


class WifiWindow(Header, frozen=True, kw_only=True, eq=False, tag="wifi"):
    """Signal strengths one sniffer heard in one window; t_ns is the window's END, also published when empty.

    devices (N): keyed pseudonyms, one row each: rssi_dbm f32 (mean, -200..100), rssi_std_db f32 (not negative),
    count u32 (packets), channel u8. window_s: the window's length, positive.
    others: how many further, unenrolled devices were heard and not listed.
    """

    window_s: float
    devices: tuple[str, ...]
    rssi_dbm: F32
    rssi_std_db: F32
    count: U32
    channel: U8
    others: int = 0

    def __post_init__(self) -> None:
        Header.__post_init__(self)
        _fit(self, "rssi_dbm", "<f4")
        _fit(self, "rssi_std_db", "<f4")
        _fit(self, "count", "<u4")
        _fit(self, "channel", "|u1")
        _require_finite(self, "window_s")
        if self.window_s <= 0:
            raise ValueError(f"window_s = {self.window_s} must be a positive number of seconds")
        _within(self, "rssi_dbm", WEAKEST_DBM, STRONGEST_DBM, "dBm")
        _within(self, "rssi_std_db", 0.0, np.inf, "dB")
        for name in ("rssi_dbm", "rssi_std_db", "count", "channel"):
            if len(getattr(self, name)) != len(self.devices):
                raise ValueError(f"{name} has {len(getattr(self, name))} rows for {len(self.devices)} devices")


class PhoneBatch(Header, frozen=True, kw_only=True, eq=False, tag="phone"):
    """What a consenting phone's app measured in about a second that ended at t_ns; source: the phone's id.

    acc (m/s2), gyro (rad/s), mag (uT): (N,4) f32 of seconds before t_ns and x, y, z in the phone's frame; empty where
    the phone has no such sensor. scan: access points heard, (bssid pseudonym, dBm), once each; scan_age_s: how long
    before t_ns that scan ended.
    """

    acc: F32x4
    gyro: F32x4
    mag: F32x4
    scan: tuple[tuple[str, float], ...] = ()
    scan_age_s: float = 0.0

    def __post_init__(self) -> None:
        Header.__post_init__(self)
        for name in ("acc", "gyro", "mag"):
            _fit(self, name, "<f4", 4)
        _require_finite(self, "scan_age_s")
        for bssid, rssi_dbm in self.scan:
            if not WEAKEST_DBM <= rssi_dbm <= STRONGEST_DBM:
                raise ValueError(f"scan: {bssid} = {rssi_dbm} must be {WEAKEST_DBM:g} to {STRONGEST_DBM:g} dBm")


class PhonePosition(Header, frozen=True, kw_only=True, eq=False, tag="position"):
    """Where a phone is by its own sensors, as a positioning model says; source: the phone's id.

    x_m, y_m: in the site frame. covariance_m2: (xx, xy, yy), calibrated. modalities: which of "wifi", "imu", "mag"
    went into it. model, map: "name:version" of what it was computed with.
    """

    x_m: float
    y_m: float
    covariance_m2: tuple[float, float, float]
    modalities: tuple[str, ...] = ()
    model: str = ""
    map: str = ""

    def __post_init__(self) -> None:
        Header.__post_init__(self)
        for name in ("x_m", "y_m"):
            _require_finite(self, name)
        xx, xy, yy = self.covariance_m2
        if not (0 < xx < np.inf and 0 < yy < np.inf and xy * xy < xx * yy):
            raise ValueError(f"covariance_m2 = {self.covariance_m2} must be xx, xy, yy of a positive definite matrix")


State: TypeAlias = Literal["confirmed", "tentative", "anonymous", "wireless"]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Where one identity or one anonymous body is, and how sure that is.

    id: the identity's name, or an anonymous id (`anon-7`). x_m, y_m: position in the site frame.
    covariance_m2: (xx, xy, yy). velocity_m_s: (x, y). candidates: (name, probability), most probable first, with
    "unknown" among them, summing to 1. state: `confirmed` (this named identity is this body), `tentative` (a named
    identity, not yet sure which body: the position is the middle of where they may be), `wireless` (a named identity
    that no camera or radar sees), `anonymous` (a body without a confirmed name, or that nobody has seen for seconds).
    sources: the sensors that contributed lately. since_ns: since when it has this id. revises: the id this one
    replaced, when later evidence corrected an earlier answer. track: the body's number, None without one.
    """

    id: str
    x_m: float
    y_m: float
    covariance_m2: tuple[float, float, float]
    velocity_m_s: tuple[float, float]
    candidates: tuple[tuple[str, float], ...]
    state: State
    sources: tuple[str, ...]
    since_ns: int
    revises: str | None = None
    track: int | None = None

    def __post_init__(self) -> None:
        (xx, xy, yy), (vx, vy) = self.covariance_m2, self.velocity_m_s
        total = self.x_m + self.y_m + xx + xy + yy + vx + vy
        for _, probability in self.candidates:
            total += probability
        if total - total != 0:  # one is no finite number; asking each is twice as slow, and these are made by the scene
            raise ValueError(f"{self.id!r}: x_m, y_m, covariance_m2, velocity_m_s, candidates must be finite: {self}")

    def fields(self) -> dict[str, Any]:
        """The fields by name, as `Location` takes them."""
        return msgspec.structs.asdict(self)


class Location(Person, frozen=True, kw_only=True, tag_field="kind", tag="location"):
    """One `Person` as a message of its own, on the topic `location/<id>`: a prefix subscribes to one person."""

    source: str
    t_ns: int
    seq: int = 0
    v: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        _require_header(self)
        Person.__post_init__(self)

    @property
    def topic(self) -> str:
        return f"location/{self.id}"


class Scene(Header, frozen=True, kw_only=True, eq=False, tag="scene"):
    """Everybody at one instant, for pages and late joiners."""

    people: tuple[Person, ...]


EventType: TypeAlias = Literal["started", "enter", "leave", "confirm", "revise", "warning"]


class Event(Header, frozen=True, kw_only=True, eq=False, tag="event"):
    """Something happened: `confirm` and `revise` say who (from, to) and since when; `started` from what."""

    type: EventType
    id: str = ""
    track: int | None = None
    was: str | None = None
    since_ns: int | None = None
    text: str = ""


class Checkpoint(Header, frozen=True, kw_only=True, eq=False, tag="checkpoint"):
    """The engine's whole state.

    state: what `Engine.restore` takes. received: per input topic the ranges of messages received by this process,
    as (boot id, first seq, last seq), so that a recording can be verified across restarts and gaps.
    """

    state: bytes
    site_hash: str
    received: dict[str, tuple[tuple[str, int, int], ...]] = {}


class SiteInForce(Header, frozen=True, kw_only=True, eq=False, tag="site"):
    """The site file in force, as JSON, with device addresses already replaced by pseudonyms."""

    document: str


HealthState: TypeAlias = Literal["starting", "ok", "lost", "refused", "stopped"]


class Health(Header, frozen=True, kw_only=True, eq=False, tag="health"):
    """How a node is, once a second; t_ns is now, so it also advances time while a sensor is quiet.

    state: `lost` (the device went away, being retried), `refused` (needs a person; `detail` says what to do).
    rate_hz: messages per second lately. lag_s: from sensing to sending. counters: totals since start, each named.
    clock_offset_s: this host's clock minus the hub's, None before it is measured. memory_mb: proportional (PSS).
    """

    state: HealthState
    detail: str = ""
    rate_hz: float = 0.0
    lag_s: float = 0.0
    counters: dict[str, int] = {}
    clock_offset_s: float | None = None
    memory_mb: float | None = None
    versions: dict[str, str] = {}


class RadioMap(Header, frozen=True, kw_only=True, eq=False, tag="map"):
    """A new radio map to swap in, on trial; the node that places phones takes it, fusion does not."""

    name: str
    version: str
    content: bytes


class ModelSwap(Header, frozen=True, kw_only=True, eq=False, tag="model"):
    """Reserved: a model to swap in, by its folder below models/ and its card's sha256. Nothing sends or takes it."""

    name: str
    version: str
    sha256: str


class Truth(Header, frozen=True, kw_only=True, eq=False, tag="truth"):
    """Where everybody really is; published by simulated sites only, never read by fusion.

    people (N): names. position (N,2) f64 m. enrolled (N): the identity, "" for none.
    seen_by (N): the cameras and radars that have this person in view and unoccluded.
    """

    people: tuple[str, ...]
    position: F64x2
    enrolled: tuple[str, ...]
    seen_by: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        Header.__post_init__(self)
        _fit(self, "position", "<f8", 2)
        for name in ("position", "enrolled", "seen_by"):
            if len(getattr(self, name)) != len(self.people):
                raise ValueError(f"{name} has {len(getattr(self, name))} rows for {len(self.people)} people")


Message: TypeAlias = (
    RadarFrame | CameraFrame | WifiWindow | PhoneBatch | PhonePosition | Location | Scene | Event | Checkpoint
    | SiteInForce | Health | RadioMap | ModelSwap | Truth
)  # fmt: skip

SENSOR_KINDS = ("radar", "camera", "wifi", "phone")
OUTPUT_KINDS = ("location", "scene", "event")  # byte-identical in every replay
INPUT_KINDS = (*SENSOR_KINDS, "position", "health")  # what fusion receives; of a phone, the engine takes the position
LATE_JOINER_KINDS = ("site", "scene", "health", "checkpoint")  # the hub keeps the last of each topic


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """What belongs to the transport and must not disturb determinism: [boot, t_sent_ns].

    boot: random per process start. t_sent_ns: the sender's clock when it sent.
    """

    boot: str
    t_sent_ns: int


def kind_of(message: Any) -> str:
    return cast(str, message.__struct_config__.tag)


def encode(message: Message) -> bytes:
    """The body: the same message always gives the same bytes."""
    return _ENCODER.encode(message)


def decode(body: bytes | memoryview) -> Message:
    """The message in a body. Raises BadMessage, naming the field, for anything that is not one."""
    if len(body) > MAX_BODY_BYTES:
        raise BadMessage(f"a body of {len(body)} bytes: more than {MAX_BODY_BYTES} is never a message")
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"not a message: {error}") from error


def encode_stamp(stamp: Stamp) -> bytes:
    return _STAMP_ENCODER.encode(stamp)


def decode_stamp(raw: bytes | memoryview) -> Stamp:
    """Raises BadMessage where `raw` is not [boot, t_sent_ns]."""
    try:
        return _STAMP_DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadMessage(f"not a stamp [boot, t_sent_ns]: {error}") from error


def as_json(value: Any) -> str:
    """Any message or part of one as JSON text, arrays as nested lists; for pages and programs that read --json."""
    return msgspec.json.encode(value, enc_hook=lambda array: array.tolist()).decode()


def numbered(message: Message, counts: dict[str, int]) -> Message:
    """The message with the next seq of its topic; `counts` holds, per topic, how many were numbered before."""
    seq = counts.get(message.topic, 0)
    counts[message.topic] = seq + 1
    return msgspec.structs.replace(message, seq=seq)


def _require_header(message: Any) -> None:
    if message.v != SCHEMA_VERSION:
        raise ValueError(
            f"schema version v = {message.v}, but this whowhere speaks {SCHEMA_VERSION}: upgrade the older side"
        )
    if not message.source or "/" in message.source:
        raise ValueError(f"source = {message.source!r} must be a non-empty name without '/'")
    if message.t_ns < 0:
        raise ValueError(f"t_ns = {message.t_ns} must be UTC nanoseconds, not negative")


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    if 0 in np.isfinite(values).tobytes():  # a False; for small arrays twice as quick as all()
        raise ValueError(f"{name} holds a NaN or infinite value; leave such rows out before publishing")
    return values


def _require_finite(message: Any, name: str) -> None:
    if not np.isfinite(getattr(message, name)):
        raise ValueError(f"{name} = {getattr(message, name)} must be finite")


def _within(message: Any, name: str, low: float, high: float, unit: str) -> None:
    values = getattr(message, name)
    wrong = values[(values < low) | (values > high)]
    if len(wrong):
        limits = f"below {low:g}" if high == np.inf else f"outside {low:g} to {high:g}"
        raise ValueError(f"{name} holds {wrong[0]:g}, {limits} {unit}; leave such rows out before publishing")


def _fit(message: Any, name: str, dtype: str, columns: int = 0) -> None:
    """Give a field its wire dtype and shape; raise ValueError where it cannot have them or is not finite."""
    values = getattr(message, name)
    if not isinstance(values, np.ndarray) or values.dtype != dtype or not values.flags.c_contiguous:
        values = np.ascontiguousarray(values, dtype)
        force_setattr(message, name, values)
    if columns and values.size == 0 and values.shape != (0, columns):
        values = values.reshape(0, columns)
        force_setattr(message, name, values)
    if values.shape[1:] != ((columns,) if columns else ()):
        raise ValueError(f"{name} has shape {values.shape}, expected (N{f',{columns}' if columns else ''})")
    if dtype[1] == "f":
        _finite(name, values)


def _to_wire(value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    raise TypeError(f"{type(value).__name__} has no wire form")


def _from_wire(expected: type, value: Any) -> Any:
    if not isinstance(expected, _ArrayType):
        raise TypeError(f"{expected} has no wire form")
    if not isinstance(value, bytes):
        raise ValueError(f"Expected binary of {expected.dtype}, got {type(value).__name__}")
    flat = np.frombuffer(value, expected.dtype)
    return flat.reshape(-1, expected.columns) if expected.columns else flat


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_to_wire, order="deterministic")
_DECODER = msgspec.msgpack.Decoder(Message, dec_hook=_from_wire)
_STAMP_ENCODER = msgspec.msgpack.Encoder()
_STAMP_DECODER = msgspec.msgpack.Decoder(Stamp)
KINDS: Mapping[str, type] = {cls.__struct_config__.tag: cls for cls in Message.__args__}  # type: ignore[attr-defined]
