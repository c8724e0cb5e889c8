"""An update of a radio map as one HTML page: what was added, moved and removed, with heat maps before and after.

The page needs no network, no script and no other file, as the report of a session.
"""

import numpy as np

from ...models.radiomap.maps import F64, FingerprintMap
from ...models.radiomap.rehearsal import Rehearsal
from .look import CSS
from .svg import Axes, label, picture, tag, words

MOST_PANELS = 12  # access points drawn, the most changed first
PANEL_PX, MARGIN_PX = 250.0, 12.0
CELLS = 24  # along the longer side
LOUD_DBM, FAINT_DBM = -40.0, -95.0
HEARD_FROM = 0.5  # share of a place's fingerprints


def radiomap_page(old: FingerprintMap, result: Rehearsal) -> str:
    """The page as text; the same update always gives the same bytes."""
    title = f"Radio map {result.map.label}"
    parts = [
        tag("header", tag("h1", words(title)), tag("p", words(f"{result.reason}. Before: {old.label}."))),
        tag("main", *_sections(old, result)),
    ]
    head = f'<meta charset="utf-8"><title>{words(title)}</title><style>{CSS}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _sections(old: FingerprintMap, result: Rehearsal) -> list[str]:
    rows = "".join(f"<tr><td>{words(name)}</td><td class='n'>{value:.3f}</td></tr>" for name, value in
                   result.metrics.items())  # fmt: skip
    sections = []
    if rows:
        sections.append(_section("What the rehearsal measured (lower is better)", f"<table>{rows}</table>"))
    if result.update is None:
        return sections
    new, found = result.update.map, result.update.changes
    for word, names in (("Added", found.added), ("Moved", found.moved), ("Removed", found.removed)):
        listed = ", ".join(names) or "none"
        sections.append(_section(f"{word}: {len(names)}", tag("p", words(listed))))
    if watched := result.update.counts["watched"]:
        said = "Named, but too little is heard of them to locate by them yet: " + ", ".join(watched)
        sections.append(_section(f"Of the added, watched: {len(watched)}", tag("p", words(said))))
    if found.shift_db:
        louder = ", ".join(f"{bssid} {shift:+.1f} dB" for bssid, shift in found.shift_db.items())
        sections.append(_section(f"Louder or fainter everywhere: {len(found.shift_db)}", tag("p", words(louder))))
    pairs = "".join(_pair(old, new, bssid) for bssid in most_changed(old, new)[:MOST_PANELS])
    said = f"The {MOST_PANELS} most changed access points, before on the left; empty is not heard. Levels in dBm."
    sections.append(_section("Heat maps", tag("p", words(said), class_="muted"), pairs))
    return sections


def most_changed(old: FingerprintMap, new: FingerprintMap) -> list[str]:
    """Access points by how much their level, averaged over the surveyed places, has changed."""
    rows = int(new.card.get("surveyed_rows", len(new.position_m)))
    change: dict[str, float] = {}
    for bssid in sorted({*old.bssids, *new.bssids}):
        before, after = _places(old, bssid, len(old.position_m)), _places(new, bssid, rows)
        shared = [place for place in before if place in after]
        gaps = [abs(max(before[p], FAINT_DBM) - max(after[p], FAINT_DBM)) for p in shared]
        change[bssid] = float(np.mean(gaps)) if gaps else 0.0
    return [bssid for bssid in sorted(change, key=lambda b: (-change[b], b)) if change[bssid] > 0]


def _places(radio_map: FingerprintMap, bssid: str, rows: int) -> dict[tuple[float, float], float]:
    """What each place hears: mean dBm, -120 where less than half of its fingerprints hear it."""
    where, place = np.unique(np.round(radio_map.position_m[:rows], 1), axis=0, return_inverse=True)
    place = place.ravel()
    level = np.full(rows, np.nan)
    if bssid in radio_map.bssids:
        level = radio_map.rssi_dbm[:rows, radio_map.bssids.index(bssid)].astype(np.float64)
    heard = np.bincount(place, ~np.isnan(level), len(where))
    total = np.bincount(place, np.nan_to_num(level), len(where))
    share = heard / np.bincount(place, minlength=len(where))
    mean = np.where(share >= HEARD_FROM, total / np.maximum(heard, 1), -120.0)
    return {(float(x), float(y)): float(dbm) for (x, y), dbm in zip(where, mean, strict=True)}


def _pair(old: FingerprintMap, new: FingerprintMap, bssid: str) -> str:
    rows = int(new.card.get("surveyed_rows", len(new.position_m)))
    before = _heat(_places(old, bssid, len(old.position_m)), f"{bssid} before")
    after = _heat(_places(new, bssid, rows), f"{bssid} after")
    panels = tag("div", tag("figure", before), tag("figure", after), class_="pair")
    return tag("div", tag("h3", words(bssid)), panels)


def _heat(levels: dict[tuple[float, float], float], title: str) -> str:
    places: F64 = np.array(list(levels))
    low, high = places.min(axis=0), places.max(axis=0)
    side = float((high - low).max()) / CELLS or 1.0
    gap = _apart(places)
    height = PANEL_PX * max(0.35, min(2.0, float((high[1] - low[1] + gap) / max(high[0] - low[0] + gap, side))))
    axes = Axes(MARGIN_PX, MARGIN_PX, PANEL_PX, height, low[0] - gap / 2, high[0] + gap / 2,
                low[1] - gap / 2, high[1] + gap / 2)  # fmt: skip
    parts = [tag("rect", x=axes.left, y=axes.top, width=axes.width, height=axes.height, fill="none", stroke="#8884")]
    for (x, y), dbm in levels.items():
        if dbm <= FAINT_DBM:
            continue
        loud = min(max((dbm - FAINT_DBM) / (LOUD_DBM - FAINT_DBM), 0.0), 1.0)
        colour = f"hsl({210 - 190 * loud:.0f} 85% {72 - 24 * loud:.0f}%)"
        left, top = axes.x(x - gap / 2), axes.y(y + gap / 2)
        wide, tall = axes.x(x + gap / 2) - left, axes.y(y - gap / 2) - top
        parts.append(tag("rect", x=left, y=top, width=wide, height=tall, fill=colour))
        if len(levels) <= 60:
            parts.append(label(axes.x(x), axes.y(y) + 4, f"{dbm:.0f}", "tick", "middle"))
    return picture(PANEL_PX + 2 * MARGIN_PX, height + 2 * MARGIN_PX, title, parts)


def _apart(places: F64) -> float:
    """How far a place is from its nearest neighbour, the median: the size that it is drawn with."""
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    nearest = apart.min(axis=1)
    return float(np.median(nearest[np.isfinite(nearest)])) if np.isfinite(nearest).any() else 1.0


def _section(title: str, *parts: str) -> str:
    return tag("section", tag("h2", words(title)), *parts)
