"""Starts rows as forks of one process that has imported their modules already.

A node's libraries take it one to four seconds to import on a small box, all of them at once on two cores far longer; a
fork has them in a few milliseconds, and shares their memory. The server only imports: it never opens a socket, starts
a thread or runs a node, since the threads of OpenCV and ZeroMQ do not survive a fork.
"""

import multiprocessing
import signal
from collections.abc import Sequence
from multiprocessing import forkserver, get_context, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Protocol

from . import child
from .processes import Process


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
    none, a row starts in a fresh interpreter, only slower.
    """

    def __init__(self, table: Sequence[Process]) -> None:
        modules = dict.fromkeys(row.module for row in sorted(table, key=lambda row: row.stage))
        multiprocessing.set_forkserver_preload(["__main__", *modules])

    def __call__(self, row: Process) -> Handle:
        resource_tracker.ensure_running()  # else the server's start starts it, and that unblocks both signals again
        # Ctrl-C must hit neither the server nor a newcomer before it can handle it; it unblocks the signals itself.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            forkserver.ensure_running()
            return _start(row, get_context("forkserver"))
        except (EOFError, OSError):  # it died as it was asked: a module that it was to import brought it down
            return _start(row, get_context("spawn"))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(row: Process, context: ForkServerContext | SpawnContext) -> Handle:
    process = context.Process(target=child.run, args=(row.module, row.config), name=row.name)
    process.start()
    return process
