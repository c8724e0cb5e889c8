"""What a witness believes of every hypothesis "device (or phone) d is carried by body k": one Gaussian each.

Column 0 is "nobody we track"; then bodies, as they are `add`ed. Beliefs follow the bodies: they are handed over to
new ones, flow between ones that may have been exchanged, and fall back to "nobody" with those that go. What is
measured is the witness's affair.
"""

import msgspec
import numpy as np

from ..geometry import Floats


class Bodies(msgspec.Struct, frozen=True):
    """Bodies that may carry a device: position (K,2) m, covariance (K,2,2) m2, heading (K,) rad from +x."""

    position: Floats
    covariance: Floats
    heading: Floats


class Columns:
    """mean (rows, columns, n), covariance (rows, columns, n, n); a row a device or phone, n unknowns each."""

    def __init__(self, rows: int, prior: Floats) -> None:
        """prior (n, n): the covariance of the unknowns, about zero, before anything is known."""
        self.mean = np.zeros((rows, 1, len(prior)))
        self.covariance = np.tile(prior, (rows, 1, 1, 1))

    def add(self, weights: Floats) -> None:
        """A column for a new body; it starts from what is believed so far, `weights` (rows, columns) saying which
        hypothesis to believe."""
        mean, covariance = mixed(weights, self.mean, self.covariance)
        self.mean = np.concatenate((self.mean, mean[:, None]), axis=1)
        self.covariance = np.concatenate((self.covariance, covariance[:, None]), axis=1)

    def remove(self, column: int, weights: Floats) -> None:
        """Drop a body's column; "nobody" keeps what it knew, `weights` (rows, 2) of nobody and of the body."""
        pair = [0, column]
        self.mean[:, 0], self.covariance[:, 0] = mixed(weights, self.mean[:, pair], self.covariance[:, pair])
        self.mean = np.delete(self.mean, column, axis=1)
        self.covariance = np.delete(self.covariance, column, axis=1)

    def blend(self, column: int, other: int, share: Floats) -> None:
        """Let a share (rows,) of hypothesis `other`'s belief flow into `column`'s: they may have swapped."""
        weights = np.column_stack((1 - share, share))
        pair = [column, other]
        mean, covariance = mixed(weights, self.mean[:, pair], self.covariance[:, pair])
        self.mean[:, column], self.covariance[:, column] = mean, covariance


def mixed(weights: Floats, mean: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """The Gaussian (D,S), (D,S,S) with the moments of a mixture: weights (D,K), mean (D,K,S), covariance (D,K,S,S)."""
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    centre = np.einsum("dk,dks->ds", share, mean)
    apart = mean - centre[:, None]
    spread = np.einsum("dk,dkst->dst", share, covariance) + np.einsum("dk,dks,dkt->dst", share, apart, apart)
    return centre, spread
