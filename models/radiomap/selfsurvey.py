"""A radio map of a site nobody surveyed: scans of enrolled phones, labelled with where their owners were seen.

A label is where a confirmed body was when the phone scanned; it is worth the probability that the body is the owner.
Some are wrong all the same, for as long as two people are taken for each other. They show: the same levels are heard
elsewhere by others and at other times. So every scan is located by the others, and a label that these contradict
loses its weight, in a few rounds of expectation-maximisation (a mixture of right and wrong labels, the errors of the
right ones Student-t: Lange, Little and Taylor, "Robust statistical modeling using the t distribution", 1989). What is
left is the map, scan by scan: an average on a grid locates worse (docs/results/phone_positions.md).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .knn import Fixes, Locator, calibrated
from .maps import F32, F64, FingerprintMap, MapError

I64 = npt.NDArray[np.int64]
LEAST_SCANS = 20
MOST_SCANS = 8_000  # of a session: of more, every second, third ... is looked at
CELL_M, MOST_PER_CELL = 1.0, 12  # more scans of one square metre make a map slower, not better
ROUNDS = 4
WRONG_SHARE, LEAST_WRONG = 0.15, 0.02  # of labels: at first and at most, and at least
MOST_NATS = 4.0  # what one comparison may say
FREEDOM = 4.0  # of Student's t
FINE_M2 = 1.0  # what a place may be off beside how far apart the places are that sound like it
APART_NS = 15_000_000_000  # a scan is not judged by those of its own phone within this: they share its mistake
LASTS_S, SHARED = 7.0, 0.6  # mistakes last: what the phone's scans around say of a label counts, by this
BELIEVED = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScan:
    """What a phone heard {bssid: dBm} at t_ns, where its owner then was, (2,) m, and how probably that was them."""

    t_ns: int
    phone: str
    scan: Mapping[str, float]
    place: F64
    probability: float


def survey(
    scans: Iterable[LabelledScan], name: str, version: str = "1", card: Mapping[str, Any] | None = None
) -> FingerprintMap:
    """The map that labelled scans make. Its card says from how many, how many were contradicted, and `card`. Raises
    MapError where there are too few."""
    chosen = sorted((s for s in scans if s.scan and s.probability > 0), key=lambda s: (s.t_ns, s.phone))
    chosen = chosen[:: 1 + len(chosen) // MOST_SCANS]
    if len(chosen) < LEAST_SCANS:
        raise MapError(f"only {len(chosen)} scans were taken by people whose place was known: {LEAST_SCANS} are needed")
    bssids = tuple(sorted({bssid for s in chosen for bssid in s.scan}))
    column = {bssid: j for j, bssid in enumerate(bssids)}
    levels = np.full((len(chosen), len(bssids)), np.nan, np.float32)
    for row, labelled in enumerate(chosen):
        for bssid, rssi_dbm in labelled.scan.items():
            levels[row, column[bssid]] = rssi_dbm
    place = np.array([s.place for s in chosen], np.float64)
    weight = believed(chosen, place, levels)
    rows = _thinned(place, np.flatnonzero(weight > BELIEVED))
    if len(rows) < LEAST_SCANS:
        raise MapError(f"of {len(chosen)} labelled scans the others contradict all but {len(rows)}: no map is made")
    heard = np.flatnonzero(~np.isnan(levels[rows]).all(axis=0))
    kept = tuple(bssids[j] for j in heard)
    told = {
        "source": "self-survey",
        "scans": len(chosen),
        "contradicted": int((weight <= BELIEVED).sum()),
        "phones": len({s.phone for s in chosen}),
    }
    card = {**told, **(card or {})}
    return calibrated(FingerprintMap(name, version, kept, place[rows], levels[rows][:, heard], card))


def believed(scans: list[LabelledScan], place: F64, levels: F32) -> F64:
    """The probability (n,) that each label is right, by itself and by what the others say. place (n,2), levels (n,m):
    the scans' as arrays."""
    own = np.array([min(s.probability, 0.99) for s in scans])
    phone = np.unique([s.phone for s in scans], return_inverse=True)[1]
    t_ns = np.array([s.t_ns for s in scans], np.int64)
    names = tuple(str(j) for j in range(levels.shape[1]))
    locator = Locator(FingerprintMap("scans", "0", names, place, levels))
    fixes = _located(locator, phone, t_ns, levels)
    judged = fixes.shared > 0
    weight, wrong = own, WRONG_SHARE
    spread_m2 = 12 * float(
        np.sqrt(np.linalg.det(np.cov(place.T) + FINE_M2 * np.eye(2)))
    )  # a wrong label is where others are
    for _ in range(ROUNDS if judged.any() else 0):
        share = fixes.weights * weight[fixes.neighbours]
        share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
        there = np.einsum("ik,ikc->ic", share, place[fixes.neighbours])
        apart = ((place[fixes.neighbours] - there[:, None]) ** 2).sum(axis=2)
        scale_m2 = FINE_M2 + (share * apart).sum(axis=1) / 2
        nats = np.where(judged, _for_right((place - there) ** 2, scale_m2, weight, spread_m2), 0.0)
        prior = own * (1 - wrong)
        odds = np.log(prior / (1 - prior)) + nats + SHARED * _around(phone, t_ns, nats)
        weight = 1 / (1 + np.exp(-odds))
        wrong = float(np.clip((1 - weight[judged]).mean(), LEAST_WRONG, WRONG_SHARE))
    return weight


def _located(locator: Locator, phone: I64, t_ns: I64, levels: F32) -> Fixes:
    """Every scan by the others, in parts: the table of who may not judge whom is large."""
    parts = []
    for rows in np.array_split(np.arange(len(levels)), 1 + len(levels) // 1000):
        beside = (phone[rows, None] == phone) & (np.abs(t_ns[rows, None] - t_ns) < APART_NS)
        parts.append(locator.locate_many(levels[rows], without=beside))
        parts[-1].shared[(~beside).sum(axis=1) <= 30] = 0
    return Fixes(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Fixes)))


def _for_right(squared: F64, scale_m2: F64, weight: F64, spread_m2: float) -> F64:
    """Log-likelihood ratios (n,) of right against wrong, by how far off the labels are: squared (n,2) m2. The errors of
    right ones are in proportion to scale_m2; how large they are, the scans tell themselves. Wrong ones are anywhere on
    spread_m2."""
    far = squared.sum(axis=1)
    spread = _weighted_median(far / scale_m2, weight) / (2 * np.log(2))
    variance = np.maximum(spread, 0.3) * scale_m2
    right = (1 + far / (FREEDOM * variance)) ** (-(FREEDOM + 2) / 2) / (2 * np.pi * variance)
    return np.clip(np.log(right * spread_m2), -MOST_NATS, MOST_NATS)


def _around(phone: I64, t_ns: I64, nats: F64) -> F64:
    """What the scans before and after of the same phone say (n,), the nearer the more."""
    total = np.zeros(len(nats))
    for who in np.unique(phone):
        rows = np.flatnonzero(phone == who)  # in order of time
        keep = np.exp(-np.diff(t_ns[rows]) / 1e9 / LASTS_S)
        for order, decay in ((rows, keep), (rows[::-1], keep[::-1])):
            carried = 0.0
            for before, row, left in zip(order, order[1:], decay, strict=False):
                carried = (carried + nats[before]) * left
                total[row] += carried
    return total


def _thinned(place: F64, rows: I64) -> I64:
    """Of the rows, those that a map needs: at most so many a cell, spread over the time that they were taken in."""
    cells: dict[tuple[int, int], list[int]] = {}
    for row in rows.tolist():
        x, y = np.floor(place[row] / CELL_M).astype(int).tolist()
        cells.setdefault((x, y), []).append(row)
    kept = [cell[:: 1 + (len(cell) - 1) // MOST_PER_CELL] for cell in cells.values()]
    return np.sort(np.array([row for cell in kept for row in cell], np.int64))


def _weighted_median(values: F64, weight: F64) -> float:
    order = np.argsort(values, kind="stable")
    passed = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(passed, passed[-1] / 2)])
