"""A model's card, the JSON file beside its network: read, and refused in one sentence where it cannot be one."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class NotCard(ValueError):
    """Why a file is no card of the kind asked for, or what its card lacks: one sentence with the file's name."""


def card_in(path: Path, form: str, what: str) -> dict[str, Any]:
    """The card in a file whose "format" is `form`; what: whose card it must be, in words. Raises NotCard."""
    try:
        card = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise NotCard(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise NotCard(f"{path} is no card: {error}") from error
    if not isinstance(card, dict) or card.get("format") != form:
        raise NotCard(f"{path} is no card of {what}")
    return card


def require(card: Mapping[str, Any], needed: Sequence[str], where: str) -> None:
    """Raises NotCard where one of `needed` is missing, or name or version is no text."""
    if lacks := [key for key in needed if key not in card]:
        raise NotCard(f'{where} lacks "{lacks[0]}"')
    for key in ("name", "version"):
        if not isinstance(card[key], str) or not card[key]:
            raise NotCard(f"{where}: {key} = {card[key]!r} must be a text")
