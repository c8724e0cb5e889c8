"""Capture: files and folders frame by frame, MJPEG live, and a process that can be lost and is then ended."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from whowhere.drivers.camera.capture import Capture, Complaints, Image, open_camera
from whowhere.drivers.camera.child import Thinning
from whowhere.drivers.camera.mjpeg import MjpegParser, redacted
from whowhere.drivers.errors import DeviceLost, DeviceNotFound, DeviceRefused
from whowhere.sitefile import Camera, Homography

SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
CALIBRATION = Homography(image_size=(64, 48), pixels_px=SQUARE, floor_m=SQUARE)


def camera(source: object, fps: float = 50.0, timestamps: str | None = None, latency_s: float = 0.0) -> Camera:
    return Camera(
        id="hall",
        source=str(source),
        fps=fps,
        timestamps=timestamps,
        latency_s=latency_s,
        calibration=CALIBRATION,
    )


def picture(level: int) -> np.ndarray:
    return np.full((48, 64, 3), level, np.uint8)


def jpeg(level: int) -> bytes:
    return cv2.imencode(".jpg", picture(level))[1].tobytes()


def read_all(capture: Capture, limit_s: float = 15.0) -> list[Image]:
    images, until = [], time.monotonic() + limit_s
    while not capture.is_finished and time.monotonic() < until:
        if image := capture.read(0.5):
            images.append(image)
    assert capture.is_finished
    return images


def first(capture: Capture, limit_s: float = 15.0) -> Image:
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if image := capture.read(0.5):
            return image
    raise AssertionError("no image came")


def read_on(capture: Capture) -> None:
    for _ in range(50):
        capture.read(0.2)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def server(parts: Iterator[bytes], kind: str = "multipart/x-mixed-replace; boundary=frame") -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = {"/missing": 404, "/secret": 401}.get(self.path, 200)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            try:
                for part in parts if status == 200 else ():
                    self.wfile.write(part)
                    self.wfile.flush()
            except OSError:
                pass

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()


def part(body: bytes, stamp: str = "", length: bool = True) -> bytes:
    head = "--frame\r\nContent-Type: image/jpeg\r\n"
    head += f"Content-Length: {len(body)}\r\n" if length else ""
    head += f"X-Timestamp: {stamp}\r\n" if stamp else ""
    return head.encode() + b"\r\n" + body + b"\r\n"


def test_folder_gives_every_image_in_order_and_ends(tmp_path: Path):
    for level in (10, 60, 110, 160, 210):
        cv2.imwrite(str(tmp_path / f"{level:03d}.png"), picture(level))
    (tmp_path / "120.png").write_bytes(b"not an image")
    (tmp_path / "notes.txt").write_text("ignored")
    with open_camera(camera(tmp_path)) as capture:
        images = read_all(capture)
        pid = capture.pid
    assert [int(image.pixels[0, 0, 0]) for image in images] == [10, 60, 110, 160, 210]
    assert [image.index for image in images] == [0, 1, 2, 4, 5]
    assert np.diff([image.t_ns for image in images]).tolist() == [20e6, 20e6, 40e6, 20e6]
    assert capture.counters["garbage"] == 1
    assert pid
    assert not is_alive(pid)


def test_what_libjpeg_complains_about_is_noticed_and_kept_quiet(capfd: pytest.CaptureFixture[str]):
    complaints, made = Complaints(), []
    for text in (b"Corrupt JPEG data\n", b"", b"again\n"):
        with complaints:
            os.write(2, text)
        made.append(complaints.were_made)
    assert made == [True, False, True]
    assert capfd.readouterr().err == ""


def test_video_gives_every_frame_with_the_times_of_its_file(tmp_path: Path):
    video = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for level in range(0, 240, 20):
        video.write(picture(level))
    video.release()
    times = tmp_path / "times.txt"
    times.write_text("".join(f"1700000000.{number:03d}000001 {number}\n" for number in range(12)))
    with open_camera(camera(tmp_path / "v.avi", timestamps=str(times))) as capture:
        images = read_all(capture)
    assert [image.t_ns for image in images] == [1_700_000_000_000_000_001 + n * 10**6 for n in range(12)]
    assert [int(image.pixels.mean()) for image in images] == pytest.approx(list(range(0, 240, 20)), abs=3)


def test_mjpeg_is_read_at_once_with_the_times_the_server_sends():
    sent: list[int] = []

    def parts() -> Iterator[bytes]:
        for number in range(8):
            time.sleep(0.1)
            now = time.time_ns()
            sent.append(now)
            yield part(jpeg(20 * number), f"{now // 10**9}.{now % 10**9:09d}")
        time.sleep(5)

    with server(parts()) as url, open_camera(camera(url + "/hall.mjpeg")) as capture:
        late = []
        for _ in range(8):
            image = first(capture)
            late.append((time.time_ns() - image.t_ns) / 1e9)
            assert image.t_ns in sent
    assert float(np.median(late)) < 0.1, "frames wait in a buffer"


def test_live_frames_beyond_the_fps_are_thinned_and_unread_ones_replaced():
    def parts() -> Iterator[bytes]:
        for number in range(1000):
            yield part(jpeg(number % 250))
            time.sleep(0.01)

    with server(parts()) as url:
        with open_camera(camera(url, fps=20)) as capture:
            first(capture)
            time.sleep(0.5)
            started, index = time.monotonic(), first(capture).index
            assert first(capture).index > index
            assert time.monotonic() - started < 2
            first(capture)
        assert capture.counters["thinned"] > 10
        assert capture.counters["skipped"] > 2


def test_a_silent_camera_is_ended_and_reported_and_can_be_opened_again():
    def parts() -> Iterator[bytes]:
        yield part(jpeg(50))
        time.sleep(30)

    with server(parts()) as url:
        capture = open_camera(camera(url), stall_s=1.5)
        with capture:
            first(capture)
            pid = capture.pid or 0
            with pytest.raises(DeviceLost, match=r"^no frame for \d s"):
                read_on(capture)
            assert not is_alive(pid)
    with server(iter([part(jpeg(70)), part(jpeg(70))])) as url:
        again = open_camera(camera(url))
        with again:
            first(again)
        with again, pytest.raises(DeviceLost):  # the stream has ended by now
            read_on(again)
    assert again.counters["opened"] == 2


def test_a_hanging_capture_process_is_killed_whatever_it_hangs_in():
    """A stopped process answers no signal but SIGKILL, like one that hangs in a driver."""

    def parts() -> Iterator[bytes]:
        while True:
            yield part(jpeg(50))
            time.sleep(0.02)

    with server(parts()) as url, open_camera(camera(url), stall_s=1.5) as capture:
        first(capture)
        pid = capture.pid or 0
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(DeviceLost, match="no frame for"):
            read_on(capture)
        assert not is_alive(pid)


def test_a_killed_capture_process_is_a_lost_device():
    with server(iter([part(jpeg(50))] * 3)) as url, open_camera(camera(url, fps=1)) as capture:
        first(capture)
        os.kill(capture.pid or 0, signal.SIGKILL)
        with pytest.raises(DeviceLost, match="signal 9"):
            read_on(capture)


@pytest.mark.parametrize(
    ("source", "kind", "says"),
    [
        ("/nowhere/film.mp4", DeviceNotFound, "no such file or folder"),
        ("EMPTY", DeviceNotFound, "no images in this folder"),
        ("TEXT", DeviceRefused, "is no video that OpenCV can read"),
        ("97", DeviceNotFound, "no camera 97: /dev/video97 does not exist"),
        ("http://127.0.0.1:9/x.mjpeg", DeviceNotFound, "cannot be reached: Connection refused"),
        ("http://[bad", DeviceNotFound, "cannot be reached: Invalid IPv6 URL"),
        ("rtsp://u:hush@127.0.0.1:9/x", DeviceNotFound, r"rtsp://u:\*\*\*@127.0.0.1:9/x cannot be reached"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(tmp_path: Path, source: str, kind: type[Exception], says: str):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.mp4").write_text("not a film")
    source = {"EMPTY": str(tmp_path / "empty"), "TEXT": str(tmp_path / "notes.mp4")}.get(source, source)
    with open_camera(camera(source)) as capture, pytest.raises(kind, match=says) as caught:
        first(capture)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(("path", "kind"), [("/missing", DeviceNotFound), ("/secret", DeviceRefused)])
def test_http_refusals_are_sentences(path: str, kind: type[Exception]):
    with server(iter([])) as url, open_camera(camera(url + path)) as capture, pytest.raises(kind, match="HTTP 40"):
        first(capture)


@pytest.mark.parametrize("size", [1, 7, 100, 10**6])
@pytest.mark.parametrize("length", [True, False])
def test_mjpeg_parser_finds_the_same_frames_in_any_chopping(size: int, length: bool):
    bodies = [jpeg(level) for level in (10, 90, 200)]
    data = b"preamble\r\n" + b"".join(part(body, "1700000000.5", length) for body in bodies)
    parser = MjpegParser("frame")
    found = [f for start in range(0, len(data), size) for f in parser.feed(data[start : start + size], start)]
    assert [f.data for f in found] == bodies
    assert {f.t_ns for f in found} == {1_700_000_000_500_000_000}


def test_mjpeg_parser_goes_on_after_garbage_and_wrong_lengths():
    good = jpeg(90)
    lying = part(good).replace(str(len(good)).encode(), b"999999")
    data = part(b"no jpeg at all") + lying + part(good)
    parser = MjpegParser("")
    found = parser.feed(data, 5)
    assert [f.data for f in found] == [good, good]
    assert parser.counters == {"frames": 2, "garbage": 1}
    noise = np.random.default_rng(1).integers(0, 256, 50_000, np.uint8).tobytes()
    parser.feed(noise, 6)
    assert [f.data for f in parser.feed(b"\r\n" + part(good) + part(good), 7)][-1] == good


def test_an_unstamped_frame_is_dated_to_its_first_byte():
    body = jpeg(10)
    parser, data = MjpegParser("frame"), part(body) + b"--frame\r\n"
    head = data.index(b"\r\n\r\n") + 4
    assert parser.feed(data[:head], 1) == []
    assert parser.feed(data[head : head + 10], 2) == []
    assert [f.t_ns for f in parser.feed(data[head + 10 :], 3)] == [2]
    assert [f.t_ns for f in parser.feed(part(body)[len(b"--frame\r\n") :], 9)] == [9]


def test_thinning_keeps_the_rate_on_average_and_every_frame_of_a_slower_camera():
    fast, slow = Thinning(5.0), Thinning(5.0)
    jitter = np.random.default_rng(0).normal(0, 5e6, 300)
    kept = sum(fast.wants(int(n * 1e9 / 30 + jitter[n] + 1e18)) for n in range(300))
    assert 48 <= kept <= 53
    assert all(slow.wants(int(n * 2e8 + jitter[n] + 1e18)) for n in range(100))


def test_passwords_are_not_shown():
    assert redacted("rtsp://me:p@ss:word@cam:554/1?a=b") == "rtsp://me:***@cam:554/1?a=b"
    assert redacted("http://cam:80/a@b") == "http://cam:80/a@b"
