"""The app on a simulated phone: uploads over real HTTP to the gateway, once a second, as a phone's app would.

Every other phone speaks our own JSON, the rest what Sensor Logger pushes. What cannot be delivered is kept for a while
and sent again, the same bytes, so that a gateway that was started again misses nothing; nothing here waits for it but
one thread.
"""

import contextlib
import http.client
import json
import ssl
import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...sitefile import Gateway
from ..phone.batches import SECOND_NS, SENSORS, Samples, Scan
from .faults import Condition
from .phones import PhoneSensors

UPLOAD_NS = 150_000_000  # how long after a second's end the app has sent it
KEPT = 120  # uploads of one phone that wait for a gateway
PATIENCE_S = 2.0
AGAIN_S = 0.5
_PUSHED_NAMES = {"acc": "totalacceleration", "gyro": "gyroscope", "mag": "magnetometer"}


class _Parcel(NamedTuple):
    token: str
    body: bytes
    counters: dict[str, int]


class PhoneTwin:
    """One simulated phone. counters: uploads (made), delivered, refused (by the gateway), again (tried once more),
    dropped (never delivered)."""

    def __init__(self, sensors: PhoneSensors, courier: "Courier", number: int, now_ns: int) -> None:
        self.id = sensors.phone.id
        self.counters: dict[str, int] = {"uploads": 0, "delivered": 0, "refused": 0, "again": 0, "dropped": 0}
        self._sensors, self._courier = sensors, courier
        self._write = as_ours if number % 2 == 0 else as_sensor_logger
        self._rng = np.random.default_rng([sensors.world.seed, 66, number])
        epoch_ns = sensors.world.epoch_ns
        self._next_ns = (max(now_ns, epoch_ns) // SECOND_NS + 2) * SECOND_NS
        self._waiting: deque[tuple[int, bytes]] = deque(maxlen=KEPT)

    def step(self, now_ns: int, condition: Condition) -> int:
        """Make and hand over what is due; returns when to come again."""
        late_ns = int(condition.late * 1e9)
        while self._next_ns + UPLOAD_NS <= now_ns:
            if not (condition.unplug or condition.silent):
                body = self._body(self._next_ns, int(condition.offset * 1e9))
                self._waiting.append((self._next_ns + late_ns, condition.damage(body, self._rng)))
                self.counters["uploads"] += 1
            self._next_ns += SECOND_NS
            if now_ns - self._next_ns > KEPT * SECOND_NS:
                self._next_ns = now_ns // SECOND_NS * SECOND_NS
        while self._waiting and self._waiting[0][0] + UPLOAD_NS <= now_ns:
            self._courier.send(_Parcel(self._sensors.phone.token, self._waiting.popleft()[1], self.counters))
        following = min(self._next_ns, *(due_ns for due_ns, _ in self._waiting)) if self._waiting else self._next_ns
        return following + UPLOAD_NS

    def close(self) -> None:
        """Nothing is held open for one phone alone."""

    def _body(self, end_ns: int, offset_ns: int) -> bytes:
        samples, scan = self._sensors.samples(end_ns), self._sensors.scan(end_ns)
        shifted = {name: Samples(t_ns + offset_ns, xyz) for name, (t_ns, xyz) in samples.items()}
        scans = [Scan(scan.heard_ns + offset_ns, scan.end_ns + offset_ns, scan.readings)] if scan else []
        return self._write(shifted, scans, end_ns)


class Courier:
    """Delivers parcels in order, in a thread of its own; a context manager. phones: bounds what is kept."""

    def __init__(self, gateway: Gateway, phones: int) -> None:
        self._most = KEPT * phones
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(gateway.host, gateway.host)
        self._host, self._port, self._is_tls = host, gateway.port, gateway.certificate is not None
        self._parcels: deque[_Parcel] = deque()
        self._news = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated-phones", daemon=True)

    def __enter__(self) -> "Courier":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._news.set()
        self._thread.join(timeout=PATIENCE_S + 1.0)

    def send(self, parcel: _Parcel) -> None:
        while len(self._parcels) >= self._most:
            self._parcels.popleft().counters["dropped"] += 1
        self._parcels.append(parcel)
        self._news.set()

    def _run(self) -> None:
        connection = self._connect()
        while not self._stop.is_set():
            if not self._parcels:
                self._news.wait(0.5)
                self._news.clear()
                continue
            parcel = self._parcels[0]
            try:
                status = _post(connection, parcel)
            except (OSError, http.client.HTTPException):
                parcel.counters["again"] += 1
                connection.close()
                connection = self._connect()
                self._stop.wait(AGAIN_S)
                continue
            with contextlib.suppress(IndexError):  # made room for a newer one meanwhile
                if self._parcels[0] is parcel:
                    self._parcels.popleft()
            parcel.counters["delivered" if status == 200 else "refused"] += 1
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if not self._is_tls:
            return http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE_S)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # to our own gateway, on this machine
        return http.client.HTTPSConnection(self._host, self._port, timeout=PATIENCE_S, context=context)


def as_ours(samples: dict[str, Samples], scans: Sequence[Scan], number: int) -> bytes:
    """Our own format (docs/phone.md)."""
    rows = {
        name: [
            [t_ns / 1e6, *xyz]
            for t_ns, xyz in zip(samples[name].t_ns.tolist(), samples[name].xyz.round(4).tolist(), strict=True)
        ]
        for name in SENSORS
        if name in samples
    }
    heard = [
        {"t_ms": scan.end_ns / 1e6, "heard": [{"bssid": bssid, "dbm": dbm} for bssid, dbm in scan.readings]}
        for scan in scans
    ]
    return json.dumps({**rows, "scans": heard}, separators=(",", ":")).encode()


def as_sensor_logger(samples: dict[str, Samples], scans: Sequence[Scan], number: int) -> bytes:
    """What the app Sensor Logger pushes (sources: drivers/phone/uploads.py)."""
    payload: list[dict[str, object]] = []
    for name, stream in samples.items():
        for t_ns, (x, y, z) in zip(stream.t_ns.tolist(), stream.xyz.round(4).tolist(), strict=True):
            values = {"z": z, "y": y, "x": x}
            payload.append({"name": _PUSHED_NAMES[name], "time": t_ns, "values": values, "accuracy": 3})
    for scan in scans:
        for bssid, dbm in scan.readings:
            values = {"ssid": "simulated", "bssid": bssid, "frequency": 2412, "level": dbm, "capabilities": "[ESS]"}
            payload.append({"name": "wifi", "time": scan.end_ns, "values": values})
    message = {"messageId": number // SECOND_NS, "sessionId": "simulated", "deviceId": "simulated", "payload": payload}
    return json.dumps(message, separators=(",", ":")).encode()


def _post(connection: http.client.HTTPConnection, parcel: _Parcel) -> int:
    headers = {"Authorization": f"Bearer {parcel.token}", "Content-Type": "application/json"}
    connection.request("POST", "/upload", parcel.body, headers)
    response = connection.getresponse()
    response.read()
    return response.status
