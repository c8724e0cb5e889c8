"""Uploads of many phones become one PhoneBatch a second and phone: in order, each sample once, on our clock.

Uploads come in any order, twice, late, with gaps and with wrong clocks. A second is given when it is complete and later
data has come, or when there has been time enough for what is missing. What cannot be used is counted. The time of
receipt is handed in: there is no clock here, no socket and no token.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...messages import PhoneBatch
from .batches import SECOND_NS, Samples, Scan, batch, cut_seconds, second_of
from .clock import AHEAD_NS, PhoneClock
from .uploads import STALE_NS, Upload, parse

ORDER_NS = SECOND_NS  # how long a second with a hole waits for what overtook it, once later data is here
SHORTEST_WAIT_NS, LONGEST_WAIT_NS = 2 * SECOND_NS, 30 * SECOND_NS  # ... and where no later data comes
EDGE_NS = SECOND_NS // 100  # with a sample this near to its end, nothing more of a second can come at 50 Hz
HOLE_NS = 3 * SECOND_NS // 10  # more than twice the period of a 10 Hz sensor
OLDEST_NS = 3600 * SECOND_NS  # what was sensed longer ago than this is of no use
ASTRAY_NS = 1800 * SECOND_NS  # from the upload's middle: a damaged time
MOST_SECONDS = 600  # of one upload, the newest; and of one phone, waiting
MOST_SAMPLES = 1000  # of one sensor and second
MOST_HELD, LONGEST_HELD_NS = 12, 20 * SECOND_NS  # uploads that wait until it is known whether a clock is wrong
REMEMBERED = 256  # bodies, by which a retry is known
SLOW_HZ = 20
COUNTED = ("uploads", "retries", "duplicates", "late", "ahead", "astray", "excess", "damaged", "stale",
           "without_gravity", "clock_corrections", "slow_seconds", "seconds_without_mag")  # fmt: skip


class _Held(NamedTuple):
    upload: Upload
    lag_ns: int
    heard_ns: int


class _Second:
    """What has come of one second."""

    __slots__ = ("chunks", "heard_ns", "scan")

    def __init__(self, heard_ns: int) -> None:
        self.heard_ns = heard_ns
        self.chunks: dict[str, list[Samples]] = {}
        self.scan: Scan | None = None

    def is_whole(self, end_ns: int) -> bool:
        """Whether each sensor that is in it has samples all through it."""
        for chunks in self.chunks.values():
            until_ns = end_ns - SECOND_NS
            for first_ns, last_ns in sorted((int(chunk.t_ns[0]), int(chunk.t_ns[-1])) for chunk in chunks):
                if first_ns - until_ns > HOLE_NS:
                    return False
                until_ns = max(until_ns, last_ns)
            if end_ns - until_ns > HOLE_NS:
                return False
        return bool(self.chunks)


class Uploads:
    """The phones of one site. phones: their ids. pseudonym: what an access point's address becomes (ValueError where it
    is no address). counters: COUNTED, samples but for uploads, retries, clock_corrections and seconds."""

    def __init__(self, phones: Iterable[str], pseudonym: Callable[[str], str]) -> None:
        self.counters: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self._pseudonym = pseudonym
        self._phones = {name: _Phone(name, self.counters) for name in phones}

    def take(self, phone: str, body: bytes, now_ns: int) -> bool:
        """Take in one upload of a phone, received at now_ns; False where it had been taken before (a retry).

        Raises BadUpload with one sentence where the body is no upload, KeyError for a phone that is none of ours.
        """
        known = self._phones[phone]
        digest = blake2b(body, digest_size=8).digest()
        if digest in known.bodies:
            self.counters["retries"] += 1
            return False
        upload = parse(body, self._pseudonym)
        known.bodies.append(digest)
        self.counters["uploads"] += 1
        self.counters.update(upload.skipped)
        known.take(upload, now_ns)
        return True

    def due(self, now_ns: int) -> list[PhoneBatch]:
        """The seconds that are complete or need wait no longer, by time, then phone."""
        ready = [message for phone in self._phones.values() for message in phone.due(now_ns)]
        return sorted(ready, key=lambda message: (message.t_ns, message.source))

    def finish(self) -> list[PhoneBatch]:
        """All that is left, at the end."""
        return self.due(2**62)

    @property
    def detail(self) -> str:
        """What people should know: whose clock is wrong and by how much; "" for nothing."""
        wrong = [f"{name}'s clock is {text}" for name, phone in self._phones.items() if (text := phone.clock_says)]
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return "; ".join(wrong[:3]) + more


class _Phone:
    def __init__(self, name: str, counters: Counter[str]) -> None:
        self.bodies: deque[bytes] = deque(maxlen=REMEMBERED)
        self._name, self._counters = name, counters
        self._clock = PhoneClock()
        self._held: deque[_Held] = deque()
        self._open: dict[int, _Second] = {}
        self._given_ns = 0  # the end of the last second given
        self._latest: dict[str, int] = {}  # each sensor's newest sample
        self._heard_ns = 0
        self._between_ns = SECOND_NS  # uploads, lately

    @property
    def clock_says(self) -> str:
        offset_s = self._clock.offset_ns / SECOND_NS
        return f"{abs(offset_s):.1f} s {'behind' if offset_s > 0 else 'ahead'}: corrected" if offset_s else ""

    def take(self, upload: Upload, now_ns: int) -> None:
        if self._heard_ns and now_ns > self._heard_ns:
            self._between_ns += (now_ns - self._heard_ns - self._between_ns) // 4
        self._heard_ns = max(self._heard_ns, now_ns)
        newest_ns, span_ns = _newest_ns(upload)
        first_ns, last_ns = newest_ns - ASTRAY_NS, newest_ns - span_ns + ASTRAY_NS  # near to every sample
        if span_ns > ASTRAY_NS or not all(first_ns <= scan.end_ns <= last_ns for scan in upload.scans):
            upload = self._without_astray(upload)
            newest_ns, span_ns = _newest_ns(upload)
        if not newest_ns:
            return
        self._between_ns = max(self._between_ns, span_ns)
        sent_ns = upload.sent_ns or newest_ns
        is_likely = -SECOND_NS <= sent_ns - newest_ns <= OLDEST_NS  # else the app does not mean what we do
        phone_ns = sent_ns if is_likely else newest_ns
        lag_ns = now_ns - phone_ns
        before = self._clock.corrections
        if self._clock.hear(phone_ns, lag_ns):
            self._counters["clock_corrections"] += self._clock.corrections - before
            self._release()
            self._place(upload, now_ns)
        else:
            self._held.append(_Held(upload, lag_ns, now_ns))
            if len(self._held) > MOST_HELD:
                self._let_go(self._held.popleft())

    def due(self, now_ns: int) -> list[PhoneBatch]:
        while self._held and now_ns - self._held[0].heard_ns > LONGEST_HELD_NS:
            self._let_go(self._held.popleft())
        ready = []
        for end_ns in sorted(self._open):
            if len(self._open) <= MOST_SECONDS and not self._is_ready(end_ns, now_ns):
                break
            ready.append(self._give(end_ns, self._open.pop(end_ns)))
        return ready

    def _is_ready(self, end_ns: int, now_ns: int) -> bool:
        second = self._open[end_ns]
        if self._latest and all(
            latest_ns > end_ns - EDGE_NS for latest_ns in self._latest.values() if latest_ns > end_ns - 2 * SECOND_NS
        ):
            follows = self._given_ns == end_ns - SECOND_NS
            return (follows and second.is_whole(end_ns)) or now_ns >= second.heard_ns + ORDER_NS
        wait_ns = min(max(3 * self._between_ns // 2, SHORTEST_WAIT_NS), LONGEST_WAIT_NS)
        return now_ns >= self._heard_ns + wait_ns

    def _give(self, end_ns: int, second: _Second) -> PhoneBatch:
        self._given_ns = end_ns
        samples = {name: self._merged(chunks) for name, chunks in second.chunks.items()}
        self._counters["slow_seconds"] += "acc" in samples and len(samples["acc"].t_ns) < SLOW_HZ
        self._counters["seconds_without_mag"] += "acc" in samples and "mag" not in samples
        return batch(self._name, end_ns, samples, second.scan)

    def _merged(self, chunks: list[Samples]) -> Samples:
        """In order, each instant once."""
        merged = _joined(chunks)
        if (merged.t_ns[1:] > merged.t_ns[:-1]).all():
            return merged
        t_ns, first = np.unique(merged.t_ns, return_index=True)
        self._counters["duplicates"] += len(merged.t_ns) - len(t_ns)
        return Samples(t_ns, merged.xyz[first])

    def _release(self) -> None:
        """The clock is known now: so are the times of what was held."""
        while self._held:
            held = self._held.popleft()
            self._place(held.upload, held.heard_ns)

    def _let_go(self, held: _Held) -> None:
        """Still unknown: older than it should be is late with a right clock, newer than now cannot be."""
        if held.lag_ns - self._clock.offset_ns > 0:
            self._place(held.upload, held.heard_ns)
        else:
            self._counters["ahead"] += sum(len(stream.t_ns) for stream in held.upload.samples.values())

    def _place(self, upload: Upload, now_ns: int) -> None:
        offset_ns = self._clock.offset_ns
        latest_ns, oldest_ns = now_ns + max(AHEAD_NS, SECOND_NS), now_ns - OLDEST_NS
        for name, stream in upload.samples.items():
            stream = self._within(Samples(stream.t_ns + offset_ns, stream.xyz), oldest_ns, latest_ns)
            for end_ns, chunk in cut_seconds(stream).items():
                self._add(name, end_ns, chunk, now_ns)
        for scan in upload.scans:
            self._add_scan(Scan(scan.heard_ns + offset_ns, scan.end_ns + offset_ns, scan.readings), now_ns)

    def _within(self, stream: Samples, oldest_ns: int, latest_ns: int) -> Samples:
        """The samples of seconds not given yet, in order."""
        if (stream.t_ns[1:] < stream.t_ns[:-1]).any():
            order = np.argsort(stream.t_ns, kind="stable")
            stream = Samples(stream.t_ns[order], stream.xyz[order])
        start, stop = np.searchsorted(stream.t_ns, (max(self._given_ns, oldest_ns), latest_ns), side="right").tolist()
        if start or stop < len(stream.t_ns):
            self._counters["late"] += start
            self._counters["ahead"] += len(stream.t_ns) - stop
            stream = Samples(stream.t_ns[start:stop], stream.xyz[start:stop])
        if len(stream.t_ns) and stream.t_ns[0] < stream.t_ns[-1] - MOST_SECONDS * SECOND_NS:
            start = int(np.searchsorted(stream.t_ns, stream.t_ns[-1] - MOST_SECONDS * SECOND_NS))
            self._counters["excess"] += start
            stream = Samples(stream.t_ns[start:], stream.xyz[start:])
        return stream

    def _add(self, name: str, end_ns: int, chunk: Samples, now_ns: int) -> None:
        second = self._open.setdefault(end_ns, _Second(now_ns))
        chunks = second.chunks.setdefault(name, [])
        chunks.append(chunk)
        self._latest[name] = max(self._latest.get(name, 0), int(chunk.t_ns[-1]))
        if sum(len(each.t_ns) for each in chunks) > MOST_SAMPLES:
            whole = self._merged(chunks)
            self._counters["excess"] += max(0, len(whole.t_ns) - MOST_SAMPLES)
            second.chunks[name] = [Samples(whole.t_ns[:MOST_SAMPLES], whole.xyz[:MOST_SAMPLES])]

    def _add_scan(self, scan: Scan, now_ns: int) -> None:
        """A scan whose second has been given goes with the next one, unless it is too old by then."""
        end_ns = second_of(scan.end_ns)
        if end_ns <= self._given_ns:
            end_ns = self._given_ns + SECOND_NS
        if scan.end_ns > now_ns + SECOND_NS or end_ns - scan.end_ns > STALE_NS:
            self._counters["ahead" if scan.end_ns > now_ns else "late"] += len(scan.readings)
            return
        second = self._open.setdefault(end_ns, _Second(now_ns))
        if second.scan is None or second.scan.end_ns < scan.end_ns:
            second.scan = scan

    def _without_astray(self, upload: Upload) -> Upload:
        if not upload.samples:
            return upload
        middle_ns = int(np.median(np.concatenate([stream.t_ns for stream in upload.samples.values()])))
        samples: dict[str, Samples] = {}
        for name, (t_ns, xyz) in upload.samples.items():
            near: NDArray[np.bool_] = np.abs(t_ns - middle_ns) <= ASTRAY_NS
            if near.any():
                samples[name] = Samples(t_ns[near], xyz[near])
            self._counters["astray"] += len(near) - int(np.count_nonzero(near))
        scans = [scan for scan in upload.scans if abs(scan.end_ns - middle_ns) <= ASTRAY_NS]
        self._counters["astray"] += sum(len(scan.readings) for scan in upload.scans) - sum(
            len(scan.readings) for scan in scans
        )
        return Upload(samples, scans, upload.sent_ns, upload.skipped)


def _newest_ns(upload: Upload) -> tuple[int, int]:
    """The newest time in an upload, 0 in an empty one, and how long before it the oldest is."""
    times = [int(t_ns) for stream in upload.samples.values() for t_ns in (stream.t_ns.min(), stream.t_ns.max())]
    times = times or [scan.end_ns for scan in upload.scans] or [0]
    return max(times), max(times) - min(times)


def _joined(chunks: list[Samples]) -> Samples:
    if len(chunks) == 1:
        return chunks[0]
    return Samples(np.concatenate([chunk.t_ns for chunk in chunks]), np.concatenate([chunk.xyz for chunk in chunks]))
