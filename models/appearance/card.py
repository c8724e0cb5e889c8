"""An appearance model's card: read, and refused in one sentence where it cannot be one. It opens no network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..card_file import NotCard, card_in, require
from .likeness import CHANGED, KINDS, ModelError

FORMAT = "whowhere appearance 1"
NEEDED = ("name", "version", "sha256", "size", "share", "lines", "changed")
CROP_PX = (32, 64)  # width, height that a network sees whose card does not say otherwise
MOST_PX = 4096
MOST = 1e12  # of any number in a card


def read_card(path: Path) -> dict[str, Any]:
    """The card in a file. Raises ModelError, naming it."""
    try:
        card = card_in(path, FORMAT, "an appearance model")
    except NotCard as error:
        raise ModelError(str(error)) from error
    check(card, str(path))
    return card


def check(card: Mapping[str, Any], where: str = "the card") -> None:
    """Raises ModelError for a part that is missing or of a wrong kind; whether its network fits is not asked here."""
    try:
        require(card, NEEDED, where)
    except NotCard as error:
        raise ModelError(str(error)) from error
    if not isinstance(card["sha256"], str):
        raise ModelError(f'{where}: sha256 = {card["sha256"]!r} must be a text, "" where there is no network')
    if not _is_whole(card["size"]):
        raise ModelError(f"{where}: size = {card['size']!r} must be a whole number above 0")
    if not _is_share(card["share"]):
        raise ModelError(f"{where}: share = {card['share']!r} must be 0 to 1")
    _check_lines(card["lines"], where)
    _check_changed(card["changed"], where)
    size = card.get("crop_px", CROP_PX)
    if not isinstance(size, list | tuple) or len(size) != 2 or not all(_is_whole(each, MOST_PX) for each in size):
        raise ModelError(f"{where}: crop_px = {size!r} must be width and height, 1 to {MOST_PX}")


def crop_px_of(card: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height that the network sees."""
    wide, high = card.get("crop_px", CROP_PX)
    return int(wide), int(high)


def _check_lines(lines: object, where: str) -> None:
    if not isinstance(lines, dict):
        raise ModelError(f"{where}: lines = {lines!r} must be a table")
    for kind in KINDS:
        line = lines.get(kind)
        if not isinstance(line, list | tuple) or len(line) != 2 or not all(map(_is_number, line)):
            raise ModelError(f'{where}: lines."{kind}" = {line!r} must be two numbers, offset and slope')


def _check_changed(changed: object, where: str) -> None:
    if not isinstance(changed, dict):
        raise ModelError(f"{where}: changed = {changed!r} must be a table")
    for camera in CHANGED:
        share = changed.get(camera)
        if not _is_share(share):
            raise ModelError(f'{where}: changed."{camera}" = {share!r} must be 0 to 1')


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -MOST < value < MOST


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_whole(value: object, most: int = 1 << 30) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
