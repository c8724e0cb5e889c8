"""ResNet-50 down to its third stage, as Mission's vision branch takes it: 224x224 crops to a 14x14 map of 1024.

Source: He and others, Deep Residual Learning (CVPR 2016), table 1. Untrained: no weights are shipped, a user's own can
be loaded. Imports torch.
"""

from torch import Tensor, nn


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions with four times the inner width going out, and a short cut."""

    def __init__(self, width_in: int, inner: int, stride: int) -> None:
        super().__init__()
        width = 4 * inner
        self.main = nn.Sequential(
            nn.Conv2d(width_in, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, stride, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        same = width_in == width and stride == 1
        self.short = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.main(x) + self.short(x))


class ResNetMap(nn.Module):
    """forward(crops (B,1 or 3,H,W)) -> (B,1024,H/16,W/16); one channel is repeated to three."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        stages, width = [], 64
        for inner, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2)):
            for k in range(blocks):
                stages.append(Bottleneck(width, inner, stride if k == 0 else 1))
                width = 4 * inner
        self.stages = nn.Sequential(*stages)

    def forward(self, crops: Tensor) -> Tensor:
        if crops.shape[1] == 1:
            crops = crops.expand(-1, 3, -1, -1)
        return self.stages(self.stem(crops))
