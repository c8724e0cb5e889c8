"""Kinds of numbers on the command line, each refused in argparse's own sentence where it is another."""

import argparse


def natural(text: str) -> int:
    """A whole number from 0 on, as seeds are. Raises ArgumentTypeError."""
    return _from(text, 0)


def positive(text: str) -> int:
    """A whole number from 1 on. Raises ArgumentTypeError."""
    return _from(text, 1)


def _from(text: str, least: int) -> int:
    if not text.strip().lstrip("-").isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, {least} or more")
    return int(text)
