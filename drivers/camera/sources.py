"""Where frames come from: an index, a URL, a video file or a folder of images, all as one iterator of frames.

Runs inside the capture process only. Files give every frame in order and then end; live sources give frames as they
arrive and end with DeviceLost. OpenCV is imported only where something has to be decoded to be read.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DeviceLost, DeviceNotFound, DeviceRefused
from .mjpeg import MjpegParser, jpegs, open_stream, redacted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
MAX_IMAGE_BYTES = 64 * 2**20
# RTSP over TCP, as little buffering as FFmpeg can; for streams only, since a file would lose its last frame to it
STREAM_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"
OPEN_MS, READ_MS = 8000, 10000  # OpenCV's own patience with a network stream; the parent has the last word


class Frame(NamedTuple):
    """encoded: a JPEG, PNG, ... file, or pixels: (height, width, 3) BGR; one of the two. t_ns: when it was seen.
    garbage: what came so far that was no frame."""

    t_ns: int
    encoded: bytes = b""
    pixels: "NDArray[np.uint8] | None" = None
    garbage: int = 0


class Request(NamedTuple):
    """What the parent asks for: the fields of sitefile.Camera that matter here. latency_s: from seeing to arrival."""

    source: str
    fps: float
    timestamps: str | None = None
    latency_s: float = 0.0


def is_live(source: str) -> bool:
    """Whether only the newest frame matters: devices and URLs, not files and folders."""
    return source.isdigit() or "://" in source


def frames_of(request: Request) -> Iterator[Frame]:
    """Raises DeviceNotFound, DeviceRefused or DeviceLost with one sentence, now or on the way."""
    source = request.source
    if is_live(source):
        return _from_device(request) if source.isdigit() else _from_url(request)
    path = Path(source)
    if path.is_dir():
        return _timed(_from_folder(path), request, request.fps)
    if not path.exists():
        raise DeviceNotFound(f"{source}: no such file or folder")
    if not os.access(path, os.R_OK):
        raise DeviceRefused(f"{source}: may not be read: check its permissions")
    capture = _open_video(source, "is no video that OpenCV can read: try converting it to H.264 in .mp4")
    import cv2

    fps = capture.get(cv2.CAP_PROP_FPS)
    return _timed(_from_video(capture), request, fps if 0.1 <= fps <= 1000 else request.fps)


def _from_device(request: Request) -> Iterator[Frame]:
    """A camera at this machine. t_ns is the kernel's time stamp of the buffer where the driver gives one."""
    node = Path(f"/dev/video{request.source}")
    if os.name == "posix" and not node.exists():
        here = ", ".join(sorted(str(p) for p in Path("/dev").glob("video*"))) or "none"
        raise DeviceNotFound(f"no camera {request.source}: {node} does not exist (cameras here: {here})")
    if os.name == "posix" and not os.access(node, os.R_OK | os.W_OK):
        raise DeviceRefused(f"{node} may not be opened: add this user to the group video, then log in again")
    capture = _open_video(int(request.source), "is busy or no camera: close other programs that use it")
    import cv2

    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    capture.set(cv2.CAP_PROP_FPS, request.fps)
    while capture.grab():
        now_ns = time.time_ns()
        age_ns = time.monotonic_ns() - int(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        t_ns = now_ns - age_ns if 0 <= age_ns < 10**9 else now_ns
        yield from _retrieved(capture, t_ns - int(request.latency_s * 1e9))
    raise DeviceLost(f"camera {request.source} gives no more frames: unplugged, or taken by another program")


def _from_url(request: Request) -> Iterator[Frame]:
    """Motion JPEG and single pictures by our own reader; RTSP and everything else through OpenCV's FFmpeg."""
    where = redacted(request.source)
    delay_ns = int(request.latency_s * 1e9)
    if request.source.startswith(("http://", "https://")):
        stream = open_stream(request.source)
        if stream.content_type == "multipart/x-mixed-replace":
            parser = MjpegParser(stream.boundary)
            for jpeg in jpegs(stream, parser):
                t_ns = jpeg.t_ns if jpeg.is_stamped else jpeg.t_ns - delay_ns
                yield Frame(t_ns, jpeg.data, garbage=parser.counters["garbage"])
        if stream.content_type.startswith("image/"):
            yield from _polled(request)
        stream.response.close()
    capture = _open_video(request.source, "cannot be reached or sends no video: check address, path and password")
    while capture.grab():
        yield from _retrieved(capture, time.time_ns() - delay_ns)
    raise DeviceLost(f"{where}: the stream ended")


def _polled(request: Request) -> Iterator[Frame]:
    """A URL that gives one picture a request is asked at the camera's fps."""
    due = time.monotonic()
    while True:
        t_ns = time.time_ns()
        response = open_stream(request.source).response
        yield Frame(t_ns - int(request.latency_s * 1e9), response.read(MAX_IMAGE_BYTES))
        due = max(due + 1 / request.fps, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def _from_folder(folder: Path) -> Iterator[Frame]:
    names = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_ENDINGS)
    if not names:
        raise DeviceNotFound(f"{folder}: no images in this folder (looked for {', '.join(IMAGE_ENDINGS)})")
    for path in names:
        try:
            yield Frame(0, path.read_bytes() if path.stat().st_size <= MAX_IMAGE_BYTES else b"")
        except OSError as error:
            raise DeviceLost(f"{path}: {error.strerror}") from error


def _from_video(capture: Any) -> Iterator[Frame]:
    while capture.grab():
        yield from _retrieved(capture, 0)


def _retrieved(capture: Any, t_ns: int) -> Iterator[Frame]:
    ok, pixels = capture.retrieve()
    if ok:
        yield Frame(t_ns, pixels=pixels)


def _timed(frames: Iterator[Frame], request: Request, fps: float) -> Iterator[Frame]:
    """A file's frames with their times: those of the `timestamps` file, read as fast as they are asked for; or, without
    one, the wall clock's, from now on at the file's own rate, and not handed over before that time has come."""
    if request.timestamps:
        for frame, t_ns in zip(frames, _read_times(Path(request.timestamps)), strict=False):
            yield frame._replace(t_ns=t_ns)
        return
    start_ns, start = time.time_ns(), time.monotonic()
    for number, frame in enumerate(frames):
        time.sleep(max(0.0, start + number / fps - time.monotonic()))
        yield frame._replace(t_ns=start_ns + round(number * 1e9 / fps))


def _read_times(path: Path) -> list[int]:
    """One UNIX time in seconds a line, first column; further columns are ignored."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceNotFound(f"timestamps {path}: cannot be read: {error}") from error
    times = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        whole, _, fraction = line.split()[0].partition(".")
        if not whole.isdigit() or (fraction and not fraction.isdigit()):
            raise DeviceRefused(f"timestamps {path}:{number}: {line.strip()[:40]!r} is not a UNIX time in seconds")
        times.append(int(whole) * 10**9 + int(fraction[:9].ljust(9, "0")))
    return times


def _open_video(source: str | int, otherwise: str) -> Any:
    """An open cv2.VideoCapture. Raises DeviceRefused for files and devices, DeviceNotFound for URLs."""
    import cv2

    cv2.setNumThreads(1)
    is_url = isinstance(source, str) and "://" in source
    if is_url:
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = STREAM_OPTIONS
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits)
    else:
        capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        name = redacted(source) if isinstance(source, str) else f"camera {source}"
        raise (DeviceNotFound if is_url else DeviceRefused)(f"{name} {otherwise}")
    return capture
