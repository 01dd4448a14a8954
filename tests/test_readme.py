"""Every `hpo` command of README.md does what it says, in the order in which it stands there."""

import re
import shlex
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
TABLE = "age,pressure,ward,outcome\n" + "".join(
    f"{20 + n % 60},{90 + (n * 7) % 50},{'abc'[n % 3]},{'ill' if n % 60 > 25 else 'well'}\n"
    for n in range(120)
)


def commands() -> list[str]:
    """Return the `hpo` commands of the console blocks, less the one that serves until Ctrl-C."""
    blocks = re.findall(r"^```console\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if re.match(r"hpo (?!dashboard\b)", line)]


def test_the_readme_has_commands() -> None:
    assert len(commands()) >= 2


@pytest.mark.slow
def test_every_command_of_the_readme_succeeds(cli, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("patients.csv").write_text(TABLE)
    for command in commands():
        short = ["--trials", "4"] if command == "hpo run quickstart" else []
        said = cli(*shlex.split(command)[1:], *short)
        assert said.code == 0, f"{command}\n{said.err}"
        assert "Traceback" not in said.err
