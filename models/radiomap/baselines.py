"""What a map update is measured against: append, a statistical updater, a full re-survey. Measurements only."""

import numpy as np

from .knn import Locator
from .maps import F32, F64, FingerprintMap
from .placing import places_of
from .scans import Scans

KERNEL_M = 2.0  # a new access point's level at a place: mean of the scans around it
SHIFT_SCANS = 20
SHIFT_DB = 3.0


def appended(old: FingerprintMap, scans: Scans) -> FingerprintMap:
    """The batch's scans beside the map, each where the good locator puts it."""
    return beside(old, scans, located(old, scans))


def beside(old: FingerprintMap, scans: Scans, position_m: F64) -> FingerprintMap:
    """The batch's scans beside the map, at position_m (k,2); scans at NaN are left out."""
    usable = np.isfinite(position_m).all(axis=1)
    heard = [b for b in scans.heard() if b not in set(old.bssids)]
    bssids = old.bssids + tuple(heard)
    blank = np.full((len(old.position_m), len(heard)), np.nan, np.float32)
    levels = np.vstack([np.hstack([old.rssi_dbm, blank]), scans.columns(bssids)[usable]])
    return old.changed(bssids=bssids, position_m=np.vstack([old.position_m, position_m[usable]]), rssi_dbm=levels)


def resurveyed(old: FingerprintMap, scans: Scans, position_m: F64) -> FingerprintMap:
    """The batch with its true places, and nothing else."""
    bssids = scans.heard()
    return old.changed(bssids=bssids, position_m=position_m, rssi_dbm=scans.columns(bssids))


def statistical(old: FingerprintMap, scans: Scans) -> FingerprintMap:
    """Access point by access point: unheard ones leave, a median shift of 3 dB or more is applied, new ones get the
    mean of the scans located around each place where at least half of those hear them."""
    where = located(old, scans)
    usable = np.isfinite(where).all(axis=1)
    where, batch = where[usable], scans.columns(old.bssids)[usable]
    stays = np.flatnonzero((~np.isnan(batch)).any(axis=0))
    fixes = Locator(old).locate_many(batch)
    levels = old.rssi_dbm[:, stays].copy()
    for column, j in enumerate(stays):
        near = old.rssi_dbm[:, j][fixes.neighbours]
        known = (~np.isnan(near)).sum(axis=1) > near.shape[1] // 2
        both = known & ~np.isnan(batch[:, j])
        if both.sum() >= SHIFT_SCANS:
            shift = float(np.median(batch[both, j] - np.nanmean(near[both], axis=1)))
            levels[:, column] += shift if abs(shift) >= SHIFT_DB else 0.0
    fresh = tuple(b for b in scans.heard() if b not in set(old.bssids))
    added = _around(old.position_m, where, scans.columns(fresh)[usable])
    bssids = tuple(old.bssids[j] for j in stays) + fresh
    return old.changed(bssids=bssids, rssi_dbm=np.clip(np.hstack([levels, added]), -120, 20))


def located(old: FingerprintMap, scans: Scans) -> F64:
    """Where the good locator puts each scan (k,2), by the access points that are still heard; NaN where by none."""
    ever = set(scans.heard())
    kept = [j for j, bssid in enumerate(old.bssids) if bssid in ever]
    bssids = tuple(old.bssids[j] for j in kept)
    return (
        Locator(old.changed(bssids=bssids, rssi_dbm=old.rssi_dbm[:, kept]))
        .locate_many(scans.columns(bssids))
        .position_m
    )


def _around(position_m: F64, where: F64, batch: F32) -> F32:
    places, row_place = places_of(position_m)
    weight = np.exp(-0.5 * (np.hypot(*(places[:, None] - where[None]).transpose(2, 0, 1)) / KERNEL_M) ** 2)
    heard = weight @ (~np.isnan(batch))
    level = weight @ np.nan_to_num(batch) / np.maximum(heard, 1e-9)
    share = heard / np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    return np.where(share >= 0.5, level, np.nan).astype(np.float32)[row_place]
