"""Files of kept crops, whole, cut and damaged; crops, bodies and phones brought together."""

from pathlib import Path

import numpy as np
import pytest
from whowhere.models.appearance.crops import Crops, CropsError, crops_in, jpeg_of, load_crops, save_crops

RNG = np.random.default_rng(0)


def kept(camera: str = "hall", count: int = 4) -> Crops:
    pictures = tuple(jpeg_of(RNG.integers(0, 255, (80, 30, 3), dtype=np.uint8)) for _ in range(count))
    return Crops(camera, (640, 480), np.arange(count) * 10**9, RNG.random((count, 4)).astype("f4"), pictures)


def test_a_file_gives_back_what_was_kept(tmp_path: Path):
    crops = kept()
    save_crops(crops, tmp_path / "a.crops.npz")
    again = load_crops(tmp_path / "a.crops.npz")
    assert again.camera == "hall"
    assert again.image_size == (640, 480)
    assert again.jpegs == crops.jpegs
    assert np.array_equal(again.t_ns, crops.t_ns)
    assert np.array_equal(again.boxes, crops.boxes)
    assert again.picture(3).shape == (80, 30, 3)
    save_crops(kept("door", 0), tmp_path / "b.crops.npz")
    assert [len(each.jpegs) for each in crops_in(tmp_path)] == [4, 0]
    with pytest.raises(CropsError, match="of these cameras"):
        crops_in(tmp_path, ["roof"])
    with pytest.raises(CropsError, match=r"nowhere is not there: the folder into which cameras kept crops"):
        crops_in(tmp_path / "nowhere")
    with pytest.raises(CropsError, match=r"a.crops.npz is a file, where a folder"):
        crops_in(tmp_path / "a.crops.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CropsError, match=r"empty holds no crops"):
        crops_in(tmp_path / "empty")


def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path):
    save_crops(kept(), tmp_path / "a.crops.npz")
    whole = (tmp_path / "a.crops.npz").read_bytes()
    bad = tmp_path / "bad.crops.npz"
    for cut in range(0, len(whole), 401):
        bad.write_bytes(whole[:cut])
        with pytest.raises(CropsError, match="bad"):
            load_crops(bad)
    for at in range(0, len(whole), 211):
        damaged = bytearray(whole)
        damaged[at] ^= 0x5A
        bad.write_bytes(damaged)
        try:
            load_crops(bad)
        except CropsError as error:
            assert "\n" not in str(error)  # noqa: PT017
    np.savez(bad, schema=np.array("whowhere crops 1"), camera=np.array("x"))
    with pytest.raises(CropsError, match='lacks "image_size"'):
        load_crops(bad)
    with pytest.raises(CropsError, match="cannot be read"):
        load_crops(tmp_path / "none.npz")
    noise = kept()._replace(jpegs=(b"noise",) * 4)
    with pytest.raises(CropsError, match="no JPEG"):
        noise.picture(0)


def test_crops_find_their_bodies(tmp_path: Path):
    pytest.importorskip("torch", reason="learning needs the train extra")
    from whowhere.models.appearance.gathering import Bodies, gather
    from whowhere.models.appearance.learning import LearningError
    from whowhere.models.appearance.tracklets import Trajectory

    at = np.arange(0.0, 20.0, 0.5)
    here = np.column_stack([at, np.zeros_like(at)])
    rows = sorted((t, track, *place) for track, off in ((1, 0.0), (2, 5.0)) for t, place in
                  zip(at, (here + np.array([0.0, off])).tolist(), strict=True))  # fmt: skip
    bodies = Bodies(0, np.array([r[0] for r in rows]), np.array([r[1] for r in rows]), np.array([r[2:] for r in rows]))
    pictures = kept(count=12).jpegs
    times = np.array([0, 1, 2, 3, 10, 11, 0, 1, 2, 3, 4, 5]) + 0.1
    feet = np.column_stack([times, np.where(np.arange(12) < 6, 0.0, 5.0)])
    feet[8] = [2.1, 2.5]  # between both
    boxes = np.column_stack([feet, np.zeros((12, 2))]).astype("f4")
    crops = Crops("hall", (640, 480), (times * 1e9).astype(np.int64), boxes, pictures)
    phone = Trajectory("a", at, here, 2.0)
    material = gather([crops], bodies, [phone], {"hall": lambda box: box[:, :2].astype(np.float64)})
    assert material.tracklets.start_s.tolist() == pytest.approx([0.1, 0.1, 10.1])
    assert [len(each) for each in material.crops] == [4, 5, 2]
    with pytest.raises(LearningError, match="none fits a body"):
        gather([crops], bodies, [phone], {"hall": lambda box: box[:, :2].astype(np.float64) + 100.0})
