"""Motion JPEG over HTTP: what IP cameras, phones and the simulator serve. Parts in, JPEG bytes with a time out.

OpenCV reads such streams, too, but drops the time the server sends with each frame, decodes frames nobody wants, and
needs four times the memory to do so. The parser is pure; `open_stream` does the I/O. Nothing is decoded here.
"""

import base64
import http.client
import re
import time
from collections.abc import Iterator
from email.message import Message
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from ..errors import DeviceLost, DeviceNotFound, DeviceRefused

MAX_PART_BYTES = 16 * 2**20  # a guard against garbage; a 4K JPEG has some 2 MB
OPEN_S = 5.0
MAX_REDIRECTS = 3
_PASSWORD = re.compile(r"(://[^/@:]*):[^/]*@")
_BOUNDARY_LINE = re.compile(rb"(--[^\r\n]+)\r\n")
JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"


class Jpeg(NamedTuple):
    """data: one JPEG file. t_ns: UTC ns. is_stamped: the server said when; else t_ns is the arrival of the part."""

    data: bytes
    t_ns: int
    is_stamped: bool


class MjpegParser:
    """feed(data, t_ns) -> the JPEGs completed by these bytes; t_ns is the arrival of their end.

    Accepts parts with or without Content-Length, any chopping, and finds the next part after garbage. A frame without
    a stamp is dated to the arrival of its first byte. boundary: from the Content-Type; "" = learn it from the stream.
    counters: frames, garbage (parts that were no JPEG, or bytes up to the next boundary).
    """

    def __init__(self, boundary: str) -> None:
        self._boundary = b"--" + boundary.encode("latin-1").removeprefix(b"--") if boundary else b""
        self._buffer = bytearray()
        self._arrived_ns = 0
        self._head: dict[bytes, bytes] | None = None
        self.counters = {"frames": 0, "garbage": 0}

    def feed(self, data: bytes, t_ns: int) -> list[Jpeg]:
        if self._head is not None and not self._buffer:
            self._arrived_ns = t_ns
        self._buffer += data
        found = []
        while True:
            if self._head is None:
                if not self._take_head():
                    break
                self._arrived_ns = t_ns
            body = self._take_body()
            if body is None:
                break
            if jpeg := self._jpeg(body):
                found.append(jpeg)
        if len(self._buffer) > MAX_PART_BYTES:
            self._buffer.clear()
            self._head = None
            self.counters["garbage"] += 1
        return found

    def _take_head(self) -> bool:
        """Move past a boundary and its header lines; False when they are not all here."""
        if not self._boundary and (line := _BOUNDARY_LINE.search(self._buffer)):
            self._boundary = line[1]
        if not self._boundary:
            return False
        start = self._buffer.find(self._boundary)
        if start < 0:
            return False
        end = self._buffer.find(b"\r\n\r\n", start)
        if end < 0:
            return False
        lines = bytes(self._buffer[start + len(self._boundary) : end]).split(b"\r\n")
        pairs = (line.partition(b":") for line in lines)
        self._head = {key.strip().lower(): value.strip() for key, colon, value in pairs if colon}
        del self._buffer[: end + 4]
        return True

    def _take_body(self) -> bytes | None:
        """The part's bytes once they are all here. Without a length, a JPEG's end marker at the end of what has
        arrived is the end: waiting for the next boundary would cost a frame's time."""
        length = _number((self._head or {}).get(b"content-length"))
        if length is not None and length <= MAX_PART_BYTES and self._is_next(length):
            if len(self._buffer) < length:
                return None
        else:
            length = self._buffer.find(self._boundary)
            if length < 0:
                trimmed = bytes(self._buffer[-4:]).rstrip(b"\r\n")
                if not trimmed.endswith(JPEG_END):
                    return None
                length = len(self._buffer)
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _is_next(self, length: int) -> bool:
        """Whether a body of this length is plausible: the next boundary, where already seen, comes not before it."""
        return not 0 <= self._buffer.find(self._boundary) < length

    def _jpeg(self, body: bytes) -> Jpeg | None:
        head, self._head = self._head or {}, None
        body = body.rstrip(b"\r\n")
        if not body.startswith(JPEG_START):
            self.counters["garbage"] += 1
            return None
        self.counters["frames"] += 1
        stamp = _nanoseconds(head.get(b"x-timestamp"))
        return Jpeg(body, stamp or self._arrived_ns, stamp is not None)


class Stream(NamedTuple):
    """An answered request. content_type: in lower case, e.g. "image/jpeg"; boundary: "" unless multipart."""

    response: http.client.HTTPResponse
    content_type: str
    boundary: str


def open_stream(url: str) -> Stream:
    """GET the URL. Raises DeviceNotFound (unreachable, no such page) and DeviceRefused (credentials wanted)."""
    response = _get(url)
    for _ in range(MAX_REDIRECTS):
        if response.status in (301, 302, 303, 307, 308):
            url = urljoin(url, response.headers.get("Location", ""))
            response = _get(url)
    where = redacted(url)
    if response.status in (401, 403):
        raise DeviceRefused(
            f"{where} wants another user name and password (HTTP {response.status}): "
            "write them as http://USER:PASSWORD@HOST/..."
        )
    if response.status != 200:
        raise DeviceNotFound(f"{where} answered HTTP {response.status} {response.reason}: check the path")
    head = Message()
    head["Content-Type"] = response.headers.get("Content-Type", "")
    return Stream(response, head.get_content_type(), str(head.get_param("boundary") or ""))


def jpegs(stream: Stream, parser: MjpegParser) -> Iterator[Jpeg]:
    """The stream's frames as they arrive. Raises DeviceLost when it ends or breaks."""
    while True:
        try:
            data = stream.response.read1(65536)
        except (OSError, http.client.HTTPException) as error:
            raise DeviceLost(f"the stream broke: {error}") from error
        if not data:
            raise DeviceLost("the server ended the stream")
        yield from parser.feed(data, time.time_ns())


def redacted(url: str) -> str:
    """The URL without its password, for sentences that people and logs see."""
    return _PASSWORD.sub(r"\1:***@", url, count=1)


def _get(url: str) -> http.client.HTTPResponse:
    try:
        parts = urlsplit(url)
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = connect(parts.hostname or "", parts.port, timeout=OPEN_S)
        headers = {"User-Agent": "whowhere"}
        if parts.username is not None:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(secret).decode()
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=headers)
        response = connection.getresponse()
        if connection.sock is not None:
            connection.sock.settimeout(None)  # from here on the parent process judges how long silence may last
        return response
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DeviceNotFound(f"{redacted(url)} cannot be reached: {reason}") from error


def _number(text: bytes | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _nanoseconds(text: bytes | None) -> int | None:
    """UNIX seconds "1700000000.123456789" as exact ns; None for what is no plausible time."""
    whole, _, fraction = (text or b"").partition(b".")
    if not whole.isdigit() or (fraction and not fraction.isdigit()) or len(whole) > 10:
        return None
    t_ns = int(whole) * 10**9 + int(fraction[:9].ljust(9, b"0") or b"0")
    return t_ns if t_ns > 10**18 else None
