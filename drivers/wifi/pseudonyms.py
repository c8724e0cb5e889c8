"""Hardware addresses become keyed pseudonyms here, inside the WiFi node; nothing behind this knows an address.

An enrolled, consenting person's device has one pseudonym for as long as the site keeps its key. Anybody else's is only
counted or, where the site file asks for it, given a pseudonym that changes every day (UTC, by packet time), so that no
one can be followed from one day to the next. Without the key neither can be computed from an address.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ...sitefile import ENROLLED, SiteError

_KEY_BYTES = 32
_DIGITS = 16  # 64 bits: two of a thousand devices share one with a probability below 1e-13
_DAY_NS = 86_400_000_000_000
_MOST_REMEMBERED = 10_000


class Pseudonyms:
    """key: the site's secret. enrolled: addresses of consenting people. unenrolled: what becomes of all others."""

    def __init__(
        self, key: bytes, enrolled: Iterable[str], unenrolled: Literal["count", "pseudonym"] = "count"
    ) -> None:
        self._key = key
        self._enrolled = {_bytes_of(address): enrolled_pseudonym(key, address) for address in enrolled}
        self._lists_unenrolled = unenrolled == "pseudonym"
        self._day = -1
        self._day_key = b""
        self._today: dict[bytes, str] = {}

    def is_enrolled(self, address: bytes) -> bool:
        return address in self._enrolled

    def of(self, address: bytes, t_ns: int) -> str | None:
        """The pseudonym of a 6-byte address at a time (UTC ns); None for a device that is only to be counted."""
        if name := self._enrolled.get(address):
            return name
        if not self._lists_unenrolled:
            return None
        day = t_ns // _DAY_NS
        if day != self._day or len(self._today) > _MOST_REMEMBERED:
            self._day, self._today = day, {}
            self._day_key = hmac.digest(self._key, b"day %d" % day, hashlib.sha256)
        name = self._today.get(address)
        if name is None:
            name = self._today[address] = _name("day-", self._day_key, address)
        return name


def enrolled_pseudonym(key: bytes, address: str) -> str:
    """The lasting pseudonym of an enrolled device. Raises ValueError where `address` is no hardware address."""
    return _name(ENROLLED, key, b"enrolled " + _bytes_of(address))


def access_point_pseudonym(key: bytes, address: str) -> str:
    """The lasting pseudonym of an access point that phones hear. Raises ValueError where `address` is no address."""
    return _name("ap-", key, b"access point " + _bytes_of(address))


def load_key(path: str | Path) -> bytes:
    """The site's 32-byte secret; made at random, readable by its owner only, where there is none yet.

    Several processes may ask at once: all get the same key. Raises SiteError with one sentence.
    """
    path = Path(path)
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise SiteError(f'privacy.key = "{path}": cannot be read or made: {error.strerror}') from error
    if len(key) != _KEY_BYTES:
        raise SiteError(
            f'privacy.key = "{path}": holds {len(key)} bytes, a key has {_KEY_BYTES}: restore it, or delete it to make '
            "a new one (all pseudonyms change)"
        )
    return key


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename, this never replaces the key another process has just made
        except FileExistsError:
            return
    finally:
        draft.unlink()


def _bytes_of(address: str) -> bytes:
    raw = bytes.fromhex(address.replace(":", "").replace("-", ""))
    if len(raw) != 6:
        raise ValueError(f'"{address}" is not a hardware address like "a4:83:e7:12:34:56"')
    return raw


def _name(prefix: str, key: bytes, message: bytes) -> str:
    return f"{prefix}{hmac.new(key, message, hashlib.sha256).hexdigest()[:_DIGITS]}"
