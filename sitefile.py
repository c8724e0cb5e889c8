"""The site file: which sensors stand where, who is enrolled, and how fusion is set. docs/site.md lists every key.

TOML in, one frozen `Site` out. It is strict: an unknown key, a wrong type or unit, an id used twice is one sentence
that names file, line, key, value and what would be right. Angles are degrees in the file, lengths metres; the site
frame is right-handed, z up, floor at z = 0. Nothing here opens a device or looks at a clock.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta
from msgspec.structs import replace

_ID, _NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", r"^[^/\x00-\x1f]{1,64}$"
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
NotNegative: TypeAlias = Annotated[float, Meta(ge=0)]
Share: TypeAlias = Annotated[float, Meta(gt=0, lt=1)]
Port: TypeAlias = Annotated[int, Meta(ge=1, le=65533)]
Id: TypeAlias = Annotated[str, Meta(pattern=_ID, max_length=64)]
Name: TypeAlias = Annotated[str, Meta(pattern=_NAME)]
Point2: TypeAlias = tuple[float, float]
Point3: TypeAlias = tuple[float, float, float]

MODELS = ("radiomap", "positioning", "appearance", "gait")
SHIPPED = "shipped"  # as a model: the one that comes with whowhere
SIMULATED = "simulated"  # as a port or source: the sensor's virtual twin, wired up by launch


class SiteError(ValueError):
    """The site file cannot be used; the text says where and what would be right."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Area(_Table, frozen=True, kw_only=True):
    """The floor plan. x_m, y_m: its extent as [from, to]. walls: segments [x1, y1, x2, y2], drawn and simulated."""

    x_m: Point2
    y_m: Point2
    walls: tuple[tuple[float, float, float, float], ...] = ()

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

    image_size: tuple[int, int]
    pixels_px: tuple[Point2, ...]
    floor_m: tuple[Point2, ...]

    def __post_init__(self) -> None:
        if len(self.pixels_px) != len(self.floor_m) or len(self.pixels_px) < 4:
            raise ValueError(
                f"needs at least four pairs, has {len(self.pixels_px)} pixels_px and {len(self.floor_m)} floor_m"
            )


class Pinhole(_Table, frozen=True, kw_only=True, tag="pinhole", tag_field="model"):
    """A full camera: focal lengths and centre in px, distortion (k1, k2, p1, p2, k3), and its pose."""

    image_size: tuple[int, int]
    focal_px: tuple[Positive, Positive]
    centre_px: Point2
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
    """Somebody enrolled. devices: hardware addresses (or pseudonyms, in a published site). Without consent: nobody."""

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
                near = get_close_matches(name, MODELS, n=1, cutoff=0.5)
                raise ValueError(f"models.{name}: no such model; {_meant(near, MODELS)}")
        _require_unique("token", (phone.token for phone in self.phones if phone.token))
        names = {identity.name: identity.consent for identity in self.identities}
        for phone in self.phones:
            if not names.get(phone.owner):
                why = "has not consented" if phone.owner in names else "is no identity of this file"
                raise ValueError(f'phones.{phone.id}.owner = "{phone.owner}" {why}')

    @property
    def sensors(self) -> tuple[Radar | Camera | Sniffer, ...]:
        return (*self.radars, *self.cameras, *self.sniffers)


def load_site(path: str | Path) -> Site:
    """Read and check a site file; file names in it are relative to it. Raises SiteError with one sentence."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SiteError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SiteError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    site = parse_site(text, str(path))
    return _with_paths_from(path.parent.resolve(), site, str(path))


def parse_site(text: str, file: str = "site file") -> Site:
    """The site in a TOML text; `file` names it in errors. Raises SiteError with one sentence."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SiteError(f"{file}: not TOML: {error}") from error
    for path, number in _numbers(document):
        if number - number != 0:  # TOML knows nan and inf, a room does not
            label = _look_up(document, path)[1]
            raise SiteError(f"{file}:{_line_of(text, path)}: {label} = {number}: must be a finite number")
    try:
        site = msgspec.convert(document, Site)
    except msgspec.ValidationError as error:
        raise SiteError(_explain(error, document, text, file)) from error
    for place, identity in enumerate(site.identities):
        for device in identity.devices:
            if not _ADDRESS.fullmatch(device):
                raise SiteError(
                    f"{file}:{_line_of(text, f'identities[{place}].devices')}: identities.{identity.name}.devices: "
                    f'"{device}" is not a hardware address like "a4:83:e7:12:34:56"'
                )
    return site


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


_ADDRESS = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_WHERE = re.compile(r" - at `\$\.?(.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`")
_MISSING = re.compile(r"Object missing required field `(.*?)`")
_HEADER = re.compile(r"\s*\[(\[?)\s*([\w.\s-]+?)\s*\]\]?\s*(?:#.*)?$")
_WORDS = {  # msgspec's words for what a TOML file holds
    "`str`": "text in quotes",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table",
    f"matching regex {_ID!r}": "of letters, digits, _ . and -, a letter or digit first",
    f"matching regex {_NAME!r}": 'of 1 to 64 characters, none of them "/"',
}


def _require_unique(what: str, names: Iterator[str]) -> None:
    seen: dict[str, None] = {}
    for name in names:
        if name in seen:
            raise ValueError(f'{what} = "{name}" is used twice; each needs its own')
        seen[name] = None


def _explain(error: msgspec.ValidationError, document: dict[str, Any], text: str, file: str) -> str:
    """msgspec's reason as our sentence: file:line: table.key = value: what is wrong, and the nearest right key."""
    reason = str(error)
    where = _WHERE.search(reason)
    path = where[1] if where else ""
    reason = _WHERE.sub("", reason)
    value, label = _look_up(document, path)
    if unknown := _UNKNOWN.match(reason):
        key = unknown[1]
        near = get_close_matches(key, _keys_at(path), n=1, cutoff=0.5)
        line = _line_of(text, _join(path, key))
        return f"{file}:{line}: {_join(label, key)}: unknown key, {_meant(near, _keys_at(path))}"
    if missing := _MISSING.match(reason):
        where = f":{_line_of(text, path)}: {label}" if label else ": the file"
        return f'{file}{where}: the key "{missing[1]}" is missing'
    if label and (own := re.match(r"(\w+) = ", reason)):  # a table's own check, which names its key
        return f"{file}:{_line_of(text, _join(path, own[1]))}: {_join(label, reason)}"
    if reason.startswith("Invalid ") and (known := _choices(path)):
        near = get_close_matches(str(value), known, n=1, cutoff=0.5)
        reason = f"must be one of {', '.join(known)}" + (f'; did you mean "{near[0]}"?' if near else "")
    for words, plain in _WORDS.items():
        reason = reason.replace(words, plain)
    shown = "" if isinstance(value, dict | list) or value is None else f" = {value!r}"
    return f"{file}:{_line_of(text, path)}: {label}{shown}: {reason}" if label else f"{file}: {reason}"


def _meant(near: Sequence[str], known: Sequence[str]) -> str:
    return f'did you mean "{near[0]}"?' if near else f"known keys: {', '.join(known)}"


def _look_up(document: Any, path: str) -> tuple[Any, str]:
    """The value at a msgspec path, and the path with ids for numbers: `cameras[0].fps` -> `cameras.hall.fps`."""
    label: list[str] = []
    value = document
    for step in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
            name = (value.get("id") or value.get("name")) if isinstance(value, dict) else None
            label.append(str(name or int(step)))
        else:
            value = value.get(step) if isinstance(value, dict) else None
            label.append(step)
    return value, ".".join(label)


def _kinds_at(path: str) -> list[Any]:
    """The annotations that a value at msgspec's path may have; `pose.yaw_deg` of a camera has one."""
    kinds: list[Any] = [Site]
    for step in re.findall(r"[^.\[\]]+", path):
        if not (step.isdigit() or step == "..."):
            tables = [table for kind in kinds for table in _tables(kind)]
            kinds = [f.type for table in tables for f in msgspec.structs.fields(table) if f.name == step]
    return kinds


def _keys_at(path: str) -> list[str]:
    """The keys that the table at msgspec's path may have."""
    tables = [table for kind in _kinds_at(path) for table in _tables(kind)]
    return list(dict.fromkeys(f.encode_name for table in tables for f in msgspec.structs.fields(table)))


def _choices(path: str) -> list[str]:
    """What a value that is one of a few may be: a Literal's values, or the models of a camera's calibration."""
    if path.endswith(".model"):
        return [table.__struct_config__.tag for kind in _kinds_at(path[: -len(".model")]) for table in _tables(kind)]
    parts = [part for kind in _kinds_at(path) for part in get_args(kind)]
    return [str(choice) for part in parts for choice in get_args(part) or (part,) if isinstance(choice, str | int)]


def _tables(annotation: Any) -> list[Any]:
    """The table types inside an annotation such as tuple[Camera, ...] or Homography | Pinhole."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    return [table for part in getattr(annotation, "__args__", ()) for table in _tables(part)]


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number with a point in a document, with its path as msgspec writes it."""
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        yield from (found for key, inner in value.items() for found in _numbers(inner, _join(path, key)))
    elif isinstance(value, list):
        yield from (found for place, inner in enumerate(value) for found in _numbers(inner, f"{path}[{place}]"))


def _line_of(text: str, path: str) -> int:
    """The line that says `cameras[1].pose.yaw_deg`; where it is not said on its own, that of what it is part of."""
    best, found, table = "", 1, ""
    places: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            here = ""
            for step in re.split(r"\s*\.\s*", header[2]):
                here = _join(here, step)
                if header[1] and here == header[2]:
                    places[here] = places.get(here, -1) + 1
                here = f"{here}[{places[here]}]" if here in places else here
            table = here
        elif key := re.match(r"\s*([\w.-]+)\s*=", line):
            here = _join(table, key[1])
        else:
            continue
        if len(here) > len(best) and re.match(rf"{re.escape(here)}(?![\w-])", path):
            best, found = here, number
    return found


def _join(label: str, key: str) -> str:
    return f"{label}.{key}" if label else key


def _with_paths_from(folder: Path, site: Site, file: str) -> Site:
    """File names in a site file are relative to the file; shipped radar configurations are found by bare name."""
    radars = []
    for radar in site.radars:
        beside = folder / radar.config
        shipped = Path(__file__).parent / "launch" / "sites" / radar.config
        found = next((p for p in (beside, shipped) if p.is_file()), None)
        if found is None:
            raise SiteError(f'{file}: radars.{radar.id}.config = "{radar.config}": no such file beside the site file')
        radars.append(replace(radar, config=str(found)))
    for name, model in site.models.items():
        if model != SHIPPED and not (folder / model).is_file():
            hint = f'; "{SHIPPED}" takes the one that comes with whowhere' if name in ("appearance", "gait") else ""
            raise SiteError(f'{file}: models.{name} = "{model}": no such file beside the site file{hint}')
    gateway = site.gateway
    for name in ("certificate", "key"):
        if (pem := getattr(gateway, name)) is not None:
            gateway = replace(gateway, **{name: str(folder / pem)})
    key = str(folder / site.privacy.key)
    keys = str(folder / site.bus.keys) if site.bus.keys else None
    return replace(
        site,
        radars=tuple(radars),
        cameras=tuple(_camera_from(folder, camera) for camera in site.cameras),
        sniffers=tuple(_sniffer_from(folder, sniffer) for sniffer in site.sniffers),
        models={name: model if model == SHIPPED else str(folder / model) for name, model in site.models.items()},
        gateway=gateway,
        privacy=replace(site.privacy, key=key),
        learning=replace(site.learning, folder=str(folder / site.learning.folder)),
        bus=replace(site.bus, keys=keys),
    )


def _camera_from(folder: Path, camera: Camera) -> Camera:
    is_path = camera.source != SIMULATED and not camera.source.isdigit() and "://" not in camera.source
    source = str(folder / camera.source) if is_path else camera.source
    timestamps = str(folder / camera.timestamps) if camera.timestamps else None
    return replace(camera, source=source, timestamps=timestamps)


def _sniffer_from(folder: Path, sniffer: Sniffer) -> Sniffer:
    scheme, _, rest = sniffer.source.partition(":")
    if scheme == "pcap":
        return replace(sniffer, source=f"pcap:{folder / rest}")
    return sniffer
