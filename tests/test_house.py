"""The house keeps its sizes and words: short files, short functions, a paragraph on top of each module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_FILE_LINES, MAX_FUNCTION_LINES = 350, 60
VOCABULARY = {"messages.py": 480}  # one word list
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}

SOURCES = sorted(
    path
    for pattern in ("*.py", "nodes/**/*.py", "fusion/**/*.py", "drivers/**/*.py", "models/**/*.py", "launch/**/*.py")
    for path in ROOT.glob(pattern)
    if "__pycache__" not in path.parts
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_file_and_functions_are_short(path: Path):
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= VOCABULARY.get(name(path), MAX_FILE_LINES)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or node.lineno) - node.lineno < MAX_FUNCTION_LINES, node.name


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_every_module_says_what_it_is_for(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text())) or path.name == "__init__.py"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_drawer_for_odds_and_ends(path: Path):
    assert not {part.removesuffix(".py") for part in path.relative_to(ROOT).parts} & FORBIDDEN_NAMES


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parent.name == "nodes"], ids=name)
def test_a_node_is_a_page(path: Path):
    """A module with a main(config, stop) is a node: under 80 lines, the hub and the page apart (docs in them)."""
    tree = ast.parse(path.read_text())
    is_node = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
    limit = {"hub.py": 220, "page.py": 220}.get(path.name, 120)
    assert not is_node or len(path.read_text().splitlines()) <= limit
