from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from hpo import space
from hpo.errors import SpecError, StudyError
from hpo.layout import StudyFolder
from hpo.records import TrialRecord, read_trials
from hpo.spec import StudySpec
from hpo.storage.writer import sqlite_url
from hpo.study import run_study

MakeSpec = Callable[..., StudySpec]
WIDE = {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 512, "log": True}}


def test_a_config_over_a_limit_is_not_trained(tmp_path: Path, make_spec: MakeSpec) -> None:
    limit = {"n_parameters": {"max": 200}}
    outcome = run_study(make_spec("budget.trials=8", model=WIDE, constraints=limit), tmp_path)
    records = outcome.end.records
    for record in records:
        n_parameters = 8 * int(record.params["model.width"] or 0) + 3  # iris: 4 inputs, 3 outputs
        assert record.measured == {"n_parameters": n_parameters}
        assert (record.state, record.reason) == (
            ("failed", "infeasible") if n_parameters > 200 else ("complete", None)
        )
        assert record.violation == pytest.approx(max(n_parameters / 200 - 1, 0))
        curve = StudyFolder(tmp_path / "tiny").trial(record.number) / "curve.csv"
        assert curve.exists() == (record.state == "complete")
    assert {record.state for record in records} == {"complete", "failed"}
    assert "is over 200" in next(record.what for record in records if record.what)


def test_the_best_config_says_what_it_was_held_against(tmp_path: Path, make_spec: MakeSpec) -> None:
    limits = {"n_parameters": {"max": 10_000}, "latency_ms": {"max": 500}}
    best = run_study(make_spec("budget.trials=1", constraints=limits), tmp_path).best
    assert best is not None
    by_name = {one["name"]: one for one in best.constraints}
    assert by_name["n_parameters"]["limit"] == 10_000
    assert by_name["n_parameters"]["value"] == best.training["n_parameters"]
    assert 0 < by_name["latency_ms"]["value"] < 500
    assert all(one["ok"] for one in best.constraints)


def test_the_sampler_learns_what_is_infeasible(tmp_path: Path, make_spec: MakeSpec) -> None:
    """Where most is too large, TPE soon proposes what is small enough; chance never does."""
    limits = {"n_parameters": {"max": 515}}  # a width of 64
    share = {}
    for sampler in ("random", "tpe"):
        search = {"sampler": sampler, "pruner": "none"}
        wide = {**WIDE, "width": {"low": 4, "high": 256}}
        spec = make_spec(
            f"name={sampler}",
            "budget.trials=40",
            "trainer.max_epochs=1",
            model=wide,
            search=search,
            constraints=limits,
        )
        late = run_study(spec, tmp_path).end.records[20:]
        share[sampler] = sum(record.reason == "infeasible" for record in late) / len(late)
    assert share["random"] > 0.6
    assert share["tpe"] < 0.7 * share["random"]


def test_a_study_over_its_limits_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    limits = {"n_parameters": {"max": 200}}
    search = {"sampler": {"name": "tpe", "n_startup_trials": 2}, "pruner": "none"}

    def spec(n_trials: int) -> StudySpec:
        return make_spec(f"budget.trials={n_trials}", model=WIDE, search=search, constraints=limits)

    straight = run_study(spec(12), tmp_path / "straight").end.records
    run_study(spec(5), tmp_path / "stopped")
    resumed = run_study(spec(12), tmp_path / "stopped").end.records
    assert [(r.params, r.value, r.violation) for r in straight] == [
        (r.params, r.value, r.violation) for r in resumed
    ]


def test_a_study_with_only_infeasible_configs_says_so(tmp_path: Path, make_spec: MakeSpec) -> None:
    limits = {"n_parameters": {"max": 1}}
    with pytest.raises(StudyError, match=r"infeasible: n_parameters \d+ is over 1"):
        run_study(make_spec(constraints=limits), tmp_path)


def test_an_infeasible_trial_is_a_failure_with_its_reason_in_the_storage(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    with pytest.raises(StudyError):
        run_study(make_spec(constraints={"n_parameters": {"max": 1}}), tmp_path)
    url = sqlite_url(tmp_path / "storage.sqlite")
    trials = optuna.load_study(study_name="tiny", storage=url).get_trials()
    assert {trial.state for trial in trials} == {optuna.trial.TrialState.FAIL}
    assert {trial.user_attrs["reason"] for trial in trials} == {"infeasible"}


def test_an_unknown_limit_is_named(make_spec: MakeSpec) -> None:
    with pytest.raises(SpecError, match=r"constraints.n_parameter.*n_parameters"):
        make_spec(constraints={"n_parameter": {"max": 3}})
    with pytest.raises(SpecError, match=r"constraints.latency_ms.max"):
        make_spec(constraints={"latency_ms": {"max": 0}})


def test_settings_that_exclude_each_other_are_a_trial_that_failed(
    tmp_path: Path, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "MIXTURES", 0)  # as if the check before had not met them
    trainer = {
        "max_epochs": {"low": 1, "high": 4},
        "validate_every": {"choices": [1, 3]},
        "batch_size": 60,
        "accelerator": "cpu",
    }
    records = run_study(make_spec("budget.trials=10", trainer=trainer), tmp_path).end.records
    assert [record.number for record in records] == list(range(10))
    failed = [record for record in records if record.state == "failed"]
    assert failed
    assert all("validate_every" in record.what for record in failed)
    assert read_trials(StudyFolder(tmp_path / "tiny")) == records


def test_an_audit_lets_trials_run_on_that_would_be_stopped(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    def records(name: str, audit: float) -> list[TrialRecord]:
        pruner = {"name": "median", "n_startup_trials": 1, "n_min_trials": 1}
        search = {"sampler": "random", "pruner": pruner, "audit": audit}
        overrides = (f"name={name}", "budget.trials=16", "trainer.max_epochs=4")
        return list(run_study(make_spec(*overrides, search=search), tmp_path).end.records)

    plain, audited = records("plain", 0.0), records("audited", 0.5)
    ran_on = [record for record in audited if record.audit is not None]
    assert ran_on
    assert {record.state for record in audited} == {"complete", "pruned"}
    for record in ran_on:
        assert record.state == "complete"
        assert record.run is not None
        assert (record.audit or 0) <= record.run.validations == 4
        assert f"stopped it at validation {record.audit}" in record.notes[-1]
    first = ran_on[0]
    assert plain[first.number].state == "pruned"
    assert plain[first.number].run is not None
    assert plain[first.number].run.validations == first.audit


def test_an_audit_of_no_pruner_is_a_mistake(make_spec: MakeSpec) -> None:
    with pytest.raises(SpecError, match=r"search.audit.*has no effect without a pruner"):
        make_spec("search.audit=0.1")
