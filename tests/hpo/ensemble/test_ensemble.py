"""`hpo ensemble`: of a real study, from its folder to a predictor; and what it refuses."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from hpo import Study
from hpo.ensemble.asking import Ask
from hpo.ensemble.making import make_ensemble
from hpo.ensemble.members import NOT_KEPT, choose_members
from hpo.ensemble.opening import evaluate_ensemble
from hpo.ensemble.predictions import predictions_of
from hpo.errors import RefusedError, StudyError, UsageError
from hpo.layout import StudyFolder
from hpo.listing import load_best
from hpo.predict.ensembles import EnsemblePredictor, read_ensemble
from hpo.predict.opening import open_predictor
from hpo.records import read_trials
from hpo.retention import forget_checkpoints
from hpo.ship.combined import METHODS, combine
from hpo.spec import load_study
from hpo.study import run_study
from lightning_modules import plugins
from lightning_modules.data.config import CsvConfig
from lightning_modules.data.raw import load

TABLE = "age,ward,outcome\n" + "".join(
    f"{'' if n % 13 == 5 else 20 + age},{'abc'[n % 3]},{'ill' if age > 25 else 'well'}\n"
    for n, age in ((n, (n * 17) % 60) for n in range(150))
)
STUDY = {
    "name": "wards",
    "task": {"kind": "binary"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"choices": [4, 8, 16]}},
    "optimizer": {"name": "adamw", "lr": {"low": 1e-2, "high": 1e-1, "log": True}},
    "trainer": {"max_epochs": 2, "batch_size": 30, "accelerator": "cpu"},
    "budget": {"trials": 4},
    "search": {"sampler": "random", "pruner": "none"},
}


def run(place: Path, **changes: object) -> StudyFolder:
    """Train a study on the table; its ways of scaling are searched."""
    (place / "wards.csv").write_text(TABLE)
    data = {
        "source": "csv",
        "path": str(place / "wards.csv"),
        "target": "outcome",
        "prepare": {"scale": {"choices": ["standard", "minmax"]}},
        **changes.pop("data", {}),
    }
    study = {**STUDY, "data": data, **changes}
    given = {name: section for name, section in study.items() if section is not None}
    return run_study(load_study(given), place / "results").folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study of four trials; look, do not touch."""
    return run(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def study(trained: StudyFolder, tmp_path: Path) -> StudyFolder:
    """A copy of it, which reads the table where the study did."""
    shutil.copytree(trained.path.parent, tmp_path / "results")
    return StudyFolder(tmp_path / "results" / "wards")


def raw_validation(folder: StudyFolder) -> tuple[object, np.ndarray]:
    """Return the raw validation rows of a study."""
    chosen = choose_members(folder, 10)
    from lightning_modules.data.repeats import cut

    data = chosen.candidates[0].config.data
    assert isinstance(data, CsvConfig)
    found = cut(load(data, task_kind="binary"), data, task_kind="binary")
    rows = found.split.validation
    return found.raw.x.iloc[rows].reset_index(drop=True), np.asarray(found.raw.y)[rows]


@pytest.mark.parametrize("method", METHODS)
def test_the_predictor_says_of_raw_rows_what_was_measured(study: StudyFolder, method: str) -> None:
    record = make_ensemble(study, Ask(method=method, keep=True))
    found = predictions_of(study, choose_members(study, 10))
    order = [record.considered.index(member.trial) for member in record.members]
    expected = combine(record.combination, [found.parts[i] for i in order])
    model = open_predictor(study.combined)
    assert isinstance(model, EnsemblePredictor)
    raw, _ = raw_validation(study)
    np.testing.assert_allclose(model.outputs(raw), expected, atol=1e-6)
    assert model.answers.classes == ["ill", "well"]
    scales = {one.config.data.prepare.scale for one in model.members}
    assert len(scales) == 2 or len(model.members) < 4


def test_a_second_method_trains_nothing_and_reads_nothing_anew(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_ensemble(study, Ask())
    files = {path.name for path in (study.ensemble / "predictions").iterdir()}
    names = {record.run.checkpoint.sha256 + ".npy" for record in read_trials(study)}
    assert files == names | {"rows.json", "targets.npy", "units.npy"}

    def never(*args: object, **more: object) -> None:
        raise AssertionError("no second pass is needed")

    monkeypatch.setattr("hpo.ensemble.predictions.score", never)
    monkeypatch.setattr("hpo.ensemble.predictions.open_data", never)
    assert make_ensemble(study, Ask(method="stack")).method == "stack"


def test_damaged_predictions_are_made_again(study: StudyFolder) -> None:
    first = make_ensemble(study, Ask(method="mean"))
    for path in (study.ensemble / "predictions").iterdir():
        path.write_bytes(path.read_bytes()[:-40])
    again = make_ensemble(study, Ask(method="mean"))
    assert again.model_copy(update={"created_utc": first.created_utc}) == first


def test_equal_calls_leave_equal_records_in_strict_json(study: StudyFolder) -> None:
    record = make_ensemble(study, Ask())
    plain = json.loads(study.combined.read_text())
    assert read_ensemble(study.combined) == record
    make_ensemble(study, Ask())
    again = json.loads(study.combined.read_text())
    assert {**plain, "created_utc": 0} == {**again, "created_utc": 0}
    assert all(member["folder"].startswith("../trials/") for member in plain["members"])
    assert plain["scores"]["n_rows"] == load_best(study).data["n"]["validation"]
    assert plain["single"] == load_best(study).study["trial"]


def test_what_is_not_better_does_not_predict_unless_it_is_kept(study: StudyFolder) -> None:
    record = make_ensemble(study, Ask(method="vote"))
    assert not record.better
    with pytest.raises(
        UsageError, match=r"ensemble\.json: is not used: .*; hpo ensemble wards --k"
    ):
        open_predictor(study.combined)
    kept = make_ensemble(study, Ask(method="vote", keep=True))
    assert (kept.better, kept.used) == (False, True)
    assert len(open_predictor(study.ensemble).members) == 4


@pytest.mark.parametrize(("top", "message"), [(0, "0 trials are no"), (1, "1 trials are no")])
def test_an_ensemble_of_nothing_is_refused(study: StudyFolder, top: int, message: str) -> None:
    with pytest.raises(UsageError, match=f"--top: {message} ensemble; give 2 or more"):
        make_ensemble(study, Ask(top=top))
    assert not study.ensemble.exists()


def test_no_other_setting_is_taken_than_where_the_data_are(cli, study: StudyFolder) -> None:
    with pytest.raises(UsageError, match=r"model\.width has no effect on a model that is trained"):
        make_ensemble(study, Ask(), ["model.width=3"])
    got = cli("ensemble", study.name, "--results", study.path.parent, "--set", "seed=3")
    assert (got.code, got.out) == (2, "")
    assert "seed has no effect" in got.err
    assert not study.combined.exists()


def test_an_unknown_method_is_refused(study: StudyFolder) -> None:
    with pytest.raises(UsageError, match="--method: no method 'greed'; did you mean 'greedy'"):
        make_ensemble(study, Ask(method="greed"))  # type: ignore[arg-type]


def test_a_study_without_two_complete_trials_is_refused(study: StudyFolder) -> None:
    for record in read_trials(study)[1:]:
        shutil.rmtree(study.trial(record.number))
    with pytest.raises(StudyError, match="wards: one trial is complete, and an ensemble is of two"):
        make_ensemble(study, Ask())
    study.best_config.unlink()
    shutil.rmtree(study.trial(read_trials(study)[0].number))
    with pytest.raises(StudyError, match="wards: no trial is complete yet"):
        make_ensemble(study, Ask())


def test_trials_whose_weights_are_gone_are_named(study: StudyFolder) -> None:
    (study.trial(2) / "best.ckpt").unlink()
    record = make_ensemble(study, Ask())
    assert [(one.trial, one.why) for one in record.left_out] == [(2, NOT_KEPT)]
    assert sorted(record.considered) == [0, 1, 3]
    for number in (0, 1):
        (study.trial(number) / "best.ckpt").unlink()
    message = r"trial 3 alone can be a member, .*\n(.*\n)*.*hpo train .*config\.json -o runs/wards-"
    with pytest.raises(StudyError, match=message):
        make_ensemble(study, Ask())


def test_another_checkpoint_than_was_recorded_is_refused(study: StudyFolder) -> None:
    record = make_ensemble(study, Ask(method="mean", keep=True))
    checkpoint = study.trial(1) / "best.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes() + b"x")
    with pytest.raises(UsageError, match=r"0001/best\.ckpt: is not the file that was recorded"):
        make_ensemble(study, Ask())
    with pytest.raises(UsageError, match=r"is not the checkpoint that was recorded for trial 1 of"):
        open_predictor(study.combined)
    with pytest.raises(UsageError, match=r"0001/best\.ckpt: is not the file that was recorded"):
        evaluate_ensemble(study)
    assert load_best(study).test["opened"] == 0
    checkpoint.unlink()
    with pytest.raises(
        UsageError, match=r"no such checkpoint, and trial 1 of ensemble\.json needs"
    ):
        open_predictor(study.combined)
    assert record.used


def test_changed_data_are_refused(tmp_path: Path, study: StudyFolder) -> None:
    (tmp_path / "other.csv").write_text(TABLE.replace(",a,", ",b,"))
    place = f"data.path={tmp_path / 'other.csv'}"
    with pytest.raises(RefusedError, match=r"these are not the data that the study was made on:\n"):
        make_ensemble(study, Ask(), (place,))
    assert not study.ensemble.exists()


def test_forecasts_are_combined_and_those_from_another_window_left_out(tmp_path: Path) -> None:
    (tmp_path / "days.csv").write_text(
        "y,c\n" + "".join(f"{np.sin(n / 3) + n % 3},{'ab'[n % 2]}\n" for n in range(160))
    )
    study = {
        **STUDY,
        "task": {"kind": "forecasting", "window": {"choices": [6, 9]}, "horizon": 3},
        "data": {"source": "csv", "path": str(tmp_path / "days.csv"), "target": "y"},
        "budget": {"trials": 5},
    }
    folder = run_study(load_study(study), tmp_path / "results").folder
    windows = {one.number: one.config["task"]["window"] for one in read_trials(folder)}
    record = make_ensemble(folder, Ask(method="mean", keep=True))
    alike = [n for n, window in windows.items() if window == windows[record.considered[0]]]
    assert sorted(record.considered) == alike
    why = f"its task.window is not that of trial {record.considered[0]}"
    assert {one.why for one in record.left_out} == {why}
    assert record.scores.kept_together == "time"
    rows = {"y": np.linspace(0, 1, 2 * windows[alike[0]]), "c": "a"}
    assert open_predictor(folder.combined).outputs(pd.DataFrame(rows)).shape == (2, 3)


def test_the_test_split_is_opened_once_and_counted(study: StudyFolder) -> None:
    make_ensemble(study, Ask(method="mean"))
    done = evaluate_ensemble(study)
    assert (done.opened, load_best(study).test["opened"]) == (1, 1)
    assert done.scores.single == pytest.approx(load_best(study).test["value"], abs=1e-6)
    assert done.scores.n_rows == load_best(study).data["n"]["test"]
    assert json.loads(study.evaluated("ensemble").read_text())["schema"] == "hpo.ensemble_test/1"
    assert evaluate_ensemble(study).opened == 2


def test_an_ensemble_that_was_never_made_is_not_evaluated(study: StudyFolder) -> None:
    with pytest.raises(
        UsageError, match=r"ensemble\.json: no such file; hpo ensemble STUDY writes"
    ):
        evaluate_ensemble(study)
    assert load_best(study).test["opened"] == 0


def test_a_damaged_record_is_refused(study: StudyFolder) -> None:
    make_ensemble(study, Ask(method="mean", keep=True))
    study.combined.write_text(study.combined.read_text().replace('"mean"', '"median"'))
    with pytest.raises(
        UsageError, match=r"is no such record \(method: .*hpo ensemble STUDY writes"
    ):
        open_predictor(study.combined)
    study.combined.write_text("{")
    with pytest.raises(UsageError, match="is damaged: no JSON; hpo ensemble STUDY writes it"):
        open_predictor(study.combined)


def test_members_that_read_rows_differently_are_refused(study: StudyFolder) -> None:
    record = make_ensemble(study, Ask(method="mean", keep=True))
    config = study.trial(record.members[1].trial) / "config.json"
    config.write_text(config.read_text().replace('"split_seed": 0', '"split_seed": 7'))
    message = r"trial \d: data.split_seed is not that of trial \d; hpo ensemble wards makes one"
    with pytest.raises(UsageError, match=message):
        open_predictor(study.combined)


def test_the_weights_of_members_stay_whatever_comes_after(study: StudyFolder) -> None:
    members = {
        member.trial for member in make_ensemble(study, Ask(method="mean", keep=True)).members
    }
    forget_checkpoints(study, read_trials(study), direction="maximize", keep=1)
    assert all((study.trial(number) / "best.ckpt").exists() for number in members)
    make_ensemble(study, Ask(method="mean"))
    forget_checkpoints(study, read_trials(study), direction="maximize", keep=1)
    assert not all((study.trial(number) / "best.ckpt").exists() for number in members)


def test_of_folds_every_row_is_predicted_by_a_network_that_did_not_see_it(tmp_path: Path) -> None:
    folder = run(tmp_path, data={"folds": 3}, budget={"trials": 3})
    record = make_ensemble(folder, Ask(method="mean", keep=True))
    n_rows = load_best(folder).data["n"]
    assert record.scores.split == "out of fold"
    assert record.scores.n_rows == n_rows["train"] + n_rows["validation"]
    assert len(record.members) == 9
    assert {member.fold for member in record.members} == {1, 2, 3}
    assert sum(member.weight for member in record.members) == pytest.approx(1.0)
    sizes = json.loads((folder.ensemble / "predictions" / "rows.json").read_text())["fold_rows"]
    for trial in read_trials(folder):
        alone = next(member.value for member in record.members if member.trial == trial.number)
        assert alone == pytest.approx(np.average(trial.run.folds, weights=sizes), abs=1e-6)
    raw = load(choose_members(folder, 9).candidates[0].config.data, task_kind="binary").x
    model = open_predictor(folder.combined)
    assert model.outputs(raw).shape == (150, 2)
    mean = np.mean([one.outputs(raw) for one in model.members], axis=0)
    np.testing.assert_allclose(model.outputs(raw), mean, atol=1e-6)
    assert evaluate_ensemble(folder).scores.split == "test"
    (folder.trial(1) / "fold-2" / "best.ckpt").unlink()
    again = make_ensemble(folder, Ask(method="mean"))
    assert [one.why for one in again.left_out] == ["the weights of its folds were not kept"]


class LitOwn(pl.LightningModule):
    """A module of the user's own."""

    def __init__(self, lr: float = 0.1) -> None:
        super().__init__()
        self.net = nn.Linear(4, 2)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_whole_modules_are_refused(registries, tmp_path: Path) -> None:
    plugins.lightning_module("LitOwn")(LitOwn)
    changes = {
        "model": {"family": "LitOwn", "lr": {"low": 0.01, "high": 0.1}},
        "objective": {"metric": "val_acc", "direction": "maximize"},
        "optimizer": None,
        "trainer": {"max_epochs": 1, "batch_size": 60, "accelerator": "cpu"},
        "budget": {"trials": 2},
    }
    folder = run(tmp_path, **changes)
    with pytest.raises(UsageError, match="wards: LitOwn is a whole LightningModule: what it predi"):
        make_ensemble(folder, Ask())


def test_a_study_makes_an_ensemble_from_python_too(study: StudyFolder) -> None:
    found = Study(space=study.study_file, results=study.path.parent).ensemble(method="weighted")
    assert found == read_ensemble(study.combined)


def test_the_verb_prints_the_members_and_both_scores(cli, study: StudyFolder) -> None:
    said = cli("ensemble", study.path, "--method", "mean", "--keep")
    assert said.code == 0
    assert "wards: ensemble of 4 trials (mean), accuracy ↑ on" in said.out
    assert "single best" in said.out
    assert "difference" in said.out
    assert f"next: hpo predict {study.combined} rows.csv" in said.err
    plain = json.loads(cli("ensemble", study.path, "--json").out)
    assert (plain["command"], plain["result"]["schema"]) == ("ensemble", "hpo.ensemble/1")
    tested = cli("evaluate", study.path, "--ensemble", "--test")
    assert (tested.code, "test rows" in tested.out) == (0, True)
    for wrong in (["--top", "0"], ["--method", "best"]):
        assert cli("ensemble", study.path, *wrong).code == 2
    for wrong in (["--ensemble"], ["--ensemble", "--test", "--seeds", "2"]):
        refused = cli("evaluate", study.path, *wrong)
        assert (refused.code, "--ensemble: goes with --test" in refused.err) == (2, True)
