"""Would an update help? Told without labels, before it is given out.

Two questions, both to the stale map and to a map updated from the rest of the batch. Prediction: held-out scans are
placed by one half of their surviving access points; how well do the neighbours foretell the other half? Survey: with
the survey's own fingerprints as scans, each without its place's neighbours, how far off are they? The first notices
levels that have changed under the map, the second a batch that would bend the map. An update that is clearly worse in
either is rolled back. A batch placed by its own chart (`chart`), of which both questions know little, must also lie the
same way without the part held out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from .knn import INT, Locator, linear
from .maps import F32, FingerprintMap, MapError
from .offset import levelled
from .placing import Placed
from .scans import Scans
from .update import Update, surveyed, updated

HELD_OUT = 0.2  # of the batch, in blocks of consecutive scans
BLOCKS = 10
WORSE = 1.08, 1.12  # foretold, located
WORSE_CHARTED = 1.25, 1.16  # the same where a chart placed the batch: of few known access points, both say less
SURVEY_SCANS = 300
HALVES = 2
LEAST_FORETOLD = 60  # predictions, four of each scan at most: fewer say nothing
SURE, SURE_ALONE = 1.5, 4.0  # how much likelier (log) the chart of a batch must be than what contradicts it: where the
# chart of a part agrees, and where that is not sure or lies elsewhere
ELSEWHERE = 0.6  # of the map's extent: a chart that moves as far when a part of the batch is left out is chance


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """deployed: whether `map` is a new one, otherwise it is the old one; reason: one sentence; update: what was tried,
    None where the batch was refused; metrics: what was measured (stale and updated, lower is better)."""

    map: FingerprintMap
    deployed: bool
    reason: str
    update: Update | None
    metrics: dict[str, float]


def tried(old: FingerprintMap, scans: Scans, *, version: str, seed: int = 0) -> Rehearsal:
    """The updated map if the rehearsal bears it out, else the old one. Never raises for what is in the batch."""
    origin = old.survey or surveyed(old)
    scans, offset_db = levelled(origin.bssids, origin.rssi_dbm, scans)
    held = _held_out(len(scans), seed)
    part, rest = np.flatnonzero(~held), scans.rows(np.flatnonzero(held))
    make = partial(updated, old, version=version, seed=seed, offset_db=offset_db)
    try:
        update = make(scans)
        if update.placed.sure and _steady(update.placed, _charted(make, scans.rows(part)), part):
            first = make(scans.rows(part), placed=update.placed.rows(part))
        else:  # a chart that is chance must not keep a batch from being placed without
            first = make(scans.rows(part), by_chart=False)
            update = make(scans, by_chart=False) if update.placed.sure else update
        metrics = _measured(old, first, rest, seed)
        if reason := _worse(metrics, *(WORSE_CHARTED if update.placed.sure else WORSE)):
            return Rehearsal(old, False, f"rolled back: {reason}", first, metrics)
    except MapError as error:
        return Rehearsal(old, False, f"refused: {error}", None, {})
    found = update.changes
    counted = ", ".join(
        f"{len(group)} {word}"
        for group, word in ((found.added, "added"), (found.moved, "moved"), (found.removed, "removed"))
    )
    card = {
        **update.map.card,
        "parent": old.label,
        "made_by": "whowhere learn radiomap",
        "seed": seed,
        "counts": update.counts,
        "metrics": metrics,
        "access_points": {
            "added": list(found.added),
            "moved": list(found.moved),
            "removed": list(found.removed),
            "shift_db": found.shift_db,
        },
    }
    return Rehearsal(update.map.changed(card=card), True, f"updated: access points {counted}", update, metrics)


def _held_out(count: int, seed: int) -> np.ndarray:
    """(count,) which scans are held out: whole blocks, because neighbours in time know each other's answer."""
    blocks = np.arange(count) * BLOCKS * 2 // max(count, 1)
    chosen = np.random.default_rng(seed).permutation(BLOCKS * 2)[: round(BLOCKS * 2 * HELD_OUT)]
    return np.isin(blocks, chosen)


def _measured(old: FingerprintMap, first: Update, held: Scans, seed: int) -> dict[str, float]:
    new = first.map
    both = tuple(b for b in old.bssids if b in set(new.bssids) & set(held.heard()) & set(surveyed(old).bssids))
    if not both and first.placed.sure:
        return {}
    if not both:
        raise MapError("the scans held out to try it hear nothing that the map knows")
    batch = held.columns(both)
    maps = {"stale": _narrowed(old, both), "updated": _narrowed(new, both)}
    out: dict[str, float] = {}
    for name, radio_map in maps.items():
        out[f"{name}_foretold"] = round(_foretold(radio_map, batch, np.random.default_rng(seed)), 4)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(surveyed(old).position_m))[:SURVEY_SCANS])
    known = _narrowed(surveyed(old), both)
    for name, radio_map in maps.items():
        out[f"{name}_survey_m"] = round(_survey_error(radio_map, known, drawn), 4)
    return out


def _worse(metrics: dict[str, float], worse_foretold: float, worse_located: float) -> str:
    """Why the update is worse, or ""; nothing could be measured (no metrics): ""."""
    if not metrics:
        return ""
    stale, new = metrics["stale_foretold"], metrics["updated_foretold"]
    if not new <= worse_foretold * stale:
        return f"held-out scans are foretold worse than by the old map ({new:.3f} against {stale:.3f})"
    stale, new = metrics["stale_survey_m"], metrics["updated_survey_m"]
    if not new <= worse_located * stale:
        return (
            f"the survey's own fingerprints are located worse than by the old map ({new:.2f} m against {stale:.2f} m)"
        )
    return ""


def _charted(make: Callable[..., Update], part: Scans) -> Placed | None:
    """Where a part of the batch lies by a chart of its own; None where that is not sure at all."""
    try:
        placed = make(part).placed
    except MapError:
        return None
    return placed if placed.sure else None


def _steady(placed: Placed, again: Placed | None, part: INT) -> bool:
    """Whether the placing by a chart is more than chance: it is sure enough by itself, and the chart of a part (again,
    None where that is not sure) does not lie elsewhere; or both together are."""
    if again is None:
        return placed.sure >= SURE_ALONE
    apart_m = float(np.hypot(*(again.position_m - placed.position_m[part]).T).mean())
    if apart_m <= ELSEWHERE * float(np.sqrt(placed.places_m.var(axis=0).sum())):
        return placed.sure >= SURE and placed.sure + again.sure >= SURE_ALONE
    return placed.sure >= max(SURE_ALONE, 2.0 * again.sure)


def _narrowed(radio_map: FingerprintMap, bssids: tuple[str, ...]) -> FingerprintMap:
    column = {bssid: j for j, bssid in enumerate(radio_map.bssids)}
    return radio_map.changed(bssids=bssids, rssi_dbm=radio_map.rssi_dbm[:, [column[b] for b in bssids]])


def _foretold(radio_map: FingerprintMap, batch: F32, rng: np.random.Generator) -> float:
    """Sorensen distance of what the neighbours, found by half of the access points, say of the other half."""
    levels, total = linear(radio_map.rssi_dbm), []
    for _ in range(HALVES):
        order = rng.permutation(batch.shape[1])
        for half in (order[::2], order[1::2]):
            given = np.full_like(batch, np.nan)
            given[:, half] = batch[:, half]
            fixes = Locator(radio_map).locate_many(given)
            rest = np.setdiff1d(order, half)
            said = np.einsum("ik,ika->ia", fixes.weights, levels[:, rest][fixes.neighbours])
            found = linear(batch[:, rest])
            usable = (fixes.shared > 0) & (found.sum(axis=1) > 0)
            apart = np.abs(said - found).sum(axis=1) / np.maximum((said + found).sum(axis=1), 1e-6)
            total.append(apart[usable])
    every = np.concatenate(total)
    return float(every.mean()) if every.size >= LEAST_FORETOLD else 1.0


def _survey_error(radio_map: FingerprintMap, known: FingerprintMap, drawn: np.ndarray) -> float:
    place = known.position_m[drawn]
    near = np.hypot(*(place[:, None] - radio_map.position_m[None]).transpose(2, 0, 1)) < 0.5
    fixes = Locator(radio_map).locate_many(known.rssi_dbm[drawn], without=near)
    located = fixes.shared > 0
    if not located.any():
        return 0.0
    return float(np.hypot(*(fixes.position_m - place)[located].T).mean())
