"""A phone's clock against ours, judged from nothing but when its uploads came and how new their newest sample was.

What a phone sends at once is as new as it can be: its lag (our time of receipt less the phone's time of the newest
sample) is the clocks' difference and little more. A clock that is right within `BEHIND_NS` is left alone; one that is
wrong by the same amount while its time goes on is corrected; a lag that shrinks as a backlog is worked off is a delay,
and no clock's fault. No clock is read here.
"""

from collections import deque

from .batches import SECOND_NS

BEHIND_NS = 2 * SECOND_NS  # a smaller lag may be the network's and the app's
AHEAD_NS = SECOND_NS // 5  # nothing is sent before it is measured
AGREE_NS = SECOND_NS  # lags within this of each other may be one clock's ...
ADVANCE_NS = 19 * SECOND_NS // 10  # ... if the phone's time went on by more: a backlog's lag would have shrunk by that
ADVANCE_AFTER_NS = 30 * SECOND_NS  # where the clock was right before: out of reach is likelier than a jump
_REMEMBERED = 256


class PhoneClock:
    """offset_ns: what to add to the phone's times. corrections: how often that has changed."""

    def __init__(self) -> None:
        self.offset_ns = 0
        self.corrections = 0
        self._was_right = False
        self._heard: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)  # phone's time, lag

    def hear(self, phone_ns: int, lag_ns: int) -> bool:
        """Take in one upload: the phone's own time when it was sent, and its lag. Whether its times can now be trusted
        (with `offset_ns` added); False: the next uploads will say whether the clock is wrong or this one came late."""
        rest_ns = lag_ns - self.offset_ns
        if -AHEAD_NS <= rest_ns <= BEHIND_NS:
            self._was_right = True
            self._heard.clear()
            return True
        self._heard.append((phone_ns, lag_ns))
        agreeing = self._agreeing()
        is_late = rest_ns > 0 and self._was_right
        first_ns, last_ns = (extreme(phone_ns for phone_ns, _ in agreeing) for extreme in (min, max))
        if last_ns - first_ns >= (ADVANCE_AFTER_NS if is_late else ADVANCE_NS):
            self.offset_ns = min(lag_ns for _, lag_ns in agreeing)  # a delay can only lengthen it
            self.corrections += 1
            self._was_right = True
            self._heard.clear()
            return True
        return is_late

    def _agreeing(self) -> list[tuple[int, int]]:
        """The last uploads whose lags lie together."""
        agreeing: list[tuple[int, int]] = []
        low_ns = high_ns = self._heard[-1][1]
        for phone_ns, lag_ns in reversed(self._heard):
            low_ns, high_ns = min(low_ns, lag_ns), max(high_ns, lag_ns)
            if high_ns - low_ns > AGREE_NS:
                break
            agreeing.append((phone_ns, lag_ns))
        return agreeing
