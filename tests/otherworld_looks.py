"""Clothes of the other world: colour histograms "hsv-8x8x4:1" of people, as cameras under their own light see them.

A person is a few blobs of colour (shirt, trousers, skin, hair); a frame shows them with sampling noise, some
background, and the camera's gain and tint. 256 numbers that sum to 1, bin = (hue * 8 + saturation) * 4 + value.
"""

import numpy as np
from numpy.typing import NDArray

NAME = "hsv-8x8x4:1"
HUES, SATURATIONS, VALUES = 8, 8, 4
SHARES = (0.45, 0.3, 0.15, 0.1)  # of the box: shirt, trousers, skin, hair
EFFECTIVE_PX = 150  # independent pixels a histogram is worth: neighbours in a picture are alike
BACKGROUND = (0.05, 0.3)  # of the box

Array = NDArray[np.float64]


def colours(rng: np.random.Generator) -> Array:
    """(4,3) hue 0-1, saturation 0-1, value 0-1 of one person's blobs; half of all clothes are grey, black or blue."""
    clothes = []
    for _ in range(2):
        if rng.random() < 0.5:
            clothes.append([rng.uniform(0.5, 0.7), rng.uniform(0.05, 0.35), rng.uniform(0.1, 0.6)])
        else:
            clothes.append([rng.random(), rng.uniform(0.3, 0.95), rng.uniform(0.25, 0.95)])
    skin = [rng.uniform(0.02, 0.08), rng.uniform(0.25, 0.5), rng.uniform(0.4, 0.85)]
    return np.array([*clothes, skin, [rng.uniform(0.02, 0.1), rng.uniform(0.2, 0.5), rng.uniform(0.05, 0.4)]])


def wardrobe(rng: np.random.Generator, people: int, alike: bool) -> list[Array]:
    """One (4,3) each; alike: everybody's is nearly the first one's."""
    first = colours(rng)
    if not alike:
        return [colours(rng) for _ in range(people)]
    return [np.clip(first + rng.normal(0, 0.01, first.shape), 0, 0.999) for _ in range(people)]


class Light:
    """One camera's illumination gain, tint and background."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.gain = float(np.exp(rng.normal(0, 0.15)))
        self.tint = float(rng.normal(0, 0.02))
        self.saturation = float(np.exp(rng.normal(0, 0.1)))
        self.background = np.array([[rng.random(), rng.uniform(0.05, 0.3), rng.uniform(0.3, 0.8)]])

    def histogram(self, rng: np.random.Generator, blobs: Array) -> NDArray[np.float32]:
        """(256,) f32 of somebody with these blobs in one frame."""
        background = rng.uniform(*BACKGROUND)
        weights = np.append(np.array(SHARES[: len(blobs)]) * (1 - background) / sum(SHARES[: len(blobs)]), background)
        counts = rng.multinomial(EFFECTIVE_PX, weights)
        pixels = np.repeat(np.vstack([blobs, self.background]), counts, axis=0)
        flicker = np.exp(rng.normal(0, 0.04))
        pixels = pixels + rng.normal(0, 1, pixels.shape) * [0.025, 0.07, 0.07]
        hue = (pixels[:, 0] + self.tint) % 1.0
        saturation = np.clip(pixels[:, 1] * self.saturation, 0, 0.999)
        value = np.clip(pixels[:, 2] * self.gain * flicker, 0, 0.999)
        bins = (np.int_(hue * HUES) * SATURATIONS + np.int_(saturation * SATURATIONS)) * VALUES
        filled = np.bincount(bins + np.int_(value * VALUES), minlength=HUES * SATURATIONS * VALUES)
        return (filled / filled.sum()).astype(np.float32)
