"""The network that comes with the house: taught, with labels, to tell drawn people apart, each view from a new camera.

No picture of anybody goes into it. Cross-entropy over the drawn people (on the cosine, after batch normalisation)
and the batch-hard triplet together: the triplet alone collapses from scratch. A site's own learning (`umtf.py`)
starts from it. Imports torch.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .backbone import Edge, standardised
from .sprites import changed_clothes, make_body, make_camera, passage
from .umtf import batch_hard

PEOPLE, VIEWS, FRAMES = 1000, 6, 2
STEPS, BATCH_PEOPLE, BATCH_VIEWS = 1400, 32, 4
RATE, SCALE, MARGIN = 3e-3, 16.0, 0.3
CROSSED, CHANGED = 0.2, 0.03


def drawn(people: int, seed: int, views: int = VIEWS, frames: int = FRAMES) -> NDArray[np.uint8]:
    """(people,views,frames,64,32,3) BGR u8: each view from a camera of its own, some crossed by somebody else."""
    rng = np.random.default_rng([seed, 8])
    bodies = [make_body(rng) for _ in range(people)]
    done = []
    for body in bodies:
        for _ in range(views):
            crossed = bodies[rng.integers(people)] if rng.random() < CROSSED else None
            worn = changed_clothes(body, rng) if rng.random() < CHANGED else body
            done.append(passage(worn, make_camera(rng), rng, frames, crossed))
    return np.array(done).reshape(people, views, frames, *done[0].shape[1:])


def pretrained(seed: int = 0, people: int = PEOPLE, steps: int = STEPS) -> Edge:
    """The network after `steps` batches."""
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    views = torch.from_numpy(drawn(people, seed)).permute(0, 1, 2, 5, 3, 4).contiguous()
    network = Edge()
    names = nn.Parameter(torch.randn(people, network.out.out_features) * 0.1)
    optimiser = torch.optim.Adam([*network.parameters(), names], lr=RATE, weight_decay=1e-5)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    network.train()
    for _ in range(steps):
        who = torch.randperm(people, generator=draw)[: min(BATCH_PEOPLE, people)].repeat_interleave(BATCH_VIEWS)
        view = torch.randint(views.shape[1], (len(who),), generator=draw)
        frame = torch.randint(views.shape[2], (len(who),), generator=draw)
        crops = _disturbed(views[who, view, frame], draw)
        x = network(standardised(crops))
        loss = nn.functional.cross_entropy(SCALE * x @ nn.functional.normalize(names, dim=1).T, who)
        loss = loss + batch_hard(x, who, MARGIN)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        pace.step()
    return network


def _disturbed(crops: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """(B,3,64,32) u8: half of them mirrored, half with a grey rectangle over a part."""
    mirror = torch.rand(len(crops), generator=draw) < 0.5
    crops = torch.where(mirror[:, None, None, None], crops.flip(-1), crops).clone()
    corners = torch.rand((len(crops), 4), generator=draw)
    for row in torch.nonzero(torch.rand(len(crops), generator=draw) < 0.5)[:, 0].tolist():
        top, left, tall, wide = corners[row].tolist()
        y, x = int(top * 50), int(left * 24)
        crops[row, :, y : y + 6 + int(tall * 20), x : x + 4 + int(wide * 12)] = 128
    return crops
