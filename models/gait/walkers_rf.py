"""The RF branch as a method of the trial: taught on windows of 2 s, asked about those or, by their mean, longer ones.

A network is taught once for a split and a seed and kept, so that 2 s and 5 s are answered by the same one. Imports
torch.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from .walkers_features import Frames
from .walkers_linear import log_softmax
from .walkers_recording import F64
from .walkers_training import Recipe, point_inputs, scores_of, trained
from .walkers_trial import Method, Split, Walkers, taught_windows
from .walkers_windows import FRAMES_LEAST_PER_S, Windows

SECONDS, STEP_S = 2.0, 1.0


def rf_branch(recipe: Recipe | None = None) -> Method:
    """Log-probabilities by the specification's RF branch."""
    recipe = recipe or Recipe()
    kept: dict[tuple[tuple[str, ...], Split, int], nn.Module] = {}

    def scores(walkers: Walkers, split: Split, asked: Windows, seed: int) -> F64:
        key = walkers.names, split, seed
        if key not in kept:
            taught = taught_windows(walkers, split, SECONDS, seed)
            kept[key] = trained(*point_inputs(walkers.bodies, taught), taught.walker, replace(recipe, seed=seed))
        pieces, owner = _pieces(walkers.frames, asked)
        logs = log_softmax(scores_of(kept[key], *point_inputs(walkers.bodies, pieces)))
        total = np.zeros((len(asked.walker), logs.shape[1]))
        np.add.at(total, owner, logs)
        return total / np.maximum(np.bincount(owner, minlength=len(total)), 1)[:, None]

    return scores


def _pieces(walkers: Sequence[Frames], asked: Windows) -> tuple[Windows, NDArray[np.int64]]:
    """The windows of 2 s in each window, a second apart, that hold frames enough; and which window each is of."""
    starts = np.arange(0, asked.seconds - SECONDS + 1e-6, STEP_S)
    owner = np.repeat(np.arange(len(asked.walker)), len(starts))
    walker = asked.walker[owner]
    from_s = asked.from_s[owner] + np.tile(starts, len(asked.walker))
    edges = [np.searchsorted(walkers[k].t_s, [start, start + SECONDS]) for k, start in zip(walker, from_s, strict=True)]
    low, high = np.array(edges, np.int64).reshape(-1, 2).T
    full = high - low >= FRAMES_LEAST_PER_S
    return Windows(walker[full], low[full], high[full], from_s[full], SECONDS), owner[full]
