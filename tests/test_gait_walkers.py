"""Recorded radar walkers: the format, the track, what is learnt of it, and the figures on the real ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from whowhere.launch.cli import main
from whowhere.launch.evaluate import walker_points
from whowhere.launch.evaluate.walker_files import DEFAULT, recordings_in
from whowhere.models.gait import walkers_scores as scores
from whowhere.models.gait.walkers_audit import place_alone
from whowhere.models.gait.walkers_crossing import crossed, moved
from whowhere.models.gait.walkers_features import frames_of
from whowhere.models.gait.walkers_linear import discriminant, log_softmax
from whowhere.models.gait.walkers_recording import HEADER, Recording, WalkerError, between, parse
from whowhere.models.gait.walkers_track import body_of
from whowhere.models.gait.walkers_trial import Walkers, figures, final, linear, strangers, tables, tried, walkers_of
from whowhere.models.gait.walkers_trial import judged_windows as asked_of
from whowhere.models.gait.walkers_windows import GAP_S, cut, fitted, held_out, judged, teaching

STYLES = (  # height m, speed m/s, swing m/s, cadence Hz
    (1.55, 0.8, 0.4, 1.6), (1.70, 1.0, 0.6, 1.8), (1.85, 1.1, 0.9, 1.9), (1.70, 1.2, 0.5, 2.1),
)  # fmt: skip
NEAR_M, FAR_M = 2.0, 6.0
TAUGHT_S = 120.0


def walk(style: int, seconds: float = 60.0, seed: int = 0, side: float = 0.0, mirror: bool = True) -> str:
    """One file: to and fro on a straight line before a radar 1 m high, with a mirror image behind."""
    height, speed, swing, cadence = STYLES[style]
    rng = np.random.default_rng([seed, style])
    lines = [HEADER]
    for k in range(int(seconds * 10)):
        t_s = 5.0 + k / 10
        leg = (t_s * speed) % (2 * (FAR_M - NEAR_M))
        away = leg < FAR_M - NEAR_M
        middle = NEAR_M + leg if away else 2 * FAR_M - NEAR_M - leg
        count = rng.poisson(16)
        up = rng.uniform(0.1, 1.0, count) * height
        lower = np.clip(1 - up / height, 0, 1)
        pace = speed * (1 if away else -1) + swing * lower * np.sin(
            2 * np.pi * cadence * t_s + rng.normal(0, 0.4, count)
        )
        ahead = middle + rng.normal(0, 0.1, count) + 0.1 * lower * np.sin(2 * np.pi * cadence * t_s)
        rows = [np.full(count, side * middle) + rng.normal(0, 0.15, count), ahead, up - 1, pace, 300 / ahead]
        cloud = np.column_stack(rows)
        if mirror and count > 4:
            cloud = np.vstack([cloud, cloud[:3] + np.array([0, 2.5, 0, 0, 0])])
        stamp = f"2019,7,13,{9 + int(t_s) // 3600},{int(t_s) % 3600 // 60},{t_s % 60:.3f}"
        lines += [f"{k},{len(cloud)}," + ",".join(f"{v:.4f}" for v in row) + f",{stamp}" for row in cloud]
    return "\n".join(lines) + "\n"


def recording(style: int, radar: str = "77", seconds: float = 60.0, seed: int = 0, side: float = 0.0) -> Recording:
    return parse(walk(style, seconds, seed, side), f"{style:03d}", "room2", radar)


@pytest.fixture(scope="module")
def walkers() -> Walkers:
    return walkers_of([recording(style, seconds=TAUGHT_S) for style in range(len(STYLES))])


def test_a_file_becomes_frames():
    read = recording(0, seconds=10.0)
    assert len(read.t_s) == len(read.first) - 1 == pytest.approx(100, abs=1)
    assert read.t_s[0] == 0
    assert read.t_s[-1] == pytest.approx(9.9, abs=0.2)
    part = between(read, 2.0, 4.0)
    assert len(part.t_s) == 20
    assert len(part.points) == part.first[-1]
    nothing = walk(0, seconds=3.0).replace(HEADER, HEADER + "\n0,1,0,0,0,0,163,2019,7,13,9,0,4.9")
    assert len(parse(nothing.replace("Intensity", ""), "0", "room2", "60").points) < nothing.count("\n")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda text: "", "does not begin with the columns"),
        (lambda text: text.replace("Doppler", "Speed"), "does not begin with the columns"),
        (lambda text: text[: len(text) // 2].rpartition(",")[0], "not 13 numbers"),
        (lambda text: text.rstrip().rpartition("\n")[0], "cut short"),
        (lambda text: text + text.splitlines()[1] + "\n", "backwards"),
        (lambda text: "\n".join(text.splitlines()[:40]), "frames: 20 are the least"),
        (lambda text: text.replace(",7,13,", ",77,13,"), "date is none"),
        (lambda text: text.replace("300", "nan") + "1,1,nan,1,1,1,1,2019,7,13,9,0,59\n", "not 13 numbers"),
    ],
)
def test_half_files_are_refused_in_one_sentence(broken, said: str):
    with pytest.raises(WalkerError, match=said):
        parse(broken(walk(0, seconds=5.0)), "0", "room2", "77")


def test_mirror_images_are_left_out():
    body = body_of(recording(1))
    assert np.abs(body.points[:, 0]).max() < 1.0
    assert body.range_m.max() < FAR_M + 0.7
    assert np.abs(body.speed_m_s).mean() == pytest.approx(STYLES[1][1], abs=0.25)


def test_a_room_without_anybody_is_refused():
    empty = recording(0)
    with pytest.raises(WalkerError, match="shows nobody"):
        body_of(empty._replace(points=empty.points[:0], first=np.zeros_like(empty.first)))


def test_what_teaches_and_what_is_judged_lie_apart(walkers: Walkers):
    for duration_s in (60.0, 300.0):
        assert judged(duration_s)[0][0] - teaching(duration_s)[0][1] == pytest.approx(GAP_S)
        for which in ("first", "middle", "last"):
            held = held_out(duration_s, which)[0]
            assert held[1] <= teaching(duration_s)[0][1]
            for begin, end in fitted(duration_s, which):
                assert end <= held[0] - GAP_S + 1e-9 or begin >= held[1] + GAP_S - 1e-9
    windows = cut(walkers.frames, [teaching(TAUGHT_S)] * 4, 2.0, 0.5)
    for k, high in zip(windows.walker, windows.high, strict=True):
        assert walkers.frames[k].t_s[high - 1] < 0.6 * TAUGHT_S - GAP_S


def test_few_points_ask_nothing():
    thin = frames_of(body_of(recording(0)))._replace(points=np.full(600, 2))
    assert len(cut([thin], [((0.0, 60.0),)], 2.0, 1.0).walker) == 0


def test_generated_walkers_are_recognised_and_shuffled_ones_are_not(walkers: Walkers):
    done = tried(linear, walkers, 5.0, 1)
    assert np.exp(done.logs).sum(axis=1) == pytest.approx(1)
    assert figures(done, walkers.rooms)["top1"] > 0.9
    split = final(walkers)
    taught, walker, rows = tables(walkers, split, done.windows, 1)
    chance = [
        scores.top1(
            discriminant(taught.rows, np.random.default_rng(seed).permutation(walker)).scores(rows.rows),
            done.windows.walker,
        )
        for seed in range(8)
    ]
    assert np.mean(chance) == pytest.approx(0.25, abs=0.15)


def test_place_is_not_in_the_numbers():
    """The same walks seen from aside: other azimuths, the same body; the rows of the summary agree but for noise."""
    straight, oblique = (
        walkers_of([recording(style, seconds=90.0, side=side) for style in range(4)]) for side in (0.0, 0.5)
    )
    asked = asked_of(oblique, final(oblique), 5.0)
    taught, walker, _ = tables(straight, final(straight), asked_of(straight, final(straight), 5.0), 0)
    _, _, rows = tables(oblique, final(oblique), asked, 0)
    logs = discriminant(taught.only(["Doppler"]).rows, walker).scores(rows.only(["Doppler"]).rows)
    assert scores.top1(logs, asked.walker) > 0.6
    only_place = place_alone(straight, final(straight), asked, 0)
    assert only_place.shape == (len(asked.walker), 4)


def test_another_radar_is_adapted_to_without_names(walkers: Walkers):
    other = walkers_of([recording(style, radar="60", seconds=90.0, seed=7, side=0.3) for style in range(4)])
    assert crossed(walkers, other, 5.0, "shifted and scaled")["top1"] > 0.5
    pool = np.random.default_rng(0).normal(3, 2, (500, 2))
    target = np.random.default_rng(1).normal(-1, 0.5, (500, 2))
    done = moved(pool, pool, target, "shifted and scaled")
    assert done.mean(axis=0) == pytest.approx(target.mean(axis=0))
    assert done.std(axis=0) == pytest.approx(target.std(axis=0))


def test_strangers_score_lower(walkers: Walkers):
    said = strangers(walkers, 5.0)
    assert said["ratio"] > 0.7
    assert 0 <= said["worst"] <= said["ratio"]


def test_calibration_cools_what_is_too_sure():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 4000)
    honest = rng.normal(0, 1, (4000, 5)) + 2 * np.eye(5)[truth]  # the likelihood ratio is 2 x the score
    sure = 12 * honest
    before = scores.calibration_error(log_softmax(sure), truth)
    after = scores.calibration_of(sure, truth)
    assert before > 0.15
    assert scores.calibration_error(after(sure), truth) < 0.02
    assert after.temperature == pytest.approx(6, rel=0.15)
    assert sum(count for _, _, count in scores.reliability(after(sure), truth)) == 4000


def test_areas_and_intervals():
    assert scores.area_under_roc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1
    assert scores.area_under_roc(np.zeros(5), np.zeros(5)) == 0.5
    logs = np.log(np.tile([[0.9, 0.1], [0.2, 0.8]], (50, 1)))
    walker, from_s = np.tile([0, 1], 50), np.arange(100.0)
    assert scores.top1(logs, walker) == 1
    assert scores.interval(logs, walker, from_s, 0) == (1, 1)


def test_the_command_on_generated_files(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = tmp_path / "room2" / "1" / "fixed_route" / "77Ghz_radar"
    folder.mkdir(parents=True)
    for style in range(3):
        (folder / f"{style:03d}.csv").write_text(walk(style, seconds=TAUGHT_S))
    assert main(["evaluate", "gait-walkers", "--data", str(tmp_path), "--seeds", "1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["walkers"] == 3
    assert {row["seconds"] for row in said["rows"]} == {2.0, 5.0}
    (folder / "000.csv").write_text(walk(0, seconds=20.0)[:-30])
    assert main(["evaluate", "gait-walkers", "--data", str(tmp_path)]) == 1
    assert "room2/77/000" in capsys.readouterr().err
    assert main(["evaluate", "gait-walkers", "--data", str(tmp_path / "nowhere")]) == 1
    assert "is not there" in capsys.readouterr().err


def test_statistics_of_points():
    clouds = [points for _, points in _frames(recording(2))]
    said = walker_points.statistics(clouds)
    assert said["points"] == pytest.approx(16, abs=1.5)
    assert said["variance_over_mean"] == pytest.approx(1, abs=0.4)
    assert said["range_5_95_m"][0] >= NEAR_M - 0.5


def _frames(read: Recording):
    from whowhere.models.gait.walkers_recording import frames

    return frames(read)


def test_the_rf_branch_ignores_order_and_padding():
    torch = pytest.importorskip("torch", reason="training needs the train extra")
    from whowhere.models.gait.walkers_network import RfWalkers

    torch.manual_seed(0)
    network = RfWalkers(4).eval()
    points, real = torch.randn(2, 6, 10, 5), torch.rand(2, 6, 10) > 0.3
    real[0, 2] = False  # a frame without points
    points = points * real[..., None]
    said = network(points, real)
    order = torch.randperm(10)
    assert torch.allclose(network(points[:, :, order], real[:, :, order])[1], said[1], atol=1e-5)
    padded = network(torch.cat([points, torch.zeros(2, 6, 5, 5)], 2), torch.cat([real, torch.zeros(2, 6, 5).bool()], 2))
    assert torch.allclose(padded, said, atol=1e-5)
    assert torch.isfinite(said).all()


def test_the_rf_branch_learns_generated_walkers(walkers: Walkers):
    torch = pytest.importorskip("torch", reason="training needs the train extra")
    from whowhere.models.gait.walkers_rf import rf_branch
    from whowhere.models.gait.walkers_training import Recipe

    torch.set_num_threads(1)
    two = walkers.only([0, 3])
    method, split = rf_branch(Recipe(epochs=5, batch=16)), final(two)
    asked = asked_of(two, split, 5.0)
    logs = method(two, split, asked, 0)
    assert scores.top1(logs, asked.walker) > 0.8


@pytest.mark.skipif(not DEFAULT.exists(), reason=f"{DEFAULT} is not beside this checkout (shared/data/radar_gait)")
def test_real_walkers_reach_what_was_asked():
    recordings = recordings_in(DEFAULT)
    real, other = (walkers_of([each for each in recordings if each.radar == radar]) for radar in ("77", "60"))
    assert len(real.names) == 12
    short, long = (figures(tried(linear, real, seconds, 1), real.rooms) for seconds in (2.0, 5.0))
    assert short["top1"] > 0.78
    assert long["top1"] > 0.93
    assert long["vote"] > 0.97
    assert max(short["calibration_error"], long["calibration_error"]) <= 0.05
    assert crossed(real, other, 5.0, "shifted and scaled")["top1"] > 0.7
    place = place_alone(real, final(real), asked_of(real, final(real), 5.0), 1)
    assert scores.top1(place, asked_of(real, final(real), 5.0).walker) < 0.35
