"""Whether a radar that is open still works: stalled, dead or rebooted, told from the parser's counters alone.

Time is an argument. It decides nothing but says what the node should: report, reopen, configure again (A8, A9).
"""

from ..errors import DeviceLost
from .frames import RadarParser

STALLED_S = 2.0
DEAD_S = 5.0


class Watch:
    """Made when the port has been opened or configured, at `now_s` of any monotonic clock."""

    def __init__(self, parser: RadarParser, now_s: float) -> None:
        self._parser = parser
        self._frames = parser.counters["frames"]
        self._bytes = parser.counters["bytes"]
        self._restarts = parser.counters["restarts"]
        self._frame_at_s = now_s

    @property
    def has_rebooted(self) -> bool:
        """The frame numbers began again: the sensor has lost its configuration (A8)."""
        return self._parser.counters["restarts"] > self._restarts

    def look(self, now_s: float) -> str:
        """What is wrong in words, "" when frames come. Raises DeviceLost when it is time to open the port again."""
        counters = self._parser.counters
        if counters["frames"] != self._frames:
            self._frames, self._bytes, self._frame_at_s = counters["frames"], counters["bytes"], now_s
            return ""
        silent_s = now_s - self._frame_at_s
        if silent_s < STALLED_S:
            return ""
        heard = counters["bytes"] - self._bytes
        what = f"{heard} bytes but no valid frame" if heard else "not a byte"
        sentence = f"stalled: {what} for {silent_s:.0f} s"
        if silent_s >= DEAD_S:
            raise DeviceLost(f"{self._parser.source}: {sentence}; opening the port again")
        return sentence
