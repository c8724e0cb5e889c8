"""Where in the image it pays to look for people: where something moves, and where somebody was seen lately.

The gate costs about a millisecond; the HOG detector costs tens of them a frame, in proportion to the area it searches.
It never decides that somebody is there, it forgets nobody who merely stands still (remembered places are searched
again until several looks in a row found nothing), and it asks for the whole frame now and then, at the start and
when half of the picture changes. It knows no clock: everything counts frames, so the same frames give the same regions.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from .boxes import clip, containment

MOTION_WIDTH_PX = 320  # the width motion is looked for at: finer finds leaves and noise, not people
MOTION_SHARE = 0.5  # of the frame moving at once is a light switched on or a camera moved: search it all
LEARNING_FRAMES = 200  # the background forgets what has stood still for about this long
VARIANCE_THRESHOLD = 20.0  # squared sigmas of a pixel's own noise
FULL_SCAN_FRAMES = 25  # between looks at the whole frame
MEMORY_FRAMES = 12  # looks that may find nobody before a remembered place is given up
BLOB_SHARE = 0.2  # of the smallest person's height: what is lower is no person
WINDOW_RATIO = 1.45  # height of a search region over that of what moved: HOG wants a margin around the person
PLACE_MARGIN = 0.2  # of the height, around a remembered window: how far people walk between frames
ASPECT = 0.5  # width over height of the HOG window


class MotionGate:
    """regions(pixels) -> areas to search; remember(windows) -> tells it what the search found.

    smallest_px: (width, height) in image px of the smallest window the detector can find.
    """

    def __init__(self, smallest_px: tuple[float, float]) -> None:
        self._smallest_px = smallest_px
        self._size: tuple[int, int] | None = None
        self._places = np.empty((0, 4), np.float32)
        self._misses = np.empty(0, np.int64)

    def regions(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Areas (R,4) left, top, width, height in px of the image, hardly overlapping; None = the whole frame."""
        height, width = pixels.shape[:2]
        if self._size != (width, height):
            self._size, self._until_full = (width, height), 0
            self._background = cv2.createBackgroundSubtractorMOG2(LEARNING_FRAMES, VARIANCE_THRESHOLD, False)
            self._places, self._misses = self._places[:0], self._misses[:0]
        moving, share = self._moving(pixels)
        self._until_full -= 1
        if self._until_full < 0 or share > MOTION_SHARE:
            self._until_full = FULL_SCAN_FRAMES
            return None
        regions = np.vstack((self._around_motion(moving), self._around_places()))
        return merged(self._within(regions, width, height))

    def remember(self, windows: NDArray[np.float32]) -> None:
        """The detector's windows (N,4) of this frame: they replace the places they cover, other places fade."""
        if len(self._places) and len(windows):
            seen = containment(self._places, windows).max(axis=1) > 0.5
        else:
            seen = np.zeros(len(self._places), bool)
        stay = ~seen & (self._misses + 1 < MEMORY_FRAMES)
        self._places = np.vstack((windows, self._places[stay])).astype(np.float32)
        self._misses = np.concatenate((np.zeros(len(windows), np.int64), self._misses[stay] + 1))

    def _moving(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        """Bounding boxes (M,4) in image px of what moves, and the share of the image that does."""
        shrink = max(1.0, pixels.shape[1] / MOTION_WIDTH_PX)
        small = cv2.resize(pixels, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        mask = self._background.apply(small)
        share = float(np.count_nonzero(mask)) / mask.size
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, _SPECK)
        mask = cv2.dilate(mask, _JOIN)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        return stats[1:, :4].astype(np.float32) * np.float32(shrink), share

    def _around_motion(self, blobs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Search regions around moving blobs: at least a window, and as much larger as HOG's margin asks for."""
        blobs = blobs[blobs[:, 3] >= BLOB_SHARE * self._smallest_px[1]]
        if not len(blobs):
            return np.empty((0, 4), np.float32)
        height = np.maximum(blobs[:, 3] * WINDOW_RATIO, self._smallest_px[1] * 1.25)
        width = np.maximum(blobs[:, 2] + ASPECT * height * 0.5, ASPECT * height * 1.2)
        left = blobs[:, 0] + (blobs[:, 2] - width) / 2
        top = blobs[:, 1] + (blobs[:, 3] - height) / 2
        return np.column_stack((left, top, width, height)).astype(np.float32)

    def _within(self, regions: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
        """The regions clipped to the image, those that got too small for a window grown back inwards."""
        regions = clip(regions, width, height)
        size = np.maximum(regions[:, 2:], np.ceil(self._smallest_px) + 1)
        corner = np.minimum(regions[:, :2], np.maximum((width, height) - size, 0))
        return clip(np.hstack((corner, size)), width, height)

    def _around_places(self) -> NDArray[np.float32]:
        margin = self._places[:, 3:4] * np.float32(PLACE_MARGIN)
        return np.hstack((self._places[:, :2] - margin, self._places[:, 2:] + 2 * margin)).astype(np.float32)


def merged(regions: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same regions (R,4) with those joined that cost less as one: where the hull is smaller than the two areas."""
    left = [tuple(float(v) for v in region) for region in regions]
    done: list[tuple[float, ...]] = []
    while left:
        region = left.pop()
        for others in (left, done):
            partner = next((other for other in others if _cheaper_as_one(region, other)), None)
            if partner is not None:
                others.remove(partner)
                left.append(_hull(region, partner))
                break
        else:
            done.append(region)
    return np.array(done, np.float32).reshape(-1, 4)


def _hull(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
    left, top = min(a[0], b[0]), min(a[1], b[1])
    return (left, top, max(a[0] + a[2], b[0] + b[2]) - left, max(a[1] + a[3], b[1] + b[3]) - top)


def _cheaper_as_one(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    hull = _hull(a, b)
    return hull[2] * hull[3] <= a[2] * a[3] + b[2] * b[3]


_SPECK = np.ones((2, 2), np.uint8)
_JOIN = np.ones((9, 5), np.uint8)  # taller than wide: joins a head with its legs, not two people side by side
