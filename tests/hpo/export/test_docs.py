import shutil
from pathlib import Path

import pytest

from lightning_modules.data.config import SOURCES
from lightning_modules.data.raw import load
from tests.conftest import Command, Finished
from tests.docs.typist import ROOT, blocks_of, commands_of

PAGE = ROOT / "docs" / "export.md"


def test_every_command_and_program_of_the_page_works(
    finished: Finished, tmp_path: Path, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished.folder.path, tmp_path / "results" / "quickstart")
    monkeypatch.chdir(tmp_path)
    for command in commands_of(PAGE):
        words = command.split()
        assert words[:2] == ["hpo", "export"]
        said = cli(*words[1:])
        assert said.code == 0, said.err
        assert Path(said.out.strip()).is_file()
        assert "at most" in said.err
    iris = SOURCES["iris"].config.model_validate({"source": "iris"})
    known = {"images": load(iris, task_kind="multiclass").x}  # type: ignore[arg-type]
    programs = [block.text for block in blocks_of(PAGE) if "open_predictor" in block.text]
    assert len(programs) == 1
    exec(programs[0], known)
    assert known["chances"].shape == (150, 3)  # type: ignore[index]
