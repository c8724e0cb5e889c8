"""What every started process begins with: it ties the process to the supervisor, then hands over to the node.

The exit status tells the supervisor what to do: 0 finished, leave it; 3 (EXIT_REFUSED) a person has to act, try again
slowly; anything else crashed, start it again. It imports nothing that a node does not need.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from ..drivers.errors import DeviceRefused
from ..nodes.node import NodeConfig
from ..sitefile import SiteError
from .errors import in_one_sentence

GRACE_S = 5  # from being asked to stop to being killed
EXIT_CRASHED = 1
EXIT_REFUSED = 3
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # linux/prctl.h


def run(module: str, config: NodeConfig) -> None:
    """Be the process `config.name`: import `module` (a node, absolute name) and run its main(config, stop)."""
    stop = threading.Event()
    _obey_signals(stop)
    os.dup2(2, 1)  # standard output belongs to the command, for its --json
    try:
        _die_with_parents(config.name)
        import_module(module).main(config, stop)
        _send_the_last()
    except (DeviceRefused, SiteError) as error:
        _complain(config, error)
        _leave(EXIT_REFUSED)
    except Exception as error:
        _complain(config, error)
        _keep_trace(config)
        _leave(EXIT_CRASHED)


def _obey_signals(stop: threading.Event) -> None:
    """SIGINT and SIGTERM ask the node to stop; a node that does not is ended by the kernel's alarm clock, so that
    nothing is left even where the supervisor is gone and can no longer kill it."""

    def ask(_signal: int, _frame: FrameType | None) -> None:
        signal.alarm(GRACE_S)  # first: a signal caught while the node holds the lock of `stop` waits in set() for ever
        stop.set()

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})  # the supervisor started us blocked


def _die_with_parents(name: str) -> None:
    """Out of the terminal's group (Ctrl-C is the supervisor's to pass on), but asked to stop when the supervisor dies,
    and, on Linux, when the fork server does: the supervisor could neither see nor signal it any more."""
    os.setpgid(0, 0)
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else (lambda *_: 0)
    prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    prctl(_PR_SET_NAME, name[:15].encode(), 0, 0, 0)
    if supervisor := multiprocessing.parent_process():
        threading.Thread(target=_end_after, args=(supervisor,), daemon=True).start()


def _end_after(supervisor: BaseProcess) -> None:
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _send_the_last() -> None:
    from ..nodes.bus import send_the_last  # no node does without it, but whoever imports this module may

    send_the_last()


def _complain(config: NodeConfig, error: Exception) -> None:
    """One sentence for people."""
    sys.stderr.write(f"{config.name}: {in_one_sentence(error)}\n")  # in one piece: others write there too
    sys.stderr.flush()


def _keep_trace(config: NodeConfig) -> None:
    """The whole trace into the run's folder, for those who mend whowhere."""
    with contextlib.suppress(OSError):  # no folder to write to: the sentence has been said
        (Path(config.run_dir) / f"{config.name}.crash").write_text(traceback.format_exc(), encoding="utf-8")


def _leave(status: int) -> None:
    """At once: a thread or socket that a failed node left behind must not keep a dead process alive."""
    sys.stderr.flush()
    os._exit(status)
