"""Training Mission: triplets of a radar walk, a camera walk of the same person and one of another, fused with it.

Source: Mission (SenSys 2024), equations 5 to 7: pose loss + 2 x triplet loss with margin 0.3, Adam at 2e-4. Mismatched
pairs are fused too, as the honest protocol will (specs/mission.md section 3). Ours, by name in the recipe: the
cross-entropy over the training identities, without which nothing is learnt from scratch. Imports torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .mission_network import WIDTH, Mission, Shape

F32 = NDArray[np.float32]

MARGIN, POSE_WEIGHT, METRIC_WEIGHT = 0.3, 1.0, 2.0
SCORED = (*range(10), *range(12, 22))


class Clips(NamedTuple):
    """Walks of P people, W with a radar and W others with a camera. points (P,W,T,N,5): x, y about the track, z,
    intensity / 30 dB, doppler; mask (P,W,T,N); crops (P,W,T,64,64) bool; radar_poses, camera_poses (P,W,T,24,3) m."""

    points: F32
    mask: F32
    crops: NDArray[np.bool_]
    radar_poses: F32
    camera_poses: F32

    def taken(self, rows: Any) -> "Clips":
        return Clips(self[0][rows], self[1][rows], self[2][rows], self[3][rows], self[4][rows])


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. batch: triplets a step; identity: weight of the cross-entropy over identities (0: as printed);
    loss "triplet" or "contrastive" (ablation noTL)."""

    steps: int = 500
    batch: int = 16
    rate: float = 2e-4
    seed: int = 0
    identity: float = 1.0
    loss: str = "triplet"


def train(clips: Clips, shape: Shape, recipe: Recipe, said: Callable[[str], Any] | None = None) -> Mission:
    """A network from scratch."""
    torch.manual_seed(recipe.seed)
    draw = np.random.default_rng(recipe.seed)
    network = Mission(shape)
    people = len(clips.points)
    names = nn.Linear(WIDTH, people, bias=False)
    optimiser = torch.optim.Adam([*network.parameters(), *names.parameters()], lr=recipe.rate)
    running = 0.0
    for step in range(recipe.steps):
        loss = _step(network, names, clips, draw, recipe)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        running = loss.item() if not step else 0.97 * running + 0.03 * loss.item()
        if said is not None and (step + 1) % 50 == 0:
            said(f"step {step + 1}: loss {running:.3f}")
    return network.eval()


def tensors(points: F32, mask: F32, crops: NDArray[np.bool_]) -> tuple[Tensor, Tensor, Tensor]:
    """Clips' parts (B,...) as the network takes them; crops get their channel."""
    return torch.from_numpy(points), torch.from_numpy(mask), torch.from_numpy(crops[:, :, None].astype(np.float32))


def pose_loss(found: Tensor, true: Tensor) -> Tensor:
    """Equation 5: mean distance over the 20 scored joints, of poses (...,24,3) m."""
    rows = list(SCORED)
    return (found[..., rows, :] - true[..., rows, :]).norm(dim=-1).mean()


def triplet_loss(same: Tensor, other: Tensor) -> Tensor:
    """Equation 6, of distances (B,)."""
    return torch.relu(same + MARGIN - other).mean()


def contrastive_loss(same: Tensor, other: Tensor) -> Tensor:
    """Ablation noTL, with the same margin."""
    return 0.5 * ((same**2).mean() + (torch.relu(MARGIN - other) ** 2).mean())


def _step(network: Mission, names: nn.Linear, clips: Clips, draw: np.random.Generator, recipe: Recipe) -> Tensor:
    people, walks = clips.points.shape[:2]
    rows = draw.choice(people, min(recipe.batch, people), replace=False)
    a, b = draw.integers(0, walks, (2, len(rows)))
    points, mask, crops = tensors(clips.points[rows, a], clips.mask[rows, a], clips.crops[rows, b])
    heard, seen = network.radar(points, mask), network.vision(crops)
    other = torch.roll(torch.arange(len(rows)), int(draw.integers(1, max(len(rows), 2))))
    both = network.pair(torch.cat([heard, heard]), torch.cat([mask, mask]), torch.cat([seen, seen[other]]))
    radar, vision, radar_pose, vision_pose, radar_level, vision_level = both
    count = len(rows)
    distance = (radar - vision + 1e-8).norm(dim=1)
    metric = {"triplet": triplet_loss, "contrastive": contrastive_loss}[recipe.loss](distance[:count], distance[count:])
    pose = pose_loss(radar_pose[:count], torch.from_numpy(clips.radar_poses[rows, a]))
    pose = pose + pose_loss(vision_pose[:count], torch.from_numpy(clips.camera_poses[rows, b]))
    loss = POSE_WEIGHT * pose + METRIC_WEIGHT * metric
    if recipe.identity:
        right = torch.from_numpy(rows)
        whose = [(radar_level, torch.cat([right, right])), (vision_level, torch.cat([right, right[other]]))]
        loss = loss + recipe.identity * sum(nn.functional.cross_entropy(names(level), who) for level, who in whose)
    return loss
