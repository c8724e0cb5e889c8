"""Nearest-neighbour association (NNA): tracklets of two cameras that are each other's nearest are one person's.

Source: UMTF section III. Classes are connected components of the links; who has none drops out this round. Transitive
closure over cameras is not discussed in the paper: union-find; with conflict="split" the weakest link on the way
between two tracklets that were seen by one camera at one time is cut, until no component holds such two.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .tracklets import F64, I64

Conflict = Literal["keep", "split"]
NONE = -1


def links(similarity: F64, camera: I64) -> I64:
    """(L,2) pairs i < j of different cameras, each the other's nearest of its camera, by similarity (N,N)."""
    rows = np.arange(len(camera))
    pairs = []
    names = np.unique(camera)
    for k, first in enumerate(names):
        for second in names[k + 1 :]:
            a, b = rows[camera == first], rows[camera == second]
            block = similarity[np.ix_(a, b)]
            there, back = block.argmax(axis=1), block.argmax(axis=0)
            mutual = back[there] == np.arange(len(a))
            pairs.append(np.column_stack([a[mutual], b[there[mutual]]]))
    found = np.sort(np.concatenate(pairs), axis=1) if pairs else np.zeros((0, 2), np.int64)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def classes(similarity: F64, camera: I64, apart: NDArray[np.bool_] | None = None, conflict: Conflict = "keep") -> I64:
    """Labels (N,) from 0, NONE for tracklets without a link. apart (N,N): pairs that cannot be one person, for
    conflict="split"."""
    found = links(similarity, camera)
    if conflict == "split" and apart is not None:
        found = found[np.argsort(-similarity[found[:, 0], found[:, 1]], kind="stable")]
        return _joined_apart(found, len(camera), apart)
    return components(found, len(camera))


def components(pairs: I64, size: int) -> I64:
    """Labels (size,) of the connected components of pairs (L,2); NONE for who is in no pair."""
    root = np.arange(size)
    for i, j in pairs.tolist():
        a, b = _find(root, i), _find(root, j)
        root[max(a, b)] = min(a, b)
    return _numbered(root, pairs)


def _joined_apart(pairs: I64, size: int, apart: NDArray[np.bool_]) -> I64:
    """As components of pairs from the strongest to the weakest, leaving out a link that would join two who are apart:
    the weakest link of such a component is the one cut."""
    root = np.arange(size)
    members = {i: [i] for i in range(size)}
    kept = []
    for i, j in pairs.tolist():
        a, b = sorted((_find(root, i), _find(root, j)))
        if a == b or apart[np.ix_(members[a], members[b])].any():
            continue
        root[b] = a
        members[a] += members.pop(b)
        kept.append((i, j))
    return _numbered(root, np.array(kept, np.int64).reshape(-1, 2))


def _find(root: I64, i: int) -> int:
    while root[i] != i:
        root[i] = root[root[i]]
        i = int(root[i])
    return i


def _numbered(root: I64, pairs: I64) -> I64:
    linked = np.unique(pairs)
    label = np.full(len(root), NONE, np.int64)
    roots = [_find(root, int(i)) for i in linked]
    label[linked] = np.unique(roots, return_inverse=True)[1] if len(linked) else 0
    return label
