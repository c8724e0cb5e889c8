"""A radar for tests: two pseudo-terminals behind symbolic links, a firmware that answers, and every way to misbehave.

It is not the simulator (drivers/simulated): it knows no world, it sends the packets it is given.
"""

import os
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

from whowhere.sitefile import Pose, Radar

PROMPT = b"mmwDemo:/>"
CFG = (
    "% a comment\r\nsensorStop\nflushCfg\n\nchannelCfg 15 7 0\nprofileCfg 0 60 100 25 69 0 0 50 1 256 6000 0 0 30\n"
    "chirpCfg 0 0 0 0 0 0 0 1\nframeCfg 0 0 32 0 100 1 0\nsensorStart\n"
)


class Twin:
    """packets: what is streamed once started, one every period_s. answers: per command word the lines said in place
    of Done, or None for silence from there on. deaf: no prompt at all. stray: bytes glued to the first command."""

    def __init__(self, folder: Path, packets: Callable[[], Iterator[bytes]], period_s: float = 0.01) -> None:
        self.folder, self.packets, self.period_s = folder, packets, period_s
        self.answers: dict[str, list[str] | None] = {}
        self.deaf = False
        self.is_silent = False  # takes everything, sends nothing: the wrong image for the board
        self.stray = ""
        self.heard: list[str] = []
        self._is_running = threading.Event()
        self._threads: list[threading.Thread] = []
        (folder / "twin.cfg").write_text(CFG)
        self.plug()

    @property
    def config(self) -> Radar:
        return Radar(
            id="r1",
            cli_port=str(self.folder / "cli"),
            data_port=str(self.folder / "data"),
            config=str(self.folder / "twin.cfg"),
            pose=Pose(position_m=(0, 0, 2)),
        )

    def plug(self) -> None:
        self._fds: list[int] = []
        self.masters: dict[str, int] = {}
        for name in ("cli", "data"):
            master, slave = os.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            link = self.folder / name
            link.unlink(missing_ok=True)
            link.symlink_to(os.ttyname(slave))
            self.masters[name] = master
            self._fds += [master, slave]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._answer, self._stream)]
        for thread in self._threads:
            thread.start()

    def unplug(self) -> None:
        for name in self.masters:  # first: its number may be another test's terminal next
            (self.folder / name).unlink(missing_ok=True)
        self._stop.set()
        for thread in self._threads:
            thread.join(2)
        for fd in self._fds:
            os.close(fd)
        self._is_running.clear()

    def start(self) -> None:
        self._is_running.set()

    def _answer(self) -> None:
        typed = b""
        while not self._stop.wait(0.001):
            try:
                typed += os.read(self.masters["cli"], 4096)
            except (BlockingIOError, OSError):
                continue
            while b"\n" in typed:
                line, typed = typed.split(b"\n", 1)
                if not self.deaf:
                    self._say(line.decode())

    def _say(self, line: str) -> None:
        line, self.stray = self.stray + line, ""
        lines = [line]
        if line:
            word = line.split()[0]
            self.heard.append(line)
            said = self.answers.get(word, ["Done"])
            if said is None:
                self.deaf = True
                return
            if "~" in word:
                said = [f"'{word}' is not recognized as a CLI command"]
            lines += said
            if word == "sensorStart" and "Done" in said and not self.is_silent:
                self.start()
            if word == "sensorStop":
                self._is_running.clear()
        os.write(self.masters["cli"], "\r\n".join([*lines, ""]).encode() + PROMPT)

    def _stream(self) -> None:
        packets = self.packets()
        while not self._stop.wait(self.period_s):
            if self._is_running.is_set():
                packet = next(packets, None)
                if packet is None:
                    return
                self._write(packet)

    def _write(self, data: bytes) -> None:
        while data and not self._stop.is_set():
            try:
                data = data[os.write(self.masters["data"], data[:512]) :]
            except BlockingIOError:
                time.sleep(0.001)
            except OSError:
                return
