"""Sessions: what the bus said, in an MCAP file, byte for byte and in the order in which it was heard.

Bodies are stored as they flew (encoding "msgpack"), one channel per topic and boot id; the site file and the hashes
of the models stand at the start, so that a file cut by a power failure has them too. The writer hands a whole chunk
to the operating system every half second (zstd more than halves a chunk, for 3 us a message); what a cut file still
holds is read, and said. It neither decodes what it writes nor sorts what it reads. docs/wire.md describes the layout.
"""

import os
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self, cast

import zstandard
from mcap.exceptions import InvalidMagic, McapError
from mcap.records import Attachment, Channel, Chunk, DataEnd, McapRecord, Metadata
from mcap.records import Message as McapMessage
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap.writer import CompressionType, Writer

from ..messages import SCHEMA_VERSION, BadMessage, Message, Stamp, decode
from ..sitefile import Site, site_from_json
from .bus import Received

CHUNK_S = 0.5  # so a process killed at any moment loses less than a second
CHUNK_BYTES = 1 << 20
MAX_RECORD_BYTES = 1 << 28  # a corrupt length must not eat the memory
MAX_CHANNELS = 60_000  # channel ids have 16 bits
SITE_FILE, MODELS, ABOUT = "site.json", "models", "whowhere"
# What reading a damaged file may raise: cut fields, cut records, wrong checksums and lengths.
_BROKEN = (McapError, struct.error, zstandard.ZstdError, ValueError, KeyError, MemoryError, OverflowError)


class SessionError(Exception):
    """A file cannot be read or written as a session; the text is one sentence."""


class Record(NamedTuple):
    """One message of a session; log_time_ns: when the recorder received it, by the recorder's clock."""

    topic: str
    stamp: Stamp
    seq: int
    body: bytes
    log_time_ns: int


class SessionWriter:
    """Writes a new file; never over another. Raises SessionError where it cannot be made, OSError on a full disk.

    messages, bytes: what was written, as counted by `write` and by the operating system.
    """

    def __init__(self, path: str | Path, site_json: str, models: Mapping[str, str] | None = None) -> None:
        self.path = Path(path)
        self.messages = 0
        self._channels: dict[tuple[str, str], int] = {}
        try:
            self._file = _File(self.path)
        except FileExistsError as error:
            raise SessionError(f"{path} exists already, and a recording is never written over another") from error
        except OSError as error:
            raise SessionError(f"{path} cannot be written: {error.strerror}") from error
        self._writer = Writer(cast("IO[bytes]", self._file), CHUNK_BYTES, CompressionType.ZSTD)
        self._flushed = time.monotonic()
        try:
            self._open(site_json, models or {})
        except OSError:
            self._file.close()
            self.path.unlink()  # nothing was said in it yet
            raise

    def _open(self, site_json: str, models: Mapping[str, str]) -> None:
        now_ns = time.time_ns()
        self._writer.start(profile="", library="whowhere")
        self._writer.add_attachment(now_ns, now_ns, SITE_FILE, "application/json", site_json.encode())
        self._writer.add_metadata(ABOUT, {"schema": str(SCHEMA_VERSION)})
        self._writer.add_metadata(MODELS, dict(models))

    @property
    def bytes(self) -> int:
        return self._file.written

    @property
    def is_full(self) -> bool:
        """Whether the format has no room for further topics, after weeks; the next file has."""
        return len(self._channels) >= MAX_CHANNELS

    def write(self, received: Received, log_time_ns: int) -> None:
        key = (received.topic, received.stamp.boot)
        channel = self._channels.get(key)
        if channel is None:
            boot = {"boot": received.stamp.boot}
            channel = self._channels[key] = self._writer.register_channel(received.topic, "msgpack", 0, boot)
        sequence = received.message.seq & 0xFFFFFFFF
        self._writer.add_message(channel, log_time_ns, received.body, received.stamp.t_sent_ns, sequence)
        self.messages += 1
        self.flush_when_due()

    def flush_when_due(self) -> None:
        """Close the chunk if it is half a second old; to be called while nothing comes in, too."""
        if time.monotonic() - self._flushed >= CHUNK_S:
            self._writer.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Finish the file. Where the disk is full it stays cut, which a reader can live with."""
        if self._file.closed:
            return
        try:
            if not self._file.has_failed:
                self._writer.finish()
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _File:
    """A new file that writes everything at once or raises, and remembers that it failed: a buffer that still holds
    what a full disk did not take would try again, and fail again, whenever it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self.written = 0
        self.has_failed = self.closed = False

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        try:
            while len(left):
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            self.has_failed = True
            error.filename = self._path
            raise
        self.written += len(data)
        return len(data)

    def tell(self) -> int:
        return self.written

    def flush(self) -> None:
        pass

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._descriptor)


class Session:
    """A recorded session. Raises SessionError when the file is not one.

    ended: after reading, one sentence where the file was cut or damaged, else None.
    counters: read, malformed (bodies that are no message; counted by `messages`), foreign (channels of other
    programs), damaged (chunks left out because their checksum is wrong).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.ended: str | None = None
        self.counters = {"read": 0, "malformed": 0, "foreign": 0, "damaged": 0}
        self._is_cut = False
        try:
            if self.path.stat().st_size == 0:
                raise SessionError(f"{path} is not a recording: it is empty")
            with self.path.open("rb") as file:
                next(StreamReader(file, record_size_limit=MAX_RECORD_BYTES).records)
        except OSError as error:
            raise SessionError(f"{path} cannot be read: {error.strerror}") from error
        except (InvalidMagic, struct.error, StopIteration) as error:
            raise SessionError(f"{path} is not a recording: it does not begin like an MCAP file") from error
        except _BROKEN as error:
            raise SessionError(f"{path} is not a recording, or was cut in its first bytes: {error}") from error

    def site(self) -> Site:
        """The site file in force when the recording began. Raises SessionError where it is missing."""
        return site_from_json(self.site_json())

    def site_json(self) -> bytes:
        for record in self._whole_records():
            if isinstance(record, Attachment) and record.name == SITE_FILE:
                return record.data
            if isinstance(record, Chunk):
                break
        raise SessionError(f"{self.path} holds no site file: it is not a recording of whowhere, or was cut at once")

    def models(self) -> dict[str, str]:
        """The sha256 of each model in force, by name."""
        for record in self._whole_records():
            if isinstance(record, Metadata) and record.name == MODELS:
                return dict(record.metadata)
            if isinstance(record, Chunk):
                break
        return {}

    def records(self) -> Iterator[Record]:
        """Every message in file order, undecoded. Counts anew, and sets `ended` when it comes to the end."""
        self.ended = None
        self.counters.update(dict.fromkeys(self.counters, 0))
        channels: dict[int, tuple[str, str]] = {}
        for record in self._whole_records():
            for part in self._parts(record) if isinstance(record, Chunk) else (record,):
                if isinstance(part, Channel) and part.message_encoding == "msgpack" and "boot" in part.metadata:
                    channels[part.id] = (part.topic, part.metadata["boot"])
                elif isinstance(part, McapMessage):
                    if part.channel_id not in channels:
                        self.counters["foreign"] += 1
                        continue
                    topic, boot = channels[part.channel_id]
                    self.counters["read"] += 1
                    yield Record(topic, Stamp(boot, part.publish_time), part.sequence, part.data, part.log_time)
        if self._is_cut:
            self.ended = (
                f"{self.path} was cut (it has no orderly end): the {self.counters['read']} messages up to its last "
                "whole chunk can be read; up to a second is missing"
            )
        if damaged := self.counters["damaged"]:
            said = f"{self.path} is damaged: {damaged} of its chunks, each up to a second, cannot be read"
            self.ended = f"{self.ended}; {said}" if self.ended else said

    def messages(self) -> Iterator[Message]:
        """Every message in file order; what cannot be decoded is counted as malformed."""
        for record in self.records():
            try:
                yield decode(record.body)
            except BadMessage:
                self.counters["malformed"] += 1

    def _parts(self, chunk: Chunk) -> list[McapRecord]:
        try:
            return breakup_chunk(chunk, validate_crc=True)
        except _BROKEN:
            self.counters["damaged"] += 1
            return []

    def _whole_records(self) -> Iterator[McapRecord]:
        """The file's records up to its end, or to where it was cut."""
        self._is_cut = False
        with self.path.open("rb") as file:
            reader = StreamReader(file, emit_chunks=True, record_size_limit=MAX_RECORD_BYTES).records
            while True:
                try:
                    record = next(reader)
                except _BROKEN:
                    self._is_cut = True
                    return
                if isinstance(record, DataEnd):
                    return
                yield record


def read_session(path: str | Path) -> Iterator[Message]:
    """The messages of a recorded session, in the order in which they were heard. Raises SessionError."""
    yield from Session(path).messages()


def free_path(path: str | Path) -> Path:
    """`path`, or name-2, name-3 ... beside it: the first that does not exist."""
    path = Path(path)
    taken, number = path, 1
    while taken.exists():
        number += 1
        taken = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return taken
