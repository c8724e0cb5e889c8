"""The dialogue on a radar's command line: send a .cfg file line by line and understand the answers (protocols A2).

It waits for the prompt instead of sleeping, and names in plain words what went wrong, with the line of the file. It
sends the file as it is, so any of TI's configurations works; what the file means is profile.py's business.
"""

import re
import termios
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ..errors import DeviceLost, DeviceRefused
from .headers import MAGIC

PROMPT = re.compile(rb"\w+:/> *$")
WAKE_S = 2.0  # an idle firmware answers an empty line at once
ANSWER_S = 2.0
START_S = 8.0  # sensorStart calibrates the radio first
MAX_LINE = 255  # characters; the firmware's limit
LATE_CHANGES = ("channelCfg", "adcCfg", "lowPower")  # changing these after the first start hangs the firmware

NO_TEXT = "holds bytes that are no text, so it is no radar configuration"
RESET = "press the board's NRST button or power-cycle it"


class Wire(Protocol):
    """What we need of a serial port; pyserial's Serial has it. Its reads give up after a fraction of a second."""

    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int = 1, /) -> bytes: ...
    def write(self, b: bytes, /) -> int | None: ...
    def reset_input_buffer(self) -> None: ...


class Command(NamedTuple):
    line: int
    text: str

    @property
    def word(self) -> str:
        return self.text.split()[0]


def commands_of(text: str) -> list[Command]:
    """The commands of a .cfg file: no comments, no blank lines; `sensorStart` is added where it is missing."""
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    commands = [Command(number, line) for number, line in lines if line and not line.startswith("%")]
    if commands and all(command.word != "sensorStart" for command in commands):
        commands.append(Command(commands[-1].line + 1, "sensorStart"))
    return commands


def unreadable(commands: Sequence[Command]) -> int | None:
    """The first line that holds what no terminal should be sent, as those of a binary file do; None without one."""
    signs = ((command.line, command.text.replace("\t", " ")) for command in commands)
    return next((line for line, text in signs if not text.isprintable() or "\ufffd" in text), None)


def configure(cli: Wire, commands: Sequence[Command], file: str, port: str) -> list[str]:
    """Send the commands; returns the sensor's warnings. `file` and `port` name things in errors.

    Raises DeviceRefused where a person has to act, DeviceLost where the port went away.
    """
    try:
        _wake(cli, port)
        return [warning for command in commands for warning in _send(cli, command, file, port)]
    except (OSError, termios.error) as error:
        raise DeviceLost(f"{port}: unplugged during configuration ({error})") from error


def _wake(cli: Wire, port: str) -> None:
    """An empty line gives a prompt, and takes along what others may have typed before us (A9)."""
    answer = _ask(cli, "", WAKE_S)
    if MAGIC in answer:
        raise DeviceRefused(f"{port}: carries radar frames, so it is the data port: swap cli_port and data_port")
    if not PROMPT.search(answer):
        heard = f"answered {len(answer)} bytes but no prompt" if answer else "gives no prompt"
        raise DeviceRefused(
            f"{port}: the sensor's command line {heard}: {RESET} (and check that cli_port is the Enhanced/if00 port)"
        )
    _ask(cli, "sensorStop", ANSWER_S)


def _send(cli: Wire, command: Command, file: str, port: str) -> list[str]:
    where = f"{file}:{command.line}: `{command.text}`"
    if len(command.text) > MAX_LINE:
        raise DeviceRefused(f"{where[:80]}...: longer than the {MAX_LINE} characters the sensor's command line takes")
    timeout_s = START_S if command.word == "sensorStart" else ANSWER_S
    answer = _ask(cli, command.text, timeout_s)
    if b"is not recognized" in answer:
        answer = _ask(cli, command.text, timeout_s)  # stray bytes may have been glued to the first try (A9)
    lines = [line.strip() for line in answer.decode("ascii", "replace").splitlines()]
    if any("Exception" in line or "Assert" in line for line in lines) or not PROMPT.search(answer):
        raise DeviceRefused(_explain_silence(command, where, port, bool(answer)))
    if any("is not recognized" in line for line in lines):
        raise DeviceRefused(
            f"{where}: this sensor's firmware does not know {command.word}: the file is for another demo or SDK"
        )
    errors = [line for line in lines if line.startswith("Error")]
    if errors:
        raise DeviceRefused(f"{where}: the sensor refused it: {'; '.join(errors)}")
    ignored = [line for line in lines if line.startswith("Ignored")]
    if ignored and command.word == "sensorStop":
        return []  # most files begin with it, and _wake has stopped the sensor already: nothing to worry about
    if not ignored and "Done" not in lines and "Skipped" not in lines:
        ignored = ["answered without Done"]
    return [f"{where}: {line}" for line in ignored]


def _explain_silence(command: Command, where: str, port: str, has_spoken: bool) -> str:
    how = "stopped with an exception" if has_spoken else "fell silent"
    why = ""
    if command.word in LATE_CHANGES:
        why = f" ({command.word} cannot be changed once the sensor has been started)"
    return f"{where}: the sensor on {port} {how}{why}: {RESET}"


def _ask(cli: Wire, line: str, timeout_s: float) -> bytes:
    """One line out, everything up to the next prompt back; what has come without a prompt when time is up."""
    cli.reset_input_buffer()
    cli.write(line.encode("ascii", "replace") + b"\n")
    answer = b""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer += cli.read(max(1, cli.in_waiting))
        if PROMPT.search(answer):
            break
        if MAGIC in answer:
            break
    return answer
