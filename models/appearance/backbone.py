"""Networks that look at crops, in torch: a small one for the edge (the default), and ResNet-50 as UMTF has it.

The small one: four convolutions deep with residues, instance normalisation at its start (a camera's tint goes out),
average pooling over four horizontal parts. ResNet-50 (He et al., CVPR 2016) is written out here, its last layer left
out, with parameters named as everybody names them, so that weights of one's own fit; none come with it. For training.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from .likeness import ModelError

Backbone = Literal["edge", "resnet50"]
EDGE_SIZE, EDGE_CROP_PX, RESNET_CROP_PX = 128, (32, 64), (128, 256)  # width, height
PARTS = 4


class Edge(nn.Module):
    """forward(crops (B,3,64,32)) -> (B,128) of length 1."""

    def __init__(self, size: int = EDGE_SIZE) -> None:
        super().__init__()
        self.start = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.InstanceNorm2d(32, affine=True), nn.ReLU())
        self.first = Residue(32, 64)
        self.second = Residue(64, 96)
        self.pool = nn.AdaptiveAvgPool2d((PARTS, 1))
        self.out = nn.Linear(96 * PARTS, size, bias=False)
        self.level = nn.BatchNorm1d(size)

    def forward(self, crops: Tensor) -> Tensor:
        seen = self.pool(self.second(self.first(self.start(crops))))
        return nn.functional.normalize(self.level(self.out(seen.flatten(1))), dim=1)


class Residue(nn.Module):
    """Two convolutions at half the resolution, and a way around them."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv2d(size_in, size_out, 3, 2, 1, bias=False), nn.BatchNorm2d(size_out), nn.ReLU(),
            nn.Conv2d(size_out, size_out, 3, 1, 1, bias=False), nn.BatchNorm2d(size_out),
        )  # fmt: skip
        self.around = nn.Sequential(nn.Conv2d(size_in, size_out, 1, 2, bias=False), nn.BatchNorm2d(size_out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.way(x) + self.around(x))


class Bottleneck(nn.Module):
    def __init__(self, size_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(size_in, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        needed = stride != 1 or size_in != 4 * width
        self.downsample = (
            nn.Sequential(nn.Conv2d(size_in, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))
            if needed
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        way = torch.relu(self.bn1(self.conv1(x)))
        way = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(way)))))
        return torch.relu(way + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """forward(crops (B,3,256,128)) -> (B,2048), or (B,size) of length 1 through one more layer. UMTF: size 0."""

    def __init__(self, size: int = 0) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2 = _layer(64, 64, 3, 1), _layer(256, 128, 4, 2)
        self.layer3, self.layer4 = _layer(512, 256, 6, 2), _layer(1024, 512, 3, 2)
        self.reduce = nn.Linear(2048, size, bias=False) if size else None

    def forward(self, crops: Tensor) -> Tensor:
        seen = self.maxpool(torch.relu(self.bn1(self.conv1(crops))))
        seen = self.layer4(self.layer3(self.layer2(self.layer1(seen)))).mean(dim=(2, 3))
        return seen if self.reduce is None else nn.functional.normalize(self.reduce(seen), dim=1)


def _layer(size_in: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    rest = [Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)]
    return nn.Sequential(Bottleneck(size_in, width, stride), *rest)


class OfNumbers(nn.Module):
    """Feature mode's network: a layer over numbers in the place of crops. forward((B,D)) -> (B,size) of length 1."""

    def __init__(self, size_in: int, size: int = EDGE_SIZE) -> None:
        super().__init__()
        self.out = nn.Linear(size_in, size, bias=False)
        self.level = nn.BatchNorm1d(size)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(self.level(self.out(x)), dim=1)


def backbone(kind: Backbone, size: int = EDGE_SIZE, weights: str | Path | None = None) -> nn.Module:
    """A network with random first values, or a state dict of one's own. Raises ModelError where it does not fit."""
    network = Edge(size) if kind == "edge" else ResNet50(size)
    if weights is not None:
        try:
            given = torch.load(weights, map_location="cpu", weights_only=True)
        except Exception as error:  # pickle, zip and torch have a dozen kinds for a damaged file
            raise ModelError(f"{weights} holds no weights that torch can read safely") from error
        missing = network.load_state_dict({k: v for k, v in given.items() if not k.startswith("fc.")}, strict=False)
        if lacks := [name for name in missing.missing_keys if not name.startswith("reduce")]:
            raise ModelError(f"{weights} lacks {lacks[0]}: these are not the weights of {kind}")
    return network


def exported(network: nn.Module, crop_px: tuple[int, int], metadata: Mapping[str, str]) -> bytes:
    """The network as ONNX, opset 17, batch size free, with the metadata in the file."""
    import onnx

    network.eval()
    out = io.BytesIO()
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, crop_px[1], crop_px[0]),),
        out,  # type: ignore[arg-type]
        input_names=["crops"],
        output_names=["embedding"],
        dynamic_axes={"crops": {0: "batch"}, "embedding": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load_from_string(out.getvalue())
    for key, value in sorted(metadata.items()):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return model.SerializeToString(deterministic=True)


def standardised(crops: Tensor) -> Tensor:
    """(B,3,H,W) f32 of u8 crops, as `model.network_input` makes them: each channel with mean 0 and deviation 1."""
    x = crops.float()
    deviation, mean = torch.std_mean(x, dim=(2, 3), keepdim=True, correction=0)
    return (x - mean) / (deviation + 8.0)
