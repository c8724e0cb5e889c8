"""The other world is what it says: fixed by its seed, valid on the wire, and of the statistics that were asked for.

One short run through the engine proves that its streams are usable; how well the product does on them is measured by
tests/otherworld_score.py, not asserted here.
"""

import argparse

import numpy as np
import pytest
from otherworld import Options, World, build, make
from otherworld_cameras import Lens, body_boxes, coverage, lens_of
from otherworld_eyes import GAP_EVERY_S, GAP_S, T0_NS, absences
from otherworld_looks import NAME
from otherworld_people import SPEED_M_S, STEP_S
from otherworld_radio import Air, Device, device, sending_times
from otherworld_score import Oracle, average, line, on_floor, score
from seeds import seeds_in
from whowhere.fusion.engine import Engine
from whowhere.messages import CameraFrame, Scene, Truth, WifiWindow, decode, encode
from whowhere.sitefile import Site, site_as_json, site_from_json

SECONDS = 20.0


@pytest.fixture(scope="module")
def world() -> World:
    return build(11, SECONDS)


def test_a_seed_fixes_every_byte(world: World):
    site, messages = make(11, SECONDS)
    assert site == world.site
    assert [encode(m) for m in messages] == [encode(m) for m in world.messages]
    assert [encode(m) for m in make(12, 2.0)[1]] != [encode(m) for m in make(11, 2.0)[1]]


def test_messages_and_site_survive_the_wire(world: World):
    assert site_from_json(site_as_json(world.site)) == world.site
    for message in world.messages:
        assert encode(decode(encode(message))) == encode(message)


def test_the_hub_delivers_in_order_of_arrival(world: World):
    """Within one source as it was sensed; between sources no further apart than clocks and latencies allow."""
    last: dict[str, tuple[int, int]] = {}
    newest_ns = 0
    for message in world.messages:
        t_ns, seq = last.get(message.topic, (0, -1))
        assert message.t_ns > t_ns
        assert message.seq == seq + 1  # type: ignore[union-attr]
        last[message.topic] = (message.t_ns, seq + 1)
        newest_ns = max(newest_ns, message.t_ns)
        assert newest_ns - message.t_ns < 1.0e9
    sensors = [sensor.id for sensor in world.site.sensors]
    assert sorted(topic.split("/")[1] for topic in last) == sorted([*sensors, "otherworld"])


@pytest.mark.parametrize("seed", [1, 2, 3, 5])
def test_sites_are_as_asked(seed: int):
    world = build(seed, 3.0)
    site, people = world.site, world.walks.place.shape[1]
    size = (site.area.x_m[1], site.area.y_m[1])
    assert 10 <= size[0] <= 15
    assert 10 <= size[1] <= 12
    assert len(site.cameras) in (2, 3)
    assert 3 <= len(site.sniffers) <= 5
    assert 5 <= people <= 10
    assert people - 3 <= sum(bool(device.name.startswith("dev-")) for device in world.devices) <= people
    assert 0.5 <= coverage([lens_of(camera) for camera in site.cameras], size) <= 0.75
    for sniffer in site.sniffers:
        x, y, _ = sniffer.position_m
        assert min(x, y, size[0] - x, size[1] - y) == pytest.approx(0, abs=1e-9)


def test_people_walk_as_people_do():
    walks = build(4, 60.0).walks
    speed = np.linalg.norm(np.diff(walks.place, axis=0), axis=2) / STEP_S
    assert speed.max() <= SPEED_M_S[1] + 1e-6
    assert 0.2 < (speed < 0.05).mean() < 0.8
    assert 0.5 < speed[speed > 0.1].mean() < 1.3
    assert np.all((walks.height >= 1.55) & (walks.height <= 1.9))
    crossings = np.abs(np.diff(walks.inside.astype(int), axis=0)).sum()
    assert crossings > 0, "nobody came or went in a minute"


def test_cameras_obey_the_site_files_convention():
    """A body on the optical axis is in the middle; a body to its right (looking along +x: smaller y) is right of it."""
    axes = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    lens = Lens(np.array([0.0, 5.0, 0.85]), axes, 500.0, (640, 480))
    boxes, depth = body_boxes(lens, np.array([[5.0, 5.0], [5.0, 4.0]]), np.array([1.7, 1.7]))
    assert boxes[0] == pytest.approx([295, 155, 345, 325])
    assert boxes[1, 0] - boxes[0, 0] == pytest.approx(100)
    assert depth == pytest.approx([5, 5])


def test_a_box_leads_back_to_its_owners_feet(world: World):
    """Clock offsets and pixel noise apart; the oracle's own geometry is inverse to the generator's."""
    cameras = {camera.id: (lens_of(camera), camera.detector.foot_margin) for camera in world.site.cameras}
    truths = {round(m.t_ns / 1e8): m for m in world.messages if isinstance(m, Truth)}
    errors = []
    for sighting in world.sightings:
        truth, found = truths.get(round(sighting.t_ns / 1e8)), on_floor(cameras[sighting.camera][0], sighting.box,
                                                                       cameras[sighting.camera][1])  # fmt: skip
        if truth and found and sighting.person in truth.people:
            errors.append(np.linalg.norm(found[0] - truth.position[truth.people.index(sighting.person)]))
    assert np.median(errors) < 0.6


def test_frames_hold_what_was_asked(world: World):
    frames = [message for message in world.messages if isinstance(message, CameraFrame)]
    boxes = sum(len(frame.boxes) for frame in frames)
    false_boxes = (boxes - len(world.sightings)) / len(frames)
    assert 0.01 < false_boxes < 0.15
    for frame in frames:
        assert frame.descriptors[NAME].shape in ((len(frame.boxes), 256), (0, 0))
        assert frame.descriptors[NAME].sum(axis=1) == pytest.approx(np.ones(len(frame.boxes)), abs=1e-5)


def test_variations_leave_the_rest_of_the_world_alone(world: World):
    site, bare = make(11, SECONDS, looks=False)
    assert site == world.site
    mine = [m for m in world.messages if isinstance(m, CameraFrame)]
    theirs = [m for m in bare if isinstance(m, CameraFrame)]
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(mine, theirs, strict=True))
    assert all(not frame.descriptors for frame in theirs)
    wrong, _ = make(11, 2.0, wrong_radio=True)
    assert wrong.cameras == site.cameras
    assert wrong.sniffers[0].path_loss_exponent != site.sniffers[0].path_loss_exponent


def test_detection_fails_for_seconds_every_twenty():
    gaps = absences(np.random.default_rng(0), 20_000.0)
    lengths = np.array([end - start for start, end in gaps])
    assert len(gaps) == pytest.approx(20_000 / (GAP_EVERY_S + np.mean(GAP_S)), rel=0.1)
    assert lengths.min() >= GAP_S[0]
    assert lengths.max() <= GAP_S[1]


def test_packets_come_in_bursts_at_the_rate_asked():
    times = sending_times(np.random.default_rng(1), 2.0, 5000.0)
    assert len(times) / 5000 == pytest.approx(2.0, rel=0.1)
    counts = np.histogram(times, np.arange(0, 5001, 1.0))[0]
    assert counts.var() / counts.mean() > 1.5  # of a Poisson process it is 1


def test_signals_fall_with_distance_as_the_site_file_says():
    """Over many devices without bodies in the way: the loss, and the scatter of all its parts together."""
    walks = build(4, 60.0).walks
    rng = np.random.default_rng(2)
    far = [np.array([x, y]) for x in np.arange(1.0, 10.0, 0.5) for y in np.arange(0.5, 10.0, 0.5)]
    devices: list[Device] = [device(rng, f"dev-{i}", -1, place, 4.0) for i, place in enumerate(far)]
    antennas = np.tile([0.0, 5.0, 1.0], (12, 1))  # each with a shadowing field of its own
    air = Air(rng, antennas, 2.7, -40.0, walks, devices, has_blocking=False)
    power = np.array([air.power(1.0, i) for i in range(len(devices))])
    distance = np.array([np.hypot(place[0], place[1] - 5.0) for place in far])
    slope, reference = np.polyfit(-10 * np.log10(distance), power.mean(axis=1), 1)
    assert slope == pytest.approx(2.7, abs=0.4)
    assert reference == pytest.approx(-40.0, abs=3.0)
    error = power - (-40 - 27 * np.log10(distance))[:, None]
    assert error.std() == pytest.approx(np.sqrt(4**2 + 2**2 + 3.5**2 + 2.5**2), rel=0.12)
    assert error.std(axis=1, ddof=1).mean() == pytest.approx(np.sqrt(2**2 + 3.5**2 + 2.5**2), rel=0.15)


def test_bodies_weaken_signals():
    with_bodies, without = (build(6, 20.0, 10, Options(blocking=is_on)).messages for is_on in (True, False))
    heard = [np.concatenate([m.rssi_dbm for m in ms if isinstance(m, WifiWindow)]) for ms in (with_bodies, without)]
    assert heard[0].mean() < heard[1].mean() - 1.0


def test_windows_are_whole_dbm_of_packets_above_the_floor(world: World):
    enrolled = {name for identity in world.site.identities for name in identity.devices}
    for window in (m for m in world.messages if isinstance(m, WifiWindow)):
        assert set(window.devices) <= enrolled
        assert np.all(window.rssi_dbm >= -90)
        single = window.count == 1
        assert np.all(window.rssi_dbm[single] == np.round(window.rssi_dbm[single]))
        assert np.all(window.rssi_std_db[single] == 0)


def test_the_oracle_knows_where_people_are(world: World):
    oracle = Oracle(world.site, world.sightings)
    errors = []
    for truth in (m for m in world.messages if isinstance(m, Truth)):
        places = oracle.places(truth.t_ns)
        for row, person in enumerate(truth.people):
            if truth.seen_by[row] and person in places and truth.t_ns > T0_NS + 5e9:
                errors.append(np.linalg.norm(places[person] - truth.position[row]))
    assert np.mean(errors) < 0.6


def test_the_engine_takes_these_streams():
    """No exception; every probability in its range and each body's sum 1; positions finite."""
    scenes: list[Scene] = []

    class Watched:
        def __init__(self, site: Site) -> None:
            self.engine = Engine(site)

        def step(self, message):
            outputs = self.engine.step(message)
            scenes.extend(out for out in outputs if isinstance(out, Scene))
            return outputs

    row = score(11, Watched, seconds=25.0)
    assert len(scenes) > 80
    for person in (person for scene in scenes for person in scene.people):
        probabilities = [probability for _, probability in person.candidates]
        assert sum(probabilities) == pytest.approx(1.0, abs=1e-6)
        assert min(probabilities) >= 0
        assert np.isfinite([person.x_m, person.y_m, *person.covariance_m2]).all()
    shares = [row[f"share_{kind}"] for kind in ("right", "wrong", "unknown", "no_track")]
    assert sum(shares) == pytest.approx(1.0)
    assert row["oracle_seen_m"] < 0.8
    assert line("mean", average([row, row]))


def test_seeds_are_read_as_people_write_them():
    assert seeds_in("1-3,8") == [1, 2, 3, 8]
    for wrong in ("", "3-1", "1-2-3", "x"):
        with pytest.raises(argparse.ArgumentTypeError, match="must be seeds"):
            seeds_in(wrong)
