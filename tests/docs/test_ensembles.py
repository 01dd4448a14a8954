"""Every command of docs/ensembles.md does what it says, in the order in which it stands there."""

import shlex
import shutil
from pathlib import Path

from hpo.ship.combined import METHODS
from tests.docs.typist import ROOT, commands_of

GUIDE = ROOT / "docs" / "ensembles.md"


def test_every_command_of_the_guide_succeeds(cli, finished, tmp_path: Path, monkeypatch) -> None:
    study = tmp_path / "results" / "quickstart"
    shutil.copytree(finished.folder.path, study)
    monkeypatch.chdir(tmp_path)
    commands = commands_of(GUIDE)
    assert len(commands) >= 3
    for command in commands:
        said = cli(*shlex.split(command)[1:])
        assert said.code == 0, f"{command}\n{said.err}"
    assert (study / "evaluation" / "ensemble.json").is_file()


def test_the_guide_names_every_method() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert [name for name in METHODS if f"| `{name}` |" not in text] == []
