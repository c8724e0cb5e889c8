"""The shipped gait networks in torch: from a window to a signature and to the walk's gait numbers.

Radar: an MLP shared by the points, masked mean and maximum over them; camera: outline profiles as they are. Then both
alike: convolutions over the frames, a spectral layer (power of learnt channels on a fixed grid of frequencies), and an
MLP whose output is a signature (latent.py) and Gaussian estimates of the numbers. Imports torch: for training only.
"""

import torch
from torch import Tensor, nn

from .windows import FRAMES, PROFILE, RATE_HZ

LATENT = 16
HERTZ = torch.arange(0.5, 4.51, 0.125)
NUMBERS = 9  # see estimator_training.TARGETS


class Spectrum(nn.Module):
    """Log power (B, channels * frequencies) of series (B, C, T) mixed to `channels`, without means, Hann window."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, channels, 1)
        t = torch.arange(FRAMES) / RATE_HZ
        turn = 2 * torch.pi * t[:, None] * HERTZ[None]
        window = torch.hann_window(FRAMES + 2)[1:-1, None]
        self.register_buffer("cosine", window * torch.cos(turn))
        self.register_buffer("sine", window * torch.sin(turn))

    def forward(self, series: Tensor) -> Tensor:
        mixed = self.mix(series)
        mixed = mixed - mixed.mean(dim=2, keepdim=True)
        power = (mixed @ self.get_buffer("cosine")) ** 2 + (mixed @ self.get_buffer("sine")) ** 2
        return torch.log(power + 1e-2).flatten(1)


class Trunk(nn.Module):
    """Frames (B,T,W) and what is known of the whole window (B,E) -> eta (B,K), precision (B,K), mean and log variance
    of the numbers (B,9)."""

    def __init__(self, width: int, extra: int, hidden: int = 64, channels: int = 16) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv1d(width, hidden, 1), nn.BatchNorm1d(hidden), nn.ReLU(),
            nn.Conv1d(hidden, hidden, 5, padding=2), nn.BatchNorm1d(hidden), nn.ReLU(),
        )  # fmt: skip
        self.deeper = nn.Sequential(nn.Conv1d(hidden, hidden, 3, padding=1), nn.BatchNorm1d(hidden), nn.ReLU())
        self.spectrum = Spectrum(2 * hidden, channels)
        wide = channels * len(HERTZ) + 4 * hidden + extra
        self.head = nn.Sequential(
            nn.BatchNorm1d(wide), nn.Linear(wide, 192), nn.BatchNorm1d(192), nn.ReLU(), nn.Dropout(0.25),
            nn.Linear(192, 128), nn.BatchNorm1d(128), nn.ReLU(),
        )  # fmt: skip
        self.out = nn.Linear(128 + extra, 2 * LATENT + 2 * NUMBERS)  # what is told goes round the rest as well

    def forward(self, frames: Tensor, extra: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        first = self.inner(frames.transpose(1, 2))
        both = torch.cat([first, self.deeper(first)], dim=1)
        said = torch.cat([self.spectrum(both), both.mean(dim=2), both.amax(dim=2), extra], dim=1)
        last = torch.cat([self.head(said), extra], dim=1)
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
