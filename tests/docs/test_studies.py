"""Every command of docs/studies.md does what it says, in the order in which it stands there."""

import re
import shlex
import shutil
from pathlib import Path

import optuna
import pytest

from hpo.storage.writer import sqlite_url
from hpo.trials import trials_frame

GUIDE = Path(__file__).parents[2].joinpath("docs", "studies.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```", GUIDE, re.M | re.S)
COMMANDS = [line.removeprefix("$ ") for block in BLOCKS for line in block.splitlines()]


@pytest.fixture
def place(finished, tmp_path, monkeypatch) -> Path:
    """A folder with a study called quickstart, and an old storage of Optuna."""
    shutil.copytree(finished.folder.path, tmp_path / "results" / "quickstart")
    file = tmp_path / "results" / "quickstart" / "study.yaml"
    file.write_text(file.read_text().replace("name: tiny", "name: quickstart"))
    storage = optuna.storages.RDBStorage(sqlite_url(tmp_path / "old.db"))
    study = optuna.create_study(storage=storage, study_name="cifar")
    study.optimize(lambda trial: trial.suggest_float("lr", 1e-5, 1e-1, log=True), n_trials=2)
    storage.remove_session()
    storage.engine.dispose()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_the_guide_succeeds(cli, place) -> None:
    assert len(COMMANDS) > 12
    for command in COMMANDS:
        said = cli(*shlex.split(command)[1:])
        assert said.code == 0, f"{command}\n{said.err}"
    assert (place / "trials.parquet").exists()
    assert len(trials_frame("results/quickstart")) == 7


def test_every_column_that_the_guide_names_is_there(finished) -> None:
    columns = set(trials_frame(finished.folder.path).columns)
    named = {"trial", "state", "reason", "objective", "val/accuracy", "best_epoch", "device"}
    assert named | {"violation", "what"} <= columns
    assert [name for name in named if f"`{name}`" not in GUIDE] == []
