"""Scoring Mission: the honest pair protocol, and the published loop beside it, which leaks.

Honest: every query is fused with every candidate, d(q, v) = |g_R(q|v) - g_V(v|q)|. Leaky ("paired fusion"): each
gallery image and each query is fused with its own true partner beforehand, so that both have seen the answer; kept only
to show by how much. Imports torch.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .mission_network import Mission
from .mission_training import SCORED, Clips, tensors

F64 = NDArray[np.float64]
CHUNK = 64


def encoded(network: Mission, clips: Clips, walk: int = 0, camera_walk: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens of one radar and one camera walk of each person, to be cached: heard, mask, seen (P,...)."""
    parts = tensors(clips.points[:, walk], clips.mask[:, walk], clips.crops[:, camera_walk])
    heard, seen = [], []
    with torch.no_grad():
        for start in range(0, len(parts[0]), CHUNK):
            points, mask, crops = (part[start : start + CHUNK] for part in parts)
            heard.append(network.radar(points, mask))
            seen.append(network.vision(crops))
    return torch.cat(heard), parts[1], torch.cat(seen)


def honest(network: Mission, tokens: tuple[Tensor, Tensor, Tensor]) -> F64:
    """(P,P) scores, minus the distance of query i and candidate j fused with each other."""
    heard, mask, seen = tokens
    rows = []
    with torch.no_grad():
        for query in range(len(heard)):
            parts = [_distances(network, heard, mask, seen, query, start) for start in range(0, len(seen), CHUNK)]
            rows.append(torch.cat(parts))
    return -torch.stack(rows).double().numpy()


def leaky(network: Mission, tokens: tuple[Tensor, Tensor, Tensor]) -> F64:
    """(P,P) scores of embeddings each fused with its true partner: not a result, a warning."""
    heard, mask, seen = tokens
    with torch.no_grad():
        radar, vision, *_ = network.pair(heard, mask, seen)
    return -torch.cdist(radar, vision).double().numpy()


def joint_error_cm(network: Mission, tokens: tuple[Tensor, Tensor, Tensor], clips: Clips) -> tuple[float, float]:
    """Average joint error in cm of the radar's and the camera's poses, fused with the same person."""
    heard, mask, seen = tokens
    with torch.no_grad():
        _, _, radar, vision, *_ = network.pair(heard, mask, seen)
    return _error(radar, clips.radar_poses[:, 0]), _error(vision, clips.camera_poses[:, 0])


def _distances(network: Mission, heard: Tensor, mask: Tensor, seen: Tensor, query: int, start: int) -> Tensor:
    part = seen[start : start + CHUNK]
    count = len(part)
    one, its = heard[query : query + 1].expand(count, -1, -1, -1), mask[query : query + 1].expand(count, -1, -1)
    radar, vision, *_ = network.pair(one, its, part)
    return (radar - vision).norm(dim=1)


def _error(found: Tensor, true: NDArray[np.float32]) -> float:
    rows: Sequence[int] = list(SCORED)
    return float(100 * (found[..., rows, :] - torch.from_numpy(true)[..., rows, :]).norm(dim=-1).mean())
