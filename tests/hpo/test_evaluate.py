import json
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from hpo.errors import RefusedError, StudyError, UsageError
from hpo.evaluate import check_file, evaluate_study
from hpo.evaluations import read_evaluation
from hpo.layout import StudyFolder
from hpo.listing import load_best
from hpo.retrain import retrain
from hpo.spec import load_study
from hpo.study import run_study
from hpo.terminal.tables import evaluation_lines, retrained_lines
from hpo.words import number
from lightning_modules import plugins
from lightning_modules.config import RunConfig
from lightning_modules.durable import file_sha256
from lightning_modules.evaluation.examine import OWN_MODULE
from lightning_modules.restore import Scored


def test_validation_gives_the_recorded_value_and_opens_nothing(copied) -> None:
    before = copied.best_config.read_bytes()
    done = evaluate_study(copied, test=False)
    best = load_best(copied)
    assert (done.split, done.trial, done.opened) == ("validation", best.study["trial"], 0)
    assert done.value == pytest.approx(best.metric["value"], abs=1e-6)
    assert {"loss", "f1", "roc_auc", "pr_auc", "ece", "brier"} <= set(done.findings.metrics)
    assert copied.best_config.read_bytes() == before
    assert not copied.evaluated("test").exists()


def test_an_evaluation_leaves_a_record_and_its_pictures(copied) -> None:
    done = evaluate_study(copied, test=False)
    record = json.loads(copied.evaluated("validation").read_text())
    n_rows = load_best(copied).data["n"]["validation"]
    assert (record["schema"], record["study"]) == ("hpo.evaluation/1", "tiny")
    assert record["n_rows"] == n_rows == sum(one["rows"] for one in record["per_class"])
    assert record["classes"] == ["setosa", "versicolor", "virginica"]
    assert record["ci95"]["accuracy"][0] < record["value"] < record["ci95"]["accuracy"][1]
    assert record["config_sha256"] == load_best(copied).config_sha256
    names = {f"validation-{name}.svg" for name in ("confusion", "roc", "pr", "reliability")}
    assert set(record["figures"].values()) == names
    assert {path.name for path in copied.evaluation.iterdir()} == names | {"validation.json"}
    about = f"tiny, trial {done.trial}, validation: {n_rows} rows"
    assert all(about in (copied.evaluation / name).read_text() for name in names)
    assert done.figures == record["figures"]


def test_equal_evaluations_leave_equal_files_and_no_picture_of_before(copied) -> None:
    def left() -> dict[str, str]:
        evaluate_study(copied, test=False)
        files = {path.name: path.read_text() for path in copied.evaluation.iterdir()}
        record = json.loads(files.pop("validation.json"))
        return files | {"record": json.dumps({**record, "created_utc": None})}

    first = left()
    (copied.evaluation / "validation-residuals.svg").write_text("of an earlier best config")
    assert left() == first


def test_every_opening_of_the_test_split_is_counted(copied) -> None:
    first, second = (evaluate_study(copied, test=True) for _ in range(2))
    assert (first.opened, second.opened, first.value) == (1, 2, second.value)
    best = load_best(copied)
    assert (best.test["opened"], best.test["value"]) == (2, first.value)
    assert best.test["metrics"]["accuracy"] == first.value
    assert "test.value" not in best.null_because
    log = json.loads(copied.evaluated("test").read_text())["openings"]
    assert [entry["metrics"]["accuracy"] for entry in log] == [first.value] * 2
    assert all(entry["utc"].endswith("Z") for entry in log)


def test_an_opening_is_counted_before_anything_of_it_can_be_seen(copied, monkeypatch) -> None:
    def killed(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hpo.evaluate.write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate_study(copied, test=True)
    assert load_best(copied).test["opened"] == 1
    assert len(json.loads(copied.evaluated("test").read_text())["openings"]) == 1


def test_a_test_split_that_leaves_the_objective_undefined_has_its_reason(
    copied, monkeypatch
) -> None:
    def undefined(config: RunConfig, checkpoint: Path, **kwargs: Any) -> Scored:
        return Scored(metrics={"accuracy": float("nan"), "mine": 0.5})

    monkeypatch.setattr("hpo.evaluate.score", undefined)
    done = evaluate_study(copied, test=True)
    best = load_best(copied)
    assert (done.value, best.test["opened"], best.test["value"]) == (None, 1, None)
    assert best.test["metrics"] == {"mine": 0.5}
    assert best.null_because["test.value"] == "it is nan"


def test_the_test_split_is_other_rows(copied) -> None:
    validation, test = (evaluate_study(copied, test=test) for test in (False, True))
    assert validation.findings.metrics["loss"] != test.findings.metrics["loss"]


def test_a_study_without_a_complete_trial_cannot_be_evaluated(copied) -> None:
    copied.best_config.unlink()
    for trial in copied.trial_folders():
        (trial / "result.json").unlink(missing_ok=True)
    with pytest.raises(StudyError, match=r"^tiny: no trial is complete yet; hpo run .*study.yaml$"):
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


class LitWhole(pl.LightningModule):
    """A module of the user's own; the batches are those of iris."""

    def __init__(self, lr: float = 0.1) -> None:
        super().__init__()
        self.lr = lr
        self.net = nn.Linear(4, 3)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def test_a_module_of_the_users_own_has_what_it_logs_and_no_pictures(registries, tmp_path) -> None:
    plugins.lightning_module("LitWhole")(LitWhole)
    study = {
        "name": "mine",
        "data": {"source": "iris"},
        "task": {"kind": "multiclass"},
        "model": {"family": "LitWhole", "lr": {"low": 0.01, "high": 0.1}},
        "objective": {"metric": "val_acc", "direction": "maximize"},
        "trainer": {"max_epochs": 1, "batch_size": 30},
        "budget": {"trials": 1},
    }
    folder = run_study(load_study(study), tmp_path / "results").folder
    done = evaluate_study(folder, test=False)
    assert done.value == load_best(folder).metric["value"]
    assert done.findings.metrics == {"val_acc": done.value}
    assert [path.name for path in folder.evaluation.iterdir()] == ["validation.json"]
    assert read_evaluation(folder.evaluated("validation")) == done
    assert done.plain()["null_because"]["n_rows"] == OWN_MODULE
    lines = evaluation_lines(done)
    assert lines[0] == f"trial 0 on validation: val_acc {number(done.value)}"
    assert len(lines) == 4
    with pytest.raises(UsageError, match=r"define test_step"):
        evaluate_study(folder, test=True)
    assert load_best(folder).test["opened"] == 0


def test_a_regression_has_residuals(tmp_path) -> None:
    study = {
        "name": "sugar",
        "task": {"kind": "regression"},
        "data": {"source": "diabetes"},
        "model": {"family": "mlp", "n_layers": 1, "width": {"choices": [8, 16]}},
        "objective": {"metric": "median_ae"},
        "trainer": {"max_epochs": 1},
        "budget": {"trials": 1},
    }
    folder = run_study(load_study(study), tmp_path / "results").folder
    done = evaluate_study(folder, test=True)
    assert done.value == load_best(folder).test["value"]
    assert {path.name for path in folder.evaluation.iterdir()} == {
        "test.json",
        "test-residuals.svg",
    }
    assert done.findings.residuals is not None
    assert done.findings.ci95["median_ae"] is not None


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
