"""The site: which sensors stand where, who is enrolled, and how fusion is set. docs/site.md lists every key.

One frozen `Site`, its tables, and its JSON form as the `site` message carries it. What can be judged from the values
alone is judged here. Angles are degrees, lengths metres; the site frame is right-handed, z up, floor at z = 0. No file
is read here: launch/site_files.py reads TOML into a `Site`, and tells mistakes in it.
"""

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta
from msgspec.structs import replace

ID_PATTERN, NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", r"^[^/\x00-\x1f]{1,64}$"
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
NotNegative: TypeAlias = Annotated[float, Meta(ge=0)]
Share: TypeAlias = Annotated[float, Meta(gt=0, lt=1)]
Port: TypeAlias = Annotated[int, Meta(ge=1, le=65533)]
Id: TypeAlias = Annotated[str, Meta(pattern=ID_PATTERN, max_length=64)]
Name: TypeAlias = Annotated[str, Meta(pattern=NAME_PATTERN)]
Metres: TypeAlias = Annotated[float, Meta(ge=-1000, le=1000)]  # from the origin; a square kilometre takes fusion 0.2 GB
Point2: TypeAlias = tuple[Metres, Metres]
Point3: TypeAlias = tuple[Metres, Metres, Metres]
Pixels: TypeAlias = tuple[float, float]
Size: TypeAlias = tuple[Annotated[int, Meta(gt=0)], Annotated[int, Meta(gt=0)]]

MODELS = ("radiomap", "positioning", "appearance", "gait")
SHIPPED = "shipped"  # as a model: the one that comes with whowhere
ENROLLED = "dev-"  # how the pseudonyms of enrolled devices begin
SIMULATED = "simulated"  # as a port or source: the sensor's virtual twin, wired up by launch


class SiteError(ValueError):
    """The site file cannot be used; the text says where and what would be right."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Area(_Table, frozen=True, kw_only=True):
    """The floor plan. x_m, y_m: its extent as [from, to]. walls: segments [x1, y1, x2, y2], drawn and simulated."""

    x_m: Point2
    y_m: Point2
    walls: tuple[tuple[Metres, Metres, Metres, Metres], ...] = ()

    def __post_init__(self) -> None:
        for name, (low, high) in (("x_m", self.x_m), ("y_m", self.y_m)):
            if not low < high:
                raise ValueError(f"{name} = [{low}, {high}] must be [from, to] with from < to")


class Pose(_Table, frozen=True, kw_only=True):
    """Where a sensor stands and looks: yaw from the site's +x axis, counter-clockwise; tilt positive = down."""

    position_m: Point3
    yaw_deg: float = 0.0
    tilt_deg: float = 0.0
    roll_deg: float = 0.0


class Radar(_Table, frozen=True, kw_only=True):
    """A TI IWR6843. cli_port and data_port: device paths (by-id), or "simulated". config: a TI .cfg file."""

    id: Id
    cli_port: str
    data_port: str
    config: str = "iwr6843_oob_10hz.cfg"
    pose: Pose
    baud: Annotated[int, Meta(gt=0)] = 921600


class Homography(_Table, frozen=True, kw_only=True, tag="homography", tag_field="model"):
    """Pixels to floor by at least four correspondences, pixels_px[i] <-> floor_m[i], no three on one line."""

    image_size: Size
    pixels_px: tuple[Pixels, ...]
    floor_m: tuple[Point2, ...]

    def __post_init__(self) -> None:
        if len(self.pixels_px) != len(self.floor_m) or len(self.pixels_px) < 4:
            raise ValueError(
                f"needs at least four pairs, has {len(self.pixels_px)} pixels_px and {len(self.floor_m)} floor_m"
            )


class Pinhole(_Table, frozen=True, kw_only=True, tag="pinhole", tag_field="model"):
    """A full camera: focal lengths and centre in px, distortion (k1, k2, p1, p2, k3), and its pose."""

    image_size: Size
    focal_px: tuple[Positive, Positive]
    centre_px: Pixels
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    pose: Pose


class Detector(_Table, frozen=True, kw_only=True):
    """The HOG people detector's parameters that matter (protocols D2, D3)."""

    scale: Annotated[float, Meta(gt=1)] = 1.1  # of the pyramid; 1.05 finds a few more people at twice the cost
    stride_px: Literal[4, 8, 16] = 8
    hit_threshold: float = 0.3  # SVM margin; lower finds more people and more poles
    resize: Positive = 1.0  # of the image before detection; > 1 finds people smaller than 100 px
    motion_gate: bool = True
    overlap: Share = 0.45  # boxes overlapping more than this (IoU) are one person
    foot_margin: NotNegative = 0.08  # share of the box height between the feet and the box's bottom


class Camera(_Table, frozen=True, kw_only=True):
    """A camera. source: an index, an RTSP or HTTP URL, a video file, a folder of images, or "simulated"."""

    id: Id
    source: str
    fps: Positive = 5.0
    timestamps: str | None = None  # files only: a text file with one UNIX time a frame
    latency_s: NotNegative = 0.0  # live only: from seeing to arriving here, where the camera does not say
    calibration: Homography | Pinhole
    detector: Detector = Detector()


class Sniffer(_Table, frozen=True, kw_only=True):
    """A WiFi sniffer. source: "interface:mon0", "pcap:FILE", "esp32:PORT", "stations:wlan0" or "simulated".

    The received power is modelled as reference_dbm - 10 path_loss_exponent log10(distance / 1 m).
    """

    id: Id
    source: str
    position_m: Point3
    window_s: Annotated[float, Meta(ge=0.1, le=5.0)] = 0.5
    reference_dbm: float = -40.0
    path_loss_exponent: Positive = 2.5
    noise_floor_dbm: float = -95.0


class Identity(_Table, frozen=True, kw_only=True):
    """Somebody enrolled. devices: hardware addresses (or pseudonyms, in a published site). Whoever has
    not consented is never named, and is in no published site."""

    name: Name
    devices: tuple[str, ...] = ()
    consent: bool


class Phone(_Table, frozen=True, kw_only=True):
    """A phone whose owner runs an app that sends its sensors (docs/phone.md). source: "app", or "simulated".

    owner: a consenting identity's name. token: the secret that its uploads carry; never published.
    """

    id: Id
    owner: Name
    token: Annotated[str, Meta(max_length=200)] = ""
    source: Literal["app", "simulated"] = "app"


class Gateway(_Table, frozen=True, kw_only=True):
    """Where phones upload. Beyond loopback it speaks HTTPS only: certificate and key are PEM files."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8020
    certificate: str | None = None
    key: str | None = None


Witness: TypeAlias = Literal["rssi", "position", "appearance", "gait", "stature"]


class Fusion(_Table, frozen=True, kw_only=True):
    """How fusion works; the defaults are measured (docs/fusion.md). evidence: the witnesses that are heard."""

    evidence: tuple[Witness, ...] = ("rssi", "position", "appearance", "gait", "stature")

    max_wait_s: Positive = 0.5  # nobody holds the line longer than this, in event time
    idle_s: Positive = 2.0  # a source silent for longer stops holding the line
    future_s: Positive = 1.0  # a message this far ahead of every other source is refused
    scene_hz: Positive = 5.0
    checkpoint_s: Positive = 1.0
    confirm_probability: Share = 0.95
    release_probability: Share = 0.6
    confirm_hold_s: NotNegative = 1.0
    rssi_sigma_db: Positive = 3.0
    bias_sigma_db: Positive = 2.0

    def __post_init__(self) -> None:
        if twice := [witness for witness in self.evidence if self.evidence.count(witness) > 1]:
            raise ValueError(f'evidence = {[*self.evidence]} names "{twice[0]}" twice; once is enough')
        if self.release_probability > self.confirm_probability:
            raise ValueError(
                f"release_probability = {self.release_probability} must not be above confirm_probability, "
                f"{self.confirm_probability}: a name would be given up as soon as it is confirmed"
            )


class Bus(_Table, frozen=True, kw_only=True):
    """The hub. Subscribers connect to `port`, services (snapshot, clock) to port + 1, publishers to port + 2."""

    host: str = "127.0.0.1"
    port: Port = 7310
    keys: str | None = None  # a folder made by `whowhere keygen`; required beyond loopback


class Page(_Table, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8010


class Privacy(_Table, frozen=True, kw_only=True):
    """key: the file with the site's secret for pseudonyms, made on first use. unenrolled: devices of people who
    are not enrolled are only counted, or listed under a pseudonym that changes every day."""

    key: str = "site.key"
    unenrolled: Literal["count", "pseudonym"] = "count"


class Learning(_Table, frozen=True, kw_only=True):
    """What camera nodes keep for learning, on their own machine: nothing, unless `crops` is true. Small pictures of
    people, those of one frame every `every_s`, in `folder`, for `keep_days`."""

    crops: bool = False
    folder: str = "crops"
    every_s: Positive = 1.0
    keep_days: Positive = 7.0


class Simulated(_Table, frozen=True, kw_only=True):
    """The virtual world behind sensors whose source is "simulated"."""

    seed: Annotated[int, Meta(ge=0)] = 1
    people: Annotated[int, Meta(ge=0, le=200)] = 6
    strangers: Annotated[int, Meta(ge=0, le=500)] = 1
    device_offset_db: NotNegative = 4.0
    shadowing_db: NotNegative = 4.0
    blocking: bool = True
    own_gaits: bool = False  # draw everybody's own swing of legs and arms: HOG finds such walkers a little less often
    radar_points: Positive = 9.0  # that a person walking 3 m away returns a frame, in the mean


class Site(_Table, frozen=True, kw_only=True):
    """One site: everything a process may know before it starts."""

    name: Name
    area: Area
    radars: tuple[Radar, ...] = ()
    cameras: tuple[Camera, ...] = ()
    sniffers: tuple[Sniffer, ...] = ()
    identities: tuple[Identity, ...] = ()
    phones: tuple[Phone, ...] = ()
    gateway: Gateway = Gateway()
    fusion: Fusion = Fusion()
    bus: Bus = Bus()
    page: Page = Page()
    privacy: Privacy = Privacy()
    models: dict[str, str] = {}
    learning: Learning = Learning()
    simulated: Simulated | None = None

    def __post_init__(self) -> None:
        _require_unique("id", (sensor.id for sensor in (*self.sensors, *self.phones)))
        _require_unique("name", (identity.name for identity in self.identities))
        _require_unique("device", (d.lower() for identity in self.identities for d in identity.devices))
        if any(identity.name == "unknown" for identity in self.identities):
            raise ValueError('name = "unknown" is what whowhere calls people it does not know: choose another name')
        for name in self.models:
            if name not in MODELS:
                raise ValueError(f"models.{name}: no such model; {meant(name, MODELS)}")
        _require_unique("token", (phone.token for phone in self.phones if phone.token))
        names = {identity.name: identity.consent for identity in self.identities}
        for phone in self.phones:
            if not names.get(phone.owner):
                why = "has not consented" if phone.owner in names else "is no identity of this file"
                raise ValueError(f'phones.{phone.id}.owner = "{phone.owner}" {why}')

    @property
    def sensors(self) -> tuple[Radar | Camera | Sniffer, ...]:
        return (*self.radars, *self.cameras, *self.sniffers)


def site_from_json(document: str | bytes) -> Site:
    """The site in a `site` message. Raises SiteError."""
    try:
        return msgspec.json.decode(document, type=Site)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SiteError(f"site document: {error}") from error


def site_as_json(site: Site) -> str:
    """The site as JSON, for `site_from_json`; numpy's numbers and arrays, as a Site built in memory may hold, become
    Python's."""
    return msgspec.json.encode(site, enc_hook=_plain).decode()


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy's, which is not imported here: children that need no arrays start sooner
        return value.tolist()
    raise TypeError(f"a Site cannot hold a {type(value).__name__}")


def published(site: Site, pseudonym: Callable[[str], str]) -> Site:
    """The site as it may leave the box: devices of consenting people as pseudonyms, everyone else left out, and no
    phone's token."""
    identities = tuple(
        replace(identity, devices=tuple(pseudonym(device) for device in identity.devices))
        for identity in site.identities
        if identity.consent
    )
    consenting = {identity.name for identity in identities}
    phones = tuple(replace(phone, token="") for phone in site.phones if phone.owner in consenting)
    return replace(site, identities=identities, phones=phones)


def require_pseudonyms(site: Site, device: str) -> None:
    """`device`: one that was heard and that `site` does not list. Raises ValueError where it is an enrolled device's
    pseudonym while the site has addresses: nobody would ever be named."""
    if device.startswith(ENROLLED) and any(":" in known for who in site.identities for known in who.devices):
        raise ValueError(
            f'site "{site.name}" lists devices by hardware address, but these messages by pseudonym ("{device}"): take '
            "the site that was recorded with them, Session(path).site()"
        )


def is_loopback(host: str) -> bool:
    """Whether `host`, of a bus, page or gateway, is this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_unique(what: str, names: Iterator[str]) -> None:
    seen: dict[str, None] = {}
    for name in names:
        if name in seen:
            raise ValueError(f'{what} = "{name}" is used twice; each needs its own')
        seen[name] = None


def meant(key: str, known: Sequence[str]) -> str:
    """What somebody who wrote `key` may have meant, of the keys there are, for the end of a sentence."""
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    return f'did you mean "{near[0]}"?' if near else f"known keys: {', '.join(known)}"
