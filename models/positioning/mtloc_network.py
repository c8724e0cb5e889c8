"""MTLoc's network in torch: two dense layers over WiFi, an LSTM each over motion and magnetic field, joined.

Source: MTLoc (Wei and Radu, IPIN 2022), Table I. Its counts are Keras' (one bias vector a gate): torch's second one is
zero and frozen, and only what can be trained is counted. Start values as Keras'. Imports torch: for training only.
"""

import torch
from torch import Tensor, nn

WIDTH = 128
PARTS = ("wifi_1", "wifi_2", "imu", "mag", "joined", "out")
PRINTED = {"wifi_1": 96_128, "wifi_2": 16_512, "imu": 67_072, "mag": 66_560, "joined": 49_280, "out": 258}


class Mtloc(nn.Module):
    """forward(wifi (B,A), imu (B,10,2), mag (B,10,1)) -> (B,2), in the unit box of the floor."""

    def __init__(self, access_points: int) -> None:
        super().__init__()
        self.wifi_1 = dense(access_points, WIDTH)
        self.wifi_2 = dense(WIDTH, WIDTH)
        self.imu = recurrent(2)
        self.mag = recurrent(1)
        self.joined = dense(3 * WIDTH, WIDTH)
        self.out = dense(WIDTH, 2)

    def forward(self, wifi: Tensor, imu: Tensor, mag: Tensor) -> Tensor:
        return self.beyond(self.wifi_1(wifi), imu, mag)

    def beyond(self, first: Tensor, imu: Tensor, mag: Tensor) -> Tensor:
        """From the first WiFi layer's sums (B,128) on."""
        heard = torch.relu(self.wifi_2(torch.relu(first)))
        moved, felt = self.imu(imu)[0][:, -1], self.mag(mag)[0][:, -1]
        return self.out(torch.relu(self.joined(torch.cat([heard, moved, felt], dim=1))))


class MotionOnly(nn.Module):
    """What the motion branch is pre-trained in: its LSTM and one dense layer. forward(imu (B,10,2)) -> (B,2)."""

    def __init__(self) -> None:
        super().__init__()
        self.imu = recurrent(2)
        self.out = dense(WIDTH, 2)

    def forward(self, imu: Tensor) -> Tensor:
        return self.out(self.imu(imu)[0][:, -1])


def dense(size_in: int, size_out: int) -> nn.Linear:
    layer = nn.Linear(size_in, size_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def recurrent(size_in: int) -> nn.LSTM:
    """An LSTM with Keras' start values and its single bias; torch's order of gates is input, forget, cell, output."""
    layer = nn.LSTM(size_in, WIDTH, batch_first=True)
    kernel, recurrence, bias, unused = (each for _, each in layer.named_parameters())
    nn.init.xavier_uniform_(kernel)
    nn.init.zeros_(bias)
    nn.init.zeros_(unused)
    for gate in range(4):
        nn.init.orthogonal_(recurrence.data[gate * WIDTH : (gate + 1) * WIDTH])
    bias.data[WIDTH : 2 * WIDTH] = 1.0
    unused.requires_grad_(False)
    return layer


def transfer(pretrained: MotionOnly, network: Mtloc, frozen: bool) -> None:
    """Copy the pre-trained motion LSTM into a network, to stay as it is (frozen) or be tuned further."""
    network.imu.load_state_dict(pretrained.imu.state_dict())
    for name, parameter in network.imu.named_parameters():
        parameter.requires_grad_(not frozen and name != "bias_hh_l0")


def counts(network: Mtloc) -> dict[str, int]:
    """Trainable parameters of each part, by the names of PARTS."""
    return {name: sum(p.numel() for p in getattr(network, name).parameters() if p.requires_grad) for name in PARTS}
