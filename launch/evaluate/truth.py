"""Ground truth between its samples: where everybody really was at any instant of a simulated session.

Truth and scenes are published at different instants; scores compare them at the scene's. It knows no scores.
"""

from bisect import bisect_left
from collections import deque

import msgspec
import numpy as np

from ...messages import Truth

LONGEST_GAP_S = 1.0  # further apart, two samples say nothing about the time between them
KEPT_S = 120.0  # how far back a late scene may still be compared


class Timeline:
    """Truth in order of time, however it arrives."""

    def __init__(self) -> None:
        self._truths: deque[Truth] = deque()
        self.first_ns: int | None = None

    @property
    def last_ns(self) -> int | None:
        return self._truths[-1].t_ns if self._truths else None

    def add(self, truth: Truth) -> None:
        """Keep a sample; one of an instant already known is ignored."""
        if self.first_ns is None or truth.t_ns < self.first_ns:
            self.first_ns = truth.t_ns
        if not self._truths or truth.t_ns > self._truths[-1].t_ns:
            self._truths.append(truth)
        else:
            place = bisect_left(self._truths, truth.t_ns, key=lambda other: other.t_ns)
            if self._truths[place].t_ns != truth.t_ns:
                self._truths.insert(place, truth)
        while self._truths[-1].t_ns - self._truths[0].t_ns > KEPT_S * 1e9:
            self._truths.popleft()

    def at(self, t_ns: int) -> Truth | None:
        """The truth at `t_ns`: positions interpolated, who is there and who sees them from the nearer sample.

        None before the first sample, after the last, and in a gap of more than LONGEST_GAP_S.
        """
        place = bisect_left(self._truths, t_ns, key=lambda truth: truth.t_ns)
        if place == len(self._truths):
            return None
        after = self._truths[place]
        if after.t_ns == t_ns:
            return after
        if place == 0:
            return None
        before = self._truths[place - 1]
        if after.t_ns - before.t_ns > LONGEST_GAP_S * 1e9:
            return None
        return _between(before, after, t_ns)


def _between(before: Truth, after: Truth, t_ns: int) -> Truth:
    share = (t_ns - before.t_ns) / (after.t_ns - before.t_ns)
    nearer, other = (before, after) if share < 0.5 else (after, before)
    weight = min(share, 1.0 - share)  # of the other sample
    rows = {name: row for row, name in enumerate(other.people)}
    position = np.array(nearer.position)
    for row, name in enumerate(nearer.people):
        if name in rows:
            position[row] += weight * (other.position[rows[name]] - position[row])
    return msgspec.structs.replace(nearer, t_ns=t_ns, position=position)
