"""docs/wire.md against the code: every kind and key is in it, and its plain msgpack reading of a scene holds."""

import re
from pathlib import Path

import msgpack
import msgspec
import numpy as np
import pytest
from buses import radar, scene
from whowhere.messages import INPUT_KINDS, KINDS, LATE_JOINER_KINDS, SCHEMA_VERSION, Person, encode
from whowhere.sitefile import Bus

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "wire.md").read_text(encoding="utf-8")
NAMES = set(re.findall(r"`([^`]+)`", TEXT))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_and_key_is_documented(kind):
    assert kind in NAMES
    missing = [field for field in KINDS[kind].__struct_fields__ if field not in NAMES]
    assert not missing, f"docs/wire.md does not mention {kind}: {missing}"


def test_ports_version_and_kept_kinds_are_those_of_the_code():
    assert f"by default {Bus().port} to {Bus().port + 2} on {Bus().host}" in TEXT
    assert f"Schema version: {SCHEMA_VERSION}." in TEXT
    assert all(f"`{kind}/`" in TEXT for kind in LATE_JOINER_KINDS)


def test_the_kinds_that_fusion_receives_are_those_of_sensors():
    """The section's table names them all; `map` and `model`, which the engine drops, are not among them."""
    section = TEXT.split("### Sensors (input of fusion)")[1].split("###")[0]
    assert {*re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE), "health"} == set(INPUT_KINDS)


def test_a_scene_is_read_with_nothing_but_msgpack():
    person = Person(
        id="Ada",
        x_m=1.0,
        y_m=2.5,
        covariance_m2=(0.1, 0.0, 0.1),
        velocity_m_s=(0.0, 0.0),
        candidates=(("Ada", 0.9), ("unknown", 0.1)),
        state="confirmed",
        sources=("camera-1",),
        since_ns=5,
    )
    body = encode(msgspec.structs.replace(scene(t_ns=2**60), people=(person,)))
    plain = msgpack.unpackb(body)
    assert (plain["kind"], plain["t_ns"], plain["v"]) == ("scene", 2**60, SCHEMA_VERSION)
    [read] = plain["people"]
    assert (read["id"], read["x_m"], read["y_m"], read["candidates"][0]) == ("Ada", 1.0, 2.5, ["Ada", 0.9])


def test_an_array_is_little_endian_binary_row_by_row():
    points = np.arange(10, dtype="f4").reshape(2, 5)
    plain = msgpack.unpackb(encode(msgspec.structs.replace(radar(), points=points)))
    assert plain["points"] == points.astype("<f4").tobytes()
