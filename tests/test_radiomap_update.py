"""The shipped updater: new, gone and changed access points; refusals and rollbacks in one sentence; the command."""

import json
from pathlib import Path

import numpy as np
import pytest
from whowhere.launch.cli import main
from whowhere.launch.evaluate.library import DEFAULT
from whowhere.launch.learning_radiomap import next_version
from whowhere.models.radiomap.knn import Locator
from whowhere.models.radiomap.maps import FingerprintMap, MapError, load_map, save_map
from whowhere.models.radiomap.offset import LEAST_DB, common_offset_db
from whowhere.models.radiomap.rehearsal import tried
from whowhere.models.radiomap.scans import Scans, scans_from_csv, scans_to_csv
from whowhere.models.radiomap.update import updated

POINTS = np.random.default_rng(5).uniform(0, 20, (24, 2))
NAMES = tuple(f"ap{j:02d}" for j in range(24))
OLD, NEW = NAMES[:16], NAMES[8:]  # eight are gone, eight are new


def heard_at(place: np.ndarray, rng: np.random.Generator, names: tuple[str, ...]) -> np.ndarray:
    points = POINTS[[NAMES.index(name) for name in names]]
    distance = np.hypot(*(place[:, None, :] - points[None]).transpose(2, 0, 1))
    level = -35 - 28 * np.log10(distance + 1) + rng.normal(0, 2.5, distance.shape)
    return np.where(level < -72, np.nan, level).astype(np.float32)


def old_map() -> FingerprintMap:
    grid = np.stack(np.meshgrid(np.arange(0, 21, 2.5), np.arange(0, 21, 2.5)), -1).reshape(-1, 2)
    place = np.repeat(grid, 6, axis=0)
    return FingerprintMap("hall", "1", OLD, place, heard_at(place, np.random.default_rng(1), OLD))


def walked(seed: int = 2, scans: int = 300, names: tuple[str, ...] = NEW) -> tuple[Scans, np.ndarray]:
    rng = np.random.default_rng(seed)
    turns = np.linspace(0, 14 * np.pi, scans)
    place = np.stack([10 + 9 * np.sin(turns * 0.83), 10 + 9 * np.cos(turns * 0.31)], axis=1)
    return Scans(names, heard_at(place, rng, names), np.arange(0.0, 4.0 * scans, 4.0)), place


def error_m(radio_map: FingerprintMap) -> float:
    rng = np.random.default_rng(9)
    place = rng.uniform(1, 19, (300, 2))
    scans = Scans(NEW, heard_at(place, rng, NEW))
    fixes = Locator(radio_map).locate_many(scans.columns(radio_map.bssids))
    said = np.where(fixes.shared[:, None] > 0, fixes.position_m, 10.0)
    return float(np.hypot(*(said - place).T).mean())


def test_an_update_names_new_and_gone_access_points_and_locates_better():
    result = tried(old_map(), walked()[0], version="2")
    assert result.deployed, result.reason
    card = result.map.card
    assert set(card["access_points"]["added"]) == set(NAMES[16:])
    assert set(card["access_points"]["removed"]) == set(NAMES[:8])
    assert card["parent"] == "hall:1"
    assert set(result.map.bssids) == set(NEW)
    assert error_m(result.map) < 0.8 * error_m(old_map())


def test_the_same_update_has_the_same_bytes_and_another_order_of_columns_changes_no_name():
    scans, _ = walked()
    first, again = (tried(old_map(), scans, version="2").map for _ in range(2))
    assert first.to_bytes() == again.to_bytes()
    order = np.random.default_rng(0).permutation(len(NEW))
    mixed = Scans(tuple(NEW[j] for j in order), scans.rssi_dbm[:, order], scans.t_s)
    assert tried(old_map(), mixed, version="2").map.card["access_points"] == first.card["access_points"]


def test_an_update_of_an_update_replaces_the_scans_that_the_first_put_beside_the_survey():
    once = tried(old_map(), walked(2)[0], version="2").map
    twice = tried(once, walked(3)[0], version="3").map
    assert len(twice.position_m) == len(once.position_m)
    assert twice.card["parent"] == "hall:2"
    assert twice.survey is not None
    assert twice.survey.to_bytes() == old_map().to_bytes()  # however many updates: what was measured is kept
    assert FingerprintMap.from_bytes(twice.to_bytes()).to_bytes() == twice.to_bytes()
    assert twice.card["access_points"]["removed"] == []  # they had left with the first update


def test_scans_without_times_can_be_used_too():
    scans, _ = walked()
    result = tried(old_map(), Scans(scans.bssids, scans.rssi_dbm), version="2")
    assert result.deployed, result.reason


def test_an_access_point_that_became_louder_everywhere_is_said_and_followed():
    scans, _ = walked(names=OLD)
    rssi = scans.rssi_dbm.copy()
    rssi[:, 4] += 10
    found = updated(old_map(), Scans(OLD, rssi, scans.t_s), version="2")
    assert list(found.changes.shift_db) == ["ap04"]
    assert found.changes.shift_db["ap04"] > 5
    before = np.nanmean(old_map().rssi_dbm[:, 4])
    assert np.nanmean(found.map.rssi_dbm[: found.counts["surveyed_rows"], found.map.bssids.index("ap04")]) - before > 5


def test_where_nothing_changed_levels_stay():
    found = updated(old_map(), walked(names=OLD)[0], version="2")
    rows = found.counts["surveyed_rows"]
    assert not found.changes.added
    assert not found.changes.removed
    both = np.abs(found.map.rssi_dbm[:rows] - old_map().rssi_dbm)
    assert np.nanmean(both) < 1.5


def louder(scans: Scans, by_db: float, part: float = 1.0) -> Scans:
    chosen = np.random.default_rng(3).random(len(scans)) < part
    return Scans(scans.bssids, np.where(chosen[:, None], scans.rssi_dbm + by_db, scans.rssi_dbm), scans.t_s)


def test_what_all_scans_are_too_loud_by_is_taken_back_and_said():
    scans, _ = walked()
    plain, shifted = (tried(old_map(), batch, version="2") for batch in (scans, louder(scans, 7.0)))
    assert shifted.deployed, shifted.reason
    assert plain.map.card["counts"]["offset_db"] == 0.0
    assert abs(shifted.map.card["counts"]["offset_db"] - 7.0) < 1.5
    assert abs(np.nanmean(shifted.map.rssi_dbm) - np.nanmean(plain.map.rssi_dbm)) < 1.5
    assert error_m(shifted.map) < error_m(plain.map) + 0.1


def test_an_offset_of_a_part_of_the_scans_is_not_taken_for_a_common_one():
    old = old_map()
    batch = walked(names=OLD)[0]
    found = [common_offset_db(old.rssi_dbm, louder(batch, 8.0, part).columns(OLD)) for part in (0.0, 0.5, 1.0)]
    assert abs(found[0]) < 1.5
    assert abs(found[1]) < LEAST_DB
    assert abs(found[2] - 8.0) < 1.5


def test_a_fainter_batch_with_nothing_new_is_refused():
    result = tried(old_map(), louder(walked(names=OLD)[0], -6.0), version="2")
    assert not result.deployed
    assert "fainter than the map" in result.reason


def test_the_levels_to_be_expected_follow_the_batch_at_the_surveys_places():
    old, rng = old_map(), np.random.default_rng(4)
    new = tried(old, walked()[0], version="2").map
    assert new.levels is not None
    assert set(new.levels.bssids) == set(NEW)
    truth = np.nanmean([heard_at(old.position_m, rng, NEW) for _ in range(20)], axis=0)
    said = new.levels.rssi_dbm[:, [new.levels.bssids.index(name) for name in NEW]]
    either, both = ~np.isnan(said) | ~np.isnan(truth), ~np.isnan(said) & ~np.isnan(truth)
    assert both.sum() > 0.6 * either.sum()
    assert np.abs(said - truth)[both].mean() < 5.0
    again = FingerprintMap.from_bytes(new.to_bytes())
    assert again.levels is not None
    assert again.levels.to_bytes() == new.levels.to_bytes()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda rssi: np.where(np.isnan(rssi), np.nan, np.minimum(rssi + 25, 10)), "do not fit the map"),
        (lambda rssi: np.roll(rssi, 5, axis=1), "do not fit the map|rolled back"),
        (lambda rssi: rssi[:10], "too few"),
        (lambda rssi: np.repeat(rssi[:1], 200, axis=0), "one spot|rolled back"),
    ],
)
def test_what_would_spoil_a_map_is_refused_or_rolled_back(spoil, sentence: str):
    rssi = spoil(walked(names=OLD)[0].rssi_dbm)
    old = old_map()
    result = tried(old, Scans(OLD, rssi, np.arange(0.0, 4.0 * len(rssi), 4.0)), version="2")
    assert not result.deployed
    assert result.map is old
    assert any(word in result.reason for word in sentence.split("|")), result.reason


def test_another_sites_scans_are_refused():
    scans, _ = walked()
    strange = Scans(tuple(f"x{name}" for name in NEW), scans.rssi_dbm, scans.t_s)
    result = tried(old_map(), strange, version="2")
    assert not result.deployed
    assert "share 0 access points" in result.reason


def test_scans_come_back_from_their_csv():
    scans, _ = walked()
    again = scans_from_csv(scans_to_csv(scans))
    assert again.bssids == scans.bssids
    assert np.allclose(again.rssi_dbm, scans.rssi_dbm, atol=0.06, equal_nan=True)
    assert again.t_s is not None
    assert scans.t_s is not None
    assert np.allclose(again.t_s, scans.t_s)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "t_s\n1\n", "a,b\n", "a,b\n1\n", "a,b\nx,y\n", "a,a\n-50,-60\n", "t_s,a\n,-50\n", "a\n-500\n", "a\n\n"],
)
def test_a_bad_csv_is_one_sentence(text: str):
    with pytest.raises(MapError):
        scans_from_csv(text)


def test_the_command_writes_map_and_page_or_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_map(old_map(), tmp_path / "hall.map")
    (tmp_path / "scans.csv").write_text(scans_to_csv(walked()[0]))
    names = {name: str(tmp_path / name) for name in ("hall.map", "scans.csv", "new.map", "page.html")}
    command = ["learn", "radiomap", names["scans.csv"], "--map", names["hall.map"], "--out", names["new.map"]]
    assert main([*command, "--report", names["page.html"], "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["deployed"]
    assert len(said["access_points"]["added"]) == 8
    assert load_map(names["new.map"]).label == "hall:2"
    assert "ap16 after" in (tmp_path / "page.html").read_text()
    (tmp_path / "new.map").unlink()
    (tmp_path / "scans.csv").write_text(scans_to_csv(walked(scans=12)[0]))
    assert main(command) == 3
    assert "too few" in capsys.readouterr().out
    assert not (tmp_path / "new.map").exists()
    assert main(["learn", "radiomap", names["page.html"], "--map", names["hall.map"], "--out", names["new.map"]]) == 1


def test_versions_count_on():
    assert [next_version(v) for v in ("1", "hall-9", "first", "2.0")] == ["2", "hall-10", "first-2", "2.1"]


@pytest.mark.long
def test_the_library_is_located_no_worse_after_an_update():
    from whowhere.launch.evaluate.library import Library
    from whowhere.launch.evaluate.radiomap import scored

    source = Path(__file__).parents[1] / DEFAULT
    if not source.exists():
        pytest.skip("the library data of ../shared/data is not here")
    library = Library(source)
    first = library.month(1, "trn")
    rows = [scored(first, library.month(m, "trn"), library.month(m, "tst"), 0.0, 1, 8, False) for m in (5, 11)]
    assert sum(float(str(row["shipped"])) for row in rows) < sum(float(str(row["stale"])) for row in rows)
