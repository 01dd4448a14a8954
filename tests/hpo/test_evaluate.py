import json

import pytest

from hpo.errors import StudyError, UsageError
from hpo.evaluate import check_file, evaluate_study
from hpo.listing import load_best
from lightning_modules.checkpoint import file_sha256


def test_validation_gives_the_recorded_value_and_opens_nothing(copied) -> None:
    before = copied.best_config.read_bytes()
    done = evaluate_study(copied, test=False)
    best = load_best(copied)
    assert (done.split, done.trial, done.opened) == ("validation", best.study["trial"], 0)
    assert done.value == pytest.approx(best.metric["value"], abs=1e-6)
    assert {"loss", "f1", "roc_auc"} <= set(done.metrics)
    assert copied.best_config.read_bytes() == before
    assert not copied.evaluation.exists()


def test_every_opening_of_the_test_split_is_counted(copied) -> None:
    first, second = (evaluate_study(copied, test=True) for _ in range(2))
    assert (first.opened, second.opened, first.value) == (1, 2, second.value)
    best = load_best(copied)
    assert (best.test["opened"], best.test["value"]) == (2, first.value)
    assert "test.value" not in best.null_because
    log = json.loads((copied.evaluation / "test.json").read_text())
    assert [entry["metrics"]["accuracy"] for entry in log] == [first.value] * 2
    assert all(entry["utc"].endswith("Z") for entry in log)


def test_the_test_split_is_other_rows(copied) -> None:
    validation, test = (evaluate_study(copied, test=test) for test in (False, True))
    assert validation.metrics["loss"] != test.metrics["loss"]


def test_a_study_without_a_complete_trial_cannot_be_evaluated(copied) -> None:
    copied.best_config.unlink()
    with pytest.raises(StudyError, match=r"^tiny: no trial is complete; hpo run .*study.yaml$"):
        evaluate_study(copied, test=False)


def test_a_missing_checkpoint_is_named(copied) -> None:
    checkpoint = copied.path / load_best(copied).checkpoint["path"]
    checkpoint.unlink()
    with pytest.raises(UsageError, match=r"best.ckpt: no such file; train it again with hpo train"):
        evaluate_study(copied, test=False)


def test_another_checkpoint_is_refused_and_the_test_split_stays_shut(copied) -> None:
    checkpoint = copied.path / load_best(copied).checkpoint["path"]
    checkpoint.write_bytes(checkpoint.read_bytes() + b"x")
    with pytest.raises(UsageError, match=r"best.ckpt: is not the file that was recorded"):
        evaluate_study(copied, test=True)
    assert load_best(copied).test["opened"] == 0


def test_the_file_that_was_recorded_passes(copied) -> None:
    assert check_file(copied.study_file, file_sha256(copied.study_file)) is None


def test_another_metric_than_the_task_has_is_refused(copied) -> None:
    with pytest.raises(UsageError, match=r"multiclass has no metric 'rmse'"):
        evaluate_study(copied, test=False, overrides=("objective.metric=rmse",))
