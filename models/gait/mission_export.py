"""Mission's three ONNX files: rf (points to tokens), vis (crops to tokens), pair (tokens to embeddings and poses).

Opset 17; frames, points and pixels fixed, batch free in rf, vis and pair alike. Imports torch.
"""

import io

import torch
from torch import Tensor, nn

from .mission_network import WIDTH, Mission


class _Pair(nn.Module):
    def __init__(self, network: Mission) -> None:
        super().__init__()
        self.network = network

    def forward(self, heard: Tensor, mask: Tensor, seen: Tensor) -> tuple[Tensor, ...]:
        return self.network.pair(heard, mask, seen)[:4]


def exported(network: Mission, frames: int = 20, points: int = 64, size: int = 64) -> dict[str, bytes]:
    """The contents of the files by part: "rf", "vis", "pair"."""
    network = network.eval()
    cloud, mask = torch.zeros(1, frames, points, 5), torch.ones(1, frames, points)
    crops = torch.zeros(1, frames, 1, size, size)
    with torch.no_grad():
        seen = network.vision(crops)
    heard = torch.zeros(1, frames, points, WIDTH)
    return {
        "rf": _exported(network.radar, {"points": cloud, "mask": mask}, ["tokens"]),
        "vis": _exported(network.vision, {"crops": crops}, ["tokens"]),
        "pair": _exported(
            _Pair(network),
            {"heard": heard, "mask": mask, "seen": seen},
            ["radar", "vision", "radar_pose", "vision_pose"],
        ),
    }


def _exported(part: nn.Module, takes: dict[str, Tensor], gives: list[str]) -> bytes:
    out = io.BytesIO()
    torch.onnx.export(
        part.eval(),
        tuple(takes.values()),
        out,  # type: ignore[arg-type]
        input_names=list(takes),
        output_names=gives,
        dynamic_axes={name: {0: "batch"} for name in [*takes, *gives]},
        opset_version=17,
        dynamo=False,
    )
    return out.getvalue()
