"""What becomes of beliefs and memories when bodies are found, lost and merged: the tracker says what happened, and
continuity, identities and recognition follow.
"""

from collections.abc import Callable

from .changes import Change
from .continuity import Continuity
from .geometry import Floats
from .identities import Identities
from .recognition import Recognition
from .tracks import Tracker


def follow(
    tracker: Tracker,
    continuity: Continuity,
    identities: Identities,
    recognition: Recognition,
    likelier: Callable[[Floats], Floats],
) -> None:
    """Take the tracker's changes to all who must know. likelier: of a place (2,), as `Identities.born` takes it."""
    for change in tracker.take_changes():
        if change.kind == "born":
            parents = _parents(change, tracker, continuity, recognition)
            identities.born(change.number, parents, likelier(change.mean[:2]))
        elif change.kind == "found":
            identities.found(change.number, _parents(change, tracker, continuity, recognition))
        elif change.kind == "lost":
            identities.lost(change.number)
            continuity.lost(change)
        else:
            identities.forget(change.number, heir=change.other)
            recognition.part(change.number, heir=change.other)
    for number in continuity.forget(tracker.t_ns):
        identities.forget(number)
        recognition.part(number)


def returning(tracker: Tracker, continuity: Continuity, born: Change) -> float:
    """The probability that a body just found is one lost lately, or one not seen now, by place and histogram."""
    return sum(continuity.parents(born, tracker.unseen(born.number)).values())


def _parents(change: Change, tracker: Tracker, continuity: Continuity, recognition: Recognition) -> dict[int, float]:
    """The probability, per body's number, that a body born or found again is that one: itself, one lost lately, or
    one not seen when this one was."""
    itself = [] if change.before is None else [change.before]
    unseen = [*itself, *tracker.unseen(change.number)]
    others = [other.number for other in (*continuity.ghosts, *unseen)]
    recognition.ask(change.number, others, bool(change.looks.any()))
    if change.kind == "found":  # its own portrait is of who it was taken for
        return continuity.parents(change, unseen)
    return continuity.parents(change, unseen, lambda other: recognition.alike(change.number, other))
