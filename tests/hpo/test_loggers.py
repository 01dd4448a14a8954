import csv
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from pytorch_lightning.loggers import CSVLogger

from hpo.api import Study
from hpo.errors import EnvironmentFault, UsageError
from hpo.loggers import TrialLoggers, refuse_loggers
from hpo.records import curve_rows, read_trials
from hpo.spec import StudySpec
from hpo.study import run_study
from lightning_modules.build import open_data
from lightning_modules.config import RunConfig
from lightning_modules.result import Command, Validation
from lightning_modules.train import train
from lightning_modules.watch import Abandoned

MakeSpec = Callable[..., StudySpec]


def logged(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_an_unknown_logger_is_refused_with_the_nearest_name(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no logger 'cvs'; did you mean 'csv'"):
        run_study(make_spec(), tmp_path, loggers=["cvs"])
    assert not list(tmp_path.iterdir())


def test_a_logger_whose_package_is_missing_names_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hpo.extras.find_spec", lambda name: None)
    for name in ("mlflow", "wandb"):
        with pytest.raises(EnvironmentFault, match=rf"pip install 'hpo\[{name}\]'") as raised:
            refuse_loggers([name])
        assert raised.value.exit_code == 5
    refuse_loggers(["csv"])


def test_the_command_line_passes_loggers_on(cli, tmp_path: Path) -> None:
    said = cli("run", "quickstart", "--logger", "csv", "--logger", "nothing", "--results", tmp_path)
    assert said.code == 2
    assert "--logger: there is no logger 'nothing'" in said.err


def test_csv_holds_what_the_curve_holds_and_changes_no_result(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec("budget.trials=2")
    plain = run_study(spec, tmp_path / "plain")
    found = run_study(spec, tmp_path / "logged", loggers=["csv"])
    assert [r.value for r in plain.end.records] == [r.value for r in found.end.records]
    text = found.folder.fingerprint.read_text() + found.folder.study_file.read_text()
    assert "csv" not in text  # the next call may log otherwise
    for record in read_trials(found.folder):
        trial = found.folder.trial(record.number)
        rows = logged(trial / "logs")
        for column in ("val/accuracy", "train/accuracy", "train/loss", "train/grad_norm"):
            shown = [float(row[column]) for row in rows if row[column]]
            assert shown == pytest.approx([row[column] for row in curve_rows(trial)])
        assert float(rows[-1]["objective/accuracy"]) == pytest.approx(record.value)
        settings = (trial / "logs" / "hparams.yaml").read_text()
        assert "lr:" in settings
        assert str(tmp_path) not in settings


def test_every_attempt_and_every_fold_has_a_log_of_its_own(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec("budget.trials=1", data={"source": "iris", "folds": 2})
    folder = run_study(spec, tmp_path, loggers=["csv"]).folder
    assert [len(logged(folder.trial(0) / f"fold-{i}" / "logs")) > 2 for i in (1, 2)] == [True] * 2

    class Ending:
        def validated(self, validation: Validation) -> Command:
            return Command.ABANDON if validation.validation == 1 else Command.CONTINUE

        def batch_ended(self) -> Command:
            return Command.CONTINUE

    config = RunConfig.model_validate({**spec_config(spec), "data": {"source": "iris"}})
    place = tmp_path / "attempts"
    for report in (Ending(), None):
        told = TrialLoggers(["csv"], study="tiny", number=0, folder=place, config=config)
        try:
            train(config, place, report=report, data=open_data(config), loggers=told)
        except Abandoned:
            assert report is not None
        told.close()
    assert sorted(path.name for path in place.glob("logs*")) == ["logs", "logs-2"]


def spec_config(spec: StudySpec) -> dict[str, object]:
    plain = spec.space.resolve(spec.space.defaults()[0].params).plain()
    return {name: plain[name] for name in ("task", "model", "optimizer", "trainer")}


def test_mlflow_has_one_file_in_the_study_and_names_nobody(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.chdir(tmp_path)
    folder = run_study(make_spec("budget.trials=2"), tmp_path, loggers=["mlflow"]).folder
    records = read_trials(folder)
    with sqlite3.connect(folder.path / "mlflow.db") as database:
        runs = database.execute("select name, user_id, status from runs order by name").fetchall()
        values = database.execute("select value from metrics where key='objective/accuracy'")
        assert sorted(value for (value,) in values) == pytest.approx(
            sorted(r.value for r in records)
        )
    assert runs == [(f"t000{i}-mlp-adamw", "hpo", "FINISHED") for i in range(2)]
    assert not (tmp_path / "mlruns").exists()


def test_wandb_stays_offline_in_the_trial_and_names_nobody(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "online")
    folder = run_study(make_spec("budget.trials=1"), tmp_path, loggers=["wandb"]).folder
    (run,) = folder.trial(0).glob("wandb/offline-run-*")
    (file,) = run.glob("run-*.wandb")
    assert b"t0000-mlp-adamw" in file.read_bytes()
    assert not list(run.rglob("wandb-metadata.json"))
    assert not (tmp_path / "wandb").exists()


def test_a_logger_that_fails_costs_lines_and_not_the_trial(
    make_spec: MakeSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def locked(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(CSVLogger, "log_metrics", locked)
    outcome = run_study(make_spec("budget.trials=1"), tmp_path, loggers=["csv"])
    assert [record.state for record in outcome.end.records] == ["complete"]
    assert "a logger wrote less: OperationalError: database is locked" in caplog.text


def test_loggers_are_given_from_python_too(tmp_path: Path) -> None:
    model = {"family": "mlp", "width": {"low": 4, "high": 8}}
    space = {"task": {"kind": "multiclass"}, "data": {"source": "iris"}, "model": model}
    with pytest.raises(UsageError, match="no logger 'paper'"):
        Study("tiny", space=space, results=tmp_path).run(loggers=["paper"])
