"""The command line: finds the command, loads only its module, and says every failure in one sentence.

Exit status: 0 done, 1 it could not (the sentence says why and what to type next), 2 wrong usage. Spawned children
import this file too, so nothing heavy may be imported on top.
"""

import argparse
import sys
from importlib import import_module
from typing import NoReturn, Protocol, cast

from .errors import LaunchError, in_one_sentence

COMMANDS = {
    "demo": "see it run: a simulated site, real processes, a live page; no hardware",
    "up": "run a site: its sensors, fusion and the page",
    "watch": "who is where, live in the terminal",
    "record": "write what a running site says to a session file",
    "replay": "play a session again, or verify that it gives the same bytes",
    "check": "say in words what a site, radar configuration or session file means",
    "simulate": "write a simulated session faster than real time",
    "evaluate": "score a session against its ground truth",
    "report": "write one HTML page about a session, with its plots",
    "learn": "learn what the system uses from what was recorded: radio maps, looks, gait",
    "deploy": "give the running site another radio map, on trial",
    "calibrate": "find out where a sensor stands or how well it hears, from a session in which people walked",
    "bench": "run a benchmark of the source checkout",
    "doctor": "is this machine ready? one line each, with the command that mends it",
    "keygen": "make the keys that a bus beyond this machine needs",
    "init": "write a commented site file with the devices found here",
}


class Command(Protocol):
    """A module in launch/commands/."""

    EXAMPLE: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, args: argparse.Namespace) -> int: ...


class _Parser(argparse.ArgumentParser):
    """Argparse, but a mistake is one sentence."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}\n  try: {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def main(argv: list[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["help"] and len(arguments) > 1:
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if arguments else 2
    name, *rest = arguments
    if name == "--version":
        from importlib.metadata import version

        print(f"whowhere {version('whowhere')}")
        return 0
    if name not in COMMANDS:
        return _unknown(name)
    return _run(name, rest)


def _run(name: str, rest: list[str]) -> int:
    try:
        return _command(name, rest)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return 0
    except ImportError as error:
        print(f"whowhere {name}: {error}: the installation is incomplete", file=sys.stderr)
        print("  try: whowhere doctor", file=sys.stderr)
        return 1
    except Exception as error:
        print(f"whowhere {name}: {in_one_sentence(error)}", file=sys.stderr)
        if isinstance(error, LaunchError) and error.next_command:
            print(f"  try: {error.next_command}", file=sys.stderr)
        return 1


def _command(name: str, rest: list[str]) -> int:
    command = cast(Command, import_module(f"{__package__}.commands.{name}"))
    parser = _Parser(
        prog=f"whowhere {name}",
        description=(command.__doc__ or COMMANDS[name]).strip(),
        epilog=f"example:\n{_indented(command.EXAMPLE)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    return command.run(parser.parse_args(rest))


def _overview() -> str:
    lines = [f"  {name:9} {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "whowhere COMMAND ...: who is where, and how sure are we?",
            "",
            *lines,
            "",
            "whowhere COMMAND --help explains one command, with an example. Start with:",
            "  whowhere demo",
        ]
    )


def _unknown(name: str) -> int:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"?' if near else f"commands: {', '.join(COMMANDS)}"
    print(f'whowhere: unknown command "{name}", {hint}\n  try: whowhere --help', file=sys.stderr)
    return 2


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())


if __name__ == "__main__":
    sys.exit(main())
