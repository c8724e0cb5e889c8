"""The live page as programs and browsers meet it: a real server on a free port, a real WebSocket client."""

import asyncio
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from whowhere.drivers.simulated.faults import parse_faults
from whowhere.launch.site_files import parse_site
from whowhere.launch.wiring import free_port
from whowhere.messages import Event, Health, Person, Scene, SiteInForce
from whowhere.nodes import hub, page
from whowhere.nodes.bus import Publisher
from whowhere.nodes.live.board import Board, Mailbox
from whowhere.nodes.live.plan import plan_of
from whowhere.nodes.live.server import STATIC, PageError, PageServer
from whowhere.nodes.node import NodeConfig
from whowhere.sitefile import Bus, Page, Simulated, Site, site_as_json

SITE = """
name = "hall"
[area]
x_m = [0, 8]
y_m = [0, 6]
[[cameras]]
id = "door"
source = "rtsp://admin:hunter2@10.0.0.7/live"
[cameras.calibration]
model = "pinhole"
image_size = [640, 480]
focal_px = [560.0, 560.0]
centre_px = [320.0, 240.0]
pose = { position_m = [0.0, 3.0, 2.6], yaw_deg = 0.0, tilt_deg = 20.0 }
[[sniffers]]
id = "desk"
source = "interface:mon0"
position_m = [4.0, 3.0, 1.0]
[[identities]]
name = "Ada"
devices = ["a4:83:e7:00:00:01"]
consent = true
[[identities]]
name = "Zoe"
devices = ["a4:83:e7:00:00:02"]
consent = false
"""


def scene(seq: int = 0, name: str = "Ada") -> Scene:
    person = Person(
        id=name, x_m=1.0, y_m=2.0, covariance_m2=(0.1, 0.0, 0.1), velocity_m_s=(0.0, 0.0),
        candidates=((name, 0.9), ("unknown", 0.1)), state="confirmed", sources=("door",), since_ns=1, track=1,
    )  # fmt: skip
    return Scene(source="fusion", t_ns=time.time_ns(), seq=seq, people=(person,))


def health(**changes: Any) -> Health:
    return replace(Health(source="door", t_ns=time.time_ns(), state="ok", rate_hz=5.0), **changes)


@pytest.fixture
def site() -> Site:
    return parse_site(SITE)


@pytest.fixture
def server(site: Site) -> Iterator[PageServer]:
    with PageServer(Page(port=0), Board(site)) as running:
        yield running


def fetch(server: PageServer, path: str, **headers: str) -> tuple[int, str, Any]:
    request = urllib.request.Request(server.url + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def listen(server: PageServer, kinds: set[str], **options: Any) -> dict[str, Any]:
    """The first message of each kind that a new browser is sent."""
    found: dict[str, Any] = {}
    with connect(server.url.replace("http", "ws") + "live", open_timeout=5, **options) as browser:
        while not kinds <= found.keys():
            message = json.loads(browser.recv(timeout=5))
            found.setdefault(message["kind"], message)
    return found


def until(check: Any, seconds: float = 5.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
    return value


def test_a_late_joiner_gets_everything_at_once(server: PageServer) -> None:
    server.show(health())
    server.show(Event(source="fusion", t_ns=5, type="confirm", id="Ada", track=1))
    server.show(scene(seq=7))
    found = listen(server, {"hello", "site", "health", "event", "scene"})
    assert found["site"]["name"] == "hall"
    assert found["scene"]["seq"] == 7
    assert found["scene"]["people"][0]["candidates"][0] == ["Ada", 0.9]
    assert abs(found["hello"]["now_ms"] - time.time() * 1000) < 5000


def test_scenes_are_pushed_live(server: PageServer) -> None:
    with connect(server.url.replace("http", "ws") + "live", open_timeout=5) as browser:
        assert {json.loads(browser.recv(timeout=5))["kind"] for _ in range(3)} == {"hello", "site", "cables"}
        for seq in range(3):
            server.show(scene(seq))
            assert json.loads(browser.recv(timeout=5))["seq"] == seq


def test_programs_read_json(server: PageServer) -> None:
    assert fetch(server, "api/scene")[0] == 503
    assert fetch(server, "healthz")[0] == 503
    server.show(scene(seq=3))
    server.show(health())
    until(lambda: fetch(server, "api/scene")[0] == 200 and json.loads(fetch(server, "api/health")[1]))
    assert json.loads(fetch(server, "api/scene")[1])["seq"] == 3
    assert json.loads(fetch(server, "api/health")[1])[0]["source"] == "door"
    assert json.loads(fetch(server, "healthz")[1])["ok"] is True


def test_an_old_scene_is_not_healthy(server: PageServer) -> None:
    server.show(replace(scene(), t_ns=time.time_ns() - 20_000_000_000))
    until(lambda: fetch(server, "api/scene")[0] == 200)
    assert fetch(server, "healthz")[0] == 503


def test_metrics_are_prometheus_text(server: PageServer) -> None:
    server.show(scene())
    server.show(health(counters={'odd "name"': 4}, memory_mb=61.5))
    text = until(lambda: (body := fetch(server, "metrics")[1]) and "whowhere_up{" in body and body)
    assert 'whowhere_people{state="confirmed"} 1' in text
    assert 'whowhere_memory_megabytes{source="door"} 61.5' in text
    assert 'name="odd \\"name\\""} 4' in text
    for line in text.splitlines():
        assert re.fullmatch(r'# TYPE \w+ (gauge|counter)|\w+(\{(\w+="(\\.|[^"\\])*",?)*\})? [0-9.e+-]+', line), line


def test_other_peoples_pages_are_refused(server: PageServer) -> None:
    with pytest.raises(InvalidStatus):
        listen(server, {"site"}, origin="http://evil.example")
    host = server.url.split("/")[2]
    assert listen(server, {"site"}, origin=f"http://{host}")
    assert fetch(server, "api/scene", Host="evil.example")[0] == 400


def test_no_secret_leaves_by_the_plan(site: Site, server: PageServer) -> None:
    server.show(SiteInForce(source="hall", t_ns=1, document=site_as_json(replace(site, name="hall two"))))
    shown = until(lambda: (found := listen(server, {"site"})["site"]) and found["name"] == "hall two" and found)
    text = json.dumps(shown)
    assert not [secret for secret in ("hunter2", "10.0.0.7", "a4:83", "Zoe", "site.key", "mon0") if secret in text]
    assert shown["identities"] == ["Ada"]


def test_the_view_of_a_camera_is_the_floor_it_sees(site: Site) -> None:
    """2.6 m high, tilted 20 degrees: the image's lower edge looks down at 20 + atan(240 / 560) degrees."""
    door, desk = plan_of(site)["sensors"]
    view = np.array(door["view"])
    nearest_m = 2.6 / np.tan(np.radians(20) + np.arctan(239 / 560))
    assert view[:, 0].min() == pytest.approx(nearest_m, abs=0.05)
    assert np.abs(np.arctan2(view[:, 1] - 3.0, view[:, 0])).max() < np.radians(40)
    assert desk["view"] == []


def test_a_port_in_use_is_one_sentence(site: Site, server: PageServer) -> None:
    port = int(server.url.split(":")[2].strip("/"))
    with pytest.raises(PageError, match=rf"127\.0\.0\.1:{port} cannot be had.*page\.port"):
        PageServer(Page(port=port), Board(site))


def test_a_slow_browser_skips_scenes_and_keeps_events(site: Site) -> None:
    board = Board(site)
    mailbox = board.join()
    for seq in range(50):
        board.take(scene(seq))
    for seq in range(3):
        board.take(Event(source="fusion", t_ns=seq, seq=seq, type="enter", id=f"anon-{seq}"))
    waiting = [json.loads(text) for text in _taken(mailbox)]
    assert [message["seq"] for message in waiting if message["kind"] == "scene"] == [49]
    assert len([message for message in waiting if message["kind"] == "event"]) == 3
    assert board.counters == {"browsers": 1, "skipped": 49}
    board.leave(mailbox)
    assert board.counters["browsers"] == 0


def _taken(mailbox: Mailbox) -> list[str]:
    return asyncio.run(mailbox.take(1.0))


def test_a_site_that_makes_no_sense_changes_nothing(site: Site) -> None:
    board = Board(site)
    board.take(SiteInForce(source="hall", t_ns=1, document="{}"))
    assert board.plan["name"] == "hall"


def test_the_page_is_whole_and_sets_names_as_text_only(server: PageServer) -> None:
    status, html, headers = fetch(server, "")
    assert status == 200
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    for name in re.findall(r'(?:href|src)="([\w.]+)"', html):
        assert fetch(server, name)[0] == 200, name
    for script in STATIC.glob("*.js"):
        text = script.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), script.name
        for name in re.findall(r'from "\./([\w.]+)"', text):
            assert (STATIC / name).is_file(), name
    assert "http://" not in html
    assert "https://" not in html


def test_the_node_shows_what_is_on_the_bus(site: Site) -> None:
    """Through a real hub: what was published before the page started is there, and what comes later too."""
    first = free_port(count=4)
    wired = replace(site, bus=Bus(port=first), page=Page(port=first + 3))
    stop = threading.Event()
    start = {name: threading.Thread(target=node.main, args=(NodeConfig(name=name, site=wired, run_dir=""), stop))
             for name, node in (("hub", hub), ("page", page))}  # fmt: skip
    url = f"http://127.0.0.1:{first + 3}/"

    def answered(path: str) -> Any:
        try:
            with urllib.request.urlopen(url + path, timeout=1) as answer:
                return json.load(answer)
        except OSError:
            return None

    try:
        start["hub"].start()
        with Publisher(wired.bus, "fusion") as publisher:
            publisher.publish(scene(name="early"))
            time.sleep(0.2)
            start["page"].start()
            assert until(lambda: answered("api/scene"))["people"][0]["id"] == "early"

            def is_late_shown() -> bool:
                publisher.publish(scene(name="late"))
                return answered("api/scene")["people"][0]["id"] == "late"

            until(is_late_shown)
        own = until(lambda: [h for h in answered("api/health") if h["source"] == "page"])[0]
        assert own["detail"] == url
    finally:
        stop.set()
        for thread in start.values():
            thread.join(5)
    assert not any(thread.is_alive() for thread in start.values())


def test_cables_of_simulated_sensors_only(site: Site, tmp_path: Path) -> None:
    """The button writes the simulator's faults file, leaves other faults alone, and every browser hears of it."""
    mixed = replace(
        site,
        simulated=Simulated(),
        sniffers=(replace(site.sniffers[0], id="twin", source=f"pcap:{tmp_path}/twin.pcap"), *site.sniffers),
    )
    faults = tmp_path / "faults"
    faults.write_text("door:silent@5-9\n")
    with PageServer(Page(port=0), Board(mixed, str(tmp_path))) as server:

        def post(body: str, **headers: str) -> tuple[int, Any]:
            request = urllib.request.Request(server.url + "api/fault", body.encode(), headers)
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)

        assert listen(server, {"cables"})["cables"] == {"kind": "cables", "simulated": ["twin"], "unplugged": []}
        assert post('{"sensor": "twin", "unplugged": true}')[1]["unplugged"] == ["twin"]
        assert faults.read_text() == "door:silent@5-9\ntwin:unplug\n"
        assert [fault.kind for fault in parse_faults(faults.read_text(), ["door", "twin"])] == ["silent", "unplug"]
        assert listen(server, {"cables"})["cables"]["unplugged"] == ["twin"]
        assert post('{"sensor": "twin", "unplugged": false}') == (
            200, {"kind": "cables", "simulated": ["twin"], "unplugged": []}
        )  # fmt: skip
        assert faults.read_text() == "door:silent@5-9\n"
        assert post('{"sensor": "door", "unplugged": true}')[0] == 404
        assert post('{"sensor": "twin"}')[0] == 400
        assert post('{"sensor": "twin", "unplugged": true}', Origin="http://evil.example")[0] == 403
        assert faults.read_text() == "door:silent@5-9\n"
