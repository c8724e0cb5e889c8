"""Mission at run time: three ONNX files, tokens cached, one pass a pair; numpy and onnxruntime, no torch.

Not what is shipped (docs/gait.md says why): for measuring, and for whoever trains it on data of their own. Frames,
points and pixels are fixed in the files; a missing point is a 0 in the mask.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..onnx_session import open_session

F32 = NDArray[np.float32]

PARTS = ("rf", "vis", "pair")


class MissionModel:
    """Sessions of the files rf, vis and pair."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._run: dict[str, Any] = {part: open_session(contents[part]) for part in PARTS}

    def heard(self, points: F32, mask: F32) -> F32:
        """Point tokens (T,N,256) of one radar window: points (T,N,5), mask (T,N)."""
        return self._run["rf"].run(["tokens"], {"points": points[None], "mask": mask[None]})[0][0]

    def seen(self, crops: NDArray[np.bool_]) -> F32:
        """Pixel tokens (T,P,256) of one camera window (T,64,64): cached for each gallery track."""
        return self._run["vis"].run(["tokens"], {"crops": crops[None, :, None].astype(np.float32)})[0][0]

    def distances(self, heard: F32, mask: F32, gallery: Sequence[F32], batch: int = 16) -> NDArray[np.float64]:
        """(G,) of one query's tokens to cached ones, each fused with it; an empty gallery gives an empty array."""
        done = []
        for start in range(0, len(gallery), batch):
            seen = np.stack(gallery[start : start + batch])
            one = np.broadcast_to(heard, (len(seen), *heard.shape)), np.broadcast_to(mask, (len(seen), *mask.shape))
            names = {"heard": np.ascontiguousarray(one[0]), "mask": np.ascontiguousarray(one[1]), "seen": seen}
            radar, vision = self._run["pair"].run(["radar", "vision"], names)
            done.append(np.linalg.norm(radar.astype(np.float64) - vision, axis=1))
        return np.concatenate(done) if done else np.zeros(0)
