"""What is believed of each enrolled identity: which body it is, or none we track. One hidden Markov model a person.

States: "nobody" (column 0), the live bodies, and bodies lost a moment ago. Transitions: stay; hand over to a body
that continues a lost one; swap with a body met closely; leave; be found. Emissions are what the witnesses in
evidence/ say. Exclusivity between identities is imposed afterwards, in posterior.py, and never fed back.
"""

from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from .assignment import IncrementalAssignment
from .geometry import Floats
from .posterior import marginals
from .strangers import Strangers

FOUND_AT_BIRTH = 0.35  # the chance that a body just found anywhere is a given identity whose body was not tracked
FOUND_PER_S = 0.1  # the same, per second, spread over the bodies there are
LEAVE_PER_S = 0.003
FADE_PER_S = 0.05  # belief in a lost body fades into "nobody"
SWAP_M, SWAP_PER_S = 0.6, 0.002  # where looks tell two bodies apart, the tracker itself puts right what it mistook
MISTAKEN_PER_S = 0.2  # instead, where nothing tells the two apart
LEAST = 1e-6
TEMPER = 0.9  # what beliefs rest on errs alike for longer than they know: published, they are that much milder
NEGLIGIBLE = 1e-3


class Witness(Protocol):
    """What identities ask of a module in evidence/: that its beliefs follow the bodies (see `Columns`)."""

    def add(self, weights: Floats, /) -> None: ...
    def remove(self, column: int, weights: Floats, /) -> None: ...
    def blend(self, column: int, other: int, share: Floats, /) -> None: ...
    def leave(self, rows: list[int], position: Floats, share: float, /) -> None: ...


class Answer(msgspec.Struct, frozen=True):
    """The live bodies' numbers; the probability (identities, bodies) of each identity being each of them, as is
    published; the same as the beliefs themselves have it, neither tempered nor with what is learnt of strangers, by
    which names are made sure and memories kept; the single best assignment, body to name; and, of an identity that is
    none of them, the probability (identities, lost) of being each of the bodies lost lately, by number."""

    bodies: list[int]
    probability: Floats
    believed: Floats
    assigned: dict[int, str]
    lost: list[int]
    lost_probability: Floats


class Identities:
    """belief (identities, columns): each row sums to 1; `numbers[c]` is column c's body, numbers[0] = 0 = nobody."""

    def __init__(
        self,
        names: tuple[str, ...],
        owner_of: NDArray[np.intp],
        evidence: Witness,
        *further: tuple[NDArray[np.intp], Witness],
    ) -> None:
        """owner_of: per row (a device, a phone) of the witness, its identity's row; `further`: the same of others."""
        self.names = names
        self._witnesses = ((owner_of, evidence), *further)
        self.numbers = [0]
        self.live = [False]
        self.belief = np.ones((len(names), 1))
        self._assignment = IncrementalAssignment()
        self._strangers = Strangers()

    def column(self, number: int) -> int:
        return self.numbers.index(number)

    def born(self, number: int, parents: dict[int, float], likelier: Floats | float = 1.0) -> None:
        """A new body: it takes, of each identity's belief, the shares of the lost bodies it may continue, and some
        of the belief in nobody: by how many times `likelier` (identities,) it is unseen there than anywhere."""
        share = np.zeros((len(self.names), len(self.numbers)))
        for parent, probability in parents.items():
            if parent in self.numbers:
                share[:, self.column(parent)] = probability
        odds = likelier * FOUND_AT_BIRTH / (1 - FOUND_AT_BIRTH)
        share[:, 0] = odds / (1 + odds) * (1 - min(sum(parents.values()), 1.0))
        flow = self.belief * share
        for owner_of, evidence in self._witnesses:
            evidence.add((flow + LEAST)[owner_of])
        self.belief = np.column_stack((self.belief - flow, flow.sum(axis=1)))
        self.numbers.append(number)
        self.live.append(True)
        self._normalise()

    def found(self, number: int, candidates: dict[int, float]) -> None:
        """A body is seen again after a while: with the probability of each candidate it is that one instead, and
        with what is left somebody not known."""
        column = self.column(number)
        for other, probability in candidates.items():
            if other != number and other in self.numbers:
                self._exchange(column, self.column(other), probability)
        stranger = self.belief[:, column] * max(1.0 - sum(candidates.values()), 0.0)
        self.belief[:, column] -= stranger
        self.belief[:, 0] += stranger
        self._normalise()

    def lost(self, number: int) -> None:
        """A body is not tracked any more: belief in it waits for a body that continues it."""
        self.live[self.column(number)] = False

    def forget(self, number: int, heir: int = 0) -> None:
        """A body will not come back (heir 0), or was `heir` all along: its belief goes there."""
        column, target = self.column(number), self.column(heir)
        pair = self.belief[:, [target, column]]
        if target:
            total = np.maximum(pair.sum(axis=1), LEAST)
            self._blend(target, column, pair[:, 1] / total)
        kept = np.tile([1.0, 0.0], (len(pair), 1)) if target else np.maximum(pair, LEAST)
        for owner_of, evidence in self._witnesses:
            evidence.remove(column, kept[owner_of])
        self.belief[:, target] += self.belief[:, column]
        self.belief = np.ascontiguousarray(np.delete(self.belief, column, axis=1))
        del self.numbers[column], self.live[column]

    def _lost_columns(self) -> NDArray[np.intp]:
        return 1 + np.flatnonzero(~np.asarray(self.live[1:], bool))

    def _blend(self, column: int, other: int, share: Floats) -> None:
        for owner_of, evidence in self._witnesses:
            evidence.blend(column, other, share[owner_of])

    def weigh(self, identity: int, nats: Floats) -> None:
        """Let a witness's log-likelihood ratios (columns - 1,) against nobody change one identity's belief; lost
        bodies are as silent as nobody."""
        ratios = np.append(0.0, np.where(self.live[1:], nats, 0.0))
        self.belief[identity] *= np.exp(ratios - ratios.max())
        self._normalise()

    def pass_time(self, elapsed_s: float, positions: dict[int, Floats], distinct: frozenset[int] = frozenset()) -> None:
        """Leaving, being found, fading of the lost, and swaps of bodies that stand close; `positions` (2,) of bodies,
        the lost among them; `distinct` are those that a camera has just told from others by their looks."""
        live = np.flatnonzero(self.live)
        lost = self._lost_columns()
        leaving = self.belief[:, live] * LEAVE_PER_S * elapsed_s
        fading = self.belief[:, lost] * FADE_PER_S * elapsed_s
        found = self.belief[:, :1] * FOUND_PER_S * elapsed_s * np.ones((1, len(live))) / max(len(live), 1)
        self.belief[:, live] += found - leaving
        self.belief[:, lost] -= fading
        self.belief[:, 0] += leaving.sum(axis=1) + fading.sum(axis=1) - found.sum(axis=1)
        self._move_away(np.append(live, lost), np.column_stack((leaving, fading)), positions)
        for column, gain in zip(live, found.T, strict=True):
            share = gain / np.maximum(self.belief[:, column], LEAST)
            self._blend(int(column), 0, np.minimum(share, 1.0))
        self._swap(elapsed_s, positions, distinct)
        self._normalise()

    def _move_away(self, columns: NDArray[np.intp], flows: Floats, positions: dict[int, Floats]) -> None:
        """Who left a body, or was lost with it, is unseen where that body was."""
        for column, flow in zip(columns.tolist(), flows.T, strict=True):
            position = positions.get(self.numbers[column])
            if position is None:
                continue
            share = flow / np.maximum(self.belief[:, 0], LEAST)
            for identity in np.flatnonzero(share > NEGLIGIBLE).tolist():
                for owner_of, evidence in self._witnesses:
                    rows = np.flatnonzero(owner_of == identity).tolist()
                    evidence.leave(rows, position, min(float(share[identity]), 1.0))

    def _swap(self, elapsed_s: float, positions: dict[int, Floats], distinct: frozenset[int]) -> None:
        numbers = sorted(number for number in positions if self.live[self.column(number)])
        if len(numbers) < 2:
            return
        places = np.array([positions[number] for number in numbers])
        gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
        plain = np.array([number not in distinct for number in numbers])
        per_s = np.where(plain[:, None] | plain[None], MISTAKEN_PER_S, SWAP_PER_S)
        rates = per_s * elapsed_s * np.exp(-0.5 * (gaps / SWAP_M) ** 2)
        for first, second in np.argwhere(np.triu(rates > 1e-3 * elapsed_s, 1)).tolist():
            self._exchange(self.column(numbers[first]), self.column(numbers[second]), float(rates[first, second]))

    def _exchange(self, a: int, b: int, rate: float) -> None:
        before_a, before_b = self.belief[:, a].copy(), self.belief[:, b].copy()
        self.belief[:, a] = (1 - rate) * before_a + rate * before_b
        self.belief[:, b] = (1 - rate) * before_b + rate * before_a
        share_a = rate * before_b / np.maximum(self.belief[:, a], LEAST)
        share_b = rate * before_a / np.maximum(self.belief[:, b], LEAST)
        self._blend(a, b, np.minimum(share_a, 1.0))
        self._blend(b, a, np.minimum(share_b, 1.0))

    def answer(self, elapsed_s: float) -> Answer:
        """Who is who, all identities taken together. It tells how many are strangers, too, for the next answer, as
        much as `elapsed_s`, for how long it holds, is worth."""
        live = np.flatnonzero(self.live)
        bodies = [self.numbers[column] for column in live]
        away = np.maximum(1.0 - self.belief[:, live].sum(axis=1), LEAST)
        plain = np.column_stack((away, self.belief[:, live]))
        part = plain**TEMPER
        part /= part.sum(axis=1, keepdims=True)
        part[:, 0] *= self._strangers.odds
        cost = -np.log(part)
        best = self._assignment.solve(self.names, bodies, cost[:, 1:], cost[:, 0])
        assigned = {int(body): str(name) for name, body in best.pairs if isinstance(body, int)}
        lost = self._lost_columns()
        gone = self.belief[:, lost] / np.maximum(self.belief[:, :1] + self.belief[:, lost].sum(axis=1)[:, None], LEAST)
        probability = marginals(part)
        believed = marginals(plain)
        self._strangers.learn(believed, elapsed_s)
        return Answer(bodies, probability, believed, assigned, [self.numbers[column] for column in lost], gone)

    def _normalise(self) -> None:
        self.belief = np.maximum(self.belief, LEAST)
        self.belief /= self.belief.sum(axis=1, keepdims=True)

    def state(self) -> dict[str, Any]:
        assignment = self._assignment.state()
        strangers = self._strangers.state()
        own = {"numbers": self.numbers, "live": self.live, "belief": self.belief}
        return {**own, "assignment": assignment, "strangers": strangers}

    def load(self, state: dict[str, Any]) -> None:
        self.numbers, self.live, self.belief = list(state["numbers"]), list(state["live"]), state["belief"]
        self._assignment = IncrementalAssignment.from_state(state["assignment"])
        self._strangers.load(state["strangers"])
