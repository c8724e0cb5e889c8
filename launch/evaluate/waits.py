"""How long a name takes: from when its owner is first seen until it is first confirmed on the right body.

The wait is split into time with the owner in view of a camera or radar and time without.
"""

from typing import Any

import numpy as np

from ...messages import Person, Truth


class ConfirmationWaits:
    """Per enrolled person, one wait."""

    def __init__(self) -> None:
        self._first_seen_ns: dict[str, int] = {}
        self._confirmed_ns: dict[str, int] = {}
        self._visible_s: dict[str, float] = {}
        self._unseen_s: dict[str, float] = {}

    def add(self, t_ns: int, truth: Truth, tracked: list[Person], owners: dict[int, int], duration_s: float) -> None:
        """One instant, scored or not: people wait from the beginning. owners: {row of truth: index of tracked}."""
        for row, name in enumerate(truth.enrolled):
            if not name or name in self._confirmed_ns:
                continue
            if name in self._first_seen_ns:
                waited = self._visible_s if truth.seen_by[row] else self._unseen_s
                waited[name] = waited.get(name, 0.0) + duration_s
            elif truth.seen_by[row]:
                self._first_seen_ns[name] = t_ns
            if name in self._first_seen_ns and row in owners:
                body = tracked[owners[row]]
                if body.state == "confirmed" and body.id == name:
                    self._confirmed_ns[name] = t_ns

    def result(self) -> dict[str, Any]:
        """median and longest in s; median_visible and median_unseen: of the parts of each wait with the owner in view
        of a sensor and without; confirmed and never: how many people."""
        waits = [(ns - self._first_seen_ns[who]) / 1e9 for who, ns in self._confirmed_ns.items()]
        return {
            "median": _median(waits),
            "longest": round(max(waits), 2) if waits else None,
            "median_visible": _median([self._visible_s.get(who, 0.0) for who in self._confirmed_ns]),
            "median_unseen": _median([self._unseen_s.get(who, 0.0) for who in self._confirmed_ns]),
            "confirmed": len(waits),
            "never": len(self._first_seen_ns) - len(waits),
        }


def _median(seconds: list[float]) -> float | None:
    return round(float(np.median(seconds)), 2) if seconds else None
