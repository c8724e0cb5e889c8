"""What a camera node says of boxes beside where they are, and what it keeps: outlines, crops, and models that fit."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.drivers.camera.appearance import NAME
from whowhere.drivers.camera.gait import NAME as PROFILE
from whowhere.drivers.camera.silhouettes import Silhouettes
from whowhere.models.appearance.crops import crops_in
from whowhere.nodes.crop_keeping import FILE_NS, CropKeeper
from whowhere.nodes.describing import Describer
from whowhere.nodes.models import models_of
from whowhere.sitefile import SHIPPED, Area, Learning, Site, SiteError

S = 1_000_000_000
PLAIN = Site(name="hall", area=Area(x_m=(0, 5), y_m=(0, 5)))
BOX = np.array([[100, 40, 60, 160]], np.float32)


def picture(x: int | None, seed: int = 0) -> np.ndarray:
    """A grey room with grain, and somebody at x."""
    image = np.clip(np.random.default_rng(seed).normal(120, 2, (240, 320, 3)), 0, 255).astype(np.uint8)
    if x is not None:
        cv2.rectangle(image, (x - 20, 60), (x + 20, 130), (30, 30, 200), -1)
        for foot in (-18, 18):
            cv2.line(image, (x, 130), (x + foot, 195), (60, 40, 30), 12)
        cv2.circle(image, (x, 48), 9, (120, 150, 205), -1)
    return image


def test_an_outline_is_where_somebody_is() -> None:
    silhouettes = Silhouettes()
    for k in range(30):
        silhouettes.of(picture(None, k), np.zeros((0, 4)))
    outline = silhouettes.of(picture(130, 99), BOX)[0]
    rows, columns = np.nonzero(outline)
    assert rows.max() - rows.min() > 45
    assert abs(columns.mean() - 31.5) < 4
    legs = outline[int(rows.max()) - 4]
    assert len(np.flatnonzero(np.diff(legs.astype(int)) == 1)) == 2  # two feet, apart


def test_people_side_by_side_have_no_outline_of_their_own() -> None:
    silhouettes = Silhouettes()
    for k in range(30):
        silhouettes.of(picture(None, k), np.zeros((0, 4)))
    both = BOX + np.array([[0, 0, 0, 0], [40, 0, 0, 0]])
    assert not silhouettes.of(picture(130, 99), both).any()


def test_descriptors_follow_the_site_files_models() -> None:
    assert list(Describer(PLAIN, "hall").of(picture(130), BOX, S)) == [NAME]
    site = replace(PLAIN, models={"appearance": SHIPPED, "gait": SHIPPED})
    said = Describer(site, "hall").of(picture(130), np.vstack((BOX, [[5, 5, 8, 20]])).astype("f4"), S)
    label = next(name for name in said if name not in (NAME, PROFILE))
    assert np.linalg.norm(said[label], axis=1) == pytest.approx([1.0, 0.0], abs=1e-5)  # a tiny crop says nothing
    assert said[PROFILE].shape == (2, 64)


def test_a_model_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "looks.json"
    broken.write_text("{")
    with pytest.raises(SiteError, match=r"models\.appearance: .*looks\.json is no card"):
        models_of(replace(PLAIN, models={"appearance": str(broken)}))
    with pytest.raises(SiteError, match="is not what this session was made with"):
        models_of(replace(PLAIN, models={"gait": SHIPPED}), {"gait": "0" * 64})


def keep(keeper: CropKeeper, t_ns: int) -> None:
    keeper.keep(t_ns, (320, 240), BOX, {0: picture(130)[40:200, 100:160]})


def test_crops_are_kept_a_file_a_minute_and_go_by_themselves(tmp_path: Path) -> None:
    keeper = CropKeeper(Learning(crops=True, folder=str(tmp_path), every_s=1.0, keep_days=1.0), "hall")
    for t_ns in (S, S + 1000, 3 * S, 3 * S + FILE_NS):  # the second comes too soon
        keep(keeper, t_ns)
    assert [len(crops.jpegs) for crops in crops_in(tmp_path)] == [3]
    keep(keeper, 3 * 86400 * S)
    keep(keeper, 3 * 86400 * S + FILE_NS)
    assert keeper.counters == {"crops_kept": 5, "crops_lost": 0, "crop_files_expired": 1, "crops_waiting": 0}
    assert len(crops_in(tmp_path)) == 1


def test_a_disk_that_takes_nothing_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "crops"
    keeper = CropKeeper(Learning(crops=True, folder=str(folder)), "hall")
    keep(keeper, S)
    assert keeper.counters["crops_waiting"] == 1
    folder.rmdir()
    folder.write_text("")
    keeper.write()
    assert keeper.counters["crops_lost"] == 1
    with pytest.raises(SiteError, match=r"learning\.folder = .* cannot be a folder"):
        CropKeeper(Learning(crops=True, folder=str(folder)), "hall")


def test_a_model_of_a_kind_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r'models\.gaits: no such model; did you mean "gait"\?'):
        replace(PLAIN, models={"gaits": SHIPPED})
