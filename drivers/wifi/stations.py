"""The access point's own table of who is connected and how strongly: texts of `iw` and `ubus` (protocols B8).

Pure: a text and when it was asked for in, sightings out. A station that sent nothing since the last look keeps its old
strength in the table; such rows are left out, since they tell where somebody was, not is.
"""

import json
import re
from collections import Counter
from typing import NamedTuple

from .dot11 import CLIENT, channel_number
from .sighting import Sighting

_ADDRESS = r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"
_STATION = re.compile(rf"^Station ({_ADDRESS})\b", re.IGNORECASE | re.MULTILINE)
_INACTIVE = re.compile(r"^\s*inactive time:\s*(\d+) ms", re.MULTILINE)
_SIGNAL = re.compile(r"^\s*signal:\s*(-?\d+)", re.MULTILINE)
_SLACK_MS = 50


class Row(NamedTuple):
    """A line of the table. inactive_ms: since the station was last heard; received: a count of what came from it;
    None where the access point does not tell."""

    address: bytes
    rssi_dbm: int
    inactive_ms: int | None
    received: int | None
    channel: int = 0


def parse_iw(text: str) -> list[Row]:
    """Rows of `iw dev X station dump`; stations without a signal are left out."""
    parts = _STATION.split(text)[1:]
    rows = []
    for address, block in zip(parts[::2], parts[1::2], strict=True):
        signal, inactive = _SIGNAL.search(block), _INACTIVE.search(block)
        if signal and -120 <= int(signal[1]) < 0:
            rows.append(Row(_raw(address), int(signal[1]), int(inactive[1]) if inactive else None, None))
    return rows


def parse_ubus(text: str) -> list[Row]:
    """Rows of `ubus call hostapd.X get_clients`. Raises ValueError with a reason where it is not that."""
    try:
        table = json.loads(text)
        clients = table["clients"].items()
        frequency = table.get("freq", 0)
        channel = channel_number(frequency) if isinstance(frequency, int) else 0
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise ValueError("the answer is not the JSON of get_clients") from error
    rows = []
    for address, client in clients:
        signal = client.get("signal") if isinstance(client, dict) else None
        if re.fullmatch(_ADDRESS, address, re.IGNORECASE) and isinstance(signal, int) and -120 <= signal < 0:
            rows.append(Row(_raw(address), signal, None, _received(client), channel))
    return rows


class StationTable:
    """Remembers the last look, to tell fresh rows from stale ones. counters: rows, stale."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self._asked_ns = 0
        self._last: dict[bytes, Row] = {}

    def fresh(self, rows: list[Row], t_ns: int) -> list[Sighting]:
        """Sightings of the stations heard since the last look; t_ns: when the table was asked for (UTC).

        They are stamped t_ns: the window they were sent in may be closed already, by at most one look.
        """
        since_ms = (t_ns - self._asked_ns) // 1_000_000
        fresh = [row for row in rows if self._is_fresh(row, since_ms)]
        self.counters["rows"] += len(rows)
        self.counters["stale"] += len(rows) - len(fresh)
        self._asked_ns, self._last = t_ns, {row.address: row for row in rows}
        return [Sighting(t_ns, row.address, row.rssi_dbm, row.channel, CLIENT) for row in fresh]

    def _is_fresh(self, row: Row, since_ms: int) -> bool:
        if self._asked_ns == 0:  # of what stands in the table at the first look, nobody knows since when
            return False
        if row.inactive_ms is not None:
            return row.inactive_ms < since_ms + _SLACK_MS
        before = self._last.get(row.address)
        return row.received is None or before is None or row.received != before.received


def _raw(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


def _received(client: dict[str, object]) -> int | None:
    """How much came from a station: the packet count, else the byte count, else nothing to tell staleness by."""
    for name in ("packets", "bytes"):
        counts = client.get(name)
        if isinstance(counts, dict) and isinstance(counts.get("rx"), int):
            return counts["rx"]
    return None
