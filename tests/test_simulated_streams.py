"""Messages straight from the simulated world, and the physics of radar and radio behind them."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.drivers.simulated.echoes import Echoes
from whowhere.drivers.simulated.optics import axes_of
from whowhere.drivers.simulated.radio import Radio
from whowhere.drivers.simulated.streams import EPOCH_NS, streams
from whowhere.drivers.simulated.world import Crowd, World
from whowhere.launch.site_files import load_site
from whowhere.messages import CameraFrame, RadarFrame, Truth, WifiWindow, decode, encode
from whowhere.sitefile import Identity, Simulated, Site

DEMO = Path(__file__).resolve().parents[1] / "launch" / "sites" / "demo.toml"
S = 1_000_000_000


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(DEMO)


@pytest.fixture(scope="module")
def messages(site: Site) -> list:
    return list(streams(site, 20.0))


def test_same_site_same_bytes(site: Site, messages: list) -> None:
    again = [encode(message) for message in streams(site, 5.0)]
    assert again == [encode(message) for message in messages[: len(again)]]
    assert encode(decode(again[-1])) == again[-1]


def test_time_order_numbers_and_rates(messages: list) -> None:
    assert [m.t_ns for m in messages] == sorted(m.t_ns for m in messages)
    counts: dict[str, int] = {}
    for message in messages:
        assert message.seq == counts.get(message.topic, 0)
        counts[message.topic] = message.seq + 1
    assert counts["radar/radar-1"] == counts["truth/simulated"] == 200
    assert counts["camera/camera-1"] == counts["camera/camera-2"] == 100
    assert counts["wifi/sniffer-4"] == 39


def test_devices_are_the_given_sites_strings(site: Site) -> None:
    identities = (
        Identity(name="Ada", devices=("pseudonym-of-ada",), consent=True),
        Identity(name="Bruno", devices=("pseudonym-of-bruno",), consent=False),
    )
    windows = list(streams(replace(site, identities=identities), 10.0, kinds=("wifi",)))
    assert {device for m in windows if isinstance(m, WifiWindow) for device in m.devices} == {"pseudonym-of-ada"}
    assert any(m.others for m in windows if isinstance(m, WifiWindow))


def test_radar_points_lie_on_people_who_move(site: Site, messages: list) -> None:
    pose = site.radars[0].pose
    right, down, forward = axes_of(pose)
    truth = {m.t_ns: m for m in messages if isinstance(m, Truth)}
    near = total = 0
    for frame in (m for m in messages if isinstance(m, RadarFrame)):
        x, y, z = (frame.points[:, k : k + 1].astype(float) for k in range(3))
        floor = (np.array(pose.position_m) + x * right + y * forward - z * down)[:, :2]
        gaps = np.linalg.norm(floor[:, None] - truth[frame.t_ns].position[None], axis=2)
        near += int((gaps.min(axis=1) < 0.8).sum())
        total += len(floor)
    assert total > 1000
    assert near / total > 0.85


def test_boxes_stand_on_people(site: Site, messages: list) -> None:
    frames = [m for m in messages if isinstance(m, CameraFrame)]
    assert 0.3 < np.mean([len(m.boxes) for m in frames]) < 5
    for frame in frames:
        histograms = frame.descriptors["hsv-8x8x4:1"]
        assert histograms.shape == (len(frame.boxes), 256 if len(frame.boxes) else 0) or histograms.size == 0
        assert np.allclose(histograms.sum(axis=1), 1.0, atol=1e-5) or histograms.size == 0


def test_standing_people_fade_from_the_radar(site: Site) -> None:
    echoes = Echoes(World(site, EPOCH_NS), site.radars[0])
    moving = [len(echoes.points(alone(6.0, 5.0, speed=1.0), k)) for k in range(100)]
    standing = [len(echoes.points(alone(6.0, 5.0, still_s=5.0), k)) for k in range(100)]
    assert np.mean(moving) > 4
    assert np.mean(standing) < 1
    toward = echoes.points(alone(6.0, 5.0, speed=-1.0), 1)
    assert np.median(toward[:, 3]) < -0.4  # negative doppler comes nearer


def test_device_offsets_have_the_sites_spread(site: Site) -> None:
    many = replace(site, simulated=Simulated(people=200, strangers=300, device_offset_db=4.0))
    offsets = np.array([phone.offset_db for phone in World(many, EPOCH_NS).phones])
    assert offsets.std() == pytest.approx(4.0, rel=0.15)
    rates = np.array([phone.rate_hz for phone in World(many, EPOCH_NS).phones])
    assert rates.min() >= 0.5
    assert rates.max() <= 5.0


def test_packets_do_not_depend_on_how_time_is_cut(site: Site) -> None:
    radio = Radio(World(site, EPOCH_NS))
    whole = radio.packets(EPOCH_NS, EPOCH_NS + 10 * S)
    cuts = [EPOCH_NS + int(c) for c in np.linspace(0, 10 * S, 38)]
    assert [p for a, b in pairwise(cuts) for p in radio.packets(a, b)] == whole
    retries = [p for p in whole if p.is_retry]
    assert all(any(q.sequence == p.sequence and not q.is_retry for q in whole) for p in retries)


def test_blocking_only_weakens(site: Site) -> None:
    open_air = replace(site, simulated=Simulated(blocking=False))
    crowd = World(site, EPOCH_NS).people_at(EPOCH_NS + 8 * S)
    blocked = Radio(World(site, EPOCH_NS)).level_dbm(crowd)
    clear = Radio(World(open_air, EPOCH_NS)).level_dbm(crowd)
    assert (blocked <= clear + 1e-9).all()
    assert (clear - blocked).max() > 2.0


def test_shadowing_has_its_spread_and_its_memory(site: Site) -> None:
    calm = Radio(World(replace(site, simulated=Simulated(shadowing_db=0.0)), EPOCH_NS))
    radio = Radio(World(site, EPOCH_NS))
    crowd = World(site, EPOCH_NS).people_at(EPOCH_NS)
    instants = [dataclasses.replace(crowd, t_ns=EPOCH_NS + k * S // 2) for k in range(1200)]
    shadow = np.array([radio.level_dbm(c) - calm.level_dbm(c) for c in instants]).reshape(1200, -1)
    assert shadow.std() == pytest.approx(4.0, rel=0.15)

    def correlation(lag: int) -> float:
        return float((shadow[:-lag] * shadow[lag:]).mean() / (shadow**2).mean())

    assert correlation(1) == pytest.approx(np.exp(-0.5 / 4), abs=0.12)
    assert correlation(8) == pytest.approx(np.exp(-1), abs=0.15)
    assert abs(correlation(80)) < 0.15


def alone(x: float, y: float, speed: float = 0.0, still_s: float = 0.0) -> Crowd:
    """Only the first person is present, walking away from the wall with the radar."""
    count = 6
    position = np.tile([x, y], (count, 1))
    velocity = np.tile([0.0, speed], (count, 1))
    present = np.arange(count) == 0
    zeros = np.zeros(count)
    return Crowd(EPOCH_NS, position, velocity, zeros, zeros, zeros + still_s, present)
