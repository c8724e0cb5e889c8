"""The witness of MTLoc: does the place that a phone gives itself fit where a body walks?

A phone's positions come with a covariance, and most of their error lasts: the next position is wrong the same way.
For every hypothesis "phone p is carried by body k" a Kalman filter holds that lasting error, in units of what the
phone says of itself (an Ornstein-Uhlenbeck process), so that it is integrated out, and a position counts for what it
adds to the one before: bodies that move as the phone does are told from others long before the phone knows where it
is. The alternative, "nobody we track", is somebody unseen (`wanderers.py`) who is about where the owner was lost, and
hardly where cameras look (the radio's maps know both). It believes the covariance it is given; models calibrate it.
"""

from typing import Any

import numpy as np

from ...messages import PhonePosition
from ...sitefile import Area
from ..geometry import Floats
from ..wireless import WirelessGrid
from .columns import Bodies, Columns
from .wanderers import WALK_M2_PER_S, Wanderers, log_normal

LASTING_SHARE, LASTING_S = 0.8, 4.0  # of a position's variance (docs/results/phone_positions.md)
LEAST_M2 = 0.1  # of a position's variance: a phone is not the middle of its carrier
OUTLIER_SHARE = 0.02  # one position in fifty is anywhere on the plan
CAP_NATS = 4.0  # what one position may say at most
FORGOTTEN_S = 30.0  # after this long without a position nothing is known of the next one
SOONEST_NS = 200_000_000  # of one phone, after the last position used
LATEST_S = 6.0  # an older position says nothing of now
ABSURD_M, ABSURD_SD = 15.0, 4.0  # beyond the plan by more than this and that is no place of this site
OVERLOOKED = 0.1  # of the places that the maps rule out for somebody unseen, what is left


class PositionEvidence(Columns):
    """mean (phones, columns, 2), covariance (phones, columns, 2, 2) of the lasting error, of unit variance. Column 0
    is "nobody"; then as `add`ed. rows: per phone, the rows of its owner's maps in the grid. own: the rows there that
    belong to phones alone."""

    def __init__(self, area: Area, rows: list[list[int]], own: dict[int, int], grid: WirelessGrid) -> None:
        """own: phone -> its map's row in the grid, for phones of owners without devices."""
        super().__init__(len(rows), np.eye(2))
        self._corners = np.array([[area.x_m[0], area.y_m[0]], [area.x_m[1], area.y_m[1]]])
        self._plan_m2 = float(np.prod(self._corners[1] - self._corners[0]))
        self._rows, self._own, self._grid = rows, own, grid
        self._wanderers = Wanderers(len(rows))
        self._fit = np.zeros(len(rows))  # how well the maps fit the wanderer's place, in nats, at its last position
        self._newest_ns = np.zeros(len(rows), np.int64)
        self._newest = np.zeros((len(rows), 5))  # x, y, xx, xy, yy

    def refusal(self, phone: int, position: PhonePosition, now_ns: int) -> str:
        """Why a position is not used: `too_late`, `too_soon`, `absurd`; "" where it is."""
        if now_ns - position.t_ns > LATEST_S * 1e9 or position.t_ns <= self._newest_ns[phone]:
            return "too_late"
        if position.t_ns - self._newest_ns[phone] < SOONEST_NS:
            return "too_soon"
        place, covariance = _place(position), _covariance(position)
        outside = np.maximum(self._corners[0] - place, 0.0) + np.maximum(place - self._corners[1], 0.0)
        reach = ABSURD_M + ABSURD_SD * np.sqrt(np.diag(covariance))
        return "absurd" if (outside > reach).any() else ""

    def hear(self, phone: int, position: PhonePosition, bodies: Bodies) -> Floats:
        """What one position says about each body, columns 1..K, in nats against "nobody": (K,). bodies: where they
        were when the phone was there. The filters learn. For positions that are not refused."""
        place, covariance = _place(position), _covariance(position)
        elapsed_s = min((position.t_ns - self._newest_ns[phone]) / 1e9, 10 * FORGOTTEN_S)
        keep = float(np.exp(-elapsed_s / LASTING_S))
        seen_by = np.sqrt(LASTING_SHARE) * _root(covariance)
        noise = (1 - LASTING_SHARE) * covariance
        outlier = np.log(OUTLIER_SHARE / self._plan_m2)
        self.mean[phone] *= keep
        self.covariance[phone] = keep * keep * self.covariance[phone] + (1 - keep * keep) * np.eye(2)
        density = np.logaddexp(self._learn(phone, place, noise, seen_by, outlier, bodies), outlier)
        nobody = np.logaddexp(self._wander(phone, place, covariance, seen_by, elapsed_s, keep), outlier)
        self._newest_ns[phone] = position.t_ns
        self._newest[phone] = *place, *covariance[np.triu_indices(2)]
        return np.clip(density - nobody, -CAP_NATS, CAP_NATS)

    def _learn(
        self, phone: int, place: Floats, noise: Floats, seen_by: Floats, outlier: float, bodies: Bodies
    ) -> Floats:
        """The log-density (K,) of a position, per m2, under each body; each one's filter learns from it."""
        mean, covariance = self.mean[phone, 1:], self.covariance[phone, 1:]
        reach = covariance @ seen_by.T
        spread = seen_by @ reach
        vague = noise + bodies.covariance
        error = place - bodies.position - mean @ seen_by.T
        clear = log_normal(error, spread + vague)
        worth = np.maximum(np.exp(clear - np.logaddexp(clear, outlier)), 1e-3)[:, None, None]
        gain = reach @ np.linalg.inv(spread + vague / worth)  # an outlier teaches little
        self.mean[phone, 1:] = mean + (gain @ error[:, :, None])[:, :, 0]
        after = covariance - gain @ reach.transpose(0, 2, 1)
        self.covariance[phone, 1:] = 0.5 * (after + after.transpose(0, 2, 1))
        return clear

    def _wander(
        self, phone: int, place: Floats, covariance: Floats, seen_by: Floats, elapsed_s: float, keep: float
    ) -> float:
        """The log-density of a position, per m2, under "somebody unseen": by their own movement so far, and by how
        much better or worse the maps fit where they then are."""
        if elapsed_s > FORGOTTEN_S:
            self._wanderers.begin(phone, place, covariance, seen_by)
            density, before = -np.log(self._plan_m2), 0.0
        else:
            self._wanderers.pass_time(phone, elapsed_s, keep)
            noise, outlier = (1 - LASTING_SHARE) * covariance, np.log(OUTLIER_SHARE / self._plan_m2)
            density = self._wanderers.hear(phone, place, noise, seen_by, outlier)
            before = float(self._fit[phone])
        self._fit[phone] = self._fitting(phone)
        return float(density + self._fit[phone] - before)

    def _fitting(self, phone: int) -> float:
        """Nats by which the maps speak for where the wanderer is, against all places being equal."""
        maps = self._grid.maps[self._rows[phone]].mean(axis=0)
        maps = (1 - OVERLOOKED) * maps + OVERLOOKED / maps.size
        there = self._grid.around(*self._wanderers.place(phone))
        return float(np.log((maps * there).sum() * maps.size))

    def newest(self, phones: list[int], t_ns: int) -> tuple[Floats, Floats] | None:
        """Where the newest position of these phones has its carrier at `t_ns`: mean (2,), covariance (2, 2); None
        where there is none of the last FORGOTTEN_S."""
        phone = max(phones, key=lambda row: int(self._newest_ns[row]), default=None)
        if phone is None or t_ns - self._newest_ns[phone] > FORGOTTEN_S * 1e9:
            return None
        x, y, xx, xy, yy = self._newest[phone]
        age_s = max((t_ns - int(self._newest_ns[phone])) / 1e9, 0.0)
        return np.array([x, y]), np.array([[xx, xy], [xy, yy]]) + WALK_M2_PER_S[1] * age_s * np.eye(2)

    def leave(self, phones: list[int], position: Floats, share: float) -> None:
        """A share of the belief that their owner is unseen now begins at a place (2,)."""
        for phone in phones:
            if phone in self._own:
                self._grid.leave(self._own[phone], position, share)

    def state(self) -> dict[str, Any]:
        newest = {"newest": self._newest, "newest_ns": self._newest_ns, "fit": self._fit}
        return {"mean": self.mean, "covariance": self.covariance, "wanderers": self._wanderers.state(), **newest}

    def load(self, state: dict[str, Any]) -> None:
        self.mean, self.covariance = state["mean"], state["covariance"]
        self._newest, self._newest_ns, self._fit = state["newest"], state["newest_ns"], state["fit"]
        self._wanderers.load(state["wanderers"])


def _place(position: PhonePosition) -> Floats:
    return np.array([position.x_m, position.y_m])


def _covariance(position: PhonePosition) -> Floats:
    xx, xy, yy = position.covariance_m2
    return np.array([[xx + LEAST_M2, xy], [xy, yy + LEAST_M2]])


def _root(covariance: Floats) -> Floats:
    """The symmetric square root: it turns with its matrix, so that an error lasts in its direction."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values)) @ vectors.T
