"""The clock of a source that is not this host's: where it stands, told by when its data arrive.

Data are never early, so the smallest of the recent delays is the best estimate of the offset between the two clocks
(minimum-delay filter). There is no clock in here: the caller brings both readings.
"""

from collections import deque

_BUCKET_NS = 10_000_000_000
_BUCKETS = 6  # a minute: crystals drift by less than 3 ms in it, and a host clock that was set is forgotten after it
_BACKWARDS_NS = 1_000_000_000


class SourceClock:
    """wraps_ns: after how long the source's counter begins again, None where it never does."""

    def __init__(self, wraps_ns: int | None = None) -> None:
        self.restarts = 0
        self._wraps_ns = wraps_ns
        self._last_ns: int | None = None
        self._delays: deque[tuple[int, int]] = deque(maxlen=_BUCKETS)

    def observe(self, source_ns: int, arrival_ns: int) -> int:
        """The source's counter and this host's time of arrival (both ns) of one datum; returns the host time at which
        the source stamped it, never later than the arrival."""
        source_ns = self._unwrapped(source_ns)
        if self._last_ns is not None and source_ns < self._last_ns - _BACKWARDS_NS:
            self._delays.clear()  # the source was restarted
            self.restarts += 1
        self._last_ns = source_ns
        bucket, delay = arrival_ns // _BUCKET_NS, arrival_ns - source_ns
        if self._delays and self._delays[-1][0] == bucket:
            self._delays[-1] = (bucket, min(delay, self._delays[-1][1]))
        else:
            self._delays.append((bucket, delay))
        return source_ns + self._smallest_delay()

    @property
    def is_set(self) -> bool:
        return bool(self._delays)

    def reading(self, host_ns: int) -> int:
        """What the source's clock shows at a host time; the host's own while nothing was observed."""
        return host_ns - self._smallest_delay() if self._delays else host_ns

    def _smallest_delay(self) -> int:
        return min(delay for _, delay in self._delays)

    def _unwrapped(self, source_ns: int) -> int:
        """The counter without its wraps: the nearest value to the last one. A restart looks like a step back, unless
        it happens in the second half of a period."""
        if self._wraps_ns is None or self._last_ns is None:
            return source_ns
        step = (source_ns - self._last_ns) % self._wraps_ns
        return self._last_ns + (step if step < self._wraps_ns // 2 else step - self._wraps_ns)
