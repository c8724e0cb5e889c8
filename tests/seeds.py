"""The seeds that the long evaluations are asked for, as "1-3,8"."""

import argparse


def seeds_in(text: str) -> list[int]:
    """ "1-3,8" -> [1, 2, 3, 8]; an argparse type."""
    try:
        ranges = [[int(end) for end in part.split("-")] for part in text.split(",")]
    except ValueError:
        ranges = []
    seeds = [seed for ends in ranges if len(ends) <= 2 for seed in range(ends[0], ends[-1] + 1)]
    if not seeds:
        raise argparse.ArgumentTypeError(f"{text!r} must be seeds such as 7, 1-3 or 1-3,8")
    return seeds
