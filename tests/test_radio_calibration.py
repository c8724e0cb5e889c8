"""The radio's calibration from confirmed pairs: known parameters come back, a sniffer in the wrong place is found, a
right one never suspected. The readings are generated here, from the physics and not from the model's assumptions."""

from collections.abc import Callable

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.fusion.radio_calibration import MOST_BINS, RadioCalibration
from whowhere.fusion.state import pack, unpack
from whowhere.fusion.wireless import WirelessGrid
from whowhere.messages import WifiWindow
from whowhere.sitefile import Area, Sniffer

AREA = Area(x_m=(0.0, 12.0), y_m=(0.0, 10.0))
CORNERS = ((0.3, 0.3), (11.7, 0.3), (11.7, 9.7), (0.3, 9.7))
SECOND_NS = 1_000_000_000
EPOCH_NS = 1_760_000_000 * SECOND_NS
SHADOWING_DB, SHADOWING_S = 4.0, 3.0


def corner_sniffers(reference_dbm: float = -40.0, exponent: float = 2.5) -> tuple[Sniffer, ...]:
    return tuple(
        Sniffer(
            id=f"s{row + 1}",
            source="simulated",
            position_m=(x, y, 2.2),
            reference_dbm=reference_dbm,
            path_loss_exponent=exponent,
        )
        for row, (x, y) in enumerate(CORNERS)
    )


class Room:
    """People who walk from place to place, stand a while, and carry phones which `true` sniffers hear."""

    def __init__(self, seed: int, true: tuple[Sniffer, ...], people: int = 4, *, wall_db: float = 0.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.true, self.people, self.wall_db = true, people, wall_db
        shape = (people, len(true))
        self.offset_db = self.rng.normal(0.0, 4.0, people)
        self.pair_db = self.rng.normal(0.0, 2.0, shape)
        self.carried_rad = self.rng.uniform(0, 2 * np.pi, people)
        self.shadowing_db = self.rng.normal(0.0, SHADOWING_DB, shape)
        self.position = self.rng.uniform((0.5, 0.5), (11.5, 9.5), (people, 2))
        self.goal = self.position.copy()
        self.standing_s = np.zeros(people)
        self.heading = np.zeros(people)

    def walk_for(self, seconds: float, hear: Callable[[int, int, float, np.ndarray, int], None]) -> None:
        """Every half second each phone is heard with chance 0.7 by each sniffer."""
        step_s = 0.5
        keep = np.exp(-step_s / SHADOWING_S)
        for tick in range(int(seconds / step_s)):
            self._walk(step_s)
            fresh = self.rng.normal(0.0, SHADOWING_DB, self.shadowing_db.shape)
            self.shadowing_db = keep * self.shadowing_db + np.sqrt(1 - keep**2) * fresh
            strengths, is_heard = self._heard_dbm(), self.rng.random(self.shadowing_db.shape) < 0.7
            seen = self.position + self.rng.normal(0.0, 0.2, (self.people, 2))  # as a tracker has it
            for person, row in np.argwhere(is_heard).tolist():
                t_ns = EPOCH_NS + int(tick * step_s * 1e9)
                hear(person, row, float(strengths[person, row]), seen[person], t_ns)

    def _walk(self, step_s: float) -> None:
        for person in range(self.people):
            left = self.goal[person] - self.position[person]
            away_m = float(np.hypot(*left))
            if self.standing_s[person] > 0:
                self.standing_s[person] -= step_s
            elif away_m < 0.6:
                self.goal[person] = self.rng.uniform((0.3, 0.3), (11.7, 9.7))
                self.standing_s[person] = self.rng.exponential(3.0)
            else:
                self.heading[person] = np.arctan2(left[1], left[0])
                self.position[person] += left / away_m * 1.1 * step_s

    def _heard_dbm(self) -> np.ndarray:
        """(people, sniffers), rounded as adapters do."""
        place = np.array([sniffer.position_m for sniffer in self.true])
        line = place[None, :, :2] - self.position[:, None]
        distance_m = np.sqrt((line**2).sum(axis=2) + (place[:, 2] - 1.0) ** 2)
        exponent = np.array([sniffer.path_loss_exponent for sniffer in self.true])
        reference_dbm = np.array([sniffer.reference_dbm for sniffer in self.true])
        facing = np.arctan2(line[..., 1], line[..., 0]) - (self.heading + self.carried_rad)[:, None]
        dbm = reference_dbm - 10 * exponent * np.log10(distance_m) + self.offset_db[:, None] + self.pair_db
        dbm += self.shadowing_db + self.rng.normal(0.0, 1.5, dbm.shape) - 9.0 * np.maximum(-np.cos(facing), 0.0)
        dbm -= self.wall_db * ((place[:, 0] - 5.0) * (self.position[:, :1] - 5.0) < 0)  # a wall along x = 5
        is_blocked = self.rng.random(dbm.shape) < 0.1
        return np.round(dbm - is_blocked * np.abs(self.rng.normal(8.0, 4.0, dbm.shape)))


def learnt(room: Room, file: tuple[Sniffer, ...], seconds: float) -> RadioCalibration:
    calibration = RadioCalibration(file, room.people, AREA)
    covariance = 0.04 * np.eye(2)
    room.walk_for(seconds, lambda d, s, dbm, at, t_ns: calibration.observe(d, s, dbm, at, covariance, t_ns))
    return calibration


def test_wrong_exponents_and_references_are_found() -> None:
    errors = []
    for seed in range(6):
        room = Room(seed, corner_sniffers(-46.0, 2.8))
        found = learnt(room, corner_sniffers(-40.0, 2.0), 300.0).fit()
        errors.append(found.exponent - 2.8)
        assert np.all(np.abs(found.exponent - 2.8) < 3 * found.exponent_sd)
        lost_db = found.reference_dbm - (-46.0 + room.offset_db.mean() + room.pair_db.mean(axis=0))
        assert np.all((lost_db > -7.0) & (lost_db < 1.0))  # the carriers' bodies weaken by 2.9 dB in the mean
        assert np.abs(found.offset_db - (room.offset_db - room.offset_db.mean())).max() < 4.0
        assert found.all_residual_db < 7.5 < 0.5 * found.all_residual_before_db
        assert found.readings.sum() > 6000
    assert abs(np.mean(errors)) < 0.1
    assert np.sqrt(np.mean(np.square(errors))) < 0.2


def test_what_all_phones_share_is_the_reference_alone() -> None:
    for seed in range(3):
        plain, biased = Room(seed, corner_sniffers()), Room(seed, corner_sniffers())
        biased.offset_db = plain.offset_db - 6.0
        of_plain, of_biased = (learnt(room, corner_sniffers(), 200.0) for room in (plain, biased))
        before, after = of_plain.fit(), of_biased.fit()
        assert np.allclose(after.exponent, before.exponent, atol=0.1)
        assert np.allclose(after.reference_dbm, before.reference_dbm - 6.0, atol=1.0)
        assert np.allclose(after.offset_db, before.offset_db, atol=0.5)
        assert of_biased.suspects() == []


@pytest.mark.parametrize("seconds", [120.0, pytest.param(600.0, marks=pytest.mark.long)])
def test_right_sites_are_never_suspected(seconds: float) -> None:
    """Fifty sites: plain, with a wall across the floor, with all phones 6 dB quiet, with all parameters wrong."""
    for seed in range(50):
        kind = seed % 4
        true = corner_sniffers(-46.0, 3.2) if kind == 3 else corner_sniffers()
        room = Room(100 + seed, true, wall_db=5.0 if kind == 1 else 0.0)
        room.offset_db -= 6.0 * (kind == 2)
        assert learnt(room, corner_sniffers(), seconds).suspects() == [], seed


@pytest.mark.parametrize("seed", range(4))
def test_a_sniffer_in_the_wrong_place_is_found(seed: int) -> None:
    file = list(corner_sniffers())
    x, y = CORNERS[seed]
    wrong = (x + (6.0 if x < 6 else -6.0), y + (1.0 if y < 5 else -1.0))
    file[seed] = replace(file[seed], position_m=(*wrong, 2.2))
    (suspect,) = learnt(Room(seed, corner_sniffers()), tuple(file), 400.0).suspects()
    assert suspect.sniffer == f"s{seed + 1}"
    assert np.hypot(suspect.found_m[0] - x, suspect.found_m[1] - y) < 2.5 * suspect.sd_m
    assert suspect.text.startswith(f"sniffer s{seed + 1} does not seem to stand at ({wrong[0]:.1f}, {wrong[1]:.1f})")


def test_two_sniffers_with_exchanged_names_are_found() -> None:
    first, second, *others = corner_sniffers()
    file = (replace(first, position_m=second.position_m), replace(second, position_m=first.position_m), *others)
    assert [s.sniffer for s in learnt(Room(7, corner_sniffers()), file, 300.0).suspects()] == ["s1", "s2"]


def test_without_readings_or_sniffers_the_site_file_stands() -> None:
    file = corner_sniffers()
    nothing = RadioCalibration(file, 3, AREA)
    assert nothing.fit().exponent.tolist() == [2.5] * 4
    assert np.isnan(nothing.fit().all_residual_db)
    assert nothing.suspects() == []
    assert nothing.retuned(EPOCH_NS) is None
    assert RadioCalibration((), 0, AREA).fit().reference_dbm.shape == (0,)
    assert RadioCalibration((), 0, AREA).suspects() == []


def test_it_goes_on_from_its_state_bit_for_bit() -> None:
    def continued(interrupted: bool) -> list[bytes]:
        room = Room(3, corner_sniffers(-46.0, 2.8))
        calibration = learnt(room, corner_sniffers(), 60.0)
        calibration.retuned(EPOCH_NS)
        if interrupted:
            state = unpack(pack(calibration.state()))
            calibration = RadioCalibration(corner_sniffers(), room.people, AREA)
            calibration.load(state)
        later_ns = 60 * SECOND_NS
        room.walk_for(
            60.0, lambda d, s, dbm, at, t_ns: calibration.observe(d, s, dbm, at, 0.04 * np.eye(2), t_ns + later_ns)
        )
        retuning = calibration.retuned(EPOCH_NS + 2 * later_ns)
        assert retuning is None or retuning.sniffers == calibration.sniffers
        found = calibration.fit()
        return [pack(calibration.state()), found.reference_dbm.tobytes(), found.exponent.tobytes()]

    assert continued(interrupted=True) == continued(interrupted=False)


def test_belief_follows_in_steps_and_settles() -> None:
    room = Room(5, corner_sniffers(-46.0, 2.8))
    calibration = learnt(room, corner_sniffers(-40.0, 2.0), 20.0)
    first = calibration.retuned(EPOCH_NS)
    assert first is None or max(abs(s.path_loss_exponent - 2.0) for s in first.sniffers) <= 0.2 + 1e-9
    calibration = learnt(room, corner_sniffers(-40.0, 2.0), 300.0)
    instants = (EPOCH_NS + step * 10 * SECOND_NS for step in range(1, 31))
    steps = [retuning for instant in instants if (retuning := calibration.retuned(instant))]
    assert len(steps) < 30  # it has settled
    louder_db = np.sum([retuning.louder_db for retuning in steps], axis=0)
    assert np.all((louder_db < -10.0) & (louder_db > -24.0))  # 6 dB, 5 to 8 of the exponent, 3 of bodies, phones
    found = calibration.fit()
    assert [s.path_loss_exponent for s in calibration.sniffers] == pytest.approx(found.exponent.tolist())
    assert [s.reference_dbm for s in calibration.sniffers] == pytest.approx(found.reference_dbm.tolist())
    assert [s.position_m for s in calibration.sniffers] == [s.position_m for s in corner_sniffers()]
    assert calibration.retuned(EPOCH_NS + 301 * SECOND_NS) is None  # not before ten seconds have passed


def test_a_phone_that_shouts_or_stands_still_counts_once() -> None:
    calibration = RadioCalibration(corner_sniffers(), 2, AREA)
    for tick in range(3000):
        calibration.observe(0, 0, -60.0, np.array([3.0, 3.0]), 0.04 * np.eye(2), EPOCH_NS + tick * 1_000_000)
    (weight,) = calibration.bins().weight
    assert 1.0 < weight < 1.6
    for minute in range(600):
        calibration.observe(1, 0, -60.0, np.array([3.0, 3.0]), 0.04 * np.eye(2), EPOCH_NS + minute * 60 * SECOND_NS)
    assert calibration.fit().shared_exponent_sd > 0.5


def test_memory_is_bounded_and_vague_bodies_teach_nothing() -> None:
    rng = np.random.default_rng(1)
    calibration = RadioCalibration(corner_sniffers(), 200, AREA)
    for tick in range(6000):
        device, sniffer = tick % 200, tick % 4
        at = rng.uniform((-50, -50), (60, 60))  # far outside, too: the edge cells take them
        calibration.observe(device, sniffer, -60.0, at, 0.04 * np.eye(2), EPOCH_NS + tick * 10_000_000)
    assert len(calibration.bins().weight) == MOST_BINS
    assert np.isfinite(calibration.fit().exponent).all()
    vague = RadioCalibration(corner_sniffers(), 1, AREA)
    vague.observe(0, 0, -60.0, np.array([3.0, 3.0]), 4.0 * np.eye(2), EPOCH_NS)
    assert len(vague.bins().weight) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_strength_that_is_no_number_never_gets_here(bad: float) -> None:
    with pytest.raises(ValueError, match="rssi_dbm holds a NaN or infinite value"):
        WifiWindow(
            source="s1",
            t_ns=EPOCH_NS,
            window_s=0.5,
            devices=("ada",),
            rssi_dbm=np.array([bad], "<f4"),
            rssi_std_db=np.zeros(1, "<f4"),
            count=np.ones(1, "<u4"),
            channel=np.ones(1, np.uint8),
        )


def test_an_unsure_reading_counts_for_its_share() -> None:
    calibration = RadioCalibration(corner_sniffers(), 1, AREA)
    where = np.array([3.0, 3.0]), 0.04 * np.eye(2)
    calibration.observe(0, 0, -60.0, *where, EPOCH_NS, share=0.0)
    assert len(calibration.bins().weight) == 0
    calibration.observe(0, 0, -60.0, *where, EPOCH_NS, share=0.5)
    assert calibration.bins().weight.tolist() == pytest.approx([0.5])


def test_who_is_only_heard_is_placed_better_with_what_was_learnt() -> None:
    """Confirmed people teach; then phones that nobody sees are placed by WirelessGrid, with and without."""
    errors_m: dict[str, list[float]] = {"file": [], "learnt": []}
    for seed in range(4):
        true, file = corner_sniffers(-55.0, 3.4), corner_sniffers(-40.0, 2.0)
        calibration = learnt(Room(seed, true), file, 200.0)
        for step in range(1, 15):
            calibration.retuned(EPOCH_NS + step * 10 * SECOND_NS)
        for name, sniffers in (("file", file), ("learnt", calibration.sniffers)):
            room = Room(50 + seed, true)
            grid = WirelessGrid(AREA, sniffers, room.people)

            def hear(
                device: int, row: int, dbm: float, at: np.ndarray, t_ns: int, grid: WirelessGrid = grid, to: str = name
            ) -> None:
                grid.advance(t_ns)
                grid.hear(device, row, 0.0, 60.0, dbm)
                errors_m[to].append(float(np.linalg.norm(grid.position(device)[0] - at)))

            room.walk_for(60.0, hear)
    assert np.median(errors_m["learnt"]) < 0.8 * np.median(errors_m["file"])
