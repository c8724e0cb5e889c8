"""The shipped gait networks in torch: from a window to a signature and to the walk's gait numbers.

Radar: an MLP shared by the points, masked mean and maximum over them; camera: outline profiles as they are. Then both
alike: convolutions over the frames, a spectral layer that looks for a walk's two harmonics (strides, steps) and how
strong they are in learnt channels, and an MLP whose output is a signature (latent.py) and Gaussian estimates of the
numbers. Imports torch: for training only.
"""

import numpy as np
import torch
from torch import Tensor, nn

from .harmonics import BEATS_HZ, harmonics
from .numbers import TARGETS
from .windows import FRAMES, PROFILE

LATENT = 16
NUMBERS = len(TARGETS)


class Beat(nn.Module):
    """Series (B,C,20) -> what they beat like (B, F + 2 + 2 channels): for F cadences, which share of the energy of
    all channels lies on strides and steps; the cadence by a soft maximum and how sure it is; and how strong strides
    and steps are in each channel at that cadence."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, channels, 1)
        level, waves = harmonics()
        self.register_buffer("level", torch.tensor(level, dtype=torch.float32))  # (20,20), takes out mean and trend
        self.register_buffer("waves", torch.tensor(waves.transpose(1, 0, 2).reshape(FRAMES, -1), dtype=torch.float32))
        self.register_buffer("hertz", torch.tensor((BEATS_HZ - 1.87) / 0.3, dtype=torch.float32))
        self.sharpness = nn.Parameter(torch.tensor(np.log(40.0), dtype=torch.float32))
        self.size = len(BEATS_HZ) + 2 + 2 * channels

    def forward(self, series: Tensor) -> Tensor:
        mixed = self.mix(series) @ self.get_buffer("level")
        energy = (mixed @ self.get_buffer("waves")) ** 2
        energy = energy.unflatten(2, (len(BEATS_HZ), 2, 2)).sum(dim=4)  # (B,C,F,2): strides, steps
        share = energy.sum(dim=(1, 3)) / ((mixed**2).sum(dim=(1, 2))[:, None] + 1e-3)
        weight = torch.softmax(torch.exp(self.sharpness) * share, dim=1)
        cadence = (weight * self.get_buffer("hertz")).sum(dim=1, keepdim=True)
        sure = (weight**2).sum(dim=1, keepdim=True)
        strength = torch.log((energy * weight[:, None, :, None]).sum(dim=2) + 1e-3)
        return torch.cat([cadence, sure, share, strength.flatten(1)], dim=1)


class Trunk(nn.Module):
    """Frames (B,T,W) and what is known of the whole window (B,E) -> eta (B,K), precision (B,K), mean and log variance
    of the numbers (B,9)."""

    def __init__(self, width: int, extra: int, hidden: int = 64, channels: int = 24) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv1d(width, hidden, 1), nn.BatchNorm1d(hidden), nn.ReLU(),
            nn.Conv1d(hidden, hidden, 3, padding=1), nn.BatchNorm1d(hidden), nn.ReLU(),
        )  # fmt: skip
        self.raw, self.beat = Beat(width, channels), Beat(hidden, channels)
        wide = self.raw.size + self.beat.size + 2 * hidden + extra
        self.level = nn.BatchNorm1d(wide)
        self.head = nn.Sequential(
            nn.Linear(wide, 192), nn.BatchNorm1d(192), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(192, 128), nn.BatchNorm1d(128), nn.ReLU(),
        )  # fmt: skip
        self.out = nn.Linear(128 + 4 + extra, 2 * LATENT + 2 * NUMBERS)  # what is told goes round the rest as well

    def forward(self, frames: Tensor, extra: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        series = frames.transpose(1, 2)
        inner = self.inner(series)
        beats = self.raw(series), self.beat(inner)
        said = self.level(torch.cat([*beats, inner.mean(dim=2), inner.amax(dim=2), extra], dim=1))
        last = torch.cat([self.head(said), beats[0][:, :2], beats[1][:, :2], extra], dim=1)
        place, sharp, mean, spread = self.out(last).split([LATENT, LATENT, NUMBERS, NUMBERS], dim=1)
        precision = nn.functional.softplus(sharp)
        return place * precision, precision, mean, spread.clamp(-6, 4)


class RadarGait(nn.Module):
    """forward(points (B,20,32,4), mask (B,20,32), frames (B,20,4), speed (B,1)), as windows.RadarTensors."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.point = nn.Sequential(nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, width), nn.ReLU())
        self.trunk = Trunk(2 * width + 4, 5 + width)

    def forward(self, points: Tensor, mask: Tensor, frames: Tensor, speed: Tensor) -> tuple[Tensor, ...]:
        around = frames[:, :, None, :3].expand(-1, -1, points.shape[2], -1)
        each = self.point(torch.cat([points, around], dim=3)) * mask[..., None]
        count = mask.sum(dim=2)[..., None]
        pooled = torch.cat([each.sum(dim=2) / count.clamp(min=1.0), each.amax(dim=2), frames], dim=2)
        whole = each.sum(dim=(1, 2)) / count.sum(dim=1).clamp(min=1.0)
        return self.trunk(pooled, torch.cat([speed, frames.mean(dim=1), whole], dim=1))


class CameraGait(nn.Module):
    """forward(profiles (B,20,64), seen (B,20), told (B,4)), as windows.CameraTensors."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(PROFILE + 1, 4)

    def forward(self, profiles: Tensor, seen: Tensor, told: Tensor) -> tuple[Tensor, ...]:
        return self.trunk(torch.cat([4 * profiles, seen[..., None]], dim=2), told)
