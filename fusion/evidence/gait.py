"""The witness of gait (Mission): does a body walk like those that an identity's phone walked with before?

It carries an identity from a camera's view into a room where only a radar sees, and back. Two seconds of a straight
walk, seen by one sensor, are a window; the model makes a signature of it, and those of radars and cameras can be
compared. Windows of one walk say much the same and are joined as one walk; walks are joined as further proof. Without
a model it is silent. What it may say of a body is bounded: two people in ten walk alike.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..geometry import Floats
from .galleries import Galleries

MOST_NATS = 3.0
FORGET_S = 14 * 86400.0  # shoes and loads change a gait within weeks
WINDOW_NS = 2_000_000_000
PAUSE_NS = 3_000_000_000  # a longer pause between windows ends a walk
GAP_NS = 400_000_000  # frames farther apart do not make one window
WALKING_M_S, STRAIGHT = 0.7, 0.8  # slower, or not so straight (way made good over way walked), is no window,
STEADY = 0.25  # nor one whose halves differ by more than this share of the speed: who starts or stops walks like nobody
MOST_WALKS, MOST_WINDOWS = 6, 8  # a portrait keeps the newest


class Signature(NamedTuple):
    """What walks say about a person, as a model says it: eta and precision (K,) f32, see models/gait/latent.py."""

    eta: NDArray[np.float32]
    precision: NDArray[np.float32]
    kind: str
    model: str
    walks: int = 1


class GaitLike(Protocol):
    """What is asked of a gait model (models/gait/model.py)."""

    @property
    def label(self) -> str: ...
    def look(self, window: Any, /) -> Any: ...
    def follow(
        self,
        times_s: Floats,
        points: Sequence[NDArray[np.floating]],
        place_m: Floats,
        velocity_m_s: Floats,
        radar_m: Floats,
        /,
    ) -> Any: ...
    def joined(self, signatures: Sequence[Any], /) -> Any: ...
    def one_walk(self, signatures: Sequence[Any], /) -> Any: ...
    def ratios(self, query: Any, gallery: Sequence[Any], /) -> Floats: ...


class CameraWindow(NamedTuple):
    """See models/gait/windows.py."""

    times_s: Floats
    profiles: NDArray[np.float32]
    height_m: float
    speed_m_s: float


class Frames(msgspec.Struct):
    """What one sensor saw of a body in a row: times, places (2,) of the track, and profiles (64,) or points (n,5)."""

    t_ns: list[int] = []
    place: list[Floats] = []
    seen: list[NDArray[np.float32]] = []
    height_m: list[float] = []

    def add(self, t_ns: int, place: Floats, seen: NDArray[np.float32], height_m: float) -> None:
        if self.t_ns and t_ns - self.t_ns[-1] > GAP_NS:
            self.clear()
        self.t_ns.append(t_ns)
        self.place.append(place)
        self.seen.append(seen)
        self.height_m.append(height_m)

    def clear(self) -> None:
        self.t_ns, self.place, self.seen, self.height_m = [], [], [], []

    @property
    def is_full(self) -> bool:
        return self.t_ns[-1] - self.t_ns[0] >= WINDOW_NS

    def velocity(self) -> Floats | None:
        """(2,) m/s of a straight and steady walk; None of anything else."""
        places, middle = np.array(self.place), len(self.place) // 2
        times_s = (np.array(self.t_ns) - self.t_ns[0]) / 1e9
        whole, first, second = (
            (places[b] - places[a]) / max(times_s[b] - times_s[a], 0.1) for a, b in ((0, -1), (0, middle), (middle, -1))
        )
        speed, halves = float(np.hypot(*whole)), [float(np.hypot(*half)) for half in (first, second)]
        is_straight = speed >= max(STRAIGHT * sum(halves) / 2, WALKING_M_S)
        return whole if is_straight and abs(halves[0] - halves[1]) <= STEADY * speed else None


class Walks(msgspec.Struct):
    """How a body has walked: frames of the window under way, a sensor each; windows of the walk under way, of one
    sensor and until when; walks before."""

    frames: dict[str, Frames] = {}
    sensor: str = ""
    until_ns: int = 0
    windows: list[Any] = []
    walks: list[Any] = []


class Stride:
    """How alike portraits of gait are, by a model."""

    def __init__(self, model: GaitLike) -> None:
        self.model = model

    def ratios(self, query: Walks, galleries: Sequence[Sequence[Walks]], /) -> Floats:
        asked = self._whole([query])
        if asked is None:
            return np.zeros(len(galleries))
        known = [self._whole(gallery) for gallery in galleries]
        ratios = np.zeros(len(galleries))
        rows = [row for row, signature in enumerate(known) if signature is not None]
        if rows:
            ratios[rows] = self.model.ratios(asked, [known[row] for row in rows])
        return ratios

    def _whole(self, portraits: Sequence[Walks]) -> Any:
        """All walks of some portraits as one signature; None where nobody has walked."""
        walks = [walk for portrait in portraits for walk in portrait.walks]
        walks += [self.model.one_walk(portrait.windows) for portrait in portraits if portrait.windows]
        return self.model.joined([walk for walk in walks if walk is not None])

    def pack(self, content: Walks, /) -> Any:
        frames = {name: [f.t_ns, f.place, f.seen, f.height_m] for name, f in content.frames.items()}
        return [frames, content.sensor, content.until_ns, [*map(tuple, content.windows)], [*map(tuple, content.walks)]]

    def unpack(self, packed: Any, /) -> Walks:
        frames, sensor, until_ns, windows, walks = packed
        signatures = ([Signature(*fields) for fields in part] for part in (windows, walks))
        return Walks({name: Frames(*fields) for name, fields in frames.items()}, sensor, until_ns, *signatures)


class GaitEvidence(Galleries[Walks]):
    """Portraits of gait. `look` and `sense` are fed with what cameras and radars saw of bodies."""

    def __init__(self, identities: int, model: GaitLike) -> None:
        self.model = model
        super().__init__(identities, Stride(model), Walks, MOST_NATS, FORGET_S, counts_lost=True, label=model.label)

    def look(
        self, number: int, camera: str, profile: NDArray[np.float32], height_m: float, place: Floats, t_ns: int
    ) -> None:
        """A camera has seen a body's outline: "gait-profile:1" (64,), and how tall it is by the calibration (m)."""
        frames = self._frames(number, camera, t_ns)
        frames.add(t_ns, place, profile, height_m)
        if frames.is_full:
            if (velocity := frames.velocity()) is not None:
                tall_m = float(np.nanmedian(frames.height_m)) if np.isfinite(frames.height_m).any() else np.nan
                window = CameraWindow(_times(frames), np.array(frames.seen), tall_m, float(np.hypot(*velocity)))
                self._walked(number, camera, self.model.look(window), t_ns)
            frames.clear()

    def sense(
        self, number: int, radar: str, points: NDArray[np.float32], radar_m: Floats, place: Floats, t_ns: int
    ) -> None:
        """A radar at `radar_m` (2,) has seen points (n,5) near a body: x, y, z in the site frame, doppler, snr."""
        frames = self._frames(number, radar, t_ns)
        frames.add(t_ns, place, points, np.nan)
        if frames.is_full:
            if (velocity := frames.velocity()) is not None:
                places = np.array(frames.place)
                made = self.model.follow(_times(frames), frames.seen, places, velocity, radar_m)
                self._walked(number, radar, made, t_ns)
            frames.clear()

    def _frames(self, number: int, sensor: str, t_ns: int) -> Frames:
        walks = self.of(number, t_ns, is_news=False)
        return walks.frames.setdefault(sensor, Frames())

    def _walked(self, number: int, sensor: str, made: Any, t_ns: int) -> None:
        if made is None:
            return
        walks = self.of(number, t_ns)
        if walks.windows and (sensor != walks.sensor or t_ns - walks.until_ns > WINDOW_NS + PAUSE_NS):
            walks.walks = [*walks.walks, self.model.one_walk(walks.windows)][-MOST_WALKS:]
            walks.windows = []
        walks.windows = [*walks.windows, made][-MOST_WINDOWS:]
        walks.sensor, walks.until_ns = sensor, t_ns


def _times(frames: Frames) -> Floats:
    return np.array([(t_ns - frames.t_ns[0]) / 1e9 for t_ns in frames.t_ns])
