"""How well bodies are followed, whoever they are: CLEAR MOT, IDF1, HOTA and GOSPA over frames of ids and similarities.

Generic: a frame is true ids, published ids and a similarity in [0, 1] for each pair (intersection over union of boxes,
or nearness of positions). It knows no messages and no sensors; tests hold it against motmetrics and hand-worked cases.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Floats = NDArray[np.float64]

HOTA_THRESHOLDS = np.arange(1, 20) * 0.05  # 0.05 to 0.95 (Luiten et al. 2021, section 4)
EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Frame:
    """true (T,) and published (P,) rows number the ids seen so far; similarity (T,P)."""

    true: NDArray[np.intp]
    published: NDArray[np.intp]
    similarity: Floats


class TrackingScore:
    """Collects frames; `threshold` is the least similarity of a match for CLEAR MOT and IDF1."""

    def __init__(self, threshold: float = 0.5) -> None:
        self._threshold = threshold
        self._true_rows: dict[Hashable, int] = {}
        self._published_rows: dict[Hashable, int] = {}
        self._frames: list[Frame] = []

    def add(self, true_ids: Sequence[Hashable], ids: Sequence[Hashable], similarity: Floats) -> None:
        """One instant; an id may appear once a frame. Raises ValueError where shapes or ids do not fit."""
        similarity = np.asarray(similarity, float).reshape(len(true_ids), len(ids))
        if len(set(true_ids)) < len(true_ids) or len(set(ids)) < len(ids):
            raise ValueError("an id appears twice in one frame")
        true = [self._true_rows.setdefault(who, len(self._true_rows)) for who in true_ids]
        published = [self._published_rows.setdefault(who, len(self._published_rows)) for who in ids]
        self._frames.append(Frame(np.array(true, np.intp), np.array(published, np.intp), similarity))

    def result(self) -> dict[str, Any]:
        """mota, motp (mean similarity of matches), misses, false_positives, switches; idf1, idp, idr; hota, deta,
        assa, loca; frames and objects. Scores are None without any true object."""
        shape = (len(self._true_rows), len(self._published_rows))
        objects = sum(len(frame.true) for frame in self._frames)
        published = sum(len(frame.published) for frame in self._frames)
        return {
            "frames": len(self._frames),
            "objects": objects,
            **_clear_mot(self._frames, self._threshold, objects, published),
            **_identity(self._frames, self._threshold, shape, objects, published),
            **_hota(self._frames, shape),
        }


def similarity_of_boxes(true: Floats, published: Floats) -> Floats:
    """Intersection over union (T,P) of boxes (N,4) left, top, width, height."""
    true, published = np.reshape(true, (-1, 1, 4)), np.reshape(published, (1, -1, 4))
    low = np.maximum(true[..., :2], published[..., :2])
    high = np.minimum(true[..., :2] + true[..., 2:], published[..., :2] + published[..., 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    union = np.prod(true[..., 2:], axis=2) + np.prod(published[..., 2:], axis=2) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def similarity_of_positions(true: Floats, published: Floats, zero_at_m: float) -> Floats:
    """1 - distance / zero_at_m, not below 0, (T,P) for positions (N,2) in m."""
    apart = np.linalg.norm(np.reshape(true, (-1, 1, 2)) - np.reshape(published, (1, -1, 2)), axis=2)
    return np.maximum(0.0, 1.0 - apart / zero_at_m)


def gospa(true: Floats, published: Floats, cutoff_m: float = 2.0, order: float = 2.0) -> dict[str, float]:
    """Generalised optimal sub-pattern assignment with alpha = 2 (Rahmathullah et al. 2017, equation 1).

    distance in m, and its parts in m^order: localisation (of pairs nearer than the cutoff), missed and false, each
    count times cutoff^order / 2; distance = (localisation + missed + false)^(1 / order).
    """
    true, published = np.reshape(true, (-1, 2)), np.reshape(published, (-1, 2))
    apart = np.linalg.norm(true[:, None] - published[None], axis=2)
    rows, columns = linear_sum_assignment(np.minimum(apart, cutoff_m) ** order)
    paired = apart[rows, columns]
    paired = paired[paired < cutoff_m]
    localisation = float(np.sum(paired**order))
    missed = (len(true) - len(paired)) * cutoff_m**order / 2
    false = (len(published) - len(paired)) * cutoff_m**order / 2
    distance = (localisation + missed + false) ** (1 / order)
    return {"distance": distance, "localisation": localisation, "missed": missed, "false": false}


def _clear_mot(frames: list[Frame], threshold: float, objects: int, published: int) -> dict[str, Any]:
    """Bernardin and Stiefelhagen 2008: a pair that was matched stays matched while it can; then the most similar."""
    last: dict[int, int] = {}  # true row -> the published row it was last matched to, however long ago
    matches, switches, similarity_sum = 0, 0, 0.0
    for frame in frames:
        pairs = _kept(frame, last, threshold)
        free = frame.similarity.copy()
        for row, column in pairs:
            free[row, :], free[:, column] = -1.0, -1.0
        pairs += _most_similar(free, threshold)
        for row, column in pairs:
            who, followed = int(frame.true[row]), int(frame.published[column])
            switches += last.get(who, followed) != followed
            last[who] = followed
            similarity_sum += frame.similarity[row, column]
        matches += len(pairs)
    misses, false = objects - matches, published - matches
    return {
        "mota": _share(objects - misses - false - switches, objects),
        "motp": _share(similarity_sum, matches),
        "misses": misses,
        "false_positives": false,
        "switches": switches,
    }


def _kept(frame: Frame, last: dict[int, int], threshold: float) -> list[tuple[int, int]]:
    columns = {int(followed): column for column, followed in enumerate(frame.published)}
    pairs: list[tuple[int, int]] = []
    for row, who in enumerate(frame.true):
        column = columns.get(last.get(int(who), -1))
        if column is not None and frame.similarity[row, column] >= threshold - EPSILON:
            pairs.append((row, column))
            del columns[int(frame.published[column])]
    return pairs


def _most_similar(similarity: Floats, threshold: float) -> list[tuple[int, int]]:
    """One to one, as many pairs as reach the threshold, and of those choices the most similar."""
    possible = similarity >= threshold - EPSILON
    rows, columns = linear_sum_assignment(np.where(possible, 1.0 - similarity, 1e6))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if possible[r, c]]


def _identity(
    frames: list[Frame], threshold: float, shape: tuple[int, int], objects: int, published: int
) -> dict[str, Any]:
    """Ristani et al. 2016: one to one between whole trajectories, as many frames in common as possible."""
    together = np.zeros(shape)
    for frame in frames:
        together[np.ix_(frame.true, frame.published)] += frame.similarity >= threshold - EPSILON
    rows, columns = linear_sum_assignment(together, maximize=True)
    right = float(together[rows, columns].sum())
    return {
        "idf1": _share(2 * right, objects + published),
        "idp": _share(right, published),
        "idr": _share(right, objects),
    }


def _hota(frames: list[Frame], shape: tuple[int, int]) -> dict[str, Any]:
    """Luiten et al. 2021, equations 4-8, averaged over thresholds; one assignment a frame, that maximises similarity
    weighted by how well the whole trajectories agree, as their published evaluation does."""
    true_count, published_count = np.zeros(shape[0]), np.zeros(shape[1])
    shared = np.zeros(shape)
    for frame in frames:
        true_count[frame.true] += 1
        published_count[frame.published] += 1
        s = frame.similarity
        rest = s.sum(axis=1, keepdims=True) + s.sum(axis=0, keepdims=True) - s
        shared[np.ix_(frame.true, frame.published)] += np.divide(s, rest, out=np.zeros_like(s), where=rest > EPSILON)
    agreement = shared / np.maximum(true_count[:, None] + published_count[None] - shared, EPSILON)
    matched = np.zeros((len(HOTA_THRESHOLDS), *shape))
    similarity_sum = np.zeros(len(HOTA_THRESHOLDS))
    for frame in frames:
        rows, columns = linear_sum_assignment(
            agreement[np.ix_(frame.true, frame.published)] * frame.similarity, maximize=True
        )
        similarity = frame.similarity[rows, columns]
        reached = similarity[None] >= HOTA_THRESHOLDS[:, None] - EPSILON
        matched[:, frame.true[rows], frame.published[columns]] += reached
        similarity_sum += (reached * similarity[None]).sum(axis=1)
    return _hota_means(matched, true_count, published_count, similarity_sum)


def _hota_means(matched: Floats, true_count: Floats, published_count: Floats, similarity_sum: Floats) -> dict[str, Any]:
    if not true_count.sum():
        return dict.fromkeys(("hota", "deta", "assa", "loca"))
    right = matched.sum(axis=(1, 2))
    deta = right / (true_count.sum() + published_count.sum() - right)
    of_pair = matched / np.maximum(true_count[:, None] + published_count[None] - matched, 1.0)
    assa = (matched * of_pair).sum(axis=(1, 2)) / np.maximum(right, 1.0)
    loca = np.where(right > 0, similarity_sum / np.maximum(right, 1.0), 1.0)
    means = {"hota": np.sqrt(deta * assa), "deta": deta, "assa": assa, "loca": loca}
    return {name: round(float(values.mean()), 4) for name, values in means.items()}


def _share(part: float, whole: float) -> float | None:
    return round(float(part) / whole, 4) if whole else None
