"""The parts of fusion, each against an oracle or a tiny world."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whowhere.fusion import state as packing
from whowhere.fusion.association import match
from whowhere.fusion.detections import CameraView
from whowhere.fusion.evidence.columns import mixed
from whowhere.fusion.geometry import axes_of, fit_homography, floor_map, radar_to_site, undistorted
from whowhere.fusion.identities import Answer
from whowhere.fusion.kalman import begin, predict, update
from whowhere.fusion.naming import Naming
from whowhere.fusion.posterior import _exact, _scaled, marginals
from whowhere.fusion.radar_view import RadarView, grouped
from whowhere.fusion.wireless import WirelessGrid, expected_dbm
from whowhere.messages import CameraFrame, RadarFrame
from whowhere.sitefile import Area, Camera, Fusion, Homography, Pinhole, Pose, Radar, Sniffer

AREA = Area(x_m=(0.0, 12.0), y_m=(0.0, 10.0))
POSE = Pose(position_m=(1.0, 2.0, 2.6), yaw_deg=40.0, tilt_deg=15.0)
PINHOLE = Pinhole(image_size=(640, 480), focal_px=(560.0, 560.0), centre_px=(320.0, 240.0), pose=POSE)


def project(camera: Pinhole, points: np.ndarray) -> np.ndarray:
    """The oracle: site points (N,3) to pixels (N,2), by the textbook."""
    right, down, forward = axes_of(camera.pose)
    away = points - np.asarray(camera.pose.position_m)
    x, y = away @ right / (away @ forward), away @ down / (away @ forward)
    k1, k2, p1, p2, k3 = camera.distortion
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.column_stack((u, v)) * np.asarray(camera.focal_px) + np.asarray(camera.centre_px)


FLOOR = np.array([[4.0, 4.0], [5.0, 6.0], [6.0, 3.5], [8.0, 8.0], [4.5, 5.5]])


def test_a_pinhole_camera_finds_the_floor_points_it_sees() -> None:
    camera = Pinhole(**{**_fields(PINHOLE), "distortion": (-0.2, 0.05, 0.001, -0.001, 0.0)})
    pixels = project(camera, np.column_stack((FLOOR, np.zeros(len(FLOOR)))))
    assert floor_map(camera)(pixels) == pytest.approx(FLOOR, abs=1e-6)
    heads = project(camera, np.column_stack((FLOOR, np.full(len(FLOOR), 1.7))))
    assert floor_map(camera)(heads, 1.7) == pytest.approx(FLOOR, abs=1e-6)


def test_above_the_horizon_there_is_no_floor() -> None:
    assert np.isnan(floor_map(PINHOLE)(np.array([[320.0, 10.0]]))).all()


def test_a_homography_equals_the_camera_it_was_measured_with() -> None:
    pixels = project(PINHOLE, np.column_stack((FLOOR, np.zeros(len(FLOOR)))))
    flat = Homography(
        image_size=(640, 480),
        pixels_px=tuple(map(tuple, pixels[:4].tolist())),
        floor_m=tuple(map(tuple, FLOOR[:4].tolist())),
    )
    assert floor_map(flat)(pixels) == pytest.approx(FLOOR, abs=1e-6)
    assert np.isnan(floor_map(flat)(np.array([[320.0, -300.0]]))).all()


def test_a_homography_on_one_line_is_refused() -> None:
    line = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    with pytest.raises(ValueError, match="do not determine"):
        fit_homography(line, line)


def test_undistorting_without_distortion_is_exact() -> None:
    assert undistorted(PINHOLE, np.array([[320.0, 240.0]])).tolist() == [[0.0, 0.0]]


def test_a_tilted_radar_looks_down() -> None:
    pose = Pose(position_m=(1.0, 1.0, 2.0), yaw_deg=90.0, tilt_deg=30.0)
    ahead, right = radar_to_site(pose, np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]]))
    assert ahead == pytest.approx([1.0, 1.0 + 2 * np.cos(np.radians(30)), 2.0 - 1.0])
    assert right == pytest.approx([2.0, 1.0, 2.0])


def test_range_error_of_a_camera_grows_with_distance() -> None:
    camera = Camera(id="c", source="0", calibration=PINHOLE)
    feet = project(PINHOLE, np.array([[4.5, 5.0, 0.0], [8.0, 8.0, 0.0]]))
    heads = project(PINHOLE, np.array([[4.5, 5.0, 1.7], [8.0, 8.0, 1.7]]))
    height = (feet[:, 1] - heads[:, 1]) / (1 - camera.detector.foot_margin)
    boxes = np.column_stack((feet[:, 0] - height / 5, heads[:, 1], height * 0.4, height))
    frame = CameraFrame(source="c", t_ns=1, boxes=boxes.astype("f4"), scores=np.ones(2, "f4"), image_size=(640, 480))
    seen = CameraView(camera, AREA).detections(frame)
    assert seen.position == pytest.approx(np.array([[4.5, 5.0], [8.0, 8.0]]), abs=0.02)
    spread = np.linalg.eigvalsh(seen.covariance)
    assert spread[1, 1] > 1.5 * spread[0, 1]
    assert (spread[:, 1] > spread[:, 0]).all()


def test_radar_points_become_bodies_and_lone_points_do_not() -> None:
    rng = np.random.default_rng(1)
    radar = Radar(id="r", cli_port="", data_port="", pose=Pose(position_m=(6.0, 0.0, 1.0), yaw_deg=90.0))
    bodies = np.array([[-1.0, 3.0, 0.0], [1.5, 5.0, 0.1]])
    points = np.concatenate([b + rng.normal(0, 0.08, (12, 3)) for b in bodies] + [np.array([[0.0, 8.0, 0.0]])])
    frame = RadarFrame(
        source="r", t_ns=1, points=np.column_stack((points, np.zeros((25, 2)))).astype("f4"), frame_number=1
    )
    seen = RadarView(radar, AREA).detections(frame)
    assert len(seen) == 2
    assert seen.position == pytest.approx(np.array([[5.0, 3.0], [7.5, 5.0]]), abs=0.25)


def test_clusters_are_connected_groups() -> None:
    chain = np.array([[0.0, 0.0], [0.4, 0.0], [0.8, 0.0], [3.0, 0.0], [3.2, 0.0]])
    assert grouped(chain, 0.5).tolist() == [0, 0, 0, 1, 1]
    assert grouped(np.zeros((0, 2)), 0.5).tolist() == []


def test_matching_never_forces_a_pair() -> None:
    rows, columns = match(np.array([[1.0, 9.0], [2.0, np.inf]]), gate=5.0)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 0)]
    assert match(np.zeros((0, 3)), 1.0)[0].size == 0


def test_the_filter_follows_a_walker() -> None:
    rng = np.random.default_rng(2)
    noise = np.tile(0.04 * np.eye(2), (1, 1, 1))
    mean, covariance = begin(np.zeros((1, 2)), noise)
    truth = np.zeros((1, 2))
    for step in range(1, 60):
        mean, covariance = predict(mean, covariance, 0.1)
        truth = np.array([[0.12 * step, 0.05 * step]])
        mean, covariance = update(mean, covariance, truth + rng.normal(0, 0.2, (1, 2)), noise)
    assert mean[0, :2] == pytest.approx(truth[0], abs=0.3)
    assert mean[0, 2:] == pytest.approx([1.2, 0.5], abs=0.4)
    assert (np.linalg.eigvalsh(covariance[0]) > 0).all()


def brute_force(belief: np.ndarray) -> np.ndarray:
    """Every one-to-one assignment, one after another."""
    identities, columns = belief.shape
    result, total = np.zeros((identities, columns - 1)), 0.0
    for choice in product(range(columns), repeat=identities):
        taken = [c for c in choice if c]
        if len(taken) == len(set(taken)):
            weight = float(np.prod(belief[np.arange(identities), list(choice)]))
            total += weight
            for row, column in enumerate(choice):
                if column:
                    result[row, column - 1] += weight
    return result / total


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10_000))
def test_exact_posterior_equals_brute_force(identities: int, columns: int, seed: int) -> None:
    belief = np.random.default_rng(seed).dirichlet(np.ones(columns + 1), identities)
    assert _exact(belief) == pytest.approx(brute_force(belief), abs=1e-9)
    assert marginals(belief) == pytest.approx(brute_force(belief), abs=2e-3)


def test_the_approximation_for_large_groups_is_a_valid_and_near_answer() -> None:
    rng = np.random.default_rng(5)
    error = []
    for _ in range(50):
        belief = rng.dirichlet(0.3 * np.ones(7), 5)
        near = _scaled(belief)
        assert (near.sum(axis=0) <= 1 + 1e-9).all()
        assert (near.sum(axis=1) <= 1 + 1e-9).all()
        error.append(np.abs(near - _exact(belief)).mean())
    assert np.mean(error) < 0.05


def test_mixing_keeps_the_moments() -> None:
    mean = np.array([[[0.0], [4.0]]])
    covariance = np.ones((1, 2, 1, 1))
    centre, spread = mixed(np.array([[1.0, 1.0]]), mean, covariance)
    assert centre.item() == pytest.approx(2.0)
    assert spread.item() == pytest.approx(1.0 + 4.0)


def test_a_phone_alone_is_found_between_its_sniffers() -> None:
    sniffers = [Sniffer(id=f"s{n}", source="", position_m=(x, y, 2.0)) for n, (x, y) in enumerate(_CORNERS)]
    grid = WirelessGrid(AREA, sniffers, 1)
    place = np.array([[8.0, 3.0]])
    for _ in range(10):
        for row, sniffer in enumerate(sniffers):
            grid.hear(0, row, 0.0, 16.0, float(expected_dbm(sniffer, place)[0]))
    mean, covariance = grid.position(0)
    assert mean == pytest.approx([8.0, 3.0], abs=0.7)
    assert np.sqrt(np.trace(covariance)) < 2.0


def answered(probability: list[list[float]], assigned: dict[int, str], believed: float = 1.0) -> Answer:
    """Of two people, who is body 1 and who body 2; believed: in shares of that."""
    chances = np.array(probability)
    return Answer([1, 2], chances, believed * chances, assigned, [], np.zeros((2, 0)))


def test_names_need_their_time_and_can_be_revised() -> None:
    naming = Naming(Fusion(confirm_hold_s=1.0))
    second = 1_000_000_000
    sure = answered([[0.99, 0.0], [0.0, 0.3]], {1: "Ada", 2: "Bruno"})
    turned = answered([[0.0, 0.99], [0.98, 0.0]], {1: "Bruno", 2: "Ada"})
    assert naming.update("f", 0, ("Ada", "Bruno"), sure) == []
    (confirmed,) = naming.update("f", second, ("Ada", "Bruno"), sure)
    assert (confirmed.type, confirmed.id, confirmed.track) == ("confirm", "Ada", 1)  # type: ignore[union-attr]
    naming.update("f", 2 * second, ("Ada", "Bruno"), turned)
    revised = naming.update("f", 3 * second, ("Ada", "Bruno"), turned)
    assert {event.id for event in revised} == {"Ada", "Bruno"}  # type: ignore[union-attr]
    assert revised[0].type == "revise"  # type: ignore[union-attr]
    assert {body: name.identity for body, name in naming.names.items()} == {1: "Bruno", 2: "Ada"}


def test_what_is_learnt_of_strangers_alone_makes_no_name_sure_and_takes_none_away() -> None:
    naming = Naming(Fusion(confirm_hold_s=1.0))
    second = 1_000_000_000
    leaning = answered([[0.99, 0.0], [0.0, 0.3]], {1: "Ada"}, believed=0.9)
    for t_s in range(5):
        assert naming.update("f", t_s * second, ("Ada", "Bruno"), leaning) == []
    for t_s in (5, 6):
        naming.update("f", t_s * second, ("Ada", "Bruno"), answered([[0.99, 0.0], [0.0, 0.3]], {1: "Ada"}))
    naming.update("f", 7 * second, ("Ada", "Bruno"), leaning)
    assert {body: name.identity for body, name in naming.names.items()} == {1: "Ada"}


def test_state_comes_back_as_it_was() -> None:
    state = {"a": np.arange(6.0).reshape(2, 3), "b": [1, "x", None], "c": {"d": np.zeros((0, 4), "i8")}}
    again = packing.unpack(packing.pack(state))
    assert again["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert again["c"]["d"].shape == (0, 4)
    assert packing.pack(again) == packing.pack(state)
    with pytest.raises(ValueError, match="not a state"):
        packing.unpack(b"\xc1")


_CORNERS = ((0.0, 0.0), (12.0, 0.0), (12.0, 10.0), (0.0, 10.0))


def _fields(struct: Pinhole) -> dict[str, object]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
