"""Starts rows as forks of one process that has imported their modules already.

A node's libraries take it one to four seconds to import on a small box, all of them at once on two cores far longer; a
fork has them in a few milliseconds, and shares their memory. The server only imports: it never opens a socket, starts
a thread or runs a node, since the threads of OpenCV and ZeroMQ do not survive a fork.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import forkserver, get_context, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Protocol

from . import child
from .processes import Process

MOST_FAILED = 2  # a module that ends the server would be imported again for every row


class Handle(Protocol):
    """What the supervisor needs of a started process (multiprocessing.Process has it)."""

    @property
    def pid(self) -> int | None: ...
    @property
    def exitcode(self) -> int | None: ...
    def join(self, timeout: float | None = None) -> None: ...


class ForkServer:
    """Called with a row, it starts that; use from the main thread.

    The first call starts the server, which a program has one of: it holds what the first table needs, and a module
    that is not among that is imported by who needs it. A server that is gone is started again; where there can be
    none, a row starts in a fresh interpreter, only slower, and after two such rows all do. So they do everywhere but on
    Linux: macOS' own libraries may not be forked.
    """

    def __init__(self, table: Sequence[Process]) -> None:
        modules = dict.fromkeys(row.module for row in sorted(table, key=lambda row: row.stage))
        multiprocessing.set_forkserver_preload(["__main__", *modules])
        self._failed = 0 if sys.platform == "linux" else MOST_FAILED  # rows in a row

    def __call__(self, row: Process) -> Handle:
        resource_tracker.ensure_running()  # else the server's start starts it, and that unblocks both signals again
        # Ctrl-C must hit neither the server nor a newcomer before it can handle it; it unblocks the signals itself.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            return self._forked(row) or _start(row, get_context("spawn"))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _forked(self, row: Process) -> Handle | None:
        if self._failed >= MOST_FAILED:
            return None
        try:
            with _as_servers_are():
                forkserver.ensure_running()
            handle = _start(row, get_context("forkserver"))
        except (EOFError, OSError):  # it died as it was asked: a module that it was to import brought it down
            self._failed += 1
            return None
        self._failed = 0
        return handle


@contextlib.contextmanager
def _as_servers_are() -> Iterator[None]:
    """What is started meanwhile imports nothing from the current folder, whose serial.py may be anything (gh-117378 of
    CPython), and what its imports print goes to standard error: the other is the command's, for its --json."""
    safe, ours = os.environ.get("PYTHONSAFEPATH"), os.dup(1)
    os.environ["PYTHONSAFEPATH"] = "1"
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(ours, 1)
        os.close(ours)
        del os.environ["PYTHONSAFEPATH"]
        if safe is not None:
            os.environ["PYTHONSAFEPATH"] = safe


def _start(row: Process, context: ForkServerContext | SpawnContext) -> Handle:
    process = context.Process(target=child.run, args=(row.module, row.config), name=row.name)
    process.start()
    return process
