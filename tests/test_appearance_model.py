"""Looks at run time: embeddings, nats, files that do not fit, crops that are not worth it, galleries of all sizes."""

import json
from pathlib import Path
from time import process_time
from typing import Any

import cv2
import numpy as np
import pytest
from whowhere.models.appearance import quality
from whowhere.models.appearance.card import FORMAT, NEEDED
from whowhere.models.appearance.generated import make_day, owned_truly
from whowhere.models.appearance.likeness import CHANGED, fitted_line
from whowhere.models.appearance.model import (
    SHIPPED,
    AppearanceModel,
    ModelError,
    load_model,
    model_of,
    save_model,
    shipped_model,
)
from whowhere.models.appearance.owners import owners
from whowhere.models.appearance.sprites import make_body, make_camera, passage, pictures_of
from whowhere.models.appearance.tracklets import fragments

SHIPPED_NAMES = sorted(path.stem for path in SHIPPED.glob("*.json"))


@pytest.fixture(params=SHIPPED_NAMES)
def model(request: pytest.FixtureRequest) -> AppearanceModel:
    return shipped_model(request.param)


def walk(seed: int, person: int, camera: int = 0) -> list[np.ndarray]:
    """8 crops of one drawn person by one drawn camera."""
    return list(passage(make_body(np.random.default_rng([person, 1])), make_camera(np.random.default_rng([camera, 2])),
                        np.random.default_rng([seed, 3])))  # fmt: skip


def test_an_embedding_has_length_one_whatever_the_size_of_the_crop(model: AppearanceModel):
    crop = walk(0, 0)[0]
    sizes = [(12, 40), (33, 97), (200, 500)]
    done = model.embed([np.asarray(cv2.resize(crop, size), np.uint8) for size in sizes])
    assert done.shape == (3, model.size)
    assert done.dtype == np.float32
    assert np.linalg.norm(done, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert model.size <= 256
    assert (done @ done.T).min() > 0.6  # one picture at any size; the smallest has lost three quarters of it
    assert model.embed([]).shape == (0, model.size)


def test_one_by_one_and_all_at_once_are_the_same(model: AppearanceModel):
    crops = [crop for person in range(9) for crop in walk(1, person)]
    assert model.embed(crops) == pytest.approx(np.concatenate([model.embed([crop]) for crop in crops]), abs=1e-5)


def test_what_is_no_picture_is_refused(model: AppearanceModel):
    wrongs: list[Any] = [np.zeros((0, 0, 3), np.uint8), np.zeros((50, 20), np.uint8), np.zeros((50, 20, 3))]
    for wrong in wrongs:
        with pytest.raises(ModelError, match="no BGR picture"):
            model.embed([wrong])


def test_the_same_person_looks_more_alike_and_clothes_never_rule_anybody_out(model: AppearanceModel):
    people = [quality.pooled(model.embed(walk(2, person))) for person in range(12)]
    again = [quality.pooled(model.embed(walk(3, person))) for person in range(12)]
    nats = model.log_ratio(np.array(people) @ np.array(again).T, same_camera=True, is_mean=True)
    assert np.diag(nats).mean() > 0.1  # stripes are little worth on drawn people
    assert nats[~np.eye(12, dtype=bool)].mean() < -0.5
    for same_camera, share in ((True, CHANGED["same camera"]), (False, CHANGED["other camera"])):
        assert model.log_ratio(-1.0, same_camera) >= np.log(share) - 1e-9  # the radio outvotes changed clothes
        assert model.log_ratio(1.0, same_camera) < 6.1
    mixed = model.log_ratio([[0.5, 0.9]], same_camera=[[True, False]])
    assert mixed.shape == (1, 2)


def test_galleries_empty_huge_and_of_another_model(model: AppearanceModel):
    query = model.embed(walk(0, 0)[:2])
    assert model.likeness.of(query, np.zeros((0, model.size), np.float32), model.label).shape == (2, 0)
    assert model.likeness.of(np.zeros((0, 0), np.float32), query, model.label).shape == (0, 2)
    gallery = np.tile(query, (5000, 1))
    before = process_time()
    nats = model.likeness.of(query, gallery, model.label)
    assert process_time() - before < 0.2
    assert nats.shape == (2, 10_000)
    with pytest.raises(ModelError, match='"other:3" cannot be compared'):
        model.likeness.of(query, gallery, "other:3")
    with pytest.raises(ModelError, match="rows of"):
        model.likeness.of(query, gallery[:, :-1], model.label)


def test_a_file_that_does_not_fit_is_refused_in_one_sentence(tmp_path: Path):
    card = json.loads((SHIPPED / "stripes.json").read_text())
    save_model(b"", card, tmp_path / "own")
    assert load_model(tmp_path / "own.json").label == "stripes:1"
    for change, said in (
        ({"format": "x"}, "no card of an appearance model"),
        ({"size": 7}, "makes 96 numbers"),
        ({"name": ""}, "own.json: name = '' must be a text"),
        ({"version": 1}, "own.json: version = 1 must be a text"),
        ({"size": "96"}, "own.json: size = '96' must be a whole number above 0"),
        ({"lines": 3}, "own.json: lines = 3 must be a table"),
        ({"lines": {}}, 'own.json: lines."same camera, crop" = None must be two numbers'),
        ({"lines": card["lines"] | {"other camera, mean": 3}}, 'lines."other camera, mean" = 3 must be two numbers'),
        ({"lines": card["lines"] | {"other camera, mean": [1, "x"]}}, "must be two numbers, offset and slope"),
        ({"lines": card["lines"] | {"other camera, mean": [1, 10**400]}}, "must be two numbers, offset and slope"),
        ({"changed": [0.1]}, "own.json: changed = .* must be a table"),
        ({"changed": {"same camera": 0.1}}, 'own.json: changed."other camera" = None must be 0 to 1'),
        ({"changed": {"same camera": float("nan"), "other camera": 0.1}}, 'changed."same camera" = nan must be 0 to 1'),
        ({"crop_px": 32}, "own.json: crop_px = 32 must be width and height"),
        ({"crop_px": [32, -1]}, "crop_px = .* must be width and height"),
        ({"sha256": 0}, "own.json: sha256 = 0 must be a text"),
        ({"share": None}, "own.json: share = None must be 0 to 1"),
        ({"sha256": "0"}, "cannot be read"),
        ({"share": 2}, "share = 2 must be 0 to 1"),
    ):
        (tmp_path / "own.json").write_text(json.dumps({**card, "format": FORMAT, **change}))
        with pytest.raises(ModelError, match=said):
            load_model(tmp_path / "own.json")
    for key in NEEDED:
        (tmp_path / "own.json").write_text(
            json.dumps({name: value for name, value in card.items() if name != key} | {"format": FORMAT})
        )
        with pytest.raises(ModelError, match=f'own.json lacks "{key}"'):
            load_model(tmp_path / "own.json")
    (tmp_path / "own.json").write_text("{")
    with pytest.raises(ModelError, match="is no card"):
        load_model(tmp_path / "own.json")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(tmp_path / "none.json")
    (tmp_path / "own.json").write_text(json.dumps({**card, "format": FORMAT, "sha256": "0"}))
    (tmp_path / "own.onnx").write_bytes(b"noise")
    with pytest.raises(ModelError, match="sha256 differs"):
        load_model(tmp_path / "own.onnx")
    with pytest.raises(ModelError, match="no ONNX model"):
        model_of(b"noise", card)


def test_what_is_shipped_is_small_and_quick():
    crops = walk(0, 0)
    for name in SHIPPED_NAMES:
        file = SHIPPED / f"{name}.onnx"
        assert not file.exists() or file.stat().st_size <= 3_000_000
        shipped = shipped_model(name)
        shipped.embed(crops)
        before = process_time()
        shipped.embed(crops)
        assert (process_time() - before) / len(crops) < 0.005


def test_flaws_of_crops():
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    boxes = np.array([[10, 10, 40, 100], [10, 10, 10, 30], [-30, 20, 60, 120], [15, 15, 40, 100], [400, 10, 40, 90]])
    assert quality.flaws(quality.cut_out(image, boxes), boxes, (300, 200)) == ["hidden", "small", "cut", "", "small"]
    assert quality.flaw_of(np.full((120, 50, 3), 90, np.uint8)) == "blurred"
    assert quality.flaws([], np.zeros((0, 4)), (300, 200)) == []


def test_a_crop_with_somebody_else_in_it_counts_less(model: AppearanceModel):
    own, other = model.embed(walk(0, 1)), model.embed(walk(0, 2))
    rows = np.concatenate([own[:6], other[:2]])
    weights = quality.agreement(rows)
    assert weights[6:].max() < weights[:6].min()
    assert quality.pooled(rows) @ quality.pooled(own) > rows.mean(axis=0) @ quality.pooled(own)
    assert quality.pooled(own[:1]) == pytest.approx(own[0], abs=1e-6)


def test_logistic_regression_finds_the_line_of_two_gaussians():
    rng = np.random.default_rng(0)
    offset, slope = fitted_line(rng.normal(0.9, 0.1, 20_000), rng.normal(0.6, 0.1, 50_000))
    assert (offset, slope) == pytest.approx((-22.5, 30.0), rel=0.05)  # (m1 - m0) / s2, and the middle between them
    assert fitted_line(np.full(9, 0.9), np.full(9, 0.1))[1] < 1000  # separable: bounded


def test_owners_are_found_on_a_generated_day_with_and_without_places():
    day = make_day(5, people=30, phones=24, minutes=25)
    stripes = shipped_model("stripes")
    x = np.array([quality.pooled(stripes.embed(list(frames))) for frames in pictures_of(day, 5, frames=3)], np.float64)
    passages = fragments(day.trajectories, day.camera_m)
    for tracklets, least in ((day.tracklets, 0.85), (day.tracklets._replace(paths=()), 0.8)):
        found = owners(x, tracklets, day.trajectories, passages, day.camera_m)
        right = said = there = 0
        for phone, truth in enumerate(owned_truly(day)):
            rows = found.tracklets_of(phone)
            right, said, there = right + len(np.intersect1d(rows, truth)), said + len(rows), there + len(truth)
        assert right / said > 0.9
        assert right / there > least
        together = found.together()
        assert np.abs(together).max() <= 1.0 + 1e-9
        assert together == pytest.approx(together.T)


def test_owners_of_nothing():
    day = make_day(5, people=4, phones=2, minutes=10)
    x = np.eye(len(day.person), 8) + 0.1
    assert owners(x, day.tracklets, (), [], day.camera_m).probability.shape == (0, len(x))
    assert not owners(x, day.tracklets, day.trajectories, [], day.camera_m).probability.any()


def test_a_generated_day_is_its_seed_and_phones_change_nobodys_walk():
    one, again, fewer = make_day(6, 12, 8, 10), make_day(6, 12, 8, 10), make_day(6, 12, 3, 10)
    assert (pictures_of(one, 6, 2) == pictures_of(again, 6, 2)).all()
    assert np.array_equal(one.tracklets.start_s, fewer.tracklets.start_s)
    assert len(fewer.trajectories) == 3
