"""The simulated world: the same people whatever the steps, inside their walls, coming, going, standing and meeting."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.drivers.simulated.optics import View
from whowhere.drivers.simulated.plan import FloorPlan
from whowhere.drivers.simulated.streams import EPOCH_NS, Witness
from whowhere.drivers.simulated.world import REMEMBERED_STEPS, STEP_NS, Crowd, World
from whowhere.launch.site_files import load_site
from whowhere.sitefile import Area, Camera, Homography, Simulated, Site, SiteError

DEMO = Path(__file__).resolve().parents[1] / "launch" / "sites" / "demo.toml"
S = 1_000_000_000


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(DEMO)


@pytest.fixture(scope="module")
def minutes(site: Site) -> list[Crowd]:
    """Three minutes of the demo's world, four times a second."""
    world = World(site, EPOCH_NS)
    return [world.people_at(EPOCH_NS + k * S // 4) for k in range(720)]


def same(a: Crowd, b: Crowd) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in Crowd.__slots__)


def test_world_depends_on_site_and_time_since_epoch_only(site: Site, minutes: list[Crowd]) -> None:
    fine, coarse, later = World(site, EPOCH_NS), World(site, EPOCH_NS), World(site, EPOCH_NS + 77 * S)
    rng = np.random.default_rng(3)
    for t_ns in np.sort(rng.integers(0, 30 * S, 200)):
        fine.people_at(EPOCH_NS + int(t_ns))
    caught_up = coarse.people_at(EPOCH_NS + 30 * S)
    assert same(fine.people_at(EPOCH_NS + 30 * S), caught_up)
    assert same(minutes[120], caught_up)
    shifted = later.people_at(EPOCH_NS + 107 * S)
    assert np.array_equal(shifted.position, caught_up.position)
    assert not np.array_equal(
        World(replace(site, simulated=Simulated(seed=2)), EPOCH_NS).people_at(EPOCH_NS + 30 * S).position,
        caught_up.position,
    )


def test_time_may_go_back(site: Site) -> None:
    world = World(site, EPOCH_NS)
    early = world.people_at(EPOCH_NS + 2 * S)
    world.people_at(EPOCH_NS + 4 * S)
    assert same(world.people_at(EPOCH_NS + 2 * S), early)
    world.people_at(EPOCH_NS + 2 * S + (REMEMBERED_STEPS + 10) * STEP_NS)
    assert same(world.people_at(EPOCH_NS + 2 * S), early)
    with pytest.raises(ValueError, match="before the world began"):
        world.people_at(EPOCH_NS - 1)


def test_people_move_like_people(minutes: list[Crowd]) -> None:
    speed = np.array([np.hypot(*crowd.velocity.T) for crowd in minutes])
    assert speed.max() < 2.6
    assert 0.2 < (speed > 0.5).mean() < 0.8  # they walk and they stand
    jumps = np.array([np.hypot(*(b.position - a.position).T) for a, b in pairwise(minutes)])
    assert jumps.max() < 2.6 / 4


def test_people_come_and_go_and_most_are_in(minutes: list[Crowd]) -> None:
    present = np.array([crowd.present for crowd in minutes])
    changes = np.diff(present.astype(int), axis=0)
    assert (changes == 1).sum() >= 3
    assert (changes == -1).sum() >= 3
    assert 0.5 < present.mean() < 0.98


def test_two_meet_face_to_face(minutes: list[Crowd]) -> None:
    talks = 0
    for crowd in minutes:
        apart = crowd.position[:, None] - crowd.position[None]
        distance = np.hypot(apart[..., 0], apart[..., 1])
        bearing = np.arctan2(-apart[..., 1], -apart[..., 0])
        faces = np.cos(crowd.heading[:, None] - bearing) > 0.8
        standing = (crowd.still_s > 0.5)[:, None] & (crowd.still_s > 0.5)[None]
        talks += int((np.triu(faces & faces.T & standing & (distance < 1.4), 1)).any())
    assert talks >= 4 * 4  # four seconds at least


def test_nobody_walks_through_walls() -> None:
    walls = ((0, 0, 8, 0), (8, 0, 8, 6), (8, 6, 1.2, 6), (0, 6, 0, 0), (4, 0, 4, 4.2))
    site = Site(name="two rooms", area=Area(x_m=(0, 8), y_m=(0, 6), walls=walls), simulated=Simulated(people=5))
    world, plan = World(site, EPOCH_NS), FloorPlan(site.area)
    rooms = np.zeros(5, bool), np.zeros(5, bool)
    before = world.people_at(EPOCH_NS).position
    for k in range(1, 1200):
        crowd = world.people_at(EPOCH_NS + k * S // 10)
        assert not plan.count_walls(before, crowd.position).any()
        before = crowd.position
        rooms[0][crowd.present & (before[:, 0] < 4)] = True
        rooms[1][crowd.present & (before[:, 0] > 4)] = True
    assert (rooms[0] & rooms[1]).sum() >= 3  # they found the way around the wall


def test_nobody_stays_in_a_wall() -> None:
    """Between rooms: who is pushed against a wall, or met beside one, walks on, through a door if need be."""
    rooms = load_site(DEMO.with_name("rooms.toml"))
    for seed in (36, 46):
        world = World(replace(rooms, simulated=Simulated(seed=seed, people=6, strangers=1)), EPOCH_NS)
        places = np.array([world.people_at(EPOCH_NS + k * S).position for k in range(180)])
        moved_m = np.linalg.norm(places[45:] - places[:-45], axis=2)  # nobody stands or talks for so long
        assert moved_m.min() > 0.05


def test_a_spot_to_stand_is_away_from_walls() -> None:
    plan = FloorPlan(load_site(DEMO.with_name("rooms.toml")).area)
    rng = np.random.default_rng(1)
    spots = [plan.random_spot(rng) for _ in range(300)]
    assert min(plan.wall_distance_m(spot) for spot in spots) > 0.3
    assert plan.wall_distance_m(np.array([8.0, 3.5])) == pytest.approx(np.hypot(3.0, 0.6))  # a door post


@pytest.mark.parametrize("people", [0, 1, 40])
def test_any_number_of_people(site: Site, people: int) -> None:
    crowded = replace(site, simulated=Simulated(people=people))
    truth = Witness(World(crowded, EPOCH_NS)).truth(EPOCH_NS + 5 * S)
    assert len(truth.people) <= people
    assert set(truth.enrolled) <= {"", "Ada", "Bruno", "Chidi", "Dana"}


def test_demo_leaves_part_unseen_and_shows_nobody_smaller_than_110_px(site: Site) -> None:
    world = World(site, EPOCH_NS)
    grid = np.stack(np.meshgrid(np.arange(0.5, 12, 0.5), np.arange(0.5, 10, 0.5)), -1).reshape(-1, 2)
    count = len(grid)
    seen = np.zeros(count, bool)
    for camera in site.cameras:
        view = View(camera)
        for row in range(count):
            crowd = standing(grid[row : row + 1])
            sight = view.sight(crowd, np.array([1.55]), world.plan)
            if sight.share[0] == 1.0:
                seen[row] = True
                assert sight.boxes[0, 3] >= 110
    assert 0.5 < seen.mean() < 0.8


def test_the_one_behind_is_hidden(site: Site) -> None:
    world, view = World(site, EPOCH_NS), View(site.cameras[0])
    eye = view.origin[:2]
    ahead = np.array([np.cos(np.radians(84)), np.sin(np.radians(84))])
    crowd = standing(np.array([eye + 6.0 * ahead, eye + 6.8 * ahead, eye - 1.0 * ahead]))
    sight = view.sight(crowd, np.full(3, 1.7), world.plan)
    assert sight.share[0] == 1.0
    assert sight.share[1] < 0.4
    assert sight.share[2] == 0.0
    assert sight.seen.tolist() == [True, False, False]


def test_projection_is_the_documented_pinhole(site: Site) -> None:
    view = View(site.cameras[0])  # at (3.6, 0.15, 2.6), yaw 84, tilt 20
    pixel, depth = view.project(view.origin[None] + 4.0 * view.forward)
    assert pixel[0] == pytest.approx((320.0, 240.0))
    assert depth[0] == pytest.approx(4.0)
    to_the_east, _ = view.project(np.array([[5.0, 6.0, 0.0]]))
    to_the_west, _ = view.project(np.array([[4.0, 6.0, 0.0]]))
    above, _ = view.project(np.array([[5.0, 6.0, 1.0]]))
    assert to_the_east[0, 0] > to_the_west[0, 0]  # looking north, east is on the right
    assert above[0, 1] < to_the_east[0, 1]  # v runs down


def test_a_camera_without_a_place_is_refused(site: Site) -> None:
    pairs = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    calibration = Homography(image_size=(640, 480), pixels_px=pairs, floor_m=pairs)
    with pytest.raises(SiteError, match="does not say where the camera stands"):
        View(Camera(id="c", source="simulated", calibration=calibration))


def standing(position: np.ndarray) -> Crowd:
    count = len(position)
    zeros = np.zeros(count)
    return Crowd(EPOCH_NS, position, np.zeros((count, 2)), zeros, zeros, zeros + 9.0, np.ones(count, bool))
