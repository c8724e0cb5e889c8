"""What a command that fails says, and whether it says it as every command does."""

import pytest
from whowhere.launch import cli


def failure(capsys: pytest.CaptureFixture[str], *argv: str, status: int = 1) -> str:
    """What a failing command says; checks that it is one sentence, with at most one line of advice."""
    assert cli.main(list(argv)) == status
    said = capsys.readouterr().err.strip().splitlines()
    assert 1 <= len(said) <= 2, said
    assert said[0].startswith(f"whowhere {argv[0]}: ")
    assert "Traceback" not in said[0]
    assert "a fault in whowhere itself" not in said[0]
    assert len(said) == 1 or said[1].startswith("  try: ")
    return "\n".join(said)


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The sentence for an argument of the wrong kind, whose status is that of wrong usage."""
    with pytest.raises(SystemExit) as exit_:
        cli.main(list(argv))
    assert exit_.value.code == 2
    return capsys.readouterr().err.splitlines()[0]
