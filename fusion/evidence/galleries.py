"""What is remembered of how bodies looked or walked, and of whom they were: what `appearance` and `gait` share.

A portrait is one body's. When its body has gone it stays, with the probability that it was of each identity, as
published when the body was last seen; an identity's gallery is every portrait, each as far as it is believed to be
theirs (the responsibilities of an expectation-maximisation, found forwards in time). So a wrong name never becomes a
gallery of its own, only as much of one as it was believed.

A body is never compared with its own portrait, nor with one that continuity has already asked about it: what has been
said once is not said again. All that a witness says of a body is one log-likelihood ratio, which is corrected as the
portrait grows, and not a sum over frames that show the same clothes.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import numpy as np

from ..geometry import Floats

Content = TypeVar("Content")

MOST_PORTRAITS = 96  # of bodies gone; the least telling is dropped first, so look-ups and memory stay bounded
A_GALLERY = 8  # portraits an identity is compared with, its surest
LEAST_WEIGHT = 0.3  # below it a portrait says nothing worth keeping of an identity
EVERY_NS = 1_000_000_000  # how often a body is compared anew, at most
AGAIN_S = 60.0  # after about this long the same ratio is news again: another pose, another light


class Portrait(msgspec.Struct, Generic[Content]):
    """One body's: content is the witness's own. weights (identities,): how probably it was each, when last seen.
    said (identities,): nats said of this body so far, said_ns: when. news_ns: when the content last changed. asked:
    bodies that continuity has compared it with."""

    number: int
    content: Content
    weights: Floats
    said: Floats
    seen_ns: int = 0
    said_ns: int = 0
    news_ns: int = 0
    asked: list[int] = []


class Likeness(Protocol[Content]):
    """What a witness must be able to do with its contents."""

    def ratios(self, query: Content, galleries: Sequence[Sequence[Content]], /) -> Floats:
        """(G,) nats "the same person as these" against "somebody else"; 0 where a gallery cannot be compared."""
        ...

    def pack(self, content: Content, /) -> Any: ...
    def unpack(self, packed: Any, /) -> Content: ...


class Galleries(Generic[Content]):
    """The portraits of the bodies there are, by number, and those of bodies gone, oldest first.

    most_nats: what may be said of one body. forget_s: portraits older than about this say nothing any more.
    counts_lost: bodies lost a moment ago are compared with, too, where continuity asks nothing of the kind. label: of
    the model behind; portraits of another one cannot be compared and are not loaded."""

    def __init__(
        self,
        identities: int,
        likeness: Likeness[Content],
        blank: Callable[[], Content],
        most_nats: float,
        forget_s: float,
        counts_lost: bool = False,
        label: str = "",
    ) -> None:
        self._identities, self._likeness, self._blank = identities, likeness, blank
        self._most_nats, self._forget_s, self._counts_lost = most_nats, forget_s, counts_lost
        self._label = label
        self.bodies: dict[int, Portrait[Content]] = {}
        self.gone: list[Portrait[Content]] = []
        self.told = 0  # how often something was said of a body

    def of(self, number: int, t_ns: int, is_news: bool = True) -> Content:
        """The content of a body's portrait, to be filled with what was just seen of it; is_news: it says more now."""
        if number not in self.bodies:
            nothing = np.zeros(self._identities)
            self.bodies[number] = Portrait(number, self._blank(), nothing, nothing)
        portrait = self.bodies[number]
        portrait.seen_ns, portrait.news_ns = t_ns, t_ns if is_news else portrait.news_ns
        return portrait.content

    def ask(self, number: int, others: Sequence[int]) -> None:
        """Continuity compares a body with others: their portraits are not evidence about it any more."""
        for other in others:
            if other in self.bodies and other != number:
                portrait = self.bodies[other]
                portrait.asked = [*portrait.asked, number]

    def settle(self, t_ns: int, bodies: Sequence[int], probability: Floats) -> None:
        """Who bodies are believed to be, (identities, bodies), for those seen within the last second."""
        for column, number in enumerate(bodies):
            portrait = self.bodies.get(number)
            if portrait and t_ns - portrait.seen_ns <= EVERY_NS:
                portrait.weights = probability[:, column].copy()

    def keep(self, *numbers: Sequence[int]) -> None:
        """Forget the bodies that are none of these: they were never believed, or their part has been told."""
        known = {number for each in numbers for number in each}
        self.bodies = {number: portrait for number, portrait in self.bodies.items() if number in known}

    def part(self, number: int, heir: int = 0) -> None:
        """A body has gone for good, or is `heir` and always was: its portrait joins those of the gone, or is dropped
        for the heir's."""
        portrait = self.bodies.pop(number, None)
        if portrait is None or heir or portrait.weights.max(initial=0.0) < LEAST_WEIGHT:
            return
        self.gone.append(portrait)
        if len(self.gone) > MOST_PORTRAITS:
            worth = [float(p.weights.max()) * self._freshness(p, portrait.seen_ns) for p in self.gone]
            del self.gone[int(np.argmin(worth))]

    def nats(self, t_ns: int, numbers: Sequence[int]) -> dict[int, Floats]:
        """Per live body (`numbers`) of which there is something new to say: what changes (identities,), in nats."""
        lost = [p for p in self.bodies.values() if p.number not in numbers] if self._counts_lost else []
        news = {}
        for number in numbers:
            portrait = self.bodies.get(number)
            if portrait is None or portrait.news_ns <= portrait.said_ns or t_ns - portrait.said_ns < EVERY_NS:
                continue
            ratio = self._ratio(portrait, [*self.gone, *lost], t_ns)
            elapsed_s = (t_ns - portrait.said_ns) / 1e9
            change = ratio - portrait.said * np.exp(-min(elapsed_s / AGAIN_S, 50.0))
            portrait.said, portrait.said_ns = ratio, t_ns
            if change.any():
                news[number] = change
        self.told += len(news)
        return news

    def _ratio(self, portrait: Portrait[Content], known: Sequence[Portrait[Content]], t_ns: int) -> Floats:
        """(identities,): a gallery that is the identity's with probability w says log(w e^r + 1 - w)."""
        ratio = np.zeros(self._identities)
        others = [p for p in known if p.number != portrait.number and portrait.number not in p.asked]
        if not others:
            return ratio
        weights = np.array([p.weights * self._freshness(p, t_ns) for p in others])
        whose = np.flatnonzero(weights.max(axis=0) >= LEAST_WEIGHT)
        chosen = [_surest(weights[:, who]) for who in whose]
        galleries = [[others[row].content for row in rows] for rows in chosen]
        if not galleries:
            return ratio
        sure = np.array([weights[rows[0], who] for who, rows in zip(whose, chosen, strict=True)])
        raw = self._likeness.ratios(portrait.content, galleries)
        softened = np.log(sure * np.exp(np.minimum(raw, 50.0)) + 1 - sure)
        ratio[whose] = np.clip(softened, -self._most_nats, self._most_nats)
        return ratio

    def _freshness(self, portrait: Portrait[Content], t_ns: int) -> float:
        return float(np.exp(-max(t_ns - portrait.seen_ns, 0) / 1e9 / self._forget_s))

    def state(self) -> dict[str, Any]:
        bodies, gone = ([self._packed(p) for p in each] for each in (self.bodies.values(), self.gone))
        return {"label": self._label, "bodies": bodies, "gone": gone, "told": self.told}

    def load(self, state: dict[str, Any]) -> None:
        if state["label"] != self._label:
            return
        self.bodies = {p.number: p for p in map(self._unpacked, state["bodies"])}
        self.gone = [self._unpacked(packed) for packed in state["gone"]]
        self.told = state["told"]

    def _packed(self, p: Portrait[Content]) -> list[Any]:
        return [p.number, self._likeness.pack(p.content), p.weights, p.said, p.seen_ns, p.said_ns, p.news_ns, p.asked]

    def _unpacked(self, packed: list[Any]) -> Portrait[Content]:
        number, content, *rest = packed
        return Portrait(number, self._likeness.unpack(content), *rest)


def _surest(weights: Floats) -> list[int]:
    """Rows of the A_GALLERY largest weights of LEAST_WEIGHT or more, largest first, of equal ones the newest."""
    rows = np.flatnonzero(weights >= LEAST_WEIGHT)[::-1]
    return rows[np.argsort(-weights[rows], kind="stable")][:A_GALLERY].tolist()
