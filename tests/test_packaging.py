"""What a stranger installs: a wheel, built here, installed outside the checkout, imported module by module."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from whowhere.launch.wiring import free_port

ROOT = Path(__file__).parents[1]
NOT_SHIPPED = {".git", ".venv", ".ci", "tests", "docs", "build", ".ruff_cache", ".pytest_cache", ".hypothesis"}

IMPORT_EVERYTHING = """
    import importlib, pkgutil, sys
    import whowhere
    assert whowhere.__file__.startswith(sys.argv[1]), whowhere.__file__
    names = [m.name for m in pkgutil.walk_packages(whowhere.__path__, "whowhere.")]
    for name in names:
        importlib.import_module(name)
    for name in whowhere.__all__:
        assert getattr(whowhere, name)
    print(len(names))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the built wheel in it, and nothing else of ours."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy, so that the build leaves nothing in the checkout
    shutil.copytree(ROOT, source, ignore=lambda at, names: [n for n in names if n in NOT_SHIPPED or ".egg" in n])
    if not (source / "README.md").exists():
        (source / "README.md").write_text("written by the test: the checkout has none yet\n")
    if subprocess.run([sys.executable, "-c", "import setuptools"], capture_output=True, check=False).returncode:
        pytest.skip("setuptools is not installed here, so no wheel can be built without the network")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = folder / "built"
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(built), str(source)], check=True)
    wheel = next(built.glob("whowhere-*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    shutil.rmtree(source)
    return folder / "site"


def run_installed(installed: Path, *argv: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Run Python elsewhere, with the wheel found before the checkout's editable installation."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, *argv]
    return subprocess.run(
        command, cwd=installed.parent, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )


@pytest.mark.system
def test_the_wheel_imports_every_module_outside_the_checkout(installed: Path):
    done = run_installed(installed, "-c", textwrap.dedent(IMPORT_EVERYTHING), str(installed))
    assert done.returncode == 0, done.stderr
    shipped = sum(1 for path in (installed / "whowhere").rglob("*.py") if path.name != "__init__.py")
    assert int(done.stdout) >= shipped


@pytest.mark.system
@pytest.mark.parametrize(
    "pattern",
    [
        "py.typed",
        "launch/sites/demo.toml",
        "launch/sites/*.cfg",
        "launch/systemd/*.service",
        "launch/systemd/*.target",
        "launch/systemd/*.rules",
        "nodes/**/*.html",
        "nodes/**/*.js",
    ],
)
def test_the_wheel_ships_its_data(installed: Path, pattern: str):
    ours = {path.relative_to(ROOT) for path in ROOT.glob(pattern) if ".venv" not in path.parts}
    assert ours, f"the checkout has no {pattern}: this test would prove nothing"
    assert {path.relative_to(installed / "whowhere") for path in (installed / "whowhere").glob(pattern)} == ours


@pytest.mark.system
def test_every_folder_with_code_is_packaged(installed: Path):
    packages = {
        path.parent.relative_to(ROOT)
        for path in ROOT.rglob("*.py")
        if not set(path.relative_to(ROOT).parts) & NOT_SHIPPED
    }
    assert all((installed / "whowhere" / package / "__init__.py").exists() for package in packages)


@pytest.mark.system
def test_the_installed_command_runs_the_shipped_site(installed: Path):
    site = installed / "whowhere" / "launch" / "sites" / "demo.toml"
    done = run_installed(installed, "-m", "whowhere.launch.cli", "check", str(site))
    assert done.returncode == 0, done.stderr
    assert 'site "demo"' in done.stdout


@pytest.mark.system
def test_the_installed_demo_serves_its_page(installed: Path):
    options = ["--seconds", "12", "--json", "--no-browser", "--port", str(free_port())]
    done = run_installed(installed, "-m", "whowhere.launch.cli", "demo", *options)
    assert done.returncode == 0, done.stderr
    assert "whowhere demo: http://" in done.stderr, "the page did not answer"
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["messages"] > 0
    assert figures["restarts"] == 0
