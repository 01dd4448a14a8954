"""Studies whose trials are the mean over folds."""

import json
import os
import signal
from pathlib import Path
from statistics import fmean

import pytest

from hpo.best import basis
from hpo.evaluate import evaluate_study
from hpo.layout import StudyFolder
from hpo.records import most_epochs, read_curve, read_trials
from hpo.spec import StudySpec
from hpo.study import StudyOutcome, run_study
from hpo.terminal.run import summary
from hpo.terminal.tables import evaluation_lines, trial_lines
from lightning_modules.result import Validation

FOLDS = ("data.folds=3", "budget.trials=6")


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, make_spec
) -> tuple[StudyOutcome, Path, StudySpec]:
    """Return a study over three folds, some trials of which were pruned between them."""
    results = tmp_path_factory.mktemp("results")
    pruner = {"name": "median", "n_startup_trials": 1, "n_min_trials": 1}
    spec = make_spec(*FOLDS, search={"sampler": "random", "pruner": pruner})
    return run_study(spec, results), results / "tiny", spec


def test_a_trial_over_folds_is_their_mean_and_pruned_between_them(finished) -> None:
    records = read_trials(StudyFolder(finished[1]))
    assert {record.state for record in records} == {"complete", "pruned"}
    for record in records:
        folds = record.run.folds
        assert record.value == fmean(folds)
        assert (len(folds) == 3) == (record.state == "complete")
        curve = read_curve(finished[1] / "trials" / f"{record.number:04d}")
        assert list(curve) == list(range(1, len(folds) + 1))
        assert record.epochs_spent == record.run.epochs_run
        assert most_epochs(record.config) == 3 * record.config["trainer"]["max_epochs"]


def test_the_best_config_of_folds_tells_each_and_counts_all_rows(finished) -> None:
    best = json.loads((finished[1] / "best_config.json").read_text())
    metric, n_rows = best["metric"], best["data"]["n"]
    assert metric["value"] == fmean(metric["folds"])
    assert metric["n_examples"] == n_rows["train"] + n_rows["validation"]
    assert "mean over the folds" in metric["rule"]
    assert "(mean of 3 folds, sd" in best["summary"]


def test_people_read_that_a_value_is_a_mean_over_folds(finished) -> None:
    outcome, folder, spec = finished
    assert any("mean of 3 folds, sd " in line for line in summary(outcome, spec))
    best = next(one for one in read_trials(StudyFolder(folder)) if one.state == "complete")
    assert any(line.startswith("  folds: ") for line in trial_lines(best, []))
    assert basis(None) == "one seed"


def test_an_evaluation_is_of_the_first_folds_network_and_says_so(finished) -> None:
    folder = StudyFolder(finished[1])
    done = evaluate_study(folder, test=False)
    folds = json.loads(folder.best_config.read_text())["metric"]["folds"]
    assert done.value == pytest.approx(folds[0])
    assert "on the first of 3 folds: accuracy" in evaluation_lines(done)[0]
    assert "on test" in evaluation_lines(evaluate_study(folder, test=True))[0]


@pytest.mark.parametrize("validation", [1, 2])
def test_a_study_that_was_stopped_between_folds_goes_on_there(
    tmp_path: Path, make_spec, observe, validation: int
) -> None:
    spec = make_spec("data.folds=3", "budget.trials=2")
    straight = run_study(spec, tmp_path / "straight").end.records

    def validated(number: int, one: Validation, *, prune: bool) -> None:
        if (number, one.validation) == (1, validation):
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = run_study(spec, tmp_path / "cut", observers=[observe(validated=validated)])
    assert stopped.signal == signal.SIGTERM
    trained = list((tmp_path / "cut" / "tiny" / "trials" / "0001").glob("fold-*/result.json"))
    assert len(trained) == validation
    before = [file.stat().st_mtime_ns for file in trained]
    again = run_study(spec, tmp_path / "cut").end.records
    assert [one.run.folds for one in again] == [one.run.folds for one in straight]
    assert [file.stat().st_mtime_ns for file in trained] == before
