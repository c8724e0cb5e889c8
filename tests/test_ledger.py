"""The ledger: ranges across gaps and restarts, repeats, and two live sources under one name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whowhere.nodes.ledger import KEPT_RANGES, TAKEOVER_NS, Ledger

SECOND_NS = 1_000_000_000


def test_ranges_grow_and_gaps_split_them():
    ledger = Ledger()
    assert all(ledger.admit("radar/a", "boot", seq, seq) for seq in (3, 4, 5, 8, 9, 20))
    assert ledger.ranges() == {"radar/a": (("boot", 3, 5), ("boot", 8, 9), ("boot", 20, 20))}
    assert ledger.counters == {"missed": 12, "repeated": 0, "refused": 0, "restarted": 0}


def test_a_repeat_is_refused_and_counted():
    ledger = Ledger()
    admitted = [ledger.admit("radar/a", "boot", seq, 0) for seq in (0, 1, 1, 0, 2)]
    assert admitted == [True, True, False, False, True]
    assert ledger.counters["repeated"] == 2
    assert ledger.ranges() == {"radar/a": (("boot", 0, 2),)}


def test_topics_are_counted_apart_and_listed_in_order():
    ledger = Ledger()
    for topic in ("wifi/b", "radar/a"):
        ledger.admit(topic, topic, 7, 0)
    assert list(ledger.ranges().items()) == [("radar/a", (("radar/a", 7, 7),)), ("wifi/b", (("wifi/b", 7, 7),))]


def test_a_restarted_source_loses_nothing():
    ledger = Ledger()
    assert all(ledger.admit("radar/a", "one", seq, seq * SECOND_NS) for seq in range(10))
    assert all(ledger.admit("radar/a", "two", seq, (10 + seq) * SECOND_NS) for seq in range(5))
    assert ledger.ranges() == {"radar/a": (("one", 0, 9), ("two", 0, 4))}
    assert ledger.counters == {"missed": 0, "repeated": 0, "refused": 0, "restarted": 1}
    assert ledger.conflicts() == {}


def test_of_two_live_sources_with_one_name_the_first_stays():
    ledger = Ledger()
    verdicts = {"one": [], "two": []}
    for step in range(20):
        verdicts["one"].append(ledger.admit("radar/a", "one", step, step * SECOND_NS // 10))
        if step >= 5:
            verdicts["two"].append(ledger.admit("radar/a", "two", step, step * SECOND_NS // 10 + 1))
    assert all(verdicts["one"])
    # Its first message might have been a restart; once the first source speaks again it is not.
    assert verdicts["two"] == [True] + [False] * 14
    assert ledger.counters["refused"] == 14
    assert ledger.conflicts() == {"radar/a": "two"}
    assert "two sources are called a" in ledger.complaint()
    assert ledger.counters["missed"] == 0
    assert ledger.admit("radar/a", "one", 20, 2 * SECOND_NS + TAKEOVER_NS)
    assert ledger.complaint() == ""


def test_the_second_of_two_sources_takes_over_when_the_first_is_gone():
    ledger = Ledger()
    for step in range(3):
        ledger.admit("radar/a", "one", step, step)
        ledger.admit("radar/a", "two", step, step)
    assert not ledger.admit("radar/a", "two", 3, TAKEOVER_NS - SECOND_NS)
    assert ledger.admit("radar/a", "two", 4, TAKEOVER_NS + SECOND_NS)
    assert ledger.admit("radar/a", "two", 5, TAKEOVER_NS + SECOND_NS)
    assert ledger.conflicts() == {}


def test_the_number_of_ranges_is_bounded():
    ledger = Ledger()
    for seq in range(0, 1000, 2):
        ledger.admit("radar/a", "boot", seq, seq)
    ranges = ledger.ranges()["radar/a"]
    assert len(ranges) == KEPT_RANGES
    assert ranges[-1] == ("boot", 998, 998)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(0, 10**10)), max_size=60))
def test_admitted_messages_are_exactly_those_in_the_ranges(messages):
    ledger = Ledger()
    admitted = [(boot, seq) for boot, seq, t_ns in messages if ledger.admit("k/s", boot, seq, t_ns)]
    covered = [(boot, seq) for boot, first, last in ledger.ranges().get("k/s", ()) for seq in range(first, last + 1)]
    assert covered == admitted
    assert sum(ledger.counters[name] for name in ("repeated", "refused")) == len(messages) - len(admitted)


@pytest.mark.parametrize("run", range(2))
def test_the_same_messages_give_the_same_answers(run):
    messages = [("k/s", "ab"[n % 7 == 0], n, n * 10**8) for n in range(200)]
    ledgers = Ledger(), Ledger()
    answers = [[ledger.admit(*message) for message in messages] for ledger in ledgers]
    assert answers[0] == answers[1]
    assert ledgers[0].ranges() == ledgers[1].ranges()
