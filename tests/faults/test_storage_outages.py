"""Rows F13, F14, F19: a storage that is locked, gone or damaged costs no result."""

import os
import sqlite3
import threading
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from hpo.errors import EnvironmentFault, StudyError
from hpo.files import write_json
from hpo.layout import StudyFolder
from hpo.records import read_trials
from hpo.spec import StudySpec, load_study
from hpo.storage.writer import open_storage, sqlite_url
from hpo.study import run_study
from tests.faults.doing import Doing

TINY = {
    "name": "tiny",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 32}},
    "trainer": {"max_epochs": 2, "batch_size": 32},
    "search": {"sampler": "random", "pruner": "none", "seed": 1},
}


def spec(trials: int) -> StudySpec:
    return load_study({**TINY, "budget": {"trials": trials}})


def stored(file: Path) -> list[optuna.trial.FrozenTrial]:
    storage = open_storage(sqlite_url(file))
    try:
        return optuna.load_study(study_name="tiny", storage=storage).get_trials()
    finally:
        storage.remove_session()
        storage.engine.dispose()


def same_as_records(results: Path) -> bool:
    records = read_trials(StudyFolder(results / "tiny"))
    trials = stored(results / "storage.sqlite")
    return [(t.number, t.state.name, t.value, t.params) for t in trials] == [
        (r.number, {"complete": "COMPLETE", "pruned": "PRUNED"}[r.state], r.value, r.params)
        for r in records
    ]


def reports(results: Path) -> list[dict[int, float]]:
    return [trial.intermediate_values for trial in stored(results / "storage.sqlite")]


def test_f13_a_storage_that_another_program_locks_delays_nothing_and_loses_nothing(
    tmp_path: Path,
) -> None:
    released = threading.Event()
    lock: list[sqlite3.Connection] = []

    def hold(number: int) -> None:
        if number == 0:
            lock.append(sqlite3.connect(tmp_path / "storage.sqlite", isolation_level=None))
            lock[0].execute("BEGIN EXCLUSIVE")
        elif number == 2:  # two more trials ended while nothing could be written
            lock[0].execute("ROLLBACK")
            lock[0].close()
            released.set()

    doing = Doing(hold)
    outcome = run_study(spec(5), tmp_path, observers=[doing])
    assert released.is_set()
    assert len(doing.warnings) == 1
    assert "storage.sqlite: database is locked; the study goes on" in doing.warnings[0]
    assert outcome.end.why == "budget"
    assert len(outcome.end.records) == 5
    assert same_as_records(tmp_path)
    assert reports(tmp_path) == [{1: v[1], 2: v[2]} for v in reports(tmp_path)]


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_f14_a_storage_that_goes_ends_the_study_with_its_name_and_every_result(
    tmp_path: Path, how: str
) -> None:
    file = tmp_path / "storage.sqlite"

    def take_away(number: int) -> None:
        if number == 1:
            file.unlink()
            if how == "replaced":
                sqlite3.connect(file).close()
                file.touch()

    with pytest.raises(EnvironmentFault, match=rf"storage.sqlite: was {how}") as caught:
        run_study(spec(4), tmp_path, observers=[Doing(take_away)])
    assert caught.value.exit_code == 5
    kept = read_trials(StudyFolder(tmp_path / "tiny"))
    assert [record.number for record in kept][:2] == [0, 1]
    file.unlink(missing_ok=True)
    outcome = run_study(spec(4), tmp_path)
    assert len(outcome.end.records) == 4
    assert outcome.end.records[: len(kept)] == kept
    assert same_as_records(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "zeroed", "text"])
def test_f19_a_damaged_storage_is_refused_not_written(tmp_path: Path, damage: str) -> None:
    run_study(spec(2), tmp_path)
    file = tmp_path / "storage.sqlite"
    content = bytearray(file.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "zeroed":
        content[4096:8192] = bytes(4096)
    else:
        content = bytearray(b"these are no tables" * 300)
    file.write_bytes(content)
    mended = r"storage.sqlite: is damaged \([^;]*\); hpo doctor --repair rebuilds[^;]*$"
    with pytest.raises(EnvironmentFault, match=mended):
        run_study(spec(3), tmp_path)
    assert file.read_bytes() == bytes(content)
    os.rename(file, tmp_path / "damaged")
    assert len(run_study(spec(3), tmp_path).end.records) == 3
    assert same_as_records(tmp_path)


def test_a_storage_whose_trials_have_no_records_is_refused(tmp_path: Path) -> None:
    run_study(spec(3), tmp_path)
    (tmp_path / "tiny/trials/0001/result.json").unlink()
    with pytest.raises(StudyError, match="tiny: the records of trials 1 are gone, or damaged; "):
        run_study(spec(4), tmp_path)


def test_trials_that_ran_while_the_storage_was_lost_are_not_run_twice(tmp_path: Path) -> None:
    """A supervisor that is killed in an outage leaves records, and what trials had begun with."""
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    run_study(spec(4), straight)
    run_study(spec(4), broken)
    for file in broken.glob("storage.sqlite*"):
        file.unlink()
    folder = StudyFolder(broken / "tiny")
    params = read_trials(folder)[2].params
    for file in folder.trial(2).iterdir():
        file.unlink()
    write_json(folder.proposal(2), {"schema": "hpo.proposal/1", "params": params})
    outcome = run_study(spec(4), broken)
    assert outcome.end.new == 1
    values = [[r.value for r in read_trials(StudyFolder(p / "tiny"))] for p in (straight, broken)]
    assert values[0] == values[1]
    assert [trial.state for trial in stored(broken / "storage.sqlite")] == [TrialState.COMPLETE] * 4
