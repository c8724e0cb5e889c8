"""What commands that train ask for first: torch, in one sentence where it is missing, and on one thread."""

import sys

import pytest
from whowhere.launch.cli import main
from whowhere.launch.errors import LaunchError
from whowhere.launch.training import ready_to_train

COMMANDS = [
    ["learn", "gait", "--generated", "--out", "OUT"],
    ["learn", "appearance", "--generic", "--out", "OUT"],
    ["evaluate", "appearance", "--generated"],
    ["evaluate", "gait", "--mission"],
    ["evaluate", "positioning", "--generated"],
    ["evaluate", "radiomap", "--gufu"],
]


@pytest.fixture
def without_torch(monkeypatch):
    """As on a machine that has none. (A None in sys.modules is what scipy trips over.)"""

    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "torch":
                raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]) + command[2])
def test_without_torch_a_command_says_what_to_install(command, tmp_path, capsys):
    assert main([str(tmp_path / "out") if each == "OUT" else each for each in command]) != 0
    said = capsys.readouterr().err
    assert "needs torch" in said
    assert ".[train]" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("without_torch")
def test_the_sentence_says_what_needs_it():
    with pytest.raises(LaunchError, match="MTLoc needs torch"):
        ready_to_train("MTLoc")


def test_training_is_on_one_thread_whatever_the_machine_has():
    torch = pytest.importorskip("torch", reason="training needs the train extra")
    torch.set_num_threads(2)
    ready_to_train()
    assert torch.get_num_threads() == 1
