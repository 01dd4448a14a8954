"""Row F14 of the fault matrix: the storage is deleted, or becomes a folder, while a study runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import EnvironmentFault, HpoError
from hpo.layout import StudyFolder
from hpo.records import read_trials
from hpo.spec import load_study
from hpo.study import run_study

STUDY: dict[str, Any] = {
    "name": "lost",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 32, "log": True}},
    "trainer": {"max_epochs": 2, "batch_size": 60, "accelerator": "cpu"},
    "budget": {"trials": 4},
    "search": {"sampler": "random", "pruner": "none"},
}


def delete(storage: Path) -> None:
    for file in storage.parent.glob(f"{storage.name}*"):
        file.unlink()


def make_a_folder(storage: Path) -> None:
    delete(storage)
    storage.mkdir()


def cut_short(storage: Path) -> None:
    delete(storage)
    storage.touch()


class Losing:
    """An observer that loses the storage when trial 1 has ended."""

    def __init__(self, storage: Path, lose: Callable[[Path], None]) -> None:
        self._storage, self._lose = storage, lose

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None

    def trial_ended(self, record: Any, *, best: bool) -> None:
        if record.number == 1:
            self._lose(self._storage)


@pytest.mark.parametrize("lose", [delete, make_a_folder, cut_short])
def test_f14_a_storage_that_is_lost_ends_the_study_with_its_path_and_keeps_every_result(
    tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    storage = tmp_path / "storage.sqlite"
    observer: Any = Losing(storage, lose)
    with pytest.raises(HpoError) as caught:
        run_study(load_study(STUDY), tmp_path, observers=[observer])
    assert str(storage) in str(caught.value)
    assert caught.value.exit_code not in (0, 1)
    records = read_trials(StudyFolder(tmp_path / "lost"))
    assert [record.number for record in records][:2] == [0, 1]
    assert all(record.state == "complete" for record in records)
    best = json.loads((tmp_path / "lost" / "best_config.json").read_text())
    assert best["study"]["trial"] in (0, 1)


@pytest.mark.parametrize("lose", [delete, cut_short])
def test_f14_the_same_command_after_the_storage_was_lost_goes_on_from_the_records(
    tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    run_study(load_study(STUDY, ["budget.trials=2"]), tmp_path)
    folder = StudyFolder(tmp_path / "lost")
    before = read_trials(folder)
    lose(tmp_path / "storage.sqlite")
    assert run_study(load_study(STUDY), tmp_path).end.new == 2
    assert read_trials(folder)[:2] == before


def test_f14_a_folder_in_the_place_of_the_storage_is_named_and_no_result_is_lost(
    tmp_path: Path,
) -> None:
    run_study(load_study(STUDY, ["budget.trials=2"]), tmp_path)
    before = read_trials(StudyFolder(tmp_path / "lost"))
    make_a_folder(tmp_path / "storage.sqlite")
    with pytest.raises(EnvironmentFault) as caught:
        run_study(load_study(STUDY), tmp_path)
    assert str(tmp_path / "storage.sqlite") in str(caught.value)
    assert read_trials(StudyFolder(tmp_path / "lost")) == before
