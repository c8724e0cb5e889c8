"""The specification's RF branch over the points of a radar walk, with a layer over known walkers on top.

Mission (SenSys 2024) section 4 as /specs/mission.md section 2 reads it: a shared multilayer perceptron per point,
attention over a frame's points (equation 1), a bidirectional LSTM over frames; then a frame attention. Without mmMesh's
anchors, which are the repository's and not the paper's. Imports torch; nothing that runs imports this.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

COLUMNS = 5  # x, y about the track, z against the sensor (m), log intensity, Doppler (m/s)
TOKENS = 128


def _shared(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Conv1d(n_in, n_out, 1), nn.BatchNorm1d(n_out), nn.ReLU()]
    return nn.Sequential(*layers)


class RfBranch(nn.Module):
    """points (B,T,N,5) and which are real (B,T,N) -> (B,T,128). A frame without points counts as one at the origin."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.BatchNorm1d(COLUMNS)
        self.base = _shared(COLUMNS, 12, 24)
        self.wide = _shared(24 + COLUMNS, 48, 64)
        self.attend = nn.Linear(64, 1)
        self.walk = nn.LSTM(64, TOKENS // 2, 3, batch_first=True, bidirectional=True, dropout=0.1)

    def forward(self, points: Tensor, real: Tensor) -> Tensor:
        b, t, n, _ = points.shape
        real = real | ((torch.arange(n) == 0) & ~real.any(dim=2, keepdim=True))
        flat = self.lift(points.reshape(b * t, n, COLUMNS).transpose(1, 2))
        near = self.base(flat)
        each = self.wide(torch.cat([near, flat], dim=1)).transpose(1, 2)  # (b*t, n, 64)
        share = self.attend(each)[..., 0].masked_fill(~real.reshape(b * t, n), -torch.inf).softmax(dim=1)
        frames = (share[..., None] * each).sum(dim=1).reshape(b, t, 64)
        return self.walk(frames)[0]


class RfWalkers(nn.Module):
    """(B,T,N,5), (B,T,N) -> a number a known walker (B,C)."""

    def __init__(self, walkers: int) -> None:
        super().__init__()
        self.branch = RfBranch()
        self.attend = nn.Linear(TOKENS, 1)
        self.name = nn.Sequential(nn.BatchNorm1d(TOKENS), nn.Dropout(0.3), nn.Linear(TOKENS, walkers))

    def forward(self, points: Tensor, real: Tensor) -> Tensor:
        tokens = self.branch(points, real)
        share = self.attend(tokens).softmax(dim=1)
        return self.name((share * tokens).sum(dim=1))
