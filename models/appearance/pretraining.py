"""The network that comes with the house: taught, with labels, to tell drawn people apart, each view from a new camera.

No picture of anybody goes into it. Cross-entropy over the drawn people (on the cosine, after batch normalisation)
and the batch-hard triplet together: the triplet alone collapses from scratch. A site's own learning (`umtf.py`)
starts from it. Imports torch.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..whole_files import write_whole
from .backbone import Edge, exported, standardised
from .card import CROP_PX
from .likeness import CHANGED, KINDS, ModelError, fitted_line
from .model import model_of
from .quality import pooled
from .sprites import changed_clothes, make_body, make_camera, passage
from .stripes import SIZE as STRIPES_SIZE
from .umtf import batch_hard

PEOPLE, VIEWS, FRAMES = 1000, 6, 2
STEPS, BATCH_PEOPLE, BATCH_VIEWS = 1400, 32, 4
RATE, SCALE, MARGIN = 3e-3, 16.0, 0.3
CROSSED, OTHER_CLOTHES = 0.2, 0.03
REAL = 0.4  # of the nats on drawn people are believed of real ones (docs/results/appearance.md)
SHARE = 0.5  # of the network beside the stripes (docs/results/appearance.md)


def drawn(people: int, seed: int, views: int = VIEWS, frames: int = FRAMES) -> NDArray[np.uint8]:
    """(people,views,frames,64,32,3) BGR u8: each view from a camera of its own, some crossed by somebody else."""
    rng = np.random.default_rng([seed, 8])
    bodies = [make_body(rng) for _ in range(people)]
    done = []
    for body in bodies:
        for _ in range(views):
            crossed = bodies[rng.integers(people)] if rng.random() < CROSSED else None
            worn = changed_clothes(body, rng) if rng.random() < OTHER_CLOTHES else body
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


def generic(seed: int = 0, network: Edge | None = None) -> tuple[bytes, dict[str, Any], Edge]:
    """The shipped model: its file, its card and its network (trained here where none is given)."""
    network = network or pretrained(seed)
    content = exported(network, CROP_PX, {"name": "looks", "version": "1"})
    size = network.out.out_features + STRIPES_SIZE
    draft = {"name": "looks", "version": "1", "sha256": "new", "size": size, "share": SHARE, "changed": dict(CHANGED),
             "lines": dict.fromkeys(KINDS, (0.0, 0.0))}  # fmt: skip
    lines = {kind: [REAL * a, REAL * b] for kind, (a, b) in drawn_lines(content, draft, seed + 1).items()}
    told = f"{PEOPLE} drawn people, {STEPS} steps, seed {seed}; no recording of anybody"
    return content, {**draft, "lines": lines, "trained_on": told, "licence": "Apache-2.0"}, network


def stripes_card(seed: int = 0) -> dict[str, Any]:
    """The card of the model without a network."""
    draft = {"name": "stripes", "version": "1", "sha256": "", "size": STRIPES_SIZE, "share": 0.0,
             "changed": dict(CHANGED), "lines": dict.fromkeys(KINDS, (0.0, 0.0))}  # fmt: skip
    lines = drawn_lines(b"", draft, seed + 1)
    return {**draft, "lines": lines, "trained_on": "nothing; lines from drawn people", "licence": "Apache-2.0"}


def drawn_lines(content: bytes, card: dict[str, Any], seed: int, people: int = 150) -> dict[str, list[float]]:
    """Calibration on drawn people whom the network never saw, each twice in one camera's view and once in another's."""
    model = model_of(content, card)
    rng = np.random.default_rng([seed, 9])
    cameras = [make_camera(rng) for _ in range(6)]
    seen = []
    for _ in range(people):
        body, here = make_body(rng), rng.permutation(6)[:2]
        views = [passage(body, cameras[k], rng) for k in (here[0], here[0], here[1])]
        seen.append((*here.tolist(), [model.embed(list(view)) for view in views]))
    means = [np.array([pooled(each[2][k]) for each in seen]) for k in range(3)]
    single = np.array([each[2][0][0] for each in seen])
    first_of, second_of = (np.array([each[k] for each in seen]) for k in (0, 1))
    strangers = ~np.eye(people, dtype=bool)
    lines = {}
    for name, first in (("mean", means[0]), ("crop", single)):
        for kind, other, camera in (("same", means[1], first_of), ("other", means[2], second_of)):
            alike = (first @ other.T).astype(np.float64)
            one_view = first_of[:, None] == camera
            wrong = alike[strangers & (one_view if kind == "same" else ~one_view)]
            lines[f"{kind} camera, {name}"] = list(fitted_line(np.diag(alike), wrong))
    return lines


def save_weights(network: Edge, path: str | Path) -> None:
    """For `network_of`, without pickles; over an older file, whole or not at all. Raises OSError."""
    file = io.BytesIO()
    np.savez_compressed(file, **{name: value.numpy() for name, value in network.state_dict().items()})  # type: ignore[arg-type]
    write_whole(path, file.getvalue())


def network_of(path: str | Path) -> Edge:
    """A network with saved weights. Raises ModelError where they do not fit."""
    network = Edge()
    try:
        with np.load(path, allow_pickle=False) as saved:
            network.load_state_dict({name: torch.from_numpy(saved[name]) for name in saved.files})
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} holds no weights of the small network") from error
    return network
