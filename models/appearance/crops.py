"""Small pictures of people kept for learning, as a file: one camera, some time, boxes and JPEG bytes.

A NumPy archive (.npz) without pickles: `schema`, `camera`, `image_size`, `t_ns` (N,) i64 UTC, `boxes` (N,4) f32 px,
`ends` (N,) i64 and `jpegs` (bytes) u8, crop i being jpegs[ends[i-1]:ends[i]]. Only a camera node whose site file
allows it writes one; who is on them, the file does not say. A damaged file is refused in one sentence.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .stripes import Image

SCHEMA = "whowhere crops 1"
SUFFIX = ".crops.npz"
JPEG_QUALITY = 90
MOST_BYTES = 1 << 30  # of one file's pictures: a guard against corrupt lengths


class CropsError(ValueError):
    """What is wrong with a file of crops, in one sentence."""


class Crops(NamedTuple):
    """What one camera kept, N crops: t_ns (N,) i64 UTC, boxes (N,4) f32 left, top, width, height px of an image of
    image_size (width, height), jpegs N pictures."""

    camera: str
    image_size: tuple[int, int]
    t_ns: NDArray[np.int64]
    boxes: NDArray[np.float32]
    jpegs: tuple[bytes, ...]

    def picture(self, row: int) -> Image:
        """Crop `row` as BGR. Raises CropsError where it is no JPEG picture."""
        image = cv2.imdecode(np.frombuffer(self.jpegs[row], np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise CropsError(f"crop {row} of camera {self.camera} is no JPEG picture")
        return np.asarray(image, np.uint8)


def jpeg_of(crop: Image) -> bytes:
    """A BGR crop as JPEG. Raises CropsError for an empty one."""
    if not crop.size:
        raise CropsError("an empty crop cannot be kept")
    return cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def save_crops(crops: Crops, path: str | Path) -> None:
    """Write a new file, whole or not at all. Raises OSError."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez(
            file,
            schema=np.array(SCHEMA),
            camera=np.array(crops.camera),
            image_size=np.array(crops.image_size, np.int64),
            t_ns=np.asarray(crops.t_ns, np.int64),
            boxes=np.asarray(crops.boxes, np.float32).reshape(-1, 4),
            ends=np.cumsum([len(jpeg) for jpeg in crops.jpegs], dtype=np.int64),
            jpegs=np.frombuffer(b"".join(crops.jpegs), np.uint8),
        )
    part.replace(path)


def load_crops(path: str | Path) -> Crops:
    """The crops in a file. Raises CropsError, naming the file, for whatever is not one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            parts = {name: file[name] for name in file.files}
    except OSError as error:
        raise CropsError(f"{path} cannot be read: {error.strerror or 'no file of crops'}") from error
    except Exception as error:  # zipfile, tokenize and numpy have a dozen kinds for a damaged file
        raise CropsError(f"{path} is no file of crops, or a damaged one") from error
    if str(parts.get("schema", "")) != SCHEMA:
        raise CropsError(f'{path} is no file of crops of this version ("{SCHEMA}")')
    if lacks := [name for name in ("camera", "image_size", "t_ns", "boxes", "ends", "jpegs") if name not in parts]:
        raise CropsError(f'{path} lacks "{lacks[0]}"')
    t_ns, boxes, ends, jpegs = (parts[name] for name in ("t_ns", "boxes", "ends", "jpegs"))
    rows = len(t_ns)
    if boxes.shape != (rows, 4) or ends.shape != (rows,) or parts["image_size"].shape != (2,):
        raise CropsError(
            f"{path} has {rows} times, {boxes.shape} boxes and {ends.shape} pictures: they must be as many"
        )
    starts = np.concatenate([[0], ends[:-1]]) if rows else ends
    if rows and ((starts > ends).any() or ends[-1] != len(jpegs) or len(jpegs) > MOST_BYTES):
        raise CropsError(f"{path} says that its pictures end at byte {ends[-1]} of {len(jpegs)}")
    content = jpegs.tobytes()
    pictures = tuple(content[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True))
    wide, high = parts["image_size"].tolist()
    return Crops(str(parts["camera"]), (wide, high), t_ns.astype(np.int64), boxes.astype(np.float32), pictures)


def crops_in(folder: str | Path, cameras: Sequence[str] = ()) -> list[Crops]:
    """All files of a folder, in the order of their names; of these cameras, or of all. Raises CropsError where there is
    none, or no folder."""
    if not Path(folder).is_dir():
        what = "is a file, where a folder" if Path(folder).exists() else "is not there: the folder"
        raise CropsError(f"{folder} {what} into which cameras kept crops (*{SUFFIX}) is needed")
    found = [load_crops(path) for path in sorted(Path(folder).glob(f"*{SUFFIX}"))]
    kept = [crops for crops in found if not cameras or crops.camera in cameras]
    if not kept:
        raise CropsError(f"{folder} holds no crops (*{SUFFIX}){' of these cameras' if found else ''}")
    return kept
