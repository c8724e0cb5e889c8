"""Keep a radio map true from a batch of scans without places: the updater that is shipped.

The recipe: take back what all scans are too loud by (`offset`), place the batch by the access points that survived
(`placing`), say which are gone, new or changed (`changes`), let every surveyed fingerprint draw what it would hear now
from the scans most like it (`columns`), put the batch's scans beside them, and say what is to be expected at each place
(`levels`). Each update is tried on a part of the batch it has not seen and on the old map's own places first
(`rehearsal`): a map that would locate worse is not given out.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .changes import Changes, changes
from .chart import placed_again
from .columns import donors, drawn, renewed
from .knn import calibrated, linear
from .levels import expected
from .maps import F32, FingerprintMap, MapError
from .offset import levelled
from .placing import Placed, place_scans, sorensen, spread
from .scans import Scans

LEAST_SCANS = 30
LEAST_SHARED = 3  # access points that map and batch must share: of one or two, only a chart tells that one moved
LEAST_LOCATED = 0.25  # share of the scans that hear one of them
LEAST_SCALE = 0.02  # Sorensen distance; below it the own distances are rounding
MISFIT_FEW, FEW_HEARD = 2.0, 5  # the limit where a scan hears fewer known access points: distances are coarse then
MISFIT = 1.3  # times the map's own distances between neighbouring places
LEAST_SPREAD = 0.5  # of the map's own extent
UNEVEN, SEEN = (
    1.0,
    (0.3, 5),
)  # standard deviation of log-odds, of a library's batches at most 0.92; known ones heard a scan
SURVEYED, HEARD = 0.05, 0.004  # shares of fingerprints and scans below which an access point's odds are chance
WATCHED_BELOW = 0.10  # share of what is heard: so few new access points are named, but survivors locate better alone
MOSTLY_NEW = 0.6  # share of what is heard that the map does not know
OLD_ROWS = 4  # surveyed fingerprints kept per scan of the batch where most is new


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What an update would be. map: the new one; placed: where its scans were taken; changes: access points."""

    map: FingerprintMap
    placed: Placed
    changes: Changes
    counts: dict[str, Any] = field(default_factory=dict)


def updated(
    old: FingerprintMap,
    scans: Scans,
    *,
    version: str,
    seed: int = 0,
    offset_db: float | None = None,
    by_chart: bool = True,
    placed: Placed | None = None,
) -> Update:
    """The updated map, without trying it first. Raises MapError, in one sentence, where the batch cannot be placed.

    offset_db: what has been taken back of the scans' levels already; None: it is looked for here. by_chart: whether a
    batch that hears little of the map may be placed by its own chart. placed: where its scans were taken, if known."""
    given, old = old, surveyed(old)
    origin = given.survey or old
    if offset_db is None:
        scans, offset_db = levelled(origin.bssids, origin.rssi_dbm, scans)
    refuse_misfit(origin, *_shared(origin, scans)[1:])
    kept, known, batch_known = _shared(old, scans)
    heard = scans.columns(scans.heard())
    if placed is None:
        refuse_uneven(known, batch_known)
        placed = place_scans(old.position_m, known, batch_known, heard, scans.t_s)
        if by_chart:
            placed = placed_again(placed, old.position_m, known, batch_known, heard, scans.t_s)
    refuse_few(kept, placed)
    refuse_unknown(batch_known, placed)
    refuse_one_spot(old, placed)
    new = _unknown(old, scans)
    refuse_deaf(offset_db, _new_share(scans, new))
    found = changes(old.bssids, old.rssi_dbm, scans.columns(old.bssids), new, placed)
    entering = found.added if _new_share(scans, new) >= WATCHED_BELOW else ()
    steady = _steady(old, kept, found)
    bssids, levels = _columns(old, scans, steady, found, entering, placed, np.random.default_rng(seed))
    fresh = scans.columns(bssids)
    rows = _thinned(old, scans, new)
    watched = [b for b in found.added if b not in entering]
    count = {"scans": len(scans), "shared": len(kept), "surveyed_rows": len(rows), "watched": watched}
    count["offset_db"] = offset_db
    card = {"calibration": old.card.get("calibration", {}), "surveyed_rows": len(rows)}
    new_map = FingerprintMap(
        old.name,
        version,
        bssids,
        np.vstack([old.position_m[rows], placed.position_m]),
        np.vstack([levels[rows], fresh]),
        card,
        origin.changed(survey=None, levels=None),
        _expected(old, scans, steady, found, placed),
    )
    found = _against(given, found, kept)
    return Update(calibrated(new_map, seed) if len(rows) > 3 else new_map, placed, found, count)


def surveyed(radio_map: FingerprintMap) -> FingerprintMap:
    """What was measured of the map, with the columns that updates have learned for access points that came later.

    Levels that an update drew and the scans that it put beside them are left out: drawn anew from each other again and
    again, they would blur.
    """
    rows, origin = radio_map.card.get("surveyed_rows"), radio_map.survey
    card = {key: value for key, value in radio_map.card.items() if key != "surveyed_rows"}
    if origin is None:
        count = rows if isinstance(rows, int) and 0 < rows <= len(radio_map.position_m) else len(radio_map.position_m)
        return radio_map.changed(
            position_m=radio_map.position_m[:count], rssi_dbm=radio_map.rssi_dbm[:count], card=card
        )
    learned = [j for j, bssid in enumerate(radio_map.bssids) if bssid not in set(origin.bssids)]
    if rows != len(origin.position_m):
        learned = []  # the survey was thinned: rows no longer correspond
    bssids = origin.bssids + tuple(radio_map.bssids[j] for j in learned)
    levels = np.hstack([origin.rssi_dbm, radio_map.rssi_dbm[: len(origin.position_m), learned]])
    return origin.changed(bssids=bssids, rssi_dbm=levels, version=radio_map.version, card=card)


def refuse_misfit(old: FingerprintMap, known: F32, batch_known: F32) -> None:
    """Raise MapError for scans that are less like the map than neighbouring places of the map are like each other."""
    misfit = fit(old, known, batch_known)
    heard = (~np.isnan(batch_known)).sum(axis=1)
    limit = MISFIT if np.median(heard[heard > 0]) >= FEW_HEARD else MISFIT_FEW
    if misfit > limit:
        raise MapError(
            f"the scans do not fit the map: {misfit:.2f} times as far from it as its own neighbouring places are "
            f"({limit:g} is the limit); levels are shifted, or this is another site's map"
        )


def fit(old: FingerprintMap, known: F32, batch_known: F32) -> float:
    """Median distance of the scans to the nearest fingerprint, in units of the same for fingerprints left out.

    Only scans that hear several known access points can tell: 0 where there are too few of them.
    """
    levels = linear(known)
    many = np.flatnonzero((~np.isnan(known)).sum(axis=1) >= LEAST_SHARED)
    telling = (~np.isnan(batch_known)).sum(axis=1) >= LEAST_SHARED
    if len(many) < LEAST_SCANS or telling.sum() < LEAST_SCANS:
        return 0.0
    left_out = np.sort(np.random.default_rng(0).permutation(many)[:300])
    apart = np.hypot(*(old.position_m[left_out, None] - old.position_m[None]).transpose(2, 0, 1))
    own = sorensen(levels, levels[left_out])
    own[apart < 0.5] = np.inf
    scale = max(float(np.median(own.min(axis=1))), LEAST_SCALE)
    return float(np.median(sorensen(levels, linear(batch_known[telling])).min(axis=1))) / scale


def refuse_few(kept: tuple[str, ...], placed: Placed) -> None:
    """Raise MapError for a batch that shares hardly any access point (names kept) with the map, unless all that it
    hears bore out where it was placed."""
    if len(kept) < LEAST_SHARED and not placed.sure:
        raise MapError(f"the batch and the map share {len(kept)} access points: {LEAST_SHARED} are needed to place it")


def refuse_unknown(batch_known: F32, placed: Placed) -> None:
    """Raise MapError for a batch that hears too little of the map (k,s) to be placed by it alone, unless all that it
    hears bore out where it was placed."""
    located = float((~np.isnan(batch_known)).any(axis=1).mean())
    if located < LEAST_LOCATED and not placed.sure:
        raise MapError(f"only {located:.0%} of the scans hear an access point that the map knows")


def refuse_one_spot(old: FingerprintMap, placed: Placed) -> None:
    """Raise MapError for a batch that was taken in a corner of the map: the rest of it would be told from there."""
    share = spread(placed, old.position_m)
    if share < LEAST_SPREAD:
        raise MapError(
            f"the batch was taken mostly at one spot: its scans spread over {share:.0%} of the map's extent "
            f"({LEAST_SPREAD:.0%} are needed)"
        )


def refuse_uneven(known: F32, batch_known: F32) -> None:
    """Raise MapError for a batch that hears few access points a scan, some far oftener than the survey did and others
    far more seldom (known (n,s), batch_known (k,s)): it was taken near some of them, and `placing` could not tell."""
    survey, batch = (~np.isnan(known)).mean(axis=0), (~np.isnan(batch_known)).mean(axis=0)
    told = (survey > SURVEYED) & (batch > HEARD)
    if not SEEN[0] <= batch.sum() < SEEN[1] or told.sum() < 2:
        return
    odds = [np.log(share[told] / (1.0 - share[told] + 1e-3)) for share in (survey, batch)]
    uneven = float((odds[1] - odds[0]).std())
    if uneven > UNEVEN:
        raise MapError(
            f"the batch was taken at some part of the map: {told.sum()} access points are heard {uneven:.1f} apart in "
            f"log-odds from how often the survey heard them ({UNEVEN:g} is the limit)"
        )


def refuse_deaf(offset_db: float, new_share: float) -> None:
    """Raise MapError for a batch that hears less than the map and has little new to say: what it only misses for being
    deafer would leave the map, and no level that is put back brings it in again."""
    if offset_db < 0.0 and new_share < WATCHED_BELOW:
        raise MapError(
            f"the scans are {-offset_db:.1f} dB fainter than the map, so they miss what it hears weakly, and little in "
            "them is new"
        )


def _shared(old: FingerprintMap, scans: Scans) -> tuple[tuple[str, ...], F32, F32]:
    """The access points that both hear, and the levels of map and batch for them."""
    if len(scans) < LEAST_SCANS:
        raise MapError(f"{len(scans)} scans are too few for an update: {LEAST_SCANS} are needed")
    ever = set(scans.heard())
    at = [j for j, bssid in enumerate(old.bssids) if bssid in ever]
    kept = tuple(old.bssids[j] for j in at)
    if not kept:
        raise MapError("the batch and the map share 0 access points: nothing tells where it was taken")
    return kept, old.rssi_dbm[:, at], scans.columns(kept)


def _against(given: FingerprintMap, found: Changes, kept: tuple[str, ...]) -> Changes:
    """The changes as against the map in force: what left it earlier is not named again, what came back is added."""
    back = {bssid for bssid in kept if bssid not in set(given.bssids) and bssid not in set(found.removed)}
    removed = tuple(bssid for bssid in found.removed if bssid in set(given.bssids))
    return replace(found, added=tuple(sorted({*found.added, *back})), removed=removed)


def _unknown(old: FingerprintMap, scans: Scans) -> dict[str, int]:
    """How many scans hear each access point that the map does not know."""
    heard = (~np.isnan(scans.rssi_dbm)).sum(axis=0)
    known = set(old.bssids)
    return {b: int(n) for b, n in zip(scans.bssids, heard, strict=True) if n and b not in known}


def _new_share(scans: Scans, new: dict[str, int]) -> float:
    """How much of what is heard comes from access points that the map does not know."""
    return sum(new.values()) / int((~np.isnan(scans.rssi_dbm)).sum())


def _steady(old: FingerprintMap, kept: tuple[str, ...], found: Changes) -> tuple[str, ...]:
    """The access points by which fingerprints and scans are likened: one that moved tells nothing about a place."""
    return tuple(b for b in kept if b not in {*found.removed, *found.moved}) or kept


def _left(old: FingerprintMap, found: Changes) -> tuple[tuple[str, ...], F32]:
    """The old map's access points that are not gone, and their levels as loud as they are now."""
    left = tuple(b for b in old.bssids if b not in set(found.removed))
    column = {bssid: j for j, bssid in enumerate(old.bssids)}
    levels = old.rssi_dbm[:, [column[b] for b in left]].copy()
    for bssid, shift_db in found.shift_db.items():
        levels[:, left.index(bssid)] += shift_db
    return left, levels


def _expected(
    old: FingerprintMap, scans: Scans, steady: tuple[str, ...], found: Changes, placed: Placed
) -> FingerprintMap | None:
    """What is to be expected at the survey's fingerprints, of all access points, the watched ones too."""
    left, levels = _left(old, found)
    known = levels[:, [left.index(b) for b in steady if b in left]]
    bssids = left + tuple(b for b in found.added if b not in left)
    batch = scans.columns(bssids)
    told = expected(old.rssi_dbm, known, scans.columns(steady), batch, placed)
    return None if np.isnan(told).all() else FingerprintMap(old.name, "levels", bssids, old.position_m, told)


def _columns(
    old: FingerprintMap,
    scans: Scans,
    steady: tuple[str, ...],
    found: Changes,
    entering: tuple[str, ...],
    placed: Placed,
    rng: np.random.Generator,
) -> tuple[tuple[str, ...], F32]:
    """The names of the new map's access points, and what its surveyed fingerprints hear of them."""
    left, levels = _left(old, found)
    known = levels[:, [left.index(b) for b in steady if b in left]]
    chosen, weight = donors(known, scans.columns(steady), old.position_m, placed.position_m)
    fresh = drawn(chosen, weight, scans.columns(left), rng)
    mixed = renewed(levels, fresh, rng)
    for j, bssid in enumerate(left):
        if bssid in found.moved:
            mixed[:, j] = fresh[:, j]
        elif bssid in found.unheard:
            mixed[:, j] = levels[:, j]
    added = drawn(chosen, weight, scans.columns(entering), rng)
    return left + entering, np.clip(np.hstack([mixed, added]), -120.0, 20.0)


def _thinned(old: FingerprintMap, scans: Scans, new: dict[str, int]) -> np.ndarray:
    """Rows of the survey to keep: where most of what is heard is new they are mostly guessed, and must not outvote."""
    if _new_share(scans, new) < MOSTLY_NEW:
        return np.arange(len(old.position_m))
    return np.arange(0, len(old.position_m), max(1, len(old.position_m) // (OLD_ROWS * len(scans))))
