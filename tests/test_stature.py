"""Stature: learnt of whom a body was believed to be, told of bodies that may be somebody else; never its own proof."""

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.fusion.engine import Engine
from whowhere.fusion.evidence.galleries import EVERY_NS
from whowhere.fusion.evidence.stature import LASTING_M2, LEAST_BOXES, MOST_NATS, ORDINARY_M, StatureEvidence
from whowhere.messages import CameraFrame, Message, Scene, WifiWindow, encode
from whowhere.sitefile import Area, Camera, Detector, Identity, Pinhole, Pose, Site, Sniffer

S = 1_000_000_000
ADA, BELA = 0, 1


def seen(book: StatureEvidence, number: int, tall_m: float, boxes: int = 30) -> None:
    for _ in range(boxes):
        book.see(number, tall_m)


def known(tall_m: float = 1.85, weight: float = 1.0) -> StatureEvidence:
    """Ada walked as body 1, so tall, for 30 boxes, believed so far to be hers."""
    book = StatureEvidence(2)
    seen(book, 1, tall_m)
    book.settle(S, [1], np.array([[weight], [0.0]]))
    book.end(1, by_looks=False)
    return book


def test_whose_stature_is_not_known_of_them_nothing_is_said() -> None:
    book = StatureEvidence(2)
    seen(book, 1, 1.85)
    assert book.nats(S, [1]) == {}
    assert known().nats(S, [1]) == {}


def test_a_body_as_tall_is_rather_theirs_and_another_is_rather_not() -> None:
    book = known()
    seen(book, 2, 1.85)
    seen(book, 3, 1.60)
    said = book.nats(S, [2, 3])
    assert said[2][ADA] > 0.5
    assert -MOST_NATS <= said[3][ADA] < -3.0
    assert said[2][BELA] == said[3][BELA] == 0.0  # of Bela nothing is known


def test_what_was_said_is_corrected_and_not_said_again() -> None:
    book = known()
    seen(book, 2, 1.85)
    first = book.nats(S, [2])[2]
    assert book.nats(S + EVERY_NS, [2]) == {}  # no new box
    seen(book, 2, 1.50, boxes=60)
    assert book.nats(S + EVERY_NS - 1, [2]) == {}  # too soon
    second = book.nats(S + EVERY_NS, [2])[2]
    assert (first + second)[ADA] == pytest.approx(-MOST_NATS)


def test_a_stretch_is_not_its_own_proof() -> None:
    book = StatureEvidence(2)
    for t_s in range(1, 20):
        seen(book, 1, 1.85, boxes=5)
        assert book.nats(t_s * S, [1]) == {}
        book.settle(t_s * S, [1], np.array([[0.99], [0.0]]))


def test_it_is_learnt_as_far_as_it_was_believed() -> None:
    mean, variance = (known(weight=w).stature[ADA].tolist() for w in (1.0, 0.5))
    assert mean[0] == pytest.approx(1.85, abs=0.07)
    assert mean[1] < LASTING_M2 + 0.002
    assert ORDINARY_M < variance[0] < mean[0]
    assert variance[1] > mean[1]
    assert (mean[2], variance[2]) == (1.0, 0.5)
    assert known(weight=0.1).stature[ADA].tolist() == StatureEvidence(2).stature[ADA].tolist()


def test_a_stature_that_may_be_another_persons_says_little() -> None:
    sure, doubtful = known(), known(weight=0.6)
    for book in (sure, doubtful):
        seen(book, 2, 1.55)
    against = [book.nats(S, [2])[2][ADA] for book in (sure, doubtful)]
    assert against[0] < -3.0
    assert -1.0 < against[1] < -0.3  # ln 0.4 = -0.9


def test_half_bodies_and_what_is_no_number_say_nothing() -> None:
    book = known()
    for tall_m in (0.9, 3.0, float("nan"), float("inf")):
        seen(book, 2, tall_m)
    assert 2 not in book.stretches
    seen(book, 2, 1.85, boxes=LEAST_BOXES - 1)
    assert book.nats(S, [2]) == {}
    seen(book, 2, 1.85, boxes=20)
    seen(book, 2, 1.45, boxes=10)  # upper halves, a third of the boxes: the median stays
    assert book.nats(S, [2])[2][ADA] > 0.5


def test_a_body_never_believed_leaves_nothing() -> None:
    book = known()
    seen(book, 7, 1.60)
    book.keep([1, 2])
    assert 7 not in book.stretches


def test_the_state_goes_on_as_it_was() -> None:
    book = known()
    seen(book, 2, 1.85, boxes=10)
    book.nats(S, [2])
    seen(book, 2, 1.80, boxes=3)
    other = StatureEvidence(2)
    other.load(book.state())
    for each in (book, other):
        each.settle(2 * S, [2], np.array([[0.8], [0.1]]))
    assert other.nats(3 * S, [2])[2].tolist() == book.nats(3 * S, [2])[2].tolist()
    book.end(2, by_looks=False)
    other.end(2, by_looks=False)
    assert other.stature.tolist() == book.stature.tolist()


TALL_M = {"Ada": 1.88, "Bela": 1.58}
LENS = Pinhole(
    image_size=(640, 480),
    focal_px=(500.0, 500.0),
    centre_px=(320.0, 240.0),
    pose=Pose(position_m=(0.0, 4.0, 2.5), yaw_deg=0.0, tilt_deg=15.0),
)
SNIFFERS = tuple(Sniffer(id=f"s{k}", source="simulated", position_m=(x, y, 2.0), window_s=0.5)
                 for k, (x, y) in enumerate(((0.0, 0.0), (0.0, 8.0), (9.0, 4.0))))  # fmt: skip
SITE = Site(
    name="two dressed alike",
    area=Area(x_m=(0.0, 9.0), y_m=(0.0, 8.0)),
    cameras=(Camera(id="cam", source="simulated", calibration=LENS, detector=Detector(foot_margin=0.0)),),
    sniffers=SNIFFERS,
    identities=tuple(Identity(name=name, devices=(f"dev-{name}",), consent=True) for name in TALL_M),
)


def box_of(place: tuple[float, float], tall_m: float) -> list[float]:
    """Left, top, width, height px of somebody upright at a place, as the camera has them."""
    tilt, pixels = np.radians(15.0), []
    for up in (0.0, tall_m):
        ahead, aside, down = place[0], 4.0 - place[1], 2.5 - up
        depth = ahead * np.cos(tilt) + down * np.sin(tilt)
        below = down * np.cos(tilt) - ahead * np.sin(tilt)
        pixels.append((320 + 500 * aside / depth, 240 + 500 * below / depth))
    (u, feet), (_, head) = pixels
    return [u - 0.15 * (feet - head), head, 0.3 * (feet - head), feet - head]


def meeting(is_crossing: bool, parted_s: float = 8.0) -> list[Message]:
    """Ada and Bela walk to and fro for 24 s and stand for five, apart, while their phones are heard; they come together
    and part again: each to the other side, or back to where they came from. From when they meet no phone is heard, and
    while they are nearest nobody sees them for half a second."""
    rng, out, seq = np.random.default_rng(5), [], 0
    for step in range(round((35.0 + parted_s) * 5)):
        t_s, seq = step / 5, seq + 1
        apart_m = 1.5 - 1.35 * max(0.0, min(1.0, (t_s - 29.0) / 2, (35.0 - t_s) / 2))
        side = -1 if is_crossing and t_s >= 32.2 else 1
        sway_m = np.sin(t_s * np.pi / 6) if t_s < 24.0 else 0.0
        places = {name: (5.0 + sign * sway_m, 4.0 - side * sign * apart_m) for name, sign in (("Ada", 1), ("Bela", -1))}
        boxes = [box_of(places[name], TALL_M[name]) for name in places] if not 31.8 <= t_s < 32.3 else []
        jitter = rng.normal(0.0, 2.0, (len(boxes), 4))
        boxes_px = (np.array(boxes).reshape(-1, 4) + jitter).astype(np.float32)
        scores = np.ones(len(boxes), np.float32)
        out.append(CameraFrame(source="cam", t_ns=S + round(t_s * S), seq=seq, boxes=boxes_px, scores=scores,
                               image_size=(640, 480), descriptors={}))  # fmt: skip
        for sniffer in SNIFFERS if step % 5 == 0 else ():
            heard = list(places) if t_s < 29.0 else []
            away = [np.hypot(*(np.array(places[name]) - sniffer.position_m[:2])) for name in heard]
            power = sniffer.reference_dbm - 10 * sniffer.path_loss_exponent * np.log10(np.maximum(away, 0.5))
            out.append(WifiWindow(source=sniffer.id, t_ns=S + round(t_s * S), seq=seq, window_s=0.5,
                                  devices=tuple(f"dev-{name}" for name in heard), rssi_dbm=power.astype(np.float32),
                                  rssi_std_db=np.zeros(len(heard), np.float32), count=np.ones(len(heard), np.uint32),
                                  channel=np.full(len(heard), 6, np.uint8), others=0))  # fmt: skip
    return out


def surely(engine: Engine, messages: list[Message], side_m: float) -> float:
    """With what probability, at last, the body at y = `side_m` is Ada."""
    scenes = [out for message in messages for out in engine.step(message) if isinstance(out, Scene)]
    there = min(scenes[-1].people, key=lambda person: abs(person.y_m - side_m))
    assert abs(there.y_m - side_m) < 0.3
    return dict(there.candidates).get("Ada", 0.0)


@pytest.mark.parametrize("is_crossing", [True, False])
def test_of_two_who_met_each_is_known_by_their_height(is_crossing: bool) -> None:
    without = replace(SITE, fusion=replace(SITE.fusion, evidence=("rssi",)))
    messages, side_m = meeting(is_crossing), 5.5 if is_crossing else 2.5
    assert 0.2 < surely(Engine(without), messages, side_m) < 0.8
    assert surely(Engine(SITE), messages, side_m) > 0.95


def test_a_restored_engine_tells_the_same() -> None:
    messages = meeting(is_crossing=True, parted_s=4.0)
    cut = int(0.95 * len(messages))
    engine = Engine(SITE)
    for message in messages[:cut]:
        engine.step(message)
    assert engine.counters["recognised:stature"] > 0
    restored = Engine.restore(SITE, engine.snapshot())
    assert restored.snapshot() == engine.snapshot()
    after = [[encode(out) for message in messages[cut:] for out in each.step(message)] for each in (engine, restored)]
    assert after[0] == after[1]
