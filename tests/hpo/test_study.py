import csv
import getpass
import json
import os
import re
import shutil
import signal
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from hpo.best import BestConfig
from hpo.budget import most_validations
from hpo.errors import EnvironmentFault, RefusedError, StudyError, UsageError
from hpo.layout import StudyFolder
from hpo.proposals import Proposals
from hpo.records import TrialRecord, read_record, read_trials, write_trial
from hpo.spec import StudySpec
from hpo.storage.writer import StudyStorage, sqlite_url
from hpo.study import StudyOutcome, run_study
from hpo.tracking.observers import Observer, StudyEnd, StudyStart
from lightning_modules.plugins import load_plugin
from lightning_modules.result import Validation

MakeSpec = Callable[..., StudySpec]
Observe = Callable[..., Observer]
Essence = tuple[int, str, str | None, dict[str, Any], float | None, str]

STEPS = {
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 16, "step": 4}},
    "optimizer": {"name": "adamw", "lr": {"choices": [0.001, 0.01, 0.1]}},
}
QUICK_MODELS = {
    sampler: {"sampler": {"name": sampler, "n_startup_trials": 2}} for sampler in ("tpe", "gp")
}
ODD = """
    import time

    import pytorch_lightning as pl
    import torch
    from torch.utils.data import DataLoader, TensorDataset


    class Rows(pl.LightningDataModule):
        def setup(self, stage=None):
            generator = torch.Generator().manual_seed(0)
            x = torch.randn(64, 4, generator=generator)
            self.rows = TensorDataset(x, (x.sum(1) > 0).long())

        def train_dataloader(self):
            return DataLoader(self.rows, batch_size=8)

        def val_dataloader(self):
            return DataLoader(self.rows, batch_size=64)


    class Odd(pl.LightningModule):
        def __init__(self, lr: float = 0.1, fails: bool = False, naps: float = 0.0):
            super().__init__()
            self.save_hyperparameters()
            self.net = torch.nn.Linear(4, 2)

        def training_step(self, batch, batch_idx):
            if self.hparams.fails and self.trainer.global_step == 1:
                raise RuntimeError("the pump is broken")
            time.sleep(self.hparams.naps)
            x, y = batch
            return torch.nn.functional.cross_entropy(self.net(x), y)

        def validation_step(self, batch, batch_idx):
            x, y = batch
            self.log("val_acc", (self.net(x).argmax(1) == y).float().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
"""


@pytest.fixture
def make_odd(tmp_path: Path, make_spec: MakeSpec, registries: None) -> MakeSpec:
    """Return a function to a study of a module that fails or naps as its settings say."""
    plugin = tmp_path / "odd.py"
    plugin.write_text(dedent(ODD))
    load_plugin(str(plugin))

    def make(*overrides: str, **sections: Any) -> StudySpec:
        odd = {
            "task": None,
            "data": {"source": "Rows"},
            "model": {"family": "Odd", "lr": {"low": 0.01, "high": 1.0}},
            "optimizer": None,
            "trainer": {"max_epochs": 2, "accelerator": "cpu"},
            "objective": {"metric": "val_acc", "direction": "maximize"},
        }
        return make_spec(*overrides, **{**odd, **sections})

    return make


def trials_of(results: Path, name: str = "tiny") -> list[FrozenTrial]:
    """Return the trials of a study as a viewer reads them."""
    storage = optuna.storages.RDBStorage(sqlite_url(results / "storage.sqlite", read_only=True))
    try:
        return optuna.load_study(study_name=name, storage=storage).get_trials()
    finally:
        storage.remove_session()
        storage.engine.dispose()


def states_of(results: Path) -> list[str]:
    return [trial.state.name for trial in trials_of(results)]


def essence(results: Path, name: str = "tiny") -> list[Essence]:
    """Return what must be equal in equal studies."""
    records = read_trials(StudyFolder(results / name))
    curves = [
        (record.number, trial.intermediate_values)
        for record, trial in zip(records, trials_of(results, name), strict=True)
    ]
    assert all(number == i for i, (number, _) in enumerate(curves))
    return [
        (
            record.number,
            record.state,
            record.reason,
            {**record.params, "curve": curve, "seed": record.seed},
            record.value,
            record.config_sha256,
        )
        for record, (_, curve) in zip(records, curves, strict=True)
    ]


def stop_after(n_trials: int, observe: Observe) -> Observer:
    """Return an observer that presses Ctrl-C when that many trials have ended."""
    ended: list[int] = []

    def trial_ended(record: TrialRecord, *, best: bool) -> None:
        ended.append(record.number)
        if len(ended) == n_trials:
            os.kill(os.getpid(), signal.SIGINT)

    return observe(trial_ended=trial_ended)


def strict_json(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    plain: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    return plain


# One finished study, looked at from many sides.


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, make_spec: MakeSpec, observe: Observe
) -> tuple[StudyOutcome, list[dict[str, Any]], list[tuple[str, Any]]]:
    """Return a study of six trials, its best config after each of them, and what was told."""
    results = tmp_path_factory.mktemp("results")
    bests: list[dict[str, Any]] = []
    told: list[tuple[str, Any]] = []

    def ended(record: TrialRecord, *, best: bool) -> None:
        told.append(("ended", record.number))
        plain = strict_json(results / "tiny" / "best_config.json")
        BestConfig.model_validate(plain)
        bests.append(plain)
        assert best == (plain["study"]["trial"] == record.number)

    def validated(number: int, validation: Validation, *, prune: bool) -> None:
        told.append(("validated", number))

    observer = observe(
        study_started=lambda start: told.append(("study started", start)),
        trial_started=lambda proposal: told.append(("started", proposal.number)),
        validated=validated,
        trial_ended=ended,
        study_ended=lambda end: told.append(("study ended", end)),
    )
    pruner = {"name": "median", "n_startup_trials": 1, "n_min_trials": 1}
    spec = make_spec("budget.trials=6", search={"sampler": "random", "pruner": pruner})
    return run_study(spec, results, observers=[observer]), bests, told


Finished = tuple[StudyOutcome, list[dict[str, Any]], list[tuple[str, Any]]]


def test_the_best_config_is_complete_and_valid_after_every_trial(finished: Finished) -> None:
    outcome, bests, _ = finished
    assert len(bests) == 6
    for n, plain in enumerate(bests, start=1):
        best = min(outcome.end.records[:n], key=rank)
        assert plain["study"]["trial"] == best.number
        assert plain["config"] == best.config
        assert sum(plain["study"]["trials"].values()) <= n  # counts may be a second old
        assert plain["test"] == {"opened": 0, "value": None}
    last = json.loads(outcome.folder.best_config.read_text())
    assert sum(last["study"]["trials"].values()) == 6


def rank(record: TrialRecord) -> tuple[float, ...]:
    assert record.run is not None
    n = record.run.n_parameters
    return (record.state != "complete", -record.run.value, n, record.number)


def test_trials_of_a_study_were_pruned(finished: Finished) -> None:
    assert {record.state for record in finished[0].end.records} == {"complete", "pruned"}


def test_the_best_config_names_no_place_host_or_user(finished: Finished) -> None:
    outcome, _, _ = finished
    text = outcome.folder.best_config.read_text()
    for secret in (str(Path.cwd()), str(outcome.folder.path.parent), str(Path.home())):
        assert f'"{secret}' not in text
    assert not re.search(r'"/', text), "an absolute path"
    for name in (socket.gethostname(), getpass.getuser()):
        assert not re.search(rf"\b{re.escape(name)}\b", text)


def test_the_best_checkpoint_is_where_and_what_the_best_config_says(finished: Finished) -> None:
    outcome, _, _ = finished
    assert outcome.best is not None
    path = outcome.folder.path / outcome.best.checkpoint["path"]
    assert path.stat().st_size == outcome.best.checkpoint["bytes"]


def test_records_storage_and_leaderboard_tell_the_same(finished: Finished) -> None:
    outcome, _, _ = finished
    records = read_trials(outcome.folder)
    assert records == list(outcome.end.records)
    trials = trials_of(outcome.folder.path.parent)
    assert [trial.params for trial in trials] == [record.params for record in records]
    assert [trial.state.name.lower() for trial in trials] == [record.state for record in records]
    assert [trial.value for trial in trials] == [record.value for record in records]
    with outcome.folder.leaderboard.open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert {int(row["trial"]): float(row["accuracy"]) for row in table} == {
        record.number: record.value for record in records
    }
    assert [int(row["trial"]) for row in table if row["rank"]] == [
        record.number for record in sorted(records, key=rank) if record.state == "complete"
    ]
    assert outcome.best is not None
    assert int(table[0]["trial"]) == outcome.best.study["trial"]


def test_a_trial_shows_its_costs_in_the_dashboard(finished: Finished) -> None:
    trials = trials_of(finished[0].folder.path.parent)
    assert trials[0].user_attrs["default"] is True
    assert "default" not in trials[1].user_attrs
    for trial in trials:
        assert {"seed", "seconds", "status", "lr", "n_parameters", "stop_reason"} <= set(
            trial.user_attrs
        )


def test_a_pruned_trial_keeps_its_curve(finished: Finished) -> None:
    outcome, _, _ = finished
    for record, trial in zip(
        outcome.end.records, trials_of(outcome.folder.path.parent), strict=True
    ):
        assert record.run is not None
        with (outcome.folder.trial(record.number) / "curve.csv").open(newline="") as stream:
            curve = [float(row["objective"]) for row in csv.DictReader(stream)]
        assert curve == list(trial.intermediate_values.values())
        assert len(curve) == record.run.validations == (1 if record.state == "pruned" else 2)


def test_observers_are_told_of_everything_in_order(finished: Finished) -> None:
    outcome, _, told = finished
    assert isinstance(told[0][1], StudyStart)
    assert isinstance(told[-1][1], StudyEnd)
    assert told[0][1].total == 6
    expected: list[tuple[str, Any]] = []
    for record in outcome.end.records:
        assert record.run is not None
        expected.append(("started", record.number))
        expected += [("validated", record.number)] * record.run.validations
        expected.append(("ended", record.number))
    assert told[1:-1] == expected


def test_a_finished_study_runs_no_trial_and_leaves_the_best_config_alone(
    finished: Finished, make_spec: MakeSpec
) -> None:
    outcome, _, told = finished
    before = outcome.folder.best_config.read_bytes()
    start = told[0][1]
    again = run_study(start.spec, outcome.folder.path.parent)
    assert (again.end.new, again.end.why, again.signal) == (0, "budget", None)
    assert outcome.folder.best_config.read_bytes() == before
    assert again.end.best == outcome.end.best


# Equal studies, in whatever way they came to their end.


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_the_same_study_in_another_folder_under_another_name_finds_the_same(
    tmp_path: Path, make_spec: MakeSpec, pruner: str
) -> None:
    search = {**QUICK_MODELS["tpe"], "pruner": pruner}
    for folder, name in (("a", "tiny"), ("b", "other")):
        run_study(make_spec("budget.trials=5", name=name, search=search), tmp_path / folder)
    assert essence(tmp_path / "a") == essence(tmp_path / "b", "other")


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "qmc", "gp"])
def test_a_study_that_was_interrupted_is_the_study_that_was_not(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe, sampler: str
) -> None:
    search = {"sampler": sampler, "pruner": "hyperband", **QUICK_MODELS.get(sampler, {})}
    spec = make_spec("budget.trials=5", **STEPS, search=search)
    run_study(spec, tmp_path / "straight")
    outcome = run_study(spec, tmp_path / "stopped", observers=[stop_after(2, observe)])
    assert (outcome.signal, outcome.end.why, outcome.end.new) == (signal.SIGINT, "interrupted", 2)
    run_study(make_spec("budget.trials=3", **STEPS, search=search), tmp_path / "stopped")
    last = run_study(spec, tmp_path / "stopped")
    assert last.end.new == 2
    assert essence(tmp_path / "stopped") == essence(tmp_path / "straight")


@pytest.mark.slow
def test_a_child_trains_what_this_process_trains(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec("budget.trials=2")
    run_study(spec, tmp_path / "here")
    run_study(spec, tmp_path / "child", workers=1)
    assert essence(tmp_path / "child") == essence(tmp_path / "here")


def test_a_trial_that_was_interrupted_in_the_middle_waits_and_is_trained_again(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe
) -> None:
    spec = make_spec()
    run_study(spec, tmp_path / "straight")

    def validated(number: int, validation: Validation, *, prune: bool) -> None:
        if (number, validation.validation) == (1, 1):
            os.kill(os.getpid(), signal.SIGTERM)

    given_back: list[int] = []
    observer = observe(validated=validated, trial_given_back=given_back.append)
    outcome = run_study(spec, tmp_path / "stopped", observers=[observer])
    assert outcome.signal == signal.SIGTERM
    assert given_back == [1]
    assert states_of(tmp_path / "stopped") == ["COMPLETE", "WAITING"]
    run_study(spec, tmp_path / "stopped")
    assert essence(tmp_path / "stopped") == essence(tmp_path / "straight")


def test_a_second_signal_stops_at_once_and_leaves_nothing_running(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe
) -> None:
    def batch_ended() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    spec = make_spec()
    outcome = run_study(
        spec, tmp_path, observers=[observe(validated=lambda *args, **kwargs: batch_ended())]
    )
    assert (outcome.end.why, outcome.signal, outcome.best) == ("interrupted", signal.SIGINT, None)
    assert states_of(tmp_path) == ["WAITING"]
    assert run_study(spec, tmp_path).end.new == 3


# What a supervisor that died left behind.


def die_with(make_spec: MakeSpec, results: Path, *, trained: bool) -> TrialRecord:
    """Leave the study as a supervisor does that dies while trial 2 runs, or before it is told."""
    spec, folder, number = make_spec(), StudyFolder(results / "tiny"), 2
    run_study(make_spec("budget.trials=2"), results)
    later = (folder.leaderboard, folder.best_config, folder.progress)
    derived = {path: path.read_bytes() for path in later}
    run_study(spec, results)
    for path, content in derived.items():
        path.write_bytes(content)
    record = read_trials(folder)[number]
    kept = folder.trial(number) / "result.json"
    text = kept.read_text()
    kept.unlink()
    (results / "storage.sqlite").unlink()
    for companion in results.glob("storage.sqlite-*"):
        companion.unlink()
    storage = StudyStorage(
        sqlite_url(results / "storage.sqlite"),
        study=spec.name,
        direction="maximize",
        metric="accuracy",
    )
    with closing(storage):
        proposals = Proposals(spec, direction="maximize", past=[], most_validations=2)
        for one in read_trials(folder):
            storage.begin(proposals.ask().trial)
            proposals.tell(one.number, one.state, one.value)
            for validation, value in enumerate(curve_of(folder, one.number), start=1):
                storage.report(one.number, validation=validation, value=value)
            storage.finish(one.number, one.state, one.value, {})
        storage.begin(proposals.ask().trial)
        for validation, value in enumerate(curve_of(folder, number), start=1):
            storage.report(number, validation=validation, value=value)
    if trained:
        kept.write_text(text)
    return record


def curve_of(folder: StudyFolder, number: int) -> list[float]:
    with (folder.trial(number) / "curve.csv").open(newline="") as stream:
        return [float(row["objective"]) for row in csv.DictReader(stream)]


def test_a_trial_that_a_dead_supervisor_left_running_is_trained_again_under_its_number(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    spec = make_spec()
    run_study(spec, tmp_path / "straight")
    die_with(make_spec, tmp_path / "died", trained=False)
    assert states_of(tmp_path / "died") == ["COMPLETE", "COMPLETE", "RUNNING"]
    outcome = run_study(spec, tmp_path / "died")
    assert outcome.end.new == 1
    assert essence(tmp_path / "died") == essence(tmp_path / "straight")


def test_a_result_that_the_storage_was_not_told_is_told_and_not_trained_again(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    spec = make_spec()
    record = die_with(make_spec, tmp_path, trained=True)
    folder = StudyFolder(tmp_path / "tiny")
    better = record.model_copy(
        update={"run": record.run.model_copy(update={"value": 1.0}) if record.run else None}
    )
    write_trial(folder, better)  # the best trial of the study, which no other file knows of
    assert states_of(tmp_path)[-1] == "RUNNING"
    outcome = run_study(spec, tmp_path)
    assert outcome.end.new == 0
    assert states_of(tmp_path) == ["COMPLETE"] * 3
    assert trials_of(tmp_path)[2].value == 1.0
    assert outcome.best is not None
    assert outcome.best.study["trial"] == 2
    assert folder.leaderboard.read_text().splitlines()[1].startswith("1,2,complete,,1.0,")


def test_another_storage_is_filled_from_the_records(tmp_path: Path, make_spec: MakeSpec) -> None:
    run_study(make_spec("budget.trials=2"), tmp_path)
    other = sqlite_url(tmp_path / "other.sqlite")
    outcome = run_study(make_spec("budget.trials=3"), tmp_path, storage=other)
    assert outcome.end.new == 1
    storage = optuna.storages.RDBStorage(other)
    trials = optuna.load_study(study_name="tiny", storage=storage).get_trials()
    storage.remove_session()
    storage.engine.dispose()
    assert [(t.number, t.value, t.params) for t in trials] == [
        (r.number, r.value, r.params) for r in outcome.end.records
    ]


# Trials that fail.


@pytest.fixture(scope="module")
def with_failures(tmp_path_factory: pytest.TempPathFactory, make_spec: MakeSpec) -> StudyOutcome:
    """Return a study in which one lr of two diverges."""
    results = tmp_path_factory.mktemp("failures")
    spec = make_spec(
        "budget.trials=6",
        optimizer={"name": "sgd", "momentum": 0.0, "lr": {"choices": [0.05, 1e30]}},
        search={"sampler": "grid", "pruner": "none"},
    )
    return run_study(spec, results)


def test_a_config_that_diverges_failed_for_nan_and_is_never_best(
    with_failures: StudyOutcome,
) -> None:
    records = with_failures.end.records
    failed = [record for record in records if record.params["optimizer.lr"] == 1e30]
    assert 0 < len(failed) < len(records)
    assert {(record.state, record.reason, record.value) for record in failed} == {
        ("failed", "nan", None)
    }
    assert all(record.what.startswith("non-finite ") for record in failed)
    assert with_failures.best is not None
    assert with_failures.best.config["optimizer"]["lr"] == 0.05


def test_a_failed_trial_is_failed_in_the_storage_too(with_failures: StudyOutcome) -> None:
    for record, trial in zip(
        with_failures.end.records, trials_of(with_failures.folder.path.parent), strict=True
    ):
        assert (trial.state == TrialState.FAIL) == (record.state == "failed")
        assert trial.user_attrs.get("reason") == record.reason


def test_a_failed_trial_ranks_last_and_keeps_its_traceback(with_failures: StudyOutcome) -> None:
    with with_failures.folder.leaderboard.open(newline="") as stream:
        states = [row["state"] for row in csv.DictReader(stream)]
    assert states == sorted(states)  # complete before failed
    for record in with_failures.end.records:
        traceback = with_failures.folder.trial(record.number) / "traceback.txt"
        assert traceback.exists() == (record.state == "failed")


def test_a_module_that_raises_is_recorded_and_the_study_goes_on(
    tmp_path: Path, make_odd: MakeSpec
) -> None:
    spec = make_odd(
        model={"family": "Odd", "fails": {"choices": [False, True]}},
        search={"sampler": "grid", "pruner": "none"},
    )
    outcome = run_study(spec, tmp_path / "results")
    good, bad = outcome.end.records
    assert (good.state, bad.state, bad.reason) == ("complete", "failed", "error")
    assert bad.what == "RuntimeError: the pump is broken"
    traceback = (outcome.folder.trial(1) / "traceback.txt").read_text()
    assert 'raise RuntimeError("the pump is broken")' in traceback
    assert outcome.end.best == good


def test_five_equal_failures_stop_the_study(tmp_path: Path, make_odd: MakeSpec) -> None:
    spec = make_odd(
        "budget.trials=9",
        model={"family": "Odd", "fails": True, "lr": {"low": 0.01, "high": 1.0}},
    )
    message = (
        "tiny: the first 5 trials all failed: error: RuntimeError: the pump is broken; "
        "read trials/0000/traceback.txt"
    )
    for _ in range(2):  # again, it trains nothing
        with pytest.raises(StudyError) as caught:
            run_study(spec, tmp_path / "results")
        assert str(caught.value) == message
    assert states_of(tmp_path / "results") == ["FAIL"] * 5


# Budgets.


def test_a_raised_budget_goes_on(tmp_path: Path, make_spec: MakeSpec) -> None:
    run_study(make_spec("budget.trials=1"), tmp_path)
    outcome = run_study(make_spec("budget.trials=3"), tmp_path)
    assert (outcome.end.new, len(outcome.end.records)) == (2, 3)


def test_a_grid_ends_with_its_last_point(tmp_path: Path, make_spec: MakeSpec) -> None:
    search = {"sampler": "grid", "pruner": "none"}
    spec = make_spec("budget.trials=99", "optimizer.lr=0.01", search=search)
    outcome = run_study(spec, tmp_path)
    assert [record.params["model.width"] for record in outcome.end.records] == [16, 4, 8, 12]


def test_a_budget_of_epochs_ends_with_the_trial_that_uses_it_up(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    outcome = run_study(make_spec(budget={"epochs": 3}), tmp_path)
    assert [record.run and record.run.epochs_run for record in outcome.end.records] == [2, 2]


def test_a_budget_of_time_ends_a_study_whose_trial_would_take_long(
    tmp_path: Path, make_odd: MakeSpec
) -> None:
    long = {"family": "Odd", "naps": 0.05, "lr": {"low": 0.01, "high": 1.0}}
    trainer = {"max_epochs": 1000, "accelerator": "cpu"}
    with pytest.raises(StudyError, match=r"tiny: no trial is complete .*; raise the budget"):
        run_study(make_odd(model=long, trainer=trainer, budget={"time": "4s"}), tmp_path)
    assert states_of(tmp_path) == ["WAITING"]
    used = strict_json(tmp_path / "tiny" / "progress.json")["wall_seconds"]
    assert 1 <= used < 30
    with pytest.raises(StudyError, match="no trial is complete"):  # the time of all calls counts
        run_study(make_odd(model=long, trainer=trainer, budget={"time": "1s"}), tmp_path)
    assert states_of(tmp_path) == ["WAITING"]


def test_a_study_of_pruned_and_failed_trials_only_has_no_best(
    tmp_path: Path, make_odd: MakeSpec
) -> None:
    spec = make_odd("budget.trials=1", model={"family": "Odd", "fails": {"choices": [True]}})
    message = (
        "tiny: no trial is complete (0 failed): error: RuntimeError: the pump is broken; "
        "read trials/0000/traceback.txt"
    )
    for _ in range(2):  # again, it trains nothing
        with pytest.raises(StudyError) as caught:
            run_study(spec, tmp_path / "results")
        assert str(caught.value) == message
    assert not (tmp_path / "results" / "tiny" / "best_config.json").exists()


def test_the_longest_run_decides_how_far_hyperband_looks(make_spec: MakeSpec) -> None:
    spec = make_spec("trainer.max_epochs={low: 2, high: 12}")
    assert most_validations(spec) == 12
    assert most_validations(make_spec("trainer={max_epochs: 8, validate_every: 3}")) == 2
    assert most_validations(make_spec("trainer={max_epochs: 8, validate_every: 0.25}")) == 32


# Who may go on with a study.


def test_another_study_under_the_same_name_is_refused_until_it_is_allowed(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    run_study(make_spec("budget.trials=1"), tmp_path)
    changed = make_spec("budget.trials=2", "search.seed=1")
    with pytest.raises(RefusedError, match=r"search\.seed: 0 → 1"):
        run_study(changed, tmp_path)
    assert run_study(changed, tmp_path, allow_change=True).end.new == 1
    fingerprint = strict_json(tmp_path / "tiny" / "fingerprint.json")
    assert fingerprint["changes"][0]["what"] == ["search.seed: 0 → 1"]


def test_a_study_that_is_running_is_nobody_elses(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe
) -> None:
    messages: list[str] = []

    def intrude(_: object) -> None:
        before = (tmp_path / "tiny" / "study.yaml").read_text()
        with pytest.raises(EnvironmentFault) as caught:
            run_study(make_spec("search.seed=1"), tmp_path, allow_change=True)
        messages.append(str(caught.value))
        assert (tmp_path / "tiny" / "study.yaml").read_text() == before

    run_study(make_spec("budget.trials=1"), tmp_path, observers=[observe(trial_started=intrude)])
    assert len(messages) == 1
    assert "is run by" in messages[0]
    assert f'"pid": {os.getpid()}' in messages[0]


def test_a_family_that_cannot_take_the_data_leaves_nothing_behind(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    spec = make_spec(model={"family": "cnn", "width": {"low": 4, "high": 8}})
    with pytest.raises(UsageError, match="cnn"):
        run_study(spec, tmp_path / "results")
    assert list(tmp_path.iterdir()) == []


def test_a_study_has_no_outcome_before_a_trial_is_complete(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe
) -> None:
    def stop(_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    outcome = run_study(make_spec(), tmp_path, observers=[observe(trial_started=stop)])
    assert (outcome.best, outcome.end.best, outcome.end.new) == (None, None, 0)
    assert read_trials(outcome.folder) == []
    with pytest.raises(UsageError, match="no such file"):
        read_record(outcome.folder.best_config, BestConfig)


def test_a_folder_that_was_deleted_is_not_taken_for_a_new_study(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    run_study(make_spec("budget.trials=1"), tmp_path)
    shutil.rmtree(tmp_path / "tiny")
    with pytest.raises(RefusedError, match=r"the storage has 1 trials .* whose folder is gone"):
        run_study(make_spec("budget.trials=1"), tmp_path)
    assert not (tmp_path / "tiny").exists()


def test_a_storage_that_does_not_open_leaves_no_study_behind(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    with pytest.raises(EnvironmentFault, match="unable to open database file"):
        run_study(make_spec(), tmp_path, storage=f"sqlite:///{tmp_path}/nowhere/a.db")
    assert not (tmp_path / "tiny").exists()
