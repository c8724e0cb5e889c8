"""How often people were recognised again, by looks, gait and stature, as fusion counts it itself; no truth is asked."""

from collections.abc import Mapping
from typing import TypeAlias

COUNTERS = ("recognised", "portraits")  # of fusion/recognition.py, each with ":" and the witness
WORDS = {"appearance": "looks"}  # what people call a witness, where that is not its name

Recognised: TypeAlias = dict[str, dict[str, int]]


def recognised_in(counters: Mapping[str, int]) -> Recognised:
    """By witness, `recognised` (how often it spoke of who a body is) and `portraits` (bodies gone that it remembers);
    empty where no witness had anything to say or to remember."""
    found: Recognised = {}
    for name, count in sorted(counters.items()):
        counter, _, witness = name.partition(":")
        if counter in COUNTERS and witness:
            found.setdefault(witness, dict.fromkeys(COUNTERS, 0))[counter] = count
    return found


def rows(recognised: Recognised) -> list[tuple[str, int, int]]:
    """(by what, times it spoke, bodies gone that it remembers), for people."""
    return [
        (WORDS.get(witness, witness), said["recognised"], said["portraits"]) for witness, said in recognised.items()
    ]
