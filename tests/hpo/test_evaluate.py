import json
from pathlib import Path

import pytest

from hpo.errors import RefusedError, StudyError, UsageError
from hpo.evaluate import check_file, evaluate_study
from hpo.layout import StudyFolder
from hpo.listing import load_best
from hpo.retrain import retrain
from hpo.spec import load_study
from hpo.study import run_study
from hpo.tables import retrained_lines
from lightning_modules.durable import file_sha256


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


@pytest.fixture
def on_table(tmp_path: Path) -> tuple[StudyFolder, Path]:
    """A study on a CSV file, and the file."""
    table = tmp_path / "table.csv"
    rows = [f"{i},{i % 7},{'yes' if i % 3 else 'no'}" for i in range(60)]
    table.write_text("\n".join(["a,b,y", *rows]) + "\n")
    study = {
        "name": "table",
        "task": {"kind": "binary"},
        "data": {"source": "csv", "path": str(table), "target": "y"},
        "model": {"family": "mlp", "width": {"choices": [4, 8]}, "n_layers": 1},
        "trainer": {"max_epochs": 1},
        "budget": {"trials": 1},
    }
    return run_study(load_study(study), tmp_path / "results").folder, table


def change_last_row(table: Path) -> None:
    table.write_text(table.read_text().removesuffix("yes\n") + "no\n")


@pytest.mark.parametrize("test", [False, True])
def test_data_that_changed_are_refused_and_the_test_split_stays_shut(on_table, test: bool) -> None:
    folder, table = on_table
    change_last_row(table)
    told = r"^table: these are not the data that the study was made on:\n  data_sha256: .* → "
    with pytest.raises(RefusedError, match=told):
        evaluate_study(folder, test=test)
    assert load_best(folder).test["opened"] == 0
    assert not folder.evaluation.exists()


def test_another_split_of_the_same_data_is_refused(on_table) -> None:
    folder, _ = on_table
    with pytest.raises(RefusedError, match=r"\n  split_sha256: .* → .*; restore them, or run a"):
        evaluate_study(folder, test=True, overrides=("data.split_seed=5",))


def test_retraining_on_data_that_changed_compares_nothing(on_table, tmp_path) -> None:
    folder, table = on_table
    change_last_row(table)
    done = retrain(folder.best_config, tmp_path / "run")
    assert [line.partition(":")[0] for line in done.changed] == ["data_sha256", "split_sha256"]
    assert "on other data (data_sha256: " in retrained_lines(done)[1]


def test_no_file_of_a_trial_names_the_place_of_its_data(on_table, tmp_path) -> None:
    folder, _ = on_table
    for name in ("config.json", "result.json"):
        assert str(tmp_path) not in (folder.trial(0) / name).read_text()
    again = retrain(folder.trial(0) / "config.json", tmp_path / "run")
    assert again.result.value == load_best(folder).metric["value"]
