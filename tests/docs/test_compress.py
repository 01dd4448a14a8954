"""The commands of docs/compress.md are those of the command line."""

from pathlib import Path

import pytest

from tests.conftest import Command
from tests.docs.typist import ROOT, commands_of

COMMANDS = commands_of(ROOT / "docs/compress.md")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_fails_only_because_there_is_no_model(
    command: str, cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli(*command.split()[1:])
    assert said.code == 2
    last = said.err.splitlines()[-1]
    assert "cannot be read" in last or "no study" in last, said.err
    assert list(tmp_path.iterdir()) == []


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 3
