"""A gait model's card: read, and refused in one sentence where it cannot be one. It opens no network."""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from ..card_file import NotCard, card_in, require

FORMAT = "whowhere gait 1"
NEEDED = ("format", "name", "version", "sha256", "latent", "numbers", "calibration")
LIMITS = {  # of the calibration: from, to
    "scale": (0.01, 10.0), "least": (-50.0, 0.0), "most": (0.0, 50.0),
    "per_walk": (0.0, 50.0), "walks_alike": (0.0, 1.0), "windows_alike": (0.0, 1.0),
}  # fmt: skip


class GaitError(ValueError):
    """What is wrong with a gait model's files or with what it was asked, in one sentence."""


def read_card(path: Path) -> dict[str, Any]:
    """The card in a file. Raises GaitError, naming it."""
    try:
        card = card_in(path, FORMAT, "a gait model")
    except NotCard as error:
        raise GaitError(str(error)) from error
    check(card, str(path))
    return card


def check(card: Mapping[str, Any], where: str = "the card") -> None:
    """Raises GaitError for a part that is missing or impossible."""
    try:
        require(card, NEEDED, where)
    except NotCard as error:
        raise GaitError(str(error)) from error
    if not isinstance(card["latent"], int) or not 1 <= card["latent"] <= 256:
        raise GaitError(f"{where}: latent = {card['latent']!r} must be a whole number, 1 to 256")
    if not isinstance(card["sha256"], dict):
        raise GaitError(f"{where}: sha256 must name both networks' sums")
    said = card["calibration"]
    if not isinstance(said, dict):
        raise GaitError(f"{where}: calibration must be a table")
    for key, (low, high) in LIMITS.items():
        if not _is_number(said.get(key)) or not low <= said[key] <= high:
            raise GaitError(f"{where}: calibration.{key} = {said.get(key)!r} must be {low:g} to {high:g}")
    numbers = card["numbers"]
    if not isinstance(numbers, list) or not all(map(_is_target, numbers)):
        raise GaitError(f"{where}: numbers must be a list of name, mean and sd above 0")


def _is_target(each: object) -> bool:
    if not isinstance(each, dict) or not isinstance(each.get("name"), str):
        return False
    return _is_number(each.get("mean")) and _is_number(each.get("sd")) and each["sd"] > 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
