"""Imports run one way: launch -> nodes -> drivers, models, fusion -> messages, sitefile; and what may not be touched
in which room. Read from the source, so that a lazy import inside a function counts too."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("launch", "nodes", "drivers", "models", "fusion")
ALLOWED = {
    "launch": {"launch", "nodes", "drivers", "models", "fusion", "messages", "sitefile"},
    "nodes": {"nodes", "drivers", "models", "fusion", "messages", "sitefile"},
    "drivers": {"drivers", "messages", "sitefile"},
    "models": {"models", "messages", "sitefile"},
    "fusion": {"fusion", "messages", "sitefile"},
    "sitefile": {"sitefile"},
    "messages": {"messages"},
}
KNOWS_ZMQ = {"nodes/bus.py", "nodes/reach.py", "nodes/hub.py"}
KNOWS_ZMQ |= {"launch/commands/doctor.py"}  # which only asks whether it is installed
IMPURE_MODULES = {"time", "datetime", "random", "secrets", "socket", "threading", "asyncio", "subprocess", "uuid"}
IMPURE_CALLS = {"open", "input", "print"}
SEEDED = {"Generator", "default_rng", "PCG64", "SeedSequence"}  # numpy.random with an explicit seed


def sources(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py") if "__pycache__" not in path.parts)


def everything() -> list[Path]:
    return [*sources(*ROOMS), ROOT / "messages.py", ROOT / "sitefile.py"]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Absolute dotted paths of everything a file imports, relative ones resolved from the repository root."""
    package = ("whowhere", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = (*start, *(node.module or "").split(".")) if node.module else start
            if module == ("whowhere",):
                yield from ((*module, alias.name) for alias in node.names)
            else:
                yield module


def test_every_room_is_read():
    for room in ROOMS:
        assert sources(room), f"no source in {room}: this test would prove nothing"


@pytest.mark.parametrize("path", everything(), ids=name)
def test_imports_run_one_way(path: Path):
    for module in imported(path):
        if module[0] == "whowhere":
            assert len(module) > 1, "imports the package itself: say which part"
            assert module[1] in ALLOWED[room_of(path)], f"{room_of(path)} may not import {'.'.join(module)}"


@pytest.mark.parametrize("path", everything(), ids=name)
def test_inside_the_house_imports_are_relative(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").split(".")[0] != "whowhere"
        if isinstance(node, ast.Import):
            assert all(alias.name.split(".")[0] != "whowhere" for alias in node.names)


@pytest.mark.parametrize("path", everything(), ids=name)
def test_only_the_bus_knows_zeromq(path: Path):
    if name(path) not in KNOWS_ZMQ:
        assert all(module[0] != "zmq" for module in imported(path))


@pytest.mark.parametrize("path", sources("fusion"), ids=name)
def test_fusion_calls_no_clock_no_chance_and_no_files(path: Path):
    tree = ast.parse(path.read_text())
    assert not {module[0] for module in imported(path)} & {*IMPURE_MODULES, "os", "pathlib"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_CALLS, f"line {node.lineno}: {node.func.id}()"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "random":
            assert node.attr in SEEDED, f"line {node.lineno}: unseeded numpy.random.{node.attr}"


@pytest.mark.parametrize("path", sources("fusion", "models"), ids=name)
def test_no_clock_and_no_environment_in_fusion_and_models(path: Path):
    used = {module[0] for module in imported(path)}
    assert not used & {"time", "datetime", "random", "secrets"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("environ", "getenv"), f"line {node.lineno}"


@pytest.mark.parametrize("path", sources("drivers/simulated"), ids=name)
def test_the_simulator_never_sees_fusion(path: Path):
    """It must not share the geometry it is meant to test."""
    assert all(module[:2] != ("whowhere", "fusion") for module in imported(path))


def test_the_checks_above_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("test_layering.ROOT", tmp_path)
    wrong = tmp_path / "fusion" / "wrong.py"
    wrong.parent.mkdir()
    wrong.write_text("def f():\n    from ..nodes.bus import Publisher\n    import time\n    from .. import launch\n")
    assert list(imported(wrong)) == [("whowhere", "nodes", "bus"), ("time",), ("whowhere", "launch")]
