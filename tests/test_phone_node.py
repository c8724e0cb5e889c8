"""The phones' node as it runs: real HTTP and HTTPS, tokens, what is refused, and simulated phones that upload to it."""

import http.client
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from buses import free_bus, node, running_hub, site_on
from msgspec.structs import replace
from whowhere.drivers.errors import DeviceRefused
from whowhere.drivers.phone.batches import SECOND_NS
from whowhere.drivers.phone.endpoint import check_reach
from whowhere.drivers.phone.uploads import MAX_BYTES
from whowhere.drivers.wifi.pseudonyms import access_point_pseudonym, load_key
from whowhere.launch.processes import process_table
from whowhere.launch.wiring import free_port, wire, with_free_ports
from whowhere.messages import Health, PhoneBatch
from whowhere.nodes import phone, simulated
from whowhere.nodes.bus import Subscriber
from whowhere.nodes.node import NodeConfig
from whowhere.sitefile import Gateway, Identity, Phone, Privacy, Site

TOKENS = {"phone-1": "one-secret-token", "phone-2": "another secret, with spaces & ümlauts"}
ADDRESS = "aa:bb:cc:00:00:01"


def site_with_phones(folder: Path, gateway: Gateway | None = None) -> Site:
    return replace(
        site_on(free_bus()),
        identities=(Identity(name="Ada", consent=True),),
        phones=tuple(Phone(id=name, owner="Ada", token=token) for name, token in TOKENS.items()),
        gateway=gateway or Gateway(port=free_port()),
        privacy=Privacy(key=str(folder / "site.key")),
    )


def body(second: int, count: int = 50) -> bytes:
    """One second of acceleration that ends at `second` (UTC s)."""
    rows = [[second * 1000 - 1000 + 20 * (n + 1), 0.0, 0.1, 9.8] for n in range(count)]
    scan = {"t_ms": second * 1000 - 300, "heard": [{"bssid": ADDRESS, "dbm": -55}]}
    return json.dumps({"acc": rows, "gyro": rows, "scans": [scan]}).encode()


def post(site: Site, data: bytes, token: str | None, where: str = "/upload", context: ssl.SSLContext | None = None):
    """(status, answer)"""
    gateway = site.gateway
    connection = (
        http.client.HTTPSConnection(gateway.host, gateway.port, timeout=5, context=context)
        if context
        else http.client.HTTPConnection(gateway.host, gateway.port, timeout=5)
    )
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
    connection.request("POST", where, data, headers)
    response = connection.getresponse()
    answer = json.loads(response.read() or b"{}")
    connection.close()
    return response.status, answer


@contextmanager
def running(site: Site) -> Iterator[Subscriber]:
    """The hub and the phones' node, and somebody who listens; returns once the gateway answers."""
    config = NodeConfig(name="phones", site=site, run_dir="/tmp")
    with running_hub(site.bus), Subscriber(site.bus, ("phone/", "health/phones")) as heard, node(phone.main, config):
        for _ in range(100):
            try:
                http.client.HTTPConnection(site.gateway.host, site.gateway.port, timeout=1).connect()
                break
            except OSError:
                time.sleep(0.05)
        time.sleep(0.3)  # the subscription reaches the node's publisher
        yield heard


def listen(heard: Subscriber, seconds: float, enough: int = 10_000) -> tuple[list[PhoneBatch], list[Health]]:
    until, batches, healths = time.monotonic() + seconds, [], []
    while time.monotonic() < until and len(batches) < enough:
        if received := heard.receive(timeout_s=0.05):
            (batches if isinstance(received.message, PhoneBatch) else healths).append(received.message)
    return batches, healths


@pytest.mark.system
def test_uploads_over_http_become_messages_under_pseudonyms(tmp_path: Path) -> None:
    site = site_with_phones(tmp_path)
    with running(site) as heard:
        start = int(time.time())
        for second in range(start - 3, start + 1):
            data = body(second)
            assert post(site, data, TOKENS["phone-1"]) == (200, {"ok": True, "new": True})
            assert post(site, data, TOKENS["phone-1"]) == (200, {"ok": True, "new": False})
        escaped = "another%20secret%2C%20with%20spaces%20%26%20%C3%BCmlauts"
        assert post(site, body(start), None, f"/?token={escaped}")[0] == 200
        batches, healths = listen(heard, 6.0)
    pseudonym = access_point_pseudonym(load_key(site.privacy.key), ADDRESS)
    ours = [batch for batch in batches if batch.source == "phone-1"]
    assert [batch.t_ns for batch in ours] == [second * SECOND_NS for second in range(start - 3, start + 1)]
    assert [batch.seq for batch in ours] == [0, 1, 2, 3]
    assert all(len(batch.acc) == 50 and batch.mag.shape == (0, 4) for batch in ours)
    assert all(batch.scan == ((pseudonym, -55.0),) for batch in ours)
    assert ours[0].scan_age_s == pytest.approx(0.3)
    assert [batch.source for batch in batches].count("phone-2") == 1
    counters = healths[-1].counters
    assert (counters["uploads"], counters["retries"], counters["seconds_without_mag"]) == (5, 4, 5)
    assert str(site.gateway.port) in healths[-1].detail


@pytest.mark.system
def test_what_is_refused_is_told_in_one_sentence_and_counted(tmp_path: Path) -> None:
    site = site_with_phones(tmp_path)
    site = replace(site, phones=(*site.phones, Phone(id="phone-3", owner="Ada", token="")))
    with running(site) as heard:
        good = body(int(time.time()))
        for token in (None, "", "wrong", TOKENS["phone-1"] + "x"):
            status, answer = post(site, good, token)
            assert status == 401
            assert "token" in answer["error"]
        status, answer = post(site, b"{nonsense", TOKENS["phone-1"])
        assert (status, "docs/phone.md" in answer["error"]) == (400, True)
        status, answer = post(site, b" " * (MAX_BYTES + 1), TOKENS["phone-1"])
        assert (status, str(MAX_BYTES) in answer["error"]) == (413, True)
        batches, healths = listen(heard, 2.5)
    assert batches == []
    counters = healths[-1].counters
    assert (counters["unknown_token"], counters["bad_uploads"], counters["too_large"]) == (4, 1, 1)


def test_plain_http_beyond_loopback_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::"):
        with pytest.raises(DeviceRefused, match="HTTPS") as caught:
            check_reach(Gateway(host=host))
        assert "\n" not in str(caught.value)
    with pytest.raises(DeviceRefused, match="belong together"):
        check_reach(Gateway(certificate="a.pem"))
    site = site_with_phones(
        tmp_path, Gateway(port=free_port(), certificate=str(tmp_path / "a"), key=str(tmp_path / "b"))
    )
    with running_hub(site.bus), pytest.raises(DeviceRefused, match="cannot be used"):
        phone.main(NodeConfig(name="phones", site=site, run_dir="/tmp"), threading.Event())


@pytest.mark.system
def test_https_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    certificate, key = tmp_path / "gateway.pem", tmp_path / "gateway.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    try:
        subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl command to make a certificate with")
    gateway = Gateway(host="127.0.0.1", port=free_port(), certificate=str(certificate), key=str(key))
    site = site_with_phones(tmp_path, gateway)
    with running(site) as heard:
        context = ssl.create_default_context(cafile=str(certificate))
        assert post(site, body(int(time.time())), TOKENS["phone-1"], context=context)[0] == 200
        batches, healths = listen(heard, 5.0, enough=1)
    assert len(batches) == 1
    assert any("https://" in health.detail for health in healths)


@pytest.mark.system
def test_simulated_phones_upload_over_http_to_the_node(site: Site, tmp_path: Path) -> None:
    """Both formats, one phone with a clock that is wrong by three minutes, one that goes silent."""
    phones = tuple(
        Phone(id=f"phone-{n + 1}", owner=identity.name, source="simulated")
        for n, identity in enumerate(site.identities)
    )
    site = replace(with_free_ports(replace(site, phones=phones)), privacy=Privacy(key=str(tmp_path / "site.key")))
    site = replace(site, radars=(), cameras=(), sniffers=())
    wiring = wire(site, tmp_path, "phone-2:offset=180, phone-3:silent")
    assert all(len(phone.token) > 20 for phone in wiring.private.phones)
    assert all(phone.token == "" for phone in wiring.public.phones)
    rows = {row.name: row for row in process_table(wiring)}
    assert rows["phones"].config.site.phones == wiring.private.phones
    assert all(not phone.token for row in ("fusion", "page") for phone in rows[row].config.site.phones)
    with running(rows["phones"].config.site) as heard, node(simulated.main, rows["simulated"].config):
        batches, healths = listen(heard, 12.0)
    now_ns = time.time_ns()
    by_phone = {
        name: [batch for batch in batches if batch.source == name] for name in ("phone-1", "phone-2", "phone-4")
    }
    assert not [batch for batch in batches if batch.source == "phone-3"]
    for name, heard_of in by_phone.items():
        assert len(heard_of) >= 6, name
        assert all(len(batch.acc) > 40 for batch in heard_of[1:-1]), name
        assert any(batch.scan for batch in heard_of), name
        assert 0 < now_ns - heard_of[-1].t_ns < 5 * SECOND_NS, name
    assert "phone-2's clock is 1" in healths[-1].detail
    assert healths[-1].counters["clock_corrections"] == 1
    assert healths[-1].counters["unknown_token"] == 0
