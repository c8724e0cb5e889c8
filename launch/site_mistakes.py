"""What is wrong with a site file, in one sentence: file:line: table.key = value: the reason, and the nearest right key.

msgspec says what it refused and at which path; here that becomes a line of the file and words for people who write
TOML. It judges nothing itself, and reads no file.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args

import msgspec

from ..sitefile import ID_PATTERN, NAME_PATTERN, Site, meant

_WHERE = re.compile(r" - at `\$\.?(.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`")
_MISSING = re.compile(r"Object missing required field `(.*?)`")
_HEADER = re.compile(r"\s*\[(\[?)\s*([\w.\s-]+?)\s*\]\]?\s*(?:#.*)?$")
_WORDS = {  # msgspec's words for what a TOML file holds
    "`str`": "text in quotes",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table",
    f"matching regex {ID_PATTERN!r}": "of letters, digits, _ . and -, a letter or digit first",
    f"matching regex {NAME_PATTERN!r}": 'of 1 to 64 characters, none of them "/"',
}


def told(error: msgspec.ValidationError, document: dict[str, Any], text: str, file: str) -> str:
    """msgspec's reason as our sentence: file:line: table.key = value: what is wrong, and the nearest right key."""
    reason = str(error)
    where = _WHERE.search(reason)
    path = where[1] if where else ""
    reason = _WHERE.sub("", reason)
    value, label = look_up(document, path)
    if unknown := _UNKNOWN.match(reason):
        key = unknown[1]
        line = line_of(text, _join(path, key))
        return f"{file}:{line}: {_join(label, key)}: unknown key, {meant(key, _keys_at(path))}"
    if missing := _MISSING.match(reason):
        where = f":{line_of(text, path)}: {label}" if label else ": the file"
        return f'{file}{where}: the key "{missing[1]}" is missing'
    if label and (own := re.match(r"(\w+) = ", reason)):  # a table's own check, which names its key
        return f"{file}:{line_of(text, _join(path, own[1]))}: {_join(label, reason)}"
    if reason.startswith("Invalid ") and (known := _choices(path)):
        near = get_close_matches(str(value), known, n=1, cutoff=0.5)
        reason = f"must be one of {', '.join(known)}" + (f'; did you mean "{near[0]}"?' if near else "")
    for words, plain in _WORDS.items():
        reason = reason.replace(words, plain)
    shown = "" if isinstance(value, dict | list) or value is None else f" = {value!r}"
    return f"{file}:{line_of(text, path)}: {label}{shown}: {reason}" if label else f"{file}: {reason}"


def look_up(document: Any, path: str) -> tuple[Any, str]:
    """The value at a msgspec path, and the path with ids for numbers: `cameras[0].fps` -> `cameras.hall.fps`."""
    label: list[str] = []
    value = document
    for step in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
            name = (value.get("id") or value.get("name")) if isinstance(value, dict) else None
            label.append(str(name or int(step)))
        else:
            value = value.get(step) if isinstance(value, dict) else None
            label.append(step)
    return value, ".".join(label)


def _kinds_at(path: str) -> list[Any]:
    """The annotations that a value at msgspec's path may have; `pose.yaw_deg` of a camera has one."""
    kinds: list[Any] = [Site]
    for step in re.findall(r"[^.\[\]]+", path):
        if not (step.isdigit() or step == "..."):
            tables = [table for kind in kinds for table in tables_in(kind)]
            kinds = [f.type for table in tables for f in msgspec.structs.fields(table) if f.name == step]
    return kinds


def _keys_at(path: str) -> list[str]:
    """The keys that the table at msgspec's path may have."""
    tables = [table for kind in _kinds_at(path) for table in tables_in(kind)]
    return list(dict.fromkeys(f.encode_name for table in tables for f in msgspec.structs.fields(table)))


def _choices(path: str) -> list[str]:
    """What a value that is one of a few may be: a Literal's values, or the models of a camera's calibration."""
    if path.endswith(".model"):
        return [table.__struct_config__.tag for kind in _kinds_at(path[: -len(".model")]) for table in tables_in(kind)]
    parts = [part for kind in _kinds_at(path) for part in get_args(kind)]
    return [str(choice) for part in parts for choice in get_args(part) or (part,) if isinstance(choice, str | int)]


def tables_in(annotation: Any) -> list[Any]:
    """The table types inside an annotation such as tuple[Camera, ...] or Homography | Pinhole."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    return [table for part in getattr(annotation, "__args__", ()) for table in tables_in(part)]


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number with a point in a document, with its path as msgspec writes it."""
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        yield from (found for key, inner in value.items() for found in numbers(inner, _join(path, key)))
    elif isinstance(value, list):
        yield from (found for place, inner in enumerate(value) for found in numbers(inner, f"{path}[{place}]"))


def line_of(text: str, path: str) -> int:
    """The line that says `cameras[1].pose.yaw_deg`; where it is not said on its own, that of what it is part of."""
    best, found, table = "", 1, ""
    places: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            here = ""
            for step in re.split(r"\s*\.\s*", header[2]):
                here = _join(here, step)
                if header[1] and here == header[2]:
                    places[here] = places.get(here, -1) + 1
                here = f"{here}[{places[here]}]" if here in places else here
            table = here
        elif key := re.match(r"\s*([\w.-]+)\s*=", line):
            here = _join(table, key[1])
        else:
            continue
        if len(here) > len(best) and re.match(rf"{re.escape(here)}(?![\w-])", path):
            best, found = here, number
    return found


def _join(label: str, key: str) -> str:
    return f"{label}.{key}" if label else key
