"""The README's commands and its eight lines of Python, as a stranger would copy them."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from whowhere.launch.cli import main
from whowhere.launch.wiring import free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(170)]
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^whowhere (.+?)(?:\s+#.*)?$", README, re.MULTILINE)
WHOWHERE = [sys.executable, "-m", "whowhere.launch.cli"]


def run(words: list[str], cwd: Path, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder to work in, and the bus of a demo that runs meanwhile."""
    folder = tmp_path_factory.mktemp("stranger")
    text = ""
    with (folder / "demo.err").open("w") as said:
        words = [*WHOWHERE, "demo", "--no-browser", "--port", str(free_port())]
        process = subprocess.Popen(words, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if "Ctrl-C ends it" in (text := (folder / "demo.err").read_text()):
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"the demo did not start: {text}")
        found = re.search(r"--bus (tcp://\S+?)[,;\s]", text)
        yield folder, found[1] if found else "tcp://127.0.0.1:7310"
    finally:
        process.terminate()
        process.wait(20)


def test_every_command_of_the_readme_exists_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(COMMANDS) >= 12
    for command in COMMANDS:
        name, *rest = command.split()
        with pytest.raises(SystemExit) as end:
            main([name, "--help"])
        assert end.value.code == 0, command
        shown = capsys.readouterr().out
        for option in (word for word in rest if word.startswith("--")):
            assert option in shown, command


def test_the_eight_lines_print_who_is_where(demo: tuple[Path, str]) -> None:
    folder, bus = demo
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block is not None
    lines = [line for line in block[1].splitlines() if line.strip()]
    assert len(lines) <= 8
    program = block[1].replace("tcp://127.0.0.1:7310", bus)
    process = subprocess.Popen([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True, cwd=folder)
    try:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(10)]
    finally:
        process.kill()
        process.communicate()
    assert all(re.match(r"\S+ at -?\d+\.\d, -?\d+\.\d m \(\w+; most likely \S+, \d+%\)", line) for line in printed)


def test_record_and_verify(demo: tuple[Path, str]) -> None:
    folder, bus = demo
    recorded = run([*WHOWHERE, "record", "session.mcap", "--seconds", "6", "--bus", bus], folder)
    assert recorded.returncode == 0, recorded.stderr
    for _ in range(2):
        verified = run([*WHOWHERE, "replay", "session.mcap", "--verify"], folder)
        assert verified.returncode == 0, verified.stderr
        assert "identical" in verified.stdout


def test_simulate_evaluate_and_check(tmp_path: Path) -> None:
    for words, said in (
        (["simulate", "made.mcap", "--boxes", "--seconds", "20", "--seed", "3"], "20 s"),
        (["evaluate", "session", "made.mcap"], "named"),
        (["replay", "made.mcap", "--verify"], "identical"),
        (["check", str(ROOT / "launch" / "sites" / "demo.toml")], "camera-1"),
        (["check", str(ROOT / "launch" / "sites" / "iwr6843_oob_10hz.cfg")], "10"),
        (["doctor"], "HOG"),
    ):
        done = run([*WHOWHERE, *words], tmp_path)
        assert said in done.stdout, (words, done.stdout, done.stderr)
