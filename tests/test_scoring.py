"""The scores of a session, on small invented sessions whose scores are known by hand."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from whowhere.launch.evaluate.distribution import Distribution
from whowhere.launch.evaluate.scoring import SessionScore, match
from whowhere.launch.evaluate.session import evaluate_session, in_words
from whowhere.launch.evaluate.truth import Timeline
from whowhere.messages import Health, Location, Message, Person, Scene, Stamp, State, Truth, encode
from whowhere.nodes.bus import Received
from whowhere.nodes.session import SessionWriter

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def truth(at_s: float, people: dict[str, tuple[float, float]], unseen: tuple[str, ...] = ()) -> Truth:
    """Capitalised people are enrolled under their own name."""
    return Truth(
        source="simulated",
        t_ns=START + round(at_s * SECOND),
        seq=round(at_s * 10),
        people=tuple(people),
        position=np.array(list(people.values()), "<f8").reshape(-1, 2),
        enrolled=tuple(name if name[0].isupper() else "" for name in people),
        seen_by=tuple(() if name in unseen else ("camera-1",) for name in people),
    )


def person(name: str, x: float, y: float, state: State, track: int | None, *candidates: tuple[str, float]) -> Person:
    return Person(
        id=name, x_m=x, y_m=y, covariance_m2=(0.1, 0.0, 0.1), velocity_m_s=(0.0, 0.0), candidates=candidates,
        state=state, sources=("camera-1",), since_ns=START, track=track,
    )  # fmt: skip


def scene(at_s: float, *people: Person) -> Scene:
    return Scene(source="fusion", t_ns=START + round(at_s * SECOND), seq=round(at_s * 5), people=people)


def session(seconds: float, people: dict[str, tuple[float, float]], *published: Person) -> Iterator[Message]:
    """Standing people: truth at 10 Hz, scenes at 5 Hz between the truths, each half a second late."""
    for tick in range(int(seconds * 10)):
        yield truth(tick / 10, people)
        if tick % 2 and tick > 5:
            yield scene((tick - 5) / 10 + 0.03, *published)


def scored(messages: Iterator[Message], warm_up_s: float = 0.0) -> dict:
    score = SessionScore(warm_up_s=warm_up_s)
    for message in messages:
        score.add(message)
    return score.result()


def test_right_name_on_right_body() -> None:
    ada = person("Ada", 1.3, 1.4, "confirmed", 1, ("Ada", 0.9), ("unknown", 0.1))
    result = scored(session(20, {"Ada": (1.0, 1.0)}, ada))
    assert result["named_right"] == 1.0
    assert result["position_error_m"] == pytest.approx(0.5, abs=1e-4)
    assert result["track_error_m"] == pytest.approx(0.5, abs=1e-4)
    assert result["confirmed"] == {"precision": 1.0, "recall": 1.0}
    assert result["time_to_confirm_s"]["never"] == 0
    (only,) = result["calibration"]["bins"]
    assert (only["published"], only["right"]) == (pytest.approx(0.9), 1.0)
    assert result["calibration"]["expected_error"] == pytest.approx(0.1)


def test_swapped_names_are_wrong() -> None:
    ada = person("Ada", 5.0, 5.0, "confirmed", 1, ("Ada", 0.9), ("Bruno", 0.1))
    bruno = person("Bruno", 1.0, 1.0, "confirmed", 2, ("Bruno", 0.8), ("Ada", 0.2))
    result = scored(session(20, {"Ada": (1.0, 1.0), "Bruno": (5.0, 5.0)}, ada, bruno))
    assert result["named_right"] == 0.0
    assert result["confirmed"] == {"precision": 0.0, "recall": 0.0}
    assert result["position_error_m"] == pytest.approx(np.hypot(4, 4), abs=1e-3)
    assert result["track_error_m"] == 0.0
    assert result["time_to_confirm_s"]["never"] == 2


def test_most_probable_name_on_an_anonymous_body_counts() -> None:
    """Named right needs no confirmation: the tentative identity is elsewhere, but its body is the right one."""
    body = person("anon-1", 1.0, 1.0, "anonymous", 1, ("Ada", 0.6), ("unknown", 0.4))
    identity = person("Ada", 2.0, 1.0, "tentative", 1, ("Ada", 1.0))
    result = scored(session(20, {"Ada": (1.0, 1.0)}, body, identity))
    assert result["named_right"] == 1.0
    assert result["confirmed"] == {"precision": None, "recall": 0.0}
    assert result["position_error_m"] == pytest.approx(1.0)
    assert result["track_error_m"] == 0.0


def test_half_the_time_right() -> None:
    right = person("anon-1", 1.0, 1.0, "anonymous", 1, ("Ada", 0.6), ("unknown", 0.4))
    wrong = person("anon-1", 1.0, 1.0, "anonymous", 1, ("unknown", 0.6), ("Ada", 0.4))
    score = SessionScore(warm_up_s=0.0)
    for tick in range(401):
        score.add(truth(tick / 10, {"Ada": (1.0, 1.0)}))
        if tick % 2 == 0:
            score.add(scene(tick / 10, right if tick <= 200 else wrong))
    assert score.result()["named_right"] == pytest.approx(0.5, abs=0.01)


def test_warm_up_is_not_scored() -> None:
    score = SessionScore(warm_up_s=10.0)
    for tick in range(300):
        score.add(truth(tick / 10, {"Ada": (1.0, 1.0)}))
        if tick >= 100:
            score.add(scene(tick / 10, person("Ada", 1.0, 1.0, "confirmed", 1, ("Ada", 1.0))))
    result = score.result()
    assert result["named_right"] == 1.0
    assert result["device_time_s"] == pytest.approx(19.9, abs=0.6)
    assert result["time_to_confirm_s"]["median"] == pytest.approx(10.0, abs=0.5)


def test_time_without_scenes_counts_as_wrong() -> None:
    """Fusion dies at 10 s and comes back at 20 s of 30: a third of the time nobody was named."""
    ada = person("Ada", 1.0, 1.0, "confirmed", 1, ("Ada", 1.0))
    score = SessionScore(warm_up_s=0.0)
    for tick in range(301):
        score.add(truth(tick / 10, {"Ada": (1.0, 1.0)}))
        if not 100 < tick < 200:
            score.add(scene(tick / 10, ada))
    assert score.result()["named_right"] == pytest.approx(2 / 3, abs=0.03)


def test_fusion_that_never_comes_back_counts_as_wrong() -> None:
    ada = person("Ada", 1.0, 1.0, "confirmed", 1, ("Ada", 1.0))
    score = SessionScore(warm_up_s=0.0)
    for tick in range(301):
        score.add(truth(tick / 10, {"Ada": (1.0, 1.0)}))
        if tick <= 150:
            score.add(scene(tick / 10, ada))
    assert score.result()["named_right"] == pytest.approx(0.51, abs=0.03)


def test_unseen_time_counts_only_in_all() -> None:
    score = SessionScore(warm_up_s=0.0)
    body = person("Ada", 1.0, 1.0, "confirmed", 1, ("Ada", 1.0))
    wireless = person("Ada", 3.0, 1.0, "wireless", None, ("Ada", 1.0))
    for tick in range(201):
        seen = tick <= 100
        score.add(truth(tick / 10, {"Ada": (1.0, 1.0)}, () if seen else ("Ada",)))
        score.add(scene(tick / 10, body if seen else wireless))
    result = score.result()
    assert result["named_right"] == 1.0
    assert result["named_right_all"] == pytest.approx(0.5, abs=0.02)
    assert result["named_right_unseen"] == 0.0
    assert result["position_error_by_state_m"] == {"confirmed": 0.0, "wireless": 2.0}


def test_no_truth_no_scores() -> None:
    score = SessionScore()
    for tick in range(5000):
        score.add(scene(tick / 5))
    result = score.result()
    assert result["named_right"] is None
    assert result["position_error_m"] is None
    assert result["messages"] == 5000


def test_walkers_are_compared_where_they_were_at_the_scene() -> None:
    """2 m/s, truth every 100 ms: without interpolation a scene 50 ms off would show 10 cm of error."""
    score = SessionScore(warm_up_s=0.0)
    for tick in range(100):
        score.add(truth(tick / 10, {"Ada": (tick * 0.2, 1.0)}))
        score.add(scene(tick / 10 + 0.05, person("Ada", tick * 0.2 + 0.1, 1.0, "confirmed", 1, ("Ada", 1.0))))
    assert score.result()["track_error_m"] == pytest.approx(0.0, abs=1e-6)


def test_truth_is_not_interpolated_over_a_gap() -> None:
    timeline = Timeline()
    for at_s in (0.0, 0.1, 3.0):
        timeline.add(truth(at_s, {"Ada": (at_s, 0.0)}))
    middle = timeline.at(START + SECOND // 20)
    assert middle is not None
    assert middle.position[0, 0] == pytest.approx(0.05)
    assert timeline.at(START + SECOND) is None
    assert timeline.at(START - 1) is None
    assert timeline.at(START + 4 * SECOND) is None


def test_matching_prefers_more_pairs_to_a_shorter_one() -> None:
    """The body at 0 is nearest to both; the pairing that serves both people is longer, and right."""
    people = truth(0, {"Ada": (0.2, 0.0), "b": (-1.0, 0.0)})
    tracked = [person("x", 0.0, 0.0, "anonymous", 1), person("y", 1.5, 0.0, "anonymous", 2)]
    assert match(people, tracked) == {0: 1, 1: 0}
    assert match(people, tracked[1:]) == {0: 0}
    assert match(people, []) == {}


def test_flow_counts_gaps_restarts_and_repeats() -> None:
    score = SessionScore()
    for seq in (0, 1, 1, 4, 0, 1):  # 1 repeated, 2 and 3 lost, then a restart
        score.add(Scene(source="fusion", t_ns=START + seq * SECOND // 5 + (seq == 0), seq=seq, people=()))
    for seq, (dropped, late) in enumerate([(3, 1), (5, 1), (1, 4)]):  # restarted before the last
        counters = {"dropped": dropped, "too_late:camera-1": late, "used": 100}
        score.add(Health(source="fusion", t_ns=START + seq * SECOND, seq=seq, state="ok", counters=counters))
    result = score.result()
    assert result["gaps"] == 2
    assert result["dropped"] == 2 + 5 + 1
    assert result["late"] == 4
    assert result["messages_by_kind"] == {"health": 3, "scene": 5}


def test_latency_and_rates() -> None:
    score = SessionScore()
    ada = person("Ada", 0.0, 0.0, "confirmed", 1, ("Ada", 1.0))
    fields = {name: getattr(ada, name) for name in ada.__struct_fields__}
    for tick in range(101):
        t_ns = START + tick * SECOND // 5
        score.add(Location(source="fusion", t_ns=t_ns, seq=tick, **fields), t_ns + (600 + tick) * 1_000_000)
        score.add(Scene(source="fusion", t_ns=t_ns, seq=tick, people=()), t_ns)
    result = score.result()
    assert result["latency_ms"] == {"p50": 650.0, "p99": 699.0}
    assert result["rates_hz"] == {"fusion": 5.0}


def recording(path: Path, messages: Iterator[Message]) -> Path:
    with SessionWriter(path, "{}") as writer:
        for message in messages:
            writer.write(Received(message.topic, message, Stamp("b007", message.t_ns), encode(message)), message.t_ns)
    return path


def test_a_recorded_session_has_the_same_scores(tmp_path: Path) -> None:
    people = {"Ada": (1.0, 1.0), "b": (5.0, 5.0)}
    published = (
        person("Ada", 1.0, 1.5, "confirmed", 1, ("Ada", 0.9), ("unknown", 0.1)),
        person("anon-2", 5.0, 5.5, "anonymous", 2, ("unknown", 0.8), ("Ada", 0.2)),
    )
    path = recording(tmp_path / "s.mcap", session(20, people, *published))
    result = evaluate_session(path, warm_up_s=0.0)
    live = scored(session(20, people, *published))
    assert {name: result[name] for name in live if name != "latency_ms"} == {
        name: value for name, value in live.items() if name != "latency_ms"
    }
    assert result["ended"] is None
    tracking = result["tracking"]
    assert (tracking["mota"], tracking["idf1"], tracking["switches"]) == (1.0, 1.0, 0)
    assert tracking["motp"] == pytest.approx(0.75, abs=1e-4)  # half a metre of two
    assert tracking["gospa_m"] == pytest.approx(np.sqrt(0.5), abs=1e-4)
    text = "\n".join(in_words(result))
    assert "right name, owner seen" in text
    assert "100.0%" in text


def test_a_track_of_somebody_unseen_is_excused(tmp_path: Path) -> None:
    """Coasting along behind a pillar is neither a false positive nor a match; a ghost still is one."""

    def messages() -> Iterator[Message]:
        coasting = person("anon-1", 1.0, 1.0, "anonymous", 1, ("unknown", 1.0))
        ghost = person("anon-2", 8.0, 8.0, "anonymous", 2, ("unknown", 1.0))
        for tick in range(100):
            yield truth(tick / 10, {"Ada": (1.0, 1.0), "b": (3.0, 3.0)}, unseen=("Ada",))
            yield scene(tick / 10, coasting, ghost)

    tracking = evaluate_session(recording(tmp_path / "s.mcap", messages()), warm_up_s=0.0)["tracking"]
    assert tracking["objects"] == tracking["misses"] == tracking["false_positives"] == tracking["frames"] > 90


def test_an_empty_session_is_said_in_words(tmp_path: Path) -> None:
    result = evaluate_session(recording(tmp_path / "s.mcap", iter(())))
    assert result["named_right"] is None
    assert "not known" in in_words(result)[0]


def test_the_oracle_knows_whose_each_body_is() -> None:
    """Two names swapped over two bodies 3 m apart that are each followed 0.5 m off: published errors are 2.5 and 3.5 m,
    or the other way round, the oracle's 0.5 m."""
    ada = person("Ada", 3.5, 0.0, "confirmed", 1, ("Ada", 1.0))
    bruno = person("Bruno", 0.5, 0.0, "confirmed", 2, ("Bruno", 1.0))
    result = scored(session(20, {"Ada": (0.0, 0.0), "Bruno": (3.0, 0.0)}, ada, bruno))
    assert result["oracle_error_m"] == pytest.approx(0.5)
    assert result["position_error_m"] == pytest.approx(3.0)
    assert result["error_vs_oracle"] == pytest.approx(6.0)
    assert result["position_error_percentiles_m"] == {"50": 2.5, "67": 3.5, "90": 3.5, "95": 3.5}


def test_the_oracle_holds_the_last_body_where_there_is_none() -> None:
    """Seen at (1, 1) until 10 s, then gone 2 m to the right without a body, published by radio 1 m off."""
    score = SessionScore(warm_up_s=5.0)
    for tick in range(201):
        seen = tick <= 100
        score.add(truth(tick / 10, {"Ada": (1.0 if seen else 3.0, 1.0)}))
        body = person("Ada", 1.0, 1.0, "confirmed", 1, ("Ada", 1.0))
        score.add(scene(tick / 10, body if seen else person("Ada", 3.0, 2.0, "wireless", None, ("Ada", 1.0))))
    result = score.result()
    assert result["oracle_error_m"] == pytest.approx(2.0 * 100 / 151, abs=0.01)
    assert result["error_vs_oracle"] == pytest.approx(0.5, abs=0.01)


def test_without_any_body_there_is_no_oracle() -> None:
    wireless = person("Ada", 1.0, 2.0, "wireless", None, ("Ada", 1.0))
    result = scored(session(20, {"Ada": (1.0, 1.0)}, wireless))
    assert (result["oracle_error_m"], result["error_vs_oracle"]) == (None, None)
    assert result["position_error_m"] == 1.0


def test_all_candidates_are_weighed_but_unknown() -> None:
    """Ada's body: 0.6 Ada (right), 0.3 Bruno (wrong), 0.1 unknown (of no identity)."""
    body = person("anon-1", 1.0, 1.0, "anonymous", 1, ("Ada", 0.6), ("Bruno", 0.3), ("unknown", 0.1))
    result = scored(session(20, {"Ada": (1.0, 1.0)}, body))
    bins = [(place["published"], place["right"]) for place in result["calibration_all"]["bins"]]
    assert bins == [(pytest.approx(0.3), 0.0), (pytest.approx(0.6), 1.0)]
    assert result["calibration_all"]["expected_error"] == pytest.approx(0.35)
    assert [place["published"] for place in result["calibration"]["bins"]] == [pytest.approx(0.6)]


def test_a_wait_is_split_by_whether_the_owner_is_in_view() -> None:
    """In view 0-4 s, out of view 4-10 s, in view again and confirmed at 12 s."""
    score = SessionScore(warm_up_s=0.0)
    for tick in range(201):
        hidden = ("Ada",) if 40 <= tick < 100 else ()
        score.add(truth(tick / 10, {"Ada": (1.0, 1.0)}, hidden))
        state = "confirmed" if tick >= 120 else "anonymous"
        score.add(scene(tick / 10, person("Ada" if tick >= 120 else "anon-1", 1.0, 1.0, state, 1, ("Ada", 1.0))))
    wait = score.result()["time_to_confirm_s"]
    assert (wait["median"], wait["confirmed"], wait["never"]) == (pytest.approx(12.0, abs=0.2), 1, 0)
    assert wait["median_visible"] == pytest.approx(6.0, abs=0.3)
    assert wait["median_unseen"] == pytest.approx(6.0, abs=0.3)


def test_percentiles_are_weighted() -> None:
    errors = Distribution()
    for value, weight in ((3.0, 1.0), (1.0, 6.0), (2.0, 3.0), (9.0, 0.0)):
        errors.add(value, weight)
    assert errors.percentiles() == {"50": 1.0, "67": 2.0, "90": 2.0, "95": 3.0}
    assert errors.mean() == pytest.approx(1.5)
    values, share = errors.curve()
    assert (list(values), list(share)) == ([1.0, 2.0, 3.0], [pytest.approx(0.6), pytest.approx(0.9), 1.0])
    assert Distribution().percentiles() == {"50": None, "67": None, "90": None, "95": None}


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 5)), min_size=1, max_size=30))
def test_percentiles_rise_and_lie_within(pairs: list[tuple[float, float]]) -> None:
    errors = Distribution()
    for value, weight in pairs:
        errors.add(value, weight)
    found = [value for value in errors.percentiles(digits=12).values() if value is not None]
    assert found == sorted(found)
    assert min(v for v, _ in pairs) - 1e-9 <= found[0]
    assert found[-1] <= max(v for v, _ in pairs) + 1e-9
