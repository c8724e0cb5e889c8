"""Which access points are gone, new, or changed: tests against what the map would have expected of the batch."""

from dataclasses import dataclass

import numpy as np

from .maps import F32, F64
from .placing import Placed

GONE_EXPECTED = 3.0  # scans the map expects to hear it in; hearing none has then a chance of e^-3
GONE_SHARE = 0.02  # of the expected scans: a stray echo does not keep an access point alive
NEW_SCANS = 2  # once may be a passing phone
SHIFT_DB, SHIFT_SCANS, SHIFT_ERRORS = 4.0, 20, 4.0
SCANS_A_STAND = 6.0  # scans of one stand share their error
MOVED_CORRELATION = 0.2


@dataclass(frozen=True, slots=True)
class Changes:
    """Names, each sorted. added, removed; moved: heard where the map does not expect it; shift_db: louder or weaker
    everywhere by this much. unheard: too rarely expected to be called gone."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[str, ...]
    shift_db: dict[str, float]
    unheard: tuple[str, ...]


def changes(bssids: tuple[str, ...], rssi_dbm: F32, batch: F32, new: dict[str, int], placed: Placed) -> Changes:
    """bssids: the map's, with its levels rssi_dbm (n,m) and the batch's in the same columns (k,m). new: how many
    scans hear each access point that the map does not know."""
    share, level = _by_place(rssi_dbm, placed)
    expected = placed.at.sum(axis=0) @ share
    heard = (~np.isnan(batch)).sum(axis=0)
    gone = (expected >= GONE_EXPECTED) & (heard <= GONE_SHARE * expected)
    moved, shift = [], {}
    for j in np.flatnonzero((heard >= SHIFT_SCANS) & ~gone):
        name, at = bssids[j], placed.at[~np.isnan(batch[:, j])]
        weight = at * share[:, j]
        total = weight.sum(axis=1)
        usable = total > 1e-3
        if usable.sum() < SHIFT_SCANS:
            moved.append(name)
            continue
        foreseen = (weight @ level[:, j])[usable] / total[usable]
        found = batch[~np.isnan(batch[:, j]), j][usable]
        difference = float(np.median(found - foreseen))
        error = float(found.std()) * 1.25 / np.sqrt(max(len(found) / SCANS_A_STAND, 1.0))
        if _unlike(foreseen, found):
            moved.append(name)
        elif abs(difference) >= max(SHIFT_DB, SHIFT_ERRORS * error):
            shift[name] = round(difference, 1)
    unheard = [bssids[j] for j in np.flatnonzero((heard == 0) & ~gone)]
    added = [name for name, scans in new.items() if scans >= NEW_SCANS]
    removed = [bssids[j] for j in np.flatnonzero(gone)]
    names = [tuple(sorted(group)) for group in (added, removed, moved, unheard)]
    return Changes(names[0], names[1], names[2], dict(sorted(shift.items())), names[3])


def _by_place(rssi_dbm: F32, placed: Placed) -> tuple[F64, F64]:
    """How often each place hears each access point, and at what mean level: (q,m) both."""
    count, columns = len(placed.places_m), rssi_dbm.shape[1]
    heard, total = np.zeros((count, columns)), np.zeros((count, columns))
    np.add.at(heard, placed.row_place, ~np.isnan(rssi_dbm))
    np.add.at(total, placed.row_place, np.nan_to_num(rssi_dbm))
    rows = np.bincount(placed.row_place, minlength=count)[:, None]
    return heard / rows, total / np.maximum(heard, 1)


def _unlike(foreseen: F64, found: F32) -> bool:
    """Loud and soft places have changed: the map varies over the batch's places but the batch does not follow it."""
    if foreseen.std() < 3.0 or found.std() < 2.0:
        return False
    return float(np.corrcoef(foreseen, found)[0, 1]) < MOVED_CORRELATION
