"""A phone's clock against ours, judged from nothing but when its uploads came and how new their newest sample was.

What a phone sends at once is as new as it can be: its lag (our time of receipt less the phone's time of the newest
sample) is the clocks' difference and little more. A clock that is right within `BEHIND_NS` is left alone; one that is
wrong by the same amount in upload after upload is corrected; a lag that varies is a delay, and no clock's fault.
No clock is read here.
"""

from collections import deque

from .batches import SECOND_NS

BEHIND_NS = 2 * SECOND_NS  # a smaller lag may be the network's and the app's
AHEAD_NS = SECOND_NS // 5  # nothing is sent before it is measured
AGREE_NS = SECOND_NS  # lags this close to each other are one clock's
UPLOADS = 3  # that must agree before a clock is called wrong
UPLOADS_AFTER = 30  # where it was right before: a phone that was out of reach delivers late, again and again


class PhoneClock:
    """offset_ns: what to add to the phone's times. corrections: how often that has changed."""

    def __init__(self) -> None:
        self.offset_ns = 0
        self.corrections = 0
        self._was_right = False
        self._lags: deque[int] = deque(maxlen=UPLOADS_AFTER)

    def hear(self, lag_ns: int) -> bool:
        """Take in one upload's lag; whether its times can now be trusted (with `offset_ns` added). False: wait for the
        next uploads, which say whether the clock is wrong or this one came late."""
        rest_ns = lag_ns - self.offset_ns
        if -AHEAD_NS <= rest_ns <= BEHIND_NS:
            self._was_right = True
            self._lags.clear()
            return True
        if self._lags and abs(lag_ns - self._lags[-1]) > AGREE_NS:
            self._lags.clear()
        self._lags.append(lag_ns)
        is_late = rest_ns > 0 and self._was_right
        if len(self._lags) >= (UPLOADS_AFTER if is_late else UPLOADS):
            self.offset_ns = min(self._lags)  # whatever delays an upload can only lengthen its lag
            self.corrections += 1
            self._was_right = True
            self._lags.clear()
            return True
        return is_late
