"""Where each phone is, live: one second of its data in, its place with covariance out.

A scan is merged with those of the last seconds and located on the radio map (field.py), steps carry the place on
between (steps.py), a filter joins both (walking.py). What a covariance is worth was measured on walks held out
(learning.py) and stands in the card of the map or of the model: `walking`. Nothing here knows a clock or draws at
random; a phone's state is plain values and arrays.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch, PhonePosition
from ..radiomap.knn import Locator
from ..radiomap.maps import FingerprintMap
from . import honesty
from .field import ScanField
from .honesty import Honesty
from .mtloc_model import MtlocModel, load_model
from .steps import Pedestrian
from .walking import Moved, Offset, WalkFilter
from .walks import MERGED_DECAY_S, MERGED_S, merged

F64 = NDArray[np.float64]

SCAN_MAX_AGE_S = 3.0  # an older scan was taken somewhere else
FORGET_S = 60.0  # of silence
LOST_M = 100.0  # a place whose standard deviation is larger is none
SURE_M = 0.3  # a covariance is never smaller than this in any direction
NAME = "walking:1"

# What was measured on the mall's walks; a card's `walking` table takes the place of any of it.
MEASURED: dict[str, Any] = {
    "offset_rad": 0.0,
    "offset_sd_rad": None,  # not known: the filter finds out
    "fix_scatter": 10.0,  # of the field's second moment: successive scans err alike
    "fix_floor_m": 2.0,
    "spread": 1.0,  # of the filter's covariance
    "spread_without": {"imu": 1.0, "mag": 1.0, "wifi": 1.0},  # times this where a modality is missing
    "smooth_spread": 1.0,  # of the smoothed covariance, beyond `spread`
    "fixes": "field",  # or "neighbours": weighted k nearest (radiomap/knn.py), where a survey is dense
    "merged_s": MERGED_S,  # a scan is merged with those so long before it, as the map's fingerprints were
    "honesty": honesty.MEASURED,  # what fixes usually are; null: the filter's covariance as it is
    "mtloc_share": 0.0,  # of MTLoc's fix in the mixture with the field's
}


@dataclass(slots=True)
class _Phone:
    """What is remembered of one phone."""

    steps: Pedestrian = field(default_factory=Pedestrian)
    filter: WalkFilter = field(default_factory=WalkFilter)
    honesty: Honesty = field(default_factory=Honesty)
    scans: list[tuple[int, dict[str, float]]] = field(default_factory=list)  # (heard until, UTC ns), oldest first
    t_ns: int = 0
    seq: int = 0


class PhoneLocator:
    """Locates any number of phones on one radio map. model: an MTLoc model, or its file, to be mixed in where its card
    says so. card: takes the place of the map's. counters say what could not be used, by reason."""

    def __init__(
        self,
        radio_map: FingerprintMap,
        model: MtlocModel | str | Path | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = load_model(model) if isinstance(model, str | Path) else model
        self.counters: Counter[str] = Counter()
        self._given = dict(card or {})
        self._phones: dict[str, _Phone] = {}
        self.swap(radio_map)

    def swap(self, radio_map: FingerprintMap) -> None:
        """Another map from the next batch on; where the phones are is kept. Raises MapError as ScanField."""
        said = {} if self.model is None else self.model.card.get("walking", {})
        self.walking = {**MEASURED, **radio_map.card.get("walking", {}), **said, **self._given.get("walking", {})}
        self._field = Locator(radio_map) if self.walking["fixes"] == "neighbours" else ScanField(radio_map)
        self._offset = Offset(self.walking["offset_rad"], self.walking["offset_sd_rad"])
        self.map = radio_map

    def step(self, batch: PhoneBatch) -> PhonePosition | None:
        """The phone's place at the batch's end; None before its first fix and when it is lost. A batch not later than
        the phone's last is counted and left out."""
        phone, _ = self._advance(batch)
        return None if phone is None else self._said(batch, phone)

    def trace(
        self, batch: PhoneBatch, scan: Mapping[str, float] | None = None
    ) -> tuple[PhonePosition | None, WalkFilter | None, list[Moved], float]:
        """As `step`, with the phone's filter, the move that led to it and what its surprises make of its covariance:
        what the smoother needs (smoothing.py). scan: in place of the batch's merged with those before it."""
        phone, moves = self._advance(batch, scan)
        if phone is None:
            return None, None, [], 1.0
        return self._said(batch, phone), phone.filter, moves, self._surprised(phone)

    def forget(self) -> None:
        """No phone is known any more, as at first; what was counted stays."""
        self._phones.clear()
        if self.model is not None:
            self.model.load({})

    def state(self) -> dict[str, Any]:
        """Everything remembered, as plain values and arrays; `load` restores it."""
        return {
            "counters": dict(self.counters),
            "phones": {
                name: {
                    "steps": phone.steps.state(),
                    "filter": phone.filter.state(),
                    "honesty": phone.honesty.state(),
                    "scans": [[t_ns, dict(scan)] for t_ns, scan in phone.scans],
                    "t_ns": phone.t_ns,
                    "seq": phone.seq,
                }
                for name, phone in self._phones.items()
            },
            "model": None if self.model is None else self.model.state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up where `state` was taken."""
        self.counters = Counter(state["counters"])
        self._phones = {
            name: _Phone(
                Pedestrian.load(said["steps"]),
                WalkFilter.load(said["filter"]),
                Honesty.load(said["honesty"]),
                [(int(t_ns), dict(scan)) for t_ns, scan in said["scans"]],
                int(said["t_ns"]),
                int(said["seq"]),
            )
            for name, said in state["phones"].items()
        }
        if self.model is not None and state["model"] is not None:
            self.model.load(state["model"])

    def _advance(self, batch: PhoneBatch, scan: Mapping[str, float] | None = None) -> tuple[_Phone | None, list[Moved]]:
        phone = self._phones.get(batch.source)
        if phone is None or batch.t_ns - phone.t_ns > FORGET_S * 1e9:
            phone = self._phones[batch.source] = _Phone(filter=WalkFilter(offset=self._offset))
        if batch.t_ns <= phone.t_ns:
            self.counters["late"] += 1
            return None, []
        phone.t_ns = batch.t_ns
        motion = phone.steps.feed(batch)
        before_m2 = phone.filter.place()[1]
        moves = phone.filter.move(motion)
        phone.honesty.moved(phone.filter.place()[1] - before_m2)
        fix = self._fix(batch, phone, scan)
        if fix is not None:
            place, scatter = fix
            believed = self.walking["fix_scatter"] * scatter + self.walking["fix_floor_m"] ** 2 * np.eye(2)
            squared = None
            if len(phone.filter.mean):
                squared = phone.filter.correct(place, believed)
            else:
                phone.filter.start(place, believed, motion.heading)
            phone.honesty.fixed(scatter, (self.walking["honesty"] or honesty.MEASURED)["alone_floor_m"], squared)
        if self.model is not None:
            self.model.remember(batch)
        return phone, moves

    def _fix(self, batch: PhoneBatch, phone: _Phone, scan: Mapping[str, float] | None) -> tuple[F64, F64] | None:
        """Where the batch's scan says, with the second moment of the places that are like it."""
        if not batch.scan:
            return None
        if batch.scan_age_s > SCAN_MAX_AGE_S:
            self.counters["stale scans"] += 1
            return None
        heard_ns = batch.t_ns - round(batch.scan_age_s * 1e9)
        recent = [s for s in phone.scans if heard_ns - s[0] <= self.walking["merged_s"] * 1e9]
        phone.scans = [*recent, (heard_ns, dict(batch.scan))]
        ages = [(heard_ns - t_ns) / 1e9 for t_ns, _ in phone.scans]
        weights = [float(np.exp(-age / MERGED_DECAY_S)) for age in ages]
        fix = self._field.locate(scan if scan is not None else merged([s for _, s in phone.scans], weights))
        if fix is None:
            self.counters["unknown access points"] += 1
            return None
        place, covariance = fix.position_m, fix.covariance_m2
        share = float(self.walking["mtloc_share"])
        if share and self.model is not None and (said := self.model.locate(batch)) is not None:
            place = (1 - share) * place + share * said.position_m
        return place, covariance

    def _said(self, batch: PhoneBatch, phone: _Phone) -> PhonePosition | None:
        if not len(phone.filter.mean):
            return None
        place, covariance = phone.filter.place()
        if np.sqrt(np.trace(covariance)) > LOST_M:
            self.counters["lost"] += 1
            phone.filter, phone.honesty = WalkFilter(offset=self._offset), Honesty()
            return None
        modalities = self._modalities(batch, phone)
        if self.walking["honesty"]:
            covariance = phone.honesty.at_most(covariance)
        covariance = self.honest(covariance, modalities, self._surprised(phone))
        phone.seq += 1
        return PhonePosition(
            source=batch.source,
            t_ns=batch.t_ns,
            seq=phone.seq,
            x_m=float(place[0]),
            y_m=float(place[1]),
            covariance_m2=(float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1])),
            modalities=modalities,
            model=NAME if self.model is None or not self.walking["mtloc_share"] else self.model.label,
            map=self.map.label,
        )

    def _modalities(self, batch: PhoneBatch, phone: _Phone) -> tuple[str, ...]:
        steps = phone.steps
        fresh = phone.scans and batch.t_ns - phone.scans[-1][0] <= SCAN_MAX_AGE_S * 1e9
        there = {"wifi": bool(fresh), "imu": len(steps.tail_acc) > 0, "mag": steps.has_compass}
        return tuple(name for name, is_there in there.items() if is_there)

    def _surprised(self, phone: _Phone) -> float:
        usual = self.walking["honesty"]
        return phone.honesty.factor(float(usual["usual_surprise"])) if usual else 1.0

    def honest(self, covariance: F64, modalities: tuple[str, ...], surprised: float = 1.0) -> F64:
        """The filter's covariance times what was measured of it, more where a modality is missing or fixes surprise."""
        spread = float(self.walking["spread"]) * surprised
        for name, factor in self.walking["spread_without"].items():
            if name not in modalities:
                spread *= float(factor)
        return spread * covariance + SURE_M**2 * np.eye(2)
