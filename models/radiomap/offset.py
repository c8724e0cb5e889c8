"""By how much a batch of scans is louder or fainter than its map altogether, and the batch with that taken back.

Another make of phone hears everything some decibels louder; so does a batch that was tampered with. An offset that all
scans share shows in the access points that survived: the batch fits the map best when it is taken back. It is taken
back before anything is learnt, so that the map stays in the levels of the phone that surveyed it. What every access
point of a building does at once cannot be told from it.
"""

import numpy as np

from .knn import linear
from .maps import F32
from .placing import sorensen
from .scans import Scans

GRID_DB = np.arange(-14.0, 14.1, 2.0)
TELLING = 3, 2  # known access points that a scan must hear to tell; the second where too few hear as many
LEAST_TELLING = 15
SCANS, ROWS = 150, 2500  # looked at
LEAST_DB = 3.0  # less is left as it is: it lies within what an ordinary month does
COMMON = 0.7  # share of the scans that must be nearer to the offset than to none: half a batch has no common offset


def levelled(bssids: tuple[str, ...], rssi_dbm: F32, scans: Scans) -> tuple[Scans, float]:
    """The scans with their common offset against a map (n,m) of these access points taken back, and that offset in dB.

    0 where it is under LEAST_DB, where too few scans hear enough of the map's access points to tell, where only a part
    of them has it, and where it lies at the end of what is looked for: such a batch does not fit its map, and is
    refused for that.
    """
    offset_db = common_offset_db(rssi_dbm, scans.columns(bssids))
    if abs(offset_db) < LEAST_DB:
        return scans, 0.0
    return Scans(scans.bssids, np.clip(scans.rssi_dbm - offset_db, -120.0, 20.0), scans.t_s), offset_db


def common_offset_db(rssi_dbm: F32, batch: F32) -> float:
    """By how much (dB) the scans (k,m) are louder than the fingerprints (n,m) that they are most like; 0 if unknown."""
    alive = (~np.isnan(batch)).any(axis=0)  # what is gone would make every scan look fainter
    rssi_dbm, batch = rssi_dbm[:, alive], batch[:, alive]
    heard = (~np.isnan(batch)).sum(axis=1)
    telling = next((t for least in TELLING if len(t := np.flatnonzero(heard >= least)) >= LEAST_TELLING), None)
    if telling is None:
        return 0.0
    rows = np.flatnonzero((~np.isnan(rssi_dbm)).any(axis=1))
    some = batch[telling[:: -(-len(telling) // SCANS)]]
    levels = linear(rssi_dbm[rows[:: -(-len(rows) // ROWS)]])
    each = np.array([sorensen(levels, linear(some - shift)).min(axis=1) for shift in GRID_DB])
    cost, own_db = each.mean(axis=1), GRID_DB[each.argmin(axis=0)]
    best = int(cost.argmin())
    if best in (0, len(GRID_DB) - 1):
        return 0.0
    if abs(GRID_DB[best]) >= LEAST_DB and (np.abs(own_db - GRID_DB[best]) < np.abs(own_db)).mean() < COMMON:
        return 0.0
    below, here, above = (float(cost[best + side]) for side in (-1, 0, 1))
    bend = below - 2.0 * here + above
    between = 0.5 * (below - above) / bend if bend > 1e-12 else 0.0
    return round(float(GRID_DB[best] + between * (GRID_DB[1] - GRID_DB[0])), 1)
