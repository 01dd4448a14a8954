import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from hpo.layout import StudyFolder
from hpo.records import TrialRecord, read_curve, read_trials
from hpo.spec import StudySpec
from hpo.study import run_study
from hpo.tracking.observers import Observer
from hpo.twins import Twins
from lightning_modules.result import Validation

MakeSpec = Callable[..., StudySpec]
MakeRecord = Callable[..., TrialRecord]
FEW = "model.width={choices: [4, 8]}"
"""With the lr decided, two configs in all."""


def few(make_spec: MakeSpec, *overrides: str) -> StudySpec:
    return make_spec(FEW, "optimizer.lr=0.01", "budget.trials=6", *overrides)


def test_a_config_that_was_tried_takes_the_known_outcome(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    end = run_study(few(make_spec), tmp_path).end
    trained = [record for record in end.records if record.same_as is None]
    again = [record for record in end.records if record.same_as is not None]
    assert (len(trained), len(again)) == (2, 4)
    folder = StudyFolder(tmp_path / "tiny")
    for record in again:
        twin = end.records[record.same_as or 0]
        assert (record.value, record.config, record.seed) == (twin.value, twin.config, twin.seed)
        assert f"same config as trial {twin.number}" in record.notes[-1]
        assert (
            read_curve(folder.trial(record.number)) == read_curve(folder.trial(twin.number)) != {}
        )
        assert not (folder.trial(record.number) / "best.ckpt").exists()


def test_what_was_not_trained_costs_no_epochs(tmp_path: Path, make_spec: MakeSpec) -> None:
    best = run_study(few(make_spec), tmp_path).best
    assert best is not None
    assert best.study["trials"]["complete"] == 6
    assert best.study["budget"]["epochs"] == 2 * 2  # two configs of two epochs each
    assert best.study["trial"] in (0, 1, 2, 3)
    assert best.study["rank_note"] is None or "trial" in best.study["rank_note"]


def test_a_duplicate_is_trained_with_another_seed_if_asked(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    records = run_study(few(make_spec, "search.duplicates=train"), tmp_path).end.records
    assert all(record.same_as is None for record in records)
    assert len({record.seed for record in records}) == 6


def test_a_study_of_duplicates_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    straight = run_study(few(make_spec), tmp_path / "straight").end.records
    run_study(few(make_spec, "budget.trials=3"), tmp_path / "stopped")
    resumed = run_study(few(make_spec), tmp_path / "stopped").end.records
    assert [(r.params, r.value, r.same_as) for r in straight] == [
        (r.params, r.value, r.same_as) for r in resumed
    ]


@pytest.mark.parametrize("budget", ["{epochs: 1000}", "{time: 1h}"])
def test_a_study_with_nothing_new_to_try_ends(
    tmp_path: Path, make_spec: MakeSpec, budget: str
) -> None:
    spec = few(make_spec, f"budget={budget}")
    first = run_study(spec, tmp_path).end
    assert first.why == "exhausted"
    assert len(first.records) < 100
    assert run_study(spec, tmp_path).end.new == 0


def test_the_weights_of_the_best_are_kept_whatever_repeats_it(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    run_study(few(make_spec, "search.keep_checkpoints=1"), tmp_path)
    best = json.loads((tmp_path / "tiny" / "best_config.json").read_text())
    assert (tmp_path / "tiny" / best["checkpoint"]["path"]).is_file()


def test_trials_within_the_window_are_not_known(make_record: MakeRecord) -> None:
    twins = Twins([make_record(3, 0.5, config={"lr": 0.1, "seed": 3})], window=2)
    assert twins.of(4, {"lr": 0.1, "seed": 4}) is None
    found = twins.of(5, {"lr": 0.1, "seed": 5})
    assert found is not None
    assert found.number == 3
    assert twins.of(5, {"lr": 0.2, "seed": 5}) is None


def test_a_failure_is_no_twin(make_record: MakeRecord) -> None:
    """Chance may have its part in it: the seed is another one."""
    twins = Twins([make_record(0, None, config={"lr": 0.1, "seed": 0})], window=None)
    assert twins.of(1, {"lr": 0.1, "seed": 1}) is None


def test_a_study_never_trains_a_pruned_config_again(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(
        "model.width={choices: [4, 8]}",
        "optimizer.lr={choices: [1.0e-8, 0.05]}",
        "trainer.max_epochs=4",
        "budget.trials=12",
        "search.pruner={name: median, n_startup_trials: 1, n_min_trials: 1}",
    )
    records = run_study(spec, tmp_path).end.records
    again = [record for record in records if record.same_as is not None]
    assert {record.state for record in again} == {"complete", "pruned"}
    assert read_trials(StudyFolder(tmp_path / "tiny")) == records


def test_a_trial_that_has_trained_goes_on_itself_whatever_ended_meanwhile(
    tmp_path: Path, make_spec: MakeSpec, observe: Callable[..., Observer]
) -> None:
    """Two equal configs at once: the one that waits has reports of its own in the storage."""
    only = ("model.width=8", "optimizer.lr={choices: [0.01]}", "budget.trials=2")

    def stop(number: int, validation: Validation, *, prune: bool) -> None:
        if number == 1 and validation.validation == 1:
            os.kill(os.getpid(), signal.SIGINT)

    again = few(make_spec, *only, "search.duplicates=train")
    run_study(again, tmp_path, observers=[observe(validated=stop)])
    records = run_study(few(make_spec, *only), tmp_path, allow_change=True).end.records
    assert [record.same_as for record in records] == [None, None]
    assert records[0].seed != records[1].seed
    assert all(len(read_curve(StudyFolder(tmp_path / "tiny").trial(n))) == 2 for n in (0, 1))
