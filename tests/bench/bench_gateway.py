"""The phone gateway: 100 phones that upload 50 Hz of three sensors once a second, over real HTTP, in one process.

The endpoint runs here as its node runs it (the HTTP server's thread, and the loop that takes finished seconds and
encodes them); the phones are a process of their own. The figure is the share of one core that the gateway's process
used (`process_time`) while they uploaded in real time, for each of the two formats.
"""

import http.client
import json
import multiprocessing
import time
from collections.abc import Sequence

from whowhere.drivers.phone.batches import SECOND_NS, Scan, in_order
from whowhere.drivers.phone.endpoint import Endpoint
from whowhere.drivers.phone.gateway import Uploads
from whowhere.drivers.simulated.phones_twin import as_ours, as_sensor_logger
from whowhere.drivers.wifi.pseudonyms import access_point_pseudonym
from whowhere.messages import encode
from whowhere.sitefile import Gateway, Phone

PHONES, HZ, SECONDS, LEAST_S = 100, 50, 15, 3
ACCESS_POINTS = 60  # of a scan every two seconds
MUST = 0.30  # of one core
FORMATS = {"our JSON": as_ours, "Sensor Logger": as_sensor_logger}


def bodies(form: str, second: int, phone: int) -> bytes:
    """What one phone sends of the second that ended at `second` (UTC s)."""
    t_ns = [second * SECOND_NS - n * SECOND_NS // HZ for n in range(HZ)]
    value = [[0.1234 + phone / 7, -0.5678, 9.8123]] * HZ
    samples = {name: in_order(t_ns, value) for name in ("acc", "gyro", "mag")}
    scans: Sequence[Scan] = ()
    if second % 2 == phone % 2:
        heard = tuple((f"02:00:00:00:{n:02x}:{phone % 4:02x}", -50.0 - n % 40) for n in range(ACCESS_POINTS))
        scans = (Scan(second * SECOND_NS - 1000, second * SECOND_NS - 1000, heard),)
    return FORMATS[form](samples, scans, second)


def upload(port: int, form: str, seconds: int) -> None:
    """All phones, spread over the second, each over a connection of its own that stays open."""
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=5) for _ in range(PHONES)]
    first = int(time.time()) + 3 + seconds // 2  # the bodies are made before anything is timed
    made: dict[int, list[bytes]] = {}
    for second in range(first, first + seconds):
        made[second] = [bodies(form, second, phone) for phone in range(PHONES)]
    for second, parcels in made.items():
        for phone, body in enumerate(parcels):
            time.sleep(max(0.0, second + 0.05 + phone / PHONES * 0.9 - time.time()))
            connections[phone].request("POST", "/upload", body, {"Authorization": f"Bearer token-{phone}"})
            response = connections[phone].getresponse()
            assert response.status == 200, response.read()
            response.read()


def measure(form: str, seconds: int) -> dict[str, object]:
    phones = tuple(Phone(id=f"phone-{n}", owner="Ada", token=f"token-{n}") for n in range(PHONES))
    names: dict[str, str] = {}

    def pseudonym(address: str) -> str:
        return names.get(address) or names.setdefault(address, access_point_pseudonym(b"k" * 32, address))

    with Endpoint(Gateway(port=0), phones, Uploads([phone.id for phone in phones], pseudonym)) as endpoint:
        port = int(endpoint.url.rsplit(":", 1)[1].split("/")[0])
        process = multiprocessing.get_context("spawn").Process(target=upload, args=(port, form, seconds))
        process.start()
        while not endpoint.counters["uploads"] and process.is_alive():
            time.sleep(0.01)
        used_s, wall_s, given, size = time.process_time(), time.monotonic(), 0, 0
        while process.is_alive():
            for batch in endpoint.due():
                size += len(encode(batch))
                given += 1
            time.sleep(0.05)
        used_s, wall_s = time.process_time() - used_s, time.monotonic() - wall_s
        counters = endpoint.counters
    if process.exitcode or counters["uploads"] != PHONES * seconds or counters["late"] or counters["damaged"]:
        raise AssertionError(f"{form}: exit {process.exitcode}, {json.dumps(counters)}")
    if given < PHONES * (seconds - LEAST_S):
        raise AssertionError(f"{form}: only {given} seconds of {PHONES * seconds} were given")
    share = used_s / wall_s
    return {
        "case": f"{PHONES} phones x {HZ} Hz, {form}",
        "ours": round(share, 3),
        "peer": MUST,
        "peer_name": "must be under",
        "unit": "share of one core",
        "ratio": round(MUST / share, 2),
    }


def run(runs: int = SECONDS) -> list[dict[str, object]]:
    """One row per format; ratio > 1 means under the limit. runs: seconds of each."""
    return [measure(form, max(runs, LEAST_S + 1)) for form in FORMATS]


if __name__ == "__main__":
    print(json.dumps({"bench": "gateway", "rows": run()}, indent=1))
