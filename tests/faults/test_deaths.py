"""Rows F1, F6 to F9 of the fault matrix: every death has a name, and the study goes on."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hpo.errors import StudyError
from hpo.records import TrialRecord
from hpo.spec import StudySpec
from hpo.study import StudyOutcome, run_study

MakeFaulty = Callable[..., StudySpec]

NAMED = {
    "segfault": ("error", "crashed by SIGSEGV"),
    "os exit": ("error", "ended its process with exit code 7"),
    "sys exit": ("error", "ended its process with exit code 4"),
    "base exception": ("error", "ended its process with exit code 1"),
    "exception": ("error", "RuntimeError: the shapes do not fit"),
    "memory error": ("oom", "no room"),
    "cuda memory": ("oom", "CUDA out of memory"),
    "hang": ("timeout", "ran longer than 6 s"),
    "grow": ("oom", "held "),
    "nan": ("nan", "non-finite loss in epoch 1"),
    "killed always": ("killed", "killed by SIGKILL"),
}
FAULTS = ["none", *NAMED, "killed once"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deaths") / "results"


@pytest.fixture(scope="module")
def outcome(results: Path, make_faulty: MakeFaulty) -> StudyOutcome:
    """One study over every fault, two children at once."""
    spec = make_faulty(
        {"fault": {"choices": FAULTS}, "marker": str(results.parent / "killed")},
        budget={"trials": len(FAULTS)},
        search={
            "sampler": "grid",
            "pruner": "none",
            "retries": 1,
            "trial_timeout": "6s",
            "trial_memory_gb": 0.8,
        },
    )
    return run_study(spec, results, workers=2)


def of(outcome: StudyOutcome, fault: str) -> TrialRecord:
    return next(r for r in outcome.end.records if r.params["model.fault"] == fault)


@pytest.mark.parametrize("fault", NAMED)
def test_a_death_becomes_a_failure_with_its_reason(outcome: StudyOutcome, fault: str) -> None:
    reason, what = NAMED[fault]
    record = of(outcome, fault)
    assert (record.state, record.reason) == ("failed", reason)
    assert record.what.startswith(what)


def test_a_trial_that_was_killed_is_trained_again_to_its_end(outcome: StudyOutcome) -> None:
    record = of(outcome, "killed once")
    assert (record.state, record.attempts) == ("complete", 2)
    assert record.run is not None
    assert record.run.epochs_run == 2


def test_a_trial_that_is_always_killed_is_given_up_after_its_retries(
    outcome: StudyOutcome,
) -> None:
    assert of(outcome, "killed always").attempts == 2


def test_a_fault_of_the_config_is_not_tried_again(outcome: StudyOutcome) -> None:
    assert {of(outcome, fault).attempts for fault in ("segfault", "exception", "hang")} == {1}


def test_the_traceback_of_an_exception_is_kept(outcome: StudyOutcome) -> None:
    number = of(outcome, "exception").number
    text = (outcome.folder.trial(number) / "traceback.txt").read_text()
    assert "go_wrong" in text
    assert text.rstrip().endswith("RuntimeError: the shapes do not fit")


def test_the_study_goes_on_and_ranks_only_what_ended_well(outcome: StudyOutcome) -> None:
    assert outcome.end.why == "budget"
    assert len(outcome.end.records) == len(FAULTS)
    assert outcome.end.best is not None
    assert outcome.end.best.params["model.fault"] in ("none", "killed once")


def test_the_storage_says_fail_and_nothing_stays_running(
    outcome: StudyOutcome, results: Path
) -> None:
    with closing(sqlite3.connect(results / "storage.sqlite")) as database:
        states = database.execute("select number, state from trials order by number").fetchall()
    well = {of(outcome, fault).number for fault in ("none", "killed once")}
    assert states == [(n, "COMPLETE" if n in well else "FAIL") for n in range(len(FAULTS))]


def test_a_study_whose_trial_hangs_ends_with_its_time_budget(
    tmp_path: Path, make_faulty: MakeFaulty
) -> None:
    spec = make_faulty(
        {"fault": {"choices": ["none", "hang"]}},
        budget={"time": "20s"},
        search={"sampler": "grid", "pruner": "none"},
    )
    outcome = run_study(spec, tmp_path, workers=1)
    used = json.loads(outcome.folder.progress.read_text())["wall_seconds"]
    assert 19 <= used < 20 + 3  # it stops a twentieth before, and kills within the grace
    assert [record.state for record in outcome.end.records] == ["complete"]
    assert outcome.best is not None
    assert outcome.best.study["trials"] == {"complete": 1, "pruned": 0, "failed": 0}


@pytest.mark.parametrize(
    ("fault", "trials", "file"),
    [
        ("killed always", 1, "result.json"),
        ("killed always", 5, "result.json"),
        ("exception", 1, "traceback.txt"),
        ("exception", 5, "traceback.txt"),
    ],
)
def test_a_study_that_only_failed_names_a_file_that_is_there(
    tmp_path: Path, make_faulty: MakeFaulty, fault: str, trials: int, file: str
) -> None:
    """A trial that was killed has left no traceback."""
    spec = make_faulty(
        {"fault": fault, "lr": {"low": 0.1, "high": 0.2}},
        budget={"trials": trials},
        search={"sampler": "random", "pruner": "none", "retries": 0},
    )
    with pytest.raises(StudyError) as caught:
        run_study(spec, tmp_path, workers=1)
    assert str(caught.value).endswith(f"; read trials/0000/{file}")
    assert (tmp_path / "faulty" / "trials" / "0000" / file).is_file()
