"""What a radar configuration file means, in words and numbers (protocols A7, A9), and what is wrong with it.

It reads the few commands that decide range, speed, frame rate and bytes; it does not judge the rest, which the sensor
does when it is configured. Formulas: B = slope samples / rate; range resolution c / 2B; top range rate c / (2 slope)
times the usable share of the band; chirp cycle = chirps a loop (idle + ramp); top speed wavelength / (4 cycle);
speed resolution wavelength / (2 loops cycle).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from .configure import NO_TEXT, Command, commands_of, unreadable

LIGHT_M_S = 299_792_458.0
LINE_BYTES_S = 92_160  # 921600 baud, 8N1
USABLE_BAND = (0.8, 0.9)  # share of the ADC's band that the filters leave: cautious, and TI's own figure
DIRECTIONS = {1: "1", 2: "2", 3: "1, 2", 4: "3", 5: "1, 3", 6: "2, 3", 7: "1, 2, 3"}
BANDS_GHZ = ((60.0, 64.0), (76.0, 81.0))

LARGEST = 1e9  # no value of any command comes near

_NEEDED = {"channelCfg": 3, "profileCfg": 14, "chirpCfg": 8, "frameCfg": 7}
_OOB_FIXED, _OOB_STATS = 40, (8 + 24) + (8 + 28)
_3DPC_FIXED, _3DPC_POINT, _3DPC_TARGET = 40 + 28 + 8 + 8 + 8 + 12, 8 + 1, 112 + 12


@dataclass(slots=True)
class ChirpProfile:
    """The numbers; None where the file does not say. problems: (line, sentence, whether the file cannot work).

    max_range_m: with the cautious 0.8 of the band. bytes_fixed, bytes_per_point, bytes_per_target: of one frame.
    points_that_fit: points a frame for which the line's 92,160 B/s suffice, with five targets where it tracks.
    """

    demo: str = "unknown"
    start_ghz: float | None = None
    bandwidth_mhz: float | None = None
    range_resolution_m: float | None = None
    max_range_m: float | None = None
    max_speed_m_s: float | None = None
    speed_resolution_m_s: float | None = None
    frame_period_ms: float | None = None
    frame_rate_hz: float | None = None
    active_ms: float | None = None
    receivers: int | None = None
    transmitters: str | None = None
    samples: int | None = None
    loops: int | None = None
    bytes_fixed: int | None = None
    bytes_per_point: int | None = None
    bytes_per_target: int | None = None
    points_that_fit: int | None = None
    tracker_period_ms: float | None = None
    range_limits_m: tuple[float, float] | None = None
    clutter_removed: bool | None = None
    mount: str | None = None
    problems: list[tuple[int, str, bool]] = field(default_factory=list)

    @property
    def is_usable(self) -> bool:
        return not any(fatal for _, _, fatal in self.problems)


def describe(cfg_text: str) -> list[str]:
    """The file in sentences, what is wrong with it last; `read_profile` has the numbers."""
    return list(_sentences(read_profile(cfg_text)))


def read_profile(cfg_text: str) -> ChirpProfile:
    """The numbers of a .cfg file. Never raises: what cannot be read is in `problems`."""
    profile = ChirpProfile()
    commands = commands_of(cfg_text)
    if not commands:
        profile.problems.append((1, "no commands in it, so it is no radar configuration", True))
        return profile
    if (line := unreadable(commands)) is not None:
        profile.problems.append((line, NO_TEXT, True))
        return profile
    profile.demo = _demo_of(commands)
    given = _Commands(commands, profile)
    if profile.demo.startswith("xWRL"):
        profile.problems.append((commands[0].line, f"it is for {profile.demo}, which is not supported", True))
        return profile
    _read_chirp(profile, given)
    _read_frame(profile, given)
    _read_rest(profile, given)
    _read_bytes(profile, given)
    _judge(profile, given, cfg_text)
    profile.problems.sort(key=lambda problem: (not problem[2], problem[0]))
    return profile


class _Commands:
    """The file's commands as numbers; what is missing or no number becomes a problem."""

    def __init__(self, commands: list[Command], profile: ChirpProfile) -> None:
        self._commands, self._problems = commands, profile.problems
        self._reported: dict[str, None] = {}

    def has(self, word: str) -> bool:
        return any(command.word == word for command in self._commands)

    def line(self, word: str) -> int:
        return next((command.line for command in self._commands if command.word == word), 0)

    def all(self, word: str) -> Iterator[tuple[int, list[float]]]:
        """(line, values) of every such command that can be read."""
        needed = _NEEDED.get(word, 0)
        for line, text in (command for command in self._commands if command.word == word):
            try:
                values = [float(value) for value in text.split()[1:]]
            except ValueError:
                values = [math.nan]
            if not all(abs(value) < LARGEST for value in values):
                self._report(line, f"`{text}`: holds something that is no sensible number")
            elif len(values) < needed:
                self._report(line, f"`{text}`: {word} needs {needed} values, here are {len(values)}")
            else:
                yield line, values

    def one(self, word: str, values: int = 0) -> list[float] | None:
        """The first such command with at least so many values; None, and a problem if it is needed, without one."""
        found = next((numbers for _, numbers in self.all(word) if len(numbers) >= values), None)
        if found is None and word in _NEEDED and not self.has(word):
            self._report(0, f"{word} is missing: the sensor will not start")
        return found

    def _report(self, line: int, sentence: str) -> None:
        if sentence not in self._reported:
            self._reported[sentence] = None
            self._problems.append((line, sentence, True))


def _demo_of(commands: list[Command]) -> str:
    words = {command.word for command in commands}
    for demo, marks in _MARKS:
        if not words.isdisjoint(marks):
            return demo
    return "unknown"


_MARKS = (
    ("xWRL6432/1432 (SDK 5)", ("chirpComnCfg", "chirpTimingCfg")),
    ("Vital Signs", ("vitalSignsCfg", "VSRangeIdxCfg", "vitalsign")),
    ("3D People Counting", ("dynamicRACfarCfg", "staticRACfarCfg", "dynamic2DAngleCfg")),
    ("2D people counting", ("SceneryParam", "AllocationParam")),
    ("the out-of-box demo", ("guiMonitor", "multiObjBeamForming")),
)


def _read_chirp(profile: ChirpProfile, given: _Commands) -> None:
    channel, chirp = given.one("channelCfg"), given.one("profileCfg")
    if channel:
        profile.receivers = int(channel[0]).bit_count()
        profile.transmitters = DIRECTIONS.get(int(channel[1]))
    if not chirp:
        return
    _, start_ghz, _, _, _, _, _, slope_mhz_us, _, samples, rate_ksps, *_ = chirp
    if slope_mhz_us < 0.01 or samples < 1 or rate_ksps < 1:
        sentence = f"slope {slope_mhz_us:g} MHz/us, {samples:g} samples at {rate_ksps:g} ksps: that is no chirp"
        profile.problems.append((given.line("profileCfg"), sentence, True))
        return
    profile.start_ghz, profile.samples = start_ghz, int(samples)
    profile.bandwidth_mhz = slope_mhz_us * samples / rate_ksps * 1000
    profile.range_resolution_m = LIGHT_M_S / (2e6 * profile.bandwidth_mhz)
    profile.max_range_m = USABLE_BAND[0] * samples * profile.range_resolution_m


def _read_frame(profile: ChirpProfile, given: _Commands) -> None:
    frame, chirp = given.one("frameCfg"), given.one("profileCfg")
    given.one("chirpCfg")
    if not frame:
        return
    first, last, loops, _, period_ms, *_ = frame
    chirps = int(last - first) + 1
    if chirps < 1 or loops < 1 or period_ms < 0.1:
        sentence = f"chirps {first:g} to {last:g}, {loops:g} loops, {period_ms:g} ms: that is no frame"
        profile.problems.append((given.line("frameCfg"), sentence, True))
        return
    profile.loops, profile.frame_period_ms, profile.frame_rate_hz = int(loops), period_ms, 1000 / period_ms
    if not chirp or profile.samples is None:
        return
    _, start_ghz, idle_us, adc_us, ramp_us, _, _, slope, _, samples, rate_ksps, *_ = chirp
    cycle_s = chirps * (idle_us + ramp_us) * 1e-6
    centre_hz = start_ghz * 1e9 + slope * 1e6 * (adc_us + samples / rate_ksps * 500)
    if cycle_s < 1e-7 or centre_hz < 1e9:
        profile.problems.append((given.line("profileCfg"), "start frequency, idle or ramp time is impossible", True))
        return
    profile.active_ms = loops * cycle_s * 1e3
    profile.max_speed_m_s = LIGHT_M_S / centre_hz / (4 * cycle_s)
    profile.speed_resolution_m_s = LIGHT_M_S / centre_hz / (2 * loops * cycle_s)


def _read_rest(profile: ChirpProfile, given: _Commands) -> None:
    for _, values in given.all("cfarFovCfg"):
        if len(values) >= 4 and values[1] == 0:
            profile.range_limits_m = (values[2], values[3])
    if clutter := given.one("clutterRemoval", 2):
        profile.clutter_removed = clutter[1] != 0
    if mount := given.one("sensorPosition", 3):
        height_m, azimuth_deg, tilt_deg = mount[:3]
        profile.mount = f"{height_m:g} m up, turned {azimuth_deg:g} deg, tilted {tilt_deg:g} deg down"
    if (tracker := given.one("trackingCfg", 7)) and tracker[0]:
        profile.tracker_period_ms = tracker[6]


def _read_bytes(profile: ChirpProfile, given: _Commands) -> None:
    targets = 0
    if profile.demo == "3D People Counting":
        targets, profile.bytes_per_target = 5, _3DPC_TARGET
        profile.bytes_fixed, profile.bytes_per_point = _3DPC_FIXED, _3DPC_POINT
    elif (monitor := given.one("guiMonitor", 7)) and profile.demo == "the out-of-box demo":
        _, points, profile_on, noise_on, heat_on, doppler_on, stats_on, *_ = (int(value) for value in monitor)
        bins, loops = _power_of_two(profile.samples or 0), _power_of_two(profile.loops or 0)
        antennas = 2 * (profile.receivers or 0)  # azimuth only: two of the transmitters
        profile.bytes_per_point = {0: 0, 1: 16 + 4, 2: 16}.get(points, 20)
        profile.bytes_fixed = _OOB_FIXED + 16 * (points > 0) + (8 + 2 * bins) * (bool(profile_on) + bool(noise_on))
        profile.bytes_fixed += (8 + 4 * bins * antennas) * bool(heat_on) + (8 + 2 * bins * loops) * bool(doppler_on)
        profile.bytes_fixed += _OOB_STATS * bool(stats_on)
        if not points:
            profile.problems.append((given.line("guiMonitor"), "guiMonitor turns the points off: nobody is seen", True))
    if profile.bytes_fixed is None or not profile.bytes_per_point or profile.frame_period_ms is None:
        return
    room = LINE_BYTES_S * profile.frame_period_ms / 1000
    room -= profile.bytes_fixed + targets * (profile.bytes_per_target or 0)
    profile.points_that_fit = max(0, int(room // profile.bytes_per_point))


def _judge(profile: ChirpProfile, given: _Commands, text: str) -> None:
    problem = profile.problems.append
    if (chirp := given.one("profileCfg")) and profile.samples:
        _, start_ghz, _, adc_us, ramp_us, _, _, slope, _, samples, rate_ksps, *_ = chirp
        line, needed_us = given.line("profileCfg"), adc_us + samples / rate_ksps * 1000
        if needed_us > ramp_us:
            problem((line, f"sampling ends {needed_us:.1f} us into a ramp of {ramp_us:g} us", True))
        end_ghz = start_ghz + slope * ramp_us / 1000
        if not any(low <= start_ghz and end_ghz <= high for low, high in BANDS_GHZ):
            problem(
                (line, f"the sweep from {start_ghz:g} to {end_ghz:.2f} GHz leaves the 60-64 and 76-81 GHz bands", True)
            )
    if profile.active_ms and profile.frame_period_ms and profile.active_ms > profile.frame_period_ms:
        sentence = f"the chirps take {profile.active_ms:.1f} ms, longer than the {profile.frame_period_ms:g} ms frame"
        problem((given.line("frameCfg"), sentence, True))
    if profile.tracker_period_ms and profile.frame_period_ms != profile.tracker_period_ms:
        sentence = (
            f"the tracker believes in frames of {profile.tracker_period_ms:g} ms (trackingCfg, last value), but they "
            f"come every {profile.frame_period_ms or 0:g} ms (frameCfg): its speeds will be wrong by that factor"
        )
        problem((given.line("trackingCfg"), sentence, False))
    if profile.points_that_fit is not None and profile.points_that_fit < 50:
        sentence = f"only {profile.points_that_fit} points fit on the line each frame: turn heat maps off or slow down"
        problem((given.line("guiMonitor"), sentence, False))
    if profile.demo == "unknown":
        problem((0, "no command tells which demo it is for", False))
    if "sensorStart" not in text:
        problem((0, "sensorStart is missing; whowhere sends it all the same", False))


def _sentences(profile: ChirpProfile) -> Iterator[str]:
    if profile.demo != "unknown":
        yield f"for {profile.demo}"
    if profile.range_resolution_m is not None and profile.max_range_m is not None:
        edge_m = profile.max_range_m * USABLE_BAND[1] / USABLE_BAND[0]
        yield (
            f"range: up to {profile.max_range_m:.1f} m ({edge_m:.1f} m at the edge of the band), "
            f"resolution {profile.range_resolution_m * 100:.1f} cm "
            f"({profile.bandwidth_mhz:.0f} MHz sampled from {profile.start_ghz:g} GHz, {profile.samples} samples)"
        )
    if profile.range_limits_m:
        yield "points are kept from {:g} m to {:g} m".format(*profile.range_limits_m)
    if profile.max_speed_m_s is not None:
        yield (
            f"speed: up to +-{profile.max_speed_m_s:.2f} m/s, resolution {profile.speed_resolution_m_s:.2f} m/s; "
            "faster people appear at a wrong speed, not at a wrong place"
        )
    if profile.frame_rate_hz is not None:
        busy = f", chirping for {profile.active_ms:.1f} ms of it" if profile.active_ms else ""
        yield f"frames: {profile.frame_rate_hz:.1f} a second, every {profile.frame_period_ms:g} ms{busy}"
    if profile.receivers is not None:
        yield f"antennas: {profile.receivers} receivers, transmitters {profile.transmitters or 'unknown'}"
    if profile.clutter_removed is not None:
        seen = "people who stand still fade" if profile.clutter_removed else "walls and furniture are seen too"
        yield f"static clutter is {'removed' if profile.clutter_removed else 'kept'}: {seen}"
    if profile.mount:
        yield f"mounted as the firmware believes: {profile.mount}"
    if profile.bytes_fixed is not None:
        yield _bytes_in_words(profile)
    for line, sentence, fatal in profile.problems:
        where = f"line {line}: " if line else ""
        yield f"{'CANNOT WORK' if fatal else 'note'}: {where}{sentence}"


def _bytes_in_words(profile: ChirpProfile) -> str:
    targets = f" and {profile.bytes_per_target} a target" if profile.bytes_per_target else ""
    per_frame = f"bytes: {profile.bytes_fixed} a frame, {profile.bytes_per_point} a point{targets}"
    if profile.points_that_fit is None:
        return per_frame
    return f"{per_frame}; the line's {LINE_BYTES_S:,} B/s carry {profile.points_that_fit} points a frame"


def _power_of_two(value: int) -> int:
    return 1 << max(0, value - 1).bit_length() if value else 0
