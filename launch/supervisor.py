"""Keeps the rows of a process table running: starts, restarts with back-off and a budget, and stops them in order.

It knows rows, not radars. A row that exits 0 has finished; one that crashed is started again after 0.1 s, later after
longer; five crashes in 60 s and it is given up, loudly, while the others go on. A row that says a person has to act
(child.EXIT_REFUSED) is tried again every 10 s and never given up.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from . import child
from .fork_server import ForkServer, Handle
from .processes import Process

BACKOFF_S = (0.1, 0.5, 1.2, 2.4, 5.0)
BUDGET = 5  # crashes within WINDOW_S
WINDOW_S = 60.0
REFUSED_RETRY_S = 10.0
TICK_S = 0.1


@dataclass(slots=True)
class _Slot:
    row: Process
    handle: Handle | None = None
    crashed_s: list[float] = field(default_factory=list)
    retry_s: float | None = 0.0  # when to start it, None = not any more
    starts: int = 0
    is_refused: bool = False
    is_given_up: bool = False


def say_on_stderr(sentence: str) -> None:
    sys.stderr.write(f"whowhere: {sentence}\n")  # in one piece: the rows write there too
    sys.stderr.flush()


class Supervisor:
    """Runs a table; use from the main thread (children die with the thread that started them).

    `reconcile()` is idempotent and called every tick. `restarts` counts, per name, how often a row came back.
    """

    def __init__(
        self,
        table: Sequence[Process],
        *,
        say: Callable[[str], None] = say_on_stderr,
        launch: Callable[[Process], Handle] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = [_Slot(row) for row in sorted(table, key=lambda row: row.stage)]
        self._say = say
        self._launch = launch or ForkServer(table)
        self._clock = clock

    def run(self, stop: threading.Event, tick: Callable[[], bool | None] = lambda: None) -> None:
        """Reconcile until `stop` is set, every row is done, or `tick` returns True; then stop everything."""
        try:
            while not stop.is_set():
                self.reconcile()
                if tick() or not self.is_busy:
                    break
                stop.wait(TICK_S)
        finally:
            self.stop()

    @property
    def is_busy(self) -> bool:
        """Whether any row runs or will be tried again."""
        return any(slot.handle or slot.retry_s is not None for slot in self._slots)

    @property
    def restarts(self) -> dict[str, int]:
        return {slot.row.name: max(0, slot.starts - 1) for slot in self._slots}

    @property
    def given_up(self) -> list[str]:
        return [slot.row.name for slot in self._slots if slot.is_given_up]

    @property
    def refused(self) -> list[str]:
        """Those that wait for a person."""
        return [slot.row.name for slot in self._slots if slot.is_refused]

    @property
    def pids(self) -> dict[str, int]:
        """The running rows."""
        return {slot.row.name: slot.handle.pid for slot in self._slots if slot.handle and slot.handle.pid}

    def reconcile(self) -> None:
        """Notice what ended, start what is due; one newcomer a tick, so that the hub and the page come up first
        where a dozen at once would keep each other waiting."""
        now = self._clock()
        for slot in self._slots:
            if slot.handle and slot.handle.exitcode is not None:
                self._ended(slot, slot.handle.exitcode, now)
            if slot.handle is None and slot.retry_s is not None and now >= slot.retry_s:
                slot.handle = self._launch(slot.row)
                slot.retry_s = None
                slot.is_refused = False
                slot.starts += 1
                if slot.starts == 1:
                    break

    def _ended(self, slot: _Slot, status: int, now: float) -> None:
        name, slot.handle = slot.row.name, None
        if status == 0:
            return
        if slot.row.restart == "never":
            slot.is_given_up = True
            return
        if status == child.EXIT_REFUSED:
            slot.retry_s, slot.is_refused = now + REFUSED_RETRY_S, True
            self._say(f"{name} needs a person; trying again every {REFUSED_RETRY_S:.0f} s")
            return
        slot.crashed_s = [at for at in slot.crashed_s if now - at < WINDOW_S] + [now]
        if len(slot.crashed_s) >= BUDGET:
            slot.is_given_up = True
            self._say(
                f"GIVING UP on {name}: {BUDGET} crashes in {WINDOW_S:.0f} s; the others go on. "
                "Mend what it said above, then start again"
            )
            return
        wait_s = BACKOFF_S[min(len(slot.crashed_s), len(BACKOFF_S)) - 1]
        slot.retry_s = now + wait_s
        self._say(f"{name} {_how(status)}; back in {wait_s:.1f} s")

    def stop(self) -> None:
        """SIGINT, 5 s, SIGKILL; the highest stage first, so that the recorder and the hub hear the last words."""
        for slot in self._slots:
            slot.retry_s = None
        for stage in sorted({slot.row.stage for slot in self._slots}, reverse=True):
            handles = [(s.row.name, s.handle) for s in self._slots if s.row.stage == stage and s.handle]
            for _, handle in handles:
                _signal(handle, signal.SIGINT)
            deadline = time.monotonic() + child.GRACE_S
            for name, handle in handles:
                handle.join(max(0.0, deadline - time.monotonic()))
                if handle.exitcode is None:
                    self._say(f"{name} did not stop within {child.GRACE_S} s and was killed")
                    _signal(handle, signal.SIGKILL)
                    handle.join(child.GRACE_S)  # no longer: a fork is reaped by the server, which may hang itself
        for slot in self._slots:
            slot.handle = None


def _signal(handle: Handle, number: int) -> None:
    if handle.pid and handle.exitcode is None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended, and the server tells so in a moment
            os.kill(handle.pid, number)


def _how(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
