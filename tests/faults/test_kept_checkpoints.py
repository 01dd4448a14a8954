"""Row F30 of the fault matrix: which weights a study keeps, and when the others go."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hpo.layout import StudyFolder
from hpo.records import TrialRecord, ranked, read_trials
from hpo.spec import load_study
from hpo.study import run_study
from tests.programs import Programs

MIXED = {
    "name": "mixed",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 32, "log": True}},
    "optimizer": {
        "one_of": {
            "adamw": {"lr": {"low": 1e-3, "high": 1e-1, "log": True}},
            "sgd": {"lr": {"choices": [1e30, 1e31]}},  # diverges: a failed trial
        }
    },
    "trainer": {"max_epochs": 3, "batch_size": 32, "accelerator": "cpu"},
    "budget": {"trials": 18},
    "search": {
        "sampler": "random",
        "pruner": {"name": "median", "n_startup_trials": 2, "n_min_trials": 1},
        "seed": 3,
        "keep_checkpoints": 2,
    },
}
DIES = """
import os, sys
from pathlib import Path
from hpo.spec import load_study
from hpo.study import run_study

study, results, goal = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

def die_before_deleting(event, arguments):
    if event == "os.remove" and Path(arguments[0]).name == "best.ckpt":
        n_ended = len([*results.glob("*/trials/*/result.json")])
        if n_ended >= goal and Path(arguments[0]).exists():
            os._exit(9)

sys.addaudithook(die_before_deleting)
run_study(load_study(study), results)
"""


def checkpoints(folder: StudyFolder) -> dict[int, list[str]]:
    """Return the names of all checkpoints, by trial; trials without one are left out."""
    found: dict[int, list[str]] = {}
    for file in sorted(folder.path.rglob("*.ckpt")):
        assert file.parent.parent == folder.path / "trials", f"{file} lies elsewhere"
        found.setdefault(int(file.parent.name), []).append(file.name)
    return found


def policy(records: list[TrialRecord], keep: int) -> dict[int, list[str]]:
    """Return what is to be there: the best trials' weights and the default's, nothing else."""
    complete = [record for record in records if record.state == "complete"]
    numbers = {record.number for record in ranked(complete, "maximize")[:keep]}
    numbers |= {record.number for record in records if "default" in record.notes}
    return {number: ["best.ckpt"] for number in sorted(numbers)}


def ended(results: Path) -> set[int]:
    """Return the numbers of the trials that ended as the storage knows it."""
    with closing(sqlite3.connect(results / "storage.sqlite")) as database:
        rows = database.execute("select number, state from trials").fetchall()
    return {number for number, state in rows if state in ("COMPLETE", "PRUNED", "FAIL")}


@pytest.mark.parametrize("keep", [1, 3])
def test_f30_a_study_keeps_the_weights_of_its_best_trials_and_of_its_default_alone(
    tmp_path: Path, keep: int
) -> None:
    outcome = run_study(load_study(MIXED, [f"search.keep_checkpoints={keep}"]), tmp_path)
    records = list(outcome.end.records)
    assert {record.state for record in records} == {"complete", "pruned", "failed"}
    assert sum(record.state == "complete" for record in records) > keep + 1
    assert checkpoints(outcome.folder) == policy(records, keep)
    assert outcome.best is not None
    assert (outcome.folder.path / outcome.best.checkpoint["path"]).is_file()


@pytest.mark.slow
def test_f30_the_weights_of_a_trial_go_only_after_the_storage_knows_its_end(
    tmp_path: Path, programs: Programs
) -> None:
    """The program dies at the moment of a deletion, three times: the last time after all trials."""
    study, folder = tmp_path / "study.yaml", StudyFolder(tmp_path / "mixed")
    study.write_text(load_study(MIXED).text())
    for goal in (5, 9, 14):
        with programs.start(study, tmp_path, goal, folder=tmp_path, code=DIES) as process:
            assert process.wait() == 9, "it was to die"
        records = read_trials(folder)
        assert goal <= len(records) <= 14
        assert ended(tmp_path) == {record.number for record in records}
        assert set(policy(records, 2)) <= set(checkpoints(folder)), "weights went too early"
    assert run_study(load_study(study, ["budget.trials=15"]), tmp_path).end.new == 1
    assert checkpoints(folder) == policy(read_trials(folder), 2)


def test_f30_weights_that_a_kill_left_go_when_the_finished_study_is_run_again(
    tmp_path: Path,
) -> None:
    spec = load_study(MIXED)
    folder = run_study(spec, tmp_path).folder
    expected = policy(read_trials(folder), 2)
    assert checkpoints(folder) == expected
    gone = next(n for n in range(14) if n not in expected)
    (folder.trial(gone) / "best.ckpt").write_bytes(b"left")
    assert run_study(spec, tmp_path).end.new == 0
    assert checkpoints(folder) == expected
