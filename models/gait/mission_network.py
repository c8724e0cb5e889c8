"""Mission's network in torch: a radar branch, a vision branch, the exchange between them, a pose and a metric head.

Source: Mission (SenSys 2024), equations 1 to 7, as specs/mission.md section 2 resolves its misprints. Ours: the small
CNN over silhouettes in place of a pretrained ResNet-50 (mission_resnet.py has that one, untrained), a GRU's output
added to every pixel, both scopes of the attention. Left out: the repository's anchors, location head. Imports torch.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

WIDTH, INTER, JOINTS = 256, 128, 24


@dataclass(frozen=True, slots=True)
class Shape:
    """The network's options. backbone "small" (64x64 silhouettes, 64 pixel tokens) or "resnet50" (224x224 crops, 196);
    scope of the exchange "frame" or "sequence" (pixels pooled to 4x4); has_fusion False: ablation noFU; has_attention
    False: noAT, plain means wherever the paper attends."""

    backbone: str = "small"
    scope: str = "frame"
    has_fusion: bool = True
    has_attention: bool = True
    pixels: int = 8  # a side of the token map of the small backbone: 8 or 4


class RadarBranch(nn.Module):
    """Points (B,T,N,5) and mask (B,T,N) -> point tokens (B,T,N,256). Equation 1: g = sum of softmax(w.c) c."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attends = shape.has_attention
        self.near = _mlp(5, 12, 24)
        self.wide = _mlp(29, 48, 64)
        self.weight = nn.Linear(64, 1, bias=False)
        self.time = nn.LSTM(64, 64, 3, batch_first=True, bidirectional=True, dropout=0.1)
        self.out = _mlp(24 + 128, WIDTH)

    def forward(self, points: Tensor, mask: Tensor) -> Tensor:
        batch, frames, count, _ = points.shape
        near = self.near(points.flatten(0, 2)).view(batch, frames, count, -1)
        wide = self.wide(torch.cat([near, points], dim=3).flatten(0, 2)).view(batch, frames, count, -1)
        score = self.weight(wide).squeeze(3) if self.attends else torch.zeros_like(mask)
        pooled = (attention(score, mask)[..., None] * wide).sum(dim=2)
        over_time, _ = self.time(pooled)
        both = torch.cat([near, over_time[:, :, None].expand(-1, -1, count, -1)], dim=3)
        return self.out(both.flatten(0, 2)).view(batch, frames, count, WIDTH) * mask[..., None]


class VisionBranch(nn.Module):
    """Crops (B,T,C,H,W) -> pixel tokens (B,T,P,256), the sequence's GRU output added to every pixel."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        if shape.backbone == "resnet50":
            from .mission_resnet import ResNetMap

            self.map, width = ResNetMap(), 1024
        else:
            width = 128
            first = 2 if shape.pixels == 8 else 4
            self.map = nn.Sequential(*_convs(1, 32, first), *_convs(32, 64, 2), *_convs(64, width, 2))
        self.project = nn.Conv2d(width, WIDTH, 1)
        self.time = nn.GRU(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)

    def forward(self, crops: Tensor) -> Tensor:
        batch, frames = crops.shape[:2]
        pixels = self.project(self.map(crops.flatten(0, 1))).flatten(2).transpose(1, 2)
        pixels = pixels.reshape(batch, frames, -1, WIDTH)
        over_time, _ = self.time(pixels.mean(dim=2))
        return pixels + over_time[:, :, None]


class Exchange(nn.Module):
    """One side's non-local block: tokens (B,L,256) enriched by themselves and by the other side's (equation 4 in the
    reading of the text: the query is the side being enriched). Starts as the identity: the last norm's weight is 0."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attends = shape.has_attention
        self.query = nn.Linear(WIDTH, INTER)
        self.own_key, self.own_value = nn.Linear(WIDTH, INTER), nn.Linear(WIDTH, INTER)
        self.other_key, self.other_value = nn.Linear(WIDTH, INTER), nn.Linear(WIDTH, INTER)
        self.join = nn.Linear(2 * INTER, WIDTH)
        self.norm = nn.BatchNorm1d(WIDTH)
        nn.init.zeros_(self.norm.weight)
        nn.init.zeros_(self.norm.bias)

    def weights(self, own: Tensor, own_mask: Tensor, other: Tensor, other_mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B,L,L) and (B,L,M): how much of each token goes into each; rows sum to 1."""
        query = self.query(own) if self.attends else self.query(own) * 0
        pairs = ((self.own_key(own), own_mask), (self.other_key(other), other_mask))
        both = [attention(query @ key.transpose(1, 2) / INTER**0.5, mask[:, None]) for key, mask in pairs]
        return both[0], both[1]

    def forward(self, own: Tensor, own_mask: Tensor, other: Tensor, other_mask: Tensor) -> Tensor:
        own_weights, other_weights = self.weights(own, own_mask, other, other_mask)
        got = torch.cat([own_weights @ self.own_value(own), other_weights @ self.other_value(other)], dim=2)
        joined = self.join(got)
        return own + self.norm(joined.flatten(0, 1)).view_as(joined)


class Heads(nn.Module):
    """Tokens (B,T,L,256) and mask (B,T,L) -> embedding (B,256) of length 1, poses (B,T,24,3), both sides alike."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attends = shape.has_attention
        self.pose = nn.Sequential(nn.Linear(WIDTH, 128), nn.ReLU(), nn.Linear(128, JOINTS * 3))
        self.frame = nn.Linear(WIDTH, 1, bias=False)
        self.level = nn.BatchNorm1d(WIDTH)  # before the L2 step: without it the triplet collapses (issue 5)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        count = mask.sum(dim=2, keepdim=True)
        frames = (tokens * mask[..., None]).sum(dim=2) / count.clamp(min=1.0)
        poses = self.pose(frames).unflatten(2, (JOINTS, 3))
        score = self.frame(frames).squeeze(2) if self.attends else torch.zeros_like(frames[..., 0])
        pooled = (attention(score, (count.squeeze(2) > 0).float())[..., None] * frames).sum(dim=1)
        level = self.level(pooled)
        return nn.functional.normalize(level, dim=1), poses, level


class Mission(nn.Module):
    """forward(points, mask, crops) runs one pair a row; the parts are used apart so that tokens can be cached."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.radar, self.vision = RadarBranch(self.shape), VisionBranch(self.shape)
        self.to_radar, self.to_vision = Exchange(self.shape), Exchange(self.shape)
        self.heads = Heads(self.shape)

    def pair(self, heard: Tensor, mask: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Tokens of both sides -> embeddings radar and vision (B,256), poses of both, embeddings before the L2 step."""
        there = torch.ones(seen.shape[:3])
        if self.shape.has_fusion:
            heard, seen = self._exchanged(heard, mask, seen)
            there = torch.ones(seen.shape[:3])
        radar, radar_pose, radar_level = self.heads(heard, mask)
        vision, vision_pose, vision_level = self.heads(seen, there)
        return radar, vision, radar_pose, vision_pose, radar_level, vision_level

    def forward(self, points: Tensor, mask: Tensor, crops: Tensor) -> tuple[Tensor, ...]:
        return self.pair(self.radar(points, mask), mask, self.vision(crops))

    def _exchanged(self, heard: Tensor, mask: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        batch, frames = heard.shape[:2]
        if self.shape.scope == "sequence":
            side = round(seen.shape[2] ** 0.5)
            seen = nn.functional.avg_pool2d(seen.flatten(0, 1).transpose(1, 2).unflatten(2, (side, side)), side // 4)
            seen = seen.flatten(2).transpose(1, 2).reshape(batch, frames, 16, WIDTH)
            fold = (batch, -1)
        else:
            fold = (batch * frames, -1)
        a, b = heard.reshape(*fold, WIDTH), seen.reshape(*fold, WIDTH)
        a_mask, b_mask = mask.reshape(*fold), torch.ones(b.shape[:2])
        return self.to_radar(a, a_mask, b, b_mask).view_as(heard), self.to_vision(b, b_mask, a, a_mask).view_as(seen)


def attention(score: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where mask is 1; all zeros where nothing is."""
    score = score.masked_fill(mask == 0, -1e4)
    return torch.softmax(score, dim=-1) * mask


def _mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()]
    return nn.Sequential(*layers)


def _convs(a: int, b: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 3 if stride == 2 else 5, stride, 1 if stride == 2 else 2), nn.BatchNorm2d(b), nn.ReLU()]
