"""Small pictures of people, kept for learning where the site file allows it: on the camera's machine, for some days.

One file a minute, so that a failure loses no more; a full disk is counted and the camera goes on. Files older than
`keep_days` are deleted, by the time in their names, whenever one is written, and at the start.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..models.appearance.crops import SUFFIX, Crops, jpeg_of, save_crops
from ..sitefile import Learning, SiteError

FILE_NS = 60_000_000_000


def require_folder(learning: Learning) -> None:
    """Raise SiteError where the folder for crops cannot be had, before anybody waits for pictures."""
    try:
        Path(learning.folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SiteError(
            f"learning.folder = {learning.folder!r} cannot be a folder for crops: {error.strerror}"
        ) from error


class CropKeeper:
    """One camera's. Raises SiteError for a folder that cannot be had."""

    def __init__(self, learning: Learning, camera: str) -> None:
        require_folder(learning)
        self._learning, self._camera = learning, camera
        self._folder = Path(learning.folder)
        self._kept: list[tuple[int, NDArray[np.float32], bytes]] = []
        self._size = (0, 0)
        self._last_ns = 0
        self._counts = {"crops_kept": 0, "crops_lost": 0, "crop_files_expired": 0}

    @property
    def counters(self) -> dict[str, int]:
        """crops_kept, crops_waiting for their file, crops_lost (the disk is full, or not ours), crop_files_expired."""
        return {**self._counts, "crops_waiting": len(self._kept)}

    def keep(
        self,
        t_ns: int,
        image_size: tuple[int, int],
        boxes: NDArray[np.float32],
        crops: Mapping[int, NDArray[np.uint8]],
    ) -> None:
        """Keep the crops of a frame, by the row of their box, unless the last ones are too recent."""
        if crops and t_ns - self._last_ns >= self._learning.every_s * 1e9:
            self._last_ns, self._size = t_ns, image_size
            self._kept += [(t_ns, boxes[row], jpeg_of(crop)) for row, crop in crops.items()]
        if self._kept and t_ns - self._kept[0][0] >= FILE_NS:
            self.write()

    def write(self) -> None:
        """Write what is waiting, and forget what is too old."""
        if not self._kept:
            return
        times, boxes, jpegs = zip(*self._kept, strict=True)
        crops = Crops(self._camera, self._size, np.array(times, np.int64), np.array(boxes, np.float32), jpegs)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            save_crops(crops, self._folder / f"{self._camera}-{times[0]}{SUFFIX}")
            self._counts["crops_kept"] += len(jpegs)
            self._expire(times[-1])
        except OSError:
            self._counts["crops_lost"] += len(jpegs)
        self._kept = []

    def _expire(self, t_ns: int) -> None:
        oldest_ns = t_ns - self._learning.keep_days * 86400e9
        for path in self._folder.glob(f"{self._camera}-*{SUFFIX}"):
            written = path.name.removesuffix(SUFFIX).rpartition("-")[2]
            if written.isdigit() and int(written) < oldest_ns:
                path.unlink(missing_ok=True)
                self._counts["crop_files_expired"] += 1
